"""Properties of ``bot.lmstudio``."""
