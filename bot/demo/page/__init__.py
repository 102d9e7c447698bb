"""The demo as a page: the local Discord, served on loopback to a browser."""
