"""Rates per person and guild, with time moved by the test."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import cast

from bot.core.domain import GuildId, UserId
from bot.queue.rate_limit import PRESSES, RateLimiter
from config.settings import QueueSettings
from tests.support.clock import FakeClock

ANN, BOB = UserId(1), UserId(2)
GUILD, OTHER = GuildId(10), GuildId(11)


def _limiter(clock: FakeClock, person: float = 3, guild: float = 100) -> RateLimiter:
    settings = QueueSettings(per_person_per_minute=person, per_guild_per_minute=guild)
    return RateLimiter(settings, clock)


def _wait_s(refusal: str) -> int:
    said = re.search(r"again in (\d+) seconds?\.", refusal)
    assert said is not None
    return int(said[1])


async def test_a_minutes_worth_may_come_at_once_and_then_evenly() -> None:
    clock = FakeClock()
    limiter = _limiter(clock)
    assert [limiter.take(ANN, GUILD) for _ in range(3)] == [""] * 3
    assert _wait_s(limiter.take(ANN, GUILD)) == 20
    await clock.advance(20)
    assert limiter.take(ANN, GUILD) == ""
    assert limiter.take(ANN, GUILD) != ""


async def test_asking_again_after_the_seconds_said_succeeds() -> None:
    clock = FakeClock()
    limiter = _limiter(clock, person=7)
    while (refusal := limiter.take(ANN, GUILD)) == "":
        await clock.advance(0.3)
    await clock.advance(_wait_s(refusal))
    assert limiter.take(ANN, GUILD) == ""


def test_one_persons_flood_is_not_anothers() -> None:
    limiter = _limiter(FakeClock())
    while limiter.take(ANN, GUILD) == "":
        pass
    assert limiter.take(BOB, GUILD) == ""


def test_a_guild_has_a_rate_of_its_own() -> None:
    limiter = _limiter(FakeClock(), person=100, guild=2)
    assert limiter.take(ANN, GUILD) == ""
    assert limiter.take(BOB, GUILD) == ""
    refusal = limiter.take(UserId(3), GUILD)
    assert "This server" in refusal
    assert limiter.take(UserId(3), OTHER) == ""
    assert limiter.take(UserId(3), None) == ""


def test_a_refused_question_costs_the_person_nothing() -> None:
    limiter = _limiter(FakeClock(), person=2, guild=1)
    assert limiter.take(ANN, GUILD) == ""
    for _ in range(5):
        assert limiter.take(ANN, GUILD) != ""
    assert limiter.take(ANN, None) == ""


def test_the_sentence_says_how_many_seconds() -> None:
    limiter = _limiter(FakeClock(), person=1)
    assert limiter.take(ANN, None) == ""
    assert limiter.take(ANN, None) == (
        "You're asking faster than I'm allowed to answer. Please try again in 60 seconds."
    )


def test_a_flood_of_ids_does_not_grow_the_memory() -> None:
    settings = QueueSettings(per_person_per_minute=1, per_guild_per_minute=1)
    limiter = RateLimiter(settings, FakeClock(), max_entries=100)
    for number in range(1, 5_000):
        limiter.take(UserId(number), GuildId(number))
        limiter.take(UserId(number), GuildId(number))
    for memory in (limiter._person._full_at_s, limiter._guild._full_at_s):
        assert len(memory) == 100


async def test_commands_and_buttons_are_bounded_for_each_person_and_no_stranger_spends_anothers() -> (
    None
):
    clock = FakeClock()
    limiter = _limiter(clock)
    for person in range(100, 100 + PRESSES.total):
        limiter.press(UserId(person), OTHER)
    assert [limiter.press(ANN, GUILD) for _ in range(PRESSES.person)] == [""] * PRESSES.person
    assert "try again in 60 seconds" in limiter.press(ANN, GUILD)
    assert limiter.press(ANN, None)
    assert not limiter.press(BOB, GUILD)
    await clock.advance(60)
    assert not limiter.press(ANN, GUILD)


def test_one_question_a_minute_is_no_burst_of_two() -> None:
    limiter = _limiter(FakeClock(), person=1)
    assert limiter.take(ANN, None) == ""
    assert limiter.take(ANN, None) != ""


def test_a_guild_that_asks_as_fast_as_a_person_is_named_second() -> None:
    limiter = _limiter(FakeClock(), person=2, guild=2)
    for _ in range(2):
        assert limiter.take(ANN, GUILD) == ""
    assert "You're asking" in limiter.look(ANN, GUILD)


async def test_the_last_second_of_a_wait_still_refuses() -> None:
    clock = FakeClock()
    limiter = _limiter(clock, person=60)
    while limiter.take(ANN, None) == "":
        pass
    await clock.advance(0.5)
    assert _wait_s(limiter.look(ANN, None)) == 1
    assert _wait_s(limiter.take(ANN, None)) == 1
    await clock.advance(0.5)
    assert limiter.take(ANN, None) == ""


def test_presses_in_direct_messages_are_counted_for_each_person() -> None:
    limiter = _limiter(FakeClock())
    for person in range(1, 1 + PRESSES.total // PRESSES.person):
        for _ in range(PRESSES.person):
            assert not limiter.press(UserId(person), None)
    assert not limiter.press(UserId(9999), None)


def test_what_was_asked_counts_as_so_many_questions_at_a_changed_rate() -> None:
    settings = SimpleNamespace(per_person_per_minute=1.0, per_guild_per_minute=1000.0)
    limits = RateLimiter(cast(QueueSettings, settings), FakeClock())
    assert limits.take(UserId(1), None) == ""
    assert limits.take(UserId(1), None) != ""
    settings.per_person_per_minute = 1000.0
    assert limits.take(UserId(1), None) == ""
    settings.per_person_per_minute = 1.0
    refusal = limits.take(UserId(1), None)
    assert refusal != ""
    assert _wait_s(refusal) == 120


async def test_questions_that_another_process_took_count_too() -> None:
    limiter = _limiter(FakeClock(), person=3)
    limiter.count(ANN)
    limiter.count(ANN)
    assert limiter.take(ANN, GUILD) == ""
    assert _wait_s(limiter.take(ANN, GUILD)) == 20


async def test_less_than_one_question_a_minute_is_one_from_time_to_time() -> None:
    clock = FakeClock()
    limiter = _limiter(clock, person=0.5)
    assert limiter.take(ANN, None) == ""
    await clock.advance(119)
    assert _wait_s(limiter.take(ANN, None)) == 1
    await clock.advance(1)
    assert limiter.take(ANN, None) == ""


async def test_the_last_second_of_a_wait_still_refuses_a_press() -> None:
    clock = FakeClock()
    limiter = _limiter(clock)
    for _ in range(PRESSES.person):
        assert not limiter.press(ANN, GUILD)
    await clock.advance(59.5)
    assert "try again in 1 second." in limiter.press(ANN, GUILD)
    await clock.advance(0.5)
    assert not limiter.press(ANN, GUILD)
