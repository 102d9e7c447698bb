"""The database thread's side: every function here runs in that one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from bot.clock import Clock
from bot.errors import ConfigurationError, DependencyError
from bot.store import engine as engines
from bot.store.migrate import ensure_schema
from bot.store.schema import state, to_ms, upsert

_T = TypeVar("_T")


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
        moved_to: Where a damaged database file was moved, if one was replaced.
    """

    outcomes: list[WorkOutcome] = field(default_factory=list)
    fault: BaseException | None = None
    moved_to: Path | None = None


class Worker:
    """Engine, schema and transactions of one database."""

    def __init__(self, url: URL, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._file = engines.sqlite_file(url)
        self._engine: Engine | None = None
        self._is_ready = False
        self._needs_check = False

    def start(self) -> CommitResult:
        """Connect, check and migrate; a storage fault that may pass is reported, not raised.

        Raises:
            ConfigurationError: URL, permissions or schema are wrong.
            DependencyError: The database server doesn't answer.
        """
        result = CommitResult()
        if self._file is not None:
            self._make_file(self._file)
        self._engine = engines.build_engine(self._url)
        try:
            self._needs_check = self._was_left_open()
            result.moved_to = self._prepare()
        except Exception as exc:
            if not engines.is_storage_fault(exc):
                raise
            if self._file is None:
                raise DependencyError(
                    "I can't reach the database at CLAWBOT_DATABASE_URL: "
                    "check that it runs, and the URL's host, name and password."
                ) from exc
            if not self._has_content():
                raise ConfigurationError(
                    f"I can't write the database {self._file}: "
                    "check the folder's permissions and the disk's free space."
                ) from exc
            result.fault = exc
        return result

    def stop(self) -> None:
        """Close the connection; SQLite then folds its log into the file."""
        if self._engine is not None:
            self._engine.dispose()

    def read(self, work: Callable[[Connection], _T]) -> _T:
        """Run work that changes nothing; damage found here is mended by the next write."""
        try:
            with self._connected().begin() as connection:
                return work(connection)
        except SQLAlchemyError as exc:
            if engines.is_corrupt(exc):
                self._is_ready = False
                self._needs_check = True
            raise

    def commit(self, works: Sequence[Callable[[Connection], Any]]) -> CommitResult:
        """Run pieces of work in one transaction, or one by one if one of them fails."""
        result = CommitResult()
        try:
            result.outcomes = self._together(works, result)
        except Exception:  # noqa: BLE001 - the seam of a batch: the guilty work is found one by one
            result.outcomes = [self._alone(work, result) for work in works]
        return result

    def probe(self, connection: Connection) -> None:
        """Write something small, to see whether the storage works again."""
        values = {"key": "probe", "value": "", "updated_at_ms": to_ms(self._clock.now())}
        upsert(connection, state, [values])

    def _together(
        self, works: Sequence[Callable[[Connection], Any]], result: CommitResult
    ) -> list[WorkOutcome]:
        engine = self._ready(result)
        with engine.begin() as connection:
            return [WorkOutcome(work(connection)) for work in works]

    def _alone(self, work: Callable[[Connection], Any], result: CommitResult) -> WorkOutcome:
        if result.fault is not None:
            return WorkOutcome(error=result.fault)
        try:
            try:
                return self._together([work], result)[0]
            except SQLAlchemyError as exc:
                if self._file is None or not engines.is_corrupt(exc):
                    raise
                result.moved_to = self._replace(self._file)
                return self._together([work], result)[0]
        except Exception as exc:  # noqa: BLE001 - the seam of one piece of work: its caller is told
            if engines.is_storage_fault(exc):
                result.fault = exc
            return WorkOutcome(error=exc)

    def _connected(self) -> Engine:
        if self._engine is None:
            self._engine = engines.build_engine(self._url)
        return self._engine

    def _ready(self, result: CommitResult) -> Engine:
        if not self._is_ready:
            result.moved_to = self._prepare() or result.moved_to
        return self._connected()

    def _prepare(self) -> Path | None:
        """Bring the schema up to date, replacing a damaged file; return where it was moved."""
        engine = self._connected()
        moved_to = None
        try:
            is_damaged = self._needs_check and engines.looks_damaged(engine)
            if not is_damaged:
                self._migrate(engine)
        except SQLAlchemyError as exc:
            if not engines.is_corrupt(exc):
                raise
            is_damaged = True
        if is_damaged and self._file is not None:
            moved_to = self._replace(self._file)
        self._is_ready = True
        self._needs_check = False
        return moved_to

    def _migrate(self, engine: Engine) -> None:
        with engine.begin() as connection:
            ensure_schema(connection)

    def _replace(self, path: Path) -> Path:
        """Move a damaged file aside and begin a new one."""
        engine = self._connected()
        engine.dispose()
        moved_to = engines.move_aside(path, self._clock.now())
        engines.create_private_file(path)
        self._migrate(engine)
        return moved_to

    def _was_left_open(self) -> bool:
        """Return whether the last program to use the file was killed, so that a check is due."""
        if self._file is None:
            return False
        log = self._file.with_name(self._file.name + "-wal")
        return log.exists() and log.stat().st_size > 0

    def _has_content(self) -> bool:
        return self._file is not None and self._file.is_file() and self._file.stat().st_size > 0

    def _make_file(self, path: Path) -> None:
        if path.exists():
            return
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            engines.create_private_file(path)
        except OSError as exc:
            raise ConfigurationError(
                f"I can't make the database {path} ({exc.strerror}): "
                "check the folder's permissions and the disk's free space."
            ) from exc
