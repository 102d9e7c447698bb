"""What the demo draws, for any text."""
