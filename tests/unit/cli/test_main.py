"""The command line: commands, exit codes, and the sentence at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot import __version__
from bot.cli import _fail, main
from bot.core.errors import ConfigurationError, DependencyError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every test where there is no settings file."""
    monkeypatch.chdir(tmp_path)


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the last line on standard error."""
    return capsys.readouterr().err.rstrip("\n").rpartition("\n")[2]


PRESSED = """
import sys
from bot.__main__ import main
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Press())
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("config.settings", []),
        ("bot.ops.check", ["check"]),
        ("bot.ops.check", ["check", "--json"]),
        ("bot.ops.first_setup", ["init"]),
        ("bot.demo.run", ["demo"]),
    ],
)
def test_ctrl_c_amid_the_first_imports_is_told_by_the_exit_code_alone(
    module: str, arguments: list[str]
) -> None:
    pressed = PRESSED.replace("{module}", module)
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", pressed, *arguments], cwd=ROOT, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


HANGING = """
import sys, threading
from bot.__main__ import main
threading.Thread(target=threading.Event().wait).start()
sys.exit(main())
"""


def test_a_thread_that_hangs_keeps_no_process(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", HANGING, "run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
    )
    assert done.returncode == 78
    assert "DISCORD_TOKEN: is not set" in done.stderr


def test_a_set_up_without_an_input_asks_nobody() -> None:
    started = f'exec "{sys.executable}" -m bot init <&-'
    done = subprocess.run(  # noqa: S603 - our own code
        ["/bin/sh", "-c", started],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (130, "\nclawbot: stopped; nothing was written\n")


@pytest.mark.parametrize("arguments", [[], ["run"]])
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
    monkeypatch.setenv("DISCORD_TOKEN", f"{'a' * 24}.{'b' * 6}.{'c' * 38}")
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


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ConfigurationError("The key is bent."), 78),
        (DependencyError("The key is bent."), 69),
        (
            ExceptionGroup(
                "", [OSError(), ExceptionGroup("", [DependencyError("The key is bent.")])]
            ),
            69,
        ),
    ],
)
def test_a_failed_start_ends_in_its_sentence(
    failure: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _fail(failure) == code
    assert capsys.readouterr().err == "clawbot: The key is bent.\n"


def test_a_crash_is_logged_and_ends_in_a_sentence_too(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert _fail(RuntimeError("planted-detail")) == 1
    line = last_line(capsys)
    assert line.startswith("clawbot: ended by a failure of its own; the log has the details")
    assert "RuntimeError" not in line
    assert "planted-detail" in caplog.text


def test_a_reader_that_leaves_early_is_no_failure(tmp_path: Path) -> None:
    """``clawbot check | head -1``: quiet, and the exit code is still that of what was found."""
    environment = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("CLAWBOT_", "DISCORD_", "LMSTUDIO_"))
    }
    environment |= {"PYTHONPATH": str(ROOT), "LMSTUDIO_BASE_URL": "http://127.0.0.1:9"}
    with subprocess.Popen(
        [sys.executable, "-m", "bot", "check"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        printed = process.stderr.read()
        assert process.wait() == 78
    assert "Traceback" not in printed
    assert "BrokenPipe" not in printed
