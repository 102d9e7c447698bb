"""The next prompt of a conversation is in the model's cache before the person asks."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox, RecordedRequest
from tests.support.application import running, settings_for
from tests.support.clock import SwiftClock

ON = {"CLAWBOT_CONTEXT__WARM_AHEAD": "true", "CLAWBOT_CHAT__MAX_TOKENS": "512"}
WORDS = [
    "the",
    "model",
    "reads",
    "every",
    "word",
    "that",
    "was",
    "said",
    "before",
    "it",
    "answers",
    "what",
    "people",
    "ask",
]


def words(seed: int) -> str:
    """Return some three hundred tokens without a pattern."""
    rng = random.Random(seed)
    return " ".join(rng.choice(WORDS) for _ in range(280))


def is_piece(record: RecordedRequest) -> bool:
    return isinstance(record.body, dict) and record.body.get("max_tokens") == 1


async def asked_on(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, last: Message, number: int
) -> Message:
    """Go on with a conversation; return the answer."""
    lm.answer(Answer(f"{words(number)}. So {number}."))
    asked = await ada.reply(last, f"{number}: {words(-number)}")
    return await discord.wait_reply(asked, until=lambda r: f"So {number}." in r.content)


async def test_reading_ahead_is_switched_on_and_off_while_running(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    async def switched(is_on: bool) -> None:
        used = await owner.slash(channel, "config reading", warm_ahead=is_on)
        await discord.wait_until(lambda: "is now" in used.content)

    owner = discord.owner
    assert channel.guild is not None
    channel.guild.add_member(owner, permissions="manage_guild")
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings, SwiftClock(50)):
        first = await ada.mention(channel, "Hello")
        await discord.wait_reply(first, until=lambda r: "help you" in r.content)
        before = len(lm.completions)
        await switched(True)
        await lm.wait_until(lambda: len(lm.completions) > before)  # it gets to know the model
        await switched(False)
        used = await owner.slash(channel, "diag queue")
        await discord.wait_until(lambda: used.content)
        assert "Kept warm" not in used.content


@pytest.mark.parametrize("is_on", [True, False])
async def test_a_conversation_that_outgrows_the_context_is_read_before_it_is_asked(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    is_on: bool,
) -> None:
    extra = {**ON, "CLAWBOT_CONTEXT__WARM_AHEAD": str(is_on).lower()}
    async with running(settings_for(discord, lm, tmp_path, **extra)):
        last = await ada.mention(channel, "Hello")
        last = await discord.wait_reply(last, until=lambda r: "help you" in r.content)
        worst = 0
        for number in range(16):
            if is_on:
                await nothing_left_to_read(lm)
            last = await asked_on(discord, lm, ada, last, number)
            worst = max(worst, lm.completions[-1].reread_tokens)
        pieces = [record for record in lm.completions if is_piece(record)]
        assert bool(pieces) is is_on
        if is_on:
            await nothing_left_to_read(lm)
        said = {}
        for command in ("diag queue", "diag model"):
            shown = await ada.slash(channel, command)
            await discord.wait_until(lambda: shown.content)  # noqa: B023 - waited for here
            said[command] = shown.content
        assert ("Kept warm: 1 conversation" in said["diag queue"]) is is_on
        assert ("before anybody asked" in said["diag model"]) is is_on
        assert (worst < 1500) is is_on


async def nothing_left_to_read(lm: LMStudioSandbox) -> None:
    """Wait until a while has passed without a request."""
    count = -1
    while count != len(lm.completions):
        count = len(lm.completions)
        try:
            await lm.wait_until(lambda: len(lm.completions) > count, timeout_s=2.5)  # noqa: B023
        except TimeoutError:
            return


async def test_a_new_persona_is_read_before_the_first_question_to_it(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    async with running(settings_for(discord, lm, tmp_path, **ON)):
        asked = await ada.mention(channel, "Hello")
        await discord.wait_reply(asked, until=lambda r: "help you" in r.content)
        text = "You are a pirate who knows every harbour. " * 30
        await ada.slash(channel, "persona set", text=text)
        await lm.wait_until(
            lambda: any(is_piece(r) and "every harbour" in r.prompt for r in lm.completions)
        )
        await nothing_left_to_read(lm)
        await ada.mention(channel, "Who are you?")
        await lm.wait_until(lambda: "Who are you" in lm.completions[-1].prompt)
        await lm.wait_until(lambda: lm.completions[-1].started_at)
        assert lm.completions[-1].reread_tokens < 100
