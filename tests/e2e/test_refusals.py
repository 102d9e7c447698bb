"""What Discord refuses isn't asked again and again: too many refusals shut the whole bot out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Permission, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for

OFTEN = {
    "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
    "CLAWBOT_QUEUE__PER_GUILD_PER_MINUTE": "10000",
    "CLAWBOT_QUEUE__BURST_WINDOW_S": "0",
}


def refused(discord: DiscordSandbox) -> Counter[str]:
    """Count the answers that Discord counts as invalid requests, by method and route."""
    return Counter(
        f"{each.method} {each.route}" for each in discord.requests if each.status in {401, 403, 429}
    )


async def test_where_the_bot_may_not_write_nothing_is_asked_of_anybody(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    mallory = discord.add_user("Mallory")
    guild = discord.add_guild("Trap", owner=mallory)
    closed = guild.add_channel("closed")
    closed.overwrite(guild.bot_role, deny=Permission.SEND_MESSAGES)
    async with running(settings_for(discord, lm, tmp_path, **OFTEN)):
        for index in range(20):
            await mallory.mention(closed, f"Say {index}")
        asked = await ada.mention(channel, "Hello")
        await discord.wait_reply(asked, until=lambda reply: "help you" in reply.content)
    assert not refused(discord)
    assert len(lm.completions) == 1


async def test_what_is_refused_against_all_permissions_is_soon_let_be_and_nobody_else_notices(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    mallory = discord.add_user("Mallory")
    guild = discord.add_guild("Trap", owner=mallory)
    rooms = [guild.add_channel(f"room-{index}") for index in range(18)]
    for room in rooms:
        discord.faults.refuse(50013, None, f"/channels/{room.id}/", times=1000)
    async with running(settings_for(discord, lm, tmp_path, **OFTEN)):
        for room in rooms:
            for index in range(5):
                await mallory.mention(room, f"Say {index}")
            asked = await ada.mention(channel, "Hello")
            await discord.wait_reply(asked)
    counts = refused(discord)
    assert counts
    assert max(counts.values()) <= 20, counts
