"""What Discord may leave out of a message is no reason not to read it."""

from __future__ import annotations

from typing import Any

import discord
import pytest

from cogs import _convert

MESSAGE: dict[str, Any] = {
    "id": "1000",
    "channel_id": "7",
    "author": {"id": "5", "username": "ada", "discriminator": "0", "avatar": None},
    "content": "<@9> hello",
    "timestamp": "2026-01-01T00:00:00+00:00",
    "edited_timestamp": None,
    "type": 0,
    "mentions": [{"id": "9", "username": "bot", "discriminator": "0", "avatar": None}],
    "mention_roles": [],
    "components": [],
}


async def read(payload: dict[str, Any]) -> Any:
    """Return a message's plain value from what Discord sent."""
    client = discord.Client(intents=discord.Intents.none())
    channel = client.get_partial_messageable(7)
    state = client._connection
    return _convert.message(discord.Message(state=state, channel=channel, data=payload))  # type: ignore[arg-type]


@pytest.mark.parametrize("absent", ["components", "mention_roles"])
async def test_a_list_that_discord_leaves_out_is_empty(absent: str) -> None:
    message = await read({name: value for name, value in MESSAGE.items() if name != absent})
    assert message == await read(MESSAGE)
    assert message.mentioned_ids == {9}


async def test_a_message_without_mentions_mentions_nobody() -> None:
    message = await read({name: value for name, value in MESSAGE.items() if name != "mentions"})
    assert message.mentioned_ids == frozenset()
    assert message.text == "<@9> hello"


@pytest.mark.parametrize(
    "odd",
    [
        {"embeds": [{"fields": None}]},
        {"embeds": [{"author": "x"}]},
        {"sticker_items": [{"id": "1", "name": None, "format_type": 1}]},
        {
            "attachments": [
                {"id": "1", "filename": "a", "size": None, "url": None, "proxy_url": None}
            ]
        },
    ],
    ids=str,
)
async def test_a_part_of_another_form_costs_no_words(odd: dict[str, Any]) -> None:
    assert await read(MESSAGE | odd) == await read(MESSAGE)


async def test_a_file_without_a_name_has_one() -> None:
    file = {"id": "1", "filename": None, "size": 5, "url": "https://x/a", "proxy_url": ""}
    (found,) = (await read(MESSAGE | {"attachments": [file]})).attachments
    assert found.filename == "None"
