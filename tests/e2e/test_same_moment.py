"""Two events of the same moment about one question: the second isn't judged by what was before the first."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from cogs._actions import FORGOTTEN, RUNNING_AGAIN
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from sandbox.lmstudio import Fault as ModelFault
from tests.e2e.test_sources import turns
from tests.support.application import running, settings_for, told

LONG = "One lighthouse after another answered the call across the dark water. " * 12


async def answered(discord: DiscordSandbox, asked: Message, label: str = "Regenerate") -> Message:
    """Wait for an answer with a button."""
    return await discord.wait_reply(
        asked, until=lambda m: any(each.get("label") == label for each in m.buttons)
    )


async def one_more(discord: DiscordSandbox, ada: Person, channel: Channel) -> None:
    """Have another question answered: what came before has been looked at by then."""
    other = await ada.mention(channel, "Anything else?")
    await discord.wait_reply(other, until=lambda m: m.content == "Once more." and m.buttons)


async def seen(ada: Person) -> None:
    """Wait until the bot has seen what came before: it has answered a command that came after it."""
    await (await ada.slash(ada.dm_channel, "help")).wait_content()


async def test_an_edit_takes_the_place_of_a_press_that_is_being_acknowledged(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("About cats."), Answer("About dogs."), Answer("Once more."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await answered(discord, asked)
        slow = discord.faults.hold("POST", "/callback")
        pressed = await ada.click(reply, "Regenerate")
        await discord.wait_until(lambda: slow.played)
        await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
        await lm.wait_until(lambda: len(lm.completions) == 2)
        slow.release()
        await pressed.wait_response()
        await one_more(discord, ada, channel)
    assert [m.content for m in discord.bot_messages] == ["About dogs.", "Once more."]
    assert len(lm.completions) == 3


@pytest.mark.parametrize(
    ("first", "cache"),
    [pytest.param("edit", "0", id="edit"), pytest.param("press", "1000", id="press")],
)
async def test_an_edit_and_regenerate_of_the_same_moment_have_one_answer(
    first: str,
    cache: str,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
) -> None:
    lm.script(Answer("About cats."), Answer("About dogs."), Answer("Once more."))
    kept = {"CLAWBOT_CONTEXT__CACHE_MESSAGES": cache}  # without, an edit looks for the answer
    async with running(settings_for(discord, lm, tmp_path, **kept)):
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await answered(discord, asked)
        looked_at = {"edit": reply, "press": asked}[first]
        slow = discord.faults.hold("GET", f"/messages/{looked_at.id}")
        changed = f"<@{discord.bot_user.id}> Tell me about dogs"
        if first == "edit":
            await ada.edit(asked, changed)
            await discord.wait_until(lambda: slow.played)
            await ada.click(reply, "Regenerate")
            await seen(ada)
            slow.release()
        else:
            pressed = await ada.click(reply, "Regenerate")
            await discord.wait_until(lambda: slow.played)
            await ada.edit(asked, changed)
            await lm.wait_until(lambda: len(lm.completions) == 2)
            slow.release()
            await told(discord, pressed, RUNNING_AGAIN)
        await discord.wait_until(
            lambda: reply.content == "About dogs." and "Regenerate" in str(reply.components)
        )
        await one_more(discord, ada, channel)
    assert discord.bot_messages[0].content == "About dogs."
    assert len(lm.completions) == 3


async def test_an_edit_back_is_answered_although_a_superseded_press_asked_the_same(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("About cats."), Answer("About dogs."), Answer("About cats again."))
    me = f"<@{discord.bot_user.id}>"
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await answered(discord, asked)
        slow = discord.faults.hold("POST", "/callback")
        await ada.click(reply, "Regenerate")
        await discord.wait_until(lambda: slow.played)
        await ada.edit(asked, f"{me} Tell me about dogs")
        await lm.wait_until(lambda: len(lm.completions) == 2)
        slow.release()
        await discord.wait_reply(asked, until=lambda m: m.content == "About dogs.")
        await ada.edit(asked, f"{me} Tell me about cats")
        await discord.wait_reply(asked, until=lambda m: m.content == "About cats again.")


async def test_a_continuation_ends_with_its_question_while_its_press_is_being_acknowledged(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("One lighthouse", finish="length"), Answer("Once more."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me all")
        reply = await answered(discord, asked, "Continue")
        slow = discord.faults.hold("POST", "/callback")
        pressed = await ada.click(reply, "Continue")
        await discord.wait_until(lambda: slow.played)
        await ada.delete(asked)
        await seen(ada)
        slow.release()
        await pressed.wait_response()
        await one_more(discord, ada, channel)
    assert len(discord.bot_messages) == 2
    assert len(lm.completions) == 2


@pytest.mark.parametrize("what", ["edited", "deleted"])
async def test_a_failure_is_not_said_of_a_question_that_is_taken_back_meanwhile(
    what: str,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
) -> None:
    lm.script(Answer("About dogs."))
    lm.faults.next(ModelFault.OVERFLOW_ENGINE)
    async with running(settings_for(discord, lm, tmp_path)):
        slow = discord.faults.hold("POST", f"/channels/{channel.id}/messages")
        asked = await ada.mention(channel, "Tell me about cats")
        await discord.wait_until(lambda: slow.played)
        if what == "edited":
            await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
        else:
            await ada.delete(asked)
            asked = await ada.mention(channel, "Tell me about dogs")
        await seen(ada)
        slow.release()
        await answered(discord, asked)
        await discord.wait_until(
            lambda: [m.content for m in discord.bot_messages] == ["About dogs."]
        )


async def test_a_mention_that_two_edits_add_is_answered_in_the_words_of_the_second(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("About something."))
    async with running(settings_for(discord, lm, tmp_path)):
        said = await ada.say(channel, "cats")
        await ada.edit(said, f"<@{discord.bot_user.id}> Tell me about cats")
        await ada.edit(said, f"<@{discord.bot_user.id}> Tell me about dogs")
        await answered(discord, said)
    assert "dogs" in turns(lm)[-1]["content"]
    assert len(discord.bot_messages) == 1


async def test_an_edit_takes_the_place_of_an_answer_while_an_older_one_is_being_taken_back(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer(LONG, pause_after=20), Answer("About dogs."), Answer("About birds."))
    me = f"<@{discord.bot_user.id}>"
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me about cats")
        first = await answered(discord, asked, "Stop")
        slow = discord.faults.hold("DELETE", f"/messages/{first.id}")
        await ada.edit(asked, f"{me} Tell me about dogs")
        await discord.wait_until(lambda: slow.played)
        second = await answered(discord, asked)
        await ada.edit(asked, f"{me} Tell me about birds")
        await discord.wait_until(lambda: second.content == "About birds.")
        slow.release()
        await discord.wait_until(lambda: discord.bot_messages == [second])


async def test_stop_all_ends_what_its_person_has_just_asked(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_CHAT__ANSWER_IN="thread")
    async with running(settings):
        await discord.wait_command("stop")
        slow = discord.faults.hold("POST", "/threads")
        asked = await ada.mention(channel, "Tell me about cats")
        await discord.wait_until(lambda: slow.played)
        used = await ada.slash(channel, "stop")
        await used.wait_content()
        slow.release()
        await discord.wait_until(lambda: any("Stopped." in m.content for m in discord.bot_messages))
    assert used.content == "Stopped: 1 question."
    assert asked.thread is not None
    assert lm.completions == []


@pytest.mark.parametrize("what", ["edit", "press"])
async def test_stop_all_ends_what_is_about_to_be_asked_anew(
    what: str,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
) -> None:
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_CONTEXT__CACHE_MESSAGES="0")
    async with running(settings):
        await discord.wait_command("stop")
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await answered(discord, asked)
        slow = discord.faults.hold("GET", "/messages/")
        if what == "edit":
            await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
        else:
            await ada.click(reply, "Regenerate")
        await discord.wait_until(lambda: slow.played)
        used = await ada.slash(channel, "stop")
        await used.wait_content()
        slow.release()
        await discord.wait_until(lambda: "Stopped." in reply.content)
    assert len(lm.completions) == 1


async def test_continue_is_refused_while_the_answer_is_given_again(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("One lighthouse", finish="length"), Answer("Anew.", pause_after=0))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me all")
        reply = await answered(discord, asked, "Continue")
        await ada.click(reply, "Regenerate")
        await lm.wait_until(lambda: len(lm.completions) == 2)
        pressed = await ada.click(reply, "Continue")
        await told(discord, pressed, RUNNING_AGAIN)
        lm.resume()
        await discord.wait_until(lambda: reply.content == "Anew.")
    assert len(lm.completions) == 2


@pytest.mark.parametrize("what", ["Regenerate", "edit"])
async def test_what_goes_on_with_an_answer_ends_when_another_takes_its_place(
    what: str,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
) -> None:
    lm.script(Answer("One lighthouse", finish="length"), Answer(LONG, pause_after=20), "Anew.")
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me all")
        reply = await answered(discord, asked, "Continue")
        await ada.click(reply, "Continue")
        await discord.wait_until(lambda: len(discord.bot_messages) == 2)
        if what == "edit":
            await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
        else:
            await ada.click(reply, "Regenerate")
        await discord.wait_until(lambda: [m.content for m in discord.bot_messages] == ["Anew."])
    assert discord.bot_messages == [reply]


@pytest.mark.parametrize("what", ["Regenerate", "edit"])
async def test_what_is_forgotten_meanwhile_is_not_asked_again(
    what: str,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
) -> None:
    lm.script(Answer("About cats."), Answer("Once more."))
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_CONTEXT__CACHE_MESSAGES="0")
    async with running(settings):
        await discord.wait_command("privacy")
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await answered(discord, asked)
        used = await ada.slash(channel, "privacy delete")
        shown = await used.wait_content()
        slow = discord.faults.hold("GET", "/messages/", when="after")
        if what == "edit":
            await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
        else:
            used = await ada.click(reply, what)
        await discord.wait_until(lambda: slow.played)
        await ada.click(shown, "Delete it")
        await discord.wait_until(lambda: "Deleted" in shown.content)
        slow.release()
        if what == "Regenerate":
            await told(discord, used, FORGOTTEN)
        await one_more(discord, ada, channel)
    assert len(lm.completions) == 2
    with closing(sqlite3.connect(tmp_path / "clawbot.db")) as database:
        assert database.execute("SELECT count(*) FROM questions").fetchone()[0] == 1


async def test_a_look_after_a_gap_does_not_bring_back_what_was_edited_meanwhile(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer(LONG, pause_after=0), Answer("About birds."), Answer("Once more."))
    me = f"<@{discord.bot_user.id}>"
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me about cats")
        await lm.wait_until(lambda: lm.completions)
        slow = discord.faults.hold("GET", f"/messages/{asked.id}", when="after")
        discord.faults.refuse_connections = -1
        discord.faults.forget_sessions()
        discord.faults.drop()
        await ada.edit(asked, f"{me} Tell me about dogs")
        discord.faults.refuse_connections = 0
        await discord.wait_until(lambda: slow.played)
        await ada.edit(asked, f"{me} Tell me about birds")
        await seen(ada)
        slow.release()
        await answered(discord, asked)
        await one_more(discord, ada, channel)
    assert "birds" in lm.completions[1].body["messages"][-1]["content"]
    assert len(lm.completions) == 3


async def test_a_missed_mention_that_is_edited_while_its_author_is_looked_up_is_asked_as_it_is(
    lm: LMStudioSandbox, tmp_path: Path
) -> None:
    lm.script(Answer("About dogs."))
    later_s = [0.0]
    async with DiscordSandbox(now=lambda: time.time() + later_s[0]) as discord:
        ada = discord.add_user("Ada")
        guild = discord.add_guild("Home", owner=ada)
        channel, role = guild.add_channel("general"), guild.add_role("crew")
        guild.members[ada.id].role_ids.append(role.id)
        needed = {"CLAWBOT_DISCORD__ALLOWED_ROLE_IDS": str(role.id)}
        async with running(settings_for(discord, lm, tmp_path, **needed)):
            discord.faults.refuse_connections = -1
            discord.faults.forget_sessions()
            discord.faults.drop()
            asked = await ada.mention(channel, "Tell me about cats")
            slow = discord.faults.hold("GET", "/members/")
            discord.faults.refuse_connections = 0
            await discord.wait_until(lambda: slow.played)
            later_s[0] = 180.0  # too late for a mention that is added by an edit
            await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
            await seen(ada)
            slow.release()
            await answered(discord, asked)
    assert "dogs" in turns(lm)[-1]["content"]
