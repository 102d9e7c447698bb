"""An interaction is answered where its first sign went, also when nobody knows whether that came."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
import pytest

from cogs import _respond
from sandbox.discord import Interaction
from tests.wire.delivery.helpers import DiscordRig, discord_rig

CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"
SENTENCE = "Too many questions are waiting."


async def _use(here: DiscordRig) -> tuple[Interaction, discord.Interaction[Any]]:
    """Use a slash command; return what Ada sees and what the bot has got."""
    taken: asyncio.Queue[discord.Interaction[Any]] = asyncio.Queue()

    @here.tree.command(name="ask", description="Ask")
    async def _command(interaction: discord.Interaction[Any]) -> None:
        taken.put_nowait(interaction)

    await here.tree.sync()
    used = await here.ada.slash(here.channel, "ask")
    return used, await taken.get()


@pytest.mark.parametrize("is_hanging", [True, False])
async def test_a_refusal_is_read_where_the_confirmation_of_the_sign_was_lost(
    is_hanging: bool,
) -> None:
    async with discord_rig(online=True) as here:
        used, interaction = await _use(here)
        faults = here.sandbox.faults
        if is_hanging:
            faults.hang("POST", "/callback", after_commit=True)
        else:
            faults.reset("POST", "/callback", after_commit=True, times=1)
        await _respond.Acknowledgement(interaction, within_s=0.3).give()
        await _respond.say(interaction, SENTENCE)
        assert used.content == SENTENCE
        assert used.message is not None
        assert not used.message.loading


async def test_an_answer_goes_into_a_response_whose_confirmation_was_lost() -> None:
    async with discord_rig(online=True) as here:
        used, interaction = await _use(here)
        here.sandbox.faults.reset("POST", "/callback", after_commit=True)
        await _respond.Acknowledgement(interaction).give()
        await here.interaction_sink(interaction).send("Light.", nonce="1-r-0", is_reply=True)
        assert used.content == "Light."
        assert here.bot_messages() == [used.message]


async def test_a_refusal_waits_for_a_sign_that_is_under_way_and_none_comes_after_it() -> None:
    async with discord_rig(online=True) as here:
        used, interaction = await _use(here)
        fault = here.sandbox.faults.delay("POST", "/callback", delay_s=0.2)
        sign = _respond.Acknowledgement(interaction)
        giving = asyncio.create_task(sign.give())
        await here.sandbox.wait_until(lambda: fault.played)
        await sign.settle()
        await _respond.say(interaction, SENTENCE)
        await asyncio.gather(giving, sign.give())
        assert used.content == SENTENCE
        assert len(here.sandbox.requests_to("POST", CALLBACK)) == 1
