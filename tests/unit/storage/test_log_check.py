"""A log that a killed process left: what is sound, torn or old is no damage; the rest is said."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.domain import GuildId, UserId
from bot.storage.database import open_database
from bot.storage.log_file import read_log
from bot.storage.setting_types import Scope
from bot.storage.settings_store import SettingsStore
from config.settings import LiveSettings, Settings
from tests.support.clock import FakeClock
from tests.unit.storage.recovery import errors_in

FRAME_BYTES = 24 + 4096


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A log with several commits, the last one over an older cycle's frames."""
    path = tmp_path_factory.mktemp("log") / "some.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (x)")
    for _ in range(20):
        connection.execute("INSERT INTO t VALUES (zeroblob(3000))")
    connection.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
    for _ in range(5):
        connection.execute("INSERT INTO t VALUES (zeroblob(3000))")
    content = path.with_name("some.db-wal").read_bytes()
    connection.close()
    return content


def _judge(tmp_path: Path, content: bytes) -> bool:
    file = tmp_path / "a-wal"
    file.write_bytes(content)
    return read_log(file).is_damaged


def test_a_log_of_a_kill_is_sound_wherever_it_ends(tmp_path: Path, log: bytes) -> None:
    assert not read_log(tmp_path / "nowhere").is_damaged
    assert len(log) > 20 * FRAME_BYTES
    for size in (0, 10, 32, 100, 32 + FRAME_BYTES, 32 + FRAME_BYTES * 3 + 500, len(log)):
        assert not _judge(tmp_path, log[:size])


@given(st.integers(0, 32 + 5 * FRAME_BYTES), st.integers(1, 255))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_changed_byte_among_the_commits_is_damage(
    tmp_path: Path, log: bytes, at: int, change: int
) -> None:
    damaged = bytearray(log)
    damaged[at] ^= change
    assert _judge(tmp_path, bytes(damaged))


async def test_settings_lost_with_a_damaged_log_are_said_and_the_log_is_kept(
    path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    copy = path.with_name("copy.db")
    async with open_database(path, clock) as database:
        store = await SettingsStore.open(database, LiveSettings(Settings()))
        for value in ("0.1", "0.2"):
            await store.set(
                Scope.in_guild(GuildId(7)), "temperature", value, UserId(1), clock.now()
            )
        _copy_damaged(path, copy)
    async with open_database(copy, clock) as database:
        await SettingsStore.open(database, LiveSettings(Settings()))
        assert "log was damaged" in errors_in(caplog)[0]
    assert "log was damaged" in caplog.text
    assert [file.name for file in copy.parent.glob("copy.db.damaged-*-wal")]


def _copy_damaged(path: Path, copy: Path) -> None:
    shutil.copy(path, copy)
    log = bytearray(path.with_name(path.name + "-wal").read_bytes())
    log[len(log) // 2] ^= 1
    copy.with_name(copy.name + "-wal").write_bytes(log)
