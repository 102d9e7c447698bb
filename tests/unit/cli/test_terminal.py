"""What is printed for a person in front of a terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from bot.ops.check import refuse_as_json
from bot.ops.terminal import fitted, program

LINE = "  FAILED  Connection: Nothing listens at that port on the bot's own machine."


class Screen(io.StringIO):
    """An output that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_lines_break_between_words_at_the_terminals_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setenv("COLUMNS", "40")
    assert fitted(f"one\n{LINE}", 10).splitlines() == [
        "one",
        "  FAILED  Connection: Nothing listens at",
        "          that port on the bot's own",
        "          machine.",
    ]


def test_lines_stay_whole_where_a_program_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setenv("COLUMNS", "40")
    assert fitted(LINE, 10) == LINE


def test_json_for_a_program_is_one_line_at_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "40")
    refuse_as_json([LINE])
    assert screen.getvalue().count("\n") == 1


def test_the_program_is_called_as_a_person_calls_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "clawbot"
    installed.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(installed)])
    assert program() == str(installed)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == "clawbot"
    monkeypatch.setattr(sys, "argv", ["/somewhere/bot/__main__.py"])
    assert program() == "python -m bot"
