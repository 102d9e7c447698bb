"""Several processes with one database: one answers, the others take over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from discord.http import Route

from bot.app import ClawbotTree, plugged
from bot.cluster.hold import GIVE_UP_S, SURE_S
from bot.core.clock import SystemClock
from bot.core.errors import DependencyError, StoreError
from bot.core.tasks import end_tasks
from bot.diagnostics.storage import probe_database
from bot.diagnostics.values import Status
from bot.gateway.client import ClawbotClient, intents_for
from bot.gateway.endpoints import discord_endpoints
from bot.storage import postgres
from bot.storage.database import open_database
from bot.storage.engine import parse_location
from bot.storage.lease import Leader, LeaseSession, Mode, check_term
from config.settings import Settings
from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import LMStudioSandbox, Model, Timing
from tests.postgres.server import PostgresServer
from tests.prometheus.server import free_port
from tests.support.application import environment_between, settings_for
from tests.support.clock import FakeClock
from tests.support.links import proxy
from tests.support.process import START_S, clawbot, logged

ANSWER = " ".join(["All eleven ships answered before noon."] * 10) + " The end."


Connect = Callable[[], LeaseSession]
END_THE_HOLDER = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND mode = 'ExclusiveLock'"
)


@pytest.fixture
def connect(location: str) -> Iterator[Connect]:
    """Makes sessions, not connected yet, which are closed however the test ends."""
    made: list[LeaseSession] = []

    def make() -> LeaseSession:
        made.append(LeaseSession(location))
        return made[-1]

    yield make
    for session in made:
        session.close()


async def answered(url: str) -> bytes:
    """Return what a route says with status 200."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        return await response.read()


async def test_one_session_holds_the_database_and_the_next_takes_it(
    location: str, connect: Connect
) -> None:
    assert (await probe_database(location)).cause == "The database server answers."
    first, second = connect(), connect()
    first.open()
    second.open()
    assert first.take()
    second.wait()
    assert not second.take()
    assert (first.look().is_own, first.look().waiting) == (True, 1)
    assert not second.look().is_own
    found = await probe_database(location)
    assert (found.status, "one waits" in found.cause) == (Status.OK, True)
    first.close()
    await _until(second.take)  # the server frees the lock once it sees that the session is gone
    assert (second.look().is_own, second.look().waiting) == (True, 0)


async def test_a_session_that_was_given_up_connects_no_more(
    server: PostgresServer, location: str, connect: Connect
) -> None:
    session = connect()
    session.close()
    with pytest.raises(StoreError):
        session.open()
    with server.connection() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'DATABASE'"
        count = connection.exec_driver_sql(query.replace("DATABASE", location.rpartition("/")[2]))
        assert count.scalar() == 0


async def test_a_leader_of_an_earlier_term_writes_nothing(
    location: str, clock: FakeClock, connect: Connect
) -> None:
    old, new = Leader(1, Mode.SHARED), Leader(2, Mode.SHARED)
    session = connect()
    session.open()
    assert session.leader() is None
    faults: list[int] = []
    async with open_database(
        location, clock, guard=lambda c: check_term(c, old), on_fault=lambda: faults.append(1)
    ) as database:
        await database.write(lambda _: None)
        assert session.leader() == old
        session.note(new)
        try:
            await database.write(lambda _: None)
        except StoreError:
            faults.append(2)
    assert faults == [1, 2]
    session.note(old)
    assert session.leader() == new


async def test_a_leader_that_stands_still_while_it_writes_holds_nobody_up(
    location: str, connect: Connect
) -> None:
    async with open_database(location, SystemClock()):
        pass  # the tables
    session = connect()
    session.open()
    with postgres.build_engine(parse_location(location)).connect() as connection:
        session.note(Leader(1, Mode.SHARED))
        check_term(connection, Leader(1, Mode.SHARED))
        for _ in range(4):  # a lock is waited for 3 s; the open transaction lasts 4 s
            with suppress(StoreError):
                session.note(Leader(2, Mode.SHARED))
                break
            session = connect()
            session.open()
        assert session.leader() == Leader(2, Mode.SHARED)
        connection.invalidate()


async def test_each_question_is_answered_once_though_leaders_die_and_are_cut_off(
    server: PostgresServer, location: str, tmp_path: Path
) -> None:
    timing = Timing(prefill_tokens_s=4000, generation_tokens_s=12)
    is_cut = False
    async with (
        DiscordSandbox() as discord,
        LMStudioSandbox([Model("qwen/qwen3-4b", parallel=4)], timing) as lm,
        proxy(server.port, delay=lambda _: 3600.0 if is_cut else 0.0) as way,
    ):
        ada = discord.add_user("Ada")
        channel = discord.add_guild("Home", owner=ada).add_channel("general")
        lm.answer(ANSWER)

        def environment(name: str, url: str) -> dict[str, str]:
            return environment_between(discord, lm, tmp_path / name, CLAWBOT_DATABASE_URL=url)

        def shown(count: int, words: str) -> bool:
            messages = discord.bot_messages
            return len(messages) == count and words in messages[-1].content

        cut_off = location.replace(f":{server.port}/", f":{way}/")
        async with clawbot(folder=tmp_path, environment=environment("a", location)) as first:
            await logged(first, b"online as")
            address = f"127.0.0.1:{free_port()}"
            settings = {**environment("b", cut_off), "CLAWBOT_METRICS_ADDR": address}
            async with clawbot(folder=tmp_path, environment=settings) as second:
                await logged(second, b"this one waits")
                assert b"waits to take over" in await answered(f"http://{address}/readyz")
                assert b"clawbot_leader 0.0" in await answered(f"http://{address}/metrics")
                await ada.mention(channel, "How many ships answered?")
                await discord.wait_until(lambda: shown(1, "eleven"))
                first.kill()
                await logged(second, b"online as")
                await discord.wait_until(lambda: shown(1, "The end."), timeout_s=40)
                async with clawbot(
                    folder=tmp_path, environment=environment("d", location)
                ) as fourth:
                    await logged(fourth, b"this one waits")
                    await ada.mention(channel, "And in the evening?")
                    await discord.wait_until(lambda: shown(2, "eleven"))
                    is_cut = True
                    await logged(fourth, b"online as")
                    await logged(second, b"can't be sure")
                    await discord.wait_until(lambda: shown(2, "The end."), timeout_s=40)
                    await _until(lambda: _outcomes(server, location) == ["delivered"] * 2)


def _outcomes(server: PostgresServer, location: str) -> list[str | None]:
    """How the journal says that the questions ended; those that are open have no outcome."""
    with server.connection(location) as connection:
        stored = connection.exec_driver_sql("SELECT state, outcome FROM questions").all()
    return [outcome if state == "closed" else None for state, outcome in stored]


async def _until(condition: Callable[[], bool]) -> None:
    """Ask another program again and again, which announces nothing."""
    async with asyncio.timeout(START_S):
        while not condition():  # noqa: ASYNC110 - nothing here can set an event
            await asyncio.sleep(0.02)


async def _ask_for_ever(bot: ClawbotClient, leader: LeaseSession) -> None:
    """Make requests while another process leads, which looks after its hold meanwhile."""
    looking = asyncio.create_task(_until(lambda: not leader.look().is_own))
    try:
        while not looking.done():
            await bot.http.request(Route("GET", "/users/@me"))
            await asyncio.sleep(0.02)
    finally:
        await end_tasks(looking)


async def test_a_bot_of_somebody_elses_asks_discord_nothing_without_the_lead_and_ends(
    server: PostgresServer, location: str, tmp_path: Path, connect: Connect
) -> None:
    other = connect()

    async def run_and_lose_the_lead(discord: DiscordSandbox, settings: Settings) -> None:
        bot = ClawbotClient(
            command_prefix=(), intents=intents_for(message_content=True), tree_cls=ClawbotTree
        )
        async with bot, plugged(bot, settings):
            await bot.login(discord.token)
            other.open()  # not before: the server ends a session that stands still for some seconds
            other.wait()
            await _until(lambda: other.leader() == Leader(1, Mode.SHARED))
            with server.connection(location) as connection:
                connection.exec_driver_sql(END_THE_HOLDER)
            await _until(other.take)
            await _ask_for_ever(bot, other)

    async with DiscordSandbox() as discord, LMStudioSandbox([Model("qwen/qwen3-4b")]) as lm:
        settings = settings_for(discord, lm, tmp_path, CLAWBOT_DATABASE_URL=location)
        with discord_endpoints(settings.discord):
            with pytest.raises(DependencyError, match="taken over"):
                await run_and_lose_the_lead(discord, settings)
            assert time.monotonic() - discord.requests[-1].at > GIVE_UP_S - SURE_S - 1
