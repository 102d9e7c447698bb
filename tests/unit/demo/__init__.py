"""The demo's faces, without a terminal."""
