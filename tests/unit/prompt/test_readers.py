"""What a person may not read isn't read for them, whichever way it is asked for."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bot.core.domain import (
    ChannelId,
    GuildId,
    IncomingMessage,
    Origin,
    Place,
    PlaceKind,
    Question,
    QuestionId,
)
from bot.prompt.builder import NO_HISTORY
from tests.support.conversation import ADA, BOB, CHAT, CLAW, HOME, FakeSources
from tests.unit.prompt.test_builder import said

THREAD = Place(PlaceKind.THREAD, ChannelId(70), GuildId(40), ChannelId(50))


async def nobody(_: Question) -> bool:
    return False


async def told(
    sources: FakeSources, question: Question
) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    prompt = await sources.builder(may_read=nobody).build(question, CHAT, None)
    return said(prompt), prompt.remarks


@pytest.mark.parametrize("place", [HOME, THREAD])
async def test_nothing_that_was_said_before_is_read(place: Place) -> None:
    sources = FakeSources()
    sources.starters[THREAD] = sources.say(BOB, "canary start", place=HOME)
    first = sources.say(BOB, "canary question", place=place)
    answer = sources.say(CLAW, "canary answer", place=place, to=first)
    sources.say(ADA, "canary of my own", place=place, minutes=0.1)
    asked = sources.say(ADA, "and?", place=place, to=answer, minutes=0.1)
    assert await told(sources, sources.ask(asked, about_id=answer.id)) == (
        [("user", "and?")],
        (NO_HISTORY,),
    )


async def test_a_burst_of_ones_own_stays_whole() -> None:
    sources = FakeSources()
    first = sources.say(ADA, "one", minutes=0.01)
    last = sources.say(ADA, "two", minutes=0.01)
    turns, remarks = await told(sources, sources.ask(last, joined=(first,)))
    assert turns == [("user", "one\ntwo")]
    assert not remarks


def pointing(at: IncomingMessage, **fields: Any) -> Question:
    return Question(
        QuestionId(at.id + 5), Origin.CONTEXT_MENU, HOME, ADA, "Look.", at.created_at, **fields
    )


async def test_only_the_message_that_is_pointed_at_is_read() -> None:
    sources = FakeSources()
    sources.say(BOB, "canary")
    target = dataclasses.replace(sources.say(BOB, "E = mc²"), reference_id=None)
    turns, _ = await told(sources, pointing(target, about_id=target.id))
    assert turns == [("user", "E = mc²\n⟦from Ada⟧ Look.")]


async def test_no_transcript_is_made() -> None:
    sources = FakeSources()
    start = sources.say(BOB, "canary")
    turns, remarks = await told(sources, pointing(start, since_id=start.id))
    assert turns == [("user", "Look.")]
    assert remarks == (NO_HISTORY,)
