"""A copy is a question only with its original, its deletion, and in time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.chat.proxies import WITHIN_S, Proxies
from bot.core.domain import (
    AttachmentInfo,
    GuildId,
    IncomingMessage,
    MessageId,
    Origin,
    Person,
    Question,
    QuestionId,
    UserId,
)
from tests.support.builders import ADA, ADAS_DM, BOT_ID, message
from tests.support.clock import FakeClock

FILE = AttachmentInfo(5, "rules.txt", "text/plain", 20, "https://cdn.discordapp.com/x")
TO_ME = frozenset({BOT_ID})
ORIGINAL = replace(message(text=f"<@{BOT_ID}> what is it?", mentioned_ids=TO_ME), id=MessageId(10))
QUESTION = Question(
    QuestionId(10),
    Origin.MENTION,
    ORIGINAL.place,
    ADA,
    "what is it?",
    ORIGINAL.created_at,
    ORIGINAL,
)


def copy_of(original: IncomingMessage, **fields: Any) -> IncomingMessage:
    values: dict[str, Any] = {
        "id": MessageId(11),
        "author": Person(UserId(77), "Luna", is_bot=True),
        "is_ordinary": False,
        "webhook_id": 77,
        "application_id": 6,
        **fields,
    }
    return replace(original, **values)


def taken(proxies: Proxies, copy: IncomingMessage) -> Question | None:
    """Let the copy come and the original go."""
    assert proxies.copied(copy, BOT_ID) is None
    return proxies.deleted(ORIGINAL.id, BOT_ID, was_open=True)


def test_a_copy_is_asked_by_the_person_under_the_copys_name() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION)
    found = taken(proxies, copy_of(ORIGINAL))
    assert found is not None
    assert (found.id, found.asker, found.text) == (11, ADA, "what is it?")
    assert found.message is not None
    assert found.message.author == replace(ADA, name="Luna")
    assert found.message.is_ordinary
    assert proxies.deleted(ORIGINAL.id, BOT_ID, was_open=True) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "something else"},
        {"text": ""},
        {"text": "it"},
        {"mentioned_ids": frozenset()},
        {"place": ADAS_DM},
        {"id": MessageId(9)},
        {"application_id": None},
        {"attachments": (FILE,)},
        {"text": "something else entirely", "application_id": 5},
    ],
)
def test_what_differs_is_no_copy(fields: dict[str, Any]) -> None:
    proxies = Proxies(FakeClock(), (5,))
    proxies.asked(QUESTION)
    assert taken(proxies, copy_of(ORIGINAL, **fields)) is None


def test_a_configured_application_may_change_the_text() -> None:
    proxies = Proxies(FakeClock(), (5,))
    proxies.asked(QUESTION)
    found = taken(proxies, copy_of(ORIGINAL, text="What's it, dear?", application_id=5))
    assert found is not None
    assert found.text == "What's it, dear?"


def test_each_copy_goes_to_the_question_with_its_words() -> None:
    proxies = Proxies(FakeClock(), (5,))
    proxies.asked(QUESTION)
    text = f"<@{BOT_ID}> what is it, then?"
    later = replace(ORIGINAL, id=MessageId(12), text=text)
    proxies.asked(replace(QUESTION, id=QuestionId(12), text="what is it, then?", message=later))
    found = taken(proxies, copy_of(ORIGINAL, id=MessageId(13), application_id=5))
    assert found is not None
    assert found.text == "what is it?"


def test_a_busy_server_pushes_out_no_question_of_another() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION)
    for number in range(1000, 2000):
        place = replace(ORIGINAL.place, guild_id=GuildId(999))
        flood = replace(ORIGINAL, id=MessageId(number), place=place)
        proxies.asked(replace(QUESTION, id=QuestionId(number), place=place, message=flood))
    assert taken(proxies, copy_of(ORIGINAL)) is not None


def test_an_answered_question_is_not_asked_again() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION)
    proxies.copied(copy_of(ORIGINAL), BOT_ID)
    assert proxies.deleted(ORIGINAL.id, BOT_ID, was_open=False) is None


async def test_a_late_copy_is_somebody_elses() -> None:
    clock = FakeClock()
    proxies = Proxies(clock, ())
    proxies.asked(QUESTION)
    proxies.deleted(ORIGINAL.id, BOT_ID, was_open=True)
    await clock.advance(WITHIN_S + 1)
    assert proxies.copied(copy_of(ORIGINAL), BOT_ID) is None


def test_a_copy_of_what_was_refused_is_no_question() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION)
    proxies.refused(QUESTION)
    assert taken(proxies, copy_of(ORIGINAL)) is None
