"""The command line: commands, exit codes, and the sentence at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import __version__
from bot.__main__ import main


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every test where there is no settings file."""
    monkeypatch.chdir(tmp_path)


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the last line on standard error."""
    return capsys.readouterr().err.rstrip("\n").rpartition("\n")[2]


@pytest.mark.parametrize("arguments", [[], ["run"], ["check"]])
def test_a_missing_token_is_a_configuration_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 78
    assert last_line(capsys).startswith("clawbot: DISCORD_TOKEN: is not set")


def test_all_problems_are_printed_one_line_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMSTUDIO_URL", "x")
    monkeypatch.setenv("CLAWBOT_CHAT__TEMPERATURE", "hot")
    assert main(["run"]) == 78
    printed = capsys.readouterr().err.splitlines()
    assert printed[0] == "clawbot: 3 problems in the settings:"
    assert len(printed) == 4


@pytest.mark.parametrize(
    "arguments", [["--config", "x.json", "run"], ["run", "--config", "x.json"]]
)
def test_the_settings_file_may_be_named_before_and_after_the_command(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "t")
    assert main(arguments) == 78
    assert last_line(capsys) == "clawbot: x.json: there is no such file"


def test_a_wrong_command_line_is_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sing"])
    assert ended.value.code == 2


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"clawbot {__version__}\n"
