"""A model that nobody has met yet: it is known before its first answer."""

from __future__ import annotations

from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import Answer, LMStudioSandbox, RecordedRequest
from tests.support.application import running, settings_for

THOUGHT = "The person wants a capital, so I look for the capital of France. " * 4
ON = {"CLAWBOT_CONTEXT__WARM_AHEAD": "true"}


def untagged(record: RecordedRequest) -> Answer:
    """Answer as a model whose template writes the opening tag into the prompt."""
    is_test = "single word OK" in record.prompt
    return Answer("OK" if is_test else "Paris.", reasoning=THOUGHT, markup="qwen35")


async def test_a_model_that_leaves_out_the_opening_tag_shows_no_thinking_in_its_first_answer(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.answer_with(untagged)
    async with running(settings_for(discord, lm, tmp_path, **ON)):
        await lm.wait_until(lambda: len([r for r in lm.completions if r.finished]) == 2)
        asked = await ada.mention(channel, "What is the capital of France?")
        await discord.wait_reply(asked, until=lambda r: r.content == "Paris.")
        texts = [v.content for reply in discord.replies(asked) for v in reply.versions]
        assert not any("person wants" in text for text in texts), texts
        assert len(lm.completions) == 3


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
