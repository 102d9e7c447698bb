"""Questions by command or message menu: stored first, acknowledged in time, answered in place."""

from __future__ import annotations

import discord

from bot.core.domain import MessageId, Origin, Question, QuestionId
from bot.gateway.client import Interaction
from cogs import _convert, _respond
from cogs._sink import InteractionSink, response_to


async def ask(
    interaction: Interaction,
    prompt: str,
    *,
    origin: Origin,
    fresh: bool = False,
    about: discord.Message | None = None,
    since: discord.Message | None = None,
) -> None:
    """Take a question that is asked by interaction.

    Args:
        interaction: Fresh.
        prompt: What is asked.
        origin: Where the question comes from.
        fresh: Start afresh, without the conversation before.
        about: The message that it is about.
        since: Give the model everything from this message on.

    Raises:
        AdmissionError: Not now; nothing was answered yet.
    """
    client, place = interaction.client, _convert.interaction_place(interaction)
    clock, response = client.services.clock, response_to(interaction, place)
    question = Question(
        id=QuestionId(interaction.id),
        origin=origin,
        place=place,
        asker=_convert.person(interaction.user),
        text=prompt,
        asked_at=interaction.created_at,
        about_id=MessageId(about.id) if about is not None else None,
        since_id=MessageId(since.id) if since is not None else None,
        fresh=fresh,
        response=response,
    )
    sink = InteractionSink(client, response, place, clock)
    async with _respond.in_time(interaction, clock) as acknowledgement:
        await client.services.chat.submit(question, sink, acknowledge=acknowledgement.give)
