"""Benchmarks: commands that print tables."""
