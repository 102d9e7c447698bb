"""Permissions lost amid an answer, locked threads, a bot removed from the server: kept until it may write again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.chat.resume import FIRST_AGAIN_S
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox, Model
from tests.support.application import running, settings_for

WHOLE = "\n\n".join(f"Paragraph {n} is about the lighthouse and its keeper." for n in range(60))


async def begun(discord: DiscordSandbox, ada: Person, where: Channel) -> Message:
    """Ask, and wait for the first words of the answer."""
    asked = await ada.mention(where, "Tell me about lighthouses")
    await discord.wait_reply(asked, until=lambda reply: "Paragraph" in reply.content)
    return asked


def text_in(where: Channel) -> str:
    """Return all that bots said in a channel."""
    return "\n\n".join(m.content for m in where.messages.values() if m.author.is_bot)


async def test_what_could_not_be_posted_is_posted_once_the_bot_may_write_again(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel, ada: Person
) -> None:
    guild = channel.guild
    assert guild is not None
    hidden, parent = guild.add_channel("hidden"), guild.add_channel("parent")
    quiet, locked = parent.add_thread("quiet"), channel.add_thread("locked")
    places = [channel, hidden, quiet, locked]
    lm.answer(Answer(WHOLE, pause_after=20))
    async with running(settings_for(discord, lm, tmp_path)):
        for place in places:
            await begun(discord, ada, place)
        channel.overwrite(guild.everyone, deny="send_messages")
        hidden.overwrite(guild.everyone, deny="view_channel")
        parent.overwrite(guild.everyone, deny="send_messages_in_threads")
        locked.set_archived(False, locked=True)
        lm.answer(WHOLE)
        lm.resume()
        await discord.wait_until(lambda: "Paragraph 30" in text_in(channel))
        for place in (channel, hidden, parent):
            place.overwrite(guild.everyone)
        locked.set_archived(False, locked=False)
        for place in places:
            await discord.wait_until(
                lambda: text_in(place) == WHOLE,  # noqa: B023
                timeout_s=4 * FIRST_AGAIN_S,
            )
    assert discord.requests_to("DELETE") == []


async def test_an_answer_in_a_thread_that_is_locked_and_archived_is_whole_once_it_is_opened(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel, ada: Person
) -> None:
    closed = channel.add_thread("closed")
    lm.script(Answer(WHOLE, pause_after=20))
    async with running(settings_for(discord, lm, tmp_path)):
        await begun(discord, ada, closed)
        closed.set_archived(True, locked=True)
        lm.resume()
        await discord.wait_until(lambda: discord.requests_to("DELETE"), timeout_s=20)
        closed.set_archived(False, locked=False)
        await discord.wait_until(lambda: text_in(closed) == WHOLE, timeout_s=4 * FIRST_AGAIN_S)


@pytest.mark.parametrize("pause_after", [0, 20])
async def test_a_bot_that_is_removed_from_a_server_and_returns_answers_what_was_asked(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    channel: Channel,
    ada: Person,
    pause_after: int,
) -> None:
    guild = channel.guild
    assert guild is not None
    lm.script(Answer(WHOLE, pause_after=pause_after))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me about lighthouses")
        await lm.wait_until(lambda: lm.completions)
        if pause_after:
            await discord.wait_reply(asked, until=lambda reply: "Paragraph" in reply.content)
        guild.remove_member(discord.bot_user)
        await lm.wait_until(lambda: lm.completions[-1].cancelled_at is not None)
        guild.add_bot(discord.bot_user)
        lm.answer("In short: they shine.")
        await discord.wait_until(lambda: text_in(channel) == "In short: they shine.")
    assert len(lm.completions) == 2


async def test_a_bot_that_is_removed_from_a_private_thread_goes_on_once_it_is_in_it_again(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel, ada: Person
) -> None:
    thread = channel.add_thread("secret", private=True, owner=ada)
    thread.add_thread_member(discord.bot_user)
    lm.answer(Answer(WHOLE, pause_after=20))
    async with running(settings_for(discord, lm, tmp_path)):
        await begun(discord, ada, thread)
        thread.remove_thread_member(discord.bot_user)
        lm.resume()
        await discord.wait_until(lambda: any(r.status == 403 for r in discord.requests))
        assert "Paragraph" in text_in(thread)
        thread.add_thread_member(discord.bot_user)
        await discord.wait_until(lambda: text_in(thread) == WHOLE, timeout_s=4 * FIRST_AGAIN_S)
    assert discord.requests_to("DELETE") == []


async def test_a_question_that_is_deleted_while_the_bot_may_not_write_goes_with_its_beginning(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel, ada: Person
) -> None:
    assert channel.guild is not None
    lm.answer(Answer(WHOLE, pause_after=20))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await begun(discord, ada, channel)
        channel.overwrite(channel.guild.everyone, deny="send_messages")
        lm.answer(WHOLE)
        lm.resume()
        await discord.wait_until(lambda: "Paragraph 30" in text_in(channel))
        await ada.delete(asked)
        await discord.wait_until(lambda: not text_in(channel))


async def test_an_answer_amid_which_the_bot_is_timed_out_is_whole_once_that_is_over(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel, ada: Person
) -> None:
    guild = channel.guild
    assert guild is not None
    lm.answer(Answer(WHOLE, pause_after=20))
    async with running(settings_for(discord, lm, tmp_path)):
        await begun(discord, ada, channel)
        guild.time_out(discord.bot_user, discord.world.now() + 3600)
        lm.answer(WHOLE)
        lm.resume()
        await discord.wait_until(lambda: "Paragraph 30" in text_in(channel))
        guild.time_out(discord.bot_user, None)
        await discord.wait_until(lambda: text_in(channel) == WHOLE, timeout_s=4 * FIRST_AGAIN_S)
    assert discord.requests_to("DELETE") == []


async def test_questions_in_line_end_with_the_places_that_are_deleted(
    discord: DiscordSandbox, tmp_path: Path, channel: Channel, ada: Person
) -> None:
    guild = channel.guild
    assert guild is not None
    gone, parent, other = (guild.add_channel(name) for name in ("gone", "parent", "other"))
    inner, thread = parent.add_thread("inner"), other.add_thread("thread")
    async with LMStudioSandbox([Model("m", parallel=1)]) as lm:
        lm.answer(Answer(WHOLE, pause_after=20))
        async with running(settings_for(discord, lm, tmp_path)):
            first = await begun(discord, ada, channel)
            for place in (gone, inner, thread):
                person = discord.add_user(f"In {place.name}")
                guild.add_member(person)
                asked = await person.mention(place, "And you?")
                await discord.wait_reply(asked)  # its place in line
            lm.answer("Fine.")
            for place in (gone, parent, thread):
                place.delete()
            lm.resume()
            await discord.wait_until(lambda: text_in(channel) == WHOLE)
            again = await ada.mention(channel, "And you?")
            await discord.wait_reply(again, until=lambda reply: reply.content == "Fine.")
        assert discord.replies(first)
        assert len(lm.completions) == 2
