"""Discord's permissions decide what of a channel is read for a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Permission, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for

HISTORY = Permission.READ_MESSAGE_HISTORY


@pytest.mark.parametrize("how", ["everyone", "role", "person", "allowed again", "not at all"])
async def test_what_a_person_may_not_read_is_not_read_for_them(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
    how: str,
) -> None:
    guild, bob = channel.guild, discord.add_user("Bob")
    assert guild is not None
    role = guild.add_role("Guests")
    guild.add_member(bob, roles=[role])
    channel.overwrite(guild.bot_role, allow=HISTORY)
    if how in {"everyone", "allowed again"}:
        channel.overwrite(guild.everyone, deny=HISTORY)
    if how == "allowed again":
        channel.overwrite(role, allow=HISTORY)
    if how == "role":
        channel.overwrite(role, deny=HISTORY)
    if how == "person":
        channel.overwrite(bob, deny=HISTORY, is_member=True)
    thread = channel.add_thread("Plans", owner=ada)
    secret = await ada.say(thread, "canary")
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await bob.mention(thread, "What was said?")
        await discord.wait_reply(asked, until=lambda r: "help you" in r.content)
        is_read = "canary" in str(lm.completions[-1].body["messages"])
        assert is_read == (how in {"allowed again", "not at all"})
        for person in (ada, bob):
            lm.completions.clear()
            if not person.sees(secret):
                continue
            used = await person.context_menu(secret, "Summarise from here")
            shown = await used.wait_response()
            assert ("may not read" in shown.content) == (person is bob and not is_read)
