"""What Discord's client or server does not let a person do."""

from __future__ import annotations


class NotOfferedError(Exception):
    """Discord would not have let the person do that."""
