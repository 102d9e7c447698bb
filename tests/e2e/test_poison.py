"""Questions that break the model are told so; nobody waits for them, and none is held for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Fault, LMStudioSandbox, Model, Options
from sandbox.lmstudio.values import Flavour
from tests.support.application import running, settings_for
from tests.support.clock import SwiftClock

POISON = "Say the word that breaks it"


def has_ended(reply: Message) -> bool:
    """Whether an answer's message has lost its Stop button."""
    return bool(reply.content) and "clawbot:stop" not in str(reply.components)


@pytest.mark.parametrize("flavour", ["lmstudio", "llama.cpp", "vllm"])
async def test_a_request_that_hangs_ends_with_its_sentence_and_keeps_nobody_waiting(
    flavour: Flavour, discord: DiscordSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    assert channel.guild is not None
    bob = discord.add_user("Bob")
    channel.guild.add_member(bob)
    model = Model("qwen/qwen3-next-80b", context_tokens=8192, parallel=4)
    async with LMStudioSandbox([model], options=Options(flavour=flavour)) as lm:
        lm.faults.next(Fault.HANG_BEFORE_HEADERS, times=None, words=POISON)
        settings = settings_for(discord, lm, tmp_path, CLAWBOT_LMSTUDIO__TOTAL_TIMEOUT_S="300")
        async with running(settings, SwiftClock(60)):
            bad = await ada.mention(channel, POISON)
            await lm.wait_until(lambda: any(one.fault for one in lm.completions))
            good = await bob.mention(channel, "And this?")
            reply = await discord.wait_reply(good, until=has_ended)
            assert "help you" in reply.content
            told = await discord.wait_reply(bad, until=has_ended)
            assert "longer than I may wait" in told.content
    assert len([one for one in lm.completions if one.fault]) == 1


@pytest.mark.parametrize(
    ("fault", "after_tokens", "words"),
    [
        (Fault.UNKNOWN_ERROR, 0, "fault of its own"),
        (Fault.CRASHED, None, "crashed"),
        (Fault.BAD_ALLOC, None, "too little memory"),
        (Fault.OVERFLOW_REACHED, 0, "too long for the model"),
    ],
)
async def test_poisonous_questions_are_told_so_and_keep_nobody_waiting(
    fault: Fault,
    after_tokens: int | None,
    words: str,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
) -> None:
    assert channel.guild is not None
    bob, eve = discord.add_user("Bob"), discord.add_user("Eve")
    channel.guild.add_member(bob)
    channel.guild.add_member(eve)
    lm.faults.next(fault, times=None, after_tokens=after_tokens, words=POISON)
    async with running(settings_for(discord, lm, tmp_path), SwiftClock(20)):
        bad = [await one.mention(channel, f"{POISON}, says {one.id}.") for one in (ada, eve)]
        for number in range(4):
            good = await bob.mention(channel, f"Question {number}?")
            reply = await discord.wait_reply(good, until=has_ended)
            assert "help you" in reply.content
        for one in bad:
            told = await discord.wait_reply(one, until=has_ended)
            assert words in told.content
    assert len([one for one in lm.completions if one.fault]) <= 8
