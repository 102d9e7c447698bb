"""Looks at the log of an SQLite database that was left open, before SQLite does.

SQLite takes a damaged log for one that ends before the damage, and says nothing (SQLite: WAL file
format): what was committed behind it would be gone without a word.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

MAGIC: Final = 0x377F0682
"""The log's first word; its last bit says that checksums are over big-endian words."""

HEADER: Final = struct.Struct(">8I")
FRAME: Final = struct.Struct(">6I")
LONGEST_BYTES: Final = 64 * 1024 * 1024
"""Longest log that is looked at; SQLite keeps it near 4 MiB."""


def is_log_damaged(log: Path) -> bool:
    """Return whether a log holds a commit that SQLite won't find because of damage before it.

    Raises:
        OSError: It can't be read.
    """
    if not log.exists() or not HEADER.size < log.stat().st_size <= LONGEST_BYTES:
        return False
    content = memoryview(log.read_bytes())
    magic, _, page_bytes, _, *salts, first, second = HEADER.unpack_from(content)
    order = ">" if magic & 1 else "<"
    total = _sum(content[:24], order, (0, 0))
    if magic & ~1 != MAGIC or total != (first, second) or page_bytes < 512:
        return True
    is_sound = True
    for at in range(
        HEADER.size, len(content) - FRAME.size - page_bytes + 1, FRAME.size + page_bytes
    ):
        _, pages_after, *frame_salts, first, second = FRAME.unpack_from(content, at)
        belongs = frame_salts == salts
        if is_sound:
            page = content[at + FRAME.size : at + FRAME.size + page_bytes]
            total = _sum(page, order, _sum(content[at : at + 8], order, total))
            is_sound = belongs and total == (first, second)
        if not is_sound and belongs and pages_after:
            return True
    return False


def _sum(part: memoryview, order: str, start: tuple[int, int]) -> tuple[int, int]:
    """Go on with a checksum (SQLite: WAL file format, checksum algorithm)."""
    first, second = start
    words = struct.unpack(f"{order}{len(part) // 4}I", part)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
