"""What the bot itself tells those who look on: its line of questions, and how each question went."""

from __future__ import annotations

from collections import deque
from typing import Final

from bot.chat.account import Account
from bot.core.domain import QuestionId
from bot.core.ports import ChatBackend
from bot.core.record import QuestionRecord
from bot.demo.asked import Asked, HeardBackend
from bot.queue.scheduler import QueueEntry, Scheduler

KEPT_RECORDS: Final = 20
KEPT_ASKED: Final = 10


class Notes:
    """Takes notes of a running bot, as ``bot.app.Watcher`` has it.

    Attributes:
        records: The newest questions that have ended, newest last.
        ended_count: How many have ended at all.
        open: The questions that are being worked on.
        asked: The newest requests to the model, newest last.
        asked_count: How many there have been at all.
    """

    def __init__(self) -> None:
        self.records: deque[QuestionRecord] = deque(maxlen=KEPT_RECORDS)
        self.ended_count = 0
        self.open: dict[QuestionId, Account] = {}
        self.asked: deque[Asked] = deque(maxlen=KEPT_ASKED)
        self.asked_count = 0
        self._scheduler: Scheduler | None = None

    def begun(self, scheduler: Scheduler) -> None:
        """Take note of the line of questions."""
        self._scheduler = scheduler

    def hears(self, backend: ChatBackend) -> ChatBackend:
        """Listen to what is asked of the model."""
        return HeardBackend(backend, self._take)

    def _take(self, asked: Asked) -> None:
        self.asked.append(asked)
        self.asked_count += 1

    def works_on(self, account: Account) -> None:
        """Take note of a question as its work begins."""
        self.open[account.question_id] = account

    def ended(self, record: QuestionRecord) -> None:
        """Take note of how a question went."""
        self.open.pop(record.question_id, None)
        self.records.append(record)
        self.ended_count += 1

    @property
    def slots(self) -> int:
        """How many answers may be written at once; 0 before the bot has begun."""
        return 0 if self._scheduler is None else self._scheduler.slots

    @property
    def entries(self) -> list[QueueEntry]:
        """Whose answers are written, and who waits, in order."""
        return [] if self._scheduler is None else self._scheduler.entries
