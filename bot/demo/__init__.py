"""The demo: the real bot against the local stand-ins, in the terminal."""
