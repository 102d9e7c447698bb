"""Tests of ``bot.scheduling``."""
