"""The model's slots among several processes that ask for them at the same time."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bot.cluster.line import dump
from bot.cluster.slots import YIELD_S
from bot.core.domain import GuildId
from bot.diagnostics.queue_report import queue_text
from bot.queue.scheduler import AHEAD, Ticket
from config.settings import QueueSettings
from tests.support.clock import FakeClock, settle
from tests.unit.cluster.processes import Pool, Process, job, running

ADA, BEN, EVE = 1, 2, 3


async def one_slot_in_use(clock: FakeClock) -> tuple[Pool, Process, Process, Ticket]:
    """Return two processes and the question of the first that has the only slot."""
    pool = Pool(1, 2, clock)
    one, two = pool.processes
    asked = one.ask(1, EVE)
    await pool.settle()
    return pool, one, two, asked


async def test_one_process_alone_has_all_slots_and_tells_nobody(clock: FakeClock) -> None:
    pool = Pool(4, 1, clock)
    asked = pool.processes[0].ask_many(6)
    await pool.settle()
    assert len(running(asked)) == 4
    assert not pool.processes[0].tells


async def test_of_several_the_one_that_is_asked_has_all_slots(clock: FakeClock) -> None:
    pool = Pool(4, 2, clock)
    asked = pool.processes[0].ask_many(6)
    await pool.settle()
    assert len(running(asked)) == 4


async def test_one_that_never_saw_another_goes_on_without_the_database(clock: FakeClock) -> None:
    pool = Pool(4, 1, clock)
    alone = pool.processes[0]
    alone.is_away = True
    asked = alone.ask_many(6)
    await pool.settle()
    assert len(running(asked)) == 4


async def test_one_among_others_begins_nothing_without_the_database(clock: FakeClock) -> None:
    pool = Pool(4, 2, clock)
    cut_off = pool.processes[0]
    cut_off.is_away = True
    asked = cut_off.ask_many(6)
    await pool.settle()
    assert not running(asked)


async def test_another_process_gets_a_slot_with_the_next_answer_that_ends(clock: FakeClock) -> None:
    pool = Pool(4, 2, clock)
    busy, quiet = pool.processes
    flood = [busy.ask(100 + n, ADA) for n in range(20)]
    await pool.settle()
    one = quiet.ask(1, BEN)
    await pool.settle()
    assert not running([one])
    await pool.end(running(flood)[0])
    assert running([one])
    assert len(running(flood)) == 3


async def test_one_whose_server_is_back_begins_although_another_holds_slots_that_it_does_not_use(
    clock: FakeClock,
) -> None:
    """It may run one at first, so it looks for the first slot only."""
    pool = Pool(2, 2, clock)
    before, back = pool.processes
    used = before.ask_many(2)
    await pool.settle()
    back.is_reached = False
    asked = back.ask_many(4)
    await pool.settle()
    for ticket in used:
        await pool.end(ticket)
    assert before.slots == {0, 1}
    back.is_reached = True
    await pool.settle()
    assert running(asked)


async def test_one_that_knows_of_fewer_slots_gets_those_that_it_knows(clock: FakeClock) -> None:
    pool = Pool(2, 2, clock)
    before, fewer = pool.processes
    fewer.knows = 1
    (used,) = before.ask_many(1)
    await pool.settle()
    await pool.end(used)
    assert before.slots == {0}
    asked = fewer.ask_many(1)
    await pool.settle()
    await clock.advance(YIELD_S)
    await pool.settle()
    assert running(asked)


async def test_a_person_who_asks_through_two_processes_counts_once(clock: FakeClock) -> None:
    """Each of two people gets every other slot, although one of them asks in two places."""
    pool = Pool(1, 2, clock)
    one, two = pool.processes
    for n in range(4):
        one.ask(100 + n, ADA)
        two.ask(200 + n, ADA)
        two.ask(300 + n, BEN)
    owners = []
    while pool.running or pool.waiting:
        await pool.settle()
        ((key, ticket),) = _running(pool)
        owners.append(BEN if key >= 300 else ADA)
        await pool.end(ticket)
    assert owners[:8] in ([ADA, BEN] * 4, [BEN, ADA] * 4)
    assert owners[8:] == [ADA] * 4


async def test_places_are_those_among_the_questions_of_all(clock: FakeClock) -> None:
    pool, one, two, _ = await one_slot_in_use(clock)
    first, second = one.ask(2, ADA), two.ask(3, BEN)
    third = one.ask(4, ADA)
    await pool.settle()
    assert [each.position for each in (first, second, third)] == [1, 2, 3]
    assert [each.expected_s > 5 for each in two.line.entries if each.expected_s is not None] == [
        True
    ] * 3
    assert [(each.job.question_id, each.place) for each in two.line.entries] == [
        (1, None),
        (2, 1),
        (3, 2),
        (4, 3),
    ]


async def test_the_bounds_of_the_line_count_all_processes(clock: FakeClock) -> None:
    pool = Pool(1, 2, clock, QueueSettings(max_waiting_person=7))
    one, two = pool.processes
    one.ask(10, EVE)
    await pool.settle()
    for n in range(7):
        one.ask(20 + n, ADA)
    await pool.settle()
    refusal = two.line.refusal(job(1, ADA))
    assert refusal.startswith("You already have 7 questions waiting")


async def test_a_question_that_is_stopped_elsewhere_leaves_the_line_here(clock: FakeClock) -> None:
    pool, one, two, _ = await one_slot_in_use(clock)
    gone, here = one.ask(2, ADA), two.ask(3, BEN)
    await pool.settle()
    assert here.position == 2
    gone.cancel()
    await pool.settle()
    assert here.position == 1


async def test_a_question_that_moves_to_another_process_has_one_place(clock: FakeClock) -> None:
    """Its shard has moved; what the one before has told of it isn't taken back yet."""
    pool = Pool(1, 2, clock)
    one, two = pool.processes
    one.ask(1, EVE)
    one.ask(2, ADA)
    await pool.settle()
    moved = two.ask(2, ADA)
    assert moved.position == 1
    two.shared.news()
    assert two.line.queue.order() == [2]
    one.tickets[2].cancel()
    await pool.settle()
    assert [each.line.queue.order() for each in pool.processes] == [[2], [2]]


async def test_each_question_of_the_others_is_counted_once(clock: FakeClock) -> None:
    pool = Pool(1, 2, clock)
    one, two = pool.processes
    first, _second = one.ask(1, ADA), one.ask(2, ADA)
    await pool.settle()
    await pool.end(first)
    assert two.seen == [1, 2]


async def test_what_another_version_tells_otherwise_hinders_nobody(clock: FakeClock) -> None:
    pool = Pool(1, 2, clock)
    one, two = pool.processes
    two.is_away = True
    for told in ("[]", "{", '{"room": 1}', '{"waiting": [[1, 2]], "running": [], "tags": null}'):
        two.told = told
        asked = one.ask(len(one.tickets), ADA)
        await pool.settle()
        assert running([asked])
        await pool.end(asked)


async def test_what_a_process_that_is_gone_has_told_is_forgotten(clock: FakeClock) -> None:
    pool, one, two, _ = await one_slot_in_use(clock)
    one.ask(2, ADA)
    here = two.ask(3, BEN)
    await pool.settle()
    assert here.position == 2
    pool.processes.remove(one)
    await pool.settle()
    assert running([here])


async def test_slots_of_one_that_is_gone_are_not_counted_on_while_they_are_blocked(
    clock: FakeClock,
) -> None:
    pool = Pool(2, 2, clock)
    one, two = pool.processes
    one.ask(1, EVE)
    await pool.settle()
    pool.processes.remove(one)
    two.blocked = one.slots
    asked = two.ask_many(2)
    await pool.settle()
    assert len(running(asked)) == 1
    two.blocked = frozenset()
    await pool.settle()
    assert len(running(asked)) == 2


async def test_a_slot_that_nobody_takes_whose_turn_it_is_goes_to_whoever_wants_it(
    clock: FakeClock,
) -> None:
    pool, stuck, other, first = await one_slot_in_use(clock)
    stuck.ask(2, ADA)
    here = other.ask(3, BEN)
    await pool.settle()
    stuck.is_away = True
    first.release()
    stuck.slots = frozenset()
    other.shared.news()
    await settle()
    assert not running([here])
    await clock.advance(YIELD_S)
    other.shared.news()
    await settle()
    assert running([here])


async def test_questions_whose_prompt_is_being_built_let_those_of_others_pass(
    clock: FakeClock,
) -> None:
    pool, one, two, first = await one_slot_in_use(clock)
    slow = one.line.submit(job(2, ADA, is_prepared=False))
    await pool.settle()
    here = two.ask(3, BEN)
    await pool.settle()
    assert (slow.position, here.position) == (1, 2)
    await pool.end(first)
    assert running([here])


async def test_a_process_that_cannot_reach_the_model_keeps_no_slot_from_the_others(
    clock: FakeClock,
) -> None:
    pool, one, two, first = await one_slot_in_use(clock)
    one.ask(2, ADA)
    here = two.ask(3, BEN)
    await pool.settle()
    one.is_reached = False
    one.line.wake()
    await pool.end(first)
    assert running([here])


async def test_prompts_are_built_although_many_of_a_process_whose_model_is_away_are_first(
    clock: FakeClock,
) -> None:
    """Else a slot waits for a prompt, and whoever's is built first passes those who asked before."""
    pool = Pool(1, 2, clock)
    cut_off, well = pool.processes
    cut_off.is_reached = False
    cut_off.ask_many(2 * AHEAD)
    await pool.settle()
    later = [job(9_000 + n, 9_000 + n, is_prepared=False) for n in range(2 * AHEAD)]
    asked = [well.line.submit(each) for each in later]
    await pool.settle()
    assert [each.is_near for each in asked] == [True] * (1 + AHEAD) + [False] * (AHEAD - 1)


async def test_all_answers_share_the_context_wherever_they_are_written(clock: FakeClock) -> None:
    pool = Pool(3, 2, clock, tokens=45)
    one, two = pool.processes
    first = one.ask(1, EVE)
    await pool.settle()
    one.ask(2, ADA)
    await pool.settle()
    third = two.ask(3, BEN)
    await pool.settle()
    assert not running([third])
    assert two.line.used_tokens == 40
    await pool.end(first)
    assert running([third])


async def test_the_report_shows_the_questions_of_all(clock: FakeClock) -> None:
    pool, one, two, _ = await one_slot_in_use(clock)
    one.ask(2, ADA)
    two.ask(3, BEN)
    await pool.settle()
    text = queue_text(two.line, (), is_available=True, may_name=lambda _: True)
    assert "1 being answered on 1 slot, 2 waiting." in text
    assert re.search(r"<@3> for \d s, by another process\n", text)
    assert re.search(r"<@1> for \d s, by another process, place 1, about", text)
    assert re.search(r"<@2> for \d s, place 2, about", text)


async def test_a_slot_comes_while_the_prompt_is_being_built_and_no_more_than_one(
    clock: FakeClock,
) -> None:
    pool = Pool(4, 2, clock)
    two = pool.processes[1]
    two.line.submit(job(1, ADA, is_prepared=False))
    for _ in range(10):
        await pool.settle()
    assert len(two.slots) == 1


async def test_of_two_questions_of_a_person_the_earlier_one_is_first_wherever_it_was_asked(
    clock: FakeClock,
) -> None:
    pool, one, two, _ = await one_slot_in_use(clock)
    two.ask(5, ADA)
    one.ask(3, ADA)
    await pool.settle()
    assert [each.line.queue.order() for each in pool.processes] == [[3, 5], [3, 5]]


async def test_what_a_question_costs_is_known_elsewhere_once_its_prompt_is_built(
    clock: FakeClock,
) -> None:
    pool, one, two, _ = await one_slot_in_use(clock)
    long = two.line.submit(job(2, ADA, is_prepared=False))
    two.ask(3, ADA)
    for key in (4, 5):
        one.ask(key, BEN)
    await pool.settle()
    assert one.line.queue.order() == [2, 4, 3, 5]
    long.prepared(replace(job(2, ADA), cost_tokens=500))
    await pool.settle()
    assert one.line.queue.order() == [2, 4, 5, 3]


async def test_a_slot_that_is_blocked_counts_for_nobody(clock: FakeClock) -> None:
    pool = Pool(3, 2, clock)
    one, two = pool.processes
    for each in pool.processes:
        each.blocked = frozenset({2})
    first, _ = one.ask(1, EVE), one.ask(2, EVE)
    await pool.settle()
    waiting = [two.ask(3, BEN), one.ask(4, ADA)]
    await pool.settle()
    await pool.end(first)
    assert running(waiting) == waiting[:1]


async def test_a_slot_is_given_up_although_another_one_is_blocked(clock: FakeClock) -> None:
    pool = Pool(2, 2, clock)
    one, two = pool.processes
    for each in pool.processes:
        each.blocked = frozenset({1})
    one.slots = frozenset({0})
    asked = two.ask(1, ADA)
    await pool.settle()
    assert running([asked])


async def test_no_slot_is_given_up_where_another_one_is_free(clock: FakeClock) -> None:
    pool = Pool(4, 2, clock)
    one, two = pool.processes
    for ticket in one.ask_many(3):
        await pool.settle()
        await pool.end(ticket)
    two.is_away = True
    two.ask(1, ADA)
    two.told = dump(two.line)
    await pool.settle()
    assert len(one.slots) == 3


async def test_nobody_uses_idle_time_without_a_slot(clock: FakeClock) -> None:
    pool = Pool(1, 2, clock)
    for each in pool.processes:
        each.blocked = frozenset({0})
    await pool.settle()
    assert not any(each.line.is_idle for each in pool.processes)


async def test_who_was_served_is_known_until_nobody_asks_anywhere(clock: FakeClock) -> None:
    pool = Pool(2, 2, clock)
    one, two = pool.processes
    first, second = one.ask(1, ADA), two.ask(2, BEN)
    await pool.settle()
    await pool.end(second)
    assert two.line.queue.tags({BEN}, ()).people[BEN] > 0
    await pool.end(first)
    assert two.line.queue.tags({BEN}, ()).people[BEN] == 0


async def test_a_servers_reserve_ends_where_the_line_of_all_is_twice_too_long(
    clock: FakeClock,
) -> None:
    pool = Pool(1, 2, clock, QueueSettings(max_waiting=4))
    one, two = pool.processes
    one.ask(1, EVE)
    await pool.settle()
    newcomer = replace(job(99, BEN, 9), guild_id=GuildId(2))
    for key in range(2, 9):
        one.line.submit(job(key, key), has_place=True)
    await pool.settle()
    assert not two.line.refusal(newcomer)
    one.line.submit(job(9, 9), has_place=True)
    await pool.settle()
    assert two.line.refusal(newcomer).startswith("Too many questions are waiting")


async def test_slots_that_are_no_more_are_given_up(clock: FakeClock) -> None:
    pool = Pool(3, 2, clock)
    one, _ = pool.processes
    asked = one.ask_many(3)
    await pool.settle()
    assert len(one.slots) == 3
    for ticket in asked:
        await pool.end(ticket)
    assert len(one.slots) == 3
    pool.most = 1
    await pool.settle()
    assert one.slots == {0}


async def test_the_idle_time_is_for_the_one_that_answered_last(clock: FakeClock) -> None:
    pool = Pool(2, 3, clock)
    one, two, _third = pool.processes

    def users() -> list[int]:
        return [each.number for each in pool.processes if each.line.is_idle]

    await pool.settle()
    assert len(users()) == 1
    for busy in (two, one, two):
        asked = busy.ask(100 * len(one.tickets) + 1000 * len(two.tickets) + 1, ADA)
        await pool.settle()
        assert not users()
        await pool.end(asked)
        await pool.settle()
        assert users() == [busy.number]
        assert busy.slots


async def test_the_others_are_told_a_few_times_a_second_however_much_happens(
    clock: FakeClock,
) -> None:
    pool = Pool(1, 2, clock)
    one, _ = pool.processes
    for key in range(100):
        one.ask(key, key)
        await settle()
    assert one.tells <= 2
    await clock.advance(0.2)
    assert one.tells <= 3
    assert pool.processes[1].line.queue.order() == []
    await pool.settle()
    assert len(pool.processes[1].line.queue) == 99


@pytest.mark.parametrize("processes", [2, 3, 5])
async def test_processes_that_outnumber_the_slots_take_turns(
    clock: FakeClock, processes: int
) -> None:
    pool = Pool(1, processes, clock)
    for each in pool.processes:
        each.ask_many(4)
    order: list[int] = []
    while pool.running or pool.waiting:
        await pool.settle()
        ((key, ticket),) = _running(pool)
        order.append(key // 1_000)
        await pool.end(ticket)
    assert len(order) == 4 * processes


def _running(pool: Pool) -> list[tuple[int, Ticket]]:
    return [
        (key, ticket)
        for each in pool.processes
        for key, ticket in each.tickets.items()
        if running([ticket])
    ]
