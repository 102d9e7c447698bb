"""The queue in action, with a model that is a number of slots and a switch."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import replace

import pytest

from bot.core.domain import ChannelId, GuildId, QuestionId, UserId
from bot.core.errors import QueueError
from bot.core.ports import Capacity
from bot.queue.scheduler import (
    AHEAD,
    BYPASSES,
    TICK_S,
    HoldExpiredError,
    Job,
    Scheduler,
    StoppedError,
    Ticket,
    TicketState,
)
from config.settings import QueueSettings
from tests.support.clock import FakeClock, settle


class Model:
    """What the scheduler knows of the model's side."""

    def __init__(self, slots: int = 1, pool_tokens: int | None = None) -> None:
        self.capacity = Capacity(slots, pool_tokens)
        self.is_up = True
        self.loaded: set[str | None] = set()


class SchedulerHarness:
    """A scheduler, its clock, and jobs numbered as they are made."""

    def __init__(self, model: Model, **settings: float) -> None:
        self.clock = FakeClock()
        self.model = model
        self.numbers = itertools.count(1)
        self.scheduler = Scheduler(
            QueueSettings.model_validate(settings),
            self.clock,
            lambda: model.capacity,
            lambda: model.is_up,
            lambda name: name is None or name in model.loaded,
        )

    def job(self, person: int = 1, channel: int = 1, model: str | None = None, g: int = 1) -> Job:
        return Job(
            QuestionId(next(self.numbers)),
            UserId(person),
            ChannelId(channel),
            GuildId(g),
            prompt_tokens=100,
            cost_tokens=1100,
            model=model,
        )

    def unprepared(self, person: int = 1, channel: int = 1) -> Ticket:
        """Submit a question whose prompt isn't built."""
        return self.scheduler.submit(replace(self.job(person, channel), is_prepared=False))

    def submit(self, person: int = 1, channel: int = 1, model: str | None = None) -> Ticket:
        return self.scheduler.submit(self.job(person, channel, model))


def running(tickets: list[Ticket]) -> list[int]:
    return [n for n, ticket in enumerate(tickets) if ticket.state is TicketState.RUNNING]


async def test_a_question_begins_at_once_where_there_is_room() -> None:
    harness = SchedulerHarness(Model(slots=1))
    ticket = harness.submit()
    assert ticket.position is None
    await ticket.wait()
    assert harness.scheduler.running == 1
    ticket.release()
    assert harness.scheduler.running == 0


async def test_a_flood_leaves_the_next_slot_to_the_next_person() -> None:
    harness = SchedulerHarness(Model(slots=4), max_waiting_person=30)
    flood = [harness.submit(person=1) for _ in range(30)]
    bystander = harness.submit(person=2)
    assert bystander.position == 1
    flood[0].release()
    assert bystander.state is TicketState.RUNNING


async def test_slots_that_come_free_are_filled_in_order() -> None:
    harness = SchedulerHarness(Model(slots=2))
    tickets = [harness.submit(person=number) for number in range(1, 6)]
    assert running(tickets) == [0, 1]
    assert [ticket.position for ticket in tickets[2:]] == [1, 2, 3]
    tickets[1].release()
    assert running(tickets) == [0, 2]
    assert [ticket.position for ticket in tickets[3:]] == [1, 2]


async def test_all_that_run_share_the_context_pool() -> None:
    harness = SchedulerHarness(Model(slots=4, pool_tokens=2500))
    tickets = [harness.submit(person=number) for number in range(1, 5)]
    assert running(tickets) == [0, 1]


async def test_the_settings_slots_stand_over_the_servers() -> None:
    harness = SchedulerHarness(Model(slots=4), slots=1)
    tickets = [harness.submit(person=number) for number in range(1, 4)]
    assert running(tickets) == [0]


async def test_strangers_who_fill_the_queue_from_their_server_keep_no_other_server_out() -> None:
    harness = SchedulerHarness(Model(slots=1), max_waiting=32)
    for person in range(2, 60):
        with contextlib.suppress(QueueError):
            harness.scheduler.submit(harness.job(person, person, g=66))
    assert harness.scheduler.waiting == 32
    assert harness.submit().state is harness.submit(person=2).state is TicketState.WAITING
    with pytest.raises(QueueError, match="Too many questions are waiting"):
        harness.submit(person=3)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"max_waiting_person": 2}, "You already have 2 questions waiting"),
        ({"max_waiting_channel": 2}, "of this channel"),
        ({"max_waiting": 2}, "Too many questions are waiting"),
    ],
)
async def test_a_full_queue_refuses_and_says_when(bounds: dict[str, float], words: str) -> None:
    harness = SchedulerHarness(Model(slots=1), **bounds)
    for _ in range(3):
        harness.submit()
    with pytest.raises(QueueError, match=words) as caught:
        harness.submit()
    assert "again in about 20 seconds" in caught.value.sentence
    assert harness.scheduler.waiting == 2


async def test_what_was_accepted_before_a_restart_is_never_refused() -> None:
    harness = SchedulerHarness(Model(slots=1), max_waiting_person=1)
    harness.submit()
    harness.submit()
    recovered = harness.scheduler.submit(harness.job(), has_place=True)
    assert recovered.position == 2


async def test_cancel_takes_exactly_one_out_of_the_queue() -> None:
    harness = SchedulerHarness(Model(slots=1))
    first, second, third = (harness.submit() for _ in range(3))
    waiter = asyncio.create_task(second.wait())
    await settle()
    assert second.cancel()
    with pytest.raises(StoppedError):
        await waiter
    assert third.position == 1
    first.release()
    assert third.state is TicketState.RUNNING


async def test_cancel_while_running_gives_the_slot_to_the_next() -> None:
    harness = SchedulerHarness(Model(slots=1))
    first, second = harness.submit(), harness.submit()
    assert not first.cancel()
    assert second.state is TicketState.RUNNING
    first.release()
    assert harness.scheduler.running == 1


async def test_a_task_that_is_cancelled_while_waiting_leaves_the_queue() -> None:
    harness = SchedulerHarness(Model(slots=1))
    first, second = harness.submit(), harness.submit()
    waiter = asyncio.create_task(second.wait())
    await settle()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert harness.scheduler.waiting == 0
    first.release()
    assert harness.scheduler.running == 0


async def test_a_task_cancelled_as_its_turn_comes_loses_no_slot() -> None:
    harness = SchedulerHarness(Model(slots=1))
    first, second = harness.submit(), harness.submit()
    waiter = asyncio.create_task(second.wait())
    await settle()
    first.release()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert harness.scheduler.running == 0


async def test_questions_are_held_while_the_model_is_away_and_then_begin_one_by_one() -> None:
    model = Model(slots=4)
    harness = SchedulerHarness(model)
    model.is_up = False
    tickets = [harness.submit(person=number) for number in range(1, 7)]
    assert running(tickets) == []
    assert all(ticket.is_held and ticket.expected_wait_s is None for ticket in tickets)
    await harness.clock.advance(600)
    model.is_up = True
    harness.scheduler.wake()
    assert running(tickets) == [0]
    tickets[0].first_token()
    assert running(tickets) == [0, 1]
    tickets[1].first_token()
    assert running(tickets) == [0, 1, 2]
    assert not tickets[3].is_held


async def test_a_return_is_noticed_without_being_told() -> None:
    model = Model()
    harness = SchedulerHarness(model)
    model.is_up = False
    ticket = harness.submit()
    model.is_up = True
    await harness.clock.advance(1)
    assert ticket.state is TicketState.RUNNING


async def test_holding_ends_with_a_sentence_after_the_set_time() -> None:
    model = Model()
    harness = SchedulerHarness(model, hold_s=1800)
    model.is_up = False
    ticket = harness.submit()
    waiter = asyncio.create_task(ticket.wait())
    await harness.clock.advance(1799)
    assert not waiter.done()
    await harness.clock.advance(2)
    with pytest.raises(HoldExpiredError, match="hasn't answered for 30 minutes"):
        await waiter
    assert harness.scheduler.waiting == 0


async def test_time_in_the_queue_does_not_count_as_time_held() -> None:
    model = Model(slots=1)
    harness = SchedulerHarness(model, hold_s=100)
    harness.submit(person=1)
    waiting = harness.submit(person=2)
    await harness.clock.advance(99)
    model.is_up = False
    await harness.clock.advance(50)
    model.is_up = True
    await harness.clock.advance(10)
    model.is_up = False
    await harness.clock.advance(90)
    assert waiting.state is TicketState.WAITING


async def test_a_requeued_question_goes_first_of_its_person_and_not_at_once() -> None:
    model = Model(slots=1)
    harness = SchedulerHarness(model)
    first, second = harness.submit(), harness.submit()
    await first.wait()
    first.requeue()
    assert first.position == 1
    assert running([first, second]) == []
    await harness.clock.advance(2)
    assert running([first, second]) == [0]
    await first.wait()
    first.release()
    assert second.state is TicketState.RUNNING


async def test_an_overloaded_server_is_given_less() -> None:
    harness = SchedulerHarness(Model(slots=4))
    tickets = [harness.submit(person=number) for number in range(1, 9)]
    tickets[0].overloaded()
    tickets[0].release()
    assert harness.scheduler.slots == 4
    tickets[1].overloaded()
    tickets[1].release()
    assert harness.scheduler.slots == 2
    tickets[2].release()
    assert running(tickets) == [3, 4]


async def test_listeners_hear_of_their_place_and_of_being_held() -> None:
    model = Model(slots=1)
    harness = SchedulerHarness(model)
    heard: list[tuple[int | None, bool]] = []
    first, _second = harness.submit(person=1), harness.submit(person=2)
    harness.scheduler.submit(harness.job(3), lambda t: heard.append((t.position, t.is_held)))
    await harness.clock.advance(1)
    first.release()
    await harness.clock.advance(1)
    model.is_up = False
    await harness.clock.advance(5)
    assert heard == [(2, False), (1, False), (1, True)]


async def test_a_listener_that_fails_does_not_stop_the_queue() -> None:
    harness = SchedulerHarness(Model(slots=1))
    harness.submit(person=1)

    def fail(_ticket: Ticket) -> None:
        raise RuntimeError

    harness.scheduler.submit(harness.job(2), fail)
    await harness.clock.advance(3)
    harness.model.capacity = Capacity(2)
    await harness.clock.advance(1)
    assert harness.scheduler.running == 2


async def test_expected_waits_are_learned() -> None:
    harness = SchedulerHarness(Model(slots=1))
    first = harness.submit(person=1)
    first.first_token()
    await harness.clock.advance(40)
    first.release()
    running, next_one, last = (harness.submit(person=number) for number in (2, 3, 4))
    await harness.clock.advance(10)
    assert running.expected_wait_s is None
    assert next_one.expected_wait_s == pytest.approx(30)
    assert last.expected_wait_s == pytest.approx(70)


async def test_work_that_failed_before_its_answer_teaches_nothing_of_durations() -> None:
    harness = SchedulerHarness(Model(slots=1))
    before = harness.scheduler.mean_answer_s
    ticket = harness.submit()
    await harness.clock.advance(300)
    ticket.release()
    assert harness.scheduler.mean_answer_s == before


async def test_closing_sends_those_away_who_wait_and_lets_the_others_finish() -> None:
    harness = SchedulerHarness(Model(slots=1))
    running, waiting = harness.submit(person=1), harness.submit(person=2)
    assert [job.question_id for job in harness.scheduler.close()] == [waiting.job.question_id]
    with pytest.raises(QueueError, match="Your question is kept"):
        await waiting.wait()
    with pytest.raises(QueueError, match="restarting"):
        harness.submit()
    assert harness.scheduler.running == 1
    running.release()
    assert harness.scheduler.running == 0


async def test_questions_for_a_model_that_must_be_loaded_gather() -> None:
    model = Model(slots=1)
    harness = SchedulerHarness(model, max_waiting_person=50)
    model.loaded = {"a"}
    current = harness.submit(person=9, model="a")
    tickets = [harness.submit(person=n % 2 + 1, model="ab"[n % 2]) for n in range(40)]
    loads = 0
    begun: list[str | None] = []
    for _ in range(40):
        current.release()
        current = next(t for t in tickets if t.state is TicketState.RUNNING)
        begun.append(current.job.model)
        if current.job.model not in model.loaded:
            model.loaded = {current.job.model}
            loads += 1
    assert sorted(begun, key=str) == ["a"] * 20 + ["b"] * 20
    assert loads <= 4
    assert begun.index("b") <= BYPASSES + 1


async def test_the_same_question_is_never_twice_in_the_queue() -> None:
    harness = SchedulerHarness(Model(slots=1))
    job = harness.job()
    harness.scheduler.submit(job)
    with pytest.raises(ValueError, match="already"):
        harness.scheduler.submit(job)


async def test_nothing_ticks_when_nobody_waits() -> None:
    harness = SchedulerHarness(Model(slots=1))
    first, second = harness.submit(), harness.submit()
    first.release()
    second.release()
    await harness.clock.advance(2)
    assert harness.clock.is_idle


async def test_a_look_at_the_queue_that_fails_is_not_the_last_one() -> None:
    model = Model()
    harness = SchedulerHarness(model)
    first, second = harness.submit(), harness.submit()
    await harness.clock.advance(1.0)
    capacity = model.capacity
    del model.capacity
    await harness.clock.advance(3.0)
    model.capacity = capacity
    model.is_up = False
    await harness.clock.advance(2.0)
    assert second.is_held
    first.cancel()
    second.cancel()


def prepare(ticket: Ticket) -> None:
    ticket.prepared(replace(ticket.job, is_prepared=True))


async def test_prompts_are_built_for_the_front_of_the_queue_only() -> None:
    harness = SchedulerHarness(Model(slots=2))
    tickets = [harness.unprepared(person=number) for number in range(1, 31)]
    assert [ticket.is_near for ticket in tickets] == [True] * (2 + AHEAD) + [False] * (28 - AHEAD)
    for ticket in tickets[:4]:
        prepare(ticket)
    assert running(tickets) == [0, 1]
    assert sum(ticket.is_near for ticket in tickets) == 4 + AHEAD
    tickets[0].release()
    assert running(tickets) == [1, 2]


async def test_a_bystander_of_a_storm_begins_after_those_who_had_nothing_yet() -> None:
    harness = SchedulerHarness(Model(slots=2), max_waiting_person=100)
    storm = [harness.unprepared(person=n % 3 + 1, channel=n % 3 + 1) for n in range(60)]
    for ticket in storm[:2]:
        prepare(ticket)
    bystander = harness.unprepared(person=9, channel=9)
    assert bystander.is_near
    prepare(bystander)
    for ticket in storm:
        if ticket.is_near and not ticket.job.is_prepared:
            prepare(ticket)
    for _ in range(2):
        next(ticket for ticket in storm if ticket.state is TicketState.RUNNING).release()
    assert bystander.state is TicketState.RUNNING


async def test_a_prompt_that_takes_long_keeps_nobody_else_waiting_and_its_question_stays_first() -> (
    None
):
    harness = SchedulerHarness(Model(slots=1))
    slow, quick, last = (harness.unprepared(person=number) for number in (1, 2, 3))
    prepare(quick)
    prepare(last)
    assert running([slow, quick, last]) == [1]
    prepare(slow)
    quick.release()
    assert running([slow, quick, last]) == [0]


async def test_prompts_that_take_long_leave_no_slot_free_while_others_could_be_built() -> None:
    model = Model(slots=1)
    harness = SchedulerHarness(model)
    tickets = [harness.unprepared(person=number) for number in range(1, 21)]
    further = AHEAD + 1
    assert not tickets[further].is_near
    await harness.clock.advance(TICK_S)
    assert [ticket.is_near for ticket in tickets[further : further + 2]] == [True, False]
    prepare(tickets[further])
    assert running(tickets) == [further]
    await harness.clock.advance(10 * TICK_S)
    assert sum(ticket.is_near for ticket in tickets) == AHEAD + 2, "no slot is free"
    model.is_up = False
    tickets[further].release()
    await harness.clock.advance(10 * TICK_S)
    assert sum(ticket.is_near for ticket in tickets) == AHEAD + 2, "nothing may begin"


async def test_a_person_is_charged_for_the_prompt_that_was_built() -> None:
    harness = SchedulerHarness(Model(slots=1))
    first, second = harness.unprepared(person=1), harness.unprepared(person=1)
    other, another = harness.unprepared(person=2), harness.unprepared(person=2)
    prepare(first)
    big = replace(other.job, prompt_tokens=90_000, cost_tokens=91_000, is_prepared=True)
    other.prepared(big)
    for ticket in (second, another):
        prepare(ticket)
    first.release()
    assert other.state is TicketState.RUNNING
    other.release()
    assert second.state is TicketState.RUNNING


async def test_a_full_queue_counts_those_whose_prompts_are_not_built() -> None:
    harness = SchedulerHarness(Model(slots=1), max_waiting=5)
    for person in range(1, 6):
        harness.unprepared(person=person)
    with pytest.raises(QueueError, match="Too many questions are waiting"):
        harness.unprepared(person=6)


async def test_what_a_person_stops_says_so() -> None:
    harness = SchedulerHarness(Model(slots=1))
    harness.submit()
    waiting = harness.submit()
    assert waiting.cancel()
    assert waiting.state is TicketState.DONE
    with pytest.raises(StoppedError, match=r"^Stopped, before I began"):
        await waiting.wait()


async def test_a_question_put_back_while_the_bot_stops_is_kept() -> None:
    harness = SchedulerHarness(Model(slots=1))
    ticket = harness.submit()
    harness.scheduler.close()
    assert ticket.requeue()
    with pytest.raises(QueueError, match="Your question is kept"):
        await ticket.wait()


async def test_a_machine_that_goes_away_again_and_again_is_left_alone_for_longer() -> None:
    harness = SchedulerHarness(Model(slots=1), hold_s=3600)
    ticket = harness.submit()
    pauses = []
    for _ in range(7):
        assert ticket.requeue()
        began_s = harness.clock.monotonic()
        while ticket.state is not TicketState.RUNNING:
            await harness.clock.advance(0.5)
        pauses.append(harness.clock.monotonic() - began_s)
    assert pauses == pytest.approx([1, 3, 7, 15, 30, 30, 30], abs=TICK_S)


async def test_work_that_was_put_back_may_rest_and_go_on_again() -> None:
    harness = SchedulerHarness(Model(slots=1))
    ticket, other = harness.submit(person=1), harness.submit(person=2)
    ticket.rest()
    assert other.state is TicketState.RUNNING
    other.release()
    ticket.resume()
    ticket.requeue()
    await harness.clock.advance(2)
    assert ticket.state is TicketState.RUNNING
    third = harness.submit(person=3)
    assert running([ticket, third]) == [0]
    ticket.rest()
    assert running([ticket, third]) == [0, 1]


async def test_a_question_begins_with_less_of_the_pool_than_it_would_like() -> None:
    harness = SchedulerHarness(Model(slots=2, pool_tokens=2000))
    harness.submit(person=1)
    modest = harness.scheduler.submit(replace(harness.job(2), least_tokens=800))
    assert modest.state is TicketState.RUNNING
    assert modest.granted_tokens == 900


async def test_work_that_goes_on_takes_its_part_of_the_pool_again() -> None:
    harness = SchedulerHarness(Model(slots=3, pool_tokens=2500))
    ticket = harness.submit(person=1)
    ticket.rest()
    ticket.resume()
    assert harness.scheduler.used_tokens == ticket.granted_tokens == 1100


async def test_people_in_direct_messages_have_reserves_of_their_own() -> None:
    harness = SchedulerHarness(Model(slots=1), max_waiting=16, max_waiting_person=16)

    def ask(person: int, guild: int | None) -> Ticket:
        job = harness.job(person, channel=person)
        guild_id = None if guild is None else GuildId(guild)
        return harness.scheduler.submit(replace(job, guild_id=guild_id))

    for person in range(1, 18):
        ask(person, 100)
    for person in (50, 51, 100):
        assert ask(person, None).state is TicketState.WAITING
    assert ask(60, 50).state is TicketState.WAITING
    for person, guild in ((50, None), (60, 50), (70, 100)):
        with pytest.raises(QueueError, match="Too many questions are waiting"):
            ask(person, guild)


async def test_a_queue_of_twice_its_length_takes_nobody() -> None:
    harness = SchedulerHarness(Model(slots=1), max_waiting=4)
    for guild in range(1, 10):
        harness.scheduler.submit(harness.job(guild, guild, g=guild))
    assert harness.scheduler.waiting == 8
    with pytest.raises(QueueError, match="Too many questions are waiting"):
        harness.scheduler.submit(harness.job(99, 99, g=99))


async def test_who_is_refused_hears_when_the_first_of_those_concerned_begins() -> None:
    harness = SchedulerHarness(Model(slots=1), max_waiting_person=1, max_waiting_channel=3)
    harness.submit(person=9, channel=9)
    for person in (1, 2, 3):
        harness.submit(person=person, channel=1)
    with pytest.raises(QueueError, match=r"^Too many questions of this channel") as crowded:
        harness.submit(person=4, channel=1)
    assert "about 20 seconds" in crowded.value.sentence
    with pytest.raises(QueueError, match="You already have 1 question waiting") as own:
        harness.submit(person=3, channel=2)
    assert "about 40 seconds" in own.value.sentence


async def test_who_has_several_questions_hears_when_the_first_of_them_begins() -> None:
    harness = SchedulerHarness(Model(slots=1), max_waiting_person=2)
    harness.submit(person=9)
    for _ in range(2):
        harness.submit(person=3)
    with pytest.raises(QueueError, match="You already have 2 questions waiting") as own:
        harness.submit(person=3)
    assert "about 20 seconds" in own.value.sentence


async def test_listeners_hear_of_a_wait_that_is_tens_of_seconds_less() -> None:
    harness = SchedulerHarness(Model(slots=1))
    first = harness.submit(person=1)
    first.first_token()
    await harness.clock.advance(40)
    first.release()
    harness.submit(person=1)
    waits_s: list[float | None] = []
    harness.scheduler.submit(harness.job(2), lambda t: waits_s.append(t.expected_wait_s))
    for _ in range(40):
        await harness.clock.advance(1)
    assert waits_s == [39, 34, 25, 14, 5]


@pytest.mark.parametrize(
    ("prompt_tokens", "cost_tokens", "like_answer_tokens"),
    [(1000, 1100, 200), (0, 100, 100), (100, 100, 11), (300, 200, 31)],
)
async def test_ten_tokens_of_prompt_are_charged_like_one_of_the_answer(
    prompt_tokens: int, cost_tokens: int, like_answer_tokens: int
) -> None:
    """Whoever was given less begins next: half a token less than this, or half a token more."""
    for more, begins in ((-1, 2), (0, 1)):
        harness = SchedulerHarness(Model(slots=1))
        tickets = [harness.submit(person=9)]
        sizes = {1: (prompt_tokens, cost_tokens), 2: (5, 5 + like_answer_tokens + more)}
        for person in (1, 1, 2, 2):
            prompt, cost = sizes[person]
            job = replace(harness.job(person), prompt_tokens=prompt, cost_tokens=cost)
            tickets.append(harness.scheduler.submit(job))
        for _ in range(3):  # the first, and one of each
            tickets[running(tickets)[0]].release()
        [third] = running(tickets)
        assert tickets[third].job.person_id == begins


async def test_what_runs_is_listed_with_its_job_before_who_waits() -> None:
    harness = SchedulerHarness(Model(slots=1))
    running, waiting = harness.submit(person=1), harness.submit(person=2)
    await harness.clock.advance(3)
    first, second = harness.scheduler.entries
    assert (first.job, first.place, first.for_s) == (running.job, None, 3)
    assert (second.job, second.place, second.for_s) == (waiting.job, 1, 3)


async def test_models_gather_anew_once_the_one_that_was_passed_has_begun() -> None:
    model = Model(slots=1)
    model.loaded = {"a"}
    harness = SchedulerHarness(model, max_waiting=200, max_waiting_person=200)
    passed = [harness.submit(person=1, model="b") for _ in range(3)]
    others = [harness.submit(person=2, model="a") for _ in range(40)]
    begun = ""
    while any(ticket.state is TicketState.WAITING for ticket in passed):
        now = next(t for t in [*passed, *others] if t.state is TicketState.RUNNING)
        begun += now.job.model or ""
        now.release()
    between = [len(run) for run in begun.split("b") if run]
    assert len(between) == 2
    assert all(BYPASSES <= count <= BYPASSES + 2 for count in between)


async def test_whoever_uses_idle_time_is_told_when_the_last_question_ends_and_a_new_one_enters() -> (
    None
):
    harness, told = SchedulerHarness(Model(slots=1)), list[bool]()
    harness.scheduler.on_idle(told.append)
    first, second = harness.submit(), harness.submit()
    assert told == [False]
    first.release()
    assert told == [False]
    assert second.requeue()
    assert told == [False]
    second.cancel()
    assert told == [False, True]
    harness.submit()
    assert told == [False, True, False]


async def test_what_a_person_was_given_counts_while_anything_runs_and_no_longer() -> None:
    harness = SchedulerHarness(Model(slots=2))
    served, other = harness.submit(person=1), harness.submit(person=9)
    served.release()
    third = harness.submit(person=8)
    again, newcomer = harness.submit(person=1), harness.submit(person=2)
    assert (again.position, newcomer.position) == (2, 1)
    for ticket in (again, newcomer, other, third):
        ticket.cancel()
    assert not harness.scheduler.running
    for person in (8, 9):
        harness.submit(person=person)
    again, newcomer = harness.submit(person=1), harness.submit(person=2)
    assert (again.position, newcomer.position) == (1, 2)
