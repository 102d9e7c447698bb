"""What is said of the line: names for those who may see them, counts for the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.domain import ChannelId, GuildId, QuestionId, UserId
from bot.core.ports import Capacity, LoadedModel, ServerState
from bot.diagnostics.queue_report import NAMED, queue_text
from bot.queue.scheduler import Job, Scheduler
from config.settings import QueueSettings
from tests.support.clock import FakeClock

UP = ServerState(True, "closed", 1, 2)


def line_of(people: int, *, is_up: bool = True) -> tuple[Scheduler, FakeClock]:
    clock = FakeClock()
    line = Scheduler(QueueSettings(), clock, lambda: Capacity(1, 8000), lambda: is_up)
    for number in range(1, people + 1):
        line.submit(
            Job(QuestionId(number), UserId(number), ChannelId(9), GuildId(4), 100, 1100, None)
        )
    return line, clock


def text_of(line: Scheduler, *servers: ServerState, names: set[int], is_up: bool = True) -> str:
    return queue_text(
        line,
        servers or (UP,),
        is_available=is_up,
        may_name=lambda job: job.person_id in names,
    )


async def test_it_says_who_runs_who_waits_and_for_how_long() -> None:
    line, clock = line_of(3)
    await clock.advance(7)
    text = text_of(line, names={1, 2, 3})
    assert "1 being answered on 1 slot, 2 waiting." in text
    assert "<@1> for 7 s" in text
    assert "<@2> for 7 s, place 1, about 10 seconds more" in text
    assert "8,000 tokens of context, of which 1,100 are taken" in text
    assert "Server 1: answers; 1 of 2 slots busy." in text
    line.close()


async def test_others_are_counted() -> None:
    line, _ = line_of(3)
    text = text_of(line, names={2})
    assert "<@2>" in text
    assert "<@1>" not in text
    assert "<@3>" not in text
    assert "1 question of other people, the longest for 0 s" in text
    line.close()


async def test_a_long_line_is_listed_in_part() -> None:
    line, _ = line_of(40)
    text = text_of(line, names=set(range(50)))
    assert text.count("<@") == NAMED + 1
    assert "29 questions of other people" in text
    assert len(text) < 2000
    line.close()


async def test_a_newcomer_begins_at_once_where_a_slot_is_free() -> None:
    line, _ = line_of(0)
    assert "A question asked now begins at once." in text_of(line, names=set())


async def test_what_the_servers_can_do_is_told_as_of_now_also_while_nobody_waits() -> None:
    can_do = Capacity(1)
    line = Scheduler(QueueSettings(), FakeClock(), lambda: can_do, lambda: True)
    assert "on 1 slot, 0 waiting" in text_of(line, names=set())
    can_do = Capacity(4, 32_000)
    text = text_of(line, names=set())
    assert "0 being answered on 4 slots, 0 waiting. A question asked now begins at once." in text
    assert "All answers share 32,000 tokens of context" in text


async def test_it_says_how_many_conversations_are_kept_warm() -> None:
    line, _ = line_of(0)
    shown = {
        number: queue_text(
            line, (UP,), is_available=True, may_name=lambda _: True, kept_warm=number
        )
        for number in (0, 1, 3)
    }
    assert "Kept warm" not in shown[0]
    assert "Kept warm: 1 conversation," in shown[1]
    assert "Kept warm: 3 conversations," in shown[3]


async def test_while_the_machine_is_away_nothing_is_promised() -> None:
    line, _ = line_of(1, is_up=False)
    text = text_of(line, ServerState(False, "closed"), names={1}, is_up=False)
    assert "nothing begins until one is back" in text
    assert "held until the model's machine is back" in text
    assert "Server 1: doesn't answer" in text
    line.close()


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (ServerState(None, "closed"), "not reached yet"),
        (ServerState(True, "open"), "left alone for a while"),
        (ServerState(True, "half-open"), "tried again with one question"),
        (
            ServerState(True, "closed", 0, 2, models=(LoadedModel("a/b", 9.0, 2),)),
            "answers; 0 of 2 slots busy; is loaded 2 times and writes 9 tokens/s",
        ),
    ],
)
async def test_each_state_of_a_server_has_its_words(server: ServerState, words: str) -> None:
    line, _ = line_of(0)
    assert f"Server 2: {words}" in text_of(line, UP, replace(server, number=2), names=set())
