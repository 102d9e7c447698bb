"""What was deleted, changed or forbidden while the bot was away, or over the limit: said once, or not."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.core.notices import LOST
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.e2e.test_sources import turns
from tests.support.application import environment_between, life_before, running, settings_for
from tests.support.process import START_S, clawbot

FAST = {"CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S": "1", "CLAWBOT_DELIVERY__STAGE_AFTER_S": "0.2"}
LONG = "One lighthouse after another answered the call across the dark water. " * 12


@asynccontextmanager
async def killed_while_writing(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    folder: Path,
    ada: Person,
    channel: Channel,
) -> AsyncGenerator[tuple[Message, Message]]:
    """Leave a question open, with the beginning of its answer, as a killed process does."""
    lm.script(Answer(LONG, pause_after=20))
    environment = environment_between(discord, lm, folder)
    async with clawbot("run", folder=folder.parent, environment=environment) as process:
        await discord.wait_online(timeout_s=START_S)
        asked = await ada.mention(channel, "Tell me about cats")
        begun = await discord.wait_reply(asked, until=lambda r: r.content.startswith("One"))
        process.kill()
        await process.wait()
    yield asked, begun


async def one_more(discord: DiscordSandbox, ada: Person, channel: Channel) -> None:
    """Have another question answered: what was left open has been looked at by then."""
    asked = await ada.mention(channel, "And what is this?")
    await discord.wait_reply(asked, until=lambda r: "help you" in r.content)


async def test_a_question_deleted_while_the_bot_was_away_is_dropped_with_its_beginning(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    folder = tmp_path / "data"
    async with killed_while_writing(discord, lm, folder, ada, channel) as (asked, begun):
        await ada.delete(asked)
    assert channel.guild is not None
    other = channel.guild.add_channel("other")
    async with running(settings_for(discord, lm, folder)):
        await discord.wait_until(lambda: begun not in discord.bot_messages)
        await one_more(discord, ada, other)
    assert len(lm.completions) == 2
    assert "cats" not in str(turns(lm))


async def test_a_question_changed_while_the_bot_was_away_is_answered_in_its_new_words(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    folder = tmp_path / "data"
    async with killed_while_writing(discord, lm, folder, ada, channel) as (asked, begun):
        await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
    lm.script(Answer("About dogs."))
    async with running(settings_for(discord, lm, folder)):
        await discord.wait_until(lambda: begun.content == "About dogs.")
    assert "dogs" in turns(lm)[-1]["content"]
    assert "cats" not in str(turns(lm))
    assert discord.bot_messages == [begun]


async def test_an_answer_deleted_while_the_bot_was_away_is_not_given_again(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    folder = tmp_path / "data"
    async with killed_while_writing(discord, lm, folder, ada, channel) as (asked, begun):
        await ada.delete(begun)
    assert channel.guild is not None
    other = channel.guild.add_channel("other")
    async with running(settings_for(discord, lm, folder)):
        await one_more(discord, ada, other)
    assert discord.replies(asked) == []


@pytest.mark.parametrize("what", ["BLOCKED_USER_IDS", "BLOCKED_CHANNEL_IDS", "ALLOWED_ROLE_IDS"])
async def test_who_may_not_ask_any_more_gets_the_refusal_in_the_place_of_the_answer(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    what: str,
) -> None:
    ids = {"BLOCKED_USER_IDS": ada.id, "BLOCKED_CHANNEL_IDS": channel.id, "ALLOWED_ROLE_IDS": 5}
    folder = tmp_path / "data"
    async with killed_while_writing(discord, lm, folder, ada, channel) as (_, begun):
        pass
    asked = len(lm.completions)
    settings = settings_for(discord, lm, folder, **{f"CLAWBOT_DISCORD__{what}": str(ids[what])})
    async with running(settings):
        await discord.wait_until(lambda: begun.content.startswith("⚠️"))
    assert len(lm.completions) == asked


async def test_a_missed_mention_of_somebody_with_the_needed_role_is_answered(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    role = channel.guild.add_role("crew")
    channel.guild.members[ada.id].role_ids.append(role.id)
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_DISCORD__ALLOWED_ROLE_IDS=str(role.id))
    await life_before(settings, discord, ada, channel)
    missed = await ada.mention(channel, "While you were away")
    async with running(settings):
        await discord.wait_reply(missed, until=lambda r: "help you" in r.content)


async def test_a_question_changed_over_the_limit_keeps_its_answer_and_its_author_is_told(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer(LONG, pause_after=20))
    limit = {"CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1"}
    async with running(settings_for(discord, lm, tmp_path, **limit)):
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await discord.wait_reply(asked, until=lambda r: r.content.startswith("One"))
        await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
        await discord.wait_until(lambda: len(discord.replies(asked)) == 2)
        told = discord.replies(asked)[-1]
        assert "faster than" in told.content
        await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about birds")
        await discord.wait_until(lambda: asked.reactions)
        lm.resume()
        await discord.wait_until(lambda: reply.content.strip() == LONG.strip())
    assert discord.bot_messages == [reply, told]
    assert len(lm.completions) == 1


async def test_what_was_edited_in_a_gap_is_asked_as_it_is_and_a_mention_added_there_asks(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    other = channel.guild.add_channel("other")
    mention = f"<@{discord.bot_user.id}>"
    async with running(settings_for(discord, lm, tmp_path / "data")):
        asked = await ada.mention(channel, "Tell me about cats")
        answer = await discord.wait_reply(asked, until=lambda r: not r.loading and r.content)
        said = await ada.say(other, "What about cats?")
        await one_more(discord, ada, other)
    lm.script(Answer("About dogs."), Answer("About whales."))
    await ada.edit(asked, f"{mention} Tell me about dogs")
    await ada.edit(said, f"{mention} What about whales?")
    async with running(settings_for(discord, lm, tmp_path / "data")):
        await discord.wait_until(lambda: "About" in answer.content)
        told = await discord.wait_reply(said, until=lambda r: "About" in r.content)
    assert {answer.content, told.content} == {"About dogs.", "About whales."}
    assert len(lm.completions) == 4


async def test_an_answer_whose_database_was_lost_is_ended_with_a_sentence(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    folder = tmp_path / "data"
    async with killed_while_writing(discord, lm, folder, ada, channel) as (_asked, begun):
        for file in folder.glob("clawbot.db*"):
            file.unlink()
    words = begun.content
    me, eve = Person(discord.world, discord.bot_user), discord.add_user("Eve")
    private = [await me.say(each.dm_channel, words) for each in (ada, eve)]
    for shown in private:  # Discord lists no direct-message channels
        shown.components = begun.components
    async with running(settings_for(discord, lm, folder)):
        pressed = await ada.click(private[0], "Stop")
        await pressed.wait_content()
        await eve.dm("Are you still there?")
        for shown in (begun, *private):
            await discord.wait_until(lambda: not shown.buttons)  # noqa: B023
            assert shown.content == f"{words}\n-# {LOST}"
    assert "no longer have" in pressed.content
