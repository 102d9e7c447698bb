"""The local LM Studio is as strict, and as faulty, as the real one."""
