"""``/setup``: one page of menus that shows how a server has the bot, and changes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import discord

from bot.core.domain import GuildId, Origin, Question, QuestionId
from bot.gateway.client import ClawbotClient
from bot.lmstudio.names import shown
from bot.storage.setting_types import SETTING_TYPES, Scope
from cogs import _change, _convert, _gate, _places, _respond, _settings
from config.defaults import SYSTEM_PROMPT_CHARS

Interaction = discord.Interaction[ClawbotClient]

OPEN_S: Final = 840.0
"""Seconds without a press after which the page is closed; its interaction holds 15 minutes."""
MOST_PICKED: Final = 25
"""What a menu takes at most (Discord: select menus)."""
INPUT_CHARS: Final = 4000
"""Longest text of a modal's field (Discord: text input)."""

CLOSED: Final = "This page is closed. /setup opens it again."
NOT_YOURS: Final = "Only the person who opened this page can use it. /setup opens one of your own."
TEST: Final = "Say hello to this server in one friendly sentence."
LONG_PERSONA: Final = (
    "This persona is longer than the form takes. Change it with /persona set, or remove it with "
    "/persona clear."
)
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
    discord.ChannelType.forum,
    discord.ChannelType.category,
]


class SetupPage(_change.SettingsView):
    """The page, for the person who opened it. Each press makes it anew.

    Args:
        interaction: The one it is shown by.
        people: It shows who may change settings and who is blocked, instead of the rest.
        note: A sentence above it.
    """

    def __init__(self, interaction: Interaction, *, people: bool = False, note: str = "") -> None:
        scope = Scope.in_guild(GuildId(interaction.guild_id or 0))
        super().__init__(interaction, scope, OPEN_S, not_yours=NOT_YOURS, too_old=CLOSED)
        place = _convert.interaction_place(interaction)
        self._held = {
            line.key: line.value for line in interaction.client.services.overrides.show(place)
        }
        self._people = people
        self._note = note
        self._fill_people() if people else self._fill()

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
            f"**Setup of {name}**\nEach menu changes its setting at once, for the whole server; "
            "/config undo takes it back."
        )
        return [
            head,
            f"1. Model: {self._model_words()}",
            f"2. Channels: {self._list_words('allowed_channel_ids', 'every one I can write in')}",
            f"3. Who may ask: {self._list_words('allowed_role_ids', 'everybody')}",
            f"4. When and where: {self._way_words()}",
            f"5. Persona: {persona} · {numbers}",
            "6. **Ask a test question**: the answer is posted in this channel.",
        ]

    def _people_lines(self) -> list[str]:
        return [
            "**People** Who manages the server may always change my settings.",
            f"Others who may, by role: {self._list_words('admin_role_ids', 'nobody')}",
            f"Never answered: {self._list_words('blocked_user_ids', 'nobody is blocked')}",
        ]

    def _words(self, name: str) -> str:
        return SETTING_TYPES[name].written(self._held[name])

    def _list_words(self, name: str, none: str) -> str:
        return self._words(name) if self._held[name] else none

    def _model_words(self) -> str:
        backend = self._shown_by.client.services.backend
        chosen = self._held["model"]
        info = backend.model(None if chosen is None else str(chosen))
        if not backend.is_available():
            return "⚠️ its machine doesn't answer; /diag network says why"
        if info is None:
            return "⚠️ none is loaded"
        return f"{_settings.short(shown(info.key))}{'' if info.is_loaded else ' (not loaded yet)'}"

    def _way_words(self) -> str:
        way = f"{self._held['answer_to']} {self._held['answer_in']}"
        return _WAYS.get(way, _WAYS["every_message here"])[0]

    # What can be pressed

    def _fill(self) -> None:
        models = _settings.model_names(self._shown_by)[:MOST_PICKED]
        if models:
            self.add_item(_Menu(self, "model", _model_options(models, self._held["model"])))
        self.add_item(
            _picker(self, "allowed_channel_ids", "Channels where I answer; none chosen: all")
        )
        self.add_item(_picker(self, "allowed_role_ids", "Who may ask me; none chosen: everybody"))
        self.add_item(_Menu(self, "way", self._ways()))
        for label, press in (
            ("Persona", self._persona),
            ("Numbers", self._numbers),
            ("People", self._show_people),
            ("Ask a test question", self._test),
            ("Refresh", self._again),
        ):
            self.add_item(_Button(label, press))

    def _fill_people(self) -> None:
        self.add_item(_picker(self, "admin_role_ids", "Roles that may change my settings"))
        self.add_item(_picker(self, "blocked_user_ids", "People I never answer"))
        self.add_item(_Button("Back", self._again))

    def _ways(self) -> list[discord.SelectOption]:
        now = f"{self._held['answer_to']} {self._held['answer_in']}"
        return [
            discord.SelectOption(label=title, value=value, default=value == now)
            for value, (title, _, _) in _WAYS.items()
        ]

    def picked(self, name: str) -> list[int]:
        """Return what a list holds and this server still has: a menu's marks."""
        held, guild = self._held[name], self._shown_by.guild
        entries = list(held) if isinstance(held, tuple) else []
        of = SETTING_TYPES[name].of
        if guild is None or of == "person":
            return entries
        find = guild.get_channel_or_thread if of == "channel" else guild.get_role
        return [entry for entry in entries if find(entry) is not None]

    # What a press does

    async def choose(self, interaction: Interaction, name: str, chosen: Sequence[str]) -> None:
        """Change what a menu stands for."""
        if name == "way":
            _, answer_to, answer_in = _WAYS[chosen[0]]
            wanted: dict[str, str | None] = {"answer_to": answer_to, "answer_in": answer_in}
        else:
            wanted = {name: " ".join(chosen) or "none"}
        await self.change(interaction, wanted)

    async def change(self, interaction: Interaction, wanted: _change.Wanted) -> None:
        """Change settings and show the page as it is then; a lock-out is asked about instead."""
        prepared, warnings = await _change.tried(interaction, wanted, self._scope)
        if warnings and set(prepared) & _change.LOCK_OUTS:
            await _change.ask(interaction, prepared, self._scope, warnings)
            return
        await _change.carry_out(interaction, prepared, self._scope)
        await self._show(interaction, note="\n".join(f"⚠️ {each}" for each in warnings))

    async def _show(
        self, interaction: Interaction, *, people: bool | None = None, note: str = ""
    ) -> None:
        self.stop()
        page = SetupPage(interaction, people=self._people if people is None else people, note=note)
        await _respond.replace(interaction, page.text, page)

    async def _again(self, interaction: Interaction) -> None:
        await self._show(interaction, people=False)

    async def _show_people(self, interaction: Interaction) -> None:
        await self._show(interaction, people=True)

    async def _persona(self, interaction: Interaction) -> None:
        text = str(self._held["system_prompt"])
        if len(text) > INPUT_CHARS:
            raise _gate.GateError(LONG_PERSONA)
        field = discord.ui.TextInput[_Form](
            style=discord.TextStyle.paragraph,
            default=text,
            max_length=min(INPUT_CHARS, SYSTEM_PROMPT_CHARS),
        )
        form = _Form(self, "Persona", {"system_prompt": field})
        await interaction.response.send_modal(form)

    async def _numbers(self, interaction: Interaction) -> None:
        fields = {
            name: discord.ui.TextInput[_Form](default=self._words(name), max_length=32)
            for name in ("temperature", "top_p", "max_tokens")
        }
        await interaction.response.send_modal(_Form(self, "Numbers", fields))

    async def _test(self, interaction: Interaction) -> None:
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
        await client.services.chat.submit(
            question,
            _places.message_sink(client, place, None),
            acknowledge=_respond.Acknowledgement(interaction).give,
        )


class _Menu(discord.ui.Select[SetupPage]):
    """A menu of values, each in words."""

    def __init__(self, page: SetupPage, name: str, options: list[discord.SelectOption]) -> None:
        title = "Model" if name == "model" else "When and where I answer"
        super().__init__(placeholder=title, options=options)
        self._page, self._name = page, name

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Change what was chosen."""
        await self._page.choose(interaction, self._name, self.values)


def _picker(page: SetupPage, name: str, title: str) -> discord.ui.Item[SetupPage]:
    """Return a menu of the server's channels, roles or people for a list."""
    picked = page.picked(name)
    of = SETTING_TYPES[name].of
    given: dict[str, Any] = {
        "placeholder": title,
        "min_values": 0,
        "max_values": MOST_PICKED,
        "disabled": len(picked) > MOST_PICKED,
        "default_values": [discord.SelectDefaultValue(id=e, type=_KINDS[of]) for e in picked][
            :MOST_PICKED
        ],
    }
    menu: Any
    if of == "channel":
        menu = discord.ui.ChannelSelect[SetupPage](channel_types=_CHANNELS, **given)
    elif of == "role":
        menu = discord.ui.RoleSelect[SetupPage](**given)
    else:
        menu = discord.ui.UserSelect[SetupPage](**given)

    async def callback(interaction: discord.Interaction[Any]) -> None:
        await page.choose(interaction, name, [str(each.id) for each in menu.values])

    menu.callback = callback
    item: discord.ui.Item[SetupPage] = menu
    return item


_KINDS: Final = {
    "channel": discord.SelectDefaultValueType.channel,
    "role": discord.SelectDefaultValueType.role,
    "person": discord.SelectDefaultValueType.user,
}


def _model_options(models: Sequence[str], chosen: object) -> list[discord.SelectOption]:
    titles = {shown(key): key for key in reversed(models)}
    return [
        discord.SelectOption(label=title, value=title, default=key == chosen)
        for title, key in reversed(titles.items())
    ]


class _Button(discord.ui.Button[SetupPage]):
    """A button that does one thing of the page's."""

    def __init__(self, label: str, press: Callable[[Interaction], Awaitable[None]]) -> None:
        is_test = label.startswith("Ask")
        style = discord.ButtonStyle.primary if is_test else discord.ButtonStyle.secondary
        super().__init__(label=label, style=style)
        self._press = press

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do it."""
        await self._press(interaction)


class _Form(discord.ui.Modal):
    """Settings as text, with what they are at the moment.

    Args:
        page: Whose settings they are.
        title: Above the form.
        fields: By setting.
    """

    def __init__(
        self, page: SetupPage, title: str, fields: dict[str, discord.ui.TextInput[_Form]]
    ) -> None:
        super().__init__(title=title, timeout=OPEN_S)
        self._page = page
        self._before = {name: field.default or "" for name, field in fields.items()}
        self._fields = fields
        for name, field in fields.items():
            self.add_item(discord.ui.Label(text=name, component=field))

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Ask the gate again, as the page does."""
        return await self._page.interaction_check(interaction)

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Change what was rewritten, and show the page anew."""
        wanted = {
            name: field.value
            for name, field in self._fields.items()
            if field.value != self._before[name]
        }
        await self._page.change(interaction, wanted)

    async def on_error(
        self, interaction: discord.Interaction[Any], error: Exception, /, *_: object
    ) -> None:
        """Answer what went wrong."""
        await _respond.failure(interaction, error)


async def open_page(interaction: Interaction) -> None:
    """Show the page to who manages the server."""
    _gate.require_manager(interaction)
    page = SetupPage(interaction)
    await _respond.say(interaction, page.text, view=page)
