"""The bot ends in order whatever it is waiting for: log-in, commands, gateway, LM Studio, disk."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from bot import app
from bot.core.tasks import end_tasks
from sandbox.discord import DiscordSandbox, Fault
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import environment_between, running, settings_for
from tests.support.process import START_S, clawbot, ended, logged

STOPS = (signal.SIGTERM, signal.SIGINT)


def is_asked(discord: DiscordSandbox, method: str, path: str) -> Callable[[], bool]:
    """Return a condition: a request has reached Discord."""
    return lambda: any(r.method == method and path in r.path for r in discord.requests)


def wait_for_file(path: Path) -> None:
    """Wait until another process has made a file; it is looked for, since nothing announces it."""
    until_s = time.monotonic() + START_S
    while not path.exists():
        assert time.monotonic() < until_s, f"{path.name} was never made"
        time.sleep(0.01)


@pytest.mark.parametrize("number", STOPS)
async def test_a_signal_ends_the_bot_while_discord_cant_be_reached(
    lm: LMStudioSandbox, discord: DiscordSandbox, tmp_path: Path, number: signal.Signals
) -> None:
    environment = environment_between(discord, lm, tmp_path / "data")
    environment["CLAWBOT_DISCORD_API_BASE"] = "http://127.0.0.1:9/api/v10"
    async with clawbot("run", folder=tmp_path, environment=environment) as process:
        await logged(process, b"can't log in to Discord yet")
        process.send_signal(number)
        done = await ended(process)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/users/@me"), ("PUT", "/commands"), ("GET", "/gateway/bot")],
)
async def test_a_signal_ends_the_bot_while_a_request_hangs(
    lm: LMStudioSandbox, discord: DiscordSandbox, tmp_path: Path, method: str, path: str
) -> None:
    discord.faults.add(Fault(method=method, route=path, times=9, hang=True))
    environment = environment_between(discord, lm, tmp_path / "data")
    async with clawbot("run", folder=tmp_path, environment=environment) as process:
        await discord.wait_until(is_asked(discord, method, path))
        process.send_signal(signal.SIGTERM)
        done = await ended(process)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err


async def test_a_signal_ends_the_bot_while_the_gateway_refuses_it(
    lm: LMStudioSandbox, discord: DiscordSandbox, tmp_path: Path
) -> None:
    discord.faults.refuse_connections = -1
    environment = environment_between(discord, lm, tmp_path / "data")
    async with clawbot("run", folder=tmp_path, environment=environment) as process:
        await logged(process, b"the gateway connection failed")
        process.send_signal(signal.SIGTERM)
        done = await ended(process)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err


async def test_a_signal_ends_the_bot_while_another_program_holds_the_database(
    lm: LMStudioSandbox, discord: DiscordSandbox, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    environment = environment_between(discord, lm, data)
    with closing(sqlite3.connect(data / "clawbot.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with clawbot("run", folder=tmp_path, environment=environment) as process:
            await asyncio.to_thread(wait_for_file, data / "clawbot.lock")
            process.send_signal(signal.SIGTERM)
            done = await ended(process)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err


async def test_a_signal_ends_the_bot_while_lmstudio_is_away_and_a_question_waits(
    lm: LMStudioSandbox, discord: DiscordSandbox, tmp_path: Path
) -> None:
    await lm.stop()
    ada = discord.add_user("Ada")
    channel = discord.add_guild("Home", owner=ada).add_channel("general")
    environment = environment_between(discord, lm, tmp_path / "data")
    async with clawbot("run", folder=tmp_path, environment=environment) as process:
        await discord.wait_online(timeout_s=START_S)
        asked = await ada.mention(channel, "Are you there?")
        await discord.wait_reply(asked)
        process.send_signal(signal.SIGTERM)
        done = await ended(process)
    assert done.code == 0, done.err
    assert "restarted" in discord.bot_messages[0].content


async def test_a_command_that_is_being_worked_on_at_the_end_is_no_failure(
    lm: LMStudioSandbox, discord: DiscordSandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ada = discord.add_user("Ada")
    channel = discord.add_guild("Home", owner=ada).add_channel("general")
    async with running(settings_for(discord, lm, tmp_path / "data")):
        await lm.blackhole()
        looking = await ada.slash(channel, "diag network")
        await looking.wait_response()
    assert looking.content.startswith("I was stopped before I was done with this.")
    await asyncio.sleep(0)  # the steps that would still come
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []
    assert not [each for each in asyncio.all_tasks() if "CommandTree" in each.get_name()]


def open_sessions() -> list[aiohttp.ClientSession]:
    """Return the HTTP clients of this process that aren't closed, other tests' too."""
    gc.collect()
    found = [each for each in gc.get_objects() if isinstance(each, aiohttp.ClientSession)]
    return [each for each in found if not each.closed]


async def test_the_connections_to_discord_are_closed_also_where_the_end_is_cut_off(
    lm: LMStudioSandbox, discord: DiscordSandbox, tmp_path: Path
) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    settings = settings_for(discord, lm, tmp_path)
    others = open_sessions()
    working = asyncio.create_task(app.run(settings, stop=stop, ready=ready))
    await ready.wait()
    stop.set()
    await discord.wait_until(
        lambda: "invisible" in [each["status"] for _, each in discord.presences]
    )
    await end_tasks(working)
    assert [each for each in open_sessions() if each not in others] == []


async def test_a_check_that_is_stopped_says_that_it_isnt_whole(
    lm: LMStudioSandbox, discord: DiscordSandbox, tmp_path: Path
) -> None:
    await lm.blackhole()
    environment = environment_between(discord, lm, tmp_path / "data")
    async with clawbot("check", folder=tmp_path, environment=environment) as process:
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            while b"LM Studio" not in await process.stdout.readline():
                pass
        process.send_signal(signal.SIGINT)
        done = await ended(process)
    assert (done.code, done.err) == (130, "clawbot: stopped before everything was looked at\n")
    assert "well" not in done.out


async def test_the_service_manager_is_told_of_start_life_and_end(
    lm: LMStudioSandbox, discord: DiscordSandbox, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        environment = environment_between(discord, lm, tmp_path / "data")
        environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        async with clawbot("run", folder=tmp_path, environment=environment) as process:
            told: list[bytes] = []
            while not {b"READY=1", b"WATCHDOG=1"} <= set(
                told
            ):  # it may live for long before it is ready
                told.append(await asyncio.to_thread(manager.recv, 64))
            process.send_signal(signal.SIGTERM)
            done = await ended(process)
        manager.setblocking(False)
        last = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                last = manager.recv(64)
    assert sorted(set(told)) == [b"READY=1", b"WATCHDOG=1"]
    assert told.count(b"READY=1") == 1
    assert last == b"STOPPING=1", done.err
