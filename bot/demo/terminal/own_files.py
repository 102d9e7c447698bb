"""Files of the person's own: as a terminal pastes their paths, and as one types them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from sandbox.discord.checks.messages import MAX_FILE_BYTES

MOST_SUGGESTED: Final = 50


def file_named(line: str) -> Path | None:
    """Return the file that a line is the whole path of, as dropped or pasted; ``None`` for any other text."""
    if not line.startswith(("/", "~", "'", '"', "file://")) and line[1:3] not in {":\\", ":/"}:
        return None
    text = unquote(urlsplit(line).path) if line.startswith("file://") else line
    for candidate in (text, _unquoted(text)):
        path = Path(candidate).expanduser()
        try:
            if path.is_absolute() and path.is_file():
                return path
        except (OSError, ValueError):  # too long for a path, or with a zero byte
            return None
    return None


def _unquoted(text: str) -> str:
    """Return a path without the quotes and backslashes that terminals put around blanks."""
    try:
        words = shlex.split(text)
    except ValueError:
        return text
    return words[0] if len(words) == 1 else text


def read_file(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        OSError: It can't be read, or Discord takes none of its size.
    """
    path = path.expanduser()
    if path.stat().st_size > MAX_FILE_BYTES:
        raise OSError("Discord takes 10 MiB at most")
    return path.read_bytes()


def files_like(text: str) -> list[str]:
    """Return paths that go on from a beginning, folders with a slash at their end."""
    folder, _, name = text.rpartition("/")
    try:
        found = sorted(Path(f"{folder}/" if folder or text else ".").expanduser().iterdir())
    except OSError:
        return []
    before = text[: len(text) - len(name)]
    fitting = [each for each in found if each.name.startswith(name) and each.name[:1] != "."]
    return [
        f"{before}{each.name}{'/' if each.is_dir() else ''}" for each in fitting[:MOST_SUGGESTED]
    ]
