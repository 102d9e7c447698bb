"""A real discord.py client finds nothing amiss with the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import discord as dpy
import pytest
import yarl
from discord import app_commands

from sandbox.discord import Channel, DiscordSandbox, Guild, Person


class Form(dpy.ui.Modal, title="Form"):
    """A modal with one field."""

    name: dpy.ui.TextInput[Form] = dpy.ui.TextInput(label="Name")

    async def on_submit(self, interaction: dpy.Interaction) -> None:
        await interaction.response.send_message(f"hello {self.name.value}", ephemeral=True)


class Buttons(dpy.ui.View):
    """A persistent button that opens the modal."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @dpy.ui.button(label="Open", custom_id="open")
    async def open(self, interaction: dpy.Interaction, _: dpy.ui.Button[Buttons]) -> None:
        await interaction.response.send_modal(Form())


class Bot(dpy.Client):
    """Answers mentions, one command, one context menu, one button, one modal."""

    def __init__(self) -> None:
        super().__init__(
            intents=dpy.Intents.default(),
            allowed_mentions=dpy.AllowedMentions.none(),
            guild_ready_timeout=0.1,
        )
        self.tree = app_commands.CommandTree(self)
        self.came_up = asyncio.Event()

    async def setup_hook(self) -> None:
        group = app_commands.Group(name="config", description="Settings")

        @group.command(name="set", description="Set")
        async def set_(interaction: dpy.Interaction, setting: str, value: float) -> None:
            await interaction.response.defer(ephemeral=True, thinking=True)
            await interaction.edit_original_response(content=f"{setting} = {value}")
            await interaction.followup.send("done", ephemeral=True)

        @set_.autocomplete("setting")
        async def _settings(_: dpy.Interaction, current: str) -> list[app_commands.Choice[str]]:
            return [app_commands.Choice(name=f"{current}erature", value="temperature")]

        async def about(interaction: dpy.Interaction, message: dpy.Message) -> None:
            await interaction.response.send_message(message.content.upper())

        self.tree.add_command(group)
        self.tree.add_command(app_commands.ContextMenu(name="Shout", callback=about))
        self.add_view(Buttons())
        await self.tree.sync()

    async def on_ready(self) -> None:
        self.came_up.set()

    async def on_message(self, message: dpy.Message) -> None:
        if self.user not in message.mentions or message.author.bot:
            return
        async with message.channel.typing():
            sent = await message.reply("…", view=Buttons(), suppress_embeds=True)
        await sent.edit(content=f"re: {message.clean_content}", suppress=True)


@pytest.fixture
async def bot(
    discord: DiscordSandbox, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bot]:
    assert channel.guild is not None
    monkeypatch.setattr(dpy.http.Route, "BASE", discord.api_base)
    gateway = yarl.URL(discord.gateway_url)
    monkeypatch.setattr(dpy.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", gateway)
    client = Bot()
    running = asyncio.create_task(client.start(discord.token))
    await _ready(client, running)
    yield client
    await client.close()
    await running


async def _ready(client: Bot, running: asyncio.Task[None]) -> None:
    waiting = asyncio.create_task(client.came_up.wait())
    await asyncio.wait([waiting, running], return_when=asyncio.FIRST_COMPLETED, timeout=30)
    waiting.cancel()
    if running.done():
        running.result()
    assert client.is_ready()


async def test_a_client_talks_through_everything(
    discord: DiscordSandbox, bot: Bot, guild: Guild, channel: Channel, ada: Person
) -> None:
    asked = await ada.mention(channel, "hi")
    reply = await discord.wait_reply(asked, until=lambda each: each.content.startswith("re:"))
    assert [version.flags & 4 for version in reply.versions] == [4, 4]
    assert not reply.pings
    assert channel.typing[0][1] == discord.bot_user.id

    [choice] = await ada.autocomplete(channel, "config set", "setting", "temp")
    assert choice == {"name": "temperature", "value": "temperature"}
    used = await ada.slash(channel, "config set", setting="temperature", value="0.31")
    assert (await used.wait_content()).content == "temperature = 0.31"
    await discord.wait_until(lambda: len(used.messages) == 2)
    assert [each.content for each in used.messages] == ["temperature = 0.31", "done"]
    assert used.ephemeral

    shouted = await ada.context_menu(asked, "Shout")
    assert "HI" in (await shouted.wait_content()).content

    opened = await ada.click(reply, "Open")
    await opened.wait_response()
    sent = await ada.submit(opened, {"Name": "Ada"})
    assert (await sent.wait_content()).content == "hello Ada"

    thread = await ada.start_thread(asked, "more")
    in_thread = await ada.mention(thread, "and here?")
    assert await discord.wait_reply(in_thread) in thread.messages.values()
    private = await ada.dm("<@bot> and there?")
    assert (await discord.wait_reply(private)).channel.is_dm
    assert [each.name for each in bot.guilds] == [guild.name]
    assert discord.unexpected == []


@pytest.mark.parametrize("how", ["close", "reconnect", "drop", "resumable"])
async def test_a_client_resumes_and_misses_nothing(
    discord: DiscordSandbox, bot: Bot, channel: Channel, ada: Person, how: str
) -> None:
    assert bot.is_ready()
    actions: dict[str, Any] = {
        "close": lambda: discord.faults.close(4000),
        "reconnect": discord.faults.reconnect,
        "drop": discord.faults.drop,
        "resumable": lambda: discord.faults.invalid_session(resumable=True),
    }
    actions[how]()
    asked = await ada.mention(channel, "still there?")
    await discord.wait_until(lambda: discord.resumes)
    await discord.wait_reply(asked)
    assert [each.accepted for each in discord.resumes] == [True]
    assert [each.detail for each in discord.connects] == ["/gateway", "/gateway/resume"]
    assert len(discord.identifies) == 1
    assert len(discord.bot_messages) == 1


async def test_a_new_process_finds_the_same_world(
    discord: DiscordSandbox, bot: Bot, channel: Channel, ada: Person
) -> None:
    asked = await ada.mention(channel, "one")
    await discord.wait_reply(asked)
    found = await bot.fetch_channel(channel.id)
    assert isinstance(found, dpy.TextChannel)
    history = [message.id async for message in found.history(limit=10)]
    assert history[-1] == asked.id
    member = await found.guild.fetch_member(ada.id)
    assert (member.name, found.permissions_for(found.guild.me).send_messages) == ("ada", True)
    assert discord.unexpected == []
