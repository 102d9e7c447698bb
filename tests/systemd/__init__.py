"""The unit, read by systemd itself."""
