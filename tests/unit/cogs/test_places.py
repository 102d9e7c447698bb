"""Which channels are looked at for missed mentions."""

from __future__ import annotations

from typing import Any

import discord
import pytest

from bot.chat.backfill import Candidate
from bot.core.domain import ChannelId
from bot.gateway.client import ClawbotClient
from bot.gateway.rest import NO_ACCESS, missing
from cogs import _convert, _gate

READ = str(discord.Permissions(view_channel=True, read_message_history=True, connect=True).value)
NO_CONNECT = [
    {"id": "1", "type": 0, "allow": "0", "deny": str(discord.Permissions(connect=True).value)}
]
VOICE = {"type": 2, "bitrate": 64000, "user_limit": 0, "last_message_id": "500"}
STAGE = {**VOICE, "type": 13}
SELF: dict[str, Any] = {"id": "9", "username": "bot", "discriminator": "0", "avatar": None}


def guild_with(*channels: dict[str, Any]) -> dict[str, Any]:
    """Return a guild as the gateway sends it."""
    everyone = {"id": "1", "name": "@everyone", "permissions": READ, "position": 0}
    member = {"user": SELF, "roles": [], "joined_at": "2026-01-01T00:00:00+00:00", "flags": 0}
    names = {"name": "general", "position": 0, "permission_overwrites": []}
    return {
        "id": "1",
        "name": "Home",
        "owner_id": "5",
        "roles": [everyone],
        "members": [member],
        "channels": [{**names, **channel} for channel in channels],
    }


def made_client(*channels: dict[str, Any]) -> Any:
    """Return a client that knows a guild of these channels."""
    client: Any = ClawbotClient(command_prefix=(), intents=discord.Intents.none())
    state = client._connection  # what the gateway's events are kept in
    state.user = discord.ClientUser(state=state, data=SELF)  # type: ignore[arg-type]
    state._add_guild_from_data(guild_with(*channels))
    return client


async def candidates(*channels: dict[str, Any]) -> list[Candidate]:
    """Return what is looked at in a guild of these channels."""
    found: ClawbotClient = made_client(*channels)
    return _convert.candidates(found, [ChannelId(77)])


async def test_channels_whose_newest_message_discord_does_not_state_are_looked_at() -> None:
    found = await candidates(
        {"id": "10", "type": 0, "last_message_id": "500"},
        {"id": "11", "type": 0, "last_message_id": None},
        {"id": "12", "type": 0},
    )
    newest = {each.place.channel_id: each.last_message_id for each in found}
    assert newest == {10: 500, 11: None, 12: None, 77: None}


async def test_voice_channels_without_messages_are_left_out() -> None:
    voice = {"type": 2, "bitrate": 64000, "user_limit": 0}
    found = await candidates({"id": "10", **voice}, {"id": "11", "last_message_id": "500", **voice})
    assert [each.place.channel_id for each in found] == [11, 77]


@pytest.mark.parametrize("kind", [VOICE, STAGE])
async def test_the_chat_of_a_voice_or_stage_channel_is_looked_at_where_connect_allows_it(
    kind: dict[str, Any],
) -> None:
    found = await candidates(
        {"id": "10", **kind}, {"id": "11", **kind, "permission_overwrites": NO_CONNECT}
    )
    assert [each.place.channel_id for each in found] == [10, 77]


@pytest.mark.parametrize("kind", [VOICE, STAGE])
@pytest.mark.parametrize(
    ("route", "refused"),
    [
        ("GET /channels/{channel_id}/messages", NO_ACCESS),
        ("GET /channels/{channel_id}/messages/{message_id}", NO_ACCESS),
        ("DELETE /channels/{channel_id}/messages/{message_id}", 0),
    ],
)
async def test_without_connect_nothing_is_read_in_a_voice_or_stage_channel(
    kind: dict[str, Any], route: str, refused: int
) -> None:
    client = made_client(
        {"id": "10", **kind}, {"id": "11", **kind, "permission_overwrites": NO_CONNECT}
    )
    assert missing(client.get_channel(10), route, has_files=False) == 0
    assert missing(client.get_channel(11), route, has_files=False) == refused


@pytest.mark.parametrize("kind", [VOICE, STAGE])
async def test_who_may_not_connect_reads_nothing_in_a_voice_or_stage_channel(
    kind: dict[str, Any],
) -> None:
    client = made_client(
        {"id": "10", **kind}, {"id": "11", **kind, "permission_overwrites": NO_CONNECT}
    )
    guild = client.get_guild(1)
    channels = [guild.get_channel(number) for number in (10, 11)]
    assert [_gate.may_read(guild, each, 20, ()) for each in channels] == [True, False]


@pytest.mark.parametrize(("stated", "read"), [({}, True), ({"app_permissions": "1024"}, False)])
async def test_permissions_that_discord_does_not_state_are_computed(
    stated: dict[str, str], read: bool
) -> None:
    client = made_client({"id": "10", "type": 0})
    payload: Any = {
        "id": "2000",
        "type": 2,
        "token": "planted",
        "version": 1,
        "application_id": "9",
        "attachment_size_limit": 1,
        "guild_id": "1",
        "channel": {"id": "10", "type": 0},
        **stated,
    }
    interaction: Any = discord.Interaction(data=payload, state=client._connection)
    permissions = _gate.own_permissions(interaction)
    assert permissions.view_channel
    assert permissions.read_message_history is read
