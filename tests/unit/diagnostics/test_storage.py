"""The data folder before a start, and what a running bot's owners are told of it."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from pathlib import Path

import pytest

from bot.diagnostics.storage import folder_findings, storage_findings
from bot.diagnostics.values import Finding, Status
from bot.storage.database import DATABASE_FILE, open_database
from bot.storage.inspection import state_of
from bot.storage.state import StateStore
from config.settings import StoreSettings
from tests.support.clock import FakeClock


def _findings(folder: Path, **more: int) -> tuple[Finding, ...]:
    settings = StoreSettings.model_validate({"data_dir": folder, "reserve_mib": 0, **more})
    return folder_findings(settings, DATABASE_FILE)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A folder that a bot has used."""
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    async with open_database(made / DATABASE_FILE, FakeClock()) as database:
        await (await StateStore.open(database, FakeClock())).set("hash", "abc")
    return made


def test_a_folder_in_order_or_still_to_be_made_is_well(folder: Path) -> None:
    for where in (folder, folder.parent / "not" / "yet"):
        assert [finding.status for finding in _findings(where)] == [Status.OK]
    assert not (folder.parent / "not").exists()


def test_looking_changes_nothing(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    _findings(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_folder_open_to_others_is_said_with_the_command_that_closes_it(folder: Path) -> None:
    folder.chmod(0o755)
    found = _findings(folder)
    if sys.platform != "win32":
        assert [finding.status for finding in found] == [Status.WARNING]
        assert f"chmod 700 {folder}" in found[0].advice


def test_a_file_in_the_folders_place_is_said(folder: Path) -> None:
    for where in (folder / DATABASE_FILE, folder / DATABASE_FILE / "below"):
        assert [finding.status for finding in _findings(where)] == [Status.FAILED]


@pytest.mark.parametrize("garbage", [b"this is no database" * 1000, b"\xa5" * 8192])
def test_a_damaged_database_is_said_before_a_start_sets_it_aside(
    folder: Path, garbage: bytes
) -> None:
    database = folder / DATABASE_FILE
    database.write_bytes(database.read_bytes()[:100] + garbage)
    (finding,) = _findings(folder)
    assert finding.status is Status.FAILED
    assert "damaged" in finding.cause
    assert "backup" in finding.advice


def test_an_empty_file_is_said_before_a_start_begins_anew_in_it(folder: Path) -> None:
    (folder / DATABASE_FILE).write_bytes(b"")
    (finding,) = _findings(folder)
    assert finding.status is Status.WARNING
    assert "is empty" in finding.cause
    assert "backup" in finding.advice


async def test_a_start_in_an_empty_file_says_so_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / DATABASE_FILE).write_bytes(b"")
    for _ in range(2):
        async with open_database(folder / DATABASE_FILE, FakeClock()):
            pass
    assert caplog.text.count("was empty") == 1


def test_a_link_that_leads_nowhere_is_said(folder: Path) -> None:
    database = folder / DATABASE_FILE
    database.unlink()
    database.symlink_to(folder / "nothing" / "there")
    (finding,) = _findings(folder)
    assert finding.status is Status.FAILED
    assert "leads nowhere" in finding.cause


def test_a_name_that_is_no_folder_on_the_way_to_it_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert state_of(tmp_path / ("x" * 300), "servers") is None
    assert state_of(tmp_path / "file" / DATABASE_FILE, "servers") is None


def test_a_place_where_no_folder_can_be_made_keeps_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    kernel = Path("/proc")  # takes no folders, whatever its mode says
    for place in filter(Path.exists, (file, kernel)):
        (finding,) = folder_findings(StoreSettings(data_dir=place / "no" / "data"), DATABASE_FILE)
        assert finding.status is Status.FAILED
        assert "can't be made" in finding.cause


def test_a_damaged_log_is_told_from_a_damaged_database(folder: Path) -> None:
    (folder / f"{DATABASE_FILE}-wal").write_bytes(b"this is no log" * 1000)
    (finding,) = _findings(folder)
    assert finding.status is Status.WARNING
    assert "log is damaged" in finding.cause


def test_what_was_set_aside_is_said_until_a_person_has_seen_to_it(folder: Path) -> None:
    kept = folder / f"{DATABASE_FILE}.damaged-20260101T000000000000"
    kept.touch()
    (finding,) = _findings(folder)
    assert finding.status is Status.WARNING
    assert kept.name in finding.cause
    kept.unlink()
    assert [finding.status for finding in _findings(folder)] == [Status.OK]


def test_a_disk_that_is_nearly_full_is_said_also_before_the_first_start(folder: Path) -> None:
    for where in (folder, folder.parent / "not" / "yet"):
        (finding,) = _findings(where, reserve_mib=1_048_576)
        assert finding.status is Status.WARNING
        assert "MiB left" in finding.cause


def test_owners_are_told_what_the_database_says_of_itself() -> None:
    assert [finding.status for finding in storage_findings([])] == [Status.OK]
    (finding,) = storage_findings(["The database can't be written."])
    assert (finding.status, finding.cause) == (Status.WARNING, "The database can't be written.")


def test_a_database_of_a_newer_version_is_said_before_a_start_refuses_it(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / DATABASE_FILE)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    (found,) = _findings(folder)
    assert found.status is Status.FAILED
    assert "newer version" in found.cause


def test_a_folder_in_the_databases_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "data" / DATABASE_FILE).mkdir(parents=True)
    (tmp_path / "data").chmod(0o700)
    assert [finding.status for finding in _findings(tmp_path / "data")] == [Status.FAILED]
