"""A fake of what tells people that their messages aren't taken."""

from __future__ import annotations

from bot.core.clock import Clock
from bot.core.domain import IncomingMessage, Place, QuestionId


class FakeSignals:
    """Notes what is told.

    Args:
        clock: Time.
        takes_replies: Whether replies can be posted.
        takes_marks: Whether marks can be put on messages.
        failures: How many lines aren't taken at first.

    Attributes:
        failures: How many more lines aren't taken.
        replies: Message, sentence and time of each reply.
        marks: Message, mark and time of each mark that is there.
        lines: Place, sentence and time of each line to a channel.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        takes_replies: bool = True,
        takes_marks: bool = True,
        failures: int = 0,
    ) -> None:
        self._clock = clock
        self._takes_replies = takes_replies
        self._takes_marks = takes_marks
        self.failures = failures
        self.replies: list[tuple[IncomingMessage, str, float]] = []
        self.marks: list[tuple[IncomingMessage, str, float]] = []
        self.lines: list[tuple[Place, str, float]] = []

    async def reply(self, message: IncomingMessage, sentence: str) -> bool:
        """Note a reply."""
        if self._takes_replies:
            self.replies.append((message, sentence, self._clock.monotonic()))
        return self._takes_replies

    async def mark(self, message: IncomingMessage, mark: str) -> bool:
        """Note a mark."""
        if self._takes_marks:
            self.marks.append((message, mark, self._clock.monotonic()))
        return self._takes_marks

    async def announce(self, place: Place, _about: QuestionId, sentence: str) -> bool:
        """Note a line."""
        if self.failures:
            self.failures -= 1
            return False
        self.lines.append((place, sentence, self._clock.monotonic()))
        return True
