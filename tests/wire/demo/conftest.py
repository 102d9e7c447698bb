"""A demo whose bot never comes, its page's server, and a tab."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.demo.page.server import PageServer
from bot.demo.world import Demo
from tests.sandbox.discord.clients import Rest, rest_of
from tests.support.page import TabClient, demo_without_bot, opened_tab


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with demo_without_bot() as opened:
        yield opened


@pytest.fixture
async def server(demo: Demo) -> AsyncIterator[PageServer]:
    async with PageServer(demo) as opened:
        yield opened


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def tab(server: PageServer, session: aiohttp.ClientSession) -> AsyncIterator[TabClient]:
    async with opened_tab(server, session) as opened:
        yield opened


@pytest.fixture
async def rest(demo: Demo) -> AsyncIterator[Rest]:
    """What the bot would send."""
    async with rest_of(demo.discord) as client:
        yield client
