"""Looks at a database's file and at its log, before a start, that change nothing.

SQLite takes a damaged log for one that ends before the damage, and says nothing (SQLite: WAL file
format): what was committed behind it would be gone without a word.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from bot.storage import engine as engines
from bot.storage import postgres
from bot.storage.open_file import KEPT, set_aside_files
from bot.storage.schema import HEAD, state

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


def damage_of(path: Path) -> str:
    """Return what is damaged about an SQLite file; empty when nothing is.

    Also beside a running bot: nothing is locked for longer than a read.

    Raises:
        OSError: It can't be looked at.
    """
    if path.stat().st_size == 0:
        return ""
    for engine in engines.build_readers(path, is_shared=True):
        try:
            if engines.looks_damaged(engine):
                return "SQLite's own check fails"
        except SQLAlchemyError as exc:
            if engines.is_corrupt(exc):
                return engines.cause(exc)
            continue
        finally:
            engine.dispose()
        return ""
    return ""


def is_newer(path: Path) -> bool:
    """Return whether a later version of the program wrote an SQLite file.

    Revisions are numbers of four digits, so their order is that of their text.
    """
    for engine in engines.build_readers(path, is_shared=True):
        try:
            with engine.connect() as connection:
                query = text("SELECT version_num FROM alembic_version")
                return str(connection.execute(query).scalar() or "") > HEAD
        except SQLAlchemyError:
            continue
        finally:
            engine.dispose()
    return False


def state_of(path: Path, key: str) -> object:
    """Return a value that a bot keeps in an SQLite file; ``None`` where it can't be read."""
    try:
        is_empty = not path.is_file() or path.stat().st_size == 0
    except OSError:
        return None
    if is_empty:
        return None
    for engine in engines.build_readers(path, is_shared=True):
        try:
            with engine.connect() as connection:
                query = select(state.c.value).where(state.c.key == key)
                stored = connection.execute(query).scalar()
                return json.loads(stored) if stored else None
        except (SQLAlchemyError, ValueError):
            continue
        finally:
            engine.dispose()
    return None


def server_problem(location: str) -> str:
    """Try to reach a database server; return why it can't be used, empty when it can.

    Nothing is changed or held there. Takes as long as the connection may (``postgres``).

    Raises:
        ConfigurationError: The URL can't be read, or the driver isn't installed.
    """
    engine = engines.build_engine(engines.parse_location(location))
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as exc:
        return postgres.plain_problem(exc)
    finally:
        engine.dispose()
    return ""


def leftovers_of(path: Path) -> list[str]:
    """Return a sentence on each file that was set aside and waits for a person."""
    return [KEPT.format(name=file.name) for file in set_aside_files(path)]
