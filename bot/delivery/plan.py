"""What the messages of a finished answer are: its parts, the quiet lines below it, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.notices import FILE_LINE
from bot.core.ports import TextFile
from bot.delivery.splitter import MESSAGE_UNITS, split, units

FILENAME = "answer.md"

EMPTY_ANSWER = "-# The model's answer was empty. Please try again."

_OWN_LINES_UNITS = 600
"""Most that the lines below an answer may take of its last message."""


@dataclass(frozen=True, slots=True)
class Part:
    """One message to be: its text, and a file to come with it."""

    content: str
    file: TextFile | None = None


def quiet_lines(lines: Sequence[str]) -> str:
    """Return notices and footer as Discord's small text, one line each, within bounds."""
    kept: list[str] = []
    room = _OWN_LINES_UNITS
    for line in lines:
        quiet = "-# " + " ".join(line.removeprefix("-# ").split())
        if quiet != "-# " and units(quiet) < room:
            kept.append(quiet)
            room -= units(quiet) + 1
    return "\n".join(kept)


def plan_chunks(text: str, lines: Sequence[str], *, max_messages: int) -> tuple[str, ...]:
    """Return the texts of a finished answer, in the form in which they are stored.

    A last text longer than a message is the whole answer, to be sent as a file; the text before it
    then announces the file. All others are messages.

    Args:
        text: The whole visible answer.
        lines: Notices and footer, without markup; they stand below the answer.
        max_messages: An answer of more messages than this comes as a file.
    """
    own_lines = quiet_lines(lines)
    pieces = split(text)
    if not pieces:
        return (own_lines or EMPTY_ANSWER,)
    if len(pieces) > max_messages:
        return (*_parts_before_file(pieces, text, own_lines, max_messages), text)
    return tuple(_with_own_lines(pieces, own_lines))


def own_lines_of(chunks: Sequence[str], lines: Sequence[str]) -> str:
    """Return the bot's own lines in planned texts; the last message ends with them.

    Args:
        chunks: As ``plan_chunks`` made them.
        lines: The notices and footer they were made with.
    """
    if _ends_with_file(chunks):
        return chunks[-2]
    return chunks[0] if chunks[0] == EMPTY_ANSWER else quiet_lines(lines)


def parts_of(chunks: Sequence[str]) -> list[Part]:
    """Return the messages for stored texts: the inverse of how ``plan_chunks`` packs a file."""
    if _ends_with_file(chunks):
        *parts, summary, whole = chunks
        return [*(Part(part) for part in parts), Part(summary, TextFile(FILENAME, whole))]
    return [Part(chunk) for chunk in chunks]


def _ends_with_file(chunks: Sequence[str]) -> bool:
    return len(chunks) > 1 and units(chunks[-1]) > MESSAGE_UNITS


def without_file(chunks: Sequence[str]) -> list[Part]:
    """Return all of a long answer as messages, for where files are not allowed."""
    parts = parts_of(chunks)
    file = parts[-1].file
    if file is None:
        return parts
    *_, last = parts
    own_lines = last.content.partition("\n")[2]
    return [Part(piece) for piece in _with_own_lines(split(file.content), own_lines)]


def _parts_before_file(
    pieces: list[str], text: str, own_lines: str, max_messages: int
) -> tuple[str, ...]:
    shown = max(1, max_messages - 1)
    summary = f"{FILE_LINE}{len(text):,} characters) is in the file."
    return (*pieces[:shown], f"{summary}\n{own_lines}" if own_lines else summary)


def _with_own_lines(pieces: list[str], own_lines: str) -> list[str]:
    """Put the quiet lines below the last piece, cutting it once more where they don't fit."""
    if not own_lines:
        return pieces
    *head, last = pieces
    room = MESSAGE_UNITS - units(own_lines) - 1
    if units(last) > room:
        *more, last = split(last, room)
        head += more
    return [*head, f"{last}\n{own_lines}"]
