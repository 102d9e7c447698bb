"""A diagnosis's turn at the model: in the queue, and counted, like a question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from secrets import randbits
from typing import Final

import discord

from bot.core.domain import ChannelId, GuildId, QuestionId, UserId
from bot.core.errors import QueueError
from bot.diagnostics.walk import PATIENCE_S
from bot.gateway.client import ClawbotClient
from bot.queue.scheduler import Job
from cogs import _gate

PROMPT_TOKENS, COST_TOKENS = 600, 640
"""Size of the longer of the two completions, with a chat template around it."""
BUSY = (
    "Not tried, because all slots are taken: {running} being answered, {waiting} waiting. "
    "Questions go first."
)

_TURNS: Final = count(1 + randbits(60))
"""Numbers of turns: a diagnosis takes one at each server. Messages have positive ids, and other processes
with the same slots other numbers."""


def refusal(interaction: discord.Interaction[ClawbotClient]) -> str:
    """Count a diagnosis as a question; return the sentence for who asks too often, or nothing."""
    client = interaction.client
    person_id = UserId(interaction.user.id)
    if person_id in _gate.owner_ids(client):
        return ""
    guild_id = None if interaction.guild_id is None else GuildId(interaction.guild_id)
    return client.services.limiter.take(person_id, guild_id)


@asynccontextmanager
async def turn(interaction: discord.Interaction[ClawbotClient], model: str) -> AsyncIterator[str]:
    """Hold one of the model's slots for a few tokens; gives a sentence when there is none.

    While the model counts as away nothing is being answered, so there is no slot to wait for, and
    what is wrong with it is what the person wants to know.

    Args:
        interaction: Of the person in whose name the queue is joined.
        model: The model's key.
    """
    services = interaction.client.services
    if not services.backend.is_available():
        yield ""
        return
    entries = services.scheduler.entries
    running = sum(each.place is None for each in entries)
    busy = BUSY.format(running=running, waiting=len(entries) - running)
    job = Job(
        question_id=QuestionId(-next(_TURNS)),
        person_id=UserId(interaction.user.id),
        channel_id=ChannelId(interaction.channel_id or 0),
        guild_id=None if interaction.guild_id is None else GuildId(interaction.guild_id),
        prompt_tokens=PROMPT_TOKENS,
        cost_tokens=COST_TOKENS,
        model=model,
    )
    try:
        ticket = services.scheduler.submit(job)
    except QueueError:
        yield busy
        return
    refused = busy
    try:
        with suppress(QueueError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await ticket.wait()
            refused = ""
        yield refused
    finally:
        ticket.cancel()
