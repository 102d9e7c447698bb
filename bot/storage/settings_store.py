"""Settings changed while the bot runs: channel over guild over global over the settings file."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, Final

from bot.chat.allowed_models import Permit
from bot.core.action_budget import FairBudget, Shares
from bot.core.domain import ChannelId, GuildId, Place, Reasoning, UserId
from bot.core.errors import StoreError
from bot.core.ports import ChatSettings, PlaceRules
from bot.core.wording import counted
from bot.storage import settings_sql
from bot.storage.database import Database
from bot.storage.setting_types import (
    EVERYWHERE,
    SETTING_TYPES,
    Change,
    InvalidSettingError,
    Layer,
    Scope,
    SettingValue,
    ShownSetting,
    StoredSetting,
    setting_type,
)
from config import names
from config.settings import ChatDefaults, LiveSettings, Settings

_log = logging.getLogger(__name__)

CHANGES: Final = Shares(person=20, group=40, total=300, reserve=10)
"""Changes in one minute; a person at a keyboard makes fewer. A guild with its channels is a group, and
what holds everywhere is one of its own, which only the bot's owners can reach."""

PLACES_PER_GUILD: Final = 100
"""Channels and threads of one guild that may have settings of their own; all are kept in memory."""


class NoPlaceLeftError(InvalidSettingError):
    """A guild has as many places with settings of their own as it may have; some may be deleted by now."""


NOBODY: Final = UserId(0)
"""Who changed a setting, once that person's data was deleted."""

_WIDER: Final = {
    Layer.GLOBAL: "`{}` holds for the whole bot: only whoever runs me sets it, with scope:global.",
    Layer.GUILD: "`{}` holds for the server as a whole: leave the scope out, or use scope:guild.",
}
"""Why a setting can't be set in a narrower scope than this."""

NOT_PERMITTED: Final = (
    "The model chosen here isn't in memory, so my usual one answered. Only whoever runs me may "
    "load models."
)


PermitModel = Callable[[GuildId, str], Permit | None]
"""Returns what a guild may use for a model that it chose."""


def _any_model(_guild_id: GuildId, name: str) -> Permit:
    return Permit(name, may_load=True)


class SettingsStore:
    """A ``SettingsReader`` that can be written. Made by ``open``.

    Reads come from memory. A write is in the database before it is in memory, so that a failed one
    changes nothing.

    Attributes:
        file_state: For the owners: what is wrong with an edit of the settings file, or waits for a
            restart.
    """

    def __init__(
        self, database: Database, live: LiveSettings, permit: PermitModel = _any_model
    ) -> None:
        self._database = database
        self._live = live
        self._values: dict[Scope, dict[str, StoredSetting]] = {}
        self._writing = asyncio.Lock()
        self._budget = FairBudget(CHANGES)
        self._listeners: list[Callable[[Change], None]] = []
        self._is_loaded = False
        self._permit = permit
        self.file_state: tuple[str, ...] = ()

    @classmethod
    async def open(
        cls, database: Database, live: LiveSettings, permit: PermitModel = _any_model
    ) -> SettingsStore:
        """Load what is stored; with a database that can't be read, the settings file holds.

        Args:
            database: Open.
            live: What the operator wrote; what holds everywhere is kept in force there.
            permit: Says which models guilds and channels may have.
        """
        store = cls(database, live, permit)
        try:
            await store._load()
        except StoreError as exc:
            _log.error("Stored settings can't be read (%s); the settings file holds", exc)
        database.on_recovery(store._recover)
        return store

    def effective(self, place: Place) -> ChatSettings:
        """Return what holds at this place now; a thread inherits from its channel."""
        scopes = _scopes(place)
        chat: dict[str, Any] = {
            name: self._resolve(name, scopes).value for name in ChatDefaults.model_fields
        }
        chat["reasoning"] = Reasoning(chat["reasoning"])
        chat["model"], chat["may_load"], chat["model_remark"] = self._model(place, scopes)
        return ChatSettings(**chat)

    def rules(self, place: Place) -> PlaceRules:
        """Return what the server's own people decided for a place, beside what holds everywhere."""
        scopes = _scopes(place)

        def nearest(key: str) -> SettingValue | None:
            held = self._resolve(key, scopes)
            is_operators = held.layer in {Layer.FILE, Layer.GLOBAL} and key != "answer_to"
            return () if is_operators else held.value

        rules: dict[str, Any] = {rule.name: nearest(rule.name) for rule in fields(PlaceRules)}
        return PlaceRules(**rules)

    def _model(self, place: Place, scopes: Sequence[Scope]) -> tuple[str | None, bool, str]:
        """Return the model in force, whether it may be loaded, and what to say about it."""
        shown = self._resolve("model", scopes)
        if shown.value is None:
            return None, True, ""
        chosen = str(shown.value)
        if place.guild_id is None or shown.layer not in (Layer.GUILD, Layer.CHANNEL):
            return chosen, True, ""
        permit = self._permit(place.guild_id, chosen)
        if permit is not None:
            return permit.key, permit.may_load, ""
        return self._live.view.chat.model, True, NOT_PERMITTED

    def show(self, place: Place) -> list[ShownSetting]:
        """Return every setting in force at this place, in the order of ``SETTING_TYPES``."""
        scopes = _scopes(place)
        return [self._resolve(key, scopes) for key in SETTING_TYPES]

    def stored(self, scope: Scope, key: str) -> StoredSetting | None:
        """Return what someone set at exactly this scope."""
        return self._values.get(scope, {}).get(key)

    async def set(self, scope: Scope, key: str, value: str, by: UserId, at: datetime) -> Change:
        """Change a setting.

        Args:
            scope: Where it shall hold.
            key: The setting's name.
            value: As typed by a person.
            by: Who changes it.
            at: When, UTC.

        Raises:
            InvalidSettingError: Name, value or scope isn't allowed; nothing was changed.
            StoreError: The database failed; nothing was changed.
        """
        kind = setting_type(key)
        if scope.layer not in kind.layers:
            raise InvalidSettingError(_WIDER[kind.layers[-1]].format(kind.name))
        async with self._writing:
            stored = self.stored(scope, kind.name)
            parsed = kind.parse(value, stored.value if stored else None)
            return await self._change(scope, kind.name, parsed, by, at)

    async def reset(self, scope: Scope, key: str, by: UserId, at: datetime) -> Change | None:
        """Remove what was set at a scope, so that the layer below holds; ``None`` if nothing was.

        Raises:
            InvalidSettingError: There is no such setting.
            StoreError: The database failed; nothing was changed.
        """
        setting_type(key)
        async with self._writing:
            if self.stored(scope, key) is None:
                return None
            return await self._change(scope, key, None, by, at)

    async def undoable(self, scope: Scope) -> Sequence[Change]:
        """Return the changes that ``undo`` would take back, the last first; none if there are none.

        Raises:
            StoreError: The database failed.
        """
        return await self._database.read(lambda c: settings_sql.last_undoable(c, scope))

    async def undo(
        self, scope: Scope, by: UserId, at: datetime, *, expected: Sequence[Change] = ()
    ) -> Sequence[Change]:
        """Take back the newest change that isn't taken back yet; again goes further back.

        What one author changed at one scope at one time is taken back as a whole.

        Args:
            scope: A guild's means the guild and its channels; global only global changes; a
                channel's only that channel.
            by: Who takes it back.
            at: When, UTC.
            expected: Only these changes: nothing is taken back where others are the newest.

        Raises:
            StoreError: The database failed; nothing was changed.
        """
        async with self._writing:
            last = await self.undoable(scope)
            if expected and [each.id for each in last] != [each.id for each in expected]:
                return []
            return [
                await self._change(each.scope, each.key, each.old, by, at, undoes_id=each.id)
                for each in last
            ]

    async def history(
        self, key: str | None = None, limit: int = 20, scope: Scope | None = None
    ) -> Sequence[Change]:
        """Return the newest changes first.

        Args:
            key: Only this setting; all when ``None``.
            limit: At most so many, 1 to 200.
            scope: Only what ``undo`` would reach from there; everything when ``None``.

        Raises:
            InvalidSettingError: There is no such setting.
            StoreError: The database failed.
        """
        if key is not None:
            setting_type(key)
        bounded = max(1, min(200, limit))
        return await self._database.read(lambda c: settings_sql.changes(c, key, bounded, scope))

    def set_by(self, person_id: UserId) -> list[StoredSetting]:
        """Return the settings in force that a person set."""
        return [
            s for held in self._values.values() for s in held.values() if s.changed_by == person_id
        ]

    def set_in(self, guild_id: GuildId) -> list[StoredSetting]:
        """Return the settings that a server and its channels have of their own."""
        return [
            s for at, held in self._values.items() if at.guild_id == guild_id for s in held.values()
        ]

    async def changes_by(self, person_id: UserId) -> Sequence[Change]:
        """Return a person's changes as far as they are kept, oldest first.

        Raises:
            StoreError: The database failed.
        """
        return await self._database.read(lambda c: settings_sql.changes_by(c, person_id))

    async def forget_author(self, person_id: UserId) -> None:
        """Forget who made a person's changes; the settings stay, being their server's.

        Raises:
            StoreError: The database failed; nothing was changed.
        """
        async with self._writing:
            await self._database.write(lambda c: settings_sql.forget_author(c, person_id, NOBODY))
            for held in self._values.values():
                for key, stored in held.items():
                    if stored.changed_by == person_id:
                        held[key] = replace(stored, changed_by=NOBODY)

    async def forget_guild(self, guild_id: GuildId) -> None:
        """Forget the settings of a server and its channels, and who changed them.

        Raises:
            StoreError: The database failed; nothing was changed.
        """
        async with self._writing:
            await self._database.write(lambda c: settings_sql.forget_guild(c, guild_id))
            for scope in [scope for scope in self._values if scope.guild_id == guild_id]:
                del self._values[scope]

    def places_in(self, guild_id: GuildId) -> list[ChannelId]:
        """Return the channels and threads of a server that have settings of their own."""
        return [
            ChannelId(at.scope_id)
            for at in self._values
            if at.layer is Layer.CHANNEL and at.guild_id == guild_id
        ]

    async def forget_places(self, guild_id: GuildId, deleted: Collection[ChannelId]) -> None:
        """Forget the settings of channels and threads that are deleted, and who changed them.

        Raises:
            StoreError: The database failed; nothing was changed.
        """
        async with self._writing:
            await self._database.write(lambda c: settings_sql.forget_places(c, guild_id, deleted))
            for channel_id in deleted:
                self._values.pop(Scope.in_channel(channel_id, guild_id), None)

    async def reload(self) -> None:
        """Take over what other processes have changed.

        Raises:
            StoreError: The database failed; what was known holds.
        """
        async with self._writing:
            await self._load()

    def subscribe(self, listener: Callable[[Change], None]) -> None:
        """Have a function called after each change."""
        self._listeners.append(listener)

    def rebase(self, settings: Settings) -> None:
        """Take what the operator wrote anew; what was set by command stays over it."""
        self._live.base = settings
        self._follow()

    def _resolve(self, key: str, scopes: Sequence[Scope]) -> ShownSetting:
        for scope in scopes:
            stored = self._values.get(scope, {}).get(key)
            if stored is not None:
                by, at = stored.changed_by, stored.changed_at
                return ShownSetting(key, stored.value, scope.layer, by, at, scope.scope_id)
        target = SETTING_TYPES[key].target  # asked for each setting of each question
        value: SettingValue | None = getattr(getattr(self._live.base, target.section), target.field)
        return ShownSetting(key, value, Layer.FILE)

    async def _change(
        self,
        scope: Scope,
        key: str,
        new: SettingValue | None,
        by: UserId,
        at: datetime,
        *,
        undoes_id: int | None = None,
    ) -> Change:
        self._bound(scope, by, at, adds=new is not None)
        before = self.stored(scope, key)
        draft = Change(0, scope, key, before.value if before else None, new, by, at, undoes_id)
        change = await self._database.write(lambda c: settings_sql.save_change(c, draft))
        values = self._values.setdefault(scope, {})
        if new is None:
            values.pop(key, None)
        else:
            values[key] = StoredSetting(scope, key, new, by, at)
        if not values:
            del self._values[scope]
        self._follow()
        _log.info("Setting %s changed at %s %d by %d", key, scope.layer, scope.scope_id, by)
        for listener in tuple(self._listeners):
            listener(change)
        return change

    def _bound(self, scope: Scope, by: UserId, at: datetime, *, adds: bool) -> None:
        if adds and scope not in self._values and scope.layer is Layer.CHANNEL:
            places = sum(other.guild_id == scope.guild_id for other in self._values)
            if places >= PLACES_PER_GUILD:
                raise NoPlaceLeftError(
                    f"This server already has {PLACES_PER_GUILD} places with settings of their own. "
                    "Remove some with /config reset, or set it for the whole server."
                )
        wait_s = math.ceil(self._budget.take(by, scope.guild_id, at.timestamp()))
        if wait_s:
            raise InvalidSettingError(
                "Too many settings were changed in the last minute. "
                f"Please try again in {counted(wait_s, 'second')}."
            )

    async def _load(self) -> None:
        values: dict[Scope, dict[str, StoredSetting]] = {}
        for stored in await self._database.read(settings_sql.load):
            values.setdefault(stored.scope, {})[stored.key] = stored
        self._values = values
        self._is_loaded = True
        self._follow()

    def _follow(self) -> None:
        """Put in force what holds everywhere."""
        held = self._values.get(EVERYWHERE, {})
        values = {SETTING_TYPES[key].target: stored.value for key, stored in held.items()}
        self._live.put_in_force(names.with_values(self._live.base, values))

    async def _recover(self, is_fresh: bool) -> None:
        """Write everything to a fresh database; read what couldn't be read from an old one."""
        if not self._is_loaded and not is_fresh:
            await self._load()
            return
        if is_fresh:
            everything = [s for values in self._values.values() for s in values.values()]
            await self._database.write(lambda c: settings_sql.save_all(c, everything))
            await self._load()  # another database may have brought settings of its own


def _scopes(place: Place) -> list[Scope]:
    """Return the scopes that hold at a place, strongest first."""
    guild_id = place.guild_id
    if guild_id is None:
        return [EVERYWHERE]
    channels = [i for i in (place.channel_id, place.parent_id) if i is not None]
    scopes = [Scope(Layer.CHANNEL, guild_id, channel_id) for channel_id in channels]
    return [*scopes, Scope(Layer.GUILD, guild_id, guild_id), EVERYWHERE]
