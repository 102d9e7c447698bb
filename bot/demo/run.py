"""``clawbot demo``: the real bot against a local Discord, in the terminal.

The only module that brings ``sandbox`` in; the command line imports it for this command alone.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from bot.app import run
from bot.core.clock import SystemClock
from bot.core.errors import BackendError, DependencyError
from bot.core.tasks import end_tasks
from bot.demo.answers import MODEL, Canned, canned
from bot.demo.terminal import Keyboard, Terminal, parse_command
from bot.lmstudio import open_backend
from bot.ops.logs import set_up_logging
from bot.ops.signals import stop_on_signal
from config.settings import (
    DiscordSettings,
    MetricsSettings,
    Settings,
    StoreSettings,
)
from sandbox.discord import Channel, DiscordSandbox, Message, NotOfferedError, Person
from sandbox.lmstudio import Answer, LMStudioSandbox, Model, RecordedRequest, Timing

PROBE_S: Final = 1.5
"""Longest look for an LM Studio, in seconds."""
ONLINE_S: Final = 20.0
"""Longest wait for the bot to be online with its commands, in seconds."""
ANSWER_S: Final = 900.0
"""Longest wait for an answer, in seconds; a real model may be loading."""
QUIET_S: Final = 6.0
"""An answer without buttons is over when it hasn't changed for this long, in seconds: longer than
the pacing of edits ever pauses."""

BOT, PERSON = "Clawbot  ", "you      "

HELP: Final = """\
Type to talk: each line continues the conversation, /new begins another.
Slash commands work as in Discord, for example
  /config set setting:temperature value:0.31
  /diag network
  /help
/quit ends the demo."""


@dataclass(slots=True)
class Scene:
    """Where the demo plays."""

    discord: DiscordSandbox
    channel: Channel
    person: Person
    terminal: Terminal
    last: Message | None = None

    async def ask(self, text: str) -> None:
        """Say something to the bot, as a reply to its last answer if there is one."""
        if self.last is None:
            asked = await self.person.mention(self.channel, text)
        else:
            asked = await self.person.reply(self.last, text)
        await self._watch(asked)

    async def command(self, line: str) -> None:
        """Use a slash command and show what comes of it."""
        name, options = parse_command(line)
        newest = self.newest()
        try:
            used = await self.person.slash(self.channel, name, **options)
        except (NotOfferedError, LookupError) as exc:
            self.terminal.line(f"Discord: {exc}")
            return
        try:
            response = await used.wait_content(timeout_s=ANSWER_S)
        except TimeoutError:
            self.terminal.line("Discord: the application did not respond")
            return
        if response.ephemeral:
            self._show(response)
            self.terminal.settle()
        else:
            await self._watch(newest)

    def newest(self) -> Message | None:
        """Return the last message in the channel."""
        return max(self.channel.messages.values(), key=lambda each: each.id, default=None)

    async def _watch(self, asked: Message | None) -> None:
        """Show the bot's messages after ``asked`` as they grow, until the answer is complete."""
        shown = 0
        seen: list[tuple[int, int]] = []
        while not _is_complete(self._answer(asked)):
            try:
                await self._change(asked, seen, QUIET_S)
            except TimeoutError:
                if self._answer(asked) and not _is_being_written(self._answer(asked)):
                    break
                await self._change(asked, seen, ANSWER_S)
            seen = _versions(self._answer(asked))
            shown = self._grow(self._answer(asked), shown)
        self._grow(self._answer(asked), shown)
        self.terminal.settle()

    async def _change(
        self, asked: Message | None, seen: list[tuple[int, int]], timeout_s: float
    ) -> None:
        await self.discord.wait_until(
            lambda: _versions(self._answer(asked)) != seen, timeout_s=timeout_s
        )

    def _answer(self, asked: Message | None) -> list[Message]:
        after = asked.id if asked is not None else 0
        bot = self.discord.bot_user
        return [m for m in self.channel.messages.values() if m.author is bot and m.id > after]

    def _grow(self, messages: list[Message], shown: int) -> int:
        """Show the messages that are new or last; return how many are settled."""
        for index in range(shown, len(messages)):
            self._show(messages[index])
            if index + 1 < len(messages):
                self.terminal.settle()
        if messages:
            self.last = messages[-1]
        return max(shown, len(messages) - 1)

    def _show(self, message: Message) -> None:
        files = "".join(f"\n[file: {each.filename}]" for each in message.attachments)
        drawn = as_drawn(message.content, self._name)
        self.terminal.grow(BOT, drawn + files)

    def _name(self, user_id: int) -> str | None:
        user = self.discord.world.users.get(user_id)
        return user.username if user else None


def _versions(messages: list[Message]) -> list[tuple[int, int]]:
    return [(each.id, len(each.versions)) for each in messages]


def _is_being_written(messages: list[Message]) -> bool:
    return any(
        each["custom_id"].startswith("clawbot:stop:") for m in messages for each in m.buttons
    )


def _is_complete(messages: list[Message]) -> bool:
    """Tell whether the answer has the buttons that only a finished one has."""
    return any(m.buttons for m in messages) and not _is_being_written(messages)


def play(settings: Settings, *, once: bool) -> int:
    """Hold a conversation in the terminal; returns the exit code.

    Args:
        settings: The operator's; where LM Studio is and how to ask it are taken from them.
        once: Play a short script instead of reading from the keyboard.

    Raises:
        DependencyError: The bot didn't come online.
    """
    set_up_logging(settings, at_least="ERROR")
    terminal = Terminal(sys.stdout)
    with suppress(asyncio.CancelledError):
        asyncio.run(_play(settings, terminal, once=once))
    return 0


async def _play(settings: Settings, terminal: Terminal, *, once: bool) -> None:
    stop = asyncio.Event()
    with stop_on_signal(stop):
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="clawbot-", ignore_cleanup_errors=True)
            )
            discord = await stack.enter_async_context(DiscordSandbox())
            person, channel = _people(discord)
            if await _has_lmstudio(settings):
                terminal.line("Asking the model of your LM Studio.")
            else:
                terminal.line("No LM Studio answers, so a stand-in does, with canned answers.")
                lmstudio = await stack.enter_async_context(_stand_in(once=once))
                settings = _with_stand_in(settings, lmstudio.base_url)
            settings = _for_sandbox(settings, discord, person, Path(folder))
            scene = Scene(discord, channel, person, terminal)
            await _with_bot(settings, scene, stop, once=once)


async def _with_bot(settings: Settings, scene: Scene, stop: asyncio.Event, *, once: bool) -> None:
    """Run the bot, and the conversation beside it, until either ends or ``stop`` is set."""
    end = asyncio.Event()
    bot = asyncio.create_task(run(settings, stop=end), name="bot")
    talk = asyncio.create_task(_script(scene) if once else _talk(scene), name="talk")
    stopped = asyncio.create_task(stop.wait(), name="stopped")
    try:
        await asyncio.wait({bot, talk, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if talk.done():
            talk.result()
    finally:
        end.set()
        await end_tasks(talk, stopped)
        try:
            await bot  # its files go with the data folder
        finally:
            scene.terminal.settle()


async def _online(scene: Scene) -> None:
    guild = scene.channel.guild
    commands = scene.discord.world.commands
    try:
        await scene.discord.wait_online(timeout_s=ONLINE_S)
        await scene.discord.wait_until(
            lambda: commands.names(guild.id if guild else None), timeout_s=ONLINE_S
        )
    except TimeoutError:
        raise DependencyError(f"The bot didn't come online within {ONLINE_S:g} seconds.") from None


async def _script(scene: Scene) -> None:
    """Play a mention, a follow-up by reply, and a slash command."""
    await _online(scene)
    for line in (
        "What does a KV cache keep?",
        "And why should a chat bot care?",
        "/config set setting:temperature value:0.31",
    ):
        scene.terminal.line(f"{PERSON}{line}")
        await (scene.command(line) if line.startswith("/") else scene.ask(line))


async def _talk(scene: Scene) -> None:
    """Read lines and answer them until there are no more."""
    await _online(scene)
    keyboard = Keyboard()
    keyboard.start()
    scene.terminal.line(HELP)
    while True:
        scene.terminal.prompt(PERSON)
        line = await keyboard.line()
        if line is None or line.strip() in {"/quit", "/exit"}:
            return
        await _answer(scene, line.strip())


async def _answer(scene: Scene, line: str) -> None:
    if line == "/new":
        scene.last = None
    elif line.startswith("/"):
        if line == "/help":
            scene.terminal.line(HELP)
        await scene.command(line)
    elif line:
        try:
            await scene.ask(line)
        except NotOfferedError as exc:
            scene.terminal.line(f"Discord: {exc}")


def _people(discord: DiscordSandbox) -> tuple[Person, Channel]:
    guild = discord.add_guild("Demo")
    person = discord.add_user("You")
    guild.add_member(person, permissions="MANAGE_GUILD")
    return person, guild.add_channel("general")


async def _has_lmstudio(settings: Settings) -> bool:
    """Tell whether an LM Studio with a chat model answers at the configured address."""
    try:
        async with (
            asyncio.timeout(PROBE_S),
            open_backend(settings.lmstudio, SystemClock()) as backend,
        ):
            return bool(await backend.list_models())
    except (BackendError, TimeoutError):
        return False


def _stand_in(*, once: bool) -> LMStudioSandbox:
    timing = Timing(load_s=0.0, prefill_tokens_s=2000.0, speed=8.0 if once else 1.0)
    lmstudio = LMStudioSandbox([Model(MODEL)], timing)
    lmstudio.answer_with(_respond)
    return lmstudio


def _respond(asked: RecordedRequest) -> Answer:
    content = asked.messages[-1]["content"] if asked.messages else ""
    said: Canned = canned(content if isinstance(content, str) else "")
    return Answer(said.text, reasoning=said.thinking)


def _with_stand_in(settings: Settings, base_url: str) -> Settings:
    own = {"base_url": (base_url,), "api_token": None, "ca_file": None, "certificate_sha256": None}
    return settings.model_copy(
        update={
            "lmstudio": settings.lmstudio.model_copy(update=own),
            "chat": settings.chat.model_copy(update={"model": None}),
        }
    )


def _for_sandbox(
    settings: Settings, discord: DiscordSandbox, person: Person, folder: Path
) -> Settings:
    """Return settings that touch nothing of the operator's: own data folder, no open port."""
    return settings.model_copy(
        update={
            "discord": DiscordSettings(
                token=SecretStr(discord.token),
                api_base=discord.api_base,
                gateway_url=discord.gateway_url,
                owner_ids=(person.id,),
            ),
            "store": StoreSettings(data_dir=folder),
            "queue": settings.queue.model_copy(update={"shutdown_grace_s": 0.0}),
            "metrics": MetricsSettings(),
        }
    )


_MENTION: Final = re.compile(r"<@!?(\d{1,20})>")
_TIME: Final = re.compile(r"<t:(\d{1,10})(?::[a-zA-Z])?>")


def as_drawn(text: str, name_of: Callable[[int], str | None]) -> str:
    """Return a message with names for mentions and local times for timestamps.

    Args:
        text: A message's content (Discord: reference, message formatting).
        name_of: A user's name by id; ``None`` where there is no such user.
    """

    def mention(found: re.Match[str]) -> str:
        name = name_of(int(found[1]))
        return f"@{name}" if name else found[0]

    return _TIME.sub(_local, _MENTION.sub(mention, text))


def _local(found: re.Match[str]) -> str:
    moment = datetime.fromtimestamp(int(found[1]), UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M")
