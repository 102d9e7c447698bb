"""Tests: admission, closing, backfill, reconnecting."""
