"""The bot tells its own words from the model's by what it recorded, not by how they look."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bot.chat.whose_words import MOST_NOTICES, OwnWords
from bot.core.domain import IncomingMessage, MessageId, QuestionId
from bot.core.ports import Outcome
from bot.storage.database import Database, open_database
from bot.storage.journal import SqlJournal
from bot.storage.state import StateStore
from tests.support.clock import FakeClock
from tests.support.conversation import CLAW, FakeSources
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
