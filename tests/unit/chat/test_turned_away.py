"""People whose messages aren't taken: who is told what, and how often."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from bot.chat.turned_away import (
    GATHER_S,
    GIVEN_UP_S,
    LATER_MARK,
    LINE_EVERY_S,
    LINES_PER_S,
    NAMED,
    REMEMBERED,
    TOLD_EVERY_S,
    TOO_MANY,
    TurnedAway,
)
from bot.core.domain import (
    ChannelId,
    GuildId,
    IncomingMessage,
    Person,
    Place,
    PlaceKind,
    QuestionId,
    UserId,
)
from bot.delivery.pacing import SIGNS_S, PacerRegistry
from tests.support.builders import ADA, ADAS_DM, message
from tests.support.clock import FakeClock
from tests.support.signals import FakeSignals

WHY = "You're asking faster than I'm allowed to answer. Please try again in 9 seconds."


def turned_away(clock: FakeClock, signals: FakeSignals) -> TurnedAway:
    return TurnedAway(signals, PacerRegistry(4, clock), clock)


def of(number: int, person: int, guild: int = 40, channel: int = 50) -> IncomingMessage:
    place = Place(PlaceKind.GUILD_TEXT, ChannelId(channel), GuildId(guild))
    return message(number, author=Person(UserId(person), "P"), place=place)


async def test_the_reason_is_said_once_and_further_questions_are_marked(clock: FakeClock) -> None:
    signals = FakeSignals(clock)
    away = turned_away(clock, signals)
    for number in range(1, 4):
        away.refuse(message(number), WHY)
    await clock.advance(TOLD_EVERY_S)
    assert [(m.id, said) for m, said, _ in signals.replies] == [(1, WHY)]
    assert [(m.id, mark) for m, mark, _ in signals.marks] == [(2, LATER_MARK), (3, LATER_MARK)]
    assert signals.lines == []
    away.refuse(message(9), WHY)
    await clock.advance(0)
    assert signals.replies[-1][0].id == 9


async def test_what_has_no_room_for_a_sign_is_counted_in_one_line(clock: FakeClock) -> None:
    signals = FakeSignals(clock)
    away = turned_away(clock, signals)
    for number in range(1, 101):
        away.refuse(message(number), WHY)
    await clock.advance(GATHER_S + 10)
    [(place, line, _)] = signals.lines
    told = len(signals.replies) + len(signals.marks)
    assert place == message().place
    assert line == f"{100 - told} messages here weren't taken (from <@{ADA.id}>). {TOO_MANY}"


async def test_a_mark_that_is_not_allowed_becomes_a_count(clock: FakeClock) -> None:
    signals = FakeSignals(clock, takes_marks=False)
    away = turned_away(clock, signals)
    away.refuse(message(1), WHY)
    away.refuse(message(2, place=ADAS_DM), WHY)
    await clock.advance(GATHER_S + 10)
    assert [line for _, line, _ in signals.lines] == [f"1 message here wasn't taken. {TOO_MANY}"]


async def test_who_may_not_ask_here_is_told_once_a_minute_and_never_marked(
    clock: FakeClock,
) -> None:
    signals = FakeSignals(clock)
    away = turned_away(clock, signals)
    for number in range(1, 51):
        away.explain(message(number), "Not here.")
        await clock.advance(1)
    assert len(signals.replies) == 1
    assert not signals.marks
    assert not signals.lines


async def test_who_was_told_something_else_learns_why_a_question_is_refused(
    clock: FakeClock,
) -> None:
    signals = FakeSignals(clock)
    away = turned_away(clock, signals)
    away.explain(message(1), "What would you like to know?")
    await clock.advance(TOLD_EVERY_S / 2)
    away.refuse(message(2), WHY)
    await clock.advance(1)
    assert [said for _, said, _ in signals.replies] == ["What would you like to know?", WHY]
    assert not signals.marks


async def test_a_strangers_flood_takes_no_sign_from_another_server(clock: FakeClock) -> None:
    signals = FakeSignals(clock)
    away = turned_away(clock, signals)
    for number in range(2000):
        away.refuse(of(number, 1000 + number, guild=66, channel=number % 100), WHY)
    away.refuse(of(5000, 1, channel=777), WHY)
    away.refuse(of(5001, 1, channel=777), WHY)
    await clock.advance(1)
    assert signals.replies[-1][0].id == 5000
    assert [m.id for m, _, _ in signals.marks] == [5001]


async def test_a_server_of_few_lines_does_not_wait_for_one_of_many(clock: FakeClock) -> None:
    signals = FakeSignals(clock, takes_marks=False)
    away = turned_away(clock, signals)
    for number in range(2000):
        away.refuse(of(number, 1000 + number, guild=66, channel=number % 200), WHY)
    for number in range(5000, 5003):
        away.refuse(of(number, 1, channel=777), WHY)
    await clock.advance(GATHER_S + 1)
    assert 777 in [place.channel_id for place, _, _ in signals.lines]


async def test_a_line_that_discord_does_not_take_is_tried_again(clock: FakeClock) -> None:
    signals = FakeSignals(clock, takes_marks=False, failures=20)
    away = turned_away(clock, signals)
    away.refuse(message(1), WHY)
    away.refuse(message(2), WHY)
    await clock.advance(21 * (LINE_EVERY_S + GATHER_S))
    assert [line.startswith("1 message") for _, line, _ in signals.lines] == [True]


async def test_a_line_that_discord_never_takes_is_given_up_and_later_ones_are_said(
    clock: FakeClock,
) -> None:
    signals = FakeSignals(clock, takes_marks=False, failures=100)
    away = turned_away(clock, signals)
    away.refuse(message(1), WHY)
    away.refuse(message(2), WHY)
    await clock.advance(GIVEN_UP_S + LINE_EVERY_S)
    tries = 100 - signals.failures
    await clock.advance(10 * GIVEN_UP_S)
    assert GIVEN_UP_S / LINE_EVERY_S / 2 < tries == 100 - signals.failures
    signals.failures = 0
    away.refuse(message(3), WHY)
    away.refuse(message(4), WHY)
    await clock.advance(LINE_EVERY_S + GATHER_S)
    assert [line.startswith("1 message") for _, line, _ in signals.lines] == [True]


async def test_what_came_while_a_line_could_not_be_said_is_in_the_next(clock: FakeClock) -> None:
    signals = FakeSignals(clock, takes_marks=False, failures=1)
    away = turned_away(clock, signals)
    for number in range(1, 4):
        away.refuse(message(number), WHY)
    await clock.advance(GATHER_S + 1)
    away.refuse(message(4), WHY)
    await clock.advance(LINE_EVERY_S + 1)
    [(_, line, _)] = signals.lines
    assert line.startswith("3 messages here weren't taken")


async def test_a_reason_that_could_not_be_said_in_reply_becomes_a_count(clock: FakeClock) -> None:
    signals = FakeSignals(clock, takes_replies=False)
    away = turned_away(clock, signals)
    away.refuse(message(1), WHY)
    await clock.advance(GATHER_S + 1)
    assert [line for _, line, _ in signals.lines] == [
        f"1 message here wasn't taken (from <@{ADA.id}>). {TOO_MANY}"
    ]


async def test_a_flood_of_people_forgets_who_was_told_first(clock: FakeClock) -> None:
    signals = FakeSignals(clock)
    away = turned_away(clock, signals)
    for person in range(1, REMEMBERED + 2):
        away.explain(of(person, person, guild=66), "Not here.")
    await clock.advance(SIGNS_S)
    signals.replies.clear()
    for person in (1, REMEMBERED + 1):
        away.explain(of(50_000 + person, person, guild=77, channel=person), "Not here.")
    await clock.advance(0)
    assert [m.author.id for m, _, _ in signals.replies] == [1]


async def test_what_is_counted_while_a_line_is_being_said_in_vain_is_in_the_next(
    clock: FakeClock,
) -> None:
    held = asyncio.Event()

    class SlowSignals(FakeSignals):
        """Takes its time for a line."""

        async def announce(self, place: Place, about: QuestionId, sentence: str) -> bool:
            await held.wait()
            return await super().announce(place, about, sentence)

    signals = SlowSignals(clock, takes_replies=False, takes_marks=False, failures=1)
    away = turned_away(clock, signals)
    away.explain(of(1, 1), "Not here.")
    await clock.advance(GATHER_S + 2)
    away.refuse(of(2, 2), WHY)
    away.refuse(of(3, 2), WHY)
    await clock.advance(1)
    held.set()
    await clock.advance(LINE_EVERY_S + GATHER_S + 2)
    assert [line for _, line, _ in signals.lines] == [
        f"3 messages here weren't taken (from <@1>, <@2>). {TOO_MANY}"
    ]


@pytest.mark.parametrize(("more", "words"), [(0, ""), (1, ", 1 other"), (2, ", 2 others")])
async def test_a_few_are_named_in_a_line_and_the_others_counted(
    clock: FakeClock, more: int, words: str
) -> None:
    signals = FakeSignals(clock, takes_replies=False)
    away = turned_away(clock, signals)
    for person in range(1, NAMED + more + 1):
        away.refuse(of(person, person), WHY)
    await clock.advance(GATHER_S + 2)
    [(_, line, _)] = signals.lines
    assert line.endswith(f"<@{NAMED}>{words}). {TOO_MANY}")


async def test_lines_to_several_channels_are_said_one_after_the_other(clock: FakeClock) -> None:
    signals = FakeSignals(clock, takes_replies=False)
    away = turned_away(clock, signals)
    for number in range(1, 5):
        away.refuse(of(number, number, channel=number), WHY)
    await clock.advance(GATHER_S + 5)
    at_s = [moment_s for _, _, moment_s in signals.lines]
    assert len(at_s) == 4
    gaps_s = [b - a for a, b in itertools.pairwise(at_s)]
    assert gaps_s == [pytest.approx(1 / LINES_PER_S)] * 3


async def test_a_line_is_said_again_only_after_its_time(clock: FakeClock) -> None:
    signals = FakeSignals(clock, takes_replies=False)
    away = turned_away(clock, signals)
    for person in range(1, 4):
        away.refuse(of(person, person), WHY)
        await clock.advance(GATHER_S + 1)
    await clock.advance(2 * LINE_EVERY_S)
    said = [(line.partition(" ")[0], at_s) for _, line, at_s in signals.lines]
    assert [count for count, _ in said] == ["1", "2"]
    assert said[1][1] - said[0][1] >= LINE_EVERY_S
