"""How much of a conversation fits, and where it is cut so that the prompt stays warm.

A model server reads only what differs from the prompt it saw last, from the first difference on.
Dropping the oldest message at every turn therefore means reading everything at every turn. Here
history is cut seldom and far. Where a prompt began is kept with its answer, and the next turn begins
there, too, on every branch and after any restart, until the room is used up.

The room is used up when the tokens that the server counted, and a question as long as the last few,
don't fit any more. That is known as soon as an answer is there, and rests on nothing but what is kept
with the answers: the next prompt can be read ahead, and turns out the same when the question comes.

A conversation without counts is cut at places that are a function of its messages alone: sizes are
added up from its beginning, and a cut lies where the sum passes a multiple of the step. These sizes
are measured with ``static_tokens``, which never changes; the learned estimate only decides whether
one more step has to go. Where such a conversation is longer than what is read of it, its beginning is
unknown and a stand-in is taken: of all messages in the older half, the one that crosses the roundest
moment of time, as the bits of Discord's snowflakes tell. It stays the same until it leaves the half
that it was chosen from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bot.prompt.tokens import Sizes

MARGIN = 0.10
"""Share of its room that estimated text leaves free, for what the estimate gets wrong."""

_STEP_SHARE = 0.5
"""Without counts, a cut drops this share of the budget: less is read again less often, more is
forgotten at once."""

_DROP_SHARE = 0.5
"""With counts, a cut drops this share of the room.

What stays is read again, ahead of the next question where the model has time. Half of 6,000 tokens
take it 8 s, at every sixth turn of 480 tokens, and few people answer sooner. Dropping 40 % would keep
7 % more of the conversation on average, but every fifth turn would need pauses of 10 s and more, which
is often enough to show in the 95th percentile of waits.
"""

KEPT_SHARE = 0.6
"""Of the room; so much may stay where a summary ends before the place of a cut."""

LEAST_SHARE = 0.25
"""Of the room; so much stays where a summary ends behind it, and the cut is moved there."""

_LOOK_BACK = 4
"""The next question is taken to be as long as the longest of so many ..."""
_QUESTION_RESERVE = 1.5
"""... and half as much again, since its estimate is a fifth too high at worst and has a margin ..."""
_QUESTION_SHARE = 0.1
"""... but no longer than this share of the room, so that the rest is used before anything is cut."""

_LEAST_QUESTION = 32
_SLACK_TOKENS = 32
"""Free beside counted text, for what a template puts around the newest turns."""

_LEAST_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Budget:
    """What a prompt may use, in tokens.

    Attributes:
        room_tokens: The whole prompt, as the server counts.
        step_tokens: One step of a cut, in static tokens.
        turn_tokens: Most that a single message may take, in static tokens.
    """

    room_tokens: int
    step_tokens: int
    turn_tokens: int

    def fits(self, sizes: Sizes) -> bool:
        """Return whether a prompt fits; where its sizes are estimated, with a margin."""
        slack = _SLACK_TOKENS if sizes.counted else 0
        estimated = sum(sizes.turns[sizes.counted :]) if sizes.counted else sizes.total
        counted = sum(sizes.turns[: sizes.counted])
        return counted + slack + estimated / (1 - MARGIN) <= self.room_tokens

    def is_used_up(self, sizes: Sizes, questions: Sequence[int]) -> bool:
        """Return whether a further question would have no room behind the last answer.

        Args:
            sizes: Of the prompt.
            questions: Which of its turns are people's, up to the last answer.
        """
        if not sizes.counted or not sizes.answered:
            return False
        answered = sum(sizes.turns[: sizes.answered])
        return answered > self.room_tokens - self._next(sizes, questions)

    def kept(self, sizes: Sizes, questions: Sequence[int], newest: float) -> tuple[float, float]:
        """Return how many tokens are to be left up to the last answer, and how many may be.

        Args:
            sizes: Of the prompt.
            questions: Which of its turns are people's, up to the last answer.
            newest: Tokens of the question, where its own length forces the cut.
        """
        left = max(0.0, self.room_tokens - newest)
        next_tokens = (
            newest / (1 - MARGIN) + _SLACK_TOKENS if newest else self._next(sizes, questions)
        )
        return (1 - _DROP_SHARE) * left, self.room_tokens - next_tokens

    def _next(self, sizes: Sizes, questions: Sequence[int]) -> float:
        """Return what has to be free behind the last answer."""
        longest = max((sizes.turns[index] for index in questions[-_LOOK_BACK:]), default=0.0)
        most = self.room_tokens * _QUESTION_SHARE
        return _SLACK_TOKENS + min(most, max(_LEAST_QUESTION, _QUESTION_RESERVE * longest))


def plan(context_tokens: int, max_tokens: int, system_tokens: int, scale: float) -> Budget:
    """Divide a model's context.

    Args:
        context_tokens: Context length of the loaded instance.
        max_tokens: Longest answer; at most half of the context is kept free for it.
        system_tokens: The system prompt, in static tokens.
        scale: Real tokens of a static token, for this model.
    """
    room = context_tokens - min(max_tokens, context_tokens // 2)
    prompt = max(_LEAST_TOKENS, int(room * (1 - MARGIN)))
    static = max(_LEAST_TOKENS, int(prompt / scale) - system_tokens)
    return Budget(
        room_tokens=max(room, math.ceil(_LEAST_TOKENS / (1 - MARGIN))),
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


def first_within(sizes: Sequence[float], may_start: Sequence[bool], most: float) -> int:
    """Return the first index but 0 from which on no more than so many tokens are left.

    Args:
        sizes: Tokens of each message, oldest first; the last index is returned where none will do.
        may_start: Whether a prompt may begin there.
        most: Tokens of what may stay.
    """
    left = sum(sizes)
    for index, size in enumerate(sizes[:-1]):
        if index and may_start[index] and left <= most:
            return index
        left -= size
    return len(sizes) - 1


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
