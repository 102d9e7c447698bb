"""Statements of the settings store."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from bot.core.domain import ChannelId, GuildId, UserId
from bot.storage.postgres import News, announce
from bot.storage.schema import from_ms, setting_changes, settings, to_ms, upsert
from bot.storage.setting_types import (
    Change,
    InvalidSettingError,
    Layer,
    Scope,
    SettingValue,
    StoredSetting,
    setting_type,
)

_log = logging.getLogger(__name__)

KEPT_CHANGES: Final = 50
"""Changes of one guild that the audit log keeps, the newest; each may hold two personas."""


def load(connection: Connection) -> list[StoredSetting]:
    """Return all stored settings; one that isn't allowed any more is left out, and logged."""
    found: list[StoredSetting] = []
    for row in connection.execute(select(settings)):
        try:
            value = setting_type(row.key).load(row.value)
        except InvalidSettingError as exc:
            _log.warning("Stored setting at %s %d ignored: %s", row.layer, row.scope_id, exc)
            continue
        found.append(
            StoredSetting(
                _scope(row), row.key, value, UserId(row.changed_by), from_ms(row.changed_at_ms)
            )
        )
    return found


def save_all(connection: Connection, values: Sequence[StoredSetting]) -> None:
    """Write settings as they are in memory."""
    upsert(connection, settings, [_row(stored) for stored in values])


def save_change(connection: Connection, change: Change) -> Change:
    """Apply a change and add it to the audit log; returns it with its id."""
    if change.new is None:
        connection.execute(
            delete(settings).where(
                settings.c.layer == change.scope.layer.value,
                settings.c.scope_id == change.scope.scope_id,
                settings.c.key == change.key,
            )
        )
    else:
        stored = StoredSetting(
            change.scope, change.key, change.new, change.changed_by, change.changed_at
        )
        save_all(connection, [stored])
    result = connection.execute(
        insert(setting_changes).values(
            layer=change.scope.layer.value,
            scope_id=change.scope.scope_id,
            key=change.key,
            guild_id=change.scope.guild_id,
            old_value=_dump(change.key, change.old),
            new_value=_dump(change.key, change.new),
            changed_by=change.changed_by,
            changed_at_ms=to_ms(change.changed_at),
            undoes_id=change.undoes_id,
        )
    )
    _forget_old_changes(connection, change.scope.guild_id)
    announce(connection, News.SETTINGS)
    key = result.inserted_primary_key
    return replace(change, id=key[0] if key is not None else 0)


def _forget_old_changes(connection: Connection, guild_id: int) -> None:
    """Bound what one guild's changes may occupy; an undo is newer than what it took back."""
    oldest_kept = (
        select(setting_changes.c.id)
        .where(setting_changes.c.guild_id == guild_id)
        .order_by(setting_changes.c.id.desc())
        .offset(KEPT_CHANGES - 1)
        .limit(1)
    )
    oldest = connection.execute(oldest_kept).scalar()
    if oldest is not None:
        old = setting_changes.c.guild_id == guild_id, setting_changes.c.id < oldest
        connection.execute(delete(setting_changes).where(*old))


def forget_author(connection: Connection, person_id: UserId, nobody: UserId) -> None:
    """Put nobody in the place of a person who changed settings."""
    for table in (settings, setting_changes):
        is_theirs = table.c.changed_by == person_id
        connection.execute(update(table).where(is_theirs).values(changed_by=nobody))
    announce(connection, News.SETTINGS)


def forget_guild(connection: Connection, guild_id: GuildId) -> None:
    """Delete the settings of a server and its channels, and all their changes."""
    for table in (settings, setting_changes):
        connection.execute(delete(table).where(table.c.guild_id == guild_id))
    announce(connection, News.SETTINGS)


def forget_places(
    connection: Connection, guild_id: GuildId, channel_ids: Collection[ChannelId]
) -> None:
    """Delete the settings of channels of a server, and all their changes."""
    for table in (settings, setting_changes):
        where = (
            table.c.layer == Layer.CHANNEL.value,
            table.c.guild_id == guild_id,
            table.c.scope_id.in_(channel_ids),
        )
        connection.execute(delete(table).where(*where))
    announce(connection, News.SETTINGS)


def changes_by(connection: Connection, person_id: UserId) -> list[Change]:
    """Return what is known of a person's changes, oldest first."""
    is_theirs = setting_changes.c.changed_by == person_id
    query = select(setting_changes).where(is_theirs).order_by(setting_changes.c.id)
    return [_change(row) for row in connection.execute(query)]


def changes(
    connection: Connection, key: str | None, limit: int, scope: Scope | None
) -> list[Change]:
    """Return the newest changes first."""
    query = select(setting_changes).order_by(setting_changes.c.id.desc()).limit(limit)
    if key is not None:
        query = query.where(setting_changes.c.key == key)
    if scope is not None:
        query = query.where(*_reach(scope))
    return [_change(row) for row in connection.execute(query)]


def last_undoable(connection: Connection, scope: Scope) -> list[Change]:
    """Return the newest of a scope's changes that are no undo and aren't undone, the last first.

    These are several where one command or one choice in a menu set several, each once: they have one
    author, one scope and one time.
    """
    undone = select(setting_changes.c.undoes_id).where(setting_changes.c.undoes_id.is_not(None))
    query = (
        select(setting_changes)
        .where(
            *_reach(scope),
            setting_changes.c.undoes_id.is_(None),
            setting_changes.c.id.not_in(undone),
        )
        .order_by(setting_changes.c.id.desc())
    )
    rows = connection.execute(query.limit(KEPT_CHANGES)).all()
    found: dict[str, Change] = {}
    for row in rows:
        if row.key in found or _origin(row) != _origin(rows[0]):
            break
        found[row.key] = _change(row)
    return list(found.values())


def _origin(row: Row[Any]) -> tuple[object, ...]:
    return row.layer, row.scope_id, row.changed_by, row.changed_at_ms


def _reach(scope: Scope) -> list[ColumnElement[bool]]:
    """Return the conditions of what is reached from a scope: a guild's includes its channels."""
    if scope.layer is Layer.CHANNEL:
        return [
            setting_changes.c.layer == scope.layer.value,
            setting_changes.c.scope_id == scope.scope_id,
            setting_changes.c.guild_id == scope.guild_id,
        ]
    return [setting_changes.c.guild_id == scope.guild_id]


def _row(stored: StoredSetting) -> dict[str, Any]:
    return {
        "layer": stored.scope.layer.value,
        "scope_id": stored.scope.scope_id,
        "key": stored.key,
        "guild_id": stored.scope.guild_id,
        "value": setting_type(stored.key).dump(stored.value),
        "changed_by": stored.changed_by,
        "changed_at_ms": to_ms(stored.changed_at),
    }


def _scope(row: Row[Any]) -> Scope:
    return Scope(Layer(row.layer), row.guild_id, row.scope_id)


def _change(row: Row[Any]) -> Change:
    return Change(
        row.id,
        _scope(row),
        row.key,
        _load(row.key, row.old_value),
        _load(row.key, row.new_value),
        UserId(row.changed_by),
        from_ms(row.changed_at_ms),
        row.undoes_id,
    )


def _dump(key: str, value: SettingValue | None) -> str | None:
    return None if value is None else setting_type(key).dump(value)


def _load(key: str, stored: str | None) -> SettingValue | None:
    """Read an old value for show; one that isn't allowed any more counts as none."""
    if stored is None:
        return None
    try:
        return setting_type(key).load(stored)
    except InvalidSettingError:
        return None
