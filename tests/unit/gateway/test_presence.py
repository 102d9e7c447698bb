"""The status dot follows the model and the line, over failures and fresh sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from bot.gateway.presence import SPACING_S, Presence, keep_presence, presence_for
from tests.support.clock import FakeClock, settle


class Gateway:
    """What is shown, and what goes wrong.

    Attributes:
        session: Counts fresh sessions.
        wanted: What should be shown.
        shown: All that was shown, in order.
        failure: Raised instead of showing.
    """

    def __init__(self) -> None:
        self.session = 1
        self.wanted = presence_for(is_available=True, waiting=0)
        self.shown: list[Presence] = []
        self.failure: Exception | None = None

    async def show(self, presence: Presence) -> None:
        """Show it, or fail."""
        if self.failure is not None:
            raise self.failure
        self.shown.append(presence)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def gateway(clock: FakeClock) -> AsyncGenerator[Gateway, None]:
    made = Gateway()
    keeping = asyncio.create_task(
        keep_presence(clock, lambda: made.wanted, made.show, lambda: made.session)
    )
    await settle()
    yield made
    assert not keeping.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


def test_the_words_say_why_nothing_comes() -> None:
    assert presence_for(is_available=False, waiting=3).is_away
    assert presence_for(is_available=True, waiting=3).text == "3 in line"


async def test_only_changes_are_sent(clock: FakeClock, gateway: Gateway) -> None:
    await clock.advance(10 * SPACING_S)
    assert len(gateway.shown) == 1
    gateway.wanted = presence_for(is_available=False, waiting=0)
    await clock.advance(2 * SPACING_S)
    assert [presence.is_away for presence in gateway.shown] == [False, True]


async def test_a_fresh_session_is_shown_it_again(clock: FakeClock, gateway: Gateway) -> None:
    gateway.session += 1
    await clock.advance(2 * SPACING_S)
    assert len(gateway.shown) == 2


async def test_no_failure_ends_it(clock: FakeClock, gateway: Gateway) -> None:
    gateway.failure = ValueError("whatever the gateway's library raises")
    gateway.wanted = presence_for(is_available=False, waiting=0)
    await clock.advance(2 * SPACING_S)
    gateway.failure = None
    await clock.advance(2 * SPACING_S)
    assert gateway.shown[-1] == gateway.wanted
