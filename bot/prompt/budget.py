"""How much of a conversation fits, and where it is cut so that the prompt stays warm.

A model server reads only what differs from the prompt it saw last, from the first difference on.
Dropping the oldest message at every turn therefore means reading everything at every turn. Here
history is cut in large steps, at places that are a function of the conversation alone: sizes are
added up from its beginning, and a cut lies where the sum passes a multiple of the step. The same cut
then holds until another half of the budget has been said, on every branch and after any restart.

Sizes for this are measured with ``static_tokens``, which never changes; the learned estimate only
decides whether one more step has to go.

Where a conversation is longer than what is read of it, its beginning is unknown and a stand-in is
taken: of all messages in the older half, the one that crosses the roundest moment of time, as the
bits of Discord's snowflakes tell. It stays the same until it leaves the half that it was chosen from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MARGIN = 0.10
"""Share of the context that is left free, for what the estimate gets wrong."""

_STEP_SHARE = 0.5
"""A cut drops this share of the budget: less is read again less often, more is forgotten at once."""

_LEAST_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Budget:
    """What a prompt may use, in tokens.

    Attributes:
        prompt_tokens: The whole prompt, as the learned estimate counts.
        step_tokens: One step of a cut, in static tokens.
        turn_tokens: Most that a single message may take, in static tokens.
    """

    prompt_tokens: int
    step_tokens: int
    turn_tokens: int


def plan(context_tokens: int, max_tokens: int, system_tokens: int, scale: float) -> Budget:
    """Divide a model's context.

    Args:
        context_tokens: Context length of the loaded instance.
        max_tokens: Longest answer; at most half of the context is kept free for it.
        system_tokens: The system prompt, in static tokens.
        scale: Real tokens of a static token, for this model.
    """
    reserve = min(max_tokens, context_tokens // 2)
    prompt = max(_LEAST_TOKENS, int((context_tokens - reserve) * (1 - MARGIN)))
    static = max(_LEAST_TOKENS, int(prompt / scale) - system_tokens)
    return Budget(
        prompt_tokens=prompt,
        step_tokens=max(64, int(static * _STEP_SHARE)),
        turn_tokens=max(64, static - static // 16),
    )


def origin(ids: Sequence[int], sizes: Sequence[int], may_start: Sequence[bool]) -> int:
    """Return the index that stands in for the beginning of a conversation read only in part.

    Args:
        ids: Snowflakes, oldest first.
        sizes: Static tokens of each.
        may_start: Whether a prompt may begin there.
    """
    half = sum(sizes) / 2
    best, best_level, total = 0, -1, 0
    for index, size in enumerate(sizes):
        if total > half:
            break
        if index and may_start[index]:
            level = (ids[index - 1] ^ ids[index]).bit_length()
            if level > best_level:
                best, best_level = index, level
        total += size
    return best


def cut_points(
    sizes: Sequence[int], may_start: Sequence[bool], start: int, step_tokens: int
) -> list[int]:
    """Return the indexes where history may begin, from keeping most to keeping only the newest.

    Args:
        sizes: Static tokens of each message, oldest first; the last one is the newest.
        may_start: Whether a prompt may begin there.
        start: The first index to keep at all.
        step_tokens: Tokens between two cuts.
    """
    points = [start]
    total, due = 0, step_tokens
    last = len(sizes) - 1
    for index in range(start, last):
        if total >= due and may_start[index]:
            points.append(index)
            due = (total // step_tokens + 1) * step_tokens
        total += sizes[index]
    if points[-1] != last:
        points.append(last)
    return points
