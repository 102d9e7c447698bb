"""The settings that can be changed while the bot runs: names, values, and where these hold."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, cast

from pydantic import TypeAdapter, ValidationError

from bot.core.domain import ChannelId, GuildId, UserId
from bot.core.errors import AdmissionError
from config import names, values
from config.live import Stands
from config.names import Target

SettingValue = str | int | float | bool | tuple[int, ...]


class InvalidSettingError(AdmissionError):
    """A setting's name or value was refused; the message has the allowed range and an example."""


class Layer(StrEnum):
    """Where a value comes from; the later in this list, the stronger."""

    FILE = "file"
    GLOBAL = "global"
    GUILD = "guild"
    CHANNEL = "channel"


LAYERS: Final = (Layer.GLOBAL, Layer.GUILD, Layer.CHANNEL)
"""Where a value may be set by command, the widest first."""


@dataclass(frozen=True, slots=True)
class SettingType:
    """One setting, as its field in ``config.settings`` defines it.

    Attributes:
        name: As in the settings file and in ``/config``.
        target: The field.
        allowed: What is allowed, in words, for refusals and help.
        layers: Where it may be set.
        of: What its ids or names stand for.
    """

    name: str
    target: Target
    allowed: str
    layers: tuple[Layer, ...]
    of: Stands
    _adapter: TypeAdapter[SettingValue] = field(repr=False)

    @classmethod
    def of_field(cls, name: str, target: Target) -> SettingType:
        """Return the setting that a field defines."""
        mark, adapter = names.mark(target), values.adapter(target)
        layers = LAYERS[: LAYERS.index(Layer(mark.reach)) + 1]
        return cls(name, target, values.words(target), layers, mark.of, adapter)

    @property
    def description(self) -> str:
        """One line about what it does."""
        return self.target.info.description or ""

    def parse(self, text: str, current: SettingValue | None = None) -> SettingValue:
        """Turn what a person typed into a value.

        Args:
            text: As typed.
            current: What ``+`` and ``-`` change, with a list.

        Raises:
            InvalidSettingError: It isn't allowed.
        """
        known = current if isinstance(current, tuple) else ()
        try:
            return cast("SettingValue", values.read(self.target, text, known))
        except values.SeveralMeaningsError as exc:
            meant = " or ".join(map(self.written, exc.args))
            raise self.refused(f" What you wrote may mean {meant}: please write which.") from None
        except ValueError:
            raise self.refused() from None

    def refused(self, remark: str = "") -> InvalidSettingError:
        """Return the refusal of a value, with what more there is to say about it."""
        allowed = self.allowed.rstrip(".")
        return InvalidSettingError(f"`{self.name}` must be {allowed}.{remark}")

    def written(self, value: object) -> str:
        """Return a value as people read it."""
        return values.written(self.target, value)

    def dump(self, value: SettingValue) -> str:
        """Return a value as stored: JSON."""
        return self._adapter.dump_json(value).decode()

    def load(self, stored: str) -> SettingValue:
        """Read a stored value, checking it again: ranges change between versions, and files get edited.

        Raises:
            InvalidSettingError: The stored value isn't allowed (any more).
        """
        try:
            value = self._adapter.validate_json(stored, strict=True)
        except ValidationError:
            raise self.refused() from None
        if value is None:
            raise self.refused()
        return value


SETTING_TYPES: Final = {
    name: SettingType.of_field(name, target) for name, target in names.live_targets().items()
}
"""All settings by name, in the order they are listed."""


def setting_type(name: str) -> SettingType:
    """Return a setting by name.

    Raises:
        InvalidSettingError: There is no such setting; the message names one that is near.
    """
    typed = "_".join(values.bare(name)[:64].lower().split())
    kind = SETTING_TYPES.get(typed)
    if kind is None:
        near = [each for each in SETTING_TYPES if typed and each.startswith(typed)]
        near = near or difflib.get_close_matches(typed, SETTING_TYPES, 1)
        guess = f" Did you mean `{near[0]}`?" if near else ""
        raise InvalidSettingError(
            f"There is no setting of that name.{guess} /config show lists all."
        )
    return kind


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a change holds. ``EVERYWHERE``, or made by ``in_guild`` and ``in_channel``.

    Attributes:
        guild_id: The guild, also of a channel; 0 with ``Layer.GLOBAL``.
        scope_id: The guild or channel itself; 0 with ``Layer.GLOBAL``.
    """

    layer: Layer
    guild_id: int = 0
    scope_id: int = 0

    @classmethod
    def in_guild(cls, guild_id: GuildId) -> Scope:
        """Return the scope of a guild."""
        return cls(Layer.GUILD, guild_id, guild_id)

    @classmethod
    def in_channel(cls, channel_id: ChannelId, guild_id: GuildId) -> Scope:
        """Return the scope of a channel or thread of a guild."""
        return cls(Layer.CHANNEL, guild_id, channel_id)


EVERYWHERE: Final = Scope(Layer.GLOBAL)
"""The scope of the whole bot."""


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
        scope_id: The guild, channel or thread that it is set for, which may be a thread's parent; else 0.
    """

    key: str
    value: SettingValue | None
    layer: Layer
    changed_by: UserId | None = None
    changed_at: datetime | None = None
    scope_id: int = 0
