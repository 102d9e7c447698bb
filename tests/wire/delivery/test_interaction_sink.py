"""What the sink of a slash command says to Discord."""

from __future__ import annotations

import asyncio
from typing import Any

import discord

from bot.core.domain import QuestionId, UserId
from bot.core.ports import Controls, TextFile
from cogs._sink import TOKEN_VALID_S, InteractionSink
from sandbox.discord import Fault, Interaction, Permission
from tests.wire.delivery.helpers import MESSAGE, MESSAGES, SUPPRESS_EMBEDS, DiscordRig, discord_rig

STOP = Controls(QuestionId(1), UserId(2), stop=True)
LINK = "see https://example.org/?q=1 @everyone"
WEBHOOK = "/webhooks/"


async def _ask(here: DiscordRig) -> tuple[Interaction, InteractionSink]:
    """Use a slash command and defer it; return what Ada sees and the sink."""
    taken: asyncio.Queue[discord.Interaction[Any]] = asyncio.Queue()

    @here.tree.command(name="ask", description="Ask")
    async def _command(interaction: discord.Interaction[Any]) -> None:
        await interaction.response.defer()
        taken.put_nowait(interaction)

    await here.tree.sync()
    used = await here.ada.slash(here.channel, "ask")
    return used, here.interaction_sink(await taken.get())


async def test_the_deferred_response_becomes_the_answer() -> None:
    async with discord_rig(online=True) as here:
        used, sink = await _ask(here)
        message_id = await sink.send(LINK, nonce="1-r-0", is_reply=True, controls=STOP)
        await sink.edit(message_id, LINK + " more")
        assert used.content == LINK + " more"
        assert [button["label"] for button in used.messages[0].buttons] == ["Stop"]
        assert used.messages[0].previews == []
        patches = [each for each in here.sandbox.requests_to("PATCH") if WEBHOOK in each.path]
        assert len(patches) == 2
        for request in patches:
            assert request.body["allowed_mentions"] == {"parse": []}
            assert request.body["flags"] & SUPPRESS_EMBEDS


async def test_a_callback_that_discord_answers_without_a_body_counts_as_given() -> None:
    async with discord_rig(online=True) as here:
        fault = Fault(method="POST", route="/callback", when="after", status=204)
        here.sandbox.faults.add(fault)
        used, sink = await _ask(here)
        await sink.send("One.", nonce="1-r-0", is_reply=True)
        assert (used.content, fault.played) == ("One.", 1)


async def test_further_messages_go_to_the_channel_with_a_nonce() -> None:
    async with discord_rig(online=True) as here:
        _, sink = await _ask(here)
        await sink.send("One.", nonce="1-r-0", is_reply=True)
        file = TextFile("answer.md", "all")
        await sink.send("Two.", nonce="1-r-1", file=file)
        (create,) = here.sandbox.requests_to("POST", MESSAGES)
        assert create.body["nonce"] == "1-r-1"
        assert here.bot_messages()[-1].content == "Two."


async def test_where_the_bot_may_not_post_follow_ups_do() -> None:
    async with discord_rig(online=True) as here:
        here.channel.overwrite(here.sandbox.bot_user, deny=Permission.SEND_MESSAGES, is_member=True)
        used, sink = await _ask(here)
        await sink.send("One.", nonce="1-r-0", is_reply=True)
        message_id = await sink.send("Two.", nonce="1-r-1")
        await sink.edit(message_id, "Two!")
        assert [message.content for message in used.messages] == ["One.", "Two!"]
        assert here.sandbox.requests_to("POST", MESSAGES) == []
        await sink.delete(message_id)
        assert [message.content for message in used.messages if not message.deleted_at] == ["One."]


async def test_the_channel_takes_over_when_the_interaction_has_expired() -> None:
    async with discord_rig(online=True) as here:
        used, sink = await _ask(here)
        message_id = await sink.send("One.", nonce="1-r-0", is_reply=True)
        await here.clock.sleep(TOKEN_VALID_S + 1)
        await sink.edit(message_id, "One and more.")
        await sink.typing()
        assert used.content == "One and more."
        assert len(here.sandbox.requests_to("PATCH", MESSAGE)) == 1


async def test_the_channel_takes_over_when_discord_forgets_the_interaction() -> None:
    async with discord_rig(online=True) as here:
        _, sink = await _ask(here)
        here.sandbox.faults.refuse(10015, "PATCH", WEBHOOK)
        await sink.send("Late.", nonce="1-r-0", is_reply=True)
        assert here.bot_messages()[-1].content == "Late."


async def test_deleting_the_response_takes_it_back() -> None:
    async with discord_rig(online=True) as here:
        used, sink = await _ask(here)
        message_id = await sink.send("One.", nonce="1-r-0", is_reply=True)
        await sink.typing()
        await sink.delete(message_id)
        assert [message for message in used.messages if not message.deleted_at] == []
        assert here.sandbox.unexpected == []
