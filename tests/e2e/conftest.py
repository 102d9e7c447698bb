"""The sandbox's two servers, for every end-to-end test."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox, Model


@pytest.fixture
async def discord() -> AsyncGenerator[DiscordSandbox, None]:
    """A local Discord; at the end, nothing may have been asked that Discord doesn't know."""
    async with DiscordSandbox() as sandbox:
        yield sandbox
    assert sandbox.unexpected == []


@pytest.fixture
async def lm() -> AsyncGenerator[LMStudioSandbox, None]:
    """A local LM Studio with one loaded model and four slots."""
    model = Model("qwen/qwen3-next-80b", context_tokens=8192, parallel=4)
    async with LMStudioSandbox([model]) as sandbox:
        yield sandbox


@pytest.fixture
def ada(discord: DiscordSandbox) -> Person:
    """Owner of the guild, not of the bot."""
    return discord.add_user("Ada")


@pytest.fixture
def channel(discord: DiscordSandbox, ada: Person) -> Channel:
    """The guild's only channel."""
    return discord.add_guild("Home", owner=ada).add_channel("general")
