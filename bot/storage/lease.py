"""The session that holds a PostgreSQL database for one process, beside those that read and write.

An advisory lock of the session says who may lead: the server frees it when the session ends, however.
A counter, the term, goes up with each new leader. Every transaction that writes looks whether the term
is still its own (``check_term``), so that a leader that was cut off can't write into its successor's work.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from bot.core.errors import ConfigurationError, StoreError
from bot.storage import engine as engines
from bot.storage import postgres

_T = TypeVar("_T")

HOLD_KEY: Final = 0x636C_6177_626F_7400
_WAIT_KEY: Final = HOLD_KEY + 1
"""Keys of advisory locks, ``clawbot`` in ASCII; advisory locks are per database. The first is the
leader's, the second is shared by those who wait to lead."""

_DROP_MS: Final = 4_000
"""Milliseconds of silence after which the server ends this session: a frozen process keeps its
connection otherwise. PostgreSQL knows this since version 14."""

_ROW: Final = "leader"
"""State: the term and the mode of the newest leader."""

_CLASS, _HOLD, _WAIT = HOLD_KEY >> 32, HOLD_KEY & 0xFFFF_FFFF, _WAIT_KEY & 0xFFFF_FFFF
"""``pg_locks`` shows a key of eight bytes in two halves, with 1 beside them (PostgreSQL: pg_locks)."""

_LOOK: Final = text(
    "SELECT count(*) FILTER (WHERE objid::bigint = :hold AND pid = pg_backend_pid()) AS own,"
    " count(*) FILTER (WHERE objid::bigint = :hold) AS held,"
    " count(*) FILTER (WHERE objid::bigint = :wait) AS waiting"
    " FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND classid::bigint = :class"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
).bindparams(**{"class": _CLASS, "hold": _HOLD, "wait": _WAIT})
_TAKE: Final = text("SELECT pg_try_advisory_lock(:key)").bindparams(key=HOLD_KEY)
_ENTER: Final = text("SELECT pg_advisory_lock_shared(:key)").bindparams(key=_WAIT_KEY)
_READ: Final = text("SELECT value FROM state WHERE key = :key FOR SHARE").bindparams(key=_ROW)
_WRITE: Final = text(
    "INSERT INTO state (key, value, updated_at_ms) VALUES (:key, :value, extract(epoch FROM now()) * 1000) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at_ms = excluded.updated_at_ms "
    "WHERE (state.value::json ->> 'term')::bigint <= (excluded.value::json ->> 'term')::bigint"
).bindparams(key=_ROW)
_LEAVE: Final = text("SELECT pg_advisory_unlock_shared(:key)").bindparams(key=_WAIT_KEY)
_BACKEND: Final = text("SELECT pg_backend_pid()")
_HAS_TABLE: Final = text("SELECT to_regclass('state') IS NOT NULL")
_DROP: Final = text(
    "SELECT set_config('idle_session_timeout', :ms, false)"
    " WHERE current_setting('server_version_num')::int >= 140000"
).bindparams(ms=str(_DROP_MS))


_POOLED: Final = (
    "A pooler stands between the bot and the database at CLAWBOT_DATABASE_URL, and gives each transaction another "
    "session, so nothing can be held there: give the address of PostgreSQL itself, or have it pool by session."
)


class Mode(StrEnum):
    """What a leader has left in the database about itself."""

    ALONE = "alone"
    """It knows of nobody who waits, and goes on where it can't reach the database."""
    SHARED = "shared"
    """It stops posting where it can't be sure to lead."""
    LEFT = "left"
    """It has ended in order."""


class SupersededError(StoreError):
    """Another process leads since."""

    admin_hint = "Nothing: this one waits until the other one ends."


@dataclass(frozen=True, slots=True)
class Standing:
    """Who holds the database.

    Attributes:
        is_own: This session does.
        holders: How many do; more than one where they share the shards.
        waiting: How many sessions wait to.
    """

    is_own: bool
    holders: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Leader:
    """A leader, as the database knows it.

    Attributes:
        term: Its number.
        mode: What it has left.
    """

    term: int
    mode: Mode


class HoldingSession:
    """A connection of its own; whatever fails ends it. Threads take turns.

    Each call takes as long as the server does, and raises ``StoreError``.

    Args:
        location: The database's URL.
    """

    def __init__(self, location: str) -> None:
        self._engine = engines.build_engine(engines.parse_location(location))
        self._connection: Connection | None = None
        self._is_closed = False
        self._turn = threading.RLock()

    def open(self) -> None:
        """Connect.

        Raises:
            ConfigurationError: The server doesn't do what the URL asks, or isn't reached by a session of our own.
        """
        with self._turn:
            if self._is_closed:
                raise StoreError("the session has ended")
            try:
                self._connection = self._engine.connect()
            except ProgrammingError as exc:
                raise engines.refused(exc) from exc
            except SQLAlchemyError as exc:
                raise StoreError(postgres.plain_problem(exc)) from exc
            self.run(lambda connection: connection.execute(_DROP))
            if self._is_pooled():
                self.close()
                raise ConfigurationError(_POOLED)

    def _is_pooled(self) -> bool:
        """Return whether a pooler lends this session to others between transactions, with all its locks.

        It lends to a second connection what the first one has just left, or gives the first one another
        then. Where no second connection can be made it isn't known.
        """
        second = engines.build_engine(self._engine.url)
        try:
            with suppress(SQLAlchemyError):
                before = self.run(_backend)
                with second.connect() as connection, connection.begin():
                    return before == _backend(connection) or before != self.run(_backend)
        finally:
            second.dispose()
        return False

    def close(self) -> None:
        """Let go of everything, as soon as a call that hangs is over."""
        with self._turn:
            self._is_closed = True
            if self._connection is not None:
                self._connection.invalidate()
                self._connection = None
            self._engine.dispose()

    def run(self, work: Callable[[Connection], _T]) -> _T:
        """Run statements in a transaction of the session."""
        with self._turn:
            if self._connection is None:
                raise StoreError("the session has ended")
            try:
                with self._connection.begin():
                    return work(self._connection)
            except SQLAlchemyError as exc:
                self.close()  # used again, it would connect anew, without what it held
                raise StoreError(engines.cause(exc)) from exc


class LeaseSession(HoldingSession):
    """A session that leads, or waits to."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self._is_waiting = False

    def wait(self) -> None:
        """Be seen as one who waits to lead."""
        self.run(lambda connection: connection.execute(_ENTER))
        self._is_waiting = True

    def take(self) -> bool:
        """Hold the database where nobody does; return whether this session holds it."""
        is_taken = self.run(lambda connection: bool(connection.execute(_TAKE).scalar()))
        if is_taken and self._is_waiting:
            self.run(lambda connection: connection.execute(_LEAVE))
            self._is_waiting = False
        return is_taken

    def look(self) -> Standing:
        """Return who holds the database."""
        return self.run(_look)

    def leader(self) -> Leader | None:
        """Return the newest leader; ``None`` where none is known."""
        return self.run(lambda connection: _leader(connection) if _is_made(connection) else None)

    def note(self, leader: Leader) -> None:
        """Note who leads, as soon as what is being written is; nothing where there are no tables yet.

        Nothing either where a later leader is known: its term must never be given again.
        """

        def write(connection: Connection) -> None:
            if _is_made(connection):
                connection.execute(_WRITE, {"value": _dump(leader)})

        self.run(write)


def check_term(connection: Connection, leader: Leader) -> None:
    """Begin a transaction that writes: look whether a leader is still the newest.

    Raises:
        SupersededError: It isn't.
    """
    found = _leader(connection)
    if found is None:  # the tables are new
        connection.execute(_WRITE, {"value": _dump(leader)})
    elif found.term != leader.term:
        raise SupersededError("another process leads")


def pass_term(connection: Connection) -> bool:
    """Have no earlier leader write any more; return whether the last one ended in order, or never shared.

    If not, whoever passes it next is told so, too, until ``end_term``: the reply may be lost, and others may come
    at the same moment.
    """
    found = _leader(connection)
    if found is None:
        return True
    is_shared = found.mode is Mode.SHARED
    mode = Mode.SHARED if is_shared else Mode.LEFT
    connection.execute(_WRITE, {"value": _dump(Leader(found.term + 1, mode))})
    return not is_shared


def end_term(connection: Connection) -> None:
    """Note that no earlier leader does anything any more."""
    found = _leader(connection)
    if found is not None:
        connection.execute(_WRITE, {"value": _dump(replace(found, mode=Mode.LEFT))})


def standing_on(location: str) -> Standing:
    """Return who holds a database, changing nothing there.

    Raises:
        ConfigurationError: The URL can't be read, the driver isn't installed, or the server refuses.
        StoreError: It can't be reached.
    """
    session = LeaseSession(location)
    try:
        session.open()
        return session.look()
    finally:
        session.close()


def _backend(connection: Connection) -> int:
    """Return which of the server's processes serves a connection."""
    return int(connection.execute(_BACKEND).scalar_one())


def _look(connection: Connection) -> Standing:
    own, held, waiting = connection.execute(_LOOK).one()
    return Standing(is_own=bool(own), holders=held, waiting=waiting)


def _is_made(connection: Connection) -> bool:
    return bool(connection.execute(_HAS_TABLE).scalar())


def _leader(connection: Connection) -> Leader | None:
    stored = connection.execute(_READ).scalar()
    if stored is None:
        return None
    values = json.loads(stored)
    return Leader(int(values["term"]), Mode(values["mode"]))


def _dump(leader: Leader) -> str:
    return json.dumps({"term": leader.term, "mode": leader.mode.value})
