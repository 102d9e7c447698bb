"""A state store in memory."""

from __future__ import annotations

from collections.abc import Mapping


class FakeState:
    """A ``State`` in memory.

    Args:
        values: What is remembered already.
    """

    def __init__(self, values: Mapping[str, object] | None = None) -> None:
        self.values = dict(values or {})

    def get(self, key: str) -> object:
        """Return a value."""
        return self.values.get(key)

    async def set(self, key: str, value: object) -> None:
        """Remember a value."""
        self.values[key] = value
