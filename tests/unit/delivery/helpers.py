"""One answer on a fake clock and a fake sink."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from bot.core.domain import (
    ChannelId,
    GuildId,
    MessageId,
    Origin,
    Person,
    Place,
    PlaceKind,
    Question,
    QuestionId,
    UserId,
)
from bot.core.ports import Controls
from bot.delivery.delivery import Delivery, OnPosted
from bot.delivery.pacing import ChannelPacer
from config.settings import DeliverySettings
from tests.support.clock import FakeClock
from tests.support.sink import FakeSink

T = TypeVar("T")

STOP = Controls(QuestionId(1), UserId(9), stop=True)
DONE = Controls(QuestionId(1), UserId(9), regenerate=True)


def question(number: int = 1) -> Question:
    """Return a question asked in the one channel of these tests."""
    return Question(
        id=QuestionId(number),
        origin=Origin.MENTION,
        place=Place(PlaceKind.GUILD_TEXT, ChannelId(7), GuildId(8)),
        asker=Person(UserId(9), "Ada"),
        text="hello",
        asked_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


class DeliveryRig:
    """A clock, a sink and a pacer, and deliveries on them."""

    def __init__(self, settings: DeliverySettings | None = None) -> None:
        self.settings = settings or DeliverySettings()
        self.clock = FakeClock()
        self.sink = FakeSink(self.clock)
        self.pacer = ChannelPacer(self.settings.writes_per_5_s)

    async def wait(self, ending: Coroutine[Any, Any, T], *, most_s: float = 60.0) -> T:
        """Let time pass until something has ended."""
        task = asyncio.create_task(ending)
        for _ in range(int(most_s * 10)):
            if task.done():
                break
            await self.clock.advance(0.1)
        assert task.done()
        return task.result()

    def delivery(
        self,
        number: int = 1,
        *,
        live_controls: Controls | None = None,
        posted: Sequence[MessageId] = (),
        on_posted: OnPosted | None = None,
    ) -> Delivery:
        """Return a delivery for a question."""
        return Delivery(
            sink=self.sink,
            pacer=self.pacer,
            clock=self.clock,
            question=question(number),
            settings=self.settings,
            live_controls=live_controls,
            posted=posted,
            on_posted=on_posted,
        )
