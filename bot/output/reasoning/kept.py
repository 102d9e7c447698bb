"""The thinking as it is kept: bounded, with what stood after its last mention of an end."""

from __future__ import annotations


class KeptThinking:
    """Collects hidden text.

    Args:
        limit_chars: How much is kept; the rest is counted and forgotten.

    Attributes:
        total_chars: How much has come, kept or not.
    """

    def __init__(self, limit_chars: int) -> None:
        self._limit = limit_chars
        self._parts: list[str] = []
        self._chars = 0
        self._after: list[str] | None = None
        self._before_block = (0, 0)
        self.total_chars = 0

    def add(self, text: str) -> None:
        """Append text as it comes."""
        self.total_chars += len(text)
        room = self._limit - self._chars
        if room > 0:
            self._parts.append(text[:room])
            self._chars += min(room, len(text))
        if self._after is not None:
            self._after.append(text)

    def begin_block(self) -> None:
        """Start another stretch, on a line of its own."""
        self._after = None
        self._before_block = (self._chars, self.total_chars)
        if self._parts:
            self._parts.append("\n")
            self._chars += 1

    def forget_block(self) -> None:
        """Forget the current stretch: it was no thinking."""
        chars, self.total_chars = self._before_block
        kept = self.text[:chars]
        self._parts = [kept] if kept else []
        self._chars = chars
        self._after = None

    def mark(self) -> None:
        """Note that the block may have ended here: what follows could be the answer."""
        self._after = []

    @property
    def is_marked(self) -> bool:
        """Whether the block may have ended already."""
        return self._after is not None

    def since_mark(self) -> str:
        """Return what followed the last mark of this block; empty without one."""
        return "".join(self._after or ())

    @property
    def text(self) -> str:
        """All that is kept."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def tail(self, chars: int) -> str:
        """Return the last characters that are kept."""
        found: list[str] = []
        size = 0
        for part in reversed(self._parts):
            found.append(part)
            size += len(part)
            if size >= chars:
                break
        return "".join(reversed(found))[-chars:]
