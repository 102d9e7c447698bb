"""The database thread's side: every function here runs in that one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from bot.clock import Clock
from bot.errors import ConfigurationError, DependencyError, StoreError
from bot.store import engine as engines
from bot.store import postgres
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
        is_fresh: The database was begun anew, and has nothing of what was stored.
        moved_to: Where a damaged database file was moved, if one was replaced.
    """

    outcomes: list[WorkOutcome] = field(default_factory=list)
    fault: BaseException | None = None
    is_fresh: bool = False
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
            self._prepare(result)
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
            return ConfigurationError(
                f"The database at CLAWBOT_DATABASE_URL refuses ({engines.cause(exc)}): "
                "check the URL, and make its user the owner of the database."
            )
        if not engines.is_storage_fault(exc):
            return None
        if postgres.is_held(exc):
            return DependencyError(
                "Another Clawbot is already using the database at CLAWBOT_DATABASE_URL: "
                "stop it first, or give this one a database of its own."
            )
        if is_server:
            return DependencyError(
                f"I can't reach the database at CLAWBOT_DATABASE_URL ({engines.cause(exc)}): "
                "check that it runs, and the URL's host, name and password."
            )
        if self._has_content():
            return None
        return ConfigurationError(
            f"I can't write the database {self._file}: "
            "check the folder's permissions and the disk's free space."
        )

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
            self._doubt(exc)
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
            if not is_damaged:
                result.is_fresh = self._migrate(engine)
        except SQLAlchemyError as exc:
            if not engines.is_corrupt(exc):
                raise
            is_damaged = True
        if is_damaged and self._file is not None:
            self._replace(self._file, result)
        self._is_ready = True
        self._needs_check = False

    def _migrate(self, engine: Engine) -> bool:
        with engine.begin() as connection:
            return ensure_schema(connection)

    def _replace(self, path: Path, result: CommitResult) -> None:
        """Move a damaged file aside and begin a new one."""
        engine = self._connected()
        engine.dispose()
        result.moved_to = engines.move_aside(path, self._clock.now())
        engines.create_private_file(path)
        result.is_fresh = self._migrate(engine)

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
