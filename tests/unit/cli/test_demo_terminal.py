"""Text that grows in place, and commands as a person types them."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.demo.answers import canned
from bot.demo.terminal import Terminal, parse_command


def on_screen(written: str) -> list[str]:
    """Return the rows that a terminal of 80 columns shows after all that was written."""
    rows, row, column = [""], 0, 0
    index = 0
    while index < len(written):
        ch = written[index]
        if written.startswith("\x1b[J", index):
            rows = [*rows[:row], rows[row][:column]]
            index += 3
            continue
        if ch == "\x1b":
            end = written.index("A", index)
            row -= int(written[index + 2 : end])
            index = end + 1
            continue
        if ch == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif ch == "\r":
            column = 0
        else:
            if column == 80:
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            rows[row] = rows[row][:column] + ch + rows[row][column + 1 :]
            column += 1
        index += 1
    return rows


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test a terminal of 80 by 24."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")


def test_a_message_grows_by_what_is_new() -> None:
    out = io.StringIO()
    terminal = Terminal(out, is_live=True)
    for text in ("Hel", "Hello", "Hello you"):
        terminal.grow("bot ", text)
    terminal.settle()
    assert out.getvalue() == "bot Hello you\n"


SHORT_LINES = st.text("ab \n", min_size=1, max_size=18)
LONG_LINE = st.text("ab", min_size=1, max_size=400)


@given(st.lists(SHORT_LINES | LONG_LINE, min_size=1, max_size=5))
def test_the_screen_shows_the_last_state(texts: list[str]) -> None:
    out = io.StringIO()
    terminal = Terminal(out, is_live=True)
    terminal.line("before")
    for text in texts:
        terminal.grow("bot ", text)
    assert on_screen(out.getvalue()) == on_screen(f"before\nbot {texts[-1]}")


def test_a_pipe_gets_each_message_once() -> None:
    out = io.StringIO()
    terminal = Terminal(out, is_live=False)
    terminal.prompt("you ")
    for text in ("reading", "Hello", "Hello you"):
        terminal.grow("bot ", text)
    terminal.settle()
    terminal.settle()
    assert out.getvalue() == "bot Hello you\n"


def test_a_model_cannot_move_the_cursor() -> None:
    out = io.StringIO()
    terminal = Terminal(out, is_live=True)
    terminal.grow("bot ", "a\x1b[2Jb\rc\nd")
    assert out.getvalue() == "bot a\\x1b[2Jb\\rc\nd"


@pytest.mark.parametrize(
    ("line", "name", "options"),
    [
        ("/help", "help", {}),
        (
            "/config set setting:temperature value:0.31",
            "config set",
            {"setting": "temperature", "value": "0.31"},
        ),
        ("/ask prompt:what is  a cache?", "ask", {"prompt": "what is  a cache?"}),
        ("/ask prompt:see http://a.b/c", "ask", {"prompt": "see http://a.b/c"}),
        ("/ask prompt: spaced ", "ask", {"prompt": "spaced"}),
        ("  /stop ", "stop", {}),
        ("/", "", {}),
    ],
)
def test_a_command_is_split_into_name_and_options(
    line: str, name: str, options: dict[str, str]
) -> None:
    assert parse_command(line) == (name, options)


@given(st.text())
def test_any_line_can_be_split(text: str) -> None:
    name, options = parse_command("/" + text)
    assert isinstance(name, str)
    assert isinstance(options, dict)


def test_the_stand_in_always_has_something_to_say() -> None:
    assert "```python" in canned("some CODE please").text
    assert len(canned("a long answer").text) > 2000
    assert "canned" in canned("").text
