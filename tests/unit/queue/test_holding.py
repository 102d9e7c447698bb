"""How long a question waits for a machine that is away, and when it is not asked once more."""

from __future__ import annotations

from bot.core.domain import ChannelId, QuestionId, UserId
from bot.core.ports import Capacity
from bot.queue.scheduler import MOST_LOSSES, Job, Scheduler, Ticket, TicketState
from config.settings import QueueSettings
from tests.support.clock import FakeClock

JOB = Job(QuestionId(1), UserId(2), ChannelId(3), None, prompt_tokens=10, cost_tokens=100)


def _ticket(clock: FakeClock, hold_s: float) -> Ticket:
    settings = QueueSettings(hold_s=hold_s)
    return Scheduler(settings, clock, lambda: Capacity(slots=1), lambda: True).submit(JOB)


async def _granted(clock: FakeClock, ticket: Ticket) -> None:
    while ticket.state is not TicketState.RUNNING:
        await clock.advance(1)


async def test_a_question_waits_as_long_as_it_is_held(clock: FakeClock) -> None:
    ticket = _ticket(clock, hold_s=60)
    began_s = clock.monotonic()
    while clock.monotonic() - began_s <= 60:
        assert ticket.requeue()
        await _granted(clock, ticket)
    assert ticket.requeues >= 4
    assert not ticket.requeue()
    assert ticket.state is TicketState.RUNNING


async def test_a_question_that_was_read_meanwhile_is_held_anew(clock: FakeClock) -> None:
    ticket = _ticket(clock, hold_s=60)
    for number in range(MOST_LOSSES - 1):
        assert ticket.requeue(), number
        await _granted(clock, ticket)
        ticket.reads()
        await clock.advance(100)


async def test_a_question_that_takes_the_machine_away_each_time_is_not_asked_for_ever(
    clock: FakeClock,
) -> None:
    ticket = _ticket(clock, hold_s=3600)
    for number in range(1, MOST_LOSSES + 1):
        ticket.reads()
        assert ticket.requeue() is (number < MOST_LOSSES)
        if number < MOST_LOSSES:
            await _granted(clock, ticket)
            assert ticket.requeue()
            await _granted(clock, ticket)


async def test_a_machine_that_went_away_before_it_read_a_question_was_not_brought_down_by_it(
    clock: FakeClock,
) -> None:
    ticket = _ticket(clock, hold_s=3600)
    for _ in range(2 * MOST_LOSSES):
        assert ticket.requeue()
        await _granted(clock, ticket)
    assert ticket.losses == 0
