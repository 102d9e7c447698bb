"""Bounded downloads from Discord's own hosts."""
