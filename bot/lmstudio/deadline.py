"""How long to wait for what, on the injected clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONNECT_LIMIT_S: Final = 5.0
"""Seconds; a LAN answers in milliseconds, a dropped packet is sent again after 1 and 3."""

LOAD_ALLOWANCE_S: Final = 180.0
"""Seconds; loading 50 to 70 GB from a solid state disk."""

_FIRST_SPEED: Final = 150.0
"""Prompt tokens per second before one was measured: a slow mini PC's."""

_FASTEST: Final = 100_000.0
_SLOWER: Final = 0.7
_FASTER: Final = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request, in seconds.

    Attributes:
        connect_s: Until the connection stands.
        silence_s: Between signs of progress once text came, and between looks at the server before.
        first_token_s: Patience for the first token; longer while the server answers probes.
        total_at_s: Monotonic time of the hard cap.
    """

    connect_s: float
    silence_s: float
    first_token_s: float
    total_at_s: float


class ReadingSpeed:
    """How fast a model reads prompts, learned from what it did.

    Slower than expected counts at once, faster only little by little: a warm cache reads a prompt
    in no time, which says nothing about the next cold one.
    """

    __slots__ = ("tokens_per_s",)

    def __init__(self) -> None:
        """Start with a slow machine's speed."""
        self.tokens_per_s = _FIRST_SPEED

    def learn(self, prompt_tokens: int, first_token_s: float) -> None:
        """Take a measurement: a prompt's size and the time to its first token."""
        if prompt_tokens < 64 or first_token_s <= 0:
            return
        measured = min(max(1.0, prompt_tokens / first_token_s), _FASTEST)
        weight = _SLOWER if measured < self.tokens_per_s else _FASTER
        self.tokens_per_s += (measured - self.tokens_per_s) * weight

    def expected_s(self, prompt_tokens: int) -> float:
        """Return how long a cold prompt of this size should take, in seconds."""
        return max(0, prompt_tokens) / self.tokens_per_s


def first_token_patience_s(
    least_s: float, expected_s: float, *, queued: float = 0.0, is_loading: bool = False
) -> float:
    """Return the patience for the first token.

    Args:
        least_s: The setting: never less.
        expected_s: Expected reading time of the prompt; doubled, for speed falls with length.
        queued: Requests ahead per slot, each taken as long as this one.
        is_loading: The model must be loaded first.
    """
    patience_s = expected_s * 2 * (1 + max(0.0, queued))
    return max(least_s, patience_s) + (LOAD_ALLOWANCE_S if is_loading else 0.0)
