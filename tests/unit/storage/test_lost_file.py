"""A database's file that is deleted, moved, overwritten or replaced under the running bot."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from bot.core.domain import ChannelId, GuildId, MessageId, QuestionId, UserId
from bot.core.ports import Outcome
from bot.storage.database import WATCH_S, Database, open_database
from bot.storage.journal import SqlJournal
from bot.storage.setting_types import Scope
from bot.storage.settings_store import SettingsStore
from bot.storage.state import StateStore
from config.settings import LiveSettings, Settings
from tests.support.clock import FakeClock, settle
from tests.unit.storage.questions import question
from tests.unit.storage.recovery import drain, errors_in, until_recovered

GUILD = Scope.in_guild(GuildId(7))


def _files(path: Path) -> list[Path]:
    return sorted(path.parent.glob("clawbot.db*"))


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _deleted(path: Path) -> None:
    for file in _files(path):
        file.unlink()


def _only_the_file_deleted(path: Path) -> None:
    path.unlink()


def _log_deleted(path: Path) -> None:
    path.with_name("clawbot.db-wal").unlink()


def _moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def _moved_back(path: Path) -> None:
    path.with_name("elsewhere.db").rename(path)


def _folder_removed(path: Path) -> None:
    shutil.rmtree(path.parent)


def _truncated(path: Path) -> None:
    os.truncate(path, 0)


def _replaced_by_nothing(path: Path) -> None:
    other = path.with_name("other")
    other.touch()
    other.replace(path)


def _replaced_by_garbage(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"this is no database" * 1000)
    other.replace(path)


def _a_moment_later(log: Path) -> None:
    """Let a change be later than the one before, which a file's time may not tell within some ms."""
    changed_ns = log.stat().st_mtime_ns
    os.utime(log, ns=(changed_ns, changed_ns + 10_000_000))


def _log_overwritten(path: Path) -> None:
    log = path.with_name("clawbot.db-wal")
    with log.open("r+b") as file:
        file.write(b"garbage " * (log.stat().st_size // 8))
    _a_moment_later(log)


def _log_emptied(path: Path) -> None:
    os.truncate(path.with_name("clawbot.db-wal"), 0)


def _one_byte_of_the_log_changed(path: Path) -> None:
    log = path.with_name("clawbot.db-wal")
    with log.open("r+b") as file:
        file.seek(32 + 24 + 4096 + 500)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    _a_moment_later(log)


def _end_of_the_log_overwritten(path: Path) -> None:
    log = path.with_name("clawbot.db-wal")
    with log.open("r+b") as file:
        file.seek(-5000, os.SEEK_END)
        file.write(b"garbage " * 625)
    _a_moment_later(log)


WAYS = [
    _deleted,
    _only_the_file_deleted,
    _log_deleted,
    _moved,
    _folder_removed,
    _truncated,
    _replaced_by_nothing,
    _replaced_by_garbage,
    _log_overwritten,
    _log_emptied,
    _one_byte_of_the_log_changed,
    _end_of_the_log_overwritten,
]
LOSING = (_truncated, *WAYS[-4:])
"""Of these only what was in memory is left for sure."""


def _in_a_folder_of_its_own(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "clawbot.db"


async def _settings(database: Database) -> SettingsStore:
    return await SettingsStore.open(database, LiveSettings(Settings()))


def _what_a_kill_leaves(path: Path, target: Path) -> Path:
    """Copy the files as they are on the disk now."""
    target.mkdir()
    for file in (path, path.with_name("clawbot.db-wal")):
        if file.exists():
            shutil.copy(file, target / file.name)
    return target / path.name


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
async def test_nothing_accepted_is_lost_at_a_kill_after_the_file_was_lost(
    tmp_path: Path, clock: FakeClock, way: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = _in_a_folder_of_its_own(tmp_path)
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        store = await _settings(database)
        state = await StateStore.open(database, clock)
        assert await journal.accept(question(1))
        assert await journal.accept(question(2))
        await journal.answered(QuestionId(2), ["Yes."], thinking="Hm.")
        await journal.close(QuestionId(2), Outcome.DELIVERED)
        await journal.seen(ChannelId(1), MessageId(10))
        await store.set(GUILD, "temperature", "0.2", UserId(1), clock.now())
        await state.set("hash", "abc")
        way(path)
        assert await journal.accept(question(3))
        await drain(database)
        async with open_database(_what_a_kill_leaves(path, tmp_path / "copy"), clock) as killed:
            left = await SqlJournal.open(killed, clock, 30)
            assert [entry.question.id for entry in await left.pending()] == [1, 3]
            stored = (await _settings(killed)).stored(GUILD, "temperature")
            assert stored is not None
            assert stored.value == 0.2
            assert (await StateStore.open(killed, clock)).get("hash") == "abc"
            if way not in LOSING:
                answered = await left.entry(QuestionId(2))
                assert answered is not None
                assert answered.thinking == "Hm."
                assert await (await _settings(killed)).history()
        assert not database.is_degraded
    assert len(errors_in(caplog)) == 1, errors_in(caplog)


async def test_a_deleted_file_is_noticed_while_nobody_writes(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert await journal.accept(question(1))
        _deleted(path)
        await clock.advance(WATCH_S)
        while not errors_in(caplog):
            await settle()
        await drain(database)
        assert _mode(path) == 0o600


async def test_a_file_deleted_between_the_look_and_the_commit_costs_nothing(
    path: Path, clock: FakeClock, tmp_path: Path
) -> None:
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        await journal.accept(question(1))
        await database.write(lambda _connection: _deleted(path))
        await drain(database)
        async with open_database(_what_a_kill_leaves(path, tmp_path / "copy"), clock) as killed:
            left = await SqlJournal.open(killed, clock, 30)
            assert len(await left.pending()) == 1


async def test_a_backup_put_in_place_is_used_and_what_it_replaced_is_kept(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    channel = Scope.in_channel(ChannelId(70), GuildId(7))
    async with open_database(path, clock) as database:
        store = await _settings(database)
        await store.set(channel, "temperature", "0.1", UserId(1), clock.now())
    _moved(path)
    async with open_database(path, clock) as database:
        store = await _settings(database)
        journal = await SqlJournal.open(database, clock, 30)
        await store.set(GUILD, "temperature", "0.2", UserId(1), clock.now())
        _moved_back(path)
        assert await journal.accept(question(1))
        await drain(database)
        assert [s.value for s in (store.stored(channel, "temperature"),) if s] == [0.1]
        kept = [file for file in _files(path) if ".replaced-" in file.name]
        assert len(kept) == 1
        assert kept[0].name in errors_in(caplog)[-1]
    async with open_database(path, clock) as database:
        store = await _settings(database)
        values = [store.stored(scope, "temperature") for scope in (channel, GUILD)]
        assert [one.value for one in values if one] == [0.1, 0.2]
        assert len(await (await SqlJournal.open(database, clock, 30)).pending()) == 1
    async with open_database(kept[0], clock) as database:
        assert (await _settings(database)).stored(GUILD, "temperature") is not None


@pytest.mark.parametrize("is_found_before", [False, True])
async def test_a_change_begins_at_what_memory_holds_where_another_database_is_found(
    path: Path, clock: FakeClock, is_found_before: bool
) -> None:
    def with_four(stored: object) -> object:
        return [*(stored if isinstance(stored, list) else ()), 4]

    async with open_database(path, clock) as database:
        await (await StateStore.open(database, clock)).set("a", [1])
    _moved(path)
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        state = await StateStore.open(database, clock)
        await state.set("a", [1, 2, 3])
        _moved_back(path)
        if is_found_before:
            await journal.accept(question(1))
        assert await state.change("a", with_four) == state.get("a") == [1, 2, 3, 4]
        await drain(database)
        assert await state.change("a", with_four) == [1, 2, 3, 4, 4]
    async with open_database(path, clock) as database:
        assert (await StateStore.open(database, clock)).get("a") == [1, 2, 3, 4, 4]


async def test_a_file_that_cant_be_made_again_yet_is_made_as_soon_as_it_can(
    tmp_path: Path, clock: FakeClock
) -> None:
    path = _in_a_folder_of_its_own(tmp_path)
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert await journal.accept(question(1))
        shutil.rmtree(path.parent)
        path.parent.write_text("a file in the folder's place")
        assert await journal.accept(question(2))
        assert database.is_degraded
        path.parent.unlink()
        await until_recovered(database, clock)
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert [entry.question.id for entry in await journal.pending()] == [1, 2]


async def test_an_overwritten_log_is_noticed_while_nobody_writes_and_its_file_is_kept(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert await journal.accept(question(1))
        _log_overwritten(path)
        await clock.advance(WATCH_S)
        while not errors_in(caplog):
            await settle()
        await drain(database)
        (kept,) = path.parent.glob("clawbot.db.lost-*-wal")
        assert kept.name in errors_in(caplog)[0]
        assert database.state


async def test_what_another_program_writes_in_order_is_no_damage(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert await journal.accept(question(1))
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE state SET value = value")
            other.execute("CREATE TABLE theirs (x)")
        assert await journal.accept(question(2))
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        assert await journal.accept(question(3))
        await drain(database)
    assert not errors_in(caplog)


async def test_an_ended_question_stays_ended_where_it_comes_again_as_the_file_is_lost(
    tmp_path: Path, clock: FakeClock
) -> None:
    path = tmp_path / "clawbot.db"
    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert await journal.accept(question(1))
        await journal.close(QuestionId(1), Outcome.DELIVERED)
        _deleted(path)
        assert not await journal.accept(question(1))
        entry = await journal.entry(QuestionId(1))
        assert entry is not None
        assert entry.outcome is Outcome.DELIVERED
        assert await journal.pending() == []


async def test_nothing_is_lost_where_the_log_goes_first_and_the_rest_while_that_is_mended(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "clawbot.db"

    def delete_the_rest(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "wal_checkpoint" in statement:
            _deleted(path)

    async with open_database(path, clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        assert await journal.accept(question(1))
        await journal.close(QuestionId(1), Outcome.DELIVERED)
        await drain(database)
        event.listen(Engine, "after_cursor_execute", delete_the_rest)
        try:
            _log_deleted(path)
            assert not await journal.accept(question(1))
        finally:
            event.remove(Engine, "after_cursor_execute", delete_the_rest)
        assert not await journal.accept(question(1))
    assert path.exists()
    assert errors_in(caplog)
