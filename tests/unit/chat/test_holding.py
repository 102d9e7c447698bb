"""How long a question waits for a machine that is away, and when it is not asked once more."""

from __future__ import annotations

from bot.chat.holding import MOST_LOSSES, Holding
from bot.core.domain import Stage, StageKind
from tests.support.clock import FakeClock


async def test_a_question_waits_as_long_as_it_is_held(clock: FakeClock) -> None:
    holding = Holding(clock, hold_s=60)
    for _ in range(10):
        holding.note(Stage(StageKind.CONNECTING))
        assert holding.may_go_on()
        await clock.advance(6)
    await clock.advance(1)
    assert not holding.may_go_on()


async def test_a_question_that_takes_the_machine_away_each_time_is_not_asked_for_ever(
    clock: FakeClock,
) -> None:
    holding = Holding(clock, hold_s=3600)
    for number in range(1, MOST_LOSSES + 1):
        holding.note(Stage(StageKind.READING))
        assert holding.may_go_on() is (number < MOST_LOSSES)
        if number < MOST_LOSSES:
            assert holding.may_go_on()
