"""The bot tells its own words from the model's by what it recorded, not by how they look."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.chat.whose_words import MOST_NOTICES, OwnWords
from bot.core.domain import IncomingMessage, MessageId, Person, QuestionId, UserId
from bot.core.ports import Outcome
from bot.storage.database import Database, open_database
from bot.storage.journal import SqlJournal
from bot.storage.state import StateStore
from tests.support.clock import FakeClock
from tests.support.conversation import ADA, CLAW, FakeSources
from tests.unit.storage.questions import question


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database, None]:
    async with open_database(tmp_path / "bot.db", FakeClock()) as opened:
        yield opened


@pytest.fixture
async def journal(database: Database) -> SqlJournal:
    return await SqlJournal.open(database, FakeClock(), 30)


async def own_words(database: Database, journal: SqlJournal) -> OwnWords:
    return OwnWords(journal, await StateStore.open(database, FakeClock()))


async def answered(journal: SqlJournal, message: IncomingMessage, own_lines: str | None) -> None:
    number = int(message.id) % 1_000_000
    await journal.accept(question(number))
    await journal.posted(QuestionId(number), [message.id])
    if own_lines is not None:
        await journal.own_lines(QuestionId(number), own_lines)
    await journal.close(QuestionId(number), Outcome.DELIVERED)


async def test_an_answer_with_the_look_of_a_notice_is_the_models(
    database: Database, journal: SqlJournal
) -> None:
    sources = FakeSources()
    answer = sources.say(CLAW, "⚠️ Never mix these.\n-# not even a little\n-# llama · 12 tokens/s")
    failed = sources.say(CLAW, "⚠️ The model's machine had a problem. Please try again.", minutes=2)
    await answered(journal, answer, "-# llama · 12 tokens/s")
    await answered(journal, failed, failed.text)
    words = await (await own_words(database, journal)).words([answer, failed])
    assert words == {answer.id: "⚠️ Never mix these.\n-# not even a little", failed.id: ""}


async def test_a_notice_outside_of_any_question_is_known_also_after_a_restart(
    database: Database, journal: SqlJournal
) -> None:
    sources = FakeSources()
    said = sources.say(CLAW, "⚠️ I'm not switched on in this channel.")
    old = sources.say(CLAW, "⚠️ I'm sure of it.")
    words = await own_words(database, journal)
    await words.posted_notice(said.id)
    for each in (words, await own_words(database, journal)):
        assert await each.words([said, old]) == {said.id: "", old.id: old.text}


async def test_notices_are_remembered_within_a_bound(
    database: Database, journal: SqlJournal
) -> None:
    words = await own_words(database, journal)
    for number in range(1, MOST_NOTICES + 3):
        await words.posted_notice(MessageId(number))
    sources = FakeSources()
    message = sources.say(CLAW, "⚠️ x")
    assert await words.words([message]) == {message.id: "⚠️ x"}


async def test_messages_are_read_back_as_what_they_are_known_to_be(
    database: Database, journal: SqlJournal
) -> None:
    sources = FakeSources()
    asked = sources.say(ADA, "What is it?")
    answer = sources.say(CLAW, "It is the light.\n-# llama · 12 tokens/s")
    notice = sources.say(CLAW, "⚠️ I'm not switched on in this channel.")
    webhook = Person(UserId(77), "Luna", is_bot=True)
    copy = sources.say(webhook, "And why?", webhook_id=77, is_ordinary=False)
    other = sources.say(webhook, "Release 2.0 is out.", webhook_id=78, is_ordinary=False)
    imitated = sources.say(webhook, "And why?", is_ordinary=False)
    await answered(journal, answer, "-# llama · 12 tokens/s")
    for each in (copy, imitated):
        await journal.accept(
            replace(question(int(each.id)), message=each, asker=ADA, id=QuestionId(each.id))
        )
    words = await own_words(database, journal)
    await words.posted_notice(notice.id)
    found = await words.read_back([asked, answer, notice, copy, other, imitated], CLAW.id)
    assert found == [
        asked,
        replace(answer, text="It is the light."),
        replace(notice, text=""),
        replace(copy, author=replace(ADA, name="Luna"), is_ordinary=True),
        other,
        imitated,
    ]
    assert await words.read_back([asked], CLAW.id) == [asked]


async def test_what_an_answer_said_is_remembered_until_it_is_edited_or_forgotten(
    database: Database, journal: SqlJournal
) -> None:
    sources = FakeSources()
    answer = sources.say(CLAW, "It is the light.\n-# llama · 12 tokens/s")
    plain = sources.say(CLAW, " It is so. ")
    await answered(journal, answer, "-# llama · 12 tokens/s")
    words = await own_words(database, journal)
    expected = {answer.id: "It is the light.", plain.id: "It is so."}
    assert await words.words([answer, plain]) == expected
    changed = replace(answer, text="It is dark.\n-# llama · 12 tokens/s")
    assert await words.words([changed]) == {answer.id: "It is the light."}
    edited = replace(changed, edited_at=answer.created_at)
    assert await words.words([edited]) == {answer.id: "It is dark."}
    words.forget()
    assert await words.words([changed]) == {answer.id: "It is dark."}


async def test_the_question_and_the_count_of_an_answer_are_found_by_its_message(
    database: Database, journal: SqlJournal
) -> None:
    answer = FakeSources().say(CLAW, "It is the light.")
    await answered(journal, answer, None)
    words = await own_words(database, journal)
    entry = await words.entry_of_message(answer.id)
    assert entry is not None
    assert entry.question.id == int(answer.id) % 1_000_000
    assert await words.counts_of([answer.id]) == await journal.counts_of([answer.id])
