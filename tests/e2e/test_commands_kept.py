"""What was asked by ``/ask`` or a message menu is kept over a kill, and answered in its response."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Fault, Interaction, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.application import environment_between, running, settings_for, told
from tests.support.process import START_S, clawbot

LONG = "One lighthouse after another answered the call across the dark water. " * 12


async def asked_and_killed(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    folder: Path,
    ada: Person,
    channel: Channel,
    words: int | None,
) -> Interaction:
    """Ask by command and kill the bot once so many tokens were written; ``None``: unacknowledged."""
    if words is not None:
        lm.script(Answer(LONG, pause_after=words))
    environment = environment_between(discord, lm, folder)
    environment["CLAWBOT_DELIVERY__STAGE_AFTER_S"] = "60"
    fault = Fault(method="POST", route="/callback", hang=True)
    if words is None:
        discord.faults.add(fault)
    async with clawbot("run", folder=folder.parent, environment=environment) as process:
        await discord.wait_command("ask", timeout_s=START_S)
        await discord.wait_online(timeout_s=START_S)
        used = await ada.slash(channel, "ask", prompt="What answers?")
        if words is None:
            await discord.wait_until(lambda: fault.played)
        elif words:
            await discord.wait_until(lambda: "lighthouse" in used.content)
        else:
            await lm.wait_until(lambda: lm.completions)
            await used.wait_response()
        process.kill()
        await process.wait()
    return used


@pytest.mark.parametrize("words", [0, 20])
async def test_a_command_killed_after_its_acknowledgement_is_answered_in_its_response(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    words: int,
) -> None:
    used = await asked_and_killed(discord, lm, tmp_path / "data", ada, channel, words)
    lm.script(Answer("Eleven ships."))
    async with running(settings_for(discord, lm, tmp_path / "data")):
        await discord.wait_until(lambda: used.content == "Eleven ships.")
    assert discord.bot_messages == [used.message]


async def test_a_command_killed_before_its_acknowledgement_is_answered(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    used = await asked_and_killed(discord, lm, tmp_path / "data", ada, channel, None)
    lm.script(Answer("Eleven ships."))
    async with running(settings_for(discord, lm, tmp_path / "data")):
        await discord.wait_until(
            lambda: [m.content for m in discord.bot_messages] == ["Eleven ships."]
        )
    assert len(lm.completions) == 1
    assert discord.world.interactions[used.token] is used


async def test_a_command_whose_token_is_spent_is_answered_in_the_channel(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    used = await asked_and_killed(discord, lm, tmp_path / "data", ada, channel, 0)
    used.at -= 901
    lm.script(Answer("Eleven ships."))
    async with running(settings_for(discord, lm, tmp_path / "data")):
        await discord.wait_until(
            lambda: any(m.content == "Eleven ships." for m in discord.bot_messages)
        )


async def test_a_responses_token_is_forgotten_with_the_question_and_never_logged(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    folder = tmp_path / "data"
    environment = environment_between(discord, lm, folder)
    async with clawbot("run", folder=tmp_path, environment=environment) as process:
        await discord.wait_command("ask", timeout_s=START_S)
        await discord.wait_online(timeout_s=START_S)
        used = await ada.slash(channel, "ask", prompt="What answers?")
        await discord.wait_until(lambda: "help you" in used.content)
        process.terminate()
        out, err = await process.communicate()
    assert used.token.encode() not in out + err
    with closing(sqlite3.connect(folder / "clawbot.db")) as database:
        (kept,) = database.execute("SELECT group_concat(question) FROM questions").fetchone()
    assert "What answers?" in kept
    assert used.token not in kept


async def test_an_answer_is_continued_once_however_often_the_button_is_pressed(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("The first half and", finish="length"), Answer("the second half."))
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        asked = await ada.mention(channel, "Tell me all")
        reply = await discord.wait_reply(asked, until=lambda r: "Continue" in r.content)
        await discord.wait_until(lambda: any("Continue" in str(c) for c in reply.components))
        first = await ada.click(reply, "Continue")
        again = [await ada.click(reply, "Continue") for _ in range(3)]
        for used in (first, *again):
            await used.wait_response()
        for used in again:
            await told(discord, used, "continued already")
        await discord.wait_until(lambda: discord.bot_messages[-1].content == "the second half.")
    async with running(settings):
        once_more = await ada.click(reply, "Continue")
        await told(discord, once_more, "continued already")
    assert len(lm.completions) == 2


async def test_stop_is_acknowledged_in_time_while_the_way_back_to_an_answer_is_looked_for(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    used = await asked_and_killed(discord, lm, tmp_path / "data", ada, channel, 20)
    shown = used.message
    assert shown is not None
    slow = discord.faults.delay("GET", "/webhooks/", delay_s=4.0, times=2)
    async with running(settings_for(discord, lm, tmp_path / "data")):
        await discord.wait_until(lambda: slow.played)
        pressed = await ada.click(shown, "Stop")
        await pressed.wait_response()
        await discord.wait_until(lambda: "Stopped." in used.content)
        await discord.wait_until(lambda: "Stop" not in str(shown.components))
    assert len(lm.completions) == 1
