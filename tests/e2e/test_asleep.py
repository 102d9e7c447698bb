"""The model's machine sleeps: a question wakes it, all that wait are answered in order, each once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for
from tests.support.clock import SwiftClock

MAC = "00:11:22:aa:bb:cc"


async def test_twenty_waiting_questions_wake_the_machine_and_are_answered_once_each(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    lm.answer("Hello.")
    port = await lm.sleep(MAC)
    channel = (guild := discord.add_guild("Home", owner=discord.add_user("Ada"))).add_channel(
        "general"
    )
    people = [discord.add_user(f"Person {number}") for number in range(20)]
    for person in people:
        guild.add_member(person)
    settings = settings_for(
        discord, lm, tmp_path,
        CLAWBOT_LMSTUDIO__WAKE=f"{MAC}@127.0.0.1:{port}",
        CLAWBOT_QUEUE__SLOTS="1",
        CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S="600",
    )  # fmt: skip
    async with running(settings):
        asked = [await person.mention(channel, f"Question {n}") for n, person in enumerate(people)]
        replies = [await discord.wait_reply(message) for message in asked]
        await discord.wait_until(lambda: all(reply.content == "Hello." for reply in replies))
    assert lm.card is not None
    assert lm.card.packets
    assert [str(one.body).count("Question") for one in lm.completions] == [1] * 20
    order = [
        int(str(one.body).split("Question ")[1].split("'")[0].split('"')[0])
        for one in lm.completions
    ]
    assert order == sorted(order)


async def test_a_machine_that_fell_asleep_a_moment_ago_is_woken_by_command(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    settings = settings_for(
        discord, lm, tmp_path,
        CLAWBOT_LMSTUDIO__WAKE=f"{MAC}@127.0.0.1:9",
        CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S="600",
        CLAWBOT_OWNER_IDS=str(ada.id),
    )  # fmt: skip
    async with running(settings):
        first = await ada.slash(channel, "model wake")
        await discord.wait_until(lambda: first.content == "The model's machine is awake.")
        await lm.sleep(MAC)
        second = await ada.slash(channel, "model wake")
        await discord.wait_until(lambda: second.content.startswith("Waking the model's machine"))


async def test_while_the_machine_wakes_the_first_line_says_so(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    lm.answer("Hello.")
    port = await lm.sleep("00:00:00:00:00:01")  # nothing wakes this one
    settings = settings_for(
        discord, lm, tmp_path,
        CLAWBOT_LMSTUDIO__WAKE=f"{MAC}@127.0.0.1:{port}",
        CLAWBOT_DELIVERY__STAGE_AFTER_S="0",
    )  # fmt: skip
    async with running(settings):
        message = await ada.mention(channel, "Hello?")
        reply = await discord.wait_reply(message)
        await discord.wait_until(lambda: "Waking the model's machine" in reply.content)
        await lm.start()
        await discord.wait_until(lambda: reply.content == "Hello.", timeout_s=40)
    assert lm.card is not None
    assert len(lm.card.packets) >= 1


async def test_a_model_that_nobody_asks_for_leaves_the_memory_and_comes_back_for_the_next_question(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    lm.answer("Hello.")
    seen, script = tmp_path / "suspended", tmp_path / "suspend.py"
    script.write_text(f"open({str(seen)!r}, 'x')")
    settings = settings_for(
        discord, lm, tmp_path / "data",
        CLAWBOT_LMSTUDIO__UNLOAD_AFTER_S="60",
        CLAWBOT_LMSTUDIO__SUSPEND_AFTER_S="90",
        CLAWBOT_LMSTUDIO__SUSPEND_COMMAND=f"{sys.executable}, {script}",
    )  # fmt: skip
    async with running(settings, SwiftClock(40)):
        for _ in range(2):
            message = await ada.mention(channel, "Hello?")
            await discord.wait_reply(message, until=lambda m: m.content == "Hello.")
            await lm.wait_until(lambda: not lm.engine.instances)
        async with asyncio.timeout(20):
            while not seen.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.05)
