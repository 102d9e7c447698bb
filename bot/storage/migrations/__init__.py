"""Schema changes, applied by ``bot.storage.migrate``; fresh databases are created at the newest one."""
