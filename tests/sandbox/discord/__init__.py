"""The local Discord is as strict as the real one."""
