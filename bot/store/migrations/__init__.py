"""Schema changes, applied by ``bot.store.migrate``; fresh databases are created at the newest one."""
