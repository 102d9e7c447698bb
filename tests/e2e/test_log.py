"""The log of the whole application: each question can be followed, and nobody's words are in it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.ops.logs import set_up_logging
from config.settings import Settings
from sandbox.discord import Channel, DiscordSandbox, Guild, Message, Person
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox
from tests.support.application import running, settings_for

ASKED = "Planted-question-words"
THOUGHT = "Planted-thinking-words"
SAID = "Planted-answer-words"
API_TOKEN = "planted-api-token-0123456789"


pytestmark = pytest.mark.usefixtures("restored_logging")


def logging_of(settings: Settings) -> io.StringIO:
    """Set the log up as a start does, and return where it goes."""
    stream = io.StringIO()
    set_up_logging(settings, stream=stream)
    return stream


@pytest.mark.parametrize("form", ["true", "false"])
async def test_no_word_of_anybody_and_no_secret_is_logged(
    form: str,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
) -> None:
    file = tmp_path / "clawbot.log"
    settings = settings_for(
        discord,
        lm,
        tmp_path,
        LMSTUDIO_API_TOKEN=API_TOKEN,
        CLAWBOT_LOGGING__LEVEL="DEBUG",  # every record, those of INFO among them
        CLAWBOT_LOGGING__JSON_LINES=form,
        CLAWBOT_LOGGING__FILE=str(file),
        CLAWBOT_LMSTUDIO__RETRY_ATTEMPTS="1",
    )
    stream = logging_of(settings)
    lm.answer(Answer(SAID, reasoning=THOUGHT, markup="field"))
    async with running(settings):
        for fault in (None, Fault.CRASHED, Fault.UNKNOWN_ERROR, Fault.RESET_AFTER_TOKENS):
            if fault is not None:
                lm.faults.next(fault)
            asked = await ada.mention(channel, f"{ASKED}, please?")
            await discord.wait_reply(asked, until=lambda m: "stop" not in str(m.components).lower())
    text = stream.getvalue()
    assert text == file.read_text(encoding="utf-8")
    for words in (ASKED, THOUGHT, SAID, API_TOKEN, discord.token, "Ada", "general", "127.0.0.1"):
        assert words not in text
    assert text.count("asked by mention") == 4
    assert "stopped" in text.splitlines()[-1]


async def test_an_id_joins_all_lines_of_a_question_and_only_those(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_LOGGING__JSON_LINES="true")
    stream = logging_of(settings)
    lm.answer("Because of the light.")
    async with running(settings):
        asked = []
        for words in ("Why?", "And why not?"):
            asked.append(await ada.mention(channel, words))
            await discord.wait_reply(
                asked[-1], until=lambda m: "stop" not in str(m.components).lower()
            )
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    for message in asked:
        own = [line["message"] for line in lines if line.get("question_id") == message.id]
        assert len(own) == 1
        assert own[0].startswith("answered in")
    assert {line.get("question_id") for line in lines} == {None, *(m.id for m in asked)}


async def test_a_question_that_is_refused_has_its_line_as_well(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    more = {"CLAWBOT_LOGGING__JSON_LINES": "true", "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1"}
    settings = settings_for(discord, lm, tmp_path, **more)
    stream = logging_of(settings)
    async with running(settings):
        first = await ada.mention(channel, "Why?")
        await discord.wait_reply(first, until=lambda m: "help you" in m.content)
        second = await ada.mention(channel, f"{ASKED}?")
        await discord.wait_reply(second)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    [own] = [line["message"] for line in lines if line.get("question_id") == second.id]
    assert own.startswith("not taken: ")
    assert ASKED not in stream.getvalue()


@dataclass
class Fates:
    """Questions, each with the words that its line must begin with."""

    discord: DiscordSandbox
    lm: LMStudioSandbox
    guild: Guild
    expected: dict[int, str] = field(default_factory=dict)

    def room(self) -> Channel:
        """Return a new channel, in which Discord lets the bot write at once."""
        return self.guild.add_channel(f"room-{len(self.expected)}")

    async def said(self, asked: Message, words: str) -> Message:
        """Wait for a whole answer with these words."""
        return await self.discord.wait_reply(
            asked,
            until=lambda m: words in m.content and "stop" not in str(m.components).lower(),
        )

    async def ask(self, person: Person, fate: str, words: str = "light") -> Message:
        """Ask, and wait for the answer."""
        asked = await person.mention(self.room(), f"{ASKED}?")
        self.expected[asked.id] = fate
        return await self.said(asked, words)

    async def underway(self, person: Person, fate: str) -> Message:
        """Ask what hangs after some words, and wait for these; return the question."""
        self.lm.faults.next(Fault.HANG_AFTER_TOKENS, after_tokens=3)
        asked = await person.mention(self.room(), f"{ASKED}!")
        self.expected[asked.id] = fate
        await self.discord.wait_reply(asked, until=lambda m: "Because" in m.content)
        self.lm.faults.clear()
        return asked

    async def play(self, ada: Person, bea: Person, cid: Person, dan: Person) -> Message:
        """Let nine questions meet their fates; return one that is under way."""
        answer = await self.ask(ada, "answered in")
        again = await ada.click(answer, "Regenerate")
        in_private = await dan.dm(ASKED)
        self.expected |= {again.id: "answered in", in_private.id: "answered in"}
        await self.lm.wait_until(lambda: sum(one.finished for one in self.lm.completions) == 3)
        stopped = await self.underway(bea, "stopped after")
        await bea.slash(stopped.channel, "stop")
        self.lm.faults.next(Fault.CRASHED, times=None)
        await self.ask(cid, "ended with a notice after", "crashed")
        self.lm.faults.clear()
        room = self.room()
        first, second = [await cid.mention(room, f"{words}?") for words in (ASKED, SAID)]
        self.expected |= {first.id: "passed on to", second.id: "answered in"}
        await self.said(second, "light")
        await bea.delete(await self.underway(bea, "dropped, because there is nobody"))
        changed = await self.underway(dan, "passed on to")
        await dan.edit(changed, f"{changed.content} Or not?")
        await self.said(changed, "light")
        return await self.underway(dan, "answered in")


async def test_each_fate_of_a_question_is_one_line_also_over_a_restart(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    more = {
        "CLAWBOT_LOGGING__JSON_LINES": "true",
        "CLAWBOT_LMSTUDIO__RETRY_ATTEMPTS": "1",
        "CLAWBOT_QUEUE__SHUTDOWN_GRACE_S": "0.1",
        "CLAWBOT_DISCORD__DM_POLICY": "open",
    }
    settings = settings_for(discord, lm, tmp_path, **more)
    stream = logging_of(settings)
    people = [discord.add_user(name) for name in ("Bea", "Cid", "Dan")]
    assert channel.guild is not None
    for person in people:
        channel.guild.add_member(person)
    lm.answer("Because of the light.")
    fates = Fates(discord, lm, channel.guild)
    async with running(settings):
        left = await fates.play(ada, *people)
    async with running(settings):
        await fates.said(left, "light")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    for question_id, fate in fates.expected.items():
        own = [
            line["message"]
            for line in lines
            if line.get("question_id") == question_id and line["level"] == "INFO"
        ]
        assert [line[: len(fate)] for line in own] == [fate]
    assert "later by a new start" in str(lines)
    assert ASKED not in stream.getvalue()


async def test_a_server_that_doesnt_answer_is_logged_with_what_tells_why(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    stream = logging_of(settings)
    await lm.stop()
    async with running(settings):
        await discord.wait_until(lambda: "(address 1) doesn't answer" in stream.getvalue())
    (line,) = [one for one in stream.getvalue().splitlines() if "(address 1)" in one]
    assert "clawbot check" in line
