"""Paths as a terminal pastes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.demo.terminal.own_files import file_named, files_like, read_file
from sandbox.discord.checks.messages import MAX_FILE_BYTES


@pytest.fixture
def there(tmp_path: Path) -> Path:
    path = tmp_path / "it's my file.txt"
    path.write_text("text", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "pasted",
    ["{path}", '"{path}"', "{escaped}", "file://{url}"],
    ids=["plain", "in quotes", "with backslashes", "as an address"],
)
def test_a_pasted_path_is_known_as_its_file(there: Path, pasted: str) -> None:
    path = str(there)
    escaped = path.replace("'", r"\'").replace(" ", r"\ ")
    line = pasted.format(path=path, escaped=escaped, url=path.replace(" ", "%20"))
    assert file_named(line) == there


@pytest.mark.parametrize(
    "line", ["it's my file.txt", "/ask what?", "/", "'", "~", "/\0", "/" + "x" * 5000]
)
def test_other_text_is_no_file(line: str) -> None:
    assert file_named(line) is None


@given(st.text(max_size=200))
def test_any_line_can_be_looked_at(line: str) -> None:
    file_named(f"/{line}")
    files_like(f"/\x01{line}")


def test_what_discord_takes_no_more_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(OSError, match="10 MiB"):
        read_file(path)


def test_a_path_is_completed(there: Path) -> None:
    (there.parent / "folder").mkdir()
    assert files_like(f"{there.parent}/fo") == [f"{there.parent}/folder/"]
    assert files_like(f"{there.parent}/it") == [str(there)]
    assert files_like(f"{there.parent}/nothing/x") == []
