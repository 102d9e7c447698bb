"""A mapping that remembers the newest entries only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(OrderedDict[K, V]):
    """A dictionary of at most so many entries: the one that was set longest ago goes first.

    Reading an entry doesn't count as use; ``move_to_end`` does.

    Args:
        most: How many entries are kept, at least 1.
        entries: What it begins with, oldest first.
    """

    def __init__(self, most: int, entries: Iterable[tuple[K, V]] = ()) -> None:
        super().__init__()
        self._most = most
        for key, value in entries:
            self[key] = value

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)
