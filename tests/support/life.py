"""Random lives of the bot: whatever people, Discord and the model do, each question ends once.

A scenario is a list of steps, made from a seed. It is played on the whole application in this
process; then everything that was broken is mended, and once nothing is left to do it is looked at
from Discord's side and from the journal's. A longer run, which makes what fails smaller:

    uv run python -m tests.support.life --seeds 100 --first 0
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bot import app
from config.settings import Settings
from sandbox.discord import Channel, DiscordSandbox, Fault, Interaction, Message, Person
from sandbox.discord.people.not_offered import NotOfferedError
from sandbox.lmstudio import Answer, LMStudioSandbox, Model
from sandbox.lmstudio import Fault as ModelFault
from sandbox.lmstudio.values import RecordedRequest
from tests.support.application import settings_for

STEPS = 9
SETTLED_S = 45.0
"""Longest time until everything has ended, once nothing is broken any more."""
QUIET_S = 0.6
"""Nothing may change for so long before the scenario is looked at."""
STARTED_S = 20.0
_TAG = re.compile(r"topic\d+")
_FAST = {
    "CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S": "1",
    "CLAWBOT_LMSTUDIO__NETWORK_TIMEOUT_MS": "2000",
    "CLAWBOT_DELIVERY__STAGE_AFTER_S": "0.2",
    "CLAWBOT_QUEUE__BURST_WINDOW_S": "0.4",
    "CLAWBOT_QUEUE__SHUTDOWN_GRACE_S": "0.5",
    "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens.

    Attributes:
        name: What: a key of ``ACTIONS``.
        choice: Decides whom and what it concerns, whatever other steps were left out.
        pause_s: How long nothing happens after it, in seconds.
    """

    name: str
    choice: int
    pause_s: float


@dataclass(slots=True)
class Asked:
    """A question as whoever asked it sees it.

    Attributes:
        where: Its message, or the use of a command.
        tags: The words that stand for its text, oldest first; the answer repeats the newest.
        taken_back_at: When it was deleted, UNIX time in seconds.
        may_be_silent: Nobody can expect an answer: it couldn't be posted, or was deleted.
        may_be_old: The answer may be to earlier words: the bot didn't see the edit.
    """

    where: Message | Interaction
    asker: Person
    tags: list[str]
    taken_back_at: float | None = None
    may_be_silent: bool = False
    may_be_old: bool = False


@dataclass(slots=True)
class Life:
    """The bot between the sandbox's servers, and what people have asked it."""

    discord: DiscordSandbox
    lm: LMStudioSandbox
    folder: Path
    settings: Settings
    people: list[Person]
    channels: list[Channel]
    asked: list[Asked] = field(default_factory=list)
    running: asyncio.Task[None] | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    is_cut_off: bool = False
    silenced: set[int] = field(default_factory=set)
    tags: int = 0

    # The bot's lives

    async def start(self) -> None:
        """Start the bot unless it runs, and wait until it is online."""
        if self.running is not None:
            return
        self.stop, ready = asyncio.Event(), asyncio.Event()
        work = app.run(self.settings, stop=self.stop, ready=ready)
        self.running = asyncio.create_task(work)
        await asyncio.wait_for(ready.wait(), STARTED_S)

    async def end(self) -> None:
        """Stop the bot in order."""
        if self.running is not None:
            self.stop.set()
            running, self.running = self.running, None
            await asyncio.wait_for(running, 60)

    async def kill(self) -> None:
        """End the bot as a kill does: nothing is written any more, neither here nor to Discord."""
        if self.running is None:
            return
        path, kept = self.folder / "clawbot.db", self.folder / "kept.db"
        dead = self.discord.faults.add(Fault(times=1_000_000, reset=True))
        with (
            contextlib.closing(sqlite3.connect(path)) as now,
            contextlib.closing(sqlite3.connect(kept)) as copy,
        ):
            now.backup(copy)
        running, self.running = self.running, None
        running.cancel()
        await asyncio.wait({running})
        for name in ("clawbot.db", "clawbot.db-wal", "clawbot.db-shm"):
            (self.folder / name).unlink(missing_ok=True)
        kept.rename(path)
        self.discord.faults.rest.remove(dead)

    @property
    def sees(self) -> bool:
        """Whether the bot gets events now."""
        return self.running is not None and self.discord.online and not self.is_cut_off

    # What was asked

    def tag(self) -> str:
        """Return the next word that stands for a text."""
        self.tags += 1
        return f"topic{self.tags}"

    def note(self, where: Message | Interaction, asker: Person, tag: str) -> None:
        """Remember a question."""
        is_unheard = isinstance(where, Interaction) or where.channel.id in self.silenced
        if where.channel.guild is None and not self.sees:  # Discord lists no such channels
            before = [a for a in self.asked if a.where.channel is where.channel]
            is_unheard = is_unheard or all(a.may_be_silent for a in before)
        self.asked.append(Asked(where, asker, [tag], may_be_silent=is_unheard))

    def messages(self) -> list[Asked]:
        """Return the questions whose messages stand."""
        return [a for a in self.asked if isinstance(a.where, Message) and not a.taken_back_at]

    def answers(self) -> list[Message]:
        """Return what the bot has said and still stands."""
        return list(self.discord.bot_messages)

    def respond(self, record: RecordedRequest) -> Answer:
        """Answer with the words that the last message asks about."""
        about = " ".join(_TAG.findall(str(record.messages[-1]["content"]))) or "the rest"
        chance = random.Random(f"{about} {len(self.lm.completions)}")
        text = f"This is what is known about {about}. " + "It is a long story, told slowly. " * 3
        pause = chance.choice([None, None, None, 0, 3])
        return Answer(
            text.strip(), finish=chance.choice(["stop", "stop", "length"]), pause_after=pause
        )


Action = Callable[[Life, random.Random], Awaitable[None]]


async def mention(life: Life, chance: random.Random) -> None:
    """Somebody mentions the bot."""
    who, channel, tag = chance.choice(life.people), chance.choice(life.channels), life.tag()
    life.note(await who.mention(channel, f"Tell me about {tag}"), who, tag)


async def burst(life: Life, chance: random.Random) -> None:
    """Somebody asks two or three things in a breath."""
    who, channel = chance.choice(life.people), chance.choice(life.channels)
    for _ in range(chance.choice([2, 2, 3])):
        tag = life.tag()
        life.note(await who.mention(channel, f"Tell me about {tag}"), who, tag)
        await asyncio.sleep(chance.choice([0, 0.05]))


async def direct(life: Life, chance: random.Random) -> None:
    """Somebody writes in private."""
    who, tag = chance.choice(life.people), life.tag()
    life.note(await who.dm(f"Tell me about {tag}"), who, tag)


async def reply(life: Life, chance: random.Random) -> None:
    """Somebody replies to an answer."""
    there = [m for m in life.answers() if m.channel.guild is not None]
    if there:
        who, tag = chance.choice(life.people), life.tag()
        life.note(await who.reply(chance.choice(there), f"And about {tag}?"), who, tag)


async def command(life: Life, chance: random.Random) -> None:
    """Somebody uses a command; it counts once the bot has acknowledged it."""
    if life.sees:
        who, channel, tag = chance.choice(life.people), chance.choice(life.channels), life.tag()
        life.note(await who.slash(channel, "ask", prompt=f"Tell me about {tag}"), who, tag)


async def edit(life: Life, chance: random.Random) -> None:
    """Somebody edits what they asked."""
    standing = life.messages()
    if standing:
        one, tag = chance.choice(standing), life.tag()
        assert isinstance(one.where, Message)
        mention = life.discord.bot_user.mention if one.where.channel.guild else ""
        one.tags.append(tag)
        one.may_be_old = one.may_be_old or not life.sees
        await one.asker.edit(one.where, f"{mention} Tell me about {tag}".strip())


async def take_back(life: Life, chance: random.Random) -> None:
    """Somebody deletes what they asked."""
    standing = life.messages()
    if standing:
        one = chance.choice(standing)
        assert isinstance(one.where, Message)
        one.taken_back_at = time.time()
        if life.running is not None and not life.sees:
            life.asked.remove(one)  # answered or not, as long as the bot can't hear of it
        await one.asker.delete(one.where)


async def delete_answer(life: Life, chance: random.Random) -> None:
    """A moderator deletes an answer."""
    there = [m for m in life.answers() if m.channel.guild is not None]
    if there:
        gone = chance.choice(there)
        for one in life.asked:
            if gone.reference is one.where or set(one.tags) & set(_TAG.findall(gone.content)):
                one.may_be_silent = True
        await life.people[0].delete(gone)


async def press(life: Life, chance: random.Random) -> None:
    """Somebody presses a button below an answer."""
    there = [m for m in life.answers() if m.buttons]
    if there and life.sees:
        on = chance.choice(there)
        wanted = chance.choice(["Stop", "Regenerate", "Continue", "Regenerate"])
        with contextlib.suppress(LookupError, NotOfferedError):
            await chance.choice(life.people).click(on, wanted)


async def drop(life: Life, chance: random.Random) -> None:
    """The gateway's connection breaks."""
    how = chance.choice(["drop", "new session", "reconnect", "invalid", "close"])
    faults = life.discord.faults
    if how == "new session":
        faults.forget_sessions()
    match how:
        case "drop" | "new session":
            faults.drop()
        case "reconnect":
            faults.reconnect()
        case "invalid":
            faults.invalid_session()
        case _:
            faults.close(chance.choice([4000, 1001, 4009]))


async def cut_off(life: Life, chance: random.Random) -> None:  # noqa: ARG001
    """Discord's gateway can't be reached until it is mended."""
    life.is_cut_off = True
    life.discord.faults.forget_sessions()
    life.discord.faults.refuse_connections = -1
    life.discord.faults.drop()


async def rest_fault(life: Life, chance: random.Random) -> None:
    """The bot's next writes go wrong, some after they were really done."""
    faults, method = life.discord.faults, chance.choice(["POST", "PATCH", "DELETE"])
    route, times = "/messages", chance.choice([1, 2])
    match chance.choice(["before", "after", "after", "reset", "429", "late"]):
        case "before":
            faults.fail(method, route, status=502, times=times)
        case "after":
            faults.fail(method, route, status=502, times=times, when="after")
        case "reset":
            faults.reset(method, route, after_commit=True, times=times)
        case "429":
            faults.rate_limit(method, route, retry_after_s=0.5)
        case _:
            faults.delay(method, route, delay_s=0.6, times=times)


async def model_fault(life: Life, chance: random.Random) -> None:
    """The model's next answer goes wrong, before its first word or after some."""
    fault = chance.choice(
        [
            ModelFault.RESET_BEFORE_HEADERS,
            ModelFault.RESET_AFTER_TOKENS,
            ModelFault.UNKNOWN_ERROR,
            ModelFault.CRASHED,
            ModelFault.TRUNCATED_STREAM,
        ]
    )
    early = {ModelFault.RESET_BEFORE_HEADERS}
    after = None if fault in early else chance.choice([0, 3, 6])
    life.lm.faults.next(fault, after_tokens=after)


async def model_dies(life: Life, chance: random.Random) -> None:  # noqa: ARG001
    """The model's server ends, until it is mended."""
    await life.lm.stop()


async def go_on(life: Life, chance: random.Random) -> None:  # noqa: ARG001
    """Answers that had stopped in the middle go on."""
    life.lm.resume()


async def forbid(life: Life, chance: random.Random) -> None:
    """The bot may not write in a channel, until that is mended."""
    channel = chance.choice(life.channels)
    life.silenced.add(channel.id)
    for one in life.asked:
        if one.where.channel is channel:
            one.may_be_silent = True
    channel.overwrite(life.discord.bot_user, deny="send_messages", is_member=True)


async def configure(life: Life, chance: random.Random) -> None:
    """A setting is changed."""
    if life.sees:
        value = str(chance.choice([0.2, 0.5, 0.9]))
        await life.people[0].slash(
            life.channels[0], "config set", setting="temperature", value=value
        )


async def mend(life: Life, chance: random.Random) -> None:  # noqa: ARG001
    """Whatever was broken works again."""
    life.discord.faults.clear()
    life.lm.faults.clear()
    life.is_cut_off = False
    for channel in life.channels:
        if channel.id in life.silenced:
            channel.overwrite(life.discord.bot_user, is_member=True)
    life.silenced.clear()
    with contextlib.suppress(OSError, RuntimeError):
        await life.lm.start()


async def restart(life: Life, chance: random.Random) -> None:
    """The bot is stopped in order and started again, at once or later."""
    await life.end()
    if chance.random() < 0.5 and not life.is_cut_off:
        await life.start()


async def kill(life: Life, chance: random.Random) -> None:
    """The bot is killed and started again, at once or later."""
    await life.kill()
    if chance.random() < 0.5 and not life.is_cut_off:
        await life.start()


WEIGHTS: dict[Action, int] = {
    mention: 8,
    burst: 6,
    direct: 3,
    reply: 3,
    command: 3,
    edit: 7,
    take_back: 6,
    delete_answer: 2,
    press: 8,
    drop: 3,
    cut_off: 2,
    rest_fault: 4,
    model_fault: 3,
    model_dies: 1,
    go_on: 4,
    forbid: 1,
    configure: 1,
    mend: 2,
    restart: 2,
    kill: 4,
}
ACTIONS = {action.__name__: action for action in WEIGHTS}


def scenario(seed: int) -> list[Step]:
    """Return the steps of a seed."""
    chance = random.Random(seed)
    names = chance.choices(list(ACTIONS), list(WEIGHTS.values()), k=STEPS)
    pauses = [0.0, 0.02, 0.1, 0.3, 0.8]
    return [
        Step("mention", chance.randrange(1000), chance.choice(pauses)),
        *(Step(name, chance.randrange(1000), chance.choice(pauses)) for name in names),
    ]


async def play(steps: Sequence[Step]) -> list[str]:
    """Play a scenario, and return a sentence on everything that is wrong at its end."""
    folder = Path(tempfile.mkdtemp())
    model = Model("qwen/qwen3-next-80b", context_tokens=8192, parallel=4)
    try:
        async with DiscordSandbox() as discord, LMStudioSandbox([model]) as lm:
            people = [discord.add_user(name) for name in ("Ada", "Bob")]
            guild = discord.add_guild("Home", owner=people[0])
            channels = [guild.add_channel(name) for name in ("general", "other")]
            guild.add_member(people[1])
            settings = settings_for(discord, lm, folder, **_FAST)
            life = Life(discord, lm, folder, settings, people, channels)
            lm.answer_with(life.respond)
            return await _play(life, steps)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _play(life: Life, steps: Sequence[Step]) -> list[str]:
    try:
        await life.start()
        await life.discord.wait_command("ask")
        for step in steps:
            await ACTIONS[step.name](life, random.Random(step.choice))
            await asyncio.sleep(step.pause_s)
        await mend(life, random.Random(0))
        await life.start()
        await life.discord.wait_online(timeout_s=STARTED_S)
        return await _settle(life)
    finally:
        with contextlib.suppress(TimeoutError):
            await life.end()


async def _settle(life: Life) -> list[str]:
    """Wait until nothing is wrong and nothing changes any more; return what stays wrong."""
    deadline = time.monotonic() + SETTLED_S
    seen, since = "", time.monotonic()
    while True:
        life.lm.resume()
        await asyncio.sleep(0.05)
        wrong, now = faults_of(life), time.monotonic()
        state = str([(m.id, m.content, m.components) for m in life.answers()])
        if state != seen:
            seen, since = state, now
        if now > deadline or (not wrong and now - since > QUIET_S):
            return wrong


def faults_of(life: Life) -> list[str]:
    """Return a sentence on everything that is wrong now."""
    found = [f"the journal has {count} open" for count in _open(life.folder) if count]
    for message in life.answers():
        labels = [button.get("label") for button in message.buttons]
        if "Stop" in labels or "-# ⏳" in message.content or message.loading:
            found.append(f"left unfinished: {message.content[:60]!r} {labels}")
        if "being restarted" in message.content:
            found.append(f"left waiting: {message.content[:60]!r}")
    return found + [fault for one in life.asked for fault in _faults_of(life, one)]


def _open(folder: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(folder / "clawbot.db")) as database:
        query = "SELECT count(*) FROM questions WHERE state != 'closed'"
        return [row[0] for row in database.execute(query)]


def _faults_of(life: Life, one: Asked) -> list[str]:
    outcomes = _outcomes(life, one)
    words = [m.content[:70] for m in outcomes]
    if one.taken_back_at is not None:
        late = [m for m in outcomes if _said_after(m, one.taken_back_at + 0.5)]
        return [f"{one.tags} was taken back and is answered: {words}"] if late else []
    if len(outcomes) > 1:
        return [f"{one.tags} has {len(outcomes)} outcomes: {words}"]
    if not outcomes:
        return [] if one.may_be_silent else [f"{one.tags} has no outcome"]
    said = set(_TAG.findall(outcomes[0].content))
    is_old = not one.may_be_old and one.tags[-1] not in said and bool(set(one.tags) & said)
    return [f"{one.tags} is answered in old words: {words}"] if is_old else []


def _outcomes(life: Life, one: Asked) -> list[Message]:
    """Return the messages that answer a question: below it, or below its author's next one."""
    if isinstance(one.where, Interaction):
        return [m for m in life.answers() if one.tags[0] in _TAG.findall(m.content)][:2]
    direct = [m for m in life.answers() if m.reference is one.where]
    is_joined = any(life.discord.bot_user.id in who for who in one.where.reactions.values())
    if direct and not is_joined:
        return direct
    theirs = [a.where for a in life.asked if a.asker is one.asker and a is not one]
    together = [m for m in life.answers() if m.reference in theirs and _is_about(m, one)]
    return [*direct, *together]


def _is_about(message: Message, one: Asked) -> bool:
    """Return whether a message repeats a question's words, or says why there are none."""
    said = _TAG.findall(message.content)
    return bool(set(one.tags) & set(said)) or (not said and message.id > one.where.id)


def _said_after(message: Message, moment_s: float) -> bool:
    return max(message.created_unix_s, message.edited_unix_s or 0.0) > moment_s


async def smaller(steps: Sequence[Step]) -> list[Step]:
    """Return a scenario that fails too, without the steps that it doesn't need."""
    left = list(steps)
    for step in steps:
        tried = [each for each in left if each is not step]
        if len(tried) < len(left) and await play(tried):
            left = tried
    return left


async def explore(first: int, count: int, *, is_smaller: bool) -> int:
    """Play seeds, and print each that fails with its steps; returns how many."""
    failed = 0
    for seed in range(first, first + count):
        begun_s = time.monotonic()
        steps = scenario(seed)
        try:
            wrong = await play(steps)
        except Exception as exc:  # noqa: BLE001 - the next seed is played all the same
            wrong = [f"{type(exc).__name__}: {exc}"]
        if wrong:
            failed += 1
            shown = await smaller(steps) if is_smaller else steps
            head = f"seed {seed} ({time.monotonic() - begun_s:.0f} s)"
            sys.stdout.write("\n  ".join([head, *wrong, *map(str, shown)]) + "\n")
            sys.stdout.flush()
    sys.stdout.write(f"{count} seeds from {first}, {failed} failed\n")
    return failed


def main() -> None:
    """Read the command line and explore."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.life", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many scenarios")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--smaller", action="store_true", help="leave out steps that aren't needed")
    parser.add_argument("--log", action="store_true", help="show the bot's log")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO if chosen.log else logging.CRITICAL)
    failed = asyncio.run(explore(chosen.first, chosen.seeds, is_smaller=chosen.smaller))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
