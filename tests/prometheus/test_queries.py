"""Each query of the dashboard and the alerts finds what a running bot shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.discord.faults import Fault as DiscordFault
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox
from tests.prometheus.server import dashboard_queries, free_port, prometheus, selectors
from tests.support.application import running, settings_for

HAPPENED = (
    'clawbot_questions_ended_total{outcome="delivered"}',
    "clawbot_questions_failed_total",
    "clawbot_model_retries_total",
    'clawbot_discord_requests_total{status="429"}',
    'clawbot_question_stage_seconds_count{stage="think"}',
    "clawbot_prompt_tokens_read_total",
)
"""What the script makes happen: each must be more than 0 somewhere."""


async def play(discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel) -> None:
    """Ask questions: answered ones, one that is asked again, one that fails, one held up by Discord."""
    lm.answer(Answer("Because of the light. " * 5, reasoning="Hm.", markup="field"))

    async def ask(words: str) -> None:
        asked = await ada.mention(channel, words)
        await discord.wait_reply(
            asked, timeout_s=30, until=lambda m: "stop" not in str(m.components).lower()
        )

    await ask("Why?")
    await ask("And why not?")
    lm.faults.next(Fault.CRASHED)
    await ask("Once more?")
    lm.faults.next(Fault.CRASHED, times=None)
    await ask("And this?")
    lm.faults.clear()
    limited = {"message": "You are being rate limited.", "retry_after": 0.1, "global": False}
    discord.faults.add(
        DiscordFault(
            method="POST", route="/channels/{channel_id}/messages", status=429, body=limited
        )
    )
    await ask("Are you there?")


@pytest.mark.timeout(180)
async def test_no_query_is_empty_on_a_bot_that_has_lived_a_little(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    port = free_port()
    settings = settings_for(
        discord,
        lm,
        tmp_path / "bot",
        CLAWBOT_METRICS_ADDR=f"127.0.0.1:{port}",
        CLAWBOT_LMSTUDIO__RETRY_ATTEMPTS="2",
    )
    folder = tmp_path / "prometheus"
    folder.mkdir()
    async with running(settings), prometheus(folder, port) as server:
        await server.until_some('up{job="clawbot"} == 1')
        await play(discord, lm, ada, channel)
        for text in HAPPENED:
            await server.until_some(f"{text} > 0")
        for query in dashboard_queries():
            await server.until_some(query)
        rules = await server.rules()
        for query in [*dashboard_queries(), *(rule["query"] for rule in rules)]:
            for selector in selectors(query):
                await server.until_some(selector)
    assert rules
    assert all(rule["annotations"].keys() == {"summary", "action"} for rule in rules)
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
