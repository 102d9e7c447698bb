"""What Discord remembers, what can be done to it, and the events of its changes."""
