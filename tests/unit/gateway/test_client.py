"""The loop that takes the gateway's events in."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from operator import eq
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
from discord.gateway import DiscordWebSocket
from pydantic import SecretStr

from bot.chat.backfill import ALIVE, ALIVE_MARGIN_S, Backfill
from bot.core.errors import ConfigurationError
from bot.gateway.client import LEFT_THREADS, ClawbotClient
from bot.gateway.connection import GatewayClient, Shard
from bot.gateway.reconnect import Governor, IdentifyTurns
from bot.gateway.replay import SESSION, left_session
from bot.ops.metrics import Metrics
from config.settings import DiscordSettings
from tests.support.chat import FakeJournal
from tests.support.clock import FakeClock, settle
from tests.support.conversation import FakeSources
from tests.support.state import FakeState

EVENTS = 50


class FullSocket:
    """A gateway connection whose events have all arrived: reading one never waits.

    Attributes:
        begun: How many events' work had begun when each event was read.
    """

    session_id, sequence, gateway = "s", 1, "wss://gateway.example"

    def __init__(self) -> None:
        self.begun: list[int] = []
        self._begun = 0

    async def poll_event(self) -> None:
        """Read an event, which begins work as discord.py does: in a task."""
        self.begun.append(self._begun)
        if len(self.begun) > EVENTS:
            raise discord.ConnectionClosed(
                cast("Any", SimpleNamespace(close_code=4004)), shard_id=0
            )
        self._work = asyncio.create_task(self._event())

    async def _event(self) -> None:
        self._begun += 1


def a_client(clock: FakeClock, shards: int = 1, **services: object) -> GatewayClient:
    """Return a client that isn't connected, with these services only."""
    return GatewayClient(
        DiscordSettings(token=SecretStr("t"), shards=shards),
        clock,
        Metrics(),
        Governor(clock, identifies_per_day=200),
        discord.app_commands.CommandTree,
        lambda _: cast("Any", SimpleNamespace(clock=clock, **services)),
    )


@pytest.mark.parametrize("is_first_start", [True, False])
async def test_each_fresh_session_is_remembered_before_its_first_message_is_dealt_with(
    clock: FakeClock, is_first_start: bool
) -> None:
    state = FakeState()
    if not is_first_start:
        await state.set(ALIVE, clock.now().timestamp())
    sources, journal = FakeSources(), FakeJournal()
    backfill = Backfill(sources, journal, state, clock, timedelta(hours=1))
    source = SimpleNamespace(session_lost=lambda: None)
    client = a_client(clock, state=state, backfill=backfill, source=source)
    for name in ("one", "two"):
        socket = FullSocket()
        socket.session_id = name
        client._shards[0].ws = client.ws = cast("Any", socket)
        await client.on_connect()
        left = left_session(state.get(SESSION))
        assert left is not None
        assert left.id == name


async def test_the_session_that_was_left_is_given_up_once_the_next_is_really_stored(
    clock: FakeClock,
) -> None:
    state = FakeState()
    backfill = Backfill(FakeSources(), FakeJournal(), state, clock, timedelta(hours=1))
    source = SimpleNamespace(session_lost=lambda: None)
    client = a_client(clock, state=state, backfill=backfill, source=source)
    client._shards[0].ws = client.ws = cast("Any", FullSocket())
    state.fails = True
    await client.on_connect()
    assert not client._is_remembered.is_set()
    state.fails = False
    await clock.advance(2 * ALIVE_MARGIN_S)
    await client.keep_session()
    assert client._is_remembered.is_set()


async def test_another_shards_session_says_nothing_of_what_the_first_was_told_just_now(
    clock: FakeClock,
) -> None:
    """It may not be stored yet: after a kill it is to be replayed."""
    state = FakeState()
    backfill = Backfill(FakeSources(), FakeJournal(), state, clock, timedelta(hours=1))
    source = SimpleNamespace(session_lost=lambda: None)
    client = a_client(clock, state=state, backfill=backfill, source=source)
    socket = FullSocket()
    client._shards[0].ws = client.ws = cast("Any", socket)
    await client.on_connect()
    socket.sequence = 7
    await client.on_connect()
    left = left_session(state.get(SESSION))
    assert left is not None
    assert left.sequence == 1


async def test_all_servers_are_known_once_each_shard_has_told_those_of_its_session(
    clock: FakeClock,
) -> None:
    client = a_client(clock, shards=2)
    client._split(2)
    client._held = frozenset({0, 1})
    for number, knows_all in ((0, False), (1, True)):
        await client.on_shard_ready(number)
        assert client.knows_all() is knows_all
    client._begin_session(lambda _: None, {"shard": [1, 2]})
    assert not client.knows_all()
    await client.on_shard_ready(1)
    assert client.knows_all()
    assert a_client(clock).knows_all(), "one alone tells of all"


async def test_a_shard_that_comes_while_another_learns_its_servers_leaves_that_one_alone(
    clock: FakeClock,
) -> None:
    backfill = Backfill(FakeSources(), FakeJournal(), FakeState(), clock, timedelta(hours=1))
    source = SimpleNamespace(session_lost=lambda: None)
    client = a_client(clock, shards=2, state=FakeState(), backfill=backfill, source=source)
    await client._async_setup_hook()
    client._split(2)
    user = {"id": "1", "username": "Clawbot", "discriminator": "0001", "avatar": None}
    for held in ([0], [0, 1]):
        client._held, cast("Any", client._connection).shard_ids = frozenset(held), held
        ready = {"shard": [held[-1], 2], "user": user, "guilds": []}
        client._connection.parsers["READY"](ready)
        await settle()  # the wait for its servers, of half a second, has begun
    async with asyncio.timeout(30):
        await asyncio.gather(
            client.wait_for("ready"),
            *(client.wait_for("shard_ready", check=partial(eq, number)) for number in (0, 1)),
        )
    assert client.knows_all()
    assert client.sessions == 1


async def test_work_on_each_event_begins_before_the_next_is_read(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = FullSocket()

    async def connected(*_: object, **__: object) -> FullSocket:
        return socket

    monkeypatch.setattr(DiscordWebSocket, "from_client", connected)
    shard = Shard(
        a_client(clock), None, Governor(clock, identifies_per_day=9), IdentifyTurns(clock)
    )
    with pytest.raises(ConfigurationError, match="refused the bot token"):
        await shard.connect()
    assert socket.begun == list(range(EVENTS + 1))


def test_of_threads_that_the_bot_was_removed_from_the_latest_are_remembered() -> None:
    client = ClawbotClient(command_prefix=(), intents=discord.Intents.none())
    for thread_id in range(LEFT_THREADS + 1):
        client.left_threads[thread_id] = None
    assert set(client.left_threads) == set(range(1, LEFT_THREADS + 1))
