"""Tests of ``bot.queue``."""
