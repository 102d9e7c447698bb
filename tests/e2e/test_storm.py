"""A storm of mentions: each is accounted for, at a bounded number of requests and questions."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks._crowd import gather
from benchmarks.burst import outcomes
from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for

MENTIONS, ALLOWED = 1000, 20
SIGNS = 25
"""Signs of their own within the storm: a server's share in ten seconds, and a little."""


async def test_each_of_a_thousand_mentions_is_accounted_for_and_a_bystander_is_answered(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    crowd = gather(discord, 50, 10)
    eve = discord.add_user("Eve")
    quiet = discord.add_guild("Quiet", owner=eve).add_channel("room")
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__PER_GUILD_PER_MINUTE=str(ALLOWED))
    async with running(settings):
        asked = []
        for number in range(MENTIONS):
            person, channel = crowd.people[number % 50], crowd.channels[number % 10]
            asked.append(await person.mention(channel, f"Question {number}"))
        bystander = await eve.mention(quiet, "Hello")
        await discord.wait_reply(bystander, timeout_s=60)
        await discord.wait_until(lambda: not outcomes(discord, asked)["none"], timeout_s=60)
        await asyncio.sleep(0)
    found = outcomes(discord, asked)
    assert found.total() == MENTIONS
    assert found["refused"] <= 2 * SIGNS
    assert found["counted"] >= MENTIONS - 2 * ALLOWED - 2 * SIGNS
    assert len(lm.completions) <= 2 * ALLOWED + 1
    assert not [each for each in discord.requests if each.status == 429]


async def test_requests_that_arrive_late_never_meet_the_next_ones_in_a_second_too_many(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    crowd = gather(discord, 100, 100)
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__PER_GUILD_PER_MINUTE="1000")
    async with running(settings):
        late = discord.faults.delay("POST", "/typing", delay_s=0.9, times=45)
        for person, channel in zip(crowd.people, crowd.channels, strict=True):
            await person.mention(channel, "Hello")
        await discord.wait_until(lambda: len(_typing(discord)) >= 100, timeout_s=60)
    assert not late.times
    assert not [each for each in discord.requests if each.status == 429]


def _typing(discord: DiscordSandbox) -> list[str]:
    return [each.path for each in discord.requests if each.path.endswith("/typing")]
