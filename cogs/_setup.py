"""``/setup``: one page of menus that shows how a server has the bot, and changes it.

All that a press needs stands in the ids of the page's parts, so that pages outlive restarts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Self

import discord

from bot.core.domain import ChannelId, GuildId, Origin, Place, PlaceKind, Question, QuestionId
from bot.core.permissions import listed
from bot.gateway.client import Interaction
from bot.lmstudio.names import shown
from bot.storage.setting_types import SETTING_TYPES, InvalidSettingError, Layer, Scope
from cogs import _change, _confirm, _convert, _forms, _gate, _persona, _respond, _settings, _sink

MOST_PICKED: Final = 25
"""What a menu takes at most (Discord: select menus)."""

NOT_YOURS: Final = "Only the person who opened this page can use it. /setup opens one of your own."
NO_SUCH: Final = "This page has changed. /setup shows the new one."
FORM: Final = "setup"
"""The page's own form, among all."""
ANY_MODEL: Final = "-"
"""Stands in the menu of models for none of them."""
CHANGED: Final = "That is changed now."
"""Said above the page after a yes; the page itself shows what holds."""
TEST: Final = "Say hello to this server in one friendly sentence."
_WAYS: Final = {
    "mention here": ("When I'm mentioned, in place", "mention", "here"),
    "mention thread": ("When I'm mentioned, in a thread for each question", "mention", "thread"),
    "every_message here": ("Every message that isn't for others", "every_message", "here"),
    "never here": ("Nowhere, except in channels with a setting of their own", "never", "here"),
}
"""Ways of answering that the page offers: title, ``answer_to``, ``answer_in``."""

_CHANNELS: Final = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.voice,
    discord.ChannelType.stage_voice,
    discord.ChannelType.forum,
    discord.ChannelType.category,
]


class SetupPage(discord.ui.View):
    """The page, for the person who opened it. Each press makes it anew.

    Args:
        interaction: The one it is shown by.
        people: It shows who may change settings and who is blocked, instead of the rest.
        note: A sentence above it.
    """

    def __init__(self, interaction: Interaction, *, people: bool = False, note: str = "") -> None:
        super().__init__(timeout=None)
        self._shown_by = interaction
        self._held = _held(interaction)
        self._people = people
        self._note = note
        self._fill_people() if people else self._fill()
        self.stop()  # so that discord.py doesn't keep it: presses are read from their ids

    # What it shows

    @property
    def text(self) -> str:
        """The page's words: where each thing stands at the moment."""
        lines = [self._note] if self._note else []
        return "\n".join([*lines, *(self._people_lines() if self._people else self._lines())])

    def _lines(self) -> list[str]:
        guild = self._shown_by.guild
        persona = _settings.short(str(self._held["system_prompt"]), 80)
        numbers = (
            f"temperature {self._words('temperature')}, at most {self._words('max_tokens')} tokens"
        )
        name = discord.utils.escape_markdown(guild.name if guild else "")
        head = (
            f"**Setup of {name}**\nEach menu changes its setting at once, for the whole server, and asks "
            "first where it shuts somebody out; /config undo takes it back."
        )
        return [
            head + self._own_words(),
            f"1. Model: {self._model_words()}",
            f"2. Channels: {self._list_words('allowed_channel_ids', 'every one I can write in')}",
            f"3. Who may ask: {self._list_words('allowed_role_ids', 'everybody')}",
            f"4. When and where: {self._way_words()}",
            f"5. Persona: {persona} · {numbers}",
            "6. **Ask a test question**: the answer is posted in this channel.",
        ]

    def _own_words(self) -> str:
        """Say which settings this channel has of its own, since the page is about the server's."""
        interaction = self._shown_by
        here = interaction.client.services.overrides.show(_convert.interaction_place(interaction))
        own = [line.key for line in here if line.layer is Layer.CHANNEL]
        if not own:
            return ""
        return f"\nThis channel has its own {listed(own)}, which stay: /config show tells."

    def _people_lines(self) -> list[str]:
        return [
            "**People** Who manages the server may always change my settings.",
            f"Others who may, by role: {self._list_words('admin_role_ids', 'nobody')}",
            f"Never answered: {self._list_words('blocked_user_ids', 'nobody is blocked')}",
        ]

    def _words(self, name: str) -> str:
        return SETTING_TYPES[name].written(self._held[name])

    def _list_words(self, name: str, none: str) -> str:
        held = self._held[name]
        if not isinstance(held, tuple) or not held:
            return none
        gone = len(held) - len(self._picked(name))
        return _settings.value_words(name, held) + (f" (⚠️ {gone} of them deleted)" if gone else "")

    def _model_words(self) -> str:
        backend = self._shown_by.client.services.backend
        chosen = self._held["model"]
        info = backend.model(None if chosen is None else str(chosen))
        if not backend.is_available():
            return "⚠️ its machine doesn't answer; /diag network says why"
        if info is None and backend.unlisted() is not None:
            return "⚠️ its machine doesn't tell which it has; /diag network says why"
        if info is None:
            is_set = chosen is not None
            return (
                f"⚠️ {_settings.short(str(chosen))} isn't listed" if is_set else "⚠️ none is loaded"
            )
        return f"{_settings.short(shown(info.key))}{'' if info.is_loaded else ' (not loaded yet)'}"

    def _model_title(self) -> str:
        """Name the menu of models, and say why some that are there aren't in it."""
        known = self._shown_by.client.services.backend.known_models()
        is_all = len(_settings.model_names(self._shown_by)) == len(known)
        return "Model" if is_all else "Model; whoever runs me can allow others: /model allow"

    def _way_words(self) -> str:
        way = f"{self._held['answer_to']} {self._held['answer_in']}"
        return _WAYS.get(way, _WAYS["every_message here"])[0]

    # What can be pressed

    def _fill(self) -> None:
        models = _settings.model_names(self._shown_by)[: MOST_PICKED - 1]
        if models:
            self._menu("model", self._model_title(), _model_options(models, self._held["model"]))
        self._picker("allowed_channel_ids", "Channels where I answer; none chosen: all")
        self._picker("allowed_role_ids", "Who may ask me; none chosen: everybody")
        self._menu("way", "When and where I answer", self._ways())
        for what, label in (
            ("persona", "Persona"),
            ("numbers", "Numbers"),
            ("people", "People"),
            ("test", "Ask a test question"),
            ("main", "Refresh"),
        ):
            self._button(what, label)

    def _fill_people(self) -> None:
        self._picker("admin_role_ids", "Roles that may change my settings")
        self._picker("blocked_user_ids", "People I never answer")
        self._button("main", "Back")

    def _id(self, what: str) -> str:
        return f"clawbot:setup:{what}:{self._shown_by.user.id}"

    def _button(self, what: str, label: str) -> None:
        style = discord.ButtonStyle.primary if what == "test" else discord.ButtonStyle.secondary
        self.add_item(discord.ui.Button(label=label, style=style, custom_id=self._id(what)))

    def _menu(self, what: str, title: str, options: list[discord.SelectOption]) -> None:
        self.add_item(
            discord.ui.Select(placeholder=title, options=options, custom_id=self._id(what))
        )

    def _picker(self, name: str, title: str) -> None:
        """Add a menu of the server's channels, roles or people for a list."""
        picked = self._picked(name)
        of = SETTING_TYPES[name].of
        marks = [discord.SelectDefaultValue(id=each, type=_KINDS[of]) for each in picked]
        given: dict[str, Any] = {
            "placeholder": title,
            "custom_id": self._id(name),
            "min_values": 0,
            "max_values": MOST_PICKED,
            "disabled": len(picked) > MOST_PICKED,
            "default_values": marks[:MOST_PICKED],
        }
        if of == "channel":
            given["channel_types"] = _CHANNELS
        self.add_item(_PICKERS[of](**given))

    def _ways(self) -> list[discord.SelectOption]:
        now = f"{self._held['answer_to']} {self._held['answer_in']}"
        return [
            discord.SelectOption(label=title, value=value, default=value == now)
            for value, (title, _, _) in _WAYS.items()
        ]

    def _picked(self, name: str) -> list[int]:
        """Return what a list holds and this server still has: a menu's marks."""
        held, guild = self._held[name], self._shown_by.guild
        entries = list(held) if isinstance(held, tuple) else []
        of = SETTING_TYPES[name].of
        if guild is None or of == "person":
            return entries
        find = guild.get_channel_or_thread if of == "channel" else guild.get_role
        return [entry for entry in entries if find(entry) is not None]


_KINDS: Final = {
    "channel": discord.SelectDefaultValueType.channel,
    "role": discord.SelectDefaultValueType.role,
    "person": discord.SelectDefaultValueType.user,
}
_PICKERS: Final[dict[str, type[discord.ui.Item[Any]]]] = {
    "channel": discord.ui.ChannelSelect,
    "role": discord.ui.RoleSelect,
    "person": discord.ui.UserSelect,
}


def _held(interaction: Interaction) -> dict[str, object]:
    """Return what holds in the server, where a channel has nothing of its own."""
    place = Place(PlaceKind.GUILD_TEXT, ChannelId(0), GuildId(interaction.guild_id or 0))
    return {line.key: line.value for line in interaction.client.services.overrides.show(place)}


def _model_options(models: Sequence[str], chosen: object) -> list[discord.SelectOption]:
    titles = {shown(key): key for key in reversed(models)}
    any_of_them = discord.SelectOption(
        label="Whichever is loaded", value=ANY_MODEL, default=chosen is None
    )
    return [any_of_them] + [
        discord.SelectOption(label=title, value=title, default=key == chosen)
        for title, key in reversed(titles.items())
    ]


# What a press does

_ID: Final = re.compile(r"clawbot:setup:(?P<what>[a-z_]{1,32}):(?P<person>\d{1,20})", re.ASCII)

_PEOPLE: Final = frozenset({"admin_role_ids", "blocked_user_ids"})
_MENUS: Final = _PEOPLE | {"model", "way", "allowed_channel_ids", "allowed_role_ids"}
NUMBERS: Final = "numbers"
NUMBERS_AGAIN: Final = "numbersagain"
"""The form of numbers, opened from what was said of wrong ones and no longer from the page."""
_NUMBERS: Final = ("temperature", "top_p", "max_tokens")
"""The settings of the form."""


class SetupItem(discord.ui.DynamicItem[discord.ui.Item[discord.ui.View]], template=_ID):
    """A part of a page, rebuilt from its id at every press."""

    def __init__(self, item: discord.ui.Item[discord.ui.View], what: str, person_id: int) -> None:
        super().__init__(item)
        self._what = what
        self._person_id = person_id

    @classmethod
    async def from_custom_id(
        cls,
        interaction: discord.Interaction[Any],  # noqa: ARG003 - discord.py's signature
        item: discord.ui.Item[Any],
        match: re.Match[str],
        /,
    ) -> Self:
        """Read the id back."""
        return cls(item, match["what"], int(match["person"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what was pressed, or say why not."""
        try:
            await _pressed(interaction, self._what, self._person_id)
        except Exception as exc:  # noqa: BLE001 - the seam to Discord's components
            await _respond.failure(interaction, exc)


def _scope(interaction: Interaction) -> Scope:
    return Scope.in_guild(GuildId(interaction.guild_id or 0))


async def _pressed(interaction: Interaction, what: str, person_id: int) -> None:
    if interaction.user.id != person_id:
        raise _gate.GateError(NOT_YOURS)
    if not await _change.may_change(interaction, _scope(interaction)):
        return
    if what in _MENUS:
        await _choose(interaction, what)
    elif what == "persona":
        held = str(_held(interaction)["system_prompt"])
        await _persona.open_form(interaction, _scope(interaction), held)
    elif what == NUMBERS:
        await _open_numbers(interaction)
    elif what == "test":
        await _test(interaction)
    elif what in {"main", "people"}:
        await _show(interaction, people=what == "people")
    else:
        raise _gate.GateError(NO_SUCH)


async def _choose(interaction: Interaction, name: str) -> None:
    """Change what a menu stands for."""
    data: Any = interaction.data
    chosen = [str(each) for each in data.get("values") or ()]
    if name == "model" and chosen == [ANY_MODEL]:
        wanted: dict[str, str | None] = {name: None}
    elif name != "way":
        wanted = {name: " ".join(chosen) or "none"}
    elif len(chosen) == 1 and chosen[0] in _WAYS:
        _, answer_to, answer_in = _WAYS[chosen[0]]
        wanted = {"answer_to": answer_to, "answer_in": answer_in}
    else:
        raise _gate.GateError(NO_SUCH)
    await _apply(interaction, wanted, people=name in _PEOPLE)


async def _apply(interaction: Interaction, wanted: _change.Wanted, *, people: bool = False) -> None:
    """Change settings and show the page as it is then; what others feel is asked about first."""
    scope = _scope(interaction)
    sign = _respond.Acknowledgement(interaction)
    if "model" in wanted:  # trying it keeps that the server may have it
        await sign.give()
    prepared, warnings = await _change.tried(interaction, wanted, scope)
    if warnings:

        async def do(pressed: Interaction) -> str:
            await _change.carry_out(pressed, prepared, scope)
            return CHANGED

        asked = Asked(interaction, do, scope, people=people)
        await _respond.replace(interaction, _change.question(warnings), asked)
        return
    await sign.give()
    await _change.carry_out(interaction, prepared, scope)
    await _show(interaction, people=people)


class Asked(_confirm.Yes):
    """A question in the page's place, which is there again once that is answered."""

    def __init__(
        self, interaction: Interaction, do: _confirm.Do, scope: Scope, *, people: bool
    ) -> None:
        check = partial(_change.may_change, scope=scope)
        super().__init__(interaction, _change.YES, do, check)
        self._people = people

    async def end(self, interaction: Interaction, text: str) -> None:
        """Show the page as it is now, with what became of the question above it."""
        await _show(interaction, people=self._people, note=text)


async def _show(interaction: Interaction, *, people: bool = False, note: str = "") -> None:
    page = SetupPage(interaction, people=people, note=note)
    await _respond.replace(interaction, page.text, page)


async def _open_numbers(interaction: Interaction, typed: Mapping[str, str] | None = None) -> None:
    """Open the form of numbers, with what holds in it, or what somebody had typed."""
    held, kinds = _held(interaction), [SETTING_TYPES[name] for name in _NUMBERS]
    texts = {kind.name: kind.written(held[kind.name]) for kind in kinds} | dict(typed or {})
    fields = {
        kind.name: _forms.Field(
            kind.name, texts[kind.name], hint=f"{kind.description}: {kind.allowed}"
        )
        for kind in kinds
    }
    about = NUMBERS if typed is None else NUMBERS_AGAIN
    await _forms.show(interaction, FORM, "Numbers", fields, about)


async def submitted(interaction: Interaction, form: _forms.Sent) -> None:
    """Change what was rewritten in the page's form, and show the page anew.

    Where a value is wrong, nothing is changed, and the form can be opened again with what was typed.

    Raises:
        GateError: They may not, or the form is an older one's.
    """
    if not await _change.may_change(interaction, _scope(interaction)):
        return
    if form.about not in {NUMBERS, NUMBERS_AGAIN}:
        raise _gate.GateError(NO_SUCH)
    held = _held(interaction)
    wanted = {
        name: form.texts[name]
        for name in _NUMBERS
        if form.texts.get(name, "") not in {"", SETTING_TYPES[name].written(held[name])}
    }
    refused = [why for name, text in wanted.items() if (why := _refusal(name, text))]
    if refused:
        await _refuse(interaction, form, refused)
    elif form.about == NUMBERS_AGAIN:
        prepared, _ = await _change.tried(interaction, wanted, _scope(interaction))
        done = await _change.carry_out(interaction, prepared, _scope(interaction))
        await _respond.replace(interaction, done or _confirm.LEFT)
    else:
        await _apply(interaction, wanted)


async def _refuse(interaction: Interaction, form: _forms.Sent, refused: Sequence[str]) -> None:
    """Say which numbers are wrong, with a button that opens the form again as it was sent off."""
    check = partial(_change.may_change, scope=_scope(interaction))
    view = _confirm.Again(interaction, check, partial(_open_numbers, typed=form.texts))
    if form.about == NUMBERS_AGAIN:
        await _respond.replace(interaction, "\n".join(refused), view)
    else:
        await _respond.say(interaction, "\n".join(refused), view=view)


def _refusal(name: str, text: str) -> str:
    """Return why a number can't be taken; each of a form's is told, since the form is gone then."""
    try:
        SETTING_TYPES[name].parse(text)
    except InvalidSettingError as exc:
        return exc.sentence
    return ""


async def _test(interaction: Interaction) -> None:
    client, place = interaction.client, _convert.interaction_place(interaction)
    person = _convert.person(interaction.user)
    refusal = _gate.admission(client).refusal(person, place)
    if refusal:
        raise _gate.GateError(refusal)
    question = Question(
        id=QuestionId(interaction.id),
        origin=Origin.SLASH,
        place=place,
        asker=person,
        text=TEST,
        asked_at=interaction.created_at,
        fresh=True,
    )
    sink = _sink.message_sink(client, place, None)
    async with _respond.in_time(interaction, client.services.clock) as acknowledgement:
        await client.services.chat.submit(question, sink, acknowledge=acknowledgement.give)


async def open_page(interaction: Interaction) -> None:
    """Show the page to who manages the server."""
    _gate.require_manager(interaction)
    page = SetupPage(interaction)
    await _respond.say(interaction, page.text, view=page)
