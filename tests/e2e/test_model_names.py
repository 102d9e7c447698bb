"""A model may be named otherwise than it is listed: in the settings, and in each command that takes one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Interaction, Permission, Person
from sandbox.lmstudio import LMStudioSandbox, Model
from tests.e2e.test_allowed_models import reply_to
from tests.e2e.test_settings import answer
from tests.support.application import running, settings_for

KEY, COLD = "qwen/qwen3-next-80b", "big/cold-120b"
TWO = ("one/twin-8b", "two/twin-8b")


@pytest.fixture
async def lm() -> AsyncGenerator[LMStudioSandbox, None]:
    """A local LM Studio with one model in memory, one that isn't, and two of nearly one name."""
    cold = [Model(name, loaded=False) for name in (COLD, *TWO)]
    async with LMStudioSandbox([Model(KEY, context_tokens=32_768), *cold]) as sandbox:
        yield sandbox


@pytest.fixture
def owner(discord: DiscordSandbox, channel: Channel) -> Person:
    """Whoever runs the bot, as a manager of the server."""
    assert channel.guild is not None
    channel.guild.add_member(discord.owner, permissions=Permission.MANAGE_GUILD)
    return discord.owner


async def test_in_the_settings_it_is_said_once(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    settings = settings_for(
        discord, lm, tmp_path, LMSTUDIO_MODEL="Unsloth/Qwen3_Next_80B-GGUF:latest"
    )
    async with running(settings):
        replies = [await reply_to(discord, ada, channel) for _ in range(2)]
    told = [f"is listed as `{KEY}`" in reply.content for reply in replies]
    assert told == [True, False]
    assert {one.body["model"] for one in lm.completions} == {KEY}


@pytest.mark.parametrize("name", ["Qwen3 Next 80B", "qwen3-next-80b.gguf", "QWEN3-NEXT-80B:free"])
async def test_a_command_takes_the_listed_name(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
    name: str,
) -> None:
    async with running(settings_for(discord, lm, tmp_path)):
        for command, options in (
            ("model use", {"model": name}),
            ("config set", {"setting": "model", "value": name}),
        ):
            await answer(discord, ada, channel, "config reset", setting="model")
            said = await answer(discord, ada, channel, command, **options)
            assert f"**model** is now `{KEY}`" in said.content
        reply = await reply_to(discord, ada, channel)
        assert "listed as" not in reply.content


async def test_a_name_that_several_have_is_refused_with_theirs(
    discord: DiscordSandbox, lm: LMStudioSandbox, owner: Person, channel: Channel, tmp_path: Path
) -> None:
    async with running(settings_for(discord, lm, tmp_path)):
        for command, options in (
            ("model use", {"model": "twin-8b"}),
            ("config set", {"setting": "model", "value": "Twin_8B"}),
            ("model load", {"model": "twin-8b-q4_k_m"}),
            ("model allow", {"model": "other/twin-8b"}),
        ):
            said = await answer(discord, owner, channel, command, **options)
            assert "`one/twin-8b`, `two/twin-8b`" in said.content
    assert lm.options.counters.loads == 0


def _says(said: Interaction, words: str) -> bool:
    """Tell whether the answer to a command, which may go on, has these words by now."""
    return words in said.content


async def test_owners_load_allow_and_unload_by_a_near_name(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    owner: Person,
    channel: Channel,
    tmp_path: Path,
) -> None:
    async with running(settings_for(discord, lm, tmp_path)):
        for command, shown in (
            ("model allow", "may choose"),
            ("model forbid", "only while it is in memory"),
            ("model allow", "may choose"),
            ("model load", "Loaded."),
            ("model unload", "Unloaded"),
            ("model unload", "isn't in the machine's memory"),
        ):
            said = await answer(discord, owner, channel, command, model="Cold 120B")
            await discord.wait_until(partial(_says, said, shown))
        said = await answer(discord, ada, channel, "model use", model="cold_120b")
        assert f"**model** is now `{COLD}`" in said.content
    assert lm.options.counters.loads == lm.options.counters.unloads == 1


async def test_the_list_of_allowed_models_may_name_them_nearly(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    settings = settings_for(
        discord, lm, tmp_path, CLAWBOT_LMSTUDIO__ALLOWED_MODELS="Cold-120B-GGUF"
    )
    async with running(settings):
        said = await answer(discord, ada, channel, "model use", model=COLD)
        assert f"**model** is now `{COLD}`" in said.content
        await reply_to(discord, ada, channel)
    assert lm.completions[-1].body["model"] == COLD
