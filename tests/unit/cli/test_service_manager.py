"""What systemd is told, and the unit that it is given."""

from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import ConfigurationError, DependencyError
from bot.ops.service_manager import (
    ALIVE,
    READY,
    Unit,
    hidden_from_services,
    install,
    tell,
    unit_for,
)
from config.loader import load_settings


def unit(folder: Path, *, user: str | None = "ada") -> Unit:
    """Return a unit for a program in a folder."""
    return Unit(folder / "bin/clawbot", folder, (folder / "data",), user)


def test_a_manager_that_listens_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        tell(READY)
        tell(ALIVE)
        assert [manager.recv(64), manager.recv(64)] == [b"READY=1", b"WATCHDOG=1"]


def test_a_manager_without_a_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")  # Linux gives it a name of its own
        name = manager.getsockname().decode()
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name[1:]}")
        tell(READY)
        assert manager.recv(64) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"])
def test_without_a_manager_nothing_happens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    tell(READY)


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), min_size=1))
def test_no_path_becomes_another_setting_or_word(name: str) -> None:
    text = unit(Path("/srv") / name.replace("/", "_")).text
    (command,) = [line for line in text.split("\n") if line.startswith("ExecStart=")]
    assert read_word(command.removeprefix("ExecStart=").replace("$$", "$")) == (
        str(Path("/srv") / name.replace("/", "_") / "bin/clawbot"),
        " run",
    )
    assert len(text.split("\n")) == len(unit(Path("/srv/x")).text.split("\n"))


def read_word(text: str) -> tuple[str, str]:
    """Read a quoted word as systemd does, and return it with what follows."""
    assert text[0] == '"'
    word, rest = "", text[1:]
    while not rest.startswith('"'):
        taken = 2 if rest[:2] in {"\\\\", '\\"', "%%"} else 1
        word, rest = word + rest[taken - 1], rest[taken:]
    return word, rest[1:]


def unit_with(folder: Path, config: str | None = None, **environment: str) -> Unit:
    """Return the machine's unit for a program in a folder, with these settings."""
    settings = load_settings(environment).settings
    return unit_for(folder / "bin/clawbot", folder, settings, config, for_user=False)


@pytest.fixture
def owned(tmp_path: Path) -> Path:
    """A folder that isn't root's."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 65534, -1)
    return tmp_path


def test_the_service_may_write_its_database_and_its_log(owned: Path, tmp_path: Path) -> None:
    log = tmp_path / "logs/of the bot/clawbot.log"
    both = unit_with(owned, CLAWBOT_LOGGING__FILE=str(log))
    install(dataclasses.replace(both, user=None))
    assert f'ReadWritePaths="{owned / "data"}" "{log.parent}"\n' in both.text
    assert log.parent.is_dir()
    inside = unit_with(owned, CLAWBOT_LOGGING__FILE="data/logs/clawbot.log")
    assert f'ReadWritePaths="{owned / "data"}"\n' in inside.text


@pytest.mark.parametrize("log", ["clawbot.log", "bin/clawbot.log", "../clawbot.log"])
def test_the_service_may_not_write_its_own_program(owned: Path, log: str) -> None:
    with pytest.raises(ConfigurationError, match="may not write where its program"):
        unit_with(owned, CLAWBOT_LOGGING__FILE=log)


def test_the_service_reads_the_settings_file_that_is_named(owned: Path) -> None:
    text = unit_with(owned, "my $ettings.json").text
    (command,) = [line for line in text.split("\n") if line.startswith("ExecStart=")]
    assert command.endswith(f'clawbot" run --config "{owned}/my $$ettings.json"')


def test_what_only_the_shell_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLAWBOT_DATA_DIR", "LMSTUDIO_MODEL", "CLAWBOT_CONFIG"):
        monkeypatch.setenv(name, "a")
    monkeypatch.setenv("CLAWBOT_OWNER_IDS", "")
    known = {"LMSTUDIO_MODEL": "a"}
    assert hidden_from_services(known) == ["CLAWBOT_CONFIG", "CLAWBOT_DATA_DIR"]


def test_a_unit_of_ones_own_lies_where_the_session_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own = unit(tmp_path, user=None)
    install(own)
    assert (tmp_path / "config/systemd/user/clawbot.service").read_text() == own.text
    assert "User=" not in own.text
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cant_be_made_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("a file in the way")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with pytest.raises(DependencyError, match="can't be written"):
        install(unit(tmp_path, user=None))
