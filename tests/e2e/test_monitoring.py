"""The metrics and health routes of the whole application."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.discord import DiscordSandbox, Message, Person
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


async def until_shown(port: int, line: str) -> str:
    """Return what the bot shows once it has this line: an answer is seen before it is counted."""
    text = ""
    while line not in text:
        _, text = await fetch(port, "/metrics")
    return text


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
            await discord.wait_reply(asked, until=lambda m: "stop" not in str(m.components).lower())
            text = await until_shown(port, 'clawbot_questions_ended_total{outcome="delivered"} 1.0')
    for word in ("planted", "made_up", "Guild", "Ada", str(asked.id), str(channel.id)):
        assert word not in text
    series = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]
    assert len(series) < 600


def is_whole(answer: Message) -> bool:
    """Return whether an answer has come to its end."""
    return "Done." in answer.content and "stop" not in str(answer.components).lower()


async def test_tokens_that_were_read_again_are_counted_where_the_server_says_nothing_of_its_cache(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    ada, bea = discord.add_user("Ada"), discord.add_user("Bea")
    guild = discord.add_guild("Home", owner=ada)
    guild.add_member(bea)
    channel, port = guild.add_channel("general"), free_port()
    lm.answer("Done.")
    address = f"127.0.0.1:{port}"
    async with running(settings_for(discord, lm, tmp_path, CLAWBOT_METRICS_ADDR=address)):
        answers: dict[Person, Message] = {}
        for person in (ada, bea) * 4:
            last = answers.get(person)
            text = f"{person.id}: " + "and another thing, " * 40
            asked = person.reply(last, text) if last else person.mention(channel, text)
            answers[person] = await discord.wait_reply(await asked, until=is_whole)
        metrics = await until_shown(port, 'clawbot_questions_ended_total{outcome="delivered"} 8.0')
    counted = {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
    }
    really = sum(one.reread_tokens for one in lm.completions)
    assert counted["clawbot_prompt_tokens_read_total"] == pytest.approx(really, rel=0.5)
    assert counted["clawbot_prompt_tokens_reread_total"] > really / 3


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
