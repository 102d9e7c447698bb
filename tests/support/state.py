"""A state store in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping


class FakeState:
    """A ``State`` in memory.

    Args:
        values: What is remembered already.

    Attributes:
        fails: Nothing can be stored: it is kept in memory only.
    """

    def __init__(self, values: Mapping[str, object] | None = None) -> None:
        self.values = dict(values or {})
        self.fails = False

    def get(self, key: str) -> object:
        """Return a value."""
        return self.values.get(key)

    async def set(self, key: str, value: object) -> None:
        """Remember a value."""
        self.values[key] = value

    async def change(self, key: str, change: Callable[[object], object]) -> object:
        """Change a value."""
        await self.set(key, changed := change(self.get(key)))
        return changed

    async def change_all(
        self,
        keys: Collection[str],
        change: Callable[[Mapping[str, object]], Mapping[str, object]],
    ) -> Mapping[str, object]:
        """Change several values; what is ``None`` is forgotten."""
        changed = change({key: self.get(key) for key in keys})
        self.values = {k: v for k, v in {**self.values, **changed}.items() if v is not None}
        return changed

    def is_saved(self, _key: str) -> bool:
        """Return whether another start would find it."""
        return not self.fails
