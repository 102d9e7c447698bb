"""What each slot of a server has in its cache, as far as one can tell from what it was sent.

A slot keeps the prompt and the answer that it worked on last. A new prompt goes to the slot that holds
the most of its beginning, if that is a tenth of it; otherwise to the one that was used longest ago
(llama.cpp's server, which LM Studio runs). So a new conversation takes the slot of another that begins
with the same persona, although others are free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bot.core.domain import ChatTurn, Role
from bot.core.recent import Recent

_MAX_CONVERSATIONS: Final = 256
_MAX_COPIES: Final = 64
_TURN_CHARS: Final = 16
_IMAGE_CHARS: Final = 3200

SIMILARITY: Final = 0.1
"""The part of a prompt that a slot must hold to be chosen for it."""


def weight(turn: ChatTurn) -> int:
    """Return a turn's share of a prompt in characters; an image counts as about 800 tokens."""
    return len(turn.text) + _TURN_CHARS + _IMAGE_CHARS * len(turn.images)


@dataclass(frozen=True, slots=True)
class Read:
    """What a model read of a prompt.

    Attributes:
        turns: The turns that it read whole.
        part: The beginning of the turn after them, where it read only that.
        has_answer: What it wrote then stands in the next prompt as it was written.
    """

    turns: tuple[ChatTurn, ...]
    part: ChatTurn | None = None
    has_answer: bool = False


@dataclass(frozen=True, slots=True)
class _Slot:
    """A slot's cache: whose it is, a number for each whole turn, and what else it holds."""

    conversation: str
    seen: tuple[int, ...]
    part: ChatTurn | None
    has_answer: bool

    @property
    def size(self) -> int:
        """How many turns it holds, whole or in part."""
        return len(self.seen) + self.has_answer + (self.part is not None)

    def known(self, turns: Sequence[ChatTurn]) -> int:
        """Return how much of a prompt's beginning is in it, as the sum of the turns' weights."""
        count = 0
        while count < min(len(turns), len(self.seen)) and hash(turns[count]) == self.seen[count]:
            count += 1
        known = sum(map(weight, turns[:count]))
        if count < len(self.seen) or count == len(turns):
            return known
        follower, part = turns[count], self.part
        if self.has_answer and follower.role is Role.ASSISTANT:
            return known + weight(follower)
        if part is not None and follower.role is part.role and follower.text.startswith(part.text):
            return known + len(part.text)
        return known


class Warmth:
    """Remembers what the slots of each copy of a model hold; of conversations, the newest."""

    def __init__(self) -> None:
        self._homes: Recent[str, tuple[int, str]] = Recent(_MAX_CONVERSATIONS)
        self._slots: Recent[tuple[int, str, int], list[_Slot]] = Recent(_MAX_COPIES)

    def home(self, conversation_key: str) -> tuple[int, str] | None:
        """Return the server's index and the copy that answered a conversation last."""
        return self._homes.get(conversation_key)

    def fresh_share(self, copy: tuple[int, str, int], turns: Sequence[ChatTurn]) -> float:
        """Return the part of a prompt that a copy must read, from 0 to 1.

        Args:
            copy: The server's index, the copy's name, and the number of its load.
            turns: The prompt.
        """
        whole = sum(map(weight, turns))
        known = max((slot.known(turns) for slot in self._slots.get(copy, ())), default=0)
        return 1.0 if known < SIMILARITY * whole or not whole else 1.0 - known / whole

    def ahead(
        self, conversation_key: str, copy: tuple[int, str, int], turns: Sequence[ChatTurn]
    ) -> tuple[int, int]:
        """Return how much of a prompt a first piece of it would find, and how long that must be.

        A piece that begins like what another conversation's slot holds would take that slot, unless
        it is so long that this is less than ``SIMILARITY`` of it.

        Args:
            conversation_key: Whose prompt it is.
            copy: As ``fresh_share`` takes it.
            turns: The prompt.

        Returns:
            Both as the sum of turns' weights; 0 where any length will do.
        """
        slots = self._slots.get(copy, ())
        known = max((slot.known(turns) for slot in slots), default=0)
        is_taken = any(
            slot.conversation != conversation_key
            and slot.known(turns) == known
            and slot.size > _turns_in(turns, known)
            for slot in slots
        )
        return (0, math.ceil(known / SIMILARITY)) if known and is_taken else (known, 0)

    def note(
        self, conversation_key: str, copy: tuple[int, str, int], read: Read, parallel: int
    ) -> None:
        """Remember that a copy has worked on a conversation.

        Args:
            conversation_key: Which one.
            copy: As ``fresh_share`` takes it.
            read: What it read.
            parallel: Its slots, the fewest being 1.
        """
        self._homes[conversation_key] = copy[:2]
        slots = self._slots.get(copy, [])
        sent = (*read.turns, *([] if read.part is None else [read.part]))
        whole = sum(map(weight, sent))
        best = max(
            slots,
            key=lambda slot: (slot.known(sent), slot.conversation == conversation_key),
            default=None,
        )
        if best is not None and best.known(sent) >= SIMILARITY * whole:
            slots.remove(best)
        del slots[: max(0, len(slots) - parallel + 1)]
        seen = tuple(map(hash, read.turns))
        slots.append(_Slot(conversation_key, seen, read.part, read.has_answer))
        self._slots[copy] = slots

    def forget_words(self) -> None:
        """Forget the words that slots hold in part; numbers of whole turns stay, which say none."""
        for slots in self._slots.values():
            slots[:] = [replace(slot, part=None) for slot in slots]


def _turns_in(turns: Sequence[ChatTurn], most: int) -> int:
    """Return how many turns, the last perhaps in part, have this weight together."""
    count = 0
    while most > 0 and count < len(turns):
        most -= weight(turns[count])
        count += 1
    return count
