"""The bot between the sandbox's servers, its lives and deaths, and what people have asked it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import signal
import sqlite3
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bot import app
from sandbox.discord import Channel, DiscordSandbox, Fault, Interaction, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from sandbox.lmstudio.values import RecordedRequest
from tests.support.application import environment_between, settings_for
from tests.support.process import whole_environment

STARTED_S = 120.0
TAG = re.compile(r"topic\d+")
_FAST = {
    "CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S": "1",
    "CLAWBOT_LMSTUDIO__NETWORK_TIMEOUT_MS": "2000",
    "CLAWBOT_DELIVERY__STAGE_AFTER_S": "0.2",
    "CLAWBOT_QUEUE__BURST_WINDOW_S": "0.4",
    "CLAWBOT_QUEUE__SHUTDOWN_GRACE_S": "0.5",
    "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
}


@dataclass(slots=True)
class Asked:
    """A question as whoever asked it sees it.

    Attributes:
        where: Its message, or the use of a command.
        tags: The words that stand for its text, oldest first; the answer repeats the newest. None
            where nothing but the use itself asks.
        taken_back_at: When it was deleted, UNIX time in seconds.
        may_be_silent: Nobody can expect an answer: it couldn't be posted, or was deleted.
        may_be_old: The answer may be to earlier words: the bot couldn't see the edit.
        may_be_late: It may be answered after it was taken back: the bot couldn't see that.
    """

    where: Message | Interaction
    asker: Person
    tags: list[str]
    taken_back_at: float | None = None
    may_be_silent: bool = False
    may_be_old: bool = False
    may_be_late: bool = False


@dataclass(slots=True)
class Life:
    """The bot between the sandbox's servers, and what people have asked it.

    Attributes:
        plain: What was said to nobody, by somebody who asks nothing else.
        silenced: Channels where the bot may not write.
        unwritable: Channels in which it couldn't edit either, at some time.
        blocked_at: When the bot first lived with the block of its last person, UNIX time in seconds.
        is_blind: The bot can't ask Discord how things are.
        is_refused: Discord refuses what is allowed, or says that what is there is gone.
        is_process: The bot is a process of its own.
        is_full: The bot's disk is full.
    """

    discord: DiscordSandbox
    lm: LMStudioSandbox
    folder: Path
    people: list[Person]
    channels: list[Channel]
    is_process: bool = False
    asked: list[Asked] = field(default_factory=list)
    plain: list[Message] = field(default_factory=list)
    running: asyncio.Task[None] | asyncio.subprocess.Process | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    is_cut_off: bool = False
    is_blind: bool = False
    is_refused: bool = False
    is_blocking: bool = False
    is_full: bool = False
    blocked_at: float | None = None
    silenced: set[int] = field(default_factory=set)
    unwritable: set[int] = field(default_factory=set)
    lock: asyncio.Task[None] | None = None
    tags: int = 0

    # The bot's lives

    async def start(self) -> None:
        """Start the bot unless it runs, and wait until it is online."""
        if self.running is not None:
            return
        extra = dict(_FAST)
        if self.is_blocking:
            extra["CLAWBOT_DISCORD__BLOCKED_USER_IDS"] = str(self.people[-1].id)
            self.blocked_at = self.blocked_at or time.time()
        if self.is_process:
            await self._start_process(extra)
            return
        self.stop, ready = asyncio.Event(), asyncio.Event()
        settings = settings_for(self.discord, self.lm, self.folder, **extra)
        self.running = asyncio.create_task(app.run(settings, stop=self.stop, ready=ready))
        await asyncio.wait_for(ready.wait(), STARTED_S)

    async def _start_process(self, extra: dict[str, str]) -> None:
        wanted = environment_between(self.discord, self.lm, self.folder, **extra)
        self.running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            "run",
            cwd=self.folder,
            env=whole_environment(wanted),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await self.discord.wait_online(timeout_s=STARTED_S)

    async def end(self) -> None:
        """Stop the bot in order; with a full disk what it has in memory would be lost."""
        if self.is_full:
            await self.unlocked()
        running, self.running = self.running, None
        if isinstance(running, asyncio.Task):
            self.stop.set()
            await asyncio.wait_for(running, 60)
        elif running is not None:
            running.send_signal(signal.SIGTERM)
            await asyncio.wait_for(running.wait(), 60)
            assert running.returncode == 0, f"ended with {running.returncode}"

    async def kill(self) -> None:
        """End the bot as a kill does: nothing is written any more, neither here nor to Discord."""
        await self.unlocked()
        running, self.running = self.running, None
        if isinstance(running, asyncio.Task):
            await self._cut(running)
        elif running is not None:
            running.kill()
            await running.wait()

    async def _cut(self, running: asyncio.Task[None]) -> None:
        path, kept = self.folder / "clawbot.db", self.folder / "kept.db"
        dead = Fault(times=1_000_000, reset=True)
        self.discord.faults.rest.insert(0, dead)
        with (
            contextlib.closing(sqlite3.connect(path)) as now,
            contextlib.closing(sqlite3.connect(kept)) as copy,
        ):
            now.backup(copy)
        running.cancel()
        await asyncio.wait({running})
        for name in ("clawbot.db", "clawbot.db-wal", "clawbot.db-shm"):
            (self.folder / name).unlink(missing_ok=True)
        kept.rename(path)
        self.discord.faults.rest.remove(dead)

    # The disk

    def lock_for(self, seconds: float) -> None:
        """Have another program hold the database's lock for a while."""
        if self.lock is None or self.lock.done():
            self.lock = asyncio.create_task(self._hold_lock(seconds))

    def fill_for(self, seconds: float, most_bytes: int) -> None:
        """Have no file of the bot's grow beyond a size for a while, as on a disk that is full."""
        if self.lock is None or self.lock.done():
            self.is_full = True
            self.lock = asyncio.create_task(self._fill(seconds, most_bytes))

    async def _fill(self, seconds: float, most_bytes: int) -> None:
        running = self.running
        pid = running.pid if isinstance(running, asyncio.subprocess.Process) else None
        process = psutil.Process(pid)
        before = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (most_bytes, before[1]))
        try:
            await asyncio.sleep(seconds)
        finally:
            process.rlimit(psutil.RLIMIT_FSIZE, before)

    async def _hold_lock(self, seconds: float) -> None:
        path = self.folder / "clawbot.db"
        with contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
            with contextlib.suppress(sqlite3.OperationalError):
                other.execute("BEGIN IMMEDIATE")
                await asyncio.sleep(seconds)
            other.rollback()

    async def unlocked(self) -> None:
        """Wait until nobody holds the lock, and what the bot kept in memory is stored."""
        if self.lock is not None:
            await self.lock
            self.lock, self.is_full = None, False
            await asyncio.sleep(LOCK_HEALS_S)

    # What was asked

    @property
    def sees(self) -> bool:
        """Whether the bot gets events now, and can ask Discord."""
        is_there = self.running is not None and self.discord.online
        return is_there and not self.is_cut_off and not self.is_blind

    def tag(self) -> str:
        """Return the next word that stands for a text."""
        self.tags += 1
        return f"topic{self.tags}"

    def note(self, where: Message | Interaction, asker: Person, *tags: str) -> Asked:
        """Remember a question."""
        is_unheard = where.channel.id in self.silenced or self.is_refused
        if self.is_blocking and asker is self.people[-1]:
            is_unheard = True
        if where.channel.guild is None and not self.sees:  # Discord lists no such channels
            before = [a for a in self.asked if a.where.channel is where.channel]
            is_unheard = is_unheard or all(a.may_be_silent for a in before)
        one = Asked(where, asker, list(tags), may_be_silent=is_unheard, may_be_old=self.is_blind)
        self.asked.append(one)
        return one

    def has_taken(self, message: Message) -> bool:
        """Return whether the bot has stored a message's question."""
        with contextlib.closing(sqlite3.connect(self.folder / "clawbot.db")) as database:
            query = "SELECT count(*) FROM asking_messages WHERE message_id = ?"
            return bool(database.execute(query, (message.id,)).fetchone()[0])

    def knows(self, channel: Channel) -> bool:
        """Return whether the bot has stored which message of a channel it saw last."""
        with contextlib.closing(sqlite3.connect(self.folder / "clawbot.db")) as database:
            query = "SELECT count(*) FROM channels WHERE channel_id = ?"
            return bool(database.execute(query, (channel.id,)).fetchone()[0])

    def excuse(self, channel: Channel | None = None) -> None:
        """Expect no answer to what was asked in a channel so far, or anywhere."""
        for one in self.asked:
            if channel is None or one.where.channel in (channel, *_threads_of(channel)):
                one.may_be_silent = True

    def messages(self) -> list[Asked]:
        """Return the questions whose messages stand, and may be changed."""
        return [
            a
            for a in self.asked
            if isinstance(a.where, Message)
            and not a.taken_back_at
            and a.where.author is a.asker.user
            and a.where.channel.id not in self.unwritable
        ]

    def answers(self) -> list[Message]:
        """Return what the bot has said and still stands."""
        return list(self.discord.bot_messages)

    def respond(self, record: RecordedRequest) -> Answer:
        """Answer with the words that the last message asks about, or what it goes on with."""
        said = (TAG.findall(str(each["content"])) for each in reversed(record.messages))
        about = " ".join(next(filter(None, said), ["the rest"]))
        chance = random.Random(f"{about} {len(self.lm.completions)}")
        text = f"This is what is known about {about}. " + "It is a long story, told slowly. " * 3
        pause = chance.choice([None, None, None, 0, 3])
        return Answer(
            text.strip(), finish=chance.choice(["stop", "stop", "length"]), pause_after=pause
        )


LOCK_HEALS_S = 2.5
"""Longer than the bot's first wait before it tries a database again."""


def _threads_of(channel: Channel) -> list[Channel]:
    guild = channel.guild
    return [] if guild is None else [c for c in guild.channels.values() if c.parent is channel]
