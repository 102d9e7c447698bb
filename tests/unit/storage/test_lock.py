"""One process per data folder."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bot.core.errors import ConfigurationError, DependencyError
from bot.storage.lock import LOCK_NAME, LOOK_S, HeldFolder, data_folder
from tests.support.clock import FakeClock

HOLD = """
import sys
from pathlib import Path
from bot.storage.lock import data_folder
with data_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    with data_folder(tmp_path / "a" / "data") as held:
        folder = held.path
        assert folder.is_dir()
        if sys.platform != "win32":
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert stat.S_IMODE((folder / LOCK_NAME).stat().st_mode) == 0o600


def test_a_second_one_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with (
        data_folder(tmp_path),
        pytest.raises(DependencyError, match="already running"),
        data_folder(tmp_path),
    ):
        pass
    with data_folder(tmp_path):
        pass


def test_another_process_is_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - this interpreter, this file's script
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == b"held"
        with pytest.raises(DependencyError), data_folder(tmp_path):
            pass
        child.kill()
    with data_folder(tmp_path):
        pass


def test_a_lock_file_that_was_deleted_is_made_and_held_again(tmp_path: Path) -> None:
    with data_folder(tmp_path) as held:
        held.keep()
        for _ in range(2):
            (tmp_path / LOCK_NAME).unlink()
            held.keep()
            with pytest.raises(DependencyError), data_folder(tmp_path):
                pass
    with data_folder(tmp_path):
        pass


def test_who_lost_the_folder_to_another_process_ends(tmp_path: Path) -> None:
    with data_folder(tmp_path) as held:
        (tmp_path / LOCK_NAME).unlink()
        with data_folder(tmp_path), pytest.raises(DependencyError, match="this one ends"):
            held.keep()
        held.keep()


async def test_a_look_that_hangs_holds_up_neither_the_loop_nor_a_further_thread(
    tmp_path: Path, clock: FakeClock
) -> None:
    goes_on = threading.Event()
    looks: list[str] = []

    class Hanging(HeldFolder):
        def keep(self) -> None:
            looks.append(threading.current_thread().name)
            goes_on.wait(20)
            raise DependencyError("lost")

    watching = asyncio.create_task(Hanging(tmp_path).watch(clock))
    await clock.advance(10 * LOOK_S)
    assert looks == ["lock"]
    goes_on.set()
    with pytest.raises(DependencyError, match="lost"):
        await watching


def test_a_file_system_that_numbers_the_same_file_anew_takes_the_folder_from_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with data_folder(tmp_path) as held:
        with monkeypatch.context() as changed:
            changed.setattr(os.path, "samestat", lambda *_: False)
            held.keep()
            held.keep()
        with pytest.raises(DependencyError), data_folder(tmp_path):
            pass
    assert caplog.text == ""


def test_a_file_in_the_folders_place_is_one_sentence(tmp_path: Path) -> None:
    blocker = tmp_path / "data"
    blocker.write_text("")
    with pytest.raises(ConfigurationError, match="CLAWBOT_DATA_DIR"), data_folder(blocker):
        pass


if sys.platform == "linux":

    def test_a_folder_where_nothing_can_be_made_is_not_called_missing() -> None:
        with pytest.raises(ConfigurationError) as caught, data_folder(Path("/sys/kernel")):
            pass
        assert "No such file" not in str(caught.value)
        assert "permissions" in str(caught.value)
