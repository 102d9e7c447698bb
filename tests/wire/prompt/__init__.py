"""Conversations read from a Discord over real sockets."""
