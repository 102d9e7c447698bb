"""systemd reads the unit without a word, and calls it closed in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bot.ops.service_manager import Unit

MOST_EXPOSURE = 20
"""Tenths of systemd's own figure, of which 100 is a service without any bounds."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The machine's unit for a program in a folder with an unusual name."""
    folder = tmp_path / "my bot 100 %"
    (folder / "bin").mkdir(parents=True)
    shutil.copy("/bin/true", folder / "bin/clawbot")
    unit = Unit(folder / "bin/clawbot", folder, (folder / "data",), "ada", folder / "a $.json")
    written = tmp_path / "clawbot.service"
    written.write_text(unit.text, encoding="utf-8")
    return written


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``systemd-analyze``."""
    return subprocess.run(  # noqa: S603
        ["systemd-analyze", *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_it_has_nothing_to_say_against_the_unit(file: Path) -> None:
    done = analyze("verify", str(file))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_is_closed_in(file: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(file))
    assert done.returncode == 0, done.stdout
