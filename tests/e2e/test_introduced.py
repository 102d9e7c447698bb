"""A model that nobody has met yet: it is known before its first answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox, RecordedRequest
from tests.support.application import running, settings_for

KEY = "qwen/qwen3-next-80b"
THOUGHT = "The person wants a capital, so I look for the capital of France. " * 4
ON = {"CLAWBOT_CONTEXT__WARM_AHEAD": "true", "CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S": "1"}
MARKUP = "qwen35_open_missing"


def untagged(record: RecordedRequest) -> Answer:
    """Answer as a model whose template writes the opening tag into the prompt."""
    return Answer("OK" if is_test(record) else "Paris.", reasoning=THOUGHT, markup=MARKUP)


def untagged_at_length(_: RecordedRequest) -> Answer:
    """Answer alike, and stop in the middle of the thinking."""
    return Answer("Paris.", reasoning=THOUGHT, markup=MARKUP, pause_after=20)


def is_test(record: RecordedRequest) -> bool:
    return "single word OK" in record.prompt


async def seen_as_loaded(lm: LMStudioSandbox, tests: int) -> None:
    """Wait until the bot has asked for one word so often, and reads what comes."""

    def is_thinking() -> bool:
        asked = [r for r in lm.completions if is_test(r) and r.body["max_tokens"] > 1]
        return len(asked) == tests and asked[-1].tokens_sent >= 20

    await lm.wait_until(is_thinking)


async def shows_no_thinking(
    discord: DiscordSandbox, lm: LMStudioSandbox, person: Person, channel: Channel
) -> None:
    """Ask what is thought about for a while; all that can be seen meanwhile is that it is."""
    asked = await person.mention(channel, "What is the capital of France?")
    await discord.wait_reply(asked, until=lambda r: "Thinking" in r.content or "The" in r.content)
    lm.resume()
    await discord.wait_reply(asked, until=lambda r: r.content == "Paris.")
    texts = [v.content for reply in discord.replies(asked) for v in reply.versions]
    assert {text for text in texts if not text.startswith("-# ⏳")} <= {"Paris", "Paris."}


async def test_a_model_that_leaves_out_the_opening_tag_shows_no_thinking_in_its_first_answer(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.answer_with(untagged)
    async with running(settings_for(discord, lm, tmp_path, **ON)):
        await lm.wait_until(lambda: len([r for r in lm.completions if r.finished]) == 2)
        lm.answer_with(untagged_at_length)
        await shows_no_thinking(discord, lm, ada, channel)
        assert len(lm.completions) == 3


@pytest.mark.parametrize("way", ["from the start", "by the operator", "with another context"])
async def test_a_question_while_a_model_is_asked_for_a_word_shows_no_thinking_either(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    way: str,
) -> None:
    lm.answer_with(untagged_at_length)
    if way == "by the operator":
        lm.unload(KEY)
    async with running(settings_for(discord, lm, tmp_path, LMSTUDIO_MODEL=KEY, **ON)):
        if way == "by the operator":
            await lm.load(KEY)
        await seen_as_loaded(lm, 1)
        if way == "with another context":
            lm.unload(KEY)
            await lm.load(KEY, 16_384)
            await seen_as_loaded(lm, 2)
        await shows_no_thinking(discord, lm, ada, channel)


async def test_what_is_known_of_a_model_is_kept_over_a_restart(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.answer_with(untagged)
    async with running(settings_for(discord, lm, tmp_path, **ON)):
        await lm.wait_until(lambda: len([r for r in lm.completions if r.finished]) == 2)
    async with running(settings_for(discord, lm, tmp_path, **ON)):
        asked = await ada.mention(channel, "What is the capital of France?")
        await discord.wait_reply(asked, until=lambda r: r.content == "Paris.")
        assert len(lm.completions) == 3


async def test_diag_model_tells_what_a_model_taught_until_it_is_loaded_otherwise(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    async def told(requests: int) -> str:
        await lm.wait_until(lambda: len([r for r in lm.completions if r.ended_at]) == requests)
        shown = await ada.slash(channel, "diag model")
        await discord.wait_until(lambda: shown.content)
        return shown.content

    lm.answer_with(untagged)
    lm.faults.next(Fault.VALIDATION_ZOD, times=None, words="reasoning_effort")
    async with running(settings_for(discord, lm, tmp_path, **ON)):
        said = await told(3)
        assert "It refused the setting for how much it thinks" in said
        assert "without an opening tag" in said
        assert "Its template adds about" in said
        lm.faults.clear()
        lm.unload(KEY)
        await lm.load(KEY, 16_384)
        said = await told(5)
        assert "It takes the setting for how much it thinks" in said
        assert "It refused" not in said
