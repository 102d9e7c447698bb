"""A copy is a question only with its original, its deletion, and in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.chat.proxies import KEPT_S, WITHIN, Proxies
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
from tests.support.builders import ADA, ADAS_DM, BOB, BOT_ID, message
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
    found = proxies.deleted(ORIGINAL.id, BOT_ID, was_open=True)
    return None if found is None else found.question


def test_a_copy_is_asked_by_the_person_under_the_copys_name() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION, BOT_ID)
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
    proxies.asked(QUESTION, BOT_ID)
    assert taken(proxies, copy_of(ORIGINAL, **fields)) is None


def test_a_configured_application_may_change_the_text() -> None:
    proxies = Proxies(FakeClock(), (5,))
    proxies.asked(QUESTION, BOT_ID)
    found = taken(proxies, copy_of(ORIGINAL, text="What's it, dear?", application_id=5))
    assert found is not None
    assert found.text == "What's it, dear?"


def test_each_copy_goes_to_the_question_with_its_words() -> None:
    proxies = Proxies(FakeClock(), (5,))
    proxies.asked(QUESTION, BOT_ID)
    text = f"<@{BOT_ID}> what is it, then?"
    later = replace(ORIGINAL, id=MessageId(12), text=text)
    proxies.asked(
        replace(QUESTION, id=QuestionId(12), text="what is it, then?", message=later), BOT_ID
    )
    found = taken(proxies, copy_of(ORIGINAL, id=MessageId(13), application_id=5))
    assert found is not None
    assert found.text == "what is it?"


def test_a_busy_server_pushes_out_no_question_of_another() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION, BOT_ID)
    for number in range(1000, 2000):
        place = replace(ORIGINAL.place, guild_id=GuildId(999))
        flood = replace(ORIGINAL, id=MessageId(number), place=place)
        proxies.asked(replace(QUESTION, id=QuestionId(number), place=place, message=flood), BOT_ID)
    assert taken(proxies, copy_of(ORIGINAL)) is not None


def test_an_answered_question_is_not_asked_again() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION, BOT_ID)
    proxies.copied(copy_of(ORIGINAL), BOT_ID)
    assert proxies.deleted(ORIGINAL.id, BOT_ID, was_open=False) is None


def test_a_late_copy_is_somebody_elses() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION, BOT_ID)
    late = copy_of(ORIGINAL, created_at=ORIGINAL.created_at + WITHIN + timedelta(seconds=1))
    assert taken(proxies, late) is None


async def test_a_copy_that_is_found_after_a_gap_takes_its_originals_place_and_time() -> None:
    clock = FakeClock()
    proxies = Proxies(clock, ())
    proxies.asked(QUESTION, BOT_ID)
    await clock.advance(KEPT_S - 1)
    copy = copy_of(ORIGINAL, created_at=ORIGINAL.created_at + WITHIN)
    found = taken(proxies, copy)
    assert found is not None
    assert found.message is not None
    assert found.message.created_at == found.asked_at == ORIGINAL.created_at
    proxies.asked(QUESTION, BOT_ID)
    await clock.advance(KEPT_S)
    assert taken(proxies, copy) is None


def test_two_people_with_the_same_words_are_both_said_again() -> None:
    proxies = Proxies(FakeClock(), ())
    theirs = replace(ORIGINAL, id=MessageId(12), author=BOB)
    proxies.asked(QUESTION, BOT_ID)
    proxies.asked(replace(QUESTION, id=QuestionId(12), asker=BOB, message=theirs), BOT_ID)
    for number in (13, 14):
        assert proxies.copied(copy_of(ORIGINAL, id=MessageId(number)), BOT_ID) is None
    found = [proxies.deleted(MessageId(i), BOT_ID, was_open=True) for i in (12, 10)]
    assert [(f.question.id, f.question.asker) for f in found if f] == [(14, BOB), (13, ADA)]


@pytest.mark.parametrize("text", ["L: yes", "[yes]", "yes -luna", "yes", "L:\nyes"])
def test_each_message_of_a_question_is_said_again_by_itself(text: str) -> None:
    proxies = Proxies(FakeClock(), ())
    part = replace(ORIGINAL, id=MessageId(12), text=text, mentioned_ids=frozenset())
    proxies.asked(replace(QUESTION, id=QuestionId(12), message=part).merge(QUESTION), BOT_ID)
    copies = copy_of(ORIGINAL, id=MessageId(13)), copy_of(part, id=MessageId(14), text="yes")
    assert [proxies.copied(copy, BOT_ID) for copy in copies] == [None, None]
    found = [proxies.deleted(MessageId(i), BOT_ID, was_open=True) for i in (10, 12)]
    assert [(f.question.text, f.question.messages) for f in found if f] == [
        ("what is it?", (found[0] and found[0].message,)),
        ("yes", (found[1] and found[1].message,)),
    ]


def test_what_is_said_before_a_question_is_remembered_until_it_is_asked() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.said(QUESTION)
    proxies.copied(copy_of(ORIGINAL), BOT_ID)
    assert proxies.who_said(ORIGINAL.id) == (ADA.id, ORIGINAL.place.channel_id)
    loose = proxies.deleted(ORIGINAL.id, BOT_ID, was_open=True)
    assert loose is not None
    assert loose.is_loose
    proxies.said(QUESTION)
    proxies.asked(QUESTION, BOT_ID)
    assert proxies.copied(copy_of(ORIGINAL), BOT_ID) is None
    asked = proxies.deleted(ORIGINAL.id, BOT_ID, was_open=True)
    assert asked is not None
    assert not asked.is_loose


@pytest.mark.parametrize("text", ["", "L:", "[text]"])
def test_a_file_without_words_is_said_again_without_the_marks(text: str) -> None:
    proxies = Proxies(FakeClock(), ())
    original = replace(ORIGINAL, text=text, attachments=(FILE,), mentioned_ids=frozenset())
    proxies.asked(replace(QUESTION, message=original), BOT_ID)
    assert taken(proxies, copy_of(original, text="")) is not None


def test_a_copy_of_what_was_refused_is_no_question() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION, BOT_ID)
    proxies.refused(QUESTION)
    assert taken(proxies, copy_of(ORIGINAL)) is None
