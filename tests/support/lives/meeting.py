"""Events about one question that meet, with each wait of their handlers stretched: one answer, to the words as they are.

Handlers read what is known, wait for Discord, the database or each other, and act on what they read.
A meeting is a question in some state, and two or three events within a second, while some requests to
Discord are slow. Afterwards it is looked at from Discord's side, the model's and the journal's. A longer run:

    uv run python -m tests.support.lives.meeting --seeds 200 --first 0
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot import app
from sandbox.discord import Channel, DiscordSandbox, Fault, Interaction, Message, Person
from sandbox.discord.faults import When
from sandbox.discord.people.not_offered import NotOfferedError
from sandbox.discord.people.webhooks import Proxy
from sandbox.discord.state import message_actions
from sandbox.lmstudio import Answer, LMStudioSandbox, Model
from sandbox.lmstudio import Fault as ModelFault
from sandbox.lmstudio.values import RecordedRequest
from tests.support.application import settings_for
from tests.support.lives.life import TAG

SETTLED_S = 25.0
"""Longest time until everything has ended."""
QUIET_S = 0.5
"""Nothing may change for so long before a meeting is looked at."""
SEEN_S = 0.6
"""How long after an event the bot may not know of it yet."""
READY_S = 30.0
SETTINGS = {
    "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
    "CLAWBOT_QUEUE__PER_GUILD_PER_MINUTE": "5000",
    "CLAWBOT_QUEUE__BURST_WINDOW_S": "0.5",
    "CLAWBOT_DELIVERY__STAGE_AFTER_S": "0.2",
    "CLAWBOT_CONTEXT__CACHE_MESSAGES": "0",  # an edit looks for the answer then, which can be slow
    "CLAWBOT_CHAT__WAITING_MARK": "true",
}


@dataclass(frozen=True, slots=True)
class Slow:
    """Requests to Discord that take long: before Discord acts, or after that, when their answer is stale."""

    method: str
    route: str
    delay_s: float
    is_late: bool


@dataclass(frozen=True, slots=True)
class Meeting:
    """What meets: a question's state, events with seconds after each, and what is slow meanwhile.

    Attributes:
        locked_s: How long another program holds the database.
        place: ``room``, ``thread`` for answers in threads, or ``dm``.
    """

    setup: str
    steps: tuple[tuple[str, float], ...]
    slow: tuple[Slow, ...]
    locked_s: float = 0.0
    place: str = "room"


@dataclass(slots=True)
class Question:
    """One question as whoever asks it sees it."""

    bot: Bot
    channel: Channel
    ada: Person
    meeting: Meeting
    words: dict[Message, list[str]] = field(default_factory=dict)
    gone_at: dict[Message, float] = field(default_factory=dict)
    changed_at: list[float] = field(default_factory=list)
    pressed_at: list[float] = field(default_factory=list)
    uses: list[Interaction] = field(default_factory=list)
    first_request: int = 0
    is_stopped: bool = False
    is_answer_deleted: bool = False
    forgetting: Interaction | None = None
    proxy: Proxy | None = None

    def tag(self) -> str:
        """Return the next word that stands for a text."""
        self.bot.tags += 1
        return f"topic{self.bot.tags}"

    def standing(self) -> list[Message]:
        """Return the messages that ask and aren't deleted."""
        return [m for m in self.words if m not in self.gone_at]

    def take_back(self, message: Message) -> None:
        """Delete a message."""
        self.note_gone(message)
        message_actions.delete(self.bot.discord.world, message)

    def note_gone(self, message: Message) -> None:
        """Note that a message is deleted now."""
        self.gone_at[message] = time.time()
        self.changed_at.append(time.monotonic())

    @property
    def is_there(self) -> bool:
        """Whether the channel stands."""
        return self.channel.id in self.bot.discord.world.channels

    def answers(self) -> list[Message]:
        """Return what the bot has said here and still stands."""
        if not self.is_there:
            return []
        here = (self.channel, *(m.thread for m in self.words if m.thread is not None))
        return [m for m in self.bot.discord.bot_messages if m.channel in here and not m.ephemeral]

    def shown(self, label: str) -> Message | None:
        """Return the newest answer with a button."""
        return next(
            (
                m
                for m in reversed(self.answers())
                if any(b.get("label") == label for b in m.buttons)
            ),
            None,
        )

    async def ask(self, text: str = "") -> Message:
        """Mention the bot."""
        tag = text or self.tag()
        asked = await self.ada.mention(self.channel, f"Tell me about {tag}")
        self.words[asked] = [tag]
        return asked

    async def wait(self, condition: Callable[[], object]) -> None:
        """Wait for something that happens before the events."""
        await self.bot.discord.wait_until(condition, timeout_s=READY_S)

    async def press(self, label: str, who: Person | None = None) -> None:
        """Press a button, if it is there."""
        on = self.shown(label)
        if on is None:
            return
        used = await (who or self.ada).click(on, label)
        for slow in self.meeting.slow:
            if slow.route == "/callback":
                self.bot.discord.faults.add(
                    Fault("POST", f"/interactions/{used.id}/", delay_s=slow.delay_s)
                )
        self.uses.append(used)
        if label == "Regenerate":
            self.pressed_at.append(time.monotonic())


@dataclass(slots=True)
class Bot:
    """The bot between the sandbox's servers; questions are asked of it one after the other."""

    discord: DiscordSandbox
    lm: LMStudioSandbox
    folder: Path
    moderator: Person
    answers_in: str = "here"
    pauses: list[int | None] = field(default_factory=list)
    finishes: list[str] = field(default_factory=list)
    tags: int = 0
    running: asyncio.Task[None] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Start the bot, and wait until it is online."""
        self.stop, ready = asyncio.Event(), asyncio.Event()
        extra = SETTINGS | {"CLAWBOT_CHAT__ANSWER_IN": self.answers_in}
        settings = settings_for(self.discord, self.lm, self.folder, **extra)
        self.running = asyncio.create_task(app.run(settings, stop=self.stop, ready=ready))
        await asyncio.wait_for(ready.wait(), READY_S)

    async def end(self) -> None:
        """Stop it in order."""
        if self.running is not None:
            self.stop.set()
            await asyncio.wait_for(self.running, 60)

    def respond(self, record: RecordedRequest) -> Answer:
        """Answer with the words that the last message asks about."""
        about = " ".join(_asked_in(record)) or "the rest"
        pause = self.pauses.pop(0) if self.pauses else None
        finish = self.finishes.pop(0) if self.finishes else "stop"
        text = f"About {about}. " + "It is a long story, told slowly. " * 4
        return Answer(
            text.strip(), finish="length" if finish == "length" else "stop", pause_after=pause
        )


def _asked_in(record: RecordedRequest) -> list[str]:
    return TAG.findall(str(record.messages[-1]["content"])) if record.messages else []


# Before the events


async def _new(question: Question) -> None:
    """Nothing was asked."""


async def _said(question: Question) -> None:
    """Something was said to nobody; a direct message asks."""
    if question.channel.guild is None:
        await _whole(question)
        return
    said = await question.ada.say(question.channel, "Something")
    question.words[said] = []


async def _whole(question: Question) -> None:
    await question.ask()
    await question.wait(lambda: question.shown("Regenerate"))


async def _cut(question: Question) -> None:
    question.bot.finishes.append("length")
    await question.ask()
    await question.wait(lambda: question.shown("Continue"))


async def _before_words(question: Question) -> None:
    question.bot.pauses.append(0)
    count = len(question.bot.lm.completions)
    await question.ask()
    await question.bot.lm.wait_until(lambda: len(question.bot.lm.completions) > count, READY_S)


async def _amid_words(question: Question) -> None:
    question.bot.pauses.append(12)
    await question.ask()
    await question.wait(lambda: question.shown("Stop"))


async def _stopped(question: Question) -> None:
    await _amid_words(question)
    await _stop(question)
    await question.wait(lambda: question.shown("Regenerate"))


async def _burst(question: Question) -> None:
    question.bot.pauses.append(0)
    await question.ask()
    await question.ask()
    while not question.shown("Regenerate"):
        await asyncio.sleep(0.05)
        question.bot.lm.resume()


async def _burst_before_words(question: Question) -> None:
    count = len(question.bot.lm.completions)
    await question.ask()
    question.bot.pauses.extend([0, 0])
    await question.ask()
    await question.bot.lm.wait_until(lambda: len(question.bot.lm.completions) > count, READY_S)


async def _failing(question: Question) -> None:
    """The model has failed, and the sentence about that is on its way."""
    faults = question.bot.discord.faults
    slow = faults.add(Fault("POST", "/messages", delay_s=0.6))
    question.bot.lm.faults.next(ModelFault.OVERFLOW_ENGINE)
    await question.ask()
    await question.wait(lambda: slow.played)


async def _regenerating(question: Question) -> None:
    await _whole(question)
    question.bot.pauses.append(random.Random(question.bot.tags).choice([0, 12]))
    count = len(question.bot.lm.completions)
    await question.press("Regenerate")
    await question.bot.lm.wait_until(lambda: len(question.bot.lm.completions) > count, READY_S)


Act = Callable[[Question], Awaitable[None]]
SETUPS: dict[str, tuple[Act, int]] = {
    "new": (_new, 2),
    "said": (_said, 1),
    "whole": (_whole, 5),
    "cut": (_cut, 2),
    "before words": (_before_words, 3),
    "amid words": (_amid_words, 3),
    "stopped": (_stopped, 2),
    "burst": (_burst, 3),
    "burst before words": (_burst_before_words, 2),
    "failing": (_failing, 2),
    "regenerating": (_regenerating, 2),
}


# The events


async def _mention(question: Question) -> None:
    await question.ask()


async def _edit(question: Question) -> None:
    await _edit_to(question, question.tag(), -1)


async def _edit_first(question: Question) -> None:
    await _edit_to(question, question.tag(), 0)


async def _edit_back(question: Question) -> None:
    standing = question.standing()
    if standing and question.words[standing[-1]]:
        await _edit_to(question, question.words[standing[-1]][0], -1)


async def _edit_to(question: Question, tag: str, which: int) -> None:
    standing = question.standing()
    if standing:
        asked = standing[which]
        mention = question.bot.discord.bot_user.mention
        question.changed_at.append(time.monotonic())
        question.words[asked].append(tag)
        text = f"{mention} Tell me about {tag}"
        if asked.webhook_id is not None and question.proxy is not None:
            await question.proxy.webhook(question.channel).edit(asked, text)
        else:
            await question.ada.edit(asked, text)


async def _delete(question: Question) -> None:
    standing = question.standing()
    if standing:
        question.take_back(standing[-1])


async def _delete_first(question: Question) -> None:
    standing = question.standing()
    if standing:
        question.take_back(standing[0])


async def _bulk_delete(question: Question) -> None:
    standing = question.standing()
    if question.channel.guild is None:
        return
    for each in standing:
        question.note_gone(each)
    if standing:
        message_actions.delete_many(question.bot.discord.world, question.channel, standing)


async def _delete_answer(question: Question) -> None:
    answers = question.answers()
    if answers:
        question.is_answer_deleted = True
        await question.bot.moderator.delete(answers[-1])


async def _proxy(question: Question) -> None:
    """A proxy bot says the newest message again."""
    standing = question.standing()
    if question.channel.guild is None:
        return
    if standing and question.words[standing[-1]] and question.ada.sees(standing[-1]):
        said = standing[-1]
        question.note_gone(said)
        question.is_answer_deleted |= bool(
            question.answers()
        )  # a copy of what is answered asks nothing
        proxy = question.proxy = question.bot.discord.add_proxy()
        copy = await proxy.copy(said, "Somebody", delete_first=len(question.words) % 2 == 0)
        question.words[copy] = list(question.words[said])


async def _regenerate(question: Question) -> None:
    await question.press("Regenerate")


async def _regenerate_too(question: Question) -> None:
    await question.press("Regenerate", question.bot.moderator)


async def _continue(question: Question) -> None:
    await question.press("Continue")


async def _stop(question: Question) -> None:
    question.is_stopped = question.is_stopped or question.shown("Stop") is not None
    await question.press("Stop")


async def _stop_all(question: Question) -> None:
    question.is_stopped = True
    question.uses.append(await question.ada.slash(question.channel, "stop"))


async def _forbid(question: Question) -> None:
    """The bot may not write here for a while."""
    if question.channel.guild is not None:
        me = question.bot.discord.bot_user
        question.channel.overwrite(me, deny="send_messages", is_member=True)
        question.is_stopped = True


async def _allow(question: Question) -> None:
    if question.channel.guild is not None:
        question.channel.overwrite(question.bot.discord.bot_user, is_member=True)


async def _remove_channel(question: Question) -> None:
    if question.channel.guild is not None:
        question.is_stopped = True
        question.channel.delete()


async def _details(question: Question) -> None:
    await question.press("Details")


async def _forget(question: Question) -> None:
    """Ada has her data deleted."""
    used = await question.ada.slash(question.channel, "privacy delete")
    shown = await used.wait_content()
    await asyncio.sleep(0.1)  # nobody presses before the bot knows that its question is shown
    question.is_stopped = True
    yes = await question.ada.click(shown, "Delete it")
    question.uses.append(yes)
    question.forgetting = yes


async def _gap(question: Question) -> None:
    """The session is lost, and a new one begins."""
    question.bot.discord.faults.forget_sessions()
    question.bot.discord.faults.drop()
    await asyncio.sleep(0.05)


async def _drop(question: Question) -> None:
    question.bot.discord.faults.drop()
    await asyncio.sleep(0.05)


async def _restart(question: Question) -> None:
    await question.bot.end()
    await question.bot.start()


STEPS: dict[str, tuple[Act, int]] = {
    "mention": (_mention, 3),
    "edit": (_edit, 8),
    "edit first": (_edit_first, 3),
    "edit back": (_edit_back, 2),
    "delete": (_delete, 5),
    "delete first": (_delete_first, 2),
    "bulk delete": (_bulk_delete, 1),
    "delete answer": (_delete_answer, 2),
    "proxy": (_proxy, 3),
    "regenerate": (_regenerate, 8),
    "regenerate too": (_regenerate_too, 3),
    "continue": (_continue, 4),
    "stop": (_stop, 3),
    "stop all": (_stop_all, 3),
    "details": (_details, 1),
    "forbid": (_forbid, 2),
    "allow": (_allow, 1),
    "remove channel": (_remove_channel, 1),
    "forget": (_forget, 2),
    "gap": (_gap, 2),
    "drop": (_drop, 1),
    "restart": (_restart, 1),
}

ROUTES = [
    ("GET", "/messages/"),
    ("GET", "/messages/"),
    ("POST", "/callback"),
    ("POST", "/callback"),
    ("POST", "/messages"),
    ("PATCH", "/messages/"),
    ("DELETE", "/messages/"),
    ("GET", "/messages"),
    ("POST", "/typing"),
    ("PUT", "/reactions/"),
]


def meeting_of(seed: int) -> Meeting:
    """Return the meeting of a seed."""
    chance = random.Random(seed)
    setup = chance.choices(list(SETUPS), [weight for _, weight in SETUPS.values()])[0]
    names = chance.choices(
        list(STEPS), [weight for _, weight in STEPS.values()], k=chance.choice([2, 2, 3])
    )
    if setup == "new":
        names.insert(0, "mention")
    waits = [0.0, 0.0, 0.02, 0.1, 0.3, 0.6]
    steps = tuple((name, chance.choice(waits)) for name in names)
    slow = tuple(
        Slow(*route, chance.choice([0.3, 0.8, 1.2]), chance.random() < 0.5)
        for route in chance.sample(ROUTES, chance.choice([0, 1, 1, 2]))
    )
    locked_s = chance.choice([0.0, 0.0, 0.0, 0.4, 0.9])
    place = chance.choices(["room", "thread", "dm"], [5, 2, 2])[0]
    return Meeting(setup, steps, slow, locked_s, place)


# Playing


@asynccontextmanager
async def world(answers_in: str = "here") -> AsyncGenerator[Bot, None]:
    """The bot, online, in a world of its own."""
    model = Model("qwen/qwen3-next-80b", context_tokens=8192, parallel=4)
    with tempfile.TemporaryDirectory() as folder:
        async with DiscordSandbox(buckets=False) as discord, LMStudioSandbox([model]) as lm:
            moderator = discord.add_user("Mod")
            discord.add_guild("Home", owner=moderator)
            bot = Bot(discord, lm, Path(folder), moderator, answers_in=answers_in)
            lm.answer_with(bot.respond)
            await bot.start()
            await discord.wait_command("stop", timeout_s=READY_S)
            try:
                yield bot
            finally:
                lm.resume()
                await bot.end()


async def play(bot: Bot, meeting: Meeting) -> list[str]:
    """Play a meeting, and return a sentence on everything that is wrong at its end."""
    guild = next(g for g in bot.discord.world.guilds.values() if g.name == "Home")
    ada = bot.discord.add_user("Ada")
    guild.add_member(ada)
    room = ada.dm_channel if meeting.place == "dm" else guild.add_channel("room")
    question = Question(bot, room, ada, meeting)
    question.first_request = len(bot.lm.completions)
    with _errors() as errors:
        await SETUPS[meeting.setup][0](question)
        for slow in meeting.slow:
            when: When = "after" if slow.is_late else "before"
            route = slow.route if bot.answers_in == "thread" else f"/channels/{room.id}{slow.route}"
            bot.discord.faults.add(Fault(slow.method, route, 2, when, delay_s=slow.delay_s))
        locking = asyncio.create_task(_lock(bot.folder, meeting.locked_s))
        for name, wait_s in meeting.steps:
            with contextlib.suppress(NotOfferedError, LookupError, TimeoutError):
                await STEPS[name][0](question)
            await asyncio.sleep(wait_s)
        await locking
        if question.is_there:
            await _allow(question)
        wrong = await _settle(question)
    bot.discord.faults.clear()
    bot.lm.faults.clear()
    bot.pauses.clear()
    bot.finishes.clear()
    return [*wrong, *(f"logged: {each}" for each in errors)]


async def _lock(folder: Path, seconds: float) -> None:
    """Have another program hold the database's lock for a while, so that each write waits."""
    if not seconds:
        return
    with contextlib.closing(sqlite3.connect(folder / "clawbot.db", timeout=0)) as other:
        with contextlib.suppress(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(seconds)
        other.rollback()


@contextlib.contextmanager
def _errors() -> Generator[list[str]]:
    """Collect what is logged as an error inside the ``with`` block."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR or record.exc_info:
                found.append(f"{record.name}: {record.getMessage()} {record.exc_info}")

    handler = Keep()
    logging.getLogger().addHandler(handler)
    try:
        yield found
    finally:
        logging.getLogger().removeHandler(handler)


async def _settle(question: Question) -> list[str]:
    """Wait until nothing is wrong and nothing changes any more; return what stays wrong."""
    deadline = time.monotonic() + SETTLED_S
    seen, since = "", time.monotonic()
    while True:
        question.bot.lm.resume()
        await asyncio.sleep(0.05)
        wrong, now = faults_of(question), time.monotonic()
        state = str([(m.id, m.content, m.components) for m in question.answers()])
        if state != seen:
            seen, since = state, now
        if now > deadline or (wrong and now - since > 14):
            return [*wrong, *_told(question)]
        if not wrong and now - since > QUIET_S:
            return []


def faults_of(question: Question) -> list[str]:
    """Return a sentence on everything that is wrong now."""
    is_barred = "forbid" in dict(question.meeting.steps)  # one request is spent on a mark at most
    found = [_unfinished(m) for m in question.answers()]
    found += [
        _unacknowledged(each, {name for name, _ in question.meeting.steps})
        for each in question.uses
    ]
    found += [_marked(question, m) for m in question.words if question.is_there and not is_barred]
    found += [_open(question.bot.folder), *_twice(question), *_answers_wrong(question)]
    found += _kept(question)
    return [each for each in found if each]


def _unfinished(message: Message) -> str:
    labels = [button.get("label") for button in message.buttons]
    if "Stop" in labels or "-# ⏳" in message.content or message.loading:
        return f"left unfinished: {message.content[:60]!r} {labels}"
    if "being restarted" in message.content:
        return f"left waiting: {message.content[:60]!r}"
    return ""


def _unacknowledged(used: Interaction, steps: set[str]) -> str:
    if not used.acknowledged and not {"gap", "drop", "restart"} & steps:
        return (
            f"a press was not acknowledged: {used.data.get('custom_id') or used.data.get('name')}"
        )
    if used.message is not None and used.message.loading:
        return "a response is left at thinking"
    return ""


def _marked(question: Question, message: Message) -> str:
    me = question.bot.discord.bot_user.id
    marks = [mark for mark, who in message.reactions.items() if me in who and mark != "➕"]
    return f"a mark stays: {marks}" if marks and message not in question.gone_at else ""


def _open(folder: Path) -> str:
    with contextlib.closing(sqlite3.connect(folder / "clawbot.db")) as database:
        query = "SELECT count(*) FROM questions WHERE state != 'closed'"
        count = database.execute(query).fetchone()[0]
    return f"the journal has {count} open" if count else ""


def _kept(question: Question) -> list[str]:
    steps = [name for name, _ in question.meeting.steps]
    after = steps[steps.index("forget") :] if "forget" in steps else []
    used = question.forgetting
    if used is None or not used.content.startswith("Deleted"):
        return []
    if any(name.startswith("edit") for name in after):
        return []  # an edit that comes afterwards asks
    with contextlib.closing(sqlite3.connect(question.bot.folder / "clawbot.db")) as database:
        query = "SELECT id FROM questions WHERE asker_id = ? AND id < ?"
        rows = database.execute(query, (question.ada.id, used.id)).fetchall()
    return [f"question {row[0]} is kept although it was to be forgotten" for row in rows]


def _twice(question: Question) -> list[str]:
    """Return the texts that the model was asked about again although nobody wished it."""
    before: dict[str, RecordedRequest] = {}
    found = []
    for each in question.bot.lm.completions[question.first_request :]:
        about = " ".join(_asked_in(each))
        earlier = before.get(about)
        before = {about: each}
        if not about or earlier is None or each.fault or earlier.fault or earlier.cancelled_at:
            continue
        ended_at = earlier.ended_at or earlier.time
        is_wished = any(at > ended_at for at in question.pressed_at)
        is_wished |= any(at > earlier.time for at in question.changed_at)
        if not is_wished and "restart" not in str(question.meeting):
            found.append(f"{about} was asked again")
    return found


def _answers_wrong(question: Question) -> list[str]:
    answers = [m for m in question.answers() if not _goes_on(question, m)]
    left = [m for m in answers if not _is_whole_of_deleted(question, m)]
    answers = left or answers  # the answer to a burst may reply to what was deleted of it
    told = [m.content[:60] for m in answers]
    standing = [m for m in question.standing() if question.words[m]]
    if not standing:
        gone_at = max(question.gone_at.values(), default=time.time())
        late = [
            m for m in question.answers() if _said_at(m) > gone_at + SEEN_S + _slowest(question)
        ]
        wrong = [f"answered although it was deleted: {m.content[:60]!r}" for m in late]
        return wrong + ([f"{len(answers)} answers: {told}"] if len(answers) > 1 else [])
    said = [set(TAG.findall(m.content)) for m in answers]
    newest = {question.words[m][-1] for m in standing}
    is_excused = question.is_stopped or question.is_answer_deleted
    if is_excused:
        return [f"{len(answers)} answers: {told}"] if len(answers) > len(standing) else []
    gone = {words[-1] for m, words in question.words.items() if m in question.gone_at and words}
    if not newest <= set().union(*said) <= newest | gone and not any("⚠️" in each for each in told):
        return [f"asked about {newest}, answered: {told}"]
    replied_to = {(m.channel.id, m.reference) for m in answers}
    if not 1 <= len(answers) <= len(standing) or len(replied_to) < len(answers):
        return [f"{len(answers)} answers to {len(standing)} messages: {told}"]
    whole = [m for m in answers if "⚠️" not in m.content]
    bare = [m for m in whole if not any(b.get("label") == "Regenerate" for b in m.buttons)]
    return [f"without its buttons: {m.content[:60]!r}" for m in bare]


def _is_whole_of_deleted(question: Question, message: Message) -> bool:
    """Return whether a question was deleted only after it was answered: its readers' answer stays."""
    gone_at = question.gone_at.get(message.reference) if message.reference else None
    is_rest = bool(question.standing())
    return (
        is_rest
        and gone_at is not None
        and _said_at(message) <= gone_at + SEEN_S + _slowest(question)
    )


def _slowest(question: Question) -> float:
    return sum(slow.delay_s for slow in question.meeting.slow) + question.meeting.locked_s


def _goes_on(question: Question, message: Message) -> bool:
    of = message.reference
    return of is not None and of.author is question.bot.discord.bot_user


def _said_at(message: Message) -> float:
    return max(message.created_unix_s, message.edited_unix_s or 0.0)


def _told(question: Question) -> list[str]:
    told = [
        f"  {m.id} {m.author.username}: {m.content[:70]!r} {[b.get('label') for b in m.buttons]}"
        f" {list(m.reactions)}" + (f" to {m.reference.id}" if m.reference is not None else "")
        for m in question.channel.messages.values()
    ]
    asked = [
        f"  asked {' '.join(_asked_in(each)) or 'on'} {'cancelled' if each.cancelled_at else ''}"
        for each in question.bot.lm.completions[question.first_request :]
    ]
    uses = [f"  {u.data.get('custom_id')}: {u.content[:60]}" for u in question.uses]
    return told + asked + uses


async def explore(seeds: Sequence[int]) -> int:
    """Play seeds, and print each that fails; returns how many."""
    failed = 0
    left = sorted(seeds, key=lambda seed: meeting_of(seed).place == "thread")
    while left:
        answers_in = _answers_in(meeting_of(left[0]))
        async with world(answers_in) as bot:
            while left and _answers_in(meeting_of(left[0])) == answers_in:
                seed = left.pop(0)
                meeting = meeting_of(seed)
                try:
                    wrong = await play(bot, meeting)
                except Exception as exc:  # noqa: BLE001 - the next seed is played all the same
                    wrong = [f"{type(exc).__name__}: {exc}"]
                if wrong:
                    failed += 1
                    sys.stdout.write("\n  ".join([f"seed {seed} {meeting}", *wrong]) + "\n")
                    sys.stdout.flush()
                if wrong or {"gap", "drop", "restart"} & {name for name, _ in meeting.steps}:
                    break  # the next ones have a world that is in order
    sys.stdout.write(f"{len(seeds)} meetings from {seeds[0]}, {failed} failed\n")
    return failed


def _answers_in(meeting: Meeting) -> str:
    return "thread" if meeting.place == "thread" else "here"


def main() -> None:
    """Read the command line and explore."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.lives.meeting")
    parser.add_argument("--seeds", type=int, default=100, help="how many meetings")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--log", action="store_true", help="show the bot's log")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO if chosen.log else logging.CRITICAL)
    sys.exit(bool(asyncio.run(explore(range(chosen.first, chosen.first + chosen.seeds)))))


if __name__ == "__main__":
    main()
