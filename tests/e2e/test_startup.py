"""How the process starts and ends: each failure is one plain sentence and the right exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web

from bot.app import IDENTIFIES
from bot.core.clock import SystemClock
from bot.storage.database import DATABASE_FILE, open_database
from bot.storage.state import StateStore
from sandbox.discord import DiscordSandbox, Fault
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import environment_between, running, settings_for
from tests.support.process import ROOT, clawbot, ended, logged, run_clawbot

SHAPED = f"{'a' * 24}.{'b' * 6}.{'c' * 38}"
"""What may be a token, by its looks."""
README = (ROOT / "README.md").read_text("utf-8")


@contextlib.asynccontextmanager
async def online(
    discord: DiscordSandbox, environment: Mapping[str, str], folder: Path
) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """Run the bot as a process that is online."""
    async with clawbot("run", folder=folder, environment=environment) as process:
        await discord.wait_online()
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_bot_in_order(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, number: signal.Signals
) -> None:
    environment = environment_between(discord, lm, tmp_path / "data")
    async with online(discord, environment, tmp_path) as process:
        process.send_signal(number)
        done = await ended(process)
    assert done.code == 0, done.err
    assert discord.token not in done.out + done.err


async def test_without_lmstudio_the_bot_is_online_and_says_so(
    discord: DiscordSandbox, tmp_path: Path
) -> None:
    person = discord.add_user("Ada")
    channel = discord.add_guild("Home", owner=person).add_channel("general")
    environment = environment_between(discord, None, tmp_path / "data")
    async with online(discord, environment, tmp_path):
        asked = await person.mention(channel, "Are you there?")
        reply = await discord.wait_reply(asked)
        assert reply.content


async def test_log_ins_that_a_clock_noted_ahead_of_time_are_kept_no_longer(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    clock = SystemClock()
    database = tmp_path / DATABASE_FILE
    ahead = (clock.now() + timedelta(days=365)).timestamp()
    async with open_database(database, clock) as opened:
        await (await StateStore.open(opened, clock)).set(IDENTIFIES, [ahead] * 200)
    async with running(settings_for(discord, lm, tmp_path)):
        await discord.wait_online()
    async with open_database(database, clock) as opened:
        stored = (await StateStore.open(opened, clock)).get(IDENTIFIES)
    assert isinstance(stored, list)
    assert len(stored) == len(discord.identifies) == 1


async def test_the_invitation_that_the_readme_describes_is_printed(
    discord: DiscordSandbox, tmp_path: Path
) -> None:
    described = re.search(r"https://\S+&permissions=\d+", README)
    assert described is not None
    environment = environment_between(discord, None, tmp_path / "data")
    async with clawbot("run", folder=tmp_path, environment=environment) as process:
        line = await logged(process, b"online as")
    assert parts_of(line.split()[-1]) == parts_of(
        described[0].replace("=ID&", f"={discord.bot_user.id}&")
    )


def parts_of(address: str) -> tuple[str, dict[str, set[str]]]:
    """Return an invitation without the order of its parts."""
    place, _, query = address.partition("?")
    return place, {key: set(values[0].split()) for key, values in parse_qs(query).items()}


async def test_a_reply_of_another_shape_to_the_commands_is_no_failure(
    discord: DiscordSandbox, tmp_path: Path
) -> None:
    fault = Fault(method="PUT", route="/commands", when="after", status=200, body=[{"type": 3}])
    discord.faults.add(fault)
    environment = environment_between(discord, None, tmp_path / "data")
    for _ in range(2):
        async with clawbot("run", folder=tmp_path, environment=environment) as process:
            await logged(process, b"online as")
    assert fault.played == 1
    assert [request.route for request in discord.requests if request.method == "PUT"] == [
        "/applications/{application_id}/commands"
    ]


async def test_a_refused_token_is_one_sentence(discord: DiscordSandbox, tmp_path: Path) -> None:
    environment = environment_between(discord, None, tmp_path / "data")
    environment["DISCORD_TOKEN"] = "planted-wrong-token"
    done = await run_clawbot("run", folder=tmp_path, environment=environment)
    assert done.code == 78
    assert done.sentence.startswith("clawbot: Discord refused the bot token.")
    assert "planted-wrong-token" not in done.out + done.err
    assert "Traceback" not in done.err


async def test_a_data_folder_that_is_none_is_one_sentence(
    discord: DiscordSandbox, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    environment = environment_between(discord, None, tmp_path / "file")
    done = await run_clawbot("run", folder=tmp_path, environment=environment)
    assert done.code == 78
    assert "CLAWBOT_DATA_DIR" in done.sentence
    assert "Traceback" not in done.err


async def test_a_second_bot_on_the_same_data_is_refused(
    discord: DiscordSandbox, tmp_path: Path
) -> None:
    environment = environment_between(discord, None, tmp_path / "data")
    async with online(discord, environment, tmp_path):
        done = await run_clawbot("run", folder=tmp_path, environment=environment)
    assert done.code == 69
    assert "already running" in done.sentence


async def test_a_taken_port_is_one_sentence(discord: DiscordSandbox, tmp_path: Path) -> None:
    environment = environment_between(discord, None, tmp_path / "data")
    environment["CLAWBOT_METRICS_ADDR"] = discord.world.origin.removeprefix("http://")
    done = await run_clawbot("run", folder=tmp_path, environment=environment)
    assert done.code == 69
    assert "CLAWBOT_METRICS_ADDR" in done.sentence
    assert "Traceback" not in done.err


async def test_a_malformed_file_is_named_by_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "clawbot.json").write_text('{\n  "temperature" 0.7\n}')
    done = await run_clawbot("run", folder=tmp_path, environment={"DISCORD_TOKEN": SHAPED})
    assert done.code == 78
    assert done.sentence.startswith("clawbot: clawbot.json:2:17: ")


async def test_metrics_and_readiness_follow_the_bot(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, unused_tcp_port: int
) -> None:
    environment = environment_between(discord, lm, tmp_path / "data")
    environment["CLAWBOT_METRICS_ADDR"] = f"127.0.0.1:{unused_tcp_port}"
    async with (
        online(discord, environment, tmp_path) as process,
        aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as session,
    ):
        await logged(process, b"online as")
        async with session.get("/readyz") as response:
            assert response.status == 200
        async with session.get("/metrics") as response:
            assert "clawbot_questions_accepted_total" in await response.text()


async def test_check_says_what_is_right_and_what_is_wrong(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    environment = environment_between(discord, lm, tmp_path / "data")
    good = await run_clawbot("check", folder=tmp_path, environment=environment)
    assert good.code == 0, good.err + good.out
    assert "ok  Bot token: The token is right" in good.out
    await lm.stop()
    bad = await run_clawbot("check", folder=tmp_path, environment=environment)
    assert bad.code == 69
    assert "FAILED  Connection: Nothing listens" in bad.out
    assert not bad.err
    environment.pop("DISCORD_TOKEN")
    worse = await run_clawbot("check", folder=tmp_path, environment=environment)
    assert worse.code == 78
    assert "FAILED  Bot token: DISCORD_TOKEN is not set." in worse.out
    assert worse.out.rstrip().endswith("2 things fail; begin with Bot token.")
    assert not worse.err


async def test_check_names_a_placeholder_once_without_asking_discord(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    environment = environment_between(discord, lm, tmp_path / "data")
    environment["DISCORD_TOKEN"] = "your-token-here"
    for name in ("CLAWBOT_DISCORD_API_BASE", "CLAWBOT_DISCORD_GATEWAY_URL"):
        del environment[name]
    done = await run_clawbot("check", folder=tmp_path, environment=environment)
    assert done.code == 78
    assert done.out.count("placeholder") == 1
    assert "can't be reached" not in done.out
    assert not done.err


async def test_check_says_as_json_what_is_wrong_with_the_settings(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    environment = environment_between(discord, lm, tmp_path / "data")
    environment["CLAWBOT_QUEUE__SLOTS"] = "many"
    done = await run_clawbot("check", "--json", folder=tmp_path, environment=environment)
    assert done.code == 78
    [finding] = json.loads(done.out)["findings"]
    assert finding["step"] == "settings"
    assert "CLAWBOT_QUEUE__SLOTS" in finding["cause"]
    assert not done.err


HANGING = """
import socket, threading
real = socket.getaddrinfo
def look_up(host, *args, **more):
    if host == "hangs.test":
        threading.Event().wait()
    return real(host, *args, **more)
socket.getaddrinfo = look_up
"""
"""What Python runs before anything else, in a process whose name server never answers for one name."""


async def test_check_ends_although_a_name_server_never_answers(
    discord: DiscordSandbox, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HANGING)
    environment = environment_between(discord, None, tmp_path / "data")
    environment["LMSTUDIO_BASE_URL"] = "http://hangs.test:1234"
    environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{ROOT}"
    done = await run_clawbot("check", folder=tmp_path, environment=environment)
    assert done.code == 69
    assert "The name server doesn't answer." in done.out
    assert not done.err


async def test_check_blames_discords_own_error_on_discord(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    environment = environment_between(discord, lm, tmp_path / "data")
    async with answering(502) as api_base:
        environment["CLAWBOT_DISCORD_API_BASE"] = api_base
        done = await run_clawbot("check", folder=tmp_path, environment=environment)
    assert "status 502" in done.out
    assert "DNS" not in done.out


async def test_something_else_in_discords_place_is_said_and_waited_out(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    environment = environment_between(discord, lm, tmp_path / "data")
    async with answering(200) as api_base:
        environment["CLAWBOT_DISCORD_API_BASE"] = api_base
        checked = await run_clawbot("check", folder=tmp_path, environment=environment)
        async with clawbot("run", folder=tmp_path, environment=environment) as process:
            await logged(process, b"something else answers in its place")
            process.send_signal(signal.SIGTERM)
            done = await ended(process)
    assert checked.code == 69
    assert "Something other than Discord answers" in checked.out
    assert done.code == 0
    assert done.err.rstrip().endswith("stopped")
    assert "Traceback" not in checked.err + done.err


@contextlib.asynccontextmanager
async def answering(status: int) -> AsyncGenerator[str, None]:
    """A server that answers every request with one status; gives its address."""

    async def handle(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text="<html>Bad gateway</html>")

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/v10"
    await runner.cleanup()


async def test_the_data_folder_is_private(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    async with online(discord, environment_between(discord, lm, data_dir), tmp_path):
        assert os.name != "posix" or data_dir.stat().st_mode & 0o077 == 0


async def test_a_log_file_that_cannot_be_written_is_one_sentence(
    discord: DiscordSandbox, tmp_path: Path
) -> None:
    environment = environment_between(discord, None, tmp_path / "data")
    environment["CLAWBOT_LOGGING__FILE"] = str(tmp_path / "missing" / "clawbot.log")
    done = await run_clawbot("run", folder=tmp_path, environment=environment)
    assert done.code == 78
    assert "CLAWBOT_LOGGING__FILE" in done.sentence
    assert "Traceback" not in done.err
