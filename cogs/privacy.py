"""``/privacy``: what is kept about a person or a server, to see, take along and delete."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.privacy import Deleted, Held
from bot.core.action_budget import FairBudget, Shares
from bot.core.concerns import Subject
from bot.core.domain import ChannelId, GuildId, UserId
from bot.core.errors import StoreError
from bot.core.tasks import TaskOwner
from bot.core.wording import counted, plain_reason
from bot.gateway.client import ClawbotClient, Interaction
from cogs import _confirm, _gate, _respond, _tree

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 3600.0
"""Seconds between looks at the servers that were left."""

SHARES: Final = Shares(person=6, group=20, total=60, reserve=6)
"""Looks, exports and deletions in ten minutes: each reads all that is stored. A person is a group."""
WINDOW_S: Final = 600.0

BUSY: Final = "You asked for that several times just now. Please try again in {wait}."
OPTED_OUT: Final = (
    "From now on I don't read your messages when somebody else asks: the model is only told that there "
    "is a message. Your own questions still use what you said yourself. What I answered you before "
    "can be read, because I wrote it. /privacy opt-in takes this back."
)
OPTED_IN: Final = (
    "Your messages may be read again when somebody asks about a conversation that you are part of."
)
YES: Final = "Delete it"
ASK_PERSON: Final = (
    "**Delete what I keep about you, in every server and in direct messages?**\n"
    "- Your questions, and what the model thought about them, are deleted, and the ones that are "
    "waiting or being answered are stopped. *Show thinking*, *Details* and *Regenerate* below old "
    "answers stop working.\n"
    "- Settings that you changed stay, without your name.\n"
    "- Messages in Discord, my answers among them, stay: delete those yourself. When somebody asks "
    "about them I may read them again, unless you /privacy opt-out.\n"
    "This can't be undone. /privacy export gives you a copy first."
)
ASK_SERVER: Final = (
    "**Delete what I keep about this server?**\n"
    "- All questions that were asked here, by anybody, with what the model thought about them; the ones "
    "that are waiting or being answered are stopped.\n"
    "- All settings of the server and its channels, and their history: I then answer as in a server "
    "that I'm new to.\n"
    "- Messages in Discord stay.\n"
    "This can't be undone. /privacy server export gives you a copy of the settings first."
)
TRACES: Final = (
    "The database's file still holds traces of it, because another program is reading it; "
    "they are overwritten as soon as that can be done."
)


class PrivacyCog(commands.Cog):
    """Everybody may use it, wherever: nobody is shut out from their own data."""

    privacy = app_commands.Group(
        name="privacy",
        description="What I keep about you: see it, take it along, delete it",
        extras={_gate.EVERYBODYS: True},
    )
    server = app_commands.Group(
        name="server",
        description="What I keep about this server, for whoever manages it",
        parent=privacy,
    )

    def __init__(self, bot: ClawbotClient) -> None:
        self.bot = bot
        self._services = bot.services
        self._data = bot.services.privacy
        self._budget = FairBudget(SHARES, WINDOW_S)
        self._tasks = TaskOwner()
        self._is_looking = False

    async def cog_unload(self) -> None:
        """End what this cog runs in the background."""
        await self._tasks.cancel()

    # A person's own

    @privacy.command(name="show")
    async def show(self, interaction: Interaction) -> None:
        """Show what I keep about you, and for how long."""
        self._count(interaction)
        who = _person(interaction)
        async with _respond.deferred(interaction):
            held = await self._data.held(who)
        is_out = self._data.kept.opted_out_at(UserId(interaction.user.id)) is not None
        await _respond.say(interaction, person_text(held, self._days, is_opted_out=is_out))

    @privacy.command(name="export")
    async def export(self, interaction: Interaction) -> None:
        """Get what I keep about you as a file."""
        self._count(interaction)
        async with _respond.deferred(interaction):
            parts = await self._data.export(_person(interaction))
        await _hand_out(interaction, parts, "This is what I keep about you.")

    @privacy.command(name="delete")
    async def delete(self, interaction: Interaction) -> None:
        """Delete what I keep about you, at once and for good."""
        self._count(interaction)
        await _confirm.ask(interaction, ASK_PERSON, YES, self._delete_person)

    @privacy.command(name="opt-out")
    async def opt_out(self, interaction: Interaction) -> None:
        """Have your messages left out when somebody else asks me something."""
        async with _respond.deferred(interaction):
            await self._data.opt_out(UserId(interaction.user.id))
        await _respond.say(interaction, OPTED_OUT)

    @privacy.command(name="opt-in")
    async def opt_in(self, interaction: Interaction) -> None:
        """Let your messages be read again when somebody else asks me something."""
        async with _respond.deferred(interaction):
            await self._data.kept.opt_in(UserId(interaction.user.id))
        await _respond.say(interaction, OPTED_IN)

    async def _delete_person(self, interaction: Interaction) -> str:
        await _respond.replace(interaction, _confirm.WORKING)
        return deleted_text(await self._data.delete(_person(interaction)))

    # A server's

    @server.command(name="show")
    async def server_show(self, interaction: Interaction) -> None:
        """Show what I keep about this server, and for how long."""
        who = _server(interaction)
        self._count(interaction)
        async with _respond.deferred(interaction):
            held = await self._data.held(who)
        await _respond.say(interaction, server_text(held, self._days, self._left_days))

    @server.command(name="export")
    async def server_export(self, interaction: Interaction) -> None:
        """Get the settings as a file, with what was asked in the channels that you can read."""
        who = _server(interaction)
        self._count(interaction)
        async with _respond.deferred(interaction):
            parts = await self._data.export(who, lambda at: may_read(interaction, at))
        text = "These are this server's settings, and what was asked in the channels that you can read."
        await _hand_out(interaction, parts, text)

    @server.command(name="delete")
    async def server_delete(self, interaction: Interaction) -> None:
        """Delete what I keep about this server, at once and for good."""
        _server(interaction)
        self._count(interaction)
        await _confirm.ask(interaction, ASK_SERVER, YES, self._delete_server, _manages)

    async def _delete_server(self, interaction: Interaction) -> str:
        who = _server(interaction)
        await _respond.replace(interaction, _confirm.WORKING)
        return deleted_text(await self._data.delete(who))

    # Servers that were left

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Note that a server was left: its data is deleted some days later."""
        with suppress(StoreError):  # the next start finds it out, too
            await self._data.kept.left(GuildId(guild.id))

    @commands.Cog.listener()
    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Note that the bot is in a server: its data stays."""
        with suppress(StoreError):
            await self._data.kept.stays(GuildId(guild.id))

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Find out which servers were left or joined while nobody listened."""
        try:
            await self._data.look_for_left(
                self.bot.serves, lambda each: self.bot.get_guild(each) is not None
            )
        except StoreError as exc:
            _log.warning("which servers were left isn't known yet (%s)", plain_reason(exc))
        if not self._is_looking:
            self._is_looking = True
            self._tasks.start(self._look_after_left(), name="left servers")

    async def _look_after_left(self) -> None:
        """Delete what is due, at once and from time to time: a bot may be restarted often."""
        clock = self._services.clock
        while True:
            before = clock.now() - timedelta(days=self._left_days)
            try:
                await self._data.forget_left(before, self.bot.serves)
            except StoreError as exc:
                _log.warning("the data of a server that was left stays (%s)", plain_reason(exc))
            await clock.sleep(LOOK_EVERY_S)

    @property
    def _days(self) -> int:
        return self._services.settings.store.retention_days

    @property
    def _left_days(self) -> int:
        return self._services.settings.store.left_server_days

    def _count(self, interaction: Interaction) -> None:
        """Count a look at everything.

        Raises:
            GateError: There were too many.
        """
        at_s = self._services.clock.monotonic()
        wait_s = self._budget.take(interaction.user.id, interaction.user.id, at_s)
        if wait_s:
            wait = counted(max(1, round(wait_s / 60)), "minute")
            raise _gate.GateError(BUSY.format(wait=wait))


def _person(interaction: Interaction) -> Subject:
    return Subject(person_id=UserId(interaction.user.id))


def _server(interaction: Interaction) -> Subject:
    """Return the server that somebody manages.

    Raises:
        GateError: They don't.
    """
    _gate.require_manage_server(interaction)
    return Subject(guild_id=GuildId(interaction.guild_id or 0))


async def _manages(interaction: Interaction) -> bool:
    """Return that somebody manages the server.

    Raises:
        GateError: They don't.
    """
    _gate.require_manage_server(interaction)
    return True


def may_read(interaction: Interaction, channel_id: ChannelId) -> bool:
    """Return whether whoever asks can read a channel of the server, as far as is known."""
    guild, person = interaction.guild, interaction.user
    channel = None if guild is None else guild.get_channel_or_thread(channel_id)
    if isinstance(channel, discord.Thread):
        if channel.is_private():
            return interaction.permissions.administrator
        channel = channel.parent
    if guild is None or channel is None or not isinstance(person, discord.Member):
        return False
    return _gate.may_read(guild, channel, person.id, [role.id for role in person.roles])


async def _hand_out(interaction: Interaction, parts: Sequence[bytes], text: str) -> None:
    for number, part in enumerate(parts, 1):
        name = "clawbot-data.json" if len(parts) == 1 else f"clawbot-data-{number}.json"
        said = text if len(parts) == 1 else f"{text} File {number} of {len(parts)}."
        hand_out = _respond.say if number == 1 else _respond.say_further
        await hand_out(interaction, said, file=discord.File(io.BytesIO(part), name))


def person_text(held: Held, days: int, *, is_opted_out: bool) -> str:
    """Return what is kept about a person, in words."""
    lines = ["**What I keep about you**", *_question_lines(held, days)]
    if held.settings or held.changes:
        lines.append(
            f"- Your name at {counted(held.settings, 'setting')} of servers that you set, and at "
            f"{counted(held.changes, 'change')} in their history: until somebody changes them, or "
            "newer changes take their place."
        )
    if held.summaries:
        lines.append(
            f"- {_summaries(held)} of what you said in long conversations, or of what was said of "
            f"you: each until one of its messages is gone, at most {counted(days, 'day')}."
        )
    lines.append(
        f"- {counted(held.messages, 'message')} of yours in my memory, from conversations that I was "
        "asked about: until newer ones take their place, or a restart."
    )
    lines.append(
        "- What I learn of models (how fast they are, how long texts get) holds no words and no names."
    )
    lines.append("My answers, once they are posted, are kept by Discord alone.")
    if is_opted_out:
        lines.append(
            "You opted out: when others ask, I don't read your messages. /privacy opt-in takes it back."
        )
    else:
        lines.append(
            "When others ask about a conversation, I read your messages in it. /privacy opt-out ends that."
        )
    lines.append("/privacy export gives you all of it as a file; /privacy delete deletes it.")
    return "\n".join(lines)


def server_text(held: Held, days: int, left_days: int) -> str:
    """Return what is kept about a server, in words."""
    settings = counted(held.settings, "setting")
    messages = counted(held.messages, "message")
    later = counted(left_days, "day")
    lines = ["**What I keep about this server**", *_question_lines(held, days)]
    lines.append(
        f"- {settings} of the server and its channels, and their history: until they are changed; the "
        "newest changes stay."
    )
    if held.summaries:
        lines.append(
            f"- {_summaries(held)} of long conversations: each until one of its messages is gone, at "
            f"most {counted(days, 'day')}."
        )
    lines.append(
        f"- {messages} in my memory, from conversations that I was asked about: until newer ones take "
        "their place, or a restart."
    )
    lines.append(
        f"When I'm removed from the server, all of it is deleted {later} later, unless I'm back by "
        "then. /privacy server delete deletes it now."
    )
    return "\n".join(lines)


def _summaries(held: Held) -> str:
    return counted(held.summaries, "summary", "summaries")


def _question_lines(held: Held, days: int) -> list[str]:
    kept = f"each is deleted {counted(days, 'day')} after its answer"
    if not held.questions:
        return [f"- No questions. When there are some, {kept}."]
    lines = [f"- {counted(held.questions, 'question')}: text, place and time; {kept}."]
    if held.oldest is not None:
        lines[0] += f" The oldest is from {discord.utils.format_dt(held.oldest, 'D')}."
    if held.open:
        lines.append(f"- Of these, {held.open} without an answer yet.")
    if held.thinking:
        lines.append(
            f"- What the model thought about {held.thinking} of them, for *Show thinking*: as long "
            "as the question."
        )
    if held.counted:
        lines.append(
            f"- How long the prompts of {held.counted} of them were, in tokens: as long as the question."
        )
    return lines


def deleted_text(done: Deleted) -> str:
    """Return what was deleted, in words."""
    whom = "it" if done.questions == 1 else "them"
    lines = [f"Deleted: {counted(done.questions, 'question')} and all that belonged to {whom}."]
    if done.stopped:
        lines.append(f"Stopped: {counted(done.stopped, 'question')}.")
    if not done.is_overwritten:
        lines.append(TRACES)
    return "\n".join(lines)


async def setup(bot: ClawbotClient) -> None:
    """Add the cog; discord.py calls this."""
    _tree.require_tree(bot)
    await bot.add_cog(PrivacyCog(bot))
