"""Pacers, by example."""

from __future__ import annotations

from bot.core.domain import ChannelId, QuestionId
from bot.delivery.pacing import WINDOW_S, ChannelPacer, PacerRegistry, Rank
from tests.support.clock import FakeClock

ONE, TWO, THREE = QuestionId(1), QuestionId(2), QuestionId(3)


def _interims(pacer: ChannelPacer, until_s: float) -> list[float]:
    """Ask for edits as often as there is room; return when they were granted."""
    granted: list[float] = []
    now_s = 0.0
    while now_s < until_s:
        delay_s = pacer.ask(now_s, ONE, Rank.INTERIM)
        if delay_s == 0:
            granted.append(now_s)
        now_s += delay_s or 0.1
    return granted


def test_the_pace_halves_after_a_slow_down_and_recovers() -> None:
    usual, slowed = ChannelPacer(4), ChannelPacer(4)
    slowed.slowed(0.0)
    fast, slow = _interims(usual, 100.0), _interims(slowed, 100.0)
    assert (
        len([at_s for at_s in slow if at_s < 30])
        <= len([at_s for at_s in fast if at_s < 30]) // 2 + 1
    )
    assert (
        len([at_s for at_s in slow if at_s > 40]) >= len([at_s for at_s in fast if at_s > 40]) - 1
    )


def test_nobody_writes_before_discord_said_to_come_back() -> None:
    pacer = ChannelPacer(4)
    pacer.slowed(0.0, retry_after_s=7.0)
    assert pacer.ask(1.0, ONE, Rank.FIRST) == 6.0
    assert pacer.book(1.0, TWO) == 7.0


def test_the_next_questions_first_words_find_room_after_a_short_answer() -> None:
    pacer = ChannelPacer(4)
    pacer.join(ONE)
    pacer.ask(0.0, ONE, Rank.FIRST)
    for tenth in range(1, 36):
        pacer.ask(tenth / 10, ONE, Rank.INTERIM)
    assert pacer.book(3.6, ONE) == 3.6
    pacer.leave(ONE)
    pacer.join(TWO)
    assert pacer.ask(3.9, TWO, Rank.FIRST) == 0.0


def test_a_stage_line_never_takes_the_last_two_places() -> None:
    pacer = ChannelPacer(4)
    for now_s in (0.0, 0.1):
        pacer.book(now_s, ONE)
    assert pacer.ask(0.2, TWO, Rank.STAGE) > 0
    assert pacer.ask(0.2, TWO, Rank.FIRST) == 0.0


def test_first_words_go_before_edits_and_edits_before_stage_lines() -> None:
    pacer = ChannelPacer(1)
    pacer.book(0.0, ONE)
    for key, rank in ((ONE, Rank.STAGE), (TWO, Rank.INTERIM), (THREE, Rank.FIRST)):
        assert pacer.ask(0.1, key, rank) > 0
    free_s = WINDOW_S + 0.1
    assert pacer.ask(free_s, TWO, Rank.INTERIM) > 0
    assert pacer.ask(free_s, THREE, Rank.FIRST) == 0.0


def test_who_gave_up_is_not_waited_for() -> None:
    pacer = ChannelPacer(1)
    pacer.book(0.0, ONE)
    pacer.ask(0.1, TWO, Rank.FIRST)
    pacer.withdraw(TWO)
    assert pacer.ask(WINDOW_S, ONE, Rank.INTERIM) == 0.0


def test_a_channel_keeps_its_pacer_while_it_matters() -> None:
    clock = FakeClock()
    registry = PacerRegistry(4, clock, capacity=8)
    kept = registry.of(ChannelId(1))
    kept.join(ONE)
    for number in range(2, 1000):
        registry.of(ChannelId(number))
    assert registry.of(ChannelId(1)) is kept
    assert len(registry) <= 8


async def test_a_pacer_with_recent_writes_is_kept_too() -> None:
    clock = FakeClock()
    registry = PacerRegistry(4, clock, capacity=2)
    recent = registry.of(ChannelId(1))
    recent.book(clock.monotonic(), ONE)
    registry.of(ChannelId(2))
    registry.of(ChannelId(3))
    assert registry.of(ChannelId(1)) is recent
    await clock.advance(WINDOW_S + 1)
    registry.of(ChannelId(4))
    registry.of(ChannelId(5))
    assert registry.of(ChannelId(1)) is not recent
