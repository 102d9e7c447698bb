"""What is done with the model while nobody waits for it."""
