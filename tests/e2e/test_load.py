"""Small versions of the benchmarks with many people or many failures; no timing is asserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.discord import DiscordSandbox, Message
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox, Model, Timing
from sandbox.lmstudio.values import RecordedRequest
from tests.support.application import running, settings_for
from tests.support.clock import SwiftClock

TEXT = "All eleven ships answered before noon. The end."
AT_ONCE = {"CLAWBOT_QUEUE__BURST_WINDOW_S": "0", "CLAWBOT_DELIVERY__STAGE_AFTER_S": "0"}
MERGED = "➕"


def answers(discord: DiscordSandbox, asked: Message) -> list[str]:
    """Return the texts of the bot's messages that refer to a question."""
    return [m.content for m in discord.bot_messages if m.reference is asked]


async def test_everybody_who_asks_at_once_gets_the_whole_answer(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    lm.answer(TEXT)
    people = [discord.add_user(f"Person {number}") for number in range(12)]
    guild = discord.add_guild("Home", owner=people[0])
    channels = [guild.add_channel(f"room-{number}") for number in range(6)]
    for person in people[1:]:
        guild.add_member(person)
    async with running(settings_for(discord, lm, tmp_path)):
        asked = [
            await person.mention(channels[number % 6], f"Question {number}")
            for number, person in enumerate(people)
        ]
        await discord.wait_until(lambda: all(answers(discord, each) == [TEXT] for each in asked))
    assert lm.options.counters.peak_active <= 4


async def test_a_bystander_is_served_before_the_rest_of_a_flood(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    def answer(_: RecordedRequest) -> Answer:
        return Answer(TEXT, pause_after=0 if len(lm.completions) == 1 else None)

    lm.answer_with(answer)
    ada, grace = discord.add_user("Ada"), discord.add_user("Grace")
    guild = discord.add_guild("Home", owner=ada)
    guild.add_member(grace)
    rooms = [guild.add_channel(f"room-{number}") for number in range(7)]
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__SLOTS="1", **AT_ONCE)
    async with running(settings):
        flood = [await ada.mention(room, "And now?") for room in rooms[:6]]
        for each in flood[1:]:
            await discord.wait_reply(each)
        bystander = await grace.mention(rooms[6], "Is anybody there?")
        await discord.wait_reply(bystander)
        lm.resume()
        everyone = [*flood, bystander]
        await discord.wait_until(lambda: all(answers(discord, each) == [TEXT] for each in everyone))
    prompts = ["anybody" in str(one.body) for one in lm.completions]
    assert prompts.index(True) <= 2


async def test_a_slot_is_free_again_when_the_model_is_done_not_when_discord_is(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    lm.answer(TEXT)
    ada, grace = discord.add_user("Ada"), discord.add_user("Grace")
    guild = discord.add_guild("Home", owner=ada)
    guild.add_member(grace)
    slow, quick = guild.add_channel("slow"), guild.add_channel("quick")
    async with running(settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__SLOTS="1")):
        held = discord.faults.hold("POST", f"/channels/{slow.id}/messages")
        first = await ada.mention(slow, "Hello")
        await lm.wait_until(lambda: lm.completions)
        second = await grace.mention(quick, "Hello")
        await discord.wait_reply(second, until=lambda reply: reply.content == TEXT)
        assert answers(discord, first) == []
        held.release()
        await discord.wait_reply(first, until=lambda reply: reply.content == TEXT)


async def test_a_burst_leaves_no_question_without_an_outcome(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    lm.answer(TEXT)
    people = [discord.add_user(f"Person {number}") for number in range(10)]
    guild = discord.add_guild("Home", owner=people[0])
    channels = [guild.add_channel(f"room-{number}") for number in range(10)]
    for person in people[1:]:
        guild.add_member(person)
    async with running(settings_for(discord, lm, tmp_path)):
        asked = [
            await people[number % 10].mention(channels[number % 7], f"Question {number}")
            for number in range(20)
        ]
        await discord.wait_until(
            lambda: all(
                TEXT in answers(discord, each) or MERGED in each.reactions for each in asked
            ),
        )
    assert all(len(answers(discord, each)) <= 1 for each in asked)


@pytest.mark.parametrize(
    "fault",
    [Fault.RESET_BEFORE_HEADERS, Fault.HTML_500, Fault.HTML_503, Fault.UNLOADED, Fault.CRASHED],
)
async def test_a_passing_failure_of_the_model_still_ends_in_the_answer(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, fault: Fault
) -> None:
    lm.answer(TEXT)
    lm.faults.next(fault)
    ada = discord.add_user("Ada")
    channel = discord.add_guild("Home", owner=ada).add_channel("general")
    async with running(settings_for(discord, lm, tmp_path), SwiftClock(20)):
        asked = await ada.mention(channel, "How many ships answered?")
        await discord.wait_reply(asked, until=lambda reply: reply.content == TEXT)
    assert answers(discord, asked) == [TEXT]


async def test_a_long_line_gets_another_copy_of_the_model_where_the_operator_allows_it(
    discord: DiscordSandbox, tmp_path: Path
) -> None:
    timing = Timing(load_s=2, generation_tokens_s=1, speed=20)
    async with LMStudioSandbox([Model("a/b", parallel=1, size_bytes=2**30)], timing) as lm:
        lm.answer(TEXT * 2)
        people = [discord.add_user(f"Person {number}") for number in range(8)]
        guild = discord.add_guild("Home", owner=people[0])
        channel = guild.add_channel("general")
        for person in people[1:]:
            guild.add_member(person)
        settings = settings_for(
            discord, lm, tmp_path,
            CLAWBOT_LMSTUDIO__EXTRA_COPIES="1", CLAWBOT_LMSTUDIO__MEMORY_GIB="4", **AT_ONCE,
        )  # fmt: skip
        async with running(settings, SwiftClock(20)):
            asked = [await person.mention(channel, "And now?") for person in people]
            await lm.wait_until(lambda: len(lm.engine.instances) == 2)
            shown = await people[0].slash(channel, "diag queue")
            await discord.wait_until(lambda: "loaded 2 times" in shown.content)
            await discord.wait_until(
                lambda: all(answers(discord, each) == [TEXT * 2] for each in asked)
            )
        assert lm.options.counters.peak_active == 1
