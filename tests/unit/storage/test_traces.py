"""What was deleted is in no file any more: not in free pages, not in the log."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from bot.core.concerns import Subject
from bot.core.domain import QuestionId
from bot.core.ports import Outcome
from bot.storage.database import WATCH_S, open_database
from bot.storage.engine import build_engine, parse_location
from bot.storage.journal import SqlJournal
from bot.storage.kept import KeptData
from bot.storage.migrate import upgrade
from tests.support.builders import ADA, BOB, message, question
from tests.support.clock import FakeClock

WORDS = "the-words-of-ada"


def _holding(path: Path) -> list[str]:
    """Return the files of the folder that hold Ada's words."""
    return [each.name for each in path.parent.iterdir() if WORDS.encode() in each.read_bytes()]


async def _talk(journal: SqlJournal) -> None:
    """Ask as Ada and as Bob in turn, with thinking that fills pages of its own."""
    for number in range(1, 40):
        who = ADA if number % 2 else BOB
        words = f"{WORDS} {number} " * 20 if who is ADA else "others"
        said = message(number, words, author=who)
        await journal.accept(question(number, words, asker=who, message=said))
        await journal.answered(QuestionId(number), [words] * 3, thinking=words * 20)
        await journal.close(QuestionId(number), Outcome.DELIVERED)


async def test_nothing_of_a_deleted_person_is_left_in_the_file_or_its_log(
    path: Path, clock: FakeClock
) -> None:
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        kept = await KeptData.open(database, journal, clock)
        await _talk(journal)
        assert _holding(path)
        await kept.forget(Subject(ADA.id))
        assert await kept.overwrite_deleted()
        assert _holding(path) == []
        assert await journal.entry(QuestionId(2)) is not None


async def test_nor_in_a_file_that_an_earlier_version_began(path: Path, clock: FakeClock) -> None:
    engine = build_engine(parse_location(path))
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    with sqlite3.connect(path) as old:
        old.execute("PRAGMA secure_delete=OFF")
        old.execute("PRAGMA user_version=0")
        for number in range(30):
            old.execute(
                "INSERT INTO state VALUES (?, ?, 0)", (f"k{number}", f"{WORDS} {number} " * 99)
            )
        old.commit()
        old.execute("DELETE FROM state")
        old.commit()
    old.close()
    assert _holding(path)
    async with open_database(path, clock) as database:
        assert await database.overwrite_deleted()
        assert _holding(path) == []


async def test_a_log_that_another_program_reads_is_emptied_when_it_has_ended(
    path: Path, clock: FakeClock
) -> None:
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        kept = await KeptData.open(database, journal, clock)
        await _talk(journal)
        reader = sqlite3.connect(path)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM questions").fetchall()
        await kept.forget(Subject(ADA.id))
        assert not await kept.overwrite_deleted()
        assert _holding(path)
        reader.close()
        await clock.advance(WATCH_S + 1)
        async with asyncio.timeout(20):
            while _holding(path):
                await database.read(lambda _: None)
