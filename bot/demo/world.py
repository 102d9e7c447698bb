"""The demo's world: a local Discord with its people, and what answers in place of LM Studio.

With ``bot.demo.run`` the only modules that bring ``sandbox`` in; the command line imports them for
this command alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from bot.core.clock import SystemClock
from bot.core.errors import BackendError
from bot.demo.answers import MODEL, THINKING, canned
from bot.demo.notes import Notes
from bot.lmstudio import open_backend
from config.settings import (
    DiscordSettings,
    MetricsSettings,
    Settings,
    StoreSettings,
)
from sandbox.discord import Channel, DiscordSandbox, Guild, Person
from sandbox.discord.values.json_objects import JsonObject
from sandbox.lmstudio import Answer, LMStudioSandbox, Model, RecordedRequest, Timing, text_of

PROBE_S: Final = 5.0
"""Longest look for an LM Studio, in seconds: a busy machine takes some to answer; one without refuses at once."""
TYPICAL: Final = Timing(load_s=3.0, prefill_tokens_s=2000.0)
"""A stand-in whose answers can be read along."""
FAST: Final = Timing(load_s=3.0, prefill_tokens_s=2000.0, speed=8.0)
"""A stand-in for scripts."""
KEPT_REQUESTS: Final = 100
"""Of the bot to the stand-in, for the page to show."""

OF_STAND_IN: Final = "No LM Studio answers, so a stand-in does, with canned answers."
SHOWS_NO_MODEL: Final = (
    "LM Studio shows no chat model: it has none, or wants its token (LMSTUDIO_API_TOKEN). "
    "A stand-in answers, with canned answers."
)


@dataclass(slots=True)
class Voice:
    """How the stand-in speaks.

    Attributes:
        thinks: It thinks before it answers.
        markup: How its thinking reaches the client, as ``Answer.markup`` has it.
    """

    thinks: bool = True
    markup: str = "field"

    def reset(self) -> None:
        """Speak as at first."""
        self.thinks, self.markup = True, "field"

    def respond(self, asked: RecordedRequest) -> Answer:
        """Choose what is said: the rest of an answer that broke off, or a whole one."""
        *earlier, question = [text_of(each) for each in asked.messages] or [""]
        if len(earlier) >= 2:
            whole, begun = canned(earlier[-2]), earlier[-1].strip()
            if begun and whole.startswith(begun) and whole != begun:
                return Answer(whole[len(begun) :])
        thinking = THINKING if self.thinks else ""
        return Answer(canned(question), reasoning=thinking, markup=self.markup)


@dataclass(frozen=True, slots=True)
class Places:
    """The local Discord's people, and where they meet.

    Attributes:
        guild: Its one server.
        general: The channel that the talk begins in.
        member: Somebody with everyone's rights.
        admin: Somebody who may manage the server.
        owner: Who runs the bot, and owns the server.
    """

    guild: Guild
    general: Channel
    member: Person
    admin: Person
    owner: Person

    @property
    def people(self) -> tuple[Person, Person, Person]:
        """Everybody one can be."""
        return self.member, self.admin, self.owner


@dataclass(frozen=True, slots=True)
class Demo:
    """What is on stage.

    Attributes:
        discord: The local Discord.
        places: Its people, and where they meet.
        address: Where LM Studio was looked for.
        lmstudio: The stand-in; ``None`` where a real LM Studio answers.
        voice: How the stand-in speaks.
        notes: What the bot tells of itself.
        bot: The bot's run; ends when the bot does.
        of_stand_in: Why the stand-in answers, in a sentence.
    """

    discord: DiscordSandbox
    places: Places
    address: str
    lmstudio: LMStudioSandbox | None
    voice: Voice
    notes: Notes
    bot: asyncio.Task[None]
    of_stand_in: str = OF_STAND_IN

    @property
    def sentence(self) -> str:
        """Who answers."""
        return (
            f"Asking your model at {self.address}." if self.lmstudio is None else self.of_stand_in
        )

    def registered(self) -> list[JsonObject]:
        """Return the commands that the bot has registered, as Discord keeps them."""
        store = self.discord.world.commands
        return [*store.scope(self.places.guild.id).values(), *store.scope(None).values()]


async def furnish(discord: DiscordSandbox) -> Places:
    """Found a server with its people, and let them have said a little."""
    owner = discord.add_user("Otto")
    member, admin = discord.add_user("Mia"), discord.add_user("Ada")
    guild = discord.add_guild("Demo", owner=owner)
    guild.add_member(member)
    guild.add_member(admin, roles=[guild.add_role("Admins", "MANAGE_GUILD")])
    general = guild.add_channel("general", topic="Mention Clawbot and ask it something")
    games = guild.add_channel("games", topic="Another conversation, which the bot keeps apart")
    staff = guild.add_channel("staff", topic="Only those who run the server see this")
    staff.overwrite(guild.everyone, deny="VIEW_CHANNEL")
    staff.overwrite(admin, allow="VIEW_CHANNEL", is_member=True)
    staff.overwrite(discord.bot_user, allow="VIEW_CHANNEL", is_member=True)
    questions = guild.add_channel("questions", "forum", topic="One post for each question")
    await owner.say(general, "Welcome! Type @, choose Clawbot, and ask it something.")
    talk = await member.say(games, "Who plays on Friday?")
    thread = await member.start_thread(talk, "Friday's game")
    await admin.say(thread, "I do. Mention Clawbot in here, and it reads this thread only.")
    post = "How do I change how Clawbot answers?"
    await admin.post(questions, post, "With /config: type a slash to see what there is.")
    for person in (member, admin, owner):
        discord.world.dm_channel(person.user)
    return Places(guild, general, member, admin, owner)


async def why_stand_in(settings: Settings) -> str:
    """Return why no model of the operator's can answer; empty where one can."""
    try:
        async with (
            asyncio.timeout(PROBE_S),
            open_backend(settings.lmstudio, SystemClock()) as backend,
        ):
            return "" if await backend.list_models() else SHOWS_NO_MODEL
    except (BackendError, TimeoutError):
        return OF_STAND_IN


def stand_in(timing: Timing, voice: Voice) -> LMStudioSandbox:
    """Return what answers in place of LM Studio; it isn't started yet."""
    lmstudio = LMStudioSandbox([Model(MODEL)], timing, keep_requests=KEPT_REQUESTS)
    lmstudio.answer_with(voice.respond)
    return lmstudio


def with_stand_in(settings: Settings, base_url: str) -> Settings:
    """Return settings that ask the stand-in."""
    own = {"base_url": (base_url,), "api_token": None, "ca_file": None, "certificate_sha256": None}
    return settings.model_copy(
        update={
            "lmstudio": settings.lmstudio.model_copy(update=own),
            "chat": settings.chat.model_copy(update={"model": None}),
        }
    )


def for_sandbox(
    settings: Settings, discord: DiscordSandbox, owner: Person, folder: Path
) -> Settings:
    """Return settings that touch nothing of the operator's: own data folder, no open port, no idle work."""
    return settings.model_copy(
        update={
            "discord": DiscordSettings(
                token=SecretStr(discord.token),
                api_base=discord.api_base,
                gateway_url=discord.gateway_url,
                owner_ids=(owner.id,),
            ),
            "store": StoreSettings(data_dir=folder),
            "context": settings.context.model_copy(update={"warm_ahead": False}),
            "queue": settings.queue.model_copy(update={"shutdown_grace_s": 0.0}),
            "metrics": MetricsSettings(),
        }
    )
