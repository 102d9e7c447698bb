"""A bot among people who mean harm, and the one checker of what must hold whatever happens."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import logging
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from bot.core.clock import Clock
from bot.ops.logs import set_up_logging
from config.settings import Settings
from sandbox.discord import (
    Channel,
    DiscordSandbox,
    Guild,
    Interaction,
    Message,
    Permission,
    Person,
    RequestRecord,
    rendering,
)
from sandbox.lmstudio import Answer, LMStudioSandbox, Model, RecordedRequest, Timing
from tests.support.application import running, settings_for
from tests.support.clock import SwiftClock

LM_TOKEN = "sk-lm-c4N4rYk3:Zq8vT2mXw7RbLp5sHd9f"
"""The canary among the secrets, shaped as LM Studio's keys are."""

BODY_KEYS = frozenset(
    {
        "model",
        "messages",
        "temperature",
        "top_p",
        "max_tokens",
        "stream",
        "stream_options",
        "reasoning_effort",
        "ttl",
    }
)
"""All that the bot ever asks LM Studio with."""

ROOMY = {
    "LMSTUDIO_API_TOKEN": LM_TOKEN,
    "CLAWBOT_METRICS_ADDR": "127.0.0.1:0",
    "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
    "CLAWBOT_QUEUE__PER_GUILD_PER_MINUTE": "10000",
    "CLAWBOT_QUEUE__MAX_WAITING_PERSON": "1000",
    "CLAWBOT_QUEUE__MAX_WAITING": "5000",
    "CLAWBOT_QUEUE__BURST_WINDOW_S": "0",
    "CLAWBOT_QUEUE__SLOTS": "16",
}
"""Limits out of the way: the subject here is what is sent, not how often one may ask."""

_SHOWING_CALLBACKS = {4, 7}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass
class Deployment:
    """Two servers, a data folder, a log, and the people of one guild.

    Attributes:
        phrases: Words of people and of the model that no log may hold.
        may_fail: The log may hold errors: the test forces some.
    """

    discord: DiscordSandbox
    lm: LMStudioSandbox
    folder: Path
    clock: SwiftClock
    factor: float
    environment: dict[str, str]
    log: io.StringIO = field(default_factory=io.StringIO)
    phrases: list[str] = field(default_factory=list)
    may_fail: bool = False

    def __post_init__(self) -> None:
        self.ada = self.discord.add_user("Ada")
        self.guild = self.discord.add_guild(
            "Home", owner=self.ada, bot_permissions=Permission.MENTION_EVERYONE
        )

    @property
    def settings(self) -> Settings:
        """The settings a start would read now."""
        return settings_for(self.discord, self.lm, self.folder, **self.environment)

    @contextlib.asynccontextmanager
    async def bot(self, clock: Clock | None = None) -> AsyncGenerator[None, None]:
        """Run the bot, with its own log at DEBUG, and read its metrics at the end."""
        with logged(self.settings, self.log):
            async with running(self.settings, clock or self.clock):
                yield
                await self._check_metrics()

    async def _check_metrics(self) -> None:
        port = re.findall(r"metrics on port (\d+)", self.log.getvalue())[-1]
        url = f"http://127.0.0.1:{port}/metrics"
        async with ClientSession() as session, session.get(url) as reply:
            text = await reply.text()
        assert "clawbot_questions_accepted_total" in text
        assert not any(word in text for word in [*self.secrets, *self.phrases])

    @property
    def secrets(self) -> tuple[str, str]:
        """What must be nowhere but on the wire to its own server."""
        return (self.discord.token, LM_TOKEN)

    def channels(self, count: int, guild: Guild | None = None) -> list[Channel]:
        """Add channels, so that no case waits for another one's rate limit."""
        return [(guild or self.guild).add_channel(f"case-{index}") for index in range(count)]

    def answers(self, cases: Sequence[str | Answer]) -> None:
        """Let the model answer "case 7" with the seventh of these."""

        def choose(request: RecordedRequest) -> str | Answer:
            found = re.findall(r"case (\d+)", last_text(request))
            return cases[int(found[-1])] if found else "Nothing."

        self.lm.answer_with(choose)

    async def ask_each(
        self, cases: Sequence[str | Answer], person: Person | None = None
    ) -> list[Message]:
        """Ask for every case in a channel of its own and wait for all answers to be final."""
        self.answers(cases)
        channels = self.channels(len(cases))
        asker = person or self.ada
        asked = [await asker.mention(where, f"case {i}") for i, where in enumerate(channels)]
        await self.until_answered(asked)
        return asked

    async def until_answered(self, asked: Iterable[Message], timeout_s: float = 100.0) -> None:
        """Wait until each of these messages has an answer that won't change any more."""
        for message in asked:
            final = functools.partial(self.is_final, message)
            await self.discord.wait_until(final, timeout_s=timeout_s)

    async def until_closed(self, timeout_s: float = 100.0) -> None:
        """Wait until no question is open: the bot's end would keep it for the next start."""
        await self.lm.wait_until(
            lambda: all(state == "closed" for _, state, _ in self.states()), timeout_s=timeout_s
        )

    def forge(
        self,
        where: Channel,
        who: Person,
        text: str,
        *,
        kind: int = 0,
        reference: Message | None = None,
        **payload: object,
    ) -> Message:
        """Let the gateway bring a message that no client could have sent.

        Args:
            where: The channel.
            who: Its author.
            text: ``<@bot>`` in it mentions the bot.
            kind: Discord's message type.
            reference: What it replies to, wherever that is.
            payload: Fields of MESSAGE_CREATE to replace.
        """
        world = self.discord.world
        message = Message(
            id=world.ids.next(),
            channel=where,
            author=who.user,
            content=text.replace("<@bot>", world.bot_user.mention),
            embeds=[],
            components=[],
            attachments=[],
            flags=0,
            kind=kind,
            created_unix_s=world.now(),
            reference=reference,
            mention_ids=[world.bot_user.id] if "<@bot>" in text else [],
        )
        where.messages[message.id] = message
        body = rendering.whole_message_object(world, message)
        guild = where.guild
        if guild is not None:
            body["guild_id"] = str(guild.id)
            if who.id in guild.members:
                body["member"] = rendering.member_object(guild.members[who.id], with_user=False)
        self.discord.gateway.dispatch("MESSAGE_CREATE", body | payload, channel=where)
        return message

    async def use(
        self, who: Person, where: Channel, name: str, /, **options: object
    ) -> Interaction:
        """Use a command and wait for what it says."""
        used = await who.slash(where, name, **options)
        await used.wait_content()
        return used

    def is_final(self, asked: Message) -> bool:
        """Tell whether there is an answer without a Stop button."""
        replies = self.discord.replies(asked)
        return bool(replies) and not any(b["label"] == "Stop" for m in replies for b in m.buttons)

    def shown(self, asked: Message) -> str:
        """Return everything that was ever visible of the answer, all versions."""
        return "\n".join(
            version.content for reply in self.discord.replies(asked) for version in reply.versions
        )

    def states(self) -> list[tuple[int, str, str | None]]:
        """Return the journal as it is on the disk: id, state, outcome."""
        with contextlib.closing(sqlite3.connect(self.folder / "clawbot.db")) as database:
            return list(database.execute("SELECT id, state, outcome FROM questions ORDER BY id"))

    def check(self) -> None:
        """Check what holds over everything that was sent, logged and stored."""
        for record, payload in payloads(self.discord.requests):
            check_payload(record, payload)
            text = json.dumps(payload)
            assert not any(secret in text for secret in self.secrets), "a secret in a payload"
        assert not self.discord.unexpected, self.discord.unexpected[:3]
        for channel in self.discord.world.channels.values():
            for message in [*channel.messages.values(), *channel.hidden.values()]:
                if message.author is self.discord.bot_user:
                    assert not message.pings, message
                    assert not message.previews, message
        self._check_pace()
        self._check_log()
        self._check_disk()
        for request in self.lm.completions:
            check_request(request)

    def _check_pace(self) -> None:
        """At most four posts and edits in five seconds per channel.

        The window is shorter here: requests arrive with a jitter that the fast clock multiplies.
        tests/property/delivery/test_pacing.py holds the five seconds exactly.
        """
        times: dict[str, list[float]] = defaultdict(list)
        for record in self.discord.requests:
            is_done = 200 <= record.status < 300
            if is_done and is_content(record) and record.route.startswith("/channels/"):
                times[record.path.split("/messages")[0]].append(record.at)
        window_s = 5.0 - min(3.0, 0.2 * self.factor)
        for where, at in times.items():
            gaps = [late - early for early, late in zip(at, at[4:], strict=False)]
            assert not gaps or min(gaps) >= window_s, (where, min(gaps))

    def _check_log(self) -> None:
        log = self.log.getvalue()
        for word in [*self.secrets, *self.phrases]:
            assert word not in log, f"{word[:12]}… is in the log"
        assert not _CONTROL.search(log.replace("\n", ""))
        if not self.may_fail:
            bad = [line for line in log.splitlines() if " ERROR " in line or "Traceback" in line]
            assert not bad, bad[0][:900]

    def _check_disk(self) -> None:
        for path in self.folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert not any(secret.encode() in data for secret in self.secrets), path
        if (self.folder / "clawbot.db").exists():
            open_ = [row for row in self.states() if row[1] != "closed"]
            assert not open_, open_


def payloads(records: Iterable[RequestRecord]) -> Iterator[tuple[RequestRecord, dict[str, Any]]]:
    """Yield what was sent to be shown: messages, edits, responses and follow-ups."""
    for record in records:
        body = record.body
        if not isinstance(body, dict):
            continue
        if record.route.endswith("/callback") and record.method == "POST":
            if body.get("type") in _SHOWING_CALLBACKS:
                yield record, body.get("data") or {}
        elif is_content(record):
            yield record, body


def is_content(record: RequestRecord) -> bool:
    """Tell whether a request posts or edits a message."""
    return record.method in {"POST", "PATCH"} and (
        "/messages" in record.route or record.route.startswith("/webhooks/")
    )


def check_payload(record: RequestRecord, payload: dict[str, Any]) -> None:
    """Check one message, edit or response on its way to Discord."""
    where = (record.method, record.route, str(payload.get("content"))[:80])
    mentions = payload.get("allowed_mentions")
    assert isinstance(mentions, dict), where
    assert mentions.get("parse") == [], where
    assert not mentions.get("users"), where
    assert not mentions.get("roles"), where
    assert not mentions.get("replied_user"), where
    assert payload.get("flags", 0) & 4, where
    assert not payload.get("embeds"), where
    content = payload.get("content")
    if content is not None:
        assert 1 <= len(content.encode("utf-16-le")) // 2 <= 2000, where
        assert not _CONTROL.search(content), where


def check_request(request: RecordedRequest) -> None:
    """Check what LM Studio was asked: known keys, numbers in range, nothing that isn't JSON."""
    body = request.body
    if body is None and request.fault is not None:
        return  # the server refused it unread
    assert isinstance(body, dict)
    assert set(body) <= BODY_KEYS, set(body) - BODY_KEYS
    assert 0 <= body.get("temperature", 1) <= 2
    assert 0 < body.get("top_p", 1) <= 1
    assert 1 <= body["max_tokens"] <= 131_072
    json.dumps(body, allow_nan=False)
    assert {turn["role"] for turn in body["messages"]} <= {"system", "user", "assistant"}


def last_text(request: RecordedRequest) -> str:
    """Return the text of the newest turn of a request."""
    return text_of(request.messages[-1])


def all_text(request: RecordedRequest) -> str:
    """Return the text of all turns of a request."""
    return "\n".join(map(text_of, request.messages))


def text_of(turn: dict[str, Any]) -> str:
    """Return a turn's text, also where it comes in parts."""
    content = turn["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)


@contextlib.contextmanager
def logged(settings: Settings, stream: io.StringIO) -> Iterator[None]:
    """Send the whole process's log to a stream, as ``clawbot run`` would at DEBUG."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    set_up_logging(settings, at_least="DEBUG", stream=stream)
    try:
        yield
    finally:
        for handler in list(root.handlers):
            root.removeHandler(handler)
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(level)
        logging.captureWarnings(capture=False)


OpenDeployment = Callable[..., contextlib.AbstractAsyncContextManager[Deployment]]


@contextlib.asynccontextmanager
async def open_deployment(
    folder: Path,
    *,
    factor: float = 10.0,
    timing: Timing | None = None,
    model: Model | None = None,
    **environment: str,
) -> AsyncGenerator[Deployment, None]:
    """Open a deployment; when it closes, everything is checked.

    Args:
        folder: The bot's data folder.
        factor: How much faster than the world's its clocks run.
        timing: The model's speed; instantly when left out.
        model: The loaded model; one with sixteen slots when left out.
        environment: Further settings.
    """
    clock = SwiftClock(factor)
    loaded = model or Model("qwen/qwen3-next-80b", context_tokens=131_072, parallel=16)
    start_s = time.time()
    async with (
        DiscordSandbox(
            buckets=False,
            monotonic=clock.monotonic,
            now=lambda: start_s + clock.monotonic(),
        ) as discord,
        LMStudioSandbox([loaded], timing, token=LM_TOKEN) as lm,
    ):
        # The bot's work takes its real time, so Discord's 3 s are real ones, too.
        discord.world.ack_within_s *= factor
        deployment = Deployment(discord, lm, folder, clock, factor, ROOMY | environment)
        yield deployment
    deployment.check()
