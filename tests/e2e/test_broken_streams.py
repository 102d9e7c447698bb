"""An answer that breaks off after words is made whole by itself, once, without a word twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bot.chat.seam import GO_ON
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox
from sandbox.lmstudio.values import RecordedRequest
from tests.support.application import running, settings_for

TEXT = "The capital of France is Paris. It lies on the Seine, and the Louvre stands there."
CODE = "Like this:\n```python\nfor number in range(10):\n    print(number)\n```\nThat prints ten."
BREAKS = (
    Fault.RESET_AFTER_TOKENS,
    Fault.TRUNCATED_STREAM,
    Fault.CHUNKED_CUT,
    Fault.UNKNOWN_ERROR,
    Fault.CRASHED,
    Fault.UNLOADED,
)


def going_on(text: str) -> Callable[[RecordedRequest], str]:
    """Return a model that goes on exactly where its answer stopped, if it is asked to."""

    def respond(record: RecordedRequest) -> str:
        is_rest = record.messages[-1]["content"] == GO_ON
        return text[len(record.messages[-2]["content"]) :] if is_rest else text

    return respond


async def shown(discord: DiscordSandbox, asked: Message, end: str) -> Message:
    """Wait until an answer ends with some words and has lost its Stop button."""
    return await discord.wait_reply(
        asked,
        until=lambda m: m.content.rstrip().endswith(end) and "stop" not in str(m.components),
    )


@pytest.mark.parametrize("fault", BREAKS)
@pytest.mark.parametrize("text", [TEXT, CODE])
async def test_an_answer_that_breaks_off_goes_on_where_it_broke(
    fault: Fault,
    text: str,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
) -> None:
    lm.answer_with(going_on(text))
    async with running(settings_for(discord, lm, tmp_path)):
        lm.faults.next(fault, after_tokens=7)
        reply = await shown(discord, await ada.mention(channel, "Well?"), text[-8:])
        assert reply.content == text
        assert len(discord.bot_messages) == 1
    assert len(lm.completions) == 2
    assert lm.completions[1].messages[-1]["content"] == GO_ON
    assert text.startswith(lm.completions[1].messages[-2]["content"])


@pytest.mark.parametrize("fault", [Fault.REASONING_ONLY, Fault.REASONING_ONLY_STOP])
async def test_an_answer_of_thinking_only_is_asked_for_without(
    fault: Fault,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
) -> None:
    lm.answer(TEXT)
    async with running(settings_for(discord, lm, tmp_path)):
        lm.faults.next(fault)
        reply = await shown(discord, await ada.mention(channel, "Well?"), TEXT[-8:])
        assert reply.content == TEXT
    first, second = (request.body for request in lm.completions)
    assert "reasoning_effort" not in first
    assert second["reasoning_effort"] == "none"
    is_cut = fault is Fault.REASONING_ONLY
    assert (second["max_tokens"] > first["max_tokens"]) is is_cut


async def test_a_model_that_begins_from_the_start_is_not_shown_twice(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    lm.answer(Answer(TEXT, reasoning="Hm."))
    async with running(settings_for(discord, lm, tmp_path)):
        lm.faults.next(Fault.RESET_AFTER_TOKENS, after_tokens=9)
        reply = await shown(discord, await ada.mention(channel, "Well?"), TEXT[-8:])
        assert reply.content == TEXT


@pytest.mark.parametrize("markup", ["qwen3_hybrid", "gpt_oss", "magistral"])
async def test_an_answer_that_breaks_off_inside_its_thinking_is_asked_for_anew(
    markup: str,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
) -> None:
    lm.answer(Answer(TEXT, reasoning="First the country, then its capital.", markup=markup))
    async with running(settings_for(discord, lm, tmp_path)):
        lm.faults.next(Fault.RESET_AFTER_TOKENS, after_tokens=6)
        reply = await shown(discord, await ada.mention(channel, "Well?"), TEXT[-8:])
        assert reply.content == TEXT
    assert lm.completions[0].messages == lm.completions[-1].messages


async def test_an_answer_that_breaks_off_again_says_so_and_keeps_its_words_and_its_button(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    lm.answer_with(going_on(TEXT))
    async with running(settings_for(discord, lm, tmp_path)):
        lm.faults.next(Fault.UNKNOWN_ERROR, times=2, after_tokens=3)
        reply = await shown(discord, await ada.mention(channel, "Well?"), "Regenerate.")
        first, _, line = reply.content.partition("\n")
        assert TEXT.startswith(first)
        assert len(first) > 10
        assert "reported a fault here" in line
        assert "more" in str(reply.components)
    assert len(lm.completions) == 2


@pytest.mark.parametrize("thought", [Answer("", reasoning="So on."), Answer("<think>So on.")])
async def test_a_rest_that_holds_only_thinking_leaves_the_answer_broken(
    thought: Answer,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
) -> None:
    lm.script(Answer(TEXT), thought)
    async with running(settings_for(discord, lm, tmp_path)):
        lm.faults.next(Fault.UNKNOWN_ERROR, after_tokens=7)
        reply = await shown(discord, await ada.mention(channel, "Well?"), "Regenerate.")
        assert TEXT.startswith(reply.content.partition("\n")[0])
        assert "more" in str(reply.components)


async def test_another_beginning_that_breaks_off_too_takes_no_words_away(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    lm.script(Answer(TEXT), Answer("The capital of Italy is Rome."))
    async with running(settings_for(discord, lm, tmp_path)):
        lm.faults.next(Fault.UNKNOWN_ERROR, after_tokens=14)
        lm.faults.next(Fault.UNKNOWN_ERROR, after_tokens=6)
        reply = await shown(discord, await ada.mention(channel, "Well?"), "Regenerate.")
        assert TEXT.startswith(reply.content.partition("\n")[0])
