"""A database that is damaged, full, read-only or newer than the program."""

from __future__ import annotations

import asyncio
import gc
import logging
import stat
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from bot.core.domain import ChannelId, GuildId, MessageId, Place, PlaceKind, QuestionId, UserId
from bot.core.errors import ConfigurationError, StoreError
from bot.core.ports import Outcome
from bot.storage.database import Database, open_database
from bot.storage.engine import parse_location
from bot.storage.journal import SqlJournal
from bot.storage.setting_types import Scope
from bot.storage.settings_store import SettingsStore
from bot.storage.state import StateStore
from bot.storage.worker import Worker
from config.settings import LiveSettings, Settings
from tests.support.clock import FakeClock, settle
from tests.unit.storage.questions import question
from tests.unit.storage.recovery import drain, errors_in, until_recovered


def _content(path: Path) -> bytes:
    return path.read_bytes()


async def _fill_disk(database: Database) -> None:
    """Make SQLite refuse to grow, as on a full disk (SQLITE_FULL)."""

    def limit(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        # Free pages inside the file would still take some rows.
        connection.exec_driver_sql("PRAGMA user_version = 1")

    await database.write(limit)


async def _free_disk(database: Database) -> None:
    await database.read(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1000000").scalar())


async def test_on_a_full_disk_the_journal_goes_on_in_memory_and_writes_back(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert await journal.accept(question(1))
        await _fill_disk(database)
        for number in range(2, 60):
            assert await journal.accept(question(number, "x" * 2000))
        assert database.is_degraded
        assert await journal.start(QuestionId(1)) == 1
        assert not await journal.accept(question(5))
        await journal.close(QuestionId(2), Outcome.DELIVERED)
        await journal.note_notice(MessageId(9001))
        assert len(await journal.pending()) == 58
        await _free_disk(database)
        await clock.advance(60)
        await until_recovered(database, clock)
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert [entry.question.id for entry in await journal.pending()] == [1, *range(3, 60)]
        assert await journal.notices_of([MessageId(9001), MessageId(9002)]) == {9001}
        entry = await journal.entry(QuestionId(2))
        assert entry is not None
        assert entry.outcome is Outcome.DELIVERED
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1


async def test_while_degraded_there_is_one_line_a_minute(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        await _fill_disk(database)
        number = 0
        while not database.is_degraded:
            number += 1
            await journal.accept(question(number, "x" * 4000))
        caplog.clear()
        await database.write(lambda c: c.execute(text("DROP TABLE state")))
        for _ in range(300):
            await clock.advance(1)
            if database._commit is not None:
                await asyncio.wait((database._commit,))
                await settle()
        lines = [r for r in caplog.records if "still fails" in r.getMessage()]
        assert 3 <= len(lines) <= 5


async def test_a_database_that_fails_while_it_is_closed_is_tried_no_more(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(path, clock) as database:

        async def write_back(_is_fresh: bool) -> None:
            await database.write(lambda c: c.execute(text("SELECT nothing")))

        database.on_recovery(write_back)
    for _ in range(200):
        await clock.advance(1)
    assert [r.getMessage() for r in caplog.records if "still fails" in r.getMessage()] == []
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "database-probe"]


async def test_a_read_only_database_still_gives_its_settings_and_is_logged_with_what_to_do(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(PlaceKind.GUILD_TEXT, ChannelId(70), GuildId(7))
    scope = Scope.in_guild(GuildId(7))
    async with open_database(path, clock) as database:
        store = await SettingsStore.open(database, LiveSettings(Settings()))
        await store.set(scope, "temperature", "0.2", UserId(1), clock.now())
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    async with open_database(url, clock) as database:
        store = await SettingsStore.open(database, LiveSettings(Settings()))
        journal = await SqlJournal.open(database, clock, 30)
        with pytest.raises(StoreError):
            await store.set(scope, "temperature", "0.9", UserId(1), clock.now())
        assert store.effective(place).temperature == 0.2
        assert database.is_degraded
        assert await journal.accept(question(1))
        assert await journal.start(QuestionId(1)) == 1
        assert any("can't be written" in problem for problem in database.state)
    assert "going on in memory. clawbot check says what to do" in caplog.text


def _damage(path: Path, kind: str) -> bytes:
    content = path.read_bytes()
    if kind == "garbage":
        content = b"this is no database" * 1000
    elif kind == "overwritten":
        content = content[:100] + b"\xa5" * (len(content) - 100)
    else:
        content = content[:5000]
    path.write_bytes(content)
    return content


def _set_aside(path: Path) -> list[bytes]:
    return [other.read_bytes() for other in path.parent.iterdir() if ".damaged-" in other.name]


@pytest.mark.parametrize("kind", ["garbage", "overwritten", "cut"])
async def test_a_damaged_database_is_moved_aside_and_work_goes_on(
    path: Path, clock: FakeClock, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        for number in range(1, 100):
            await journal.accept(question(number))
    damaged = _damage(path, kind)
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert await journal.accept(question(1))
        assert len(errors_in(caplog)) == 1
        assert not database.is_degraded
    assert _set_aside(path) == [damaged]
    assert "The database was damaged" in caplog.text
    caplog.clear()
    async with open_database(path, clock):
        assert not errors_in(caplog)


async def test_damage_found_while_running_costs_nothing_that_memory_holds(
    path: Path, clock: FakeClock
) -> None:
    scope = Scope.in_guild(GuildId(7))
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        store = await SettingsStore.open(database, LiveSettings(Settings()))
        state = await StateStore.open(database, clock)
        await journal.accept(question(1))
        await journal.seen(ChannelId(1), MessageId(10))
        await store.set(scope, "temperature", "0.2", UserId(1), clock.now())
        await state.set("hash", "abc")
        await database.read(lambda c: c.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all())
        _damage(path, "garbage")
        database._worker._connected().dispose()
        assert await journal.accept(question(2))
        await drain(database)
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert [entry.question.id for entry in await journal.pending()] == [1, 2]
        assert await journal.last_seen() == {1: 10}
        store = await SettingsStore.open(database, LiveSettings(Settings()))
        stored = store.stored(scope, "temperature")
        assert stored is not None
        assert stored.value == 0.2
        assert (await StateStore.open(database, clock)).get("hash") == "abc"


async def test_a_database_of_a_newer_program_is_left_alone(path: Path, clock: FakeClock) -> None:
    async with open_database(path, clock) as database:
        await database.write(
            lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        )
    before = _content(path)
    with pytest.raises(ConfigurationError, match="newer version"):
        async with open_database(path, clock):
            pass
    assert _content(path) == before


async def test_a_database_of_other_software_is_left_alone(path: Path, clock: FakeClock) -> None:
    async with open_database(path, clock) as database:
        await database.write(lambda c: c.execute(text("DROP TABLE alembic_version")))
    with pytest.raises(ConfigurationError, match="other software"):
        async with open_database(path, clock):
            pass


@pytest.mark.parametrize("location", ["nonsense", "mysql://ann:pass@host/x", "oracle://x", "://"])
async def test_an_unusable_url_is_one_sentence_without_the_url(
    location: str, clock: FakeClock
) -> None:
    with pytest.raises(ConfigurationError, match="CLAWBOT_DATABASE_URL") as caught:
        async with open_database(location, clock):
            pass
    assert "ann:pass" not in str(caught.value)


async def test_a_path_that_is_no_file_is_one_sentence(tmp_path: Path, clock: FakeClock) -> None:
    for location in (Path(__file__) / "clawbot.db", tmp_path):
        with pytest.raises(ConfigurationError, match="database"):
            async with open_database(location, clock):
                pass


async def test_work_that_fails_does_not_take_others_with_it(database: Database) -> None:
    def insert(key: str) -> object:
        statement = text("INSERT INTO state VALUES (:key, '1', 0)")
        return lambda c: c.execute(statement, {"key": key})

    results = await asyncio.gather(
        *(database.write(insert(key)) for key in ("a", "b", "a", "c")),  # type: ignore[arg-type]
        return_exceptions=True,
    )
    assert [isinstance(result, StoreError) for result in results] == [False, False, True, False]
    assert not database.is_degraded
    keys = await database.read(lambda c: c.execute(text("SELECT key FROM state")).scalars().all())
    assert sorted(keys) == ["a", "b", "c"]


async def test_a_fault_in_our_own_work_is_not_hidden(database: Database) -> None:
    def broken(_connection: Connection) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(broken)
    assert not database.is_degraded


async def test_after_closing_it_says_so(path: Path, clock: FakeClock) -> None:
    async with open_database(path, clock) as database:
        pass
    with pytest.raises(StoreError):
        await database.write(lambda _c: None)
    with pytest.raises(StoreError):
        await database.read(lambda _c: None)


async def test_a_disk_that_hangs_does_not_hold_up_the_answers(path: Path, clock: FakeClock) -> None:
    is_free = threading.Event()
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        hanging = asyncio.create_task(database.write(lambda _c: is_free.wait()))
        await settle()
        database._limit_s = 0
        assert await journal.accept(question(1))
        assert await journal.start(QuestionId(1)) == 1
        assert database.is_degraded
        await clock.advance(30)
        assert database.stuck_s == pytest.approx(30)
        database._limit_s = 10
        is_free.set()
        assert await hanging
        assert database.stuck_s == 0
        await clock.advance(60)
        await until_recovered(database, clock)
    async with open_database(path, clock) as database:
        entry = await (await SqlJournal.open(database, clock, 30)).entry(QuestionId(1))
        assert entry is not None
        assert entry.attempts == 1


async def test_who_waits_for_long_tells_of_it_before_the_limit(
    path: Path, clock: FakeClock
) -> None:
    is_free, is_told = threading.Event(), asyncio.Event()
    async with open_database(path, clock, on_fault=is_told.set) as database:
        waiting = asyncio.create_task(database.write(lambda _c: is_free.wait()))
        try:
            async with asyncio.timeout(9):  # the limit is 10
                await is_told.wait()
            assert not waiting.done()
            assert not database.is_degraded
        finally:
            is_free.set()
        assert await waiting


async def test_the_end_does_not_wait_for_a_disk_that_hangs(path: Path, clock: FakeClock) -> None:
    is_free = threading.Event()
    database = Database(Worker(parse_location(path), clock), clock)
    await database.start()
    database._limit_s = 0
    with pytest.raises(StoreError):
        await database.write(lambda _c: is_free.wait())
    database._limit_s = 3600
    try:
        async with asyncio.timeout(20):
            await database.close()
    finally:
        is_free.set()


async def test_what_waits_behind_a_disk_that_hangs_is_not_begun_after_the_end(
    path: Path, clock: FakeClock
) -> None:
    is_free, failures = threading.Event(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    database = Database(Worker(parse_location(path), clock), clock)
    await database.start()
    database._limit_s = 0
    works = (lambda _c: is_free.wait(), lambda _c: None)
    writing = [asyncio.create_task(database.write(work)) for work in works]
    ends = await asyncio.gather(*writing, return_exceptions=True)
    assert [type(end) for end in ends] == [StoreError, StoreError]
    commit = database._commit
    assert commit is not None
    await database.close()
    is_free.set()
    await asyncio.wait((commit,))
    await settle()
    assert failures == []


class _SlowlyRewritten(Worker):
    """The database of a large file: rewriting it takes as long as the test wants."""

    is_free = threading.Event()

    def overwrite_deleted(self) -> bool:
        """Take a while."""
        self.is_free.wait(20)
        return super().overwrite_deleted()


async def test_who_comes_while_a_large_file_is_rewritten_waits_for_it(
    path: Path, clock: FakeClock
) -> None:
    worker = _SlowlyRewritten(parse_location(path), clock)
    database = Database(worker, clock, limit_s=10)
    await database.start()
    rewriting = asyncio.create_task(database.overwrite_deleted())
    await settle()
    database._limit_s = 0
    reading = asyncio.create_task(database.read(lambda _c: "read"))
    writing = asyncio.create_task(database.write(lambda _c: "written"))
    await asyncio.wait({reading, writing}, timeout=0.01)
    assert not database.is_degraded
    database._limit_s = 10
    worker.is_free.set()
    assert await rewriting
    assert (await reading, await writing) == ("read", "written")
    assert not database.is_degraded
    await database.close()


async def test_files_are_for_their_owner_only(database: Database, path: Path) -> None:
    journal = await SqlJournal.open(database, FakeClock(), 30)
    await journal.accept(question(1))
    if sys.platform != "win32":
        modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in path.parent.glob("clawbot.db*")}
        assert set(modes.values()) == {0o600}, modes
        assert len(modes) == 3


async def test_a_write_that_fails_after_its_caller_was_cut_off_is_no_complaint(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def fail(_connection: Connection) -> None:
        begun.set()
        may_end.wait(20)
        raise StoreError("full")

    async with open_database(path, clock) as database:
        writing = asyncio.create_task(database.write(fail))
        await asyncio.to_thread(begun.wait, 20)
        writing.cancel()
        await asyncio.wait((writing,))
        may_end.set()
        assert database._commit is not None
        await asyncio.wait((database._commit,))
        await settle()
    del writing  # whose traceback holds what it waited for
    gc.collect()
    assert "never retrieved" not in caplog.text
