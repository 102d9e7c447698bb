"""The settings that can be changed while the bot runs: names, ranges, and how text becomes a value."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from bot.core.domain import Reasoning
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


def _refuse(name: str, allowed: str) -> InvalidSettingError:
    return InvalidSettingError(f"`{name}` must be {allowed}.")


def _decimal(name: str, allowed: str, low: float, high: float, *, open_low: bool) -> SettingType:
    def parse(text: str) -> SettingValue:
        cleaned = text.strip().replace(",", ".", 1)
        if not _DECIMAL.fullmatch(cleaned):
            raise _refuse(name, allowed)
        value = float(cleaned) if len(cleaned) <= _NUMBER_CHARS else math.inf
        if not low <= value <= high or (open_low and value == low):
            raise _refuse(name, allowed)
        return value

    return SettingType(name, allowed, parse, _description(name))


def _integer(name: str, allowed: str, low: int, high: int, description: str) -> SettingType:
    def parse(text: str) -> SettingValue:
        cleaned = text.strip()
        if len(cleaned) > _NUMBER_CHARS or not _WHOLE.fullmatch(cleaned):
            raise _refuse(name, allowed)
        value = int(cleaned)
        if not low <= value <= high:
            raise _refuse(name, allowed)
        return value

    return SettingType(name, allowed, parse, description)


def _text(name: str, allowed: str, max_chars: int, *, one_line: bool) -> SettingType:
    def parse(text: str) -> SettingValue:
        value = text.strip()
        if not value or len(value) > max_chars or _CONTROL.search(value):
            raise _refuse(name, allowed)
        if one_line and (not value.isprintable() or ".." in value):
            raise _refuse(name, allowed)
        return value

    return SettingType(name, allowed, parse, _description(name))


def _reasoning(text: str) -> SettingValue:
    value = text.strip().lower()
    if value not in set(Reasoning):
        raise _refuse("reasoning", _REASONING_ALLOWED)
    return value


def _switch(text: str) -> SettingValue:
    value = text.strip().lower()
    if value not in _YES | _NO:
        raise _refuse("show_footer", _SWITCH_ALLOWED)
    return value in _YES


def _description(name: str) -> str:
    return ChatDefaults.model_fields[name].description or ""


def _bound(model: type[ChatDefaults | LMStudioSettings], name: str, kind: str) -> float:
    """Return a field's bound from the settings' own metadata, so that the two never differ."""
    for item in model.model_fields[name].metadata:
        bound = getattr(item, kind, None)
        if bound is not None:
            return float(bound)
    raise LookupError(f"{name} has no {kind}")


_REASONING_ALLOWED: Final = f"one of {', '.join(Reasoning)}, for example low"
_SWITCH_ALLOWED: Final = "on or off"


def _network_timeout() -> SettingType:
    least_ms = int(_bound(LMStudioSettings, "network_timeout_ms", "ge"))
    most_ms = int(_bound(LMStudioSettings, "network_timeout_ms", "le"))
    allowed = f"a whole number of milliseconds from {least_ms} to {most_ms}, for example 30000"
    description = LMStudioSettings.model_fields["network_timeout_ms"].description or ""
    kind = _integer("network_timeout", allowed, least_ms, most_ms, description)
    return replace(kind, is_global_only=True)


def _build() -> dict[str, SettingType]:
    chat = ChatDefaults
    temperature = _bound(chat, "temperature", "ge"), _bound(chat, "temperature", "le")
    top_p = _bound(chat, "top_p", "gt"), _bound(chat, "top_p", "le")
    tokens = int(_bound(chat, "max_tokens", "ge")), int(_bound(chat, "max_tokens", "le"))
    prompt_chars = int(_bound(chat, "system_prompt", "max_length"))
    model_chars = int(_bound(chat, "model", "max_length"))
    kinds = (
        _text(
            "model",
            f"a model's name of 1 to {model_chars} characters, for example qwen/qwen3-8b",
            model_chars,
            one_line=True,
        ),
        _decimal(
            "temperature",
            f"a number from {temperature[0]:g} to {temperature[1]:g}, for example 0.7",
            *temperature,
            open_low=False,
        ),
        _decimal(
            "top_p",
            f"a number above {top_p[0]:g} and up to {top_p[1]:g}, for example 0.95",
            *top_p,
            open_low=True,
        ),
        _integer(
            "max_tokens",
            f"a whole number from {tokens[0]} to {tokens[1]}, for example 2048",
            *tokens,
            _description("max_tokens"),
        ),
        _text(
            "system_prompt",
            f"1 to {prompt_chars} characters of plain text, without control characters, "
            "for example You are a patient tutor.",
            prompt_chars,
            one_line=False,
        ),
        SettingType("reasoning", _REASONING_ALLOWED, _reasoning, _description("reasoning")),
        SettingType("show_footer", _SWITCH_ALLOWED, _switch, _description("show_footer")),
        _network_timeout(),
    )
    return {kind.name: kind for kind in kinds}


SETTING_TYPES: Final = _build()
"""All settings by name, in the order they are listed."""
