"""Room on the disk: given back by what is deleted, and watched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.domain import QuestionId
from bot.storage.database import open_database
from bot.storage.engine import FREE_PAGES, build_engine, parse_location
from bot.storage.journal import EVERY_BYTES, LEAST_BYTES, SqlJournal
from bot.storage.migrate import upgrade
from bot.storage.tidying_sql import MIB, Bounds, stored_bytes
from config.settings import StoreSettings
from tests.support.clock import FakeClock
from tests.unit.storage.questions import question
from tests.unit.storage.recovery import drain
from tests.unit.storage.test_bounds import answer_all, asked_by


async def _fill(journal: SqlJournal, count: int, first: int = 1) -> None:
    numbers = range(first, first + count)
    await answer_all(journal, [asked_by(number, 6, number) for number in numbers])


def _bytes_of(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


async def test_what_is_too_old_gives_its_room_back_to_the_disk(
    path: Path, clock: FakeClock
) -> None:
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        await _fill(journal, 500)
        await drain(database)
        before = _bytes_of(path)
        assert before > 12 * MIB
        await clock.advance(31 * 86_400)
        await journal.accept(question(9999))
        await drain(database)
        free = await database.read(lambda c: c.exec_driver_sql("PRAGMA freelist_count").scalar())
        assert free is not None
        assert free <= FREE_PAGES
    assert _bytes_of(path) < 3 * MIB


async def test_a_disk_short_of_room_is_said_once_and_old_questions_make_room(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    endless = replace(Bounds.of(StoreSettings()), reserve=2**62)
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30, endless)
        await _fill(journal, 800)
        await clock.advance(3600)
        await _fill(journal, 400, first=2000)
        await drain(database)
        assert await database.read(stored_bytes) <= LEAST_BYTES + EVERY_BYTES + 400 * 25_000
        assert await journal.entry(QuestionId(1)) is None
        assert await journal.entry(QuestionId(2399)) is not None
        assert "MiB left" in caplog.text
    assert caplog.text.count("MiB left") == 1


async def test_a_file_of_an_earlier_version_can_become_smaller_too(
    path: Path, clock: FakeClock
) -> None:
    engine = build_engine(parse_location(f"sqlite:///{path}"))
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA auto_vacuum = NONE")
        upgrade(connection, "0001")
    engine.dispose()
    async with open_database(path, clock) as database:
        mode = await database.read(lambda c: c.exec_driver_sql("PRAGMA auto_vacuum").scalar())
        assert mode == 2
