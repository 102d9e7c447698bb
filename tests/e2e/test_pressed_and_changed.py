"""Buttons and edits over restarts: one answer each, to the words as they are."""

from __future__ import annotations

from pathlib import Path

from cogs._actions import MAY_NOT_ASK
from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.e2e.test_sources import turns
from tests.support.application import environment_between, running, settings_for, told
from tests.support.process import START_S, clawbot

LONG = "One lighthouse after another answered the call across the dark water. " * 12


async def test_a_question_edited_before_and_after_a_restart_has_one_answer(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer(LONG, pause_after=20), Answer("About dogs."), Answer("About birds."))
    me = f"<@{discord.bot_user.id}>"
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        asked = await ada.mention(channel, "Tell me about cats")
        await discord.wait_reply(asked)
        await ada.edit(asked, f"{me} Tell me about dogs")
        reply = await discord.wait_reply(asked, until=lambda r: r.content == "About dogs.")
        await discord.wait_until(lambda: any("Regenerate" in str(c) for c in reply.components))
    async with running(settings):
        await ada.edit(asked, f"{me} Tell me about birds")
        await discord.wait_until(lambda: reply.content == "About birds.")
    assert discord.bot_messages == [reply]


async def test_stop_ends_an_answer_that_an_earlier_run_began_and_it_goes_with_its_question(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer(LONG, pause_after=20))
    folder = tmp_path / "data"
    environment = environment_between(discord, lm, folder)
    async with clawbot("run", folder=tmp_path, environment=environment) as process:
        await discord.wait_online(timeout_s=START_S)
        asked = await ada.mention(channel, "Tell me about cats")
        begun = await discord.wait_reply(asked, until=lambda r: r.buttons)
        process.kill()
        await process.wait()
    looking = discord.faults.hold("GET", "/messages/")
    async with running(settings_for(discord, lm, folder)):
        pressed = await ada.click(begun, "Stop")
        await pressed.wait_response()
        await discord.wait_until(lambda: looking.played)
        looking.release()
        await discord.wait_until(lambda: "Stopped." in begun.content)
        await discord.wait_until(lambda: any("Regenerate" in str(c) for c in begun.components))
        await ada.delete(asked)
        await discord.wait_until(lambda: not discord.bot_messages)
    assert len(lm.completions) == 1


async def test_whoever_presses_another_button_amid_a_press_is_told_what_is_under_way(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("One lighthouse", finish="length"), Answer("About dogs."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await discord.wait_reply(
            asked, until=lambda r: any(each["label"] == "Continue" for each in r.buttons)
        )
        looking = discord.faults.hold("GET", "/messages/")
        again = await ada.click(reply, "Regenerate")
        on = await ada.click(reply, "Continue")
        await told(discord, on, "answering that again")
        looking.release()
        await again.wait_response()
        await discord.wait_until(lambda: reply.content == "About dogs.")
    assert len(lm.completions) == 2


async def test_regenerate_answers_the_words_as_they_are_edited_unseen(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("About cats."), Answer("About dogs."))
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await discord.wait_reply(asked, until=lambda r: r.content == "About cats.")
        await discord.wait_until(lambda: any("Regenerate" in str(c) for c in reply.components))
    await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
    async with running(settings):
        await ada.click(reply, "Regenerate")
        # The press, or the start's own look at what was edited meanwhile: whichever comes first.
        reply = await discord.wait_reply(asked, until=lambda r: r.content == "About dogs.")
        assert "dogs" in turns(lm)[-1]["content"]
        await discord.wait_until(lambda: any("Regenerate" in str(c) for c in reply.components))
        await ada.delete(asked)
        again = await ada.click(reply, "Regenerate")
        await told(discord, again, "deleted")
    assert len(lm.completions) == 2


async def test_a_moderator_gets_no_new_answer_for_somebody_who_was_blocked(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    bob = discord.add_user("Bob")
    assert channel.guild is not None
    channel.guild.add_member(bob)
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await bob.mention(channel, "What is light?")
        reply = await discord.wait_reply(asked, until=lambda m: "Regenerate" in str(m.components))
    blocked = {"CLAWBOT_DISCORD__BLOCKED_USER_IDS": str(bob.id)}
    async with running(settings_for(discord, lm, tmp_path, **blocked)):
        pressed = await ada.click(reply, "Regenerate")
        await told(discord, pressed, MAY_NOT_ASK)
    assert len(lm.completions) == 1
