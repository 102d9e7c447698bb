"""``/persona``: written in a form, seen as the model gets it, and only then in force."""

from __future__ import annotations

import codecs
import io
from dataclasses import replace
from functools import partial
from typing import Final

import discord

from bot.core.clock import within
from bot.core.domain import ChannelId
from bot.gateway.client import Interaction
from bot.gateway.rest import LOST
from bot.prompt.tokens import static_tokens
from bot.storage.setting_types import InvalidSettingError, Layer, Scope, setting_type
from cogs import _change, _confirm, _convert, _forms, _gate, _respond, _settings
from config import values
from config.defaults import SYSTEM_PROMPT_CHARS

FORM: Final = "persona"
"""This form, among all."""
FIELD: Final = "system_prompt"
YES: Final = "Use it"
FILE_NAME: Final = "persona.txt"
MOST_BYTES: Final = SYSTEM_PROMPT_CHARS * 4
"""Longest file that is read: UTF-8 has at most four bytes a character."""
DOWNLOAD_S: Final = 15.0
"""Seconds for Discord to hand out the file; the command is acknowledged meanwhile."""
SHOWN_CHARS: Final = 1200

HINT: Final = "{bot}, {server}, {channel}, {user}, {date} and {time} are filled in."
LONG: Final = (
    "This persona is longer than a form takes. Get it with /persona export, change the file, and give it "
    "back with /persona import."
)
LONGER: Final = f"A persona must be at most {SYSTEM_PROMPT_CHARS} characters; this one has {{}}."
LARGE: Final = f"That file is too large: a persona has at most {SYSTEM_PROMPT_CHARS:,} characters."
NO_TEXT: Final = "That file holds no plain text. Save it as text in UTF-8 and try again."
NOT_GIVEN: Final = "Discord didn't give me that file. Please try again."


def held_at(interaction: Interaction, scope: Scope) -> str:
    """Return the persona that holds at a scope: in a server, where no channel has one of its own."""
    place = _convert.interaction_place(interaction)
    if scope.layer is not Layer.CHANNEL:
        place = replace(place, channel_id=ChannelId(0), parent_id=None)
    if scope.layer is Layer.GLOBAL:
        place = replace(place, guild_id=None)
    return interaction.client.services.overrides.effective(place).system_prompt


async def open_form(interaction: Interaction, scope: Scope, text: str) -> None:
    """Open the form in which a persona is written.

    Raises:
        GateError: The text is longer than a form takes.
    """
    if len(text) > _forms.FIELD_CHARS:
        raise _gate.GateError(LONG)
    most = min(_forms.FIELD_CHARS, SYSTEM_PROMPT_CHARS)
    field = _forms.Field("Persona", text, is_long=True, most_chars=most, hint=HINT)
    await _forms.show(interaction, FORM, "Persona", {FIELD: field}, scope.layer.value)


async def submitted(interaction: Interaction, form: _forms.Sent) -> None:
    """Show what was written as the model would get it; what isn't allowed can be written further.

    Raises:
        GateError: They may not change it.
    """
    if not await _gate.admits(interaction, is_administrative=True):
        return
    scope, text = _settings.scope_for(interaction, form.about), form.texts.get(FIELD, "")
    try:
        await preview(interaction, scope, text)
    except (_gate.GateError, InvalidSettingError) as exc:
        check = partial(_change.may_change, scope=scope)
        again = _confirm.Again(interaction, check, partial(open_form, scope=scope, text=text))
        await _respond.say(interaction, str(exc), view=again)


async def preview(interaction: Interaction, scope: Scope, text: str) -> None:
    """Show a persona as the model would get it here, to be used or left.

    Raises:
        GateError: The text is too long.
        InvalidSettingError: The text isn't allowed.
    """
    text = values.unfenced(text)
    if len(text) > SYSTEM_PROMPT_CHARS:
        raise _gate.GateError(LONGER.format(len(text)))
    await _change.tried(interaction, {FIELD: text}, scope)
    await _respond.say(
        interaction, _preview_text(interaction, scope, text), view=Preview(interaction, scope, text)
    )


class Preview(_confirm.Yes):
    """A persona that waits for a yes, and can be written further."""

    def __init__(self, shown_by: Interaction, scope: Scope, text: str) -> None:
        async def use(pressed: Interaction) -> str:
            return await _change.carry_out(pressed, {FIELD: text}, scope)

        check = partial(_change.may_change, scope=scope)
        super().__init__(shown_by, YES, use, check)
        self.yes.style = discord.ButtonStyle.primary
        self._scope, self._text = scope, text

    @discord.ui.button(label=_confirm.EDIT, custom_id=_confirm.EDIT_ID)
    async def edit(self, interaction: Interaction, _button: discord.ui.Button[Preview]) -> None:
        """Open the form again, with this text."""
        await open_form(interaction, self._scope, self._text)


def _preview_text(interaction: Interaction, scope: Scope, text: str) -> str:
    services = interaction.client.services
    place = _convert.interaction_place(interaction)
    value = setting_type(FIELD).parse(text)
    chat = replace(services.overrides.effective(place), system_prompt=str(value))
    turns = services.builder.opening(place, chat, services.backend.model(chat.model))
    whole = "\n".join(turn.text for turn in turns)
    remarks = "\n".join(_change.persona_remarks(str(value)))
    where = _settings.scope_words(scope, interaction.channel_id)
    return (
        f"**This is what the model would get first**, about {static_tokens(whole):,} tokens:\n"
        f"{_settings.block(whole, SHOWN_CHARS)}\n"
        f"Nothing is changed yet. **{YES}** sets it for {where}.\n{remarks}"
    ).rstrip()


async def read_file(interaction: Interaction, file: discord.Attachment) -> str:
    """Return the text of a file that somebody sent along.

    Raises:
        GateError: It is too large, no text, or Discord doesn't hand it out.
    """
    if file.size > MOST_BYTES:
        raise _gate.GateError(LARGE)
    try:
        data = await within(interaction.client.services.clock, file.read(), DOWNLOAD_S)
    except (*LOST, TimeoutError) as exc:
        raise _gate.GateError(NOT_GIVEN) from exc
    try:
        is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = data[: MOST_BYTES + 1].decode("utf-16" if is_utf_16 else "utf-8-sig").strip()
    except UnicodeDecodeError:
        raise _gate.GateError(NO_TEXT) from None
    if not text or "\x00" in text:
        raise _gate.GateError(NO_TEXT)
    return text


async def export(interaction: Interaction, scope: Scope) -> None:
    """Hand a persona out as a file that ``/persona import`` takes."""
    data = held_at(interaction, scope).encode()
    where = _settings.scope_words(scope, interaction.channel_id)
    which = "that holds everywhere" if scope.layer is Layer.GLOBAL else f"for {where}"
    await _respond.say(
        interaction,
        f"The persona {which}. /persona import takes the file, here or in another server.",
        file=discord.File(io.BytesIO(data), FILE_NAME),
    )
