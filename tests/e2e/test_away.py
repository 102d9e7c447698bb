"""One machine or the other is away: questions are held, found again, and answered once."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from bot import app
from bot.core.errors import ConfigurationError, DependencyError
from bot.storage.lock import LOCK_NAME, data_folder
from sandbox.discord import Channel, DiscordSandbox, Interaction, Permission, Person
from sandbox.lmstudio import Answer, LMStudioSandbox, Model, Options
from tests.support.application import life_before, running, settings_for
from tests.support.clock import SwiftClock

FAST = {"CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S": "1", "CLAWBOT_DELIVERY__STAGE_AFTER_S": "0.2"}


async def test_a_question_is_held_while_the_model_is_down_and_answered_when_it_is_back(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    await lm.stop()
    async with running(settings_for(discord, lm, tmp_path, **FAST)):
        asked = await ada.mention(channel, "Are you there?")
        reply = await discord.wait_reply(asked, until=lambda r: "doesn't answer" in r.content)
        lm.script(Answer("Here I am."))
        await lm.start()
        await discord.wait_until(lambda: reply.content == "Here I am.")
        assert len(discord.bot_messages) == 1


async def test_a_manager_who_chooses_a_model_while_its_machine_is_down_is_told_that(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    await lm.stop()
    async with running(settings_for(discord, lm, tmp_path)):
        for command, options in (
            ("model use", {"model": "qwen3-next-80b"}),
            ("config set", {"setting": "model", "value": "qwen3-next-80b"}),
        ):
            said = await ada.slash(channel, command, **options)
            assert "machine doesn't answer" in (await said.wait_content()).content


def _says(made: Interaction, words: str) -> bool:
    """Tell whether the answer to a command has these words by now."""
    return words in made.content


@pytest.mark.parametrize("models", [[], [Model("text-embedding", kind="embedding")]])
async def test_commands_say_that_there_is_no_model_and_who_can_bring_one(
    models: list[Model], discord: DiscordSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    channel.guild.add_member(discord.owner, permissions=Permission.MANAGE_GUILD)
    name = {"model": "qwen3-next-80b"}
    async with LMStudioSandbox(models) as lm, running(settings_for(discord, lm, tmp_path)):
        for person, command, options in (
            (ada, "model list", {}),
            (ada, "model info", name),
            (ada, "model use", name),
            (discord.owner, "model load", name),
            (discord.owner, "model unload", name),
        ):
            made = await person.slash(channel, command, **options)
            await discord.wait_until(partial(_says, made, "with /model download"))


@pytest.mark.parametrize("token", ["", "sk-lm-wrong:token"])
async def test_commands_say_that_the_token_is_refused_where_no_list_of_models_can_be_had(
    token: str, discord: DiscordSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    channel.guild.add_member(discord.owner, permissions=Permission.MANAGE_GUILD)
    name = {"model": "qwen3-next-80b"}
    locked = LMStudioSandbox([Model("qwen/qwen3-next-80b")], options=Options(token="sk-lm-a:right"))
    async with (
        locked as lm,
        running(settings_for(discord, lm, tmp_path, LMSTUDIO_API_TOKEN=token)),
    ):
        for person, command, options in (
            (ada, "model list", {}),
            (ada, "model info", name),
            (ada, "model use", name),
            (ada, "diag model", {}),
            (discord.owner, "model load", name),
            (discord.owner, "model unload", name),
        ):
            made = await person.slash(channel, command, **options)
            await discord.wait_until(partial(_says, made, "refuses my access token"))
        made = await ada.slash(channel, "setup")
        assert "doesn't tell which it has" in (await made.wait_content()).content


async def test_the_setup_names_the_model_that_is_set_and_isnt_there(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path, LMSTUDIO_MODEL="gpt-oss-20b")
    async with running(settings):
        made = await ada.slash(channel, "setup")
        assert "Model: ⚠️ `gpt-oss-20b` isn't listed" in (await made.wait_content()).content


async def test_commands_about_models_say_what_is_known_and_what_to_do_while_the_model_is_down(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    channel.guild.add_member(discord.owner, permissions=Permission.MANAGE_GUILD)
    owner, settings = discord.owner, settings_for(discord, lm, tmp_path)
    async with running(settings):
        listed = await ada.slash(channel, "model list")
        assert "🟢 `qwen/qwen3-next-80b`" in (await listed.wait_content()).content
        await lm.stop()
        load = await owner.slash(channel, "model load", model="qwen/qwen3-next-80b")
        away = "⚠️ The model's machine doesn't answer. Start the server in LM Studio"
        await discord.wait_until(lambda: load.content.startswith(away))
        for person, hint in ((ada, ""), (owner, " Start the server in LM Studio")):
            listed = await person.slash(channel, "model list")
            said = (await listed.wait_content()).content
            assert said.startswith(f"⚠️ The model's machine doesn't answer.{hint}")
            assert "/diag network shows where it breaks off.\nThe model's machine had these" in said
            assert "`qwen/qwen3-next-80b`" in said
            assert "127.0.0.1" not in said
    async with running(settings):
        listed = await ada.slash(channel, "model list")
        said = (await listed.wait_content()).content
        assert "I have seen no list of models since I started." in said


async def test_a_question_is_held_while_the_server_loads_its_model(
    discord: DiscordSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    """llama.cpp's server answers 503 to everything until then, which is no fault of its own."""
    model = Model("a.gguf", loaded=False)
    async with (
        LMStudioSandbox([model], options=Options(flavour="llama.cpp")) as lm,
        running(settings_for(discord, lm, tmp_path, **FAST)),
    ):
        asked = await ada.mention(channel, "Are you there?")
        reply = await discord.wait_reply(asked, until=lambda r: "Loading the model" in r.content)
        lm.script(Answer("Here I am."))
        await lm.load("a.gguf")
        await discord.wait_until(lambda: reply.content == "Here I am.")
        assert len(discord.bot_messages) == 1


async def test_mentions_of_the_time_away_are_answered_once(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    guild = channel.guild
    assert guild is not None
    other = guild.add_channel("other")
    first = await life_before(settings, discord, ada, channel)
    missed = [await ada.mention(place, "While you were away") for place in (channel, other)]
    async with running(settings):
        for message in missed:
            await discord.wait_reply(message, until=lambda r: "help you" in r.content)
    async with running(settings):
        again = await ada.mention(channel, "And now?")
        await discord.wait_reply(again, until=lambda r: "help you" in r.content)
    for message in (first, *missed, again):
        assert len([r for r in discord.bot_messages if r.reference is message]) == 1


async def test_a_question_in_line_is_kept_over_a_stop_and_answered_after_the_start(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    await lm.stop()
    settings = settings_for(discord, lm, tmp_path, **FAST)
    async with running(settings):
        asked = await ada.mention(channel, "Keep this")
        reply = await discord.wait_reply(asked)
    assert "restarted" in reply.content
    lm.script(Answer("Kept."))
    await lm.start()
    async with running(settings):
        await discord.wait_until(lambda: reply.content == "Kept.")
    assert len(discord.bot_messages) == 1


async def test_a_second_bot_on_the_same_data_folder_refuses_to_start(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        with pytest.raises(DependencyError):
            await app.run(settings)


async def test_of_two_bots_on_one_data_folder_the_one_without_the_lock_ends(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    settings = settings_for(discord, lm, tmp_path)
    first = asyncio.create_task(app.run(settings, clock=SwiftClock(20), stop=stop, ready=ready))
    async with asyncio.timeout(30):
        await ready.wait()
    (tmp_path / LOCK_NAME).unlink()
    with data_folder(tmp_path), pytest.raises(DependencyError, match="this one ends"):
        await asyncio.wait_for(first, timeout=30)


async def test_a_wrong_token_is_a_configuration_error(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    settings = settings_for(discord, lm, tmp_path, DISCORD_TOKEN="wrong")
    with pytest.raises(ConfigurationError, match="token"):
        await asyncio.wait_for(app.run(settings), timeout=30)


async def test_without_the_message_content_intent_the_bot_goes_on(
    lm: LMStudioSandbox, tmp_path: Path
) -> None:
    async with DiscordSandbox(portal_intents=0) as discord:
        ada = discord.add_user("Ada")
        channel = discord.add_guild("Home", owner=ada).add_channel("general")
        async with running(settings_for(discord, lm, tmp_path), SwiftClock(20)):
            asked = await ada.mention(channel, "Hello")
            await discord.wait_reply(asked, until=lambda r: "help you" in r.content)
        assert discord.unexpected == []


async def test_a_lost_gateway_connection_is_resumed_and_nothing_is_lost(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    async with running(settings_for(discord, lm, tmp_path), SwiftClock(20)):
        for code in (4000, 4009, 1001):
            discord.faults.close(code)
            asked = await ada.mention(channel, f"After {code}")
            await discord.wait_reply(asked, until=lambda r: "help you" in r.content)
        discord.faults.invalid_session(resumable=False)
        asked = await ada.mention(channel, "After a lost session")
        await discord.wait_reply(asked, until=lambda r: "help you" in r.content)
    assert len(discord.bot_messages) == 4


async def test_commands_are_registered_when_discord_stumbles_at_the_first_try(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    discord.faults.reset("PUT", times=2)
    async with running(settings_for(discord, lm, tmp_path), SwiftClock(60)):
        used = await ada.slash(channel, "help")
        await used.wait_answer()
        assert "Mention" in used.content


async def test_mentions_missed_one_after_the_other_are_questions_of_their_own(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__BURST_WINDOW_S="0.005")
    await life_before(settings, discord, ada, channel)
    assert channel.guild is not None
    other = channel.guild.add_channel("other")
    missed = [await ada.mention(channel, "One")]
    filler = missed[0]
    while (filler.id >> 22) - (missed[0].id >> 22) <= 5:  # milliseconds (Discord: snowflakes)
        filler = await ada.say(other, "Nobody there?")
    missed.append(await ada.mention(channel, "Two"))
    async with running(settings):
        for message in missed:
            await discord.wait_reply(message, until=lambda r: "help you" in r.content)


async def test_a_mention_in_a_thread_that_was_archived_meanwhile_is_answered(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    thread = channel.add_thread("thread", owner=ada)
    async with running(settings_for(discord, lm, tmp_path)):
        await discord.wait_reply(await ada.mention(thread, "Hello"))
    asked = await ada.mention(thread, "Are you there?")
    thread.set_archived()
    lm.answer("Here.")
    async with running(settings_for(discord, lm, tmp_path)):
        await discord.wait_reply(asked, until=lambda m: m.content == "Here.")
