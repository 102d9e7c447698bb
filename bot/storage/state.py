"""Small things to remember over a restart: log-in times, the command tree's hash, model memory."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, delete, or_, select, text

from bot.core.clock import Clock
from bot.core.errors import StoreError
from bot.storage.database import Database
from bot.storage.postgres import News, announce
from bot.storage.schema import state, to_ms, upsert

_log = logging.getLogger(__name__)

Values = Mapping[str, object]

VALUE_BYTES: Final = 65_536
"""Longest value, as JSON."""


TOLD: Final = frozenset({"allowed_models", "lmstudio_servers", "loads"})
"""Names of what people set by command, and of the models that are being loaded: other processes are told of changes."""


_CHANGING: Final = text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=0x636C_6177_7374_6174)
"""Held while a value is read and written; ``clawstat`` in ASCII."""

_TOLD_BY_OTHERS: Final = ("line:", "deletion:")


class StateStore:
    """Values by name, in memory and in the database. Made by ``open``.

    Names are constants of the program, never a person's text. While the database fails, values are
    kept in memory and written when it is back.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._values: dict[str, str] = {}
        self._unsaved: set[str] = set()
        self._beginnings = database.beginnings

    @classmethod
    async def open(cls, database: Database, clock: Clock) -> StateStore:
        """Load what is stored; with a database that can't be read, begin with nothing.

        Args:
            database: Open.
            clock: For timestamps.
        """
        store = cls(database, clock)
        try:
            store._values = await database.read(_load)
        except StoreError as exc:
            _log.error("Stored state can't be read (%s)", exc)
        database.on_recovery(store._write_back)
        return store

    async def reload(self) -> None:
        """Take over what other processes have stored since.

        Raises:
            StoreError: The database failed.
        """
        values = await self._database.read(_load)
        self._values = {
            **values,
            **{k: self._values[k] for k in self._unsaved if k in self._values},
        }

    def get(self, key: str) -> object:
        """Return a value, as a copy; ``None`` if there is none."""
        return _load_value(self._values.get(key))

    async def set(self, key: str, value: object) -> None:
        """Remember a value that JSON can hold; ``None`` forgets it.

        Args:
            key: 1 to 64 characters.
            value: At most ``VALUE_BYTES`` as JSON.

        Raises:
            ValueError: The value is too long or holds a number that isn't finite.
            TypeError: JSON can't hold it.
        """
        stored = _dump(key, value)
        if value is None:
            self._values.pop(key, None)
        elif self._values.get(key) == stored and key not in self._unsaved:
            return
        else:
            self._values[key] = stored
        self._unsaved.add(key)
        if not self._database.is_degraded:
            with suppress(StoreError):
                await self._save((key,))

    async def change(self, key: str, change: Callable[[object], object]) -> object:
        """Change a value as it is in the database, where another process may have written it since.

        Args:
            key: 1 to 64 characters.
            change: Returns the new value for the old one; called in the database's thread, perhaps again.

        Returns:
            The new value.

        Raises:
            ValueError: The value is too long, or ``change`` has raised it.
        """
        return (await self.change_all((key,), lambda stored: {key: change(stored[key])}))[key]

    async def change_all(self, keys: Collection[str], change: Callable[[Values], Values]) -> Values:
        """Change several values together, as ``change`` does one.

        Args:
            keys: Which.
            change: Returns the new values, by the same keys, for the old ones.

        Raises:
            ValueError: A value is too long, or ``change`` has raised it.
        """
        now_ms = to_ms(self._clock.now())
        is_saved = self._unsaved.isdisjoint(keys)
        if not self._database.is_degraded and is_saved and self._has_ours:
            with suppress(StoreError):
                changed = await self._database.write(lambda c: _change(c, keys, change, now_ms))
                if self._has_ours:
                    for key, stored in _dump_all(changed).items():
                        self._values.pop(key, None)
                        if stored is not None:
                            self._values[key] = stored
                    return changed
        changed = change({key: self.get(key) for key in keys})
        for key, value in changed.items():
            await self.set(key, value)
        return changed

    def is_saved(self, key: str) -> bool:
        """Return whether a value is in the database, and not only in memory."""
        return key not in self._unsaved

    @property
    def _has_ours(self) -> bool:
        """Whether the database has what memory holds: none was begun, or found, that lacks it.

        A change that found otherwise began at nothing, or at what a backup held.
        """
        return self._beginnings == self._database.beginnings

    async def _save(self, keys: tuple[str, ...]) -> None:
        values = {key: self._values.get(key) for key in keys}
        now_ms = to_ms(self._clock.now())
        await self._database.write(lambda c: _store(c, values, now_ms))
        self._unsaved -= {key for key in keys if self._values.get(key) == values[key]}

    async def _write_back(self, is_fresh: bool) -> None:
        beginnings = self._database.beginnings
        if is_fresh:
            self._unsaved |= self._values.keys()
        if self._unsaved:
            await self._save(tuple(self._unsaved))
        if is_fresh:
            self._beginnings = beginnings


def _load(connection: Connection) -> dict[str, str]:
    """Return all values, without those that other processes tell of themselves (``shares``)."""
    ours = ~or_(*(state.c.key.startswith(prefix) for prefix in _TOLD_BY_OTHERS))
    return {row.key: row.value for row in connection.execute(select(state).where(ours))}


def _dump(key: str, value: object) -> str:
    stored = json.dumps(value, allow_nan=False)
    if len(stored) > VALUE_BYTES:
        raise ValueError(f"state {key} is longer than {VALUE_BYTES} bytes")
    return stored


def _load_value(stored: str | None) -> object:
    try:
        return None if stored is None else json.loads(stored)
    except ValueError:
        return None


def _change(
    connection: Connection,
    keys: Collection[str],
    change: Callable[[Values], Values],
    now_ms: int,
) -> Values:
    if connection.dialect.name == "postgresql":  # no row can be locked that isn't there yet
        connection.execute(_CHANGING)
    rows = connection.execute(select(state.c.key, state.c.value).where(state.c.key.in_(keys)))
    stored = {row.key: row.value for row in rows}
    changed = change({key: _load_value(stored.get(key)) for key in keys})
    dumped = _dump_all(changed)
    _store(connection, {k: each for k, each in dumped.items() if each != stored.get(k)}, now_ms)
    return changed


def _dump_all(values: Values) -> dict[str, str | None]:
    return {key: None if value is None else _dump(key, value) for key, value in values.items()}


def _store(connection: Connection, values: dict[str, str | None], now_ms: int) -> None:
    if not TOLD.isdisjoint(values):
        announce(connection, News.STATE)
    for key, value in values.items():
        if value is None:
            connection.execute(delete(state).where(state.c.key == key))
        else:
            row = {"key": key, "value": value, "updated_at_ms": now_ms}
            upsert(connection, state, [row])
