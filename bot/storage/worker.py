"""The database thread's side: every function here runs in that one thread."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, ProgrammingError, SQLAlchemyError

from bot.core.clock import Clock
from bot.core.errors import ConfigurationError, DependencyError, StoreError
from bot.storage import engine as engines
from bot.storage.inspection import leftovers_of
from bot.storage.log_file import read_log
from bot.storage.migrate import ensure_schema
from bot.storage.open_file import (
    Loss,
    OpenFile,
    move_aside,
    rescue,
    rescue_without_log,
    set_aside_name,
)
from bot.storage.schema import state, to_ms, upsert

MADE_ANEW: Final = "The database came back without its tables; they were made anew."
EMPTIED: Final = (
    "The database's file was empty; I begin without settings and earlier questions. If there was a "
    "backup, stop me and put it in its place."
)
DAMAGED: Final = "The database was damaged; it is kept as {name} and a new one was begun."
REPLACED: Final = (
    "Another database was put in the place of mine while I was running; I go on with that one, and "
    "what is in force and open now was written into it."
)
WRITTEN_AGAIN: Final = (
    "The database's file was deleted or overwritten while I was running; I wrote it again, whole."
)
LOG_FOLDED: Final = (
    "The database's log file was deleted while I was running; what it held is in the database now."
)
LOG_DAMAGED: Final = (
    "The database's log was damaged: the last changes of settings and the last questions before the "
    "stop may be missing. It is kept as {name}."
)
LOG_OVERWRITTEN: Final = (
    "The database's log was overwritten while I was running; what is in force and open now is in the "
    "database again. Some of the last answers and changes may be missing from its history. The damaged "
    "log is kept as {name}."
)
BEGUN_ANEW: Final = (
    "The database's file was deleted or overwritten while I was running; a new one was begun with "
    "the settings and open questions. Older answers and the history of settings are lost."
)


_T = TypeVar("_T")

Guard = Callable[[Connection], object]
"""Looks, at the beginning of a transaction that writes, whether that may be, and raises otherwise."""


def unguarded(_connection: Connection) -> None:
    """Let everything be written."""


@dataclass(frozen=True, slots=True)
class WorkOutcome:
    """What became of one piece of work: its value, or the error that undid it."""

    value: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class CommitResult:
    """What became of a batch.

    Attributes:
        outcomes: One for each piece of work, in order.
        fault: The storage's failure, if it failed.
        is_fresh: The database was begun anew, or is another one: it may have nothing of what
            memory holds.
        reports: What the operator must know of it, one sentence each.
    """

    outcomes: list[WorkOutcome] = field(default_factory=list)
    fault: BaseException | None = None
    is_fresh: bool = False
    reports: list[str] = field(default_factory=list)


class Worker:
    """Engine, schema and transactions of one database."""

    def __init__(self, url: URL, clock: Clock, guard: Guard = unguarded) -> None:
        self._url = url
        self._guard = guard
        self._clock = clock
        self._file = engines.sqlite_file(url)
        self._open_file = None if self._file is None else OpenFile(self._file)
        self._engine: Engine | None = None
        self._is_ready = self._was_ready = False
        self._needs_check = False

    def start(self) -> CommitResult:
        """Connect, check and migrate; a storage fault that may pass is reported, not raised.

        Raises:
            ConfigurationError: URL, permissions or schema are wrong.
            DependencyError: The database server doesn't answer.
        """
        result = CommitResult()
        if self._file is not None and self._make_file(self._file):
            result.reports.append(EMPTIED)
        self._engine = engines.build_engine(self._url)
        try:
            self._needs_check = self._was_left_open()
            self._look_at_log(result)
            self._prepare(result)
            engines.rewrite_small(self._connected())
        except Exception as exc:
            failure = self._startup_failure(exc)
            if failure is not None:
                raise failure from exc
            if not engines.is_storage_fault(exc):
                raise
            result.fault = exc
        return result

    def _startup_failure(self, exc: Exception) -> ConfigurationError | DependencyError | None:
        """Say what the operator can do about a failure that nothing can be begun with."""
        is_server = self._file is None
        if is_server and isinstance(exc, ProgrammingError):
            return engines.refused(exc)
        if not engines.is_storage_fault(exc):
            return None
        if is_server:
            return engines.unreachable(engines.cause(exc))
        if self._has_content():
            return None
        return ConfigurationError(
            f"I can't write the database {self._file}: "
            "check the folder's permissions and the disk's free space."
        )

    @property
    def has_file(self) -> bool:
        """Whether the database is a file that somebody may delete."""
        return self._file is not None

    def leftovers(self) -> list[str]:
        """Return a sentence on each file that was set aside and waits for a person."""
        return [] if self._file is None else leftovers_of(self._file)

    def stop(self) -> None:
        """Close the connection; SQLite then folds its log into the file."""
        with suppress(StoreError, SQLAlchemyError, OSError):  # the last words are the log's already
            self._heal(CommitResult())
        self._close()

    def _close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        if self._open_file is not None:
            self._open_file.closed()

    def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run work that changes nothing; damage found here is mended by the next write."""
        if self._file is not None and not self._was_ready and self._has_content():
            return self._read_only(self._file, work)
        try:
            return self._read(work)
        except SQLAlchemyError as exc:
            if engines.is_corrupt(exc):
                self._is_ready = False
                self._needs_check = True
            self._doubt(exc)
            raise

    def _read(self, work: Callable[[Connection], _T]) -> _T:
        """Run work, once more where a server was started again since the last one."""
        try:
            with self._connected().begin() as connection:
                return work(connection)
        except DBAPIError as exc:
            if not exc.connection_invalidated:
                raise
        with self._connected().begin() as connection:
            return work(connection)

    def _read_only(self, path: Path, work: Callable[[Connection], _T]) -> _T:
        """Read a file that couldn't be opened for writing since the start."""
        self._close()
        return engines.read_anyhow(path, work)

    def commit(self, works: Sequence[Callable[[Connection], Any]]) -> CommitResult:
        """Run pieces of work in one transaction, or one by one if one of them fails."""
        result = CommitResult()
        try:
            result.outcomes = self._together(works, result)
        except Exception:  # noqa: BLE001 - the seam of a batch: the guilty work is found one by one
            result.outcomes = [self._alone(work, result) for work in works]
        if result.fault is None:
            self._heal_after(result)
        return result

    def _heal_after(self, result: CommitResult) -> None:
        """Look once more: what went into a file without a name isn't stored until that is mended."""
        try:
            self._heal(result)
        except Exception as exc:  # noqa: BLE001 - the seam of a batch: its callers are told
            result.fault = exc
            result.outcomes = [WorkOutcome(error=exc) for _ in result.outcomes]

    def probe(self, connection: Connection) -> None:
        """Write something small, to see whether the storage works again."""
        values = {"key": "probe", "value": "", "updated_at_ms": to_ms(self._clock.now())}
        upsert(connection, state, [values])

    def free_bytes(self) -> int | None:
        """Return the room that the database's disk has; ``None`` for a server's."""
        return None if self._file is None else shutil.disk_usage(self._file.parent).free

    def reclaim(self) -> bool:
        """Give some free pages of the file back to the disk; return whether there are more."""
        if self._file is None:
            return False
        has_more = engines.reclaim(self._connected())
        self._wrote()
        return has_more

    def overwrite_deleted(self) -> bool:
        """Leave nothing of what was deleted in the file and its log; ``False`` while others read it."""
        is_done = engines.overwrite_deleted(self._connected())
        self._wrote()
        return is_done

    def _together(
        self, works: Sequence[Callable[[Connection], Any]], result: CommitResult
    ) -> list[WorkOutcome]:
        engine = self._ready(result)
        with engine.begin() as connection:
            self._guard(connection)
            outcomes = [WorkOutcome(work(connection)) for work in works]
        self._wrote()
        return outcomes

    def _wrote(self) -> None:
        if self._open_file is not None:
            self._open_file.wrote()

    def _alone(self, work: Callable[[Connection], Any], result: CommitResult) -> WorkOutcome:
        if result.fault is not None:
            return WorkOutcome(error=result.fault)
        try:
            try:
                return self._together([work], result)[0]
            except SQLAlchemyError as exc:
                if self._file is None or not engines.is_corrupt(exc):
                    raise
                self._replace(self._file, result)
                return self._together([work], result)[0]
        except Exception as exc:  # noqa: BLE001 - the seam of one piece of work: its caller is told
            if engines.is_storage_fault(exc):
                result.fault = exc
                self._doubt(exc)
            return WorkOutcome(error=exc)

    def _doubt(self, exc: BaseException) -> None:
        """Look at the tables again when a server is back: it may have come with others, or none."""
        if self._file is None and engines.is_storage_fault(exc):
            self._is_ready = False

    def _connected(self) -> Engine:
        if self._engine is None:
            self._engine = engines.build_engine(self._url)
        return self._engine

    def _ready(self, result: CommitResult) -> Engine:
        self._heal(result)
        if not self._is_ready:
            try:
                self._prepare(result)
            except ConfigurationError as exc:
                raise StoreError(str(exc)) from exc
        return self._connected()

    def _prepare(self, result: CommitResult) -> None:
        """Bring the schema up to date, replacing a damaged file."""
        engine = self._connected()
        try:
            is_damaged = self._needs_check and engines.looks_damaged(engine)
            if not is_damaged and self._migrate(engine):
                result.is_fresh = True
                if self._was_ready:
                    result.reports.append(MADE_ANEW)
        except SQLAlchemyError as exc:
            if not engines.is_corrupt(exc):
                raise
            is_damaged = True
        if is_damaged and self._file is not None:
            self._replace(self._file, result)
        self._is_ready = self._was_ready = True
        self._needs_check = False
        if self._open_file is not None:
            self._open_file.opened()

    def _migrate(self, engine: Engine) -> bool:
        with engine.begin() as connection:
            return ensure_schema(connection)

    def _replace(self, path: Path, result: CommitResult) -> None:
        """Move a damaged file aside and begin a new one."""
        self._close()
        moved_to = move_aside(path, self._clock.now())
        engines.create_private_file(path)
        self._migrate(self._connected())
        result.is_fresh = True
        result.reports.append(DAMAGED.format(name=moved_to.name))
        if self._open_file is not None:
            self._open_file.opened()

    def _heal(self, result: CommitResult) -> None:
        """Mend it when the database's file was deleted or replaced under the open connection.

        Raises:
            StoreError: The new file can't be written yet.
            SQLAlchemyError: The same.
            OSError: The same.
        """
        opened = self._open_file
        loss = None if opened is None else opened.loss()
        if opened is None or loss is None:
            return
        if loss is Loss.LOG_GONE:
            self._fold_log()
            loss = opened.loss() or loss  # whoever deletes the log may be deleting the rest, too
        if loss is Loss.LOG_GONE:
            report = LOG_FOLDED
        elif loss is Loss.LOG_DAMAGED:
            report = self._put_log_right(opened)
            result.is_fresh = True
        else:
            rescued = self._rescued(opened.path)
            opened.set_log_aside(self._clock.now())
            report = take_over(self._url, opened.path, loss, rescued, self._clock.now())
            result.is_fresh = True
        self._is_ready = self._was_ready = False
        self._close()
        result.reports.append(report)

    def _put_log_right(self, opened: OpenFile) -> str:
        """Go on with the database as it is without what is damaged; return what to tell the operator."""
        now = self._clock.now()
        rescued = rescue_without_log(opened.path)
        kept = opened.set_log_aside(now)
        if rescued is not None:
            rescued.replace(
                opened.path
            )  # the open connection would write the damage into the other
            return LOG_OVERWRITTEN.format(name=kept)
        moved_to = move_aside(opened.path, now)
        engines.create_private_file(opened.path)
        return DAMAGED.format(name=moved_to.name)

    def _fold_log(self) -> None:
        """Bring what only a log without a name holds into the database."""
        with self._connected().connect() as connection:
            busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        if busy:
            raise StoreError("the log can't be brought into the database: another program reads it")

    def _rescued(self, path: Path) -> Path | None:
        """Write what the connection sees into a file of its own; ``None`` where it sees nothing."""
        try:
            return rescue(self._connected(), path)
        except sqlite3.Error as exc:
            if engines.is_corrupt(exc):
                return None
            raise StoreError(f"the database can't be written again: {exc}") from exc

    def _was_left_open(self) -> bool:
        """Return whether the last program to use the file was killed, so that a check is due."""
        if self._file is None:
            return False
        log = engines.log_of(self._file)
        return log.exists() and log.stat().st_size > 0

    def _look_at_log(self, result: CommitResult) -> None:
        """Keep a damaged log before SQLite passes over what it can't read."""
        if self._file is None:
            return
        log = engines.log_of(self._file)
        if read_log(log).is_damaged:
            kept = engines.log_of(set_aside_name(self._file, "damaged", self._clock.now()))
            shutil.copy2(log, kept)
            result.reports.append(LOG_DAMAGED.format(name=kept.name))

    def _has_content(self) -> bool:
        return self._file is not None and self._file.is_file() and self._file.stat().st_size > 0

    def _make_file(self, path: Path) -> bool:
        """Make the file where it is missing; return whether one was there and held nothing."""
        if path.exists():
            return path.is_file() and path.stat().st_size == 0
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            engines.create_private_file(path)
        except OSError as exc:
            raise ConfigurationError(
                f"I can't make the database {path} ({exc.strerror}): "
                "check the folder's permissions and the disk's free space."
            ) from exc
        return False


def take_over(url: URL, path: Path, loss: Loss, rescued: Path | None, now: datetime) -> str:
    """Put the right file in place, and return what to tell the operator.

    Args:
        url: Opens what is at ``path``.
        path: Where the lost file was.
        loss: What happened to it.
        rescued: What the open connection still saw, in a file of its own, if it saw anything.
        now: For the names of files that are set aside.

    Raises:
        OSError: Files can't be made or renamed there.
    """
    if loss is Loss.REPLACED and _is_ours(url, path):
        if rescued is None:
            return REPLACED
        kept = set_aside_name(path, "replaced", now)
        rescued.replace(kept)
        return f"{REPLACED} What the one before held is kept as {kept.name}."
    if loss is Loss.REPLACED and path.exists() and path.stat().st_size > 0:
        move_aside(path, now, "lost")
    if rescued is None:
        engines.create_private_file(path)
        return BEGUN_ANEW
    rescued.replace(path)
    return WRITTEN_AGAIN


def _is_ours(url: URL, path: Path) -> bool:
    """Return whether a file is a sound database of this program, and not an empty one."""
    engine = engines.build_engine(url)
    try:
        if path.stat().st_size == 0 or engines.looks_damaged(engine):
            return False
        with engine.begin() as connection:
            return not ensure_schema(connection)
    except (SQLAlchemyError, ConfigurationError):
        return False
    finally:
        engine.dispose()
