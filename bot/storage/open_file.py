"""The file behind an open SQLite connection, told from what was put in its place.

SQLite keeps writing into a file that has no name any more, and reports success: on POSIX systems a
deleted file lives as long as somebody has it open (SQLite: how to corrupt, unlinking or renaming a
database file while in use). So its name is looked at around each commit; that costs microseconds. What
others write into its log is noticed by the time of the log's last change: only then is the log read.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime
from enum import Enum, auto
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from bot.storage.engine import create_private_file, log_of
from bot.storage.log_file import LONGEST_BYTES, indexed, read_log

KEPT: Final = (
    "The data folder holds {name}, which was set aside: what only that file holds isn't in use. "
    "Bring it back from there, or delete it."
)

_RESCUED: Final = ".rescued"
_LOG: Final = "-wal"
_INDEX: Final = "-shm"
_SIDES: Final = (_LOG, _INDEX)

_Identity = tuple[int, int]
_LogState = tuple[int, int]
"""When it was last changed, in nanoseconds, and its size."""


class Loss(Enum):
    """What happened to the open file's name."""

    GONE = auto()
    REPLACED = auto()
    EMPTIED = auto()
    LOG_GONE = auto()
    LOG_DAMAGED = auto()


class OpenFile:
    """The names and identities of a database's files while it is open.

    Args:
        path: The database file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._main: _Identity | None = None
        self._log: _Identity | None = None
        self._log_state: _LogState | None = None

    def opened(self) -> None:
        """Take note of the files as they are: they have just been opened."""
        self._main = _identity(self.path)
        self._log = _identity(log_of(self.path))
        self.wrote()

    def wrote(self) -> None:
        """Take note of the log as it is: what was written into it last was ours."""
        self._log_state = _log_state(log_of(self.path))

    def closed(self) -> None:
        """Forget them: nothing is open, so nothing can be lost."""
        self._main = self._log = self._log_state = None

    def loss(self) -> Loss | None:
        """Return what happened to them; ``None`` while all is well or nothing is open."""
        if self._main is None:
            return None
        try:
            return self._loss()
        except OSError:  # a folder that can't be looked into says nothing about the file
            return None

    def _loss(self) -> Loss | None:
        found = _identity(self.path)
        if found is None:
            return Loss.GONE
        if found != self._main:
            return Loss.REPLACED
        if self.path.stat().st_size == 0:
            return Loss.EMPTIED
        log = _identity(log_of(self.path))
        if self._log is None:
            self._log = log
        if log != self._log:
            return Loss.LOG_GONE
        return Loss.LOG_DAMAGED if self._is_log_damaged() else None

    def _is_log_damaged(self) -> bool:
        """Read the log if somebody else has written into it."""
        log = log_of(self.path)
        found = _log_state(log)
        if found == self._log_state:
            return False
        frames, _ = indexed(_side(self.path, _INDEX))
        if log.stat().st_size <= LONGEST_BYTES and read_log(log).frames < frames:
            return True
        self._log_state = found
        return False

    def set_log_aside(self, now: datetime) -> str:
        """Rename a log that belongs to the lost file, so that it isn't replayed into another.

        Returns:
            Its new name.
        """
        target = set_aside_name(self.path, "lost", now)
        for suffix in _SIDES:
            side = _side(self.path, suffix)
            if suffix == _LOG and _identity(side) != self._log:
                break
            with suppress(FileNotFoundError):
                side.replace(_side(target, suffix))
        return log_of(target).name


def rescue(engine: Engine, path: Path) -> Path | None:
    """Write what an open connection still sees into a new file beside the lost one.

    Returns:
        The new file; ``None`` where no connection is open, so that nothing can be rescued.

    Raises:
        sqlite3.Error: It can't be read or written.
        OSError: There is no room or no right for a file there.
    """
    pool: object = engine.pool
    if not getattr(pool, "checkedin", lambda: 0)():
        return None
    target = _new_private(path)
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("VACUUM INTO ?", (str(target),))
    finally:
        connection.close()
    return target


def rescue_without_log(path: Path) -> Path | None:
    """Write a database as far as its damaged log lets it be read into a new file beside it.

    What the database has of the log already would be taken back by the part before that.

    Returns:
        The new file; ``None`` where the database without its log is damaged, too.

    Raises:
        OSError: There is no room or no right for a file there.
    """
    target = _new_private(path)
    shutil.copyfile(path, target)
    log = log_of(path)
    content, (_, in_database) = read_log(log), indexed(_side(path, _INDEX))
    if content.frames > in_database:
        with log.open("rb") as damaged, log_of(target).open("wb") as sound:
            sound.write(damaged.read(content.end))
    try:
        with closing(sqlite3.connect(target)) as connection:
            is_sound = connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]
    except sqlite3.DatabaseError:
        return None
    return target if is_sound else None


def _new_private(path: Path) -> Path:
    """Make an empty file, which nobody else may read, for what is rescued of a database."""
    target = path.with_name(path.name + _RESCUED)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in (target, *(_side(target, suffix) for suffix in _SIDES)):
        file.unlink(missing_ok=True)
    create_private_file(target)
    return target


def set_aside_name(path: Path, why: str, now: datetime) -> Path:
    """Return the name under which a file is kept for a person to look at."""
    return path.with_name(f"{path.name}.{why}-{now.strftime('%Y%m%dT%H%M%S%f')}")


def move_aside(path: Path, now: datetime, why: str = "damaged") -> Path:
    """Rename a database with its log files, keeping it for a person to look at.

    Args:
        path: The database file.
        now: For the new name's timestamp.
        why: A word for the new name.

    Returns:
        The file's new path.
    """
    target = set_aside_name(path, why, now)
    for suffix in _SIDES:
        with suppress(FileNotFoundError):
            _side(path, suffix).replace(_side(target, suffix))
    path.replace(target)
    return target


def set_aside_files(path: Path) -> Sequence[Path]:
    """Return the databases that were set aside beside this one and are still there, oldest first."""
    found = (other for why in ("damaged", "lost", "replaced") for other in _beside(path, why))
    files = sorted(other for other in found if not other.name.endswith("-shm"))
    return [file for file in files if not file.name.endswith(_LOG) or not _has_main(file)]


def _has_main(log: Path) -> bool:
    """Return whether the database that a log belongs to was set aside with it."""
    return log.with_name(log.name.removesuffix(_LOG)).exists()


def _beside(path: Path, why: str) -> Sequence[Path]:
    try:
        return [
            other for other in path.parent.iterdir() if other.name.startswith(f"{path.name}.{why}-")
        ]
    except OSError:
        return ()


def _side(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _identity(path: Path) -> _Identity | None:
    found = _stat(path)
    return None if found is None else (found.st_dev, found.st_ino)


def _log_state(log: Path) -> _LogState | None:
    found = _stat(log)
    return None if found is None else (found.st_mtime_ns, found.st_size)
