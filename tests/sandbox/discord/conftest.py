"""A sandbox with a guild, a channel and two people."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sandbox.discord import Channel, DiscordSandbox, Guild, Person
from tests.sandbox.discord.clients import Rest, rest_of


@pytest.fixture
async def discord() -> AsyncIterator[DiscordSandbox]:
    async with DiscordSandbox(buckets=False) as sandbox:
        yield sandbox


@pytest.fixture
async def rest(discord: DiscordSandbox) -> AsyncIterator[Rest]:
    async with rest_of(discord) as client:
        yield client


@pytest.fixture
def guild(discord: DiscordSandbox) -> Guild:
    return discord.add_guild("Home")


@pytest.fixture
def channel(guild: Guild) -> Channel:
    return guild.add_channel("general")


@pytest.fixture
def ada(discord: DiscordSandbox, guild: Guild) -> Person:
    person = discord.add_user("Ada")
    guild.add_member(person)
    return person
