"""Each query of the dashboard and the alerts finds what a running bot shows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.core.record import Span
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.discord.faults import Fault as DiscordFault
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox, Timing
from tests.prometheus.server import (
    Hour,
    dashboard_queries,
    free_port,
    prometheus,
    promtool,
    selectors,
)
from tests.support.application import running, settings_for

KEY = "qwen/qwen3-next-80b"
HAPPENED = (
    'clawbot_questions_ended_total{outcome="delivered"}',
    'clawbot_questions_ended_total{outcome="stopped"}',
    "clawbot_questions_failed_total",
    "clawbot_model_retries_total",
    'clawbot_discord_requests_total{status="429"}',
    "clawbot_prompt_tokens_read_total",
    "clawbot_prompt_tokens_reread_total",
    "clawbot_written_tokens_total",
    "clawbot_question_first_word_seconds_count",
    "clawbot_event_loop_lag_seconds_count",
    *(f'clawbot_question_stage_seconds_sum{{stage="{span}"}}' for span in Span),
)
"""What the script makes happen: each must be more than 0 somewhere. Failures of the
database, a loop that stands still and an open circuit stay at 0; ``test_alerts`` has these alerts fire."""
PEOPLE = 5


async def play(discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel) -> None:
    """Ask questions one after another and together, and let each thing go wrong that may."""
    lm.engine.timing = Timing(speed=20.0)
    lm.answer(Answer("Because of the light. " * 5, reasoning="Hm.", markup="field"))

    async def ask(words: str, person: Person = ada, on: Message | None = None) -> Message:
        way = person.mention(channel, words) if on is None else person.reply(on, words)
        asked = await way
        return await discord.wait_reply(
            asked, until=lambda m: "stop" not in str(m.components).lower()
        )

    answer = await ask("Why?")
    await ask("And why not?", on=answer)
    unloaded = await ada.slash(channel, "model unload", model=KEY)
    await discord.wait_until(lambda: "Unloaded" in unloaded.content)
    await ask("Are you awake?")
    crowd = [discord.add_user(f"Person {number}") for number in range(PEOPLE)]
    assert channel.guild is not None
    for person in crowd:
        channel.guild.add_member(person)
    await asyncio.gather(*(ask("Why is that?", person) for person in crowd))
    await ask("And now?", on=answer)  # the crowd took its place in the cache
    lm.faults.next(Fault.CRASHED)
    await ask("Once more?")
    lm.faults.next(Fault.CRASHED, times=None)
    await ask("And this?")
    lm.faults.clear()
    lm.faults.next(Fault.HANG_AFTER_TOKENS, after_tokens=3)
    asked = await ada.mention(channel, "Go on and on?")
    await discord.wait_reply(asked, until=lambda m: m.content)
    await ada.slash(channel, "stop")
    limited = {"message": "You are being rate limited.", "retry_after": 0.1, "global": False}
    discord.faults.add(
        DiscordFault(
            method="POST", route="/channels/{channel_id}/messages", status=429, body=limited
        )
    )
    await ask("Are you there?")


@pytest.mark.timeout(240)
async def test_no_query_is_empty_on_a_bot_after_an_hour_of_questions(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    port = free_port()
    settings = settings_for(
        discord,
        lm,
        tmp_path / "bot",
        CLAWBOT_METRICS_ADDR=f"127.0.0.1:{port}",
        CLAWBOT_LMSTUDIO__RETRY_ATTEMPTS="2",
        CLAWBOT_OWNER_IDS=str(ada.id),
        CLAWBOT_QUEUE__SLOTS="1",
        CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE="100",
        LMSTUDIO_MODEL=KEY,
    )
    hour, folder = Hour(port), tmp_path / "prometheus"
    folder.mkdir()
    async with running(settings), prometheus(folder, port) as server:
        watching = asyncio.create_task(hour.watch())
        await server.until_some('up{job="clawbot"} == 1')
        await play(discord, lm, ada, channel)
        for text in HAPPENED:
            await server.until_some(f"{text} > 0")
        hour.is_full = True
        await watching
    assert await promtool("check", "metrics", given=hour.last) == (0, "")
    folder = tmp_path / "hour"
    folder.mkdir()
    await hour.write(folder)
    async with prometheus(folder, port) as server:
        rules = await server.rules()
        for query in dashboard_queries():
            assert await server.query(
                f"count_over_time(({query})[{hour.length}:15s])", hour.end_s
            ), query
        for query in [*dashboard_queries(), *(rule["query"] for rule in rules)]:
            await server.query(query, hour.end_s)
            for selector in selectors(query):
                seen = f"count_over_time({selector}[{hour.length}])"
                assert await server.query(seen, hour.end_s), selector
        (up,) = await server.query('count_over_time(up{job="clawbot"}[1h])', hour.end_s)
        assert int(up["value"][1]) >= Hour.LOOKS - 1
    assert rules
    assert all(rule["annotations"].keys() == {"summary", "action"} for rule in rules)
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
