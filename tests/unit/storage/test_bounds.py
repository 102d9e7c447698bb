"""How much is stored: bounds of a person, a guild and all; room given back; a disk that fills up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import text

from bot.core.domain import GuildId, Question, QuestionId, UserId
from bot.core.ports import Outcome
from bot.storage.database import Database
from bot.storage.journal import EVERY_BYTES, SqlJournal
from bot.storage.tidying_sql import MIB, Bounds, stored_bytes
from tests.support.clock import FakeClock
from tests.unit.storage.questions import question
from tests.unit.storage.recovery import drain

SMALL = Bounds(total=12 * MIB, guild=8 * MIB, person=2 * MIB, reserve=0)
ANN = UserId(9)


def asked_by(person: int, guild: int, number: int, text: str = "x" * 4000) -> Question:
    """Return a question of a person in a guild."""
    asked = question(number, text)
    place = replace(asked.place, guild_id=GuildId(guild))
    return replace(asked, asker=replace(asked.asker, id=UserId(person)), place=place)


async def flood(
    journal: SqlJournal, database: Database, clock: FakeClock, person: int, guild: int, first: int
) -> None:
    """Ask and answer a hundred questions at the limits, ten at once, within a quarter of an hour."""
    for number in range(first, first + 100, 10):
        await answer_all(journal, [asked_by(person, guild, number + i) for i in range(10)])
        await clock.advance(100)
        await drain(database)


async def answer_all(journal: SqlJournal, questions: Sequence[Question]) -> None:
    """Ask and answer questions at the limits, all at once."""

    async def answer(asked: Question) -> None:
        await journal.accept(asked)
        await journal.answered(asked.id, ["y" * 2000] * 6, thinking="z" * 100_000)
        await journal.close(asked.id, Outcome.DELIVERED)

    await asyncio.gather(*(answer(asked) for asked in questions))


async def test_one_persons_flood_stays_within_the_bound_and_deletes_nobody_elses(
    database: Database, clock: FakeClock
) -> None:
    journal = await SqlJournal.open(database, clock, 30, SMALL)
    await journal.accept(question(1))
    await journal.close(QuestionId(1), Outcome.DELIVERED)
    held = 0
    for round_ in range(1, 5):
        await flood(journal, database, clock, person=66, guild=6, first=1000 * round_)
        held = await _held_by(database, 66)
        # Bytes written between two looks, and ten minutes of questions that stay in any case.
        assert held <= SMALL.person + EVERY_BYTES + 60 * 26_000
    assert held < 400 * 22_000
    assert await journal.entry(QuestionId(1)) is not None


async def test_strangers_of_one_guild_and_of_many_stay_within_the_bounds(
    database: Database, clock: FakeClock
) -> None:
    journal = await SqlJournal.open(database, clock, 30, SMALL)
    await journal.accept(question(1))
    await journal.close(QuestionId(1), Outcome.DELIVERED)
    for number in range(8):
        await flood(journal, database, clock, 100 + number, 6 + number % 2, 1000 * (number + 1))
    total = await database.read(stored_bytes)
    assert total <= SMALL.total + EVERY_BYTES + 60 * 26_000
    assert await journal.entry(QuestionId(1)) is not None


async def test_a_question_that_just_ended_is_known_although_there_is_too_much(
    database: Database, clock: FakeClock
) -> None:
    bounds = Bounds(total=1, guild=1, person=1, reserve=0)
    journal = await SqlJournal.open(database, clock, 30, bounds)
    await answer_all(journal, [asked_by(66, 6, number) for number in range(1, 400)])
    await drain(database)
    assert not await journal.accept(asked_by(66, 6, 1))


async def test_a_question_at_the_limits_takes_less_than_60_kilobytes(
    database: Database, clock: FakeClock
) -> None:
    journal = await SqlJournal.open(database, clock, 30)
    await journal.accept(question(1, "漢" * 4000))
    await journal.answered(QuestionId(1), ["漢" * 2000] * 6, thinking="漢" * 200_000)
    await journal.close(QuestionId(1), Outcome.DELIVERED)
    size = await database.read(stored_bytes)
    assert size < (60_000 if database._worker.has_file else 120_000)


async def _held_by(database: Database, person: int) -> int:
    query = text("SELECT sum(size_bytes) FROM questions WHERE asker_id = :person")
    held = await database.read(lambda c: c.execute(query, {"person": person}).scalar())
    return int(held or 0)
