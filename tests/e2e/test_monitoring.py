"""The metrics and health routes of the whole application."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import LMStudioSandbox, Model
from tests.prometheus.server import free_port
from tests.support.application import running, settings_for
from tests.support.process import clawbot, logged

HOSTILE = 'x"} 1\nclawbot_made_up{who="me'


async def fetch(port: int, path: str) -> tuple[int, str]:
    """Ask the bot once."""
    url = f"http://127.0.0.1:{port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_names_that_people_choose_make_no_series(
    discord: DiscordSandbox, tmp_path: Path
) -> None:
    ada = discord.add_user("Ada}")
    channel = discord.add_guild(f"Guild {HOSTILE}"[:100], owner=ada).add_channel("planted-channel")
    model = Model(f"planted/{HOSTILE}", context_tokens=8192)
    port = free_port()
    async with LMStudioSandbox([model]) as lm:
        address = f"127.0.0.1:{port}"
        async with running(settings_for(discord, lm, tmp_path, CLAWBOT_METRICS_ADDR=address)):
            asked = await ada.mention(channel, HOSTILE)
            await discord.wait_reply(
                asked, timeout_s=20, until=lambda m: "stop" not in str(m.components).lower()
            )
            _, text = await fetch(port, "/metrics")
    assert 'clawbot_questions_ended_total{outcome="delivered"} 1.0' in text
    for word in ("planted", "made_up", "Guild", "Ada", str(asked.id), str(channel.id)):
        assert word not in text
    series = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]
    assert len(series) < 600


async def test_a_model_that_is_away_is_said_and_the_bot_stays_ready(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_METRICS_ADDR=address)
    await lm.stop()
    async with running(settings):
        assert (await fetch(port, "/healthz"))[0] == 200
        status, text = await fetch(port, "/readyz")
        assert status == 200
        assert "discord: online" in text
        assert "database: writable" in text
        assert "model: away; questions are held until it is back" in text


async def test_the_command_measures_how_late_its_loop_is(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    port = free_port()
    environment = {
        "DISCORD_TOKEN": discord.token,
        "CLAWBOT_DISCORD_API_BASE": discord.api_base,
        "CLAWBOT_DISCORD_GATEWAY_URL": discord.gateway_url,
        "LMSTUDIO_BASE_URL": lm.base_url,
        "CLAWBOT_METRICS_ADDR": f"127.0.0.1:{port}",
    }
    async with clawbot(folder=tmp_path, environment=environment) as process:
        await logged(process, b"online")
        async with asyncio.timeout(20):
            measured = 0.0
            while not measured:
                await asyncio.sleep(0.1)
                _, text = await fetch(port, "/metrics")
                measured = sum(
                    sample.value
                    for family in text_string_to_metric_families(text)
                    for sample in family.samples
                    if sample.name == "clawbot_event_loop_lag_seconds_count"
                )
        assert "event loop: 0." in (await fetch(port, "/healthz"))[1]
