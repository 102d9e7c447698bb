"""Every source leads to the same service: /ask, message menus, threads, direct messages, bursts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.application import running, settings_for


def turns(lm: LMStudioSandbox) -> list[dict[str, Any]]:
    """Return the messages of the newest request to the model."""
    messages: list[dict[str, Any]] = lm.completions[-1].body["messages"]
    return messages


async def test_ask_answers_in_the_response_itself(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("Paris."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.slash(channel, "ask", prompt="The capital of France?")
        await asked.wait_response()
        assert asked.deferred
        await discord.wait_until(lambda: asked.content == "Paris.")
        assert not asked.ephemeral
    assert "capital of France" in turns(lm)[-1]["content"]


async def test_a_message_menu_asks_about_that_message(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("It is about ships."))
    async with running(settings_for(discord, lm, tmp_path)):
        message = await ada.say(channel, "Eleven ships passed before noon.")
        used = await ada.context_menu(message, "Ask about this")
        await discord.wait_until(lambda: used.content == "It is about ships.")
    assert "Eleven ships" in str(turns(lm))


async def test_summarise_from_here_gives_the_model_all_that_was_said_since(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("They agreed."))
    bob = discord.add_user("Bob")
    assert channel.guild is not None
    channel.guild.add_member(bob)
    async with running(settings_for(discord, lm, tmp_path)):
        await ada.say(channel, "Before the beginning.")
        first = await ada.say(channel, "Shall we sail on Friday?")
        await bob.say(channel, "Friday suits me.")
        used = await ada.context_menu(first, "Summarise from here")
        await discord.wait_until(lambda: used.content == "They agreed.")
    given = str(turns(lm))
    assert "sail on Friday" in given
    assert "Friday suits me" in given
    assert "Before the beginning" not in given


async def test_a_direct_message_goes_on_by_itself_and_a_mention_starts_afresh(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person
) -> None:
    discord.add_guild("Home", owner=ada)
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__BURST_WINDOW_S="0")
    async with running(settings):
        for text in ("My ship is called Aurora.", "What is it called?"):
            asked = await ada.dm(text)
            await discord.wait_reply(asked, until=lambda r: "help you" in r.content)
        assert "Aurora" in str(turns(lm))
        asked = await ada.dm(f"<@{discord.bot_user.id}> And now?")
        await discord.wait_reply(asked, until=lambda r: "help you" in r.content)
        assert "Aurora" not in str(turns(lm))


async def test_a_reply_carries_the_conversation_above_it(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("Noted."), Answer("Aurora."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "My ship is called Aurora.")
        noted = await discord.wait_reply(asked, until=lambda r: r.content == "Noted.")
        again = await ada.reply(noted, "What is it called?", ping=False)
        await discord.wait_reply(again, until=lambda r: r.content == "Aurora.")
    assert [turn["role"] for turn in turns(lm)] == ["system", "user", "assistant", "user"]


async def test_messages_of_one_breath_are_one_question(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    await lm.stop()
    fast = {"CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S": "1"}
    async with running(settings_for(discord, lm, tmp_path, **fast)):
        first = await ada.mention(channel, "I have a question")
        second = await ada.say(channel, "about the lighthouse")
        await discord.wait_until(lambda: first.reactions)
        await lm.start()
        await discord.wait_reply(second, until=lambda r: "help you" in r.content)
    assert len(lm.completions) == 1
    asked = turns(lm)[-1]["content"]
    assert asked.index("I have a question") < asked.index("about the lighthouse")
    assert len(discord.bot_messages) == 1


async def test_a_quick_reply_to_somebody_else_is_no_question(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    await lm.stop()
    fast = {"CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S": "1"}
    bob = discord.add_user("Bob")
    assert channel.guild is not None
    channel.guild.add_member(bob)
    async with running(settings_for(discord, lm, tmp_path, **fast)):
        said = await bob.say(channel, "Lunch?")
        asked = await ada.mention(channel, "What is a lighthouse?")
        await ada.reply(said, "Yes, at noon.", ping=False)
        await lm.start()
        await discord.wait_reply(asked, until=lambda r: "help you" in r.content)
    assert len(lm.completions) == 1
    assert turns(lm)[-1]["content"].endswith("What is a lighthouse?")
    assert len(discord.bot_messages) == 1
