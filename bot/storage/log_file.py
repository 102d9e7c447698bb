"""The log that SQLite keeps beside a database, read as SQLite would read it after a kill.

SQLite takes a damaged log for one that ends before the damage, and says nothing (SQLite: WAL file
format): what was committed behind it would be gone without a word. While the database is open it looks
at no checksum at all, and a checkpoint brings whatever stands there into the database.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAGIC: Final = 0x377F0682
"""The log's first word; its last bit says that checksums are over big-endian words."""

HEADER: Final = struct.Struct(">8I")
FRAME: Final = struct.Struct(">6I")
LONGEST_BYTES: Final = 64 * 1024 * 1024
"""Longest log that is looked at; SQLite keeps it near 4 MiB."""

_INDEX: Final = struct.Struct("=16xI76xI")
"""The last committed frame, and how many are in the database already (SQLite: WAL-index header)."""


@dataclass(frozen=True, slots=True)
class LogContent:
    """What SQLite finds in a log.

    Attributes:
        frames: Sound ones from the beginning up to the last commit.
        end: Where they end, in bytes.
        is_damaged: Behind what is sound stands something that can't be left over from an earlier log.
    """

    frames: int = 0
    end: int = 0
    is_damaged: bool = False


def read_log(log: Path) -> LogContent:
    """Read a log up to its end, or to the first damage.

    Raises:
        OSError: It can't be read.
    """
    if not log.exists() or not HEADER.size < log.stat().st_size <= LONGEST_BYTES:
        return LogContent()
    content = memoryview(log.read_bytes())
    magic, _, page_bytes, _, *salts, first, second = HEADER.unpack_from(content)
    order = ">" if magic & 1 else "<"
    total = _sum(content[:24], order, (0, 0))
    if magic & ~1 != MAGIC or total != (first, second) or page_bytes < 512:
        return LogContent(is_damaged=True)
    frames, end, step = 0, HEADER.size, FRAME.size + page_bytes
    is_sound = True
    for at in range(HEADER.size, len(content) - step + 1, step):
        _, pages_after, *frame_salts, first, second = FRAME.unpack_from(content, at)
        belongs = frame_salts == salts
        if is_sound:
            page = content[at + FRAME.size : at + step]
            total = _sum(page, order, _sum(content[at : at + 8], order, total))
            is_sound = belongs and total == (first, second)
        if is_sound and pages_after:
            end = at + step
            frames = (end - HEADER.size) // step
        if not is_sound and belongs and pages_after:
            return LogContent(frames, end, is_damaged=True)
    return LogContent(frames, end)


def indexed(index: Path) -> tuple[int, int]:
    """Return how many frames an open log has, and how many of them the database has already.

    Raises:
        OSError: The log's index can't be read.
    """
    with index.open("rb") as file:
        content = file.read(_INDEX.size)
    found: tuple[int, int] = _INDEX.unpack(content) if len(content) == _INDEX.size else (0, 0)
    return found


def _sum(part: memoryview, order: str, start: tuple[int, int]) -> tuple[int, int]:
    """Go on with a checksum (SQLite: WAL file format, checksum algorithm)."""
    first, second = start
    words = struct.unpack(f"{order}{len(part) // 4}I", part)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
