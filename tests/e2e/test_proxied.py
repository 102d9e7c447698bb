"""Questions of people whose messages a proxy bot posts again through a webhook, under other names."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.application import running, settings_for

pytestmark = pytest.mark.usefixtures("online")
SLOW = Answer("The answer.", reasoning="word " * 60, markup="field")


@pytest.fixture
async def online(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> AsyncGenerator[None, None]:
    """The application, running."""
    extra = {
        "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "3",
        "CLAWBOT_DISCORD__PROXY_APPLICATION_IDS": str(discord.add_proxy("Tupper").user.id),
    }
    async with running(settings_for(discord, lm, tmp_path, **extra)):
        yield


def answers(discord: DiscordSandbox, channel: Channel) -> list[Message]:
    """Return what the bot has posted and not taken back."""
    return [m for m in channel.messages.values() if m.author is discord.bot_user]


def asked_of(lm: LMStudioSandbox, count: int) -> bool:
    """Tell whether the model was asked so often."""
    return len(lm.completions) == count


async def until_answered(discord: DiscordSandbox, message: Message, text: str) -> Message:
    """Wait for an answer to a message that says this."""
    await discord.wait_until(
        lambda: any(text in reply.content for reply in discord.replies(message)), timeout_s=15
    )
    return next(reply for reply in discord.replies(message) if text in reply.content)


@pytest.mark.parametrize("delete_first", [False, True])
async def test_a_question_that_a_proxy_says_again_is_answered_once_and_belongs_to_its_person(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    *,
    delete_first: bool,
) -> None:
    lm.script(SLOW, SLOW)
    asked = await ada.mention(channel, "what is it?")
    await discord.wait_until(lambda: len(lm.completions) == 1)
    copy = await discord.add_proxy().copy(asked, "Luna", delete_first=delete_first)
    answer = await until_answered(discord, copy, "The answer.")
    assert answers(discord, channel) == [answer]
    await discord.wait_until(lambda: bool(answer.components))
    await ada.click(answer, "Details")  # whoever may press Stop may press this, too
    assert "what is it?" in str(lm.completions[-1].body["messages"][-1]["content"])


async def test_marks_around_the_original_are_left_out_of_the_copy(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel
) -> None:
    lm.script(SLOW, "The answer.", "Because.")
    asked = await ada.say(channel, "L: <@bot> what is it? -luna")
    await discord.wait_until(lambda: len(lm.completions) == 1)
    copy = await discord.add_proxy().copy(asked, "Luna", "<@bot> what is it?")
    answer = await until_answered(discord, copy, "The answer.")
    bob = discord.add_user("Bob")
    assert channel.guild is not None
    channel.guild.add_member(bob)
    why = await bob.reply(answer, "Why?")
    await until_answered(discord, why, "Because.")
    first, _, last = lm.completions[-1].body["messages"][-3:]
    assert first["content"] == "what is it?"
    assert last["content"] == "⟦from Bob⟧ Why?"


async def test_the_original_and_its_copy_count_as_one_question(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel
) -> None:
    proxy = discord.add_proxy()
    lm.script(*[SLOW] * 6)
    for number in range(3):
        asked = await ada.mention(channel, f"question {number}")
        await discord.wait_until(partial(asked_of, lm, 2 * number + 1))
        copy = await proxy.copy(asked, "Luna")
        await until_answered(discord, copy, "The answer.")
    refused = await ada.mention(channel, "one too many")
    await until_answered(discord, refused, "⚠️")


async def test_no_other_webhook_is_ever_answered(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel
) -> None:
    webhook = discord.add_webhook(channel, "News")
    lm.script(SLOW, SLOW, SLOW)
    await webhook.say("<@bot> what is it?")
    asked = await ada.mention(channel, "what is it?")
    await webhook.say("<@bot> what is it?")  # a copy, but the original stays
    await until_answered(discord, asked, "The answer.")
    await ada.delete(asked)  # it is answered already
    await webhook.say("<@bot> what is it?")
    other = await ada.mention(channel, "and this?")
    await discord.wait_until(lambda: len(lm.completions) == 2)
    await ada.delete(other)
    await webhook.say("<@bot> something else")
    last = await ada.mention(channel, "the end")
    await until_answered(discord, last, "The answer.")
    assert len(lm.completions) == 3
    assert all(m.reference in {None, asked, last} for m in answers(discord, channel))
