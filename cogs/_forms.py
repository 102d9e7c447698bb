"""Forms of text fields that need nothing in memory: what is sent off says itself which form it was."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import discord

from bot.gateway.client import Interaction

FIELD_CHARS: Final = 4000
"""Longest text of a form's field (Discord: text input)."""

_ID: Final = re.compile(r"clawbot:form:([a-z]{1,16}):([a-z]{0,16})", re.ASCII)
_MOST_PARTS: Final = 10


@dataclass(frozen=True, slots=True)
class Field:
    """A field of text.

    Attributes:
        label: Above it.
        text: What stands in it at first.
        is_long: It has several lines.
        most_chars: Longest text.
        hint: Below the label, at most 100 characters.
    """

    label: str
    text: str
    is_long: bool = False
    most_chars: int = 32
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that somebody sent off.

    Attributes:
        name: Which form.
        about: What it was opened for.
        texts: By field.
    """

    name: str
    about: str
    texts: Mapping[str, str]


async def show(
    interaction: Interaction, name: str, title: str, fields: Mapping[str, Field], about: str = ""
) -> None:
    """Open a form.

    Args:
        interaction: Fresh: a command or a press.
        name: Which form, in small letters; with ``about`` it comes back when it is sent off.
        title: Above it.
        fields: By name, at most five.
        about: What it is for.
    """
    form = discord.ui.Modal(title=title, custom_id=f"clawbot:form:{name}:{about}")
    for key, field in fields.items():
        control = discord.ui.TextInput[discord.ui.Modal](
            custom_id=key,
            style=discord.TextStyle.paragraph if field.is_long else discord.TextStyle.short,
            default=field.text[: field.most_chars],
            max_length=field.most_chars,
        )
        form.add_item(discord.ui.Label(text=field.label, description=field.hint, component=control))
    form.stop()  # so that discord.py doesn't keep it, and each run answers those of earlier ones
    await interaction.response.send_modal(form)


def sent(interaction: Interaction) -> Sent | None:
    """Return the form that an interaction sends off; ``None`` where it is none of ours."""
    data: Any = interaction.data
    if interaction.type is not discord.InteractionType.modal_submit or not isinstance(data, dict):
        return None
    match = _ID.fullmatch(str(data.get("custom_id")))
    if match is None:
        return None
    return Sent(match[1], match[2], dict(_texts(data.get("components"))))


def _texts(parts: object) -> Iterator[tuple[str, str]]:
    """Yield names and texts of fields; a form may be made up, so anything else is passed over."""
    for part in parts[:_MOST_PARTS] if isinstance(parts, list) else []:
        control = part.get("component") if isinstance(part, dict) else None
        if isinstance(control, dict):
            key, text = control.get("custom_id"), control.get("value")
            if isinstance(key, str) and isinstance(text, str):
                yield key, text
