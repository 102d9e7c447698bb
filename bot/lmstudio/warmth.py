"""What a server still has in its cache of each conversation, as far as one can know it.

A server reads only what differs from the prompt that a slot saw last (llama.cpp keeps the longest
common prefix of each slot), and gives the slot that was used longest ago to a new conversation.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.core.domain import ChatTurn, Role

_MAX_CONVERSATIONS: Final = 256
_TURN_CHARS: Final = 16
_IMAGE_CHARS: Final = 3200


def weight(turn: ChatTurn) -> int:
    """Return a turn's share of a prompt in characters; an image counts as about 800 tokens."""
    return len(turn.text) + _TURN_CHARS + _IMAGE_CHARS * len(turn.images)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a model that has a conversation in its cache.

    Attributes:
        instance: Its name.
        seen: Stands for each turn that it read.
    """

    instance: str
    seen: tuple[int, ...]

    def fresh_share(self, turns: Sequence[ChatTurn]) -> float:
        """Return the part of a prompt that it must read, from 0 to 1.

        Args:
            turns: The prompt; the answer to what was read last is in the cache too.
        """
        known = 0
        while known < min(len(turns), len(self.seen)) and hash(turns[known]) == self.seen[known]:
            known += 1
        is_answered = known == len(self.seen) and known < len(turns)
        if is_answered and turns[known].role is Role.ASSISTANT:
            known += 1
        whole = sum(map(weight, turns))
        return sum(map(weight, turns[known:])) / whole if whole else 1.0


class Warmth:
    """Remembers where each conversation was answered last; the oldest are forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, Copy]] = OrderedDict()

    def node_of(self, conversation_key: str) -> int:
        """Return the index of the server that answered it last; -1 for none."""
        found = self._known.get(conversation_key)
        return -1 if found is None else found[0]

    def copy(self, conversation_key: str, index: int) -> Copy | None:
        """Return the copy that has it in its cache on a server."""
        found = self._known.get(conversation_key)
        return found[1] if found is not None and found[0] == index else None

    def note(
        self,
        conversation_key: str,
        index: int,
        instance: str,
        turns: Sequence[ChatTurn],
        parallel: int,
    ) -> None:
        """Remember that a copy answered a conversation.

        Args:
            conversation_key: Which one.
            index: The server.
            instance: The copy.
            turns: What it read.
            parallel: Its slots: so many conversations stay in its cache.
        """
        self._known.pop(conversation_key, None)
        same = [
            key
            for key, (at, copy) in self._known.items()
            if at == index and copy.instance == instance and copy.seen
        ]
        for key in same[: max(0, len(same) - parallel + 1)]:
            self._known[key] = index, Copy(instance, ())
        self._known[conversation_key] = index, Copy(instance, tuple(map(hash, turns)))
        if len(self._known) > _MAX_CONVERSATIONS:
            self._known.popitem(last=False)
