"""The demo's page in a real Chromium, with the real bot behind it."""
