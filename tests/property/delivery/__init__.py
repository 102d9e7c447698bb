"""Delivery: splitting, pacing, messages."""
