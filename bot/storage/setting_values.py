"""Values of the stored settings: where one holds, who set it, what changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.core.domain import ChannelId, GuildId, UserId
from bot.storage.setting_types import SettingValue


class Layer(StrEnum):
    """Where a value comes from; the later in this list, the stronger."""

    FILE = "file"
    GLOBAL = "global"
    GUILD = "guild"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a change holds. Made by ``everywhere``, ``in_guild`` and ``in_channel``.

    Attributes:
        guild_id: The guild, also of a channel; 0 with ``Layer.GLOBAL``.
        scope_id: The guild or channel itself; 0 with ``Layer.GLOBAL``.
    """

    layer: Layer
    guild_id: int = 0
    scope_id: int = 0

    @classmethod
    def everywhere(cls) -> Scope:
        """Return the scope of the whole bot."""
        return cls(Layer.GLOBAL)

    @classmethod
    def in_guild(cls, guild_id: GuildId) -> Scope:
        """Return the scope of a guild."""
        return cls(Layer.GUILD, guild_id, guild_id)

    @classmethod
    def in_channel(cls, channel_id: ChannelId, guild_id: GuildId) -> Scope:
        """Return the scope of a channel or thread of a guild."""
        return cls(Layer.CHANNEL, guild_id, channel_id)


@dataclass(frozen=True, slots=True)
class StoredSetting:
    """A value that someone set."""

    scope: Scope
    key: str
    value: SettingValue
    changed_by: UserId
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the audit log.

    Attributes:
        id: Grows with time.
        old: The value before; ``None`` where there was none at this scope.
        new: The value after; ``None`` for a reset.
        undoes_id: The change that this one took back, if it is an undo.
    """

    id: int
    scope: Scope
    key: str
    old: SettingValue | None
    new: SettingValue | None
    changed_by: UserId
    changed_at: datetime
    undoes_id: int | None = None


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting in force at a place, with where it comes from.

    Attributes:
        changed_by: Who set it; ``None`` for the settings file.
        changed_at: When; ``None`` for the settings file.
    """

    key: str
    value: SettingValue | None
    layer: Layer
    changed_by: UserId | None = None
    changed_at: datetime | None = None
