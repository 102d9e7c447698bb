"""Edits that come faster than their author may ask."""

from __future__ import annotations

from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for


async def test_an_edit_over_the_rate_limit_asks_nothing_of_discord_about_the_answer(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    extra = {
        "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1",
        "CLAWBOT_CONTEXT__CACHE_MESSAGES": "0",
    }
    async with running(settings_for(discord, lm, tmp_path, **extra)):
        asked = await ada.mention(channel, "what is it?")
        answer = await discord.wait_reply(asked, until=lambda r: bool(r.components))
        for number in range(3):
            await ada.edit(asked, f"<@bot> what is it, then? {number}")
        # The reason in reply, or a line in the channel where its pace leaves no room for a reply.
        await discord.wait_until(lambda: any("⚠️" in said.content for said in discord.bot_messages))
    looked = [
        call for call in discord.requests if call.method == "GET" and str(answer.id) in call.path
    ]
    assert looked == []
    assert len(lm.completions) == 1
