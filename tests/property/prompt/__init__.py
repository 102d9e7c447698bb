"""What must hold for every conversation."""
