"""Properties of ``bot.core``."""
