"""The settings that can be changed while the bot runs: names, ranges, values, and where these hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from bot.core.domain import ChannelId, GuildId, Reasoning, UserId
from bot.core.errors import AdmissionError
from config.settings import ChatDefaults, LMStudioSettings

SettingValue = str | int | float | bool

_NUMBER_CHARS: Final = 32
"""Longer input is no number that anyone means; it also keeps integer parsing cheap."""

_DECIMAL: Final = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)", re.ASCII)
_WHOLE: Final = re.compile(r"\+?\d++", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_YES: Final = frozenset({"true", "yes", "on", "1"})
_NO: Final = frozenset({"false", "no", "off", "0"})


class InvalidSettingError(AdmissionError):
    """A setting's name or value was refused; the message has the allowed range and an example."""


@dataclass(frozen=True, slots=True)
class SettingType:
    """One setting.

    Attributes:
        name: As in the settings file and in ``/config``.
        allowed: What is allowed, in words, for refusals and help.
        parse: Turns text into the value; raises ``InvalidSettingError``.
        description: One line about what it does.
        is_global_only: Holds for the whole bot; only its owners may change it.
    """

    name: str
    allowed: str
    parse: Callable[[str], SettingValue]
    description: str
    is_global_only: bool = False


def parse_setting(name: str, text: str) -> SettingValue:
    """Turn what a person typed into a setting's value.

    Args:
        name: The setting's name.
        text: As typed; spaces around it are ignored.

    Raises:
        InvalidSettingError: There is no such setting, or the value is outside its range.
    """
    return setting_type(name).parse(text)


def setting_type(name: str) -> SettingType:
    """Return a setting by name.

    Raises:
        InvalidSettingError: There is no such setting; the message lists those there are.
    """
    kind = SETTING_TYPES.get(name)
    if kind is None:
        raise InvalidSettingError(
            f"There is no setting of that name. The settings are {', '.join(SETTING_TYPES)}."
        )
    return kind


def format_value(value: SettingValue | None) -> str:
    """Return a value as a person would type it; ``None`` (no model named) reads "the loaded one"."""
    if value is None:
        return "the loaded one"
    if isinstance(value, bool):
        return "on" if value else "off"
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


def dump_value(value: SettingValue) -> str:
    """Return a value as stored: ASCII JSON, finite numbers only."""
    return json.dumps(value, allow_nan=False)


def load_value(name: str, stored: str) -> SettingValue:
    """Read a stored value, checking it again: ranges change between versions, and files get edited.

    Raises:
        InvalidSettingError: The stored value isn't allowed (any more).
    """
    try:
        value = json.loads(stored)
    except ValueError as exc:
        raise InvalidSettingError(f"The stored value of {name} can't be read.") from exc
    text = format_value(value) if isinstance(value, str | int | float) else ""
    return parse_setting(name, text)


def _setting(
    name: str,
    read: Callable[[str], object],
    allowed: str,
    field: FieldInfo | None = None,
    *,
    is_global_only: bool = False,
) -> SettingType:
    """Return a setting whose range is that of its field in the settings file.

    Args:
        name: As in ``/config``.
        read: Turns text without spaces around it into a value; raises ``ValueError``.
        allowed: In words, with the field's bounds by pydantic's names for them.
        field: The field; the one of that name in ``ChatDefaults`` when left out.
        is_global_only: See ``SettingType``.
    """
    info = field or ChatDefaults.model_fields[name]
    bounds = {
        bound: getattr(item, bound)
        for item in info.metadata
        for bound in ("ge", "gt", "le", "max_length")
        if hasattr(item, bound)
    }
    words = allowed.format(**bounds)
    kind: Any = Annotated[info.annotation, info]
    checked: TypeAdapter[SettingValue] = TypeAdapter(kind)

    def parse(text: str) -> SettingValue:
        try:
            return checked.validate_python(read(text.strip()))
        except ValueError:  # also pydantic's own, whose words are for programmers
            raise InvalidSettingError(f"`{name}` must be {words}.") from None

    return SettingType(name, words, parse, info.description or "", is_global_only)


def _decimal(text: str) -> float:
    if len(text) > _NUMBER_CHARS or not _DECIMAL.fullmatch(text.replace(",", ".", 1)):
        raise ValueError
    return float(text.replace(",", ".", 1))


def _whole(text: str) -> int:
    if len(text) > _NUMBER_CHARS or not _WHOLE.fullmatch(text):
        raise ValueError
    return int(text)


def _prose(text: str) -> str:
    if not text or _CONTROL.search(text):
        raise ValueError
    return text


def _model_name(text: str) -> str:
    if not text or not text.isprintable() or ".." in text:
        raise ValueError
    return text


def _switch(text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise ValueError
    return text.lower() in _YES


_ALL: Final = (
    _setting(
        "model",
        _model_name,
        "a model's name of 1 to {max_length} characters, for example qwen/qwen3-8b",
    ),
    _setting("temperature", _decimal, "a number from {ge} to {le}, for example 0.7"),
    _setting("top_p", _decimal, "a number above {gt} and up to {le}, for example 0.95"),
    _setting("max_tokens", _whole, "a whole number from {ge} to {le}, for example 2048"),
    _setting(
        "system_prompt",
        _prose,
        "1 to {max_length} characters of plain text, without control characters, "
        "for example You are a patient tutor.",
    ),
    _setting("reasoning", str.lower, f"one of {', '.join(Reasoning)}, for example low"),
    _setting("show_footer", _switch, "on or off"),
    _setting(
        "network_timeout",
        _whole,
        "a whole number of milliseconds from {ge} to {le}, for example 30000",
        LMStudioSettings.model_fields["network_timeout_ms"],
        is_global_only=True,
    ),
)

SETTING_TYPES: Final = {kind.name: kind for kind in _ALL}
"""All settings by name, in the order they are listed."""


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
