"""What an answer may contain: limits that hold for every text the model writes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutputPolicy:
    """Limits of one answer.

    Attributes:
        max_chars: Longest answer in characters; what comes after is cut and the stream stopped.
        max_emoji: Most emoji in one answer, standard and custom ones together.
        max_thinking_chars: How much of the thinking is kept, in characters.
        allow_invites: Leave Discord invites as they are.
    """

    max_chars: int = 12_000
    max_emoji: int = 200
    max_thinking_chars: int = 65_536
    allow_invites: bool = False
