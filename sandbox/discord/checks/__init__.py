"""What Discord refuses, and what it fills in."""
