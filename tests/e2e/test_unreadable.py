"""A message of an odd form costs nobody else's answer: what can't be read is left out, alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.e2e.test_sources import turns
from tests.support.application import life_before, running, settings_for

ODD: tuple[dict[str, Any], ...] = (
    {"thread": None},
    {"reactions": [{"count": 1, "emoji": {"id": None, "name": "x"}}]},
    {"interaction_metadata": None},
    {"poll": None},
    {"embeds": None},
    {"components": [{"type": "a button"}]},
    {"sticker_items": [{}]},
    {"attachments": [{}]},
    {"attachments": [{"id": "1", "filename": None, "size": 5, "url": "", "proxy_url": ""}]},
)


@pytest.mark.parametrize("part", ODD, ids=lambda part: str(next(iter(part))))
async def test_one_odd_message_in_the_history_fails_no_question_and_its_words_are_read(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    part: dict[str, Any],
) -> None:
    first = await ada.say(channel, "My ship is called Aurora.")
    odd = await ada.reply(first, "It has two masts.")
    odd.oddities = part
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.reply(odd, f"<@{discord.bot_user.id}> What do you know of it?")
        await discord.wait_reply(asked, until=lambda r: "help you" in r.content)
    told = str(turns(lm))
    assert "Aurora" in told
    assert "two masts" in told


async def test_a_message_that_cant_be_read_at_all_is_skipped(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    first = await ada.say(channel, "My ship is called Aurora.")
    odd = await ada.say(channel, "Nobody can read this.")
    odd.oddities = {"author": None}
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.reply(first, f"<@{discord.bot_user.id}> What is it called?")
        await discord.wait_reply(asked, until=lambda r: "help you" in r.content)
    assert "Aurora" in str(turns(lm))


async def test_a_mention_missed_behind_a_full_page_with_an_odd_message_is_found(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    await life_before(settings, discord, ada, channel)
    between = [await ada.say(channel, f"Line {number}") for number in range(100)]
    between[-1].oddities = {"author": None}
    missed = await ada.mention(channel, "While you were away")
    async with running(settings):
        await discord.wait_reply(missed, until=lambda r: "help you" in r.content)


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("channels", {"id": "77", "type": 0}),
        ("channels", {"type": 0, "name": "nameless"}),
        ("threads", {"id": "78", "type": 11}),
        ("threads", None),
        ("roles", {"name": "nobody"}),
        ("members", {"user": None}),
        ("voice_states", {}),
    ],
    ids=str,
)
async def test_one_odd_item_of_a_server_costs_that_item_only(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    name: str,
    item: dict[str, Any] | None,
) -> None:
    assert channel.guild is not None
    channel.guild.oddities = {name: item}
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Hello")
        await discord.wait_reply(asked, until=lambda r: "help you" in r.content)
        used = await ada.slash(channel, "help")
        await used.wait_answer()
        assert "Mention" in used.content
    assert len(discord.identifies) == 1


async def test_a_reply_to_a_message_of_nobody_is_answered(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    odd = await ada.say(channel, "Nobody can read this.")
    odd.oddities = {"author": {"id": "9"}}
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.reply(odd, f"<@{discord.bot_user.id}> What is it called?")
        await discord.wait_reply(asked, until=lambda r: "help you" in r.content)


@pytest.mark.parametrize("part", ODD, ids=lambda part: str(next(iter(part))))
async def test_a_message_menu_on_an_odd_message_is_answered(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    part: dict[str, Any],
) -> None:
    odd = await ada.say(channel, "It has two masts.")
    odd.oddities = part
    async with running(settings_for(discord, lm, tmp_path)):
        await discord.wait_command("ask")
        used = await ada.context_menu(odd, "Ask about this")
        await discord.wait_until(lambda: "help you" in used.content)
    assert "two masts" in str(turns(lm))
