"""Messages that are answered together, and one of them is deleted or edited."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.e2e.test_sources import turns
from tests.support.application import running, settings_for

LONG = "One lighthouse after another answered the call across the dark water. " * 12


async def burst(
    lm: LMStudioSandbox, ada: Person, channel: Channel
) -> tuple[Message, Message, Message]:
    """Ask three things in a breath, and wait until the model is asked for one answer to all."""
    asked = [await ada.mention(channel, f"Tell me about {what}") for what in ("cats", "a", "birds")]
    await lm.wait_until(lambda: lm.completions and "birds" in str(turns(lm)[-1]))
    return asked[0], asked[1], asked[2]


@pytest.mark.parametrize("which", [0, 2])
async def test_the_rest_of_a_burst_is_answered_when_one_message_is_deleted(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    which: int,
) -> None:
    lm.script(Answer(LONG, pause_after=0), Answer("About the rest."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await burst(lm, ada, channel)
        await ada.delete(asked[which])
        await discord.wait_until(
            lambda: [m.content for m in discord.bot_messages] == ["About the rest."]
        )
    said = turns(lm)[-1]["content"]
    assert ["cats" in said, "birds" in said] == [which != 0, which != 2]
    assert discord.bot_messages[0].reference is asked[2 if which == 0 else 1]


async def test_a_burst_is_answered_anew_and_once_when_one_message_is_edited(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer(LONG, pause_after=0), Answer("About dogs too."), Answer("About fish too."))
    me = f"<@{discord.bot_user.id}>"
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await burst(lm, ada, channel)
        await ada.edit(asked[0], f"{me} Tell me about dogs")
        reply = await discord.wait_reply(asked[2], until=lambda r: r.content == "About dogs too.")
        said = turns(lm)[-1]["content"]
        assert ["cats" in said, "dogs" in said, "birds" in said] == [False, True, True]
        await discord.wait_until(lambda: any("Regenerate" in str(c) for c in reply.components))
        await ada.edit(asked[0], f"{me} Tell me about fish")
        await discord.wait_until(lambda: reply.content == "About fish too.")
    assert "dogs" not in str(turns(lm)[-1])
    assert discord.bot_messages == [reply]


async def test_an_edit_is_taken_after_the_message_that_it_changes(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script("Good morning.", "About cats.", "About dogs.")
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__BURST_WINDOW_S="0")
    async with running(settings):
        first = await ada.mention(channel, "Good morning")
        await discord.wait_reply(first, until=lambda r: "Good" in r.content)
        with closing(sqlite3.connect(tmp_path / "clawbot.db", isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            await ada.mention(channel, "What about cats?")
            asked = await ada.mention(channel, "What about mice?")
            written_at = discord.world.now()
            await lm.wait_until(lambda: discord.world.now() > written_at + 0.002)
            await ada.edit(asked, f"<@{discord.bot_user.id}> What about dogs?")
        await lm.wait_until(lambda: "dogs" in str(turns(lm)[-1]))


async def test_an_answer_that_goes_on_ends_with_the_question_that_it_rests_on(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("The first half and", finish="length"), Answer(LONG, pause_after=20))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me all")
        reply = await discord.wait_reply(asked, until=lambda r: "Continue" in r.content)
        await discord.wait_until(lambda: any("Continue" in str(c) for c in reply.components))
        await ada.click(reply, "Continue")
        await discord.wait_until(lambda: len(discord.bot_messages) == 2)
        await ada.delete(asked)
        await discord.wait_until(lambda: discord.bot_messages == [reply])
        await lm.wait_until(lambda: lm.completions[-1].cancelled_at is not None)


async def test_what_is_said_right_after_a_question_with_a_thread_of_its_own_is_answered_there(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.answer("About both.")
    async with running(settings_for(discord, lm, tmp_path, CLAWBOT_CHAT__ANSWER_IN="thread")):
        asked = await ada.mention(channel, "Tell me about cats")
        await ada.say(channel, "and about dogs")
        await discord.wait_until(
            lambda: [m.content for m in discord.bot_messages] == ["About both."]
        )
    assert discord.bot_messages[0].channel is asked.thread
    assert ["cats" in str(turns(lm)[-1]), "dogs" in str(turns(lm)[-1])] == [True, True]
    assert not [each for each in discord.requests if each.status and each.status >= 400]
