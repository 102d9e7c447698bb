"""Memory is the owners': a guild chooses from what is loaded or allowed, and loads nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Fault, LMStudioSandbox, Model
from tests.e2e.test_settings import answer
from tests.support.application import running, settings_for

HERE, COLD = "qwen/qwen3-next-80b", "big/cold-120b"


@pytest.fixture
async def lm() -> AsyncGenerator[LMStudioSandbox, None]:
    """A local LM Studio with one model in memory and one that isn't."""
    async with LMStudioSandbox([Model(HERE), Model(COLD, loaded=False)]) as sandbox:
        yield sandbox


async def reply_to(discord: DiscordSandbox, person: Person, channel: Channel) -> Message:
    """Ask, and wait for the whole answer."""
    asked = await person.mention(channel, "Hello?")
    return await discord.wait_reply(
        asked, until=lambda m: "help you" in m.content and "stop" not in str(m.components)
    )


@pytest.mark.parametrize("jit", [True, False])
async def test_a_manager_cannot_have_a_model_loaded(
    jit: bool,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
) -> None:
    lm.options.jit = jit
    async with running(settings_for(discord, lm, tmp_path)):
        for name, options in (
            ("model use", {"model": COLD}),
            ("model use", {"model": COLD, "scope": "channel"}),
            ("config set", {"setting": "model", "value": "COLD-120B"}),
            ("config set", {"setting": "model", "value": f"{HERE}@q8_0"}),
        ):
            said = await answer(discord, ada, channel, name, **options)
            assert "only whoever runs me may load it" in said.content
        await reply_to(discord, ada, channel)
        said = await answer(discord, ada, channel, "model use", model=HERE)
        assert HERE in said.content
    assert {one.model for one in lm.completions} == {HERE}
    assert lm.options.counters.loads == 0


async def test_a_manager_is_offered_only_what_may_be_chosen(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        made = await ada.autocomplete(channel, "model use", "model", "")
        assert [choice["value"] for choice in made] == [HERE]


@pytest.mark.parametrize(
    ("options", "offered"),
    [
        (("off", "on"), ["auto", "off", "on"]),
        (("low", "medium", "high"), ["auto", "low", "medium", "high"]),
        ((), ["auto"]),
        (None, ["auto", "off", "on", "low", "medium", "high"]),
    ],
)
async def test_config_offers_the_reasoning_that_the_model_has(
    options: tuple[str, ...] | None,
    offered: list[str],
    discord: DiscordSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
) -> None:
    async with (
        LMStudioSandbox([Model(HERE, reasoning_options=options)]) as lm,
        running(settings_for(discord, lm, tmp_path)),
    ):
        made = await ada.autocomplete(channel, "config set", "value", "", setting="reasoning")
        assert [choice["value"] for choice in made] == offered


async def test_a_choice_that_is_no_longer_in_memory_gives_way_to_the_usual_model_and_says_so(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    await lm.load(COLD)
    settings = settings_for(discord, lm, tmp_path, LMSTUDIO_MODEL=HERE)
    async with running(settings):
        await answer(discord, ada, channel, "model use", model=COLD)
        await reply_to(discord, ada, channel)
        assert lm.completions[-1].model == COLD
        lm.unload(COLD)
    loads = lm.options.counters.loads
    async with running(settings):
        reply = await reply_to(discord, ada, channel)
        assert "isn't in memory" in reply.content
    assert lm.completions[-1].model == HERE
    assert lm.options.counters.loads == loads


async def test_what_an_owner_allows_a_server_may_be_chosen_and_loaded(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    assert channel.guild is not None
    channel.guild.add_member(discord.owner)
    channel.guild.open_command("model")
    async with running(settings_for(discord, lm, tmp_path)):
        await answer(discord, discord.owner, channel, "model allow", model=COLD)
        said = await answer(discord, ada, channel, "model use", model=COLD)
        assert "is now" in said.content
        await reply_to(discord, ada, channel)
    assert lm.completions[-1].model == COLD


async def test_what_is_allowed_for_all_may_be_chosen_everywhere(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_LMSTUDIO__ALLOWED_MODELS=COLD)
    async with running(settings):
        said = await answer(discord, ada, channel, "config set", setting="model", value=COLD)
        assert "is now" in said.content


@pytest.mark.parametrize("is_loaded", [True, False])
async def test_what_an_owner_chooses_for_a_server_is_allowed_there_and_loaded_again(
    is_loaded: bool,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
) -> None:
    if is_loaded:
        await lm.load(COLD)
    async with running(settings_for(discord, lm, tmp_path, CLAWBOT_OWNER_IDS=str(ada.id))):
        said = await answer(discord, ada, channel, "model use", model=COLD)
        assert "is now" in said.content
        lm.unload(COLD)
        await reply_to(discord, ada, channel)
    assert lm.completions[-1].model == COLD


async def test_who_can_choose_a_model_is_told_which_would_fit(
    discord: DiscordSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    guild, bob = channel.guild, discord.add_user("Bob")
    assert guild is not None
    for person in (bob, discord.owner):
        guild.add_member(person)
    gib = 2**30
    models = [
        Model(HERE, size_bytes=40 * gib, variants=(f"{HERE}@q8_0", f"{HERE}@q4_k_m")),
        Model("small/loaded", size_bytes=4 * gib),
        Model("small/cold", size_bytes=8 * gib, loaded=False),
        Model(COLD, size_bytes=90 * gib, loaded=False),
    ]
    async with LMStudioSandbox(models) as lm:
        settings = settings_for(discord, lm, tmp_path, CLAWBOT_LMSTUDIO__MEMORY_GIB="24")
        async with running(settings):
            await answer(discord, ada, channel, "model use", model=HERE)
            info = await answer(discord, ada, channel, "model info", model=HERE)
            assert "**`q8_0`** · `q4_k_m` about 21.5 GB (fits" in info.content
            lm.faults.next(Fault.BAD_ALLOC, times=None)
            said = []
            for person in (bob, ada, discord.owner):
                asked = await person.mention(channel, "Hello?")
                reply = await discord.wait_reply(asked, until=lambda m: "too little" in m.content)
                said.append(reply.content)
    bobs, adas, owners = said
    assert "fit" not in bobs
    assert "These would fit: `small/loaded`" in adas
    assert "small/cold" not in adas
    assert f"`{HERE}@q4_k_m` · Q4_K_M · 21.5 GB; `small/cold`" in owners
    assert COLD not in owners
