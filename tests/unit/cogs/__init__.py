"""Tests of ``cogs``."""
