"""Engines for SQLite and PostgreSQL, and what their errors mean."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bot.core.errors import ConfigurationError, DependencyError, StoreError
from bot.storage import postgres

_T = TypeVar("_T")

BUSY_TIMEOUT_MS: Final = 2_000
"""Milliseconds that SQLite waits for a lock; only a backup or a person's shell ever holds one."""

LOG_BYTES: Final = 4 * 1024 * 1024
"""Bytes that the log file keeps once its content is in the database."""

FREE_PAGES: Final = 256
"""Free pages (of 4 KiB) that stay in the file for what is written next."""

RECLAIM_PAGES: Final = 500
"""Pages given back in one step, which takes some milliseconds."""

REWRITTEN_PAGES: Final = 16_384
"""Largest file that is rewritten at a start, in pages: 64 MiB take about a second."""

CLEAN: Final = 1
"""``user_version`` of an SQLite file of which all that was ever deleted has been overwritten."""

_CORRUPT_CODES: Final = frozenset({11, 26})
"""SQLITE_CORRUPT and SQLITE_NOTADB (SQLite: result and error codes)."""


def parse_location(location: str | Path) -> URL:
    """Turn a file path or an SQLAlchemy URL into a URL with a driver this program has.

    Raises:
        ConfigurationError: The URL can't be read or names a database that isn't supported.
    """
    if isinstance(location, Path):
        return URL.create("sqlite", database=str(location))
    try:
        url = make_url(location)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError) as exc:
        raise ConfigurationError(
            "CLAWBOT_DATABASE_URL isn't a database URL: "
            "write it like postgresql://user:password@host/name, or leave it out for SQLite."
        ) from exc
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        return url.set(drivername="sqlite")
    raise ConfigurationError(
        f"CLAWBOT_DATABASE_URL names {backend!r}; this program knows sqlite and postgresql."
    )


def is_server(location: str) -> bool:
    """Return whether a URL leads to a server, which several processes can use.

    Raises:
        ConfigurationError: It can't be read.
    """
    return parse_location(location).get_backend_name() != "sqlite"


def refused(exc: ProgrammingError) -> ConfigurationError:
    """Return the sentence on a server that doesn't do what it is asked."""
    return ConfigurationError(
        f"The database at CLAWBOT_DATABASE_URL refuses ({cause(exc)}): "
        "check the URL, and make its user the owner of the database."
    )


def unreachable(reason: str) -> DependencyError:
    """Return the sentence on a server that can't be used, for a reason in a few words."""
    return DependencyError(
        f"I can't reach the database at CLAWBOT_DATABASE_URL ({reason}): "
        "check that it runs, and the URL's host, name and password."
    )


def sqlite_file(url: URL) -> Path | None:
    """Return the file of an SQLite URL; ``None`` for PostgreSQL, memory and ``file:`` URIs."""
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return None
    database = str(url.database)
    return None if database.startswith("file:") else Path(database)


def log_of(path: Path) -> Path:
    """Return the log that SQLite keeps beside a database."""
    return path.with_name(path.name + "-wal")


def build_engine(url: URL) -> Engine:
    """Return an engine of one connection, to be used from one thread.

    Args:
        url: With a driver.

    Raises:
        ConfigurationError: The database's driver isn't installed.
    """
    try:
        if url.get_backend_name() == "sqlite":
            return _sqlite_engine(url)
        return postgres.build_engine(url)
    except (ImportError, NoSuchModuleError) as exc:
        raise ConfigurationError(
            "PostgreSQL needs a driver that isn't installed: in the clone, pip install '.[postgres]'."
        ) from exc


def read_anyhow(path: Path, work: Callable[[Connection], _T], *, is_shared: bool = False) -> _T:
    """Return what work reads of an SQLite file where nothing may be written; arguments as ``build_readers``.

    Raises:
        SQLAlchemyError: It can't be read in any way; with the first reason.
    """
    faults: list[SQLAlchemyError] = []
    for engine in build_readers(path, is_shared=is_shared):
        try:
            with engine.connect() as connection:
                return work(connection)
        except SQLAlchemyError as exc:
            faults.append(exc)
        finally:
            engine.dispose()
    raise faults[0]


def build_readers(path: Path, *, is_shared: bool = False) -> Iterator[Engine]:
    """Yield engines that read an SQLite file where nothing may be written, the likeliest first.

    The first keeps the index of the log in memory, for a full disk; the second is for files that are
    read-only; the last passes over the log, for where not even that can be opened.

    Args:
        path: The file.
        is_shared: Another process may have it open, so it is never taken alone, and no file is
            made beside it.
    """
    ways = ({"mode": "rw"}, True), ({"mode": "ro"}, False), ({"immutable": "1"}, False)
    log = log_of(path)
    first = 2 if is_shared and not (log.exists() and log.stat().st_size) else int(is_shared)
    for how, is_alone in ways[first:]:
        url = URL.create(
            "sqlite",
            database=f"file:{quote(str(path.absolute()))}",
            query={**how, "uri": "true"},
        )
        engine = create_engine(url, hide_parameters=True)
        if is_alone:
            event.listen(engine, "connect", _keep_alone)
        yield engine


def _keep_alone(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own transaction handling would leave DDL and reads outside; BEGIN is ours.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            "cache_size=-2000",
            f"journal_size_limit={LOG_BYTES}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        with suppress(sqlite3.OperationalError):  # a read-only file stays in the mode it has
            if connection.execute("PRAGMA page_count").fetchone() == (0,):
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
                connection.execute(f"PRAGMA user_version={CLEAN}")
            connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def create_private_file(path: Path) -> None:
    """Create the database file with mode 0600 before SQLite would, with the user's own mask."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def looks_damaged(engine: Engine) -> bool:
    """Return whether SQLite's own check finds damage. Reads the whole file."""
    if engine.dialect.name != "sqlite":
        return False
    with engine.connect() as connection:
        return connection.exec_driver_sql("PRAGMA quick_check(1)").scalar() != "ok"


def reclaim(engine: Engine) -> bool:
    """Give some of an SQLite file's free pages back; return whether many are left."""
    # Locked or failing: the next look may succeed.
    with suppress(sqlite3.Error), _cursor(engine) as cursor:
        free = _value(cursor, "freelist_count")
        if free > FREE_PAGES and _value(cursor, "auto_vacuum"):
            # The driver's ``execute`` takes one step of a statement without columns: one page.
            cursor.executescript(f"PRAGMA incremental_vacuum({RECLAIM_PAGES})")
            return free - RECLAIM_PAGES > FREE_PAGES
    return False


def rewrite_small(engine: Engine) -> None:
    """Rewrite a small SQLite file that an earlier version began.

    It can then become smaller, and holds nothing any more of what was deleted. A larger one stays as it is until ``overwrite_deleted`` needs that.
    """
    if engine.dialect.name != "sqlite":
        return
    with _cursor(engine) as cursor:
        is_shrinkable = _value(cursor, "auto_vacuum")
        if (is_shrinkable and _is_clean(cursor)) or _value(cursor, "page_count") > REWRITTEN_PAGES:
            return
        with suppress(sqlite3.Error):  # no room, or read-only: another start may do it
            _rewrite(cursor)


def overwrite_deleted(engine: Engine) -> bool:
    """See to it that an SQLite file and its log hold nothing of what was deleted.

    Rewriting a large file that an earlier version began takes about a second for 64 MiB, once.

    Returns:
        False while another program reads the file, and with it the log.

    Raises:
        StoreError: The file can't be rewritten.
    """
    if engine.dialect.name != "sqlite":
        return True
    try:
        with _cursor(engine) as cursor:
            if not _is_clean(cursor):
                _rewrite(cursor)
            is_held_up = _value(cursor, "wal_checkpoint(TRUNCATE)")  # by others
            return not is_held_up
    except sqlite3.Error as exc:
        raise StoreError(f"the file can't be rewritten: {cause(exc)}") from exc


@contextmanager
def _cursor(engine: Engine) -> Iterator[Any]:
    """Lend the driver's own cursor, outside of SQLAlchemy's transactions."""
    connection = engine.raw_connection()
    try:
        yield connection.cursor()
    finally:
        connection.close()


def _rewrite(cursor: Any) -> None:  # noqa: ANN401 - SQLAlchemy's cursor of whichever driver
    cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
    cursor.execute("VACUUM")
    cursor.execute(f"PRAGMA user_version={CLEAN}")


def _is_clean(cursor: Any) -> bool:  # noqa: ANN401 - the same
    return _value(cursor, "user_version") >= CLEAN


def _value(cursor: Any, pragma: str) -> int:  # noqa: ANN401 - the same
    return int(cursor.execute(f"PRAGMA {pragma}").fetchall()[0][0])


def is_corrupt(exc: BaseException) -> bool:
    """Return whether an error says that the SQLite file itself is damaged."""
    origin: Any = exc.orig if isinstance(exc, DatabaseError) else exc
    return (
        isinstance(origin, sqlite3.Error)
        and getattr(origin, "sqlite_errorcode", 0) & 0xFF in _CORRUPT_CODES
    )


def is_storage_fault(exc: BaseException) -> bool:
    """Return whether an error is the storage's (disk, network, lock) and not the statement's."""
    if isinstance(exc, IntegrityError | ProgrammingError | DataError):
        return postgres.is_empty(exc)
    return isinstance(exc, DatabaseError | InterfaceError | PoolTimeoutError | OSError | StoreError)


def cause(exc: BaseException) -> str:
    """Return what the database said, in one line, without statement and parameters."""
    origin = getattr(exc, "orig", None) or exc.__cause__ or exc
    lines = str(origin).splitlines()
    return lines[0][:200] if lines else "no reason given"
