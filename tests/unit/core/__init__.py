"""Tests of ``bot.core``."""
