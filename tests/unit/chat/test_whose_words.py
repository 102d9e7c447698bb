"""Whose words a message holds.

A copy is a question only with its original, its deletion, and in time. The bot tells its own words
from the model's by what it recorded, not by how they look.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.chat.whose_words import KEPT_S, WITHIN, OwnWords, Proxies
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
from bot.core.ports import Outcome
from bot.storage.database import Database, open_database
from bot.storage.journal import SqlJournal
from tests.support import conversation
from tests.support.builders import ADA, ADAS_DM, BOB, BOT_ID, message
from tests.support.clock import FakeClock
from tests.unit.storage.questions import question as stored_question

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


@pytest.mark.parametrize(("text", "is_taken"), [("when is it?", True), ("what is it?", False)])
def test_a_copy_repeats_the_words_that_its_original_had_last(text: str, *, is_taken: bool) -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION, BOT_ID)
    proxies.edited(replace(ORIGINAL, text=f"<@{BOT_ID}> when is it?"), BOT_ID)
    proxies.edited(replace(ORIGINAL, id=MessageId(99), text="who?"), BOT_ID)
    found = taken(proxies, copy_of(ORIGINAL, text=f"<@{BOT_ID}> {text}"))
    assert (found is not None) is is_taken


def test_an_edited_question_is_compared_by_its_new_words() -> None:
    proxies = Proxies(FakeClock(), (5,))
    proxies.asked(QUESTION, BOT_ID)
    proxies.edited(replace(ORIGINAL, text=f"<@{BOT_ID}> tell me a long story"), BOT_ID)
    copy = copy_of(ORIGINAL, text=f"<@{BOT_ID}> tell us a long story", application_id=5)
    assert taken(proxies, copy) is not None


def test_a_message_that_went_while_nobody_listened_waits_for_its_copy() -> None:
    proxies = Proxies(FakeClock(), ())
    part = replace(ORIGINAL, id=MessageId(12), text="and why?", mentioned_ids=frozenset())
    both = replace(QUESTION, id=QuestionId(12), message=part).merge(QUESTION)
    proxies.gone(both, ORIGINAL.id, BOT_ID)
    proxies.gone(both, MessageId(404), BOT_ID)
    assert proxies.copied(copy_of(part, id=MessageId(13)), BOT_ID) is None
    found = proxies.copied(copy_of(ORIGINAL, id=MessageId(14)), BOT_ID)
    assert found is not None
    assert (found.question.id, found.question.text) == (14, "what is it?")


def test_what_a_person_said_is_forgotten_with_them() -> None:
    proxies = Proxies(FakeClock(), ())
    theirs = replace(ORIGINAL, id=MessageId(12), author=BOB)
    loose = replace(ORIGINAL, id=MessageId(13))
    proxies.asked(QUESTION, BOT_ID)
    proxies.said(replace(QUESTION, id=QuestionId(13), message=loose))
    proxies.said(replace(QUESTION, id=QuestionId(12), asker=BOB, message=theirs))
    proxies.forget(lambda question: question.asker == ADA)
    known = [proxies.who_said(each.id) for each in (ORIGINAL, loose, theirs)]
    assert known == [None, None, (BOB.id, theirs.place.channel_id)]


def test_a_copy_that_came_before_its_original_was_asked_is_remembered() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.said(QUESTION)
    assert proxies.copied(copy_of(ORIGINAL), BOT_ID) is None
    proxies.asked(QUESTION, BOT_ID)
    found = proxies.deleted(ORIGINAL.id, BOT_ID, was_open=True)
    assert found is not None
    assert not found.is_loose


def test_nothing_is_remembered_of_an_answered_question_that_was_deleted() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION, BOT_ID)
    assert proxies.deleted(ORIGINAL.id, BOT_ID, was_open=False) is None
    assert proxies.who_said(ORIGINAL.id) is None


def test_what_is_written_directly_has_no_copies() -> None:
    proxies = Proxies(FakeClock(), ())
    directly = replace(QUESTION, place=ADAS_DM)
    proxies.said(directly)
    proxies.asked(directly, BOT_ID)
    assert proxies.who_said(ORIGINAL.id) is None


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [("what is that there", True), ("what is that over there", False), ("?!", False)],
)
def test_a_copy_that_is_trusted_has_half_of_the_words(text: str, *, is_taken: bool) -> None:
    proxies = Proxies(FakeClock(), (5,))
    proxies.asked(QUESTION, BOT_ID)
    copy = copy_of(ORIGINAL, text=f"<@{BOT_ID}> {text}", application_id=5)
    assert (taken(proxies, copy) is not None) is is_taken


def test_a_copy_that_is_trusted_repeats_one_message_of_a_question() -> None:
    proxies = Proxies(FakeClock(), (5,))
    part = replace(ORIGINAL, id=MessageId(12), text=f"<@{BOT_ID}> and why then")
    proxies.asked(replace(QUESTION, id=QuestionId(12), message=part).merge(QUESTION), BOT_ID)
    text = f"<@{BOT_ID}> and why not then dear"
    copy = copy_of(part, id=MessageId(13), text=text, application_id=5)
    assert proxies.copied(copy, BOT_ID) is None
    assert proxies.deleted(ORIGINAL.id, BOT_ID, was_open=True) is None
    found = proxies.deleted(part.id, BOT_ID, was_open=True)
    assert found is not None
    assert found.question.text == "and why not then dear"


def test_of_several_questions_a_trusted_copy_goes_to_the_one_that_is_as_long() -> None:
    proxies = Proxies(FakeClock(), (5,))
    proxies.asked(QUESTION, BOT_ID)
    text = f"<@{BOT_ID}> what is it then, dear?"
    longer = replace(ORIGINAL, id=MessageId(12), text=text)
    question = replace(QUESTION, id=QuestionId(12), text="what is it then, dear?", message=longer)
    proxies.asked(question, BOT_ID)
    text = f"<@{BOT_ID}> what is it then, my dear?"
    copy = copy_of(ORIGINAL, id=MessageId(13), text=text, application_id=5)
    assert proxies.copied(copy, BOT_ID) is None
    assert proxies.deleted(ORIGINAL.id, BOT_ID, was_open=True) is None
    assert proxies.deleted(longer.id, BOT_ID, was_open=True) is not None


@pytest.mark.parametrize(("application_id", "is_taken"), [(5, True), (6, False)])
def test_a_copy_that_is_trusted_may_have_another_file(
    application_id: int, *, is_taken: bool
) -> None:
    proxies = Proxies(FakeClock(), (5,))
    original = replace(ORIGINAL, text="", attachments=(FILE,), mentioned_ids=frozenset())
    proxies.asked(replace(QUESTION, message=original), BOT_ID)
    other = replace(FILE, filename="luna-rules.txt")
    copy = copy_of(original, attachments=(other,), application_id=application_id)
    assert (taken(proxies, copy) is not None) is is_taken


def test_a_text_that_repeats_itself_is_no_mark_around_one_part_of_it() -> None:
    proxies = Proxies(FakeClock(), ())
    original = replace(ORIGINAL, text="ha" * 20, mentioned_ids=frozenset())
    proxies.asked(replace(QUESTION, message=original), BOT_ID)
    assert taken(proxies, copy_of(original, text="ha")) is None


@pytest.mark.parametrize(
    ("said", "mark", "is_taken"),
    [
        ("yes", 29, True),
        ("yes", 31, False),
        ("y" * 60, 59, True),
        ("y" * 60, 62, False),
        ("y" * 200, 99, True),
        ("y" * 200, 102, False),
    ],
)
def test_a_mark_is_no_longer_than_a_short_tag_or_the_text(
    said: str, mark: int, *, is_taken: bool
) -> None:
    proxies = Proxies(FakeClock(), ())
    original = replace(ORIGINAL, text="-" * mark + said, mentioned_ids=frozenset())
    proxies.asked(replace(QUESTION, message=original), BOT_ID)
    assert (taken(proxies, copy_of(original, text=said)) is not None) is is_taken


def test_a_copy_may_come_after_its_original_is_deleted() -> None:
    proxies = Proxies(FakeClock(), ())
    proxies.asked(QUESTION, BOT_ID)
    assert proxies.deleted(ORIGINAL.id, BOT_ID, was_open=True) is None
    found = proxies.copied(copy_of(ORIGINAL), BOT_ID)
    assert found is not None
    assert (found.question.id, found.message) == (11, found.question.message)


def test_a_copy_replies_to_what_its_original_replied_to() -> None:
    proxies = Proxies(FakeClock(), ())
    original = replace(ORIGINAL, reference_id=MessageId(5), replied_user_id=BOB.id)
    proxies.asked(replace(QUESTION, message=original), BOT_ID)
    found = taken(proxies, copy_of(original, reference_id=None, replied_user_id=None))
    assert found is not None
    assert found.message is not None
    assert (found.message.reference_id, found.message.replied_user_id) == (5, BOB.id)


def test_each_message_of_a_question_is_about_what_it_replies_to_itself() -> None:
    proxies = Proxies(FakeClock(), ())
    part = replace(ORIGINAL, id=MessageId(12), text="and why?", reference_id=MessageId(5))
    proxies.asked(replace(QUESTION, id=QuestionId(12), message=part).merge(QUESTION), BOT_ID)
    proxies.copied(copy_of(part, id=MessageId(13)), BOT_ID)
    found = proxies.deleted(part.id, BOT_ID, was_open=True)
    assert found is not None
    assert (found.question.about_id, found.question.joined) == (5, ())


async def test_what_was_asked_longest_ago_is_forgotten_first() -> None:
    clock = FakeClock()
    proxies = Proxies(clock, ())
    proxies.asked(QUESTION, BOT_ID)
    await clock.advance(KEPT_S / 2)
    later = replace(ORIGINAL, id=MessageId(12))
    proxies.asked(replace(QUESTION, id=QuestionId(12), message=later), BOT_ID)
    await clock.advance(KEPT_S / 2)
    proxies.copied(copy_of(ORIGINAL, text="something else"), BOT_ID)
    assert [proxies.who_said(each.id) is None for each in (ORIGINAL, later)] == [True, False]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database, None]:
    async with open_database(tmp_path / "bot.db", FakeClock()) as opened:
        yield opened


@pytest.fixture
async def journal(database: Database) -> SqlJournal:
    return await SqlJournal.open(database, FakeClock(), 30)


async def answered(journal: SqlJournal, message: IncomingMessage, own_lines: str | None) -> None:
    number = int(message.id) % 1_000_000
    await journal.accept(stored_question(number))
    await journal.posted(QuestionId(number), [message.id])
    if own_lines is not None:
        await journal.own_lines(QuestionId(number), own_lines)
    await journal.close(QuestionId(number), Outcome.DELIVERED)


async def test_an_answer_with_the_look_of_a_notice_is_the_models(
    journal: SqlJournal,
) -> None:
    sources = conversation.FakeSources()
    answer = sources.say(
        conversation.CLAW, "⚠️ Never mix these.\n-# not even a little\n-# llama · 12 tokens/s"
    )
    failed = sources.say(
        conversation.CLAW, "⚠️ The model's machine had a problem. Please try again.", minutes=2
    )
    await answered(journal, answer, "-# llama · 12 tokens/s")
    await answered(journal, failed, failed.text)
    words = await OwnWords(journal).words([answer, failed])
    assert words == {answer.id: "⚠️ Never mix these.\n-# not even a little", failed.id: ""}


async def test_a_notice_outside_of_any_question_is_known_after_a_restart_and_to_other_processes(
    database: Database, journal: SqlJournal
) -> None:
    sources = conversation.FakeSources()
    said = sources.say(conversation.CLAW, "⚠️ I'm not switched on in this channel.\n")
    told = sources.say(conversation.CLAW, "⚠️ Nobody is asked here.")
    old = sources.say(conversation.CLAW, "⚠️ I'm sure of it.")
    other = await SqlJournal.open(database, FakeClock(), 30)
    await journal.note_notice(said.id)
    await other.note_notice(told.id)
    for each in (journal, other, await SqlJournal.open(database, FakeClock(), 30)):
        words = await OwnWords(each).words([said, told, old])
        assert words == {said.id: "", told.id: "", old.id: old.text}


async def test_messages_are_read_back_as_what_they_are_known_to_be(
    journal: SqlJournal,
) -> None:
    sources = conversation.FakeSources()
    asked = sources.say(conversation.ADA, "What is it?")
    answer = sources.say(conversation.CLAW, "It is the light.\n-# llama · 12 tokens/s")
    notice = sources.say(conversation.CLAW, "⚠️ I'm not switched on in this channel.")
    webhook = Person(UserId(77), "Luna", is_bot=True)
    copy = sources.say(webhook, "And why?", webhook_id=77, is_ordinary=False)
    other = sources.say(webhook, "Release 2.0 is out.", webhook_id=78, is_ordinary=False)
    imitated = sources.say(webhook, "And why?", is_ordinary=False)
    await answered(journal, answer, "-# llama · 12 tokens/s")
    for each in (copy, imitated):
        await journal.accept(
            replace(
                stored_question(int(each.id)),
                message=each,
                asker=conversation.ADA,
                id=QuestionId(each.id),
            )
        )
    words = OwnWords(journal)
    await journal.note_notice(notice.id)
    found = await words.read_back(
        [asked, answer, notice, copy, other, imitated], conversation.CLAW.id
    )
    assert found == [
        asked,
        replace(answer, text="It is the light."),
        replace(notice, text=""),
        replace(copy, author=replace(conversation.ADA, name="Luna"), is_ordinary=True),
        other,
        imitated,
    ]
    assert await words.read_back([asked], conversation.CLAW.id) == [asked]


async def test_what_an_answer_said_is_remembered_until_it_is_edited_or_forgotten(
    journal: SqlJournal,
) -> None:
    sources = conversation.FakeSources()
    answer = sources.say(conversation.CLAW, "It is the light.\n-# llama · 12 tokens/s")
    plain = sources.say(conversation.CLAW, " It is so. ")
    await answered(journal, answer, "-# llama · 12 tokens/s")
    words = OwnWords(journal)
    expected = {answer.id: "It is the light.", plain.id: "It is so."}
    assert await words.words([answer, plain]) == expected
    changed = replace(answer, text="It is dark.\n-# llama · 12 tokens/s")
    assert await words.words([changed]) == {answer.id: "It is the light."}
    edited = replace(changed, edited_at=answer.created_at)
    assert await words.words([edited]) == {answer.id: "It is dark."}
    words.forget()
    assert await words.words([changed]) == {answer.id: "It is dark."}


async def test_the_question_and_the_count_of_an_answer_are_found_by_its_message(
    journal: SqlJournal,
) -> None:
    answer = conversation.FakeSources().say(conversation.CLAW, "It is the light.")
    await answered(journal, answer, None)
    words = OwnWords(journal)
    entry = await words.entry_of_message(answer.id)
    assert entry is not None
    assert entry.question.id == int(answer.id) % 1_000_000
    assert await words.counts_of([answer.id]) == await journal.counts_of([answer.id])
