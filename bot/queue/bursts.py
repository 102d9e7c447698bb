"""Several messages sent in one go are one question. Pure: times are given to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.core.domain import ChannelId, MessageId, QuestionId, UserId
from bot.core.recent import Recent

ENTRIES: Final = 5_000
"""Open bursts that are remembered; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A new question, as far as bursts are concerned.

    Attributes:
        reply_to: The message it explicitly replies to, if any.
        at_s: When it was written, in Unix seconds: messages that were missed arrive together.
    """

    question_id: QuestionId
    message_id: MessageId
    person_id: UserId
    channel_id: ChannelId
    reply_to: MessageId | None
    at_s: float


@dataclass(slots=True)
class _Burst:
    latest: Arrival
    reply_to: MessageId | None
    message_ids: set[int]


class Bursts:
    """Decides which questions join an earlier one.

    Args:
        window_s: Longest pause between messages of a burst, in seconds; 0 joins nothing.
            It may be set anew at any time.
        max_entries: Bursts to remember at most.
    """

    def __init__(self, window_s: float, max_entries: int = ENTRIES) -> None:
        self.window_s = window_s
        self._open: Recent[tuple[int, int], _Burst] = Recent(max_entries)

    def __len__(self) -> int:
        return len(self._open)

    def offer(self, arrival: Arrival) -> QuestionId | None:
        """Take note of a question; return the earlier question that it continues.

        The new question then stands for the whole burst, and the earlier one is merged into it. A
        reply to a message outside the burst is a question of its own.
        """
        if self.window_s <= 0:
            return None
        self._expire(arrival.at_s)
        key = (arrival.person_id, arrival.channel_id)
        burst = self._open.get(key)
        if burst is not None and self._continues(burst, arrival):
            earlier = burst.latest.question_id
            burst.latest = arrival
            burst.message_ids.add(arrival.message_id)
            self._open.move_to_end(key)
            return earlier
        self._open[key] = _Burst(arrival, arrival.reply_to, {arrival.message_id})
        return None

    def _continues(self, burst: _Burst, arrival: Arrival) -> bool:
        reply_to = arrival.reply_to
        is_near = 0 <= arrival.at_s - burst.latest.at_s <= self.window_s
        return is_near and (
            reply_to is None or reply_to == burst.reply_to or reply_to in burst.message_ids
        )

    def _expire(self, now_s: float) -> None:
        """Forget bursts whose window has passed; the oldest stand first."""
        while self._open:
            key, burst = next(iter(self._open.items()))
            if now_s - burst.latest.at_s <= self.window_s:
                return
            del self._open[key]
