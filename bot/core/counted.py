"""Numbers of things in words."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where there isn't exactly one.

    Args:
        number: How many.
        noun: In the singular; its plural ends with ``s``.
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
