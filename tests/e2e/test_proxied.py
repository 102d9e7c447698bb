"""Questions of people whose messages a proxy bot posts again through a webhook, under other names."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.application import running, settings_for

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
        lambda: any(text in reply.content for reply in discord.replies(message))
    )
    return next(reply for reply in discord.replies(message) if text in reply.content)


@pytest.mark.usefixtures("online")
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
    proxy = discord.add_proxy()
    copy = await proxy.copy(asked, "Luna", delete_first=delete_first)
    answer = await until_answered(discord, copy, "The answer.")
    assert answers(discord, channel) == [answer]
    await discord.wait_until(lambda: "Details" in str(answer.components))
    await ada.click(answer, "Details")  # whoever may press Stop may press this, too
    assert "what is it?" in str(lm.completions[-1].body["messages"][-1]["content"])
    lm.script("The newer answer.")
    await proxy.webhook(channel).edit(copy, "<@bot> what was it?")
    await until_answered(discord, copy, "The newer answer.")
    assert "what was it?" in str(lm.completions[-1].body["messages"][-1]["content"])
    assert answers(discord, channel) == [answer]


@pytest.mark.usefixtures("online")
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


async def test_a_reply_an_edited_question_and_one_of_two_messages_are_answered_as_they_are_said_again(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    proxy = discord.add_proxy()
    lm.script(SLOW, SLOW, SLOW)
    async with running(settings_for(discord, lm, tmp_path)):
        first = await until_answered(discord, await ada.mention(channel, "Hello"), "The answer.")
        reply = await ada.reply(first, "and then?")  # the text has no mention, but Discord's list
        await discord.wait_until(partial(asked_of, lm, 2))
        await until_answered(discord, await proxy.copy(reply, "Luna"), "The answer.")
        lm.script(SLOW, SLOW, SLOW)
        edited = await ada.mention(channel, "teh question")
        await discord.wait_until(partial(asked_of, lm, 4))
        await ada.edit(edited, "<@bot> the question")
        await discord.wait_until(partial(asked_of, lm, 5))
        await until_answered(discord, await proxy.copy(edited, "Luna"), "The answer.")
        lm.script(*[SLOW] * 4)
        parts = [await ada.mention(channel, "first part"), await ada.say(channel, "second part")]
        await discord.wait_until(lambda: "second part" in str(lm.completions[-1].body))
        copies = [await proxy.copy(part, "Luna") for part in parts]
        await until_answered(discord, copies[1], "The answer.")
    last = lm.completions[-1].body["messages"][-1]["content"]
    assert last.endswith("first part\nsecond part")
    assert len(answers(discord, channel)) == 4


def is_answered_once(lm: LMStudioSandbox, discord: DiscordSandbox, channel: Channel) -> bool:
    """Let the model write on; tell whether one answer stands, to something that stands, too."""
    lm.resume()
    there = answers(discord, channel)
    is_one = [m.content for m in there] == ["The answer."]
    return is_one and there[0].reference in channel.messages.values()


def is_later(discord: DiscordSandbox, moment_s: float) -> bool:
    """Tell whether a moment is over: no two messages of a person have the same time."""
    return discord.world.now() > moment_s


async def say_again(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, order: str
) -> None:
    """Say a burst of two (M; N asks by itself), of which a proxy copies (C) and deletes (D) each.

    What is joined by + comes in one moment, so that the bot reads all of it before it takes the first.
    """
    webhook = discord.add_proxy().webhook(channel)
    said: list[Message] = []
    for moment in order.split():
        await lm.wait_until(partial(is_later, discord, discord.world.now() + 0.002))
        for step in moment.split("+"):
            if step == "M1":
                said.append(await ada.mention(channel, f"first of {channel.name}"))
            elif step == "M2":
                said.append(await ada.say(channel, f"second of {channel.name} -l"))
            elif step == "N2":
                said.append(await ada.mention(channel, f"second of {channel.name} -l"))
            elif step[0] == "D":
                await ada.delete(said[int(step[1]) - 1])
            else:
                text = said[int(step[1]) - 1].content.removesuffix(" -l")
                await webhook.say(text, name="Luna")


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize(
    "order",
    [
        pytest.param("M1 C1 M2 C2 D1 D2", id="usual"),
        pytest.param("M1 C1 D1 M2", id="only the first"),
        pytest.param("M1 M2 D1 D2 C1 C2", id="deleted first"),
        pytest.param("M1 D1 M2 C1 C2 D2", id="first missing"),
        pytest.param("M1+C1+N2+D1+C2+D2", id="both ask"),
    ],
)
async def test_each_part_of_a_burst_is_answered_once_whenever_its_copy_and_its_deletion_come(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, order: str
) -> None:
    lm.answer_with(lambda _: Answer("The answer.", pause_after=0))
    await say_again(discord, lm, ada, channel, order)
    wanted = f"first of {channel.name}\\nsecond of {channel.name}"
    await discord.wait_until(lambda: any(wanted in str(c.body) for c in lm.completions))
    lm.answer_with(lambda _: Answer("The answer."))
    await discord.wait_until(partial(is_answered_once, lm, discord, channel))


@pytest.mark.usefixtures("online")
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


@pytest.mark.usefixtures("online")
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


async def test_a_question_that_was_said_again_while_the_bot_was_away_is_answered_after_the_start(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__SHUTDOWN_GRACE_S="0")
    lm.script(Answer("Never said.", pause_after=0), "The answer.")
    async with running(settings):
        asked = await ada.mention(channel, "what is it?")
        await discord.wait_until(partial(asked_of, lm, 1))
    copy = await discord.add_proxy().copy(asked, "Luna")
    async with running(settings):
        answer = await until_answered(discord, copy, "The answer.")
    assert answers(discord, channel) == [answer]
