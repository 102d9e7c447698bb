"""What people do to a question and its answer: stop, regenerate, continue, edit, delete."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.application import running, settings_for, told

LONG = "One lighthouse after another answered the call across the dark water. " * 12


BEGUN = Answer(LONG, pause_after=20)
"""Is written so far and no further, until it is interrupted or let go on."""


def has_begun(reply: Message) -> bool:
    """Return whether the first words of the long answer are there."""
    return reply.content.startswith("One")


def offers_again(text: str) -> Callable[[Message], bool]:
    """Return whether a message is this answer, with its button to answer again."""
    return lambda reply: reply.content == text and "Regenerate" in str(reply.components)


async def test_stop_ends_the_model_and_keeps_what_was_written(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.answer(BEGUN)
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me a story")
        reply = await discord.wait_reply(asked, until=has_begun)
        await ada.click(reply, "Stop")
        await lm.wait_until(lambda: lm.completions[-1].cancelled_at is not None)
        await discord.wait_until(lambda: "Stopped" in reply.content)
        assert reply.content.startswith("One")


async def test_somebody_else_may_not_press_stop(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    bob = discord.add_user("Bob")
    assert channel.guild is not None
    channel.guild.add_member(bob)
    lm.answer(BEGUN)
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me a story")
        reply = await discord.wait_reply(asked, until=has_begun)
        pressed = await bob.click(reply, "Stop")
        await pressed.wait_response()
        assert pressed.ephemeral
        lm.resume()
        await discord.wait_until(lambda: reply.content.strip() == LONG.strip())


async def test_regenerate_puts_a_new_answer_in_the_place_of_the_old(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("First."))
    lm.script(Answer("Second."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Say something")
        reply = await discord.wait_reply(asked, until=lambda r: r.content == "First.")
        await discord.wait_until(lambda: any("Regenerate" in str(c) for c in reply.components))
        await ada.click(reply, "Regenerate")
        await discord.wait_until(lambda: reply.content == "Second.")
        assert len(discord.bot_messages) == 1


async def test_regenerate_counts_for_the_moderator_who_presses_and_not_for_who_asked(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    bob = discord.add_user("Bob")
    assert channel.guild is not None
    channel.guild.add_member(bob)
    lm.script("One.", "Two.", "Three.", "Four.")
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE="2")
    async with running(settings):
        reply = await discord.wait_reply(
            await bob.mention(channel, "?"), until=offers_again("One.")
        )
        for text in ("Two.", "Three."):
            await ada.click(reply, "Regenerate")
            await discord.wait_until(partial(offers_again(text), reply))
        refused = await ada.click(reply, "Regenerate")
        await told(discord, refused, "faster than I'm allowed")
        mine = await bob.mention(channel, "and mine?")
        await discord.wait_reply(mine, until=offers_again("Four."))


async def test_an_answer_cut_by_length_goes_on_at_the_press_of_a_button(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("The first half and", finish="length"))
    lm.script(Answer("the second half."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me all")
        reply = await discord.wait_reply(asked, until=lambda r: "Continue" in r.content)
        await ada.click(reply, "Continue")
        await discord.wait_until(lambda: len(discord.bot_messages) == 2)
        second = discord.bot_messages[-1]
        await discord.wait_until(lambda: second.content == "the second half.")
    roles = [turn["role"] for turn in lm.completions[-1].body["messages"]]
    assert roles[-3:] == ["user", "assistant", "user"]


async def test_thinking_is_shown_only_to_whoever_asks_for_it(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("Four.", reasoning="Two and two make four."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "2 + 2?")
        reply = await discord.wait_reply(asked, until=lambda r: r.content == "Four.")
        await discord.wait_until(lambda: any("thinking" in str(c) for c in reply.components))
        pressed = await ada.click(reply, "Show thinking")
        await told(discord, pressed, "Two and two make four.")
        assert all(each.ephemeral for each in pressed.messages if "make four" in each.content)


async def test_editing_the_question_answers_it_again_in_place(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("About cats."))
    lm.script(Answer("About dogs."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await discord.wait_reply(asked, until=lambda r: r.content == "About cats.")
        await discord.wait_until(lambda: any("Regenerate" in str(c) for c in reply.components))
        await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
        await discord.wait_until(lambda: reply.content == "About dogs.")
    assert "dogs" in lm.completions[-1].body["messages"][-1]["content"]


async def test_editing_the_question_answers_it_again_also_where_the_answer_was_deleted(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("About cats."), Answer("About dogs."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await discord.wait_reply(asked, until=lambda r: r.content == "About cats.")
        await discord.wait_until(lambda: any("Regenerate" in str(c) for c in reply.components))
        await ada.delete(reply)
        await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
        await discord.wait_until(
            lambda: [m.content for m in discord.bot_messages] == ["About dogs."]
        )


async def test_deleting_the_question_stops_the_model_and_removes_the_unfinished_answer(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.answer(BEGUN)
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me a story")
        await discord.wait_reply(asked, until=has_begun)
        await ada.delete(asked)
        await lm.wait_until(lambda: lm.completions[-1].cancelled_at is not None)
        await discord.wait_until(lambda: not discord.bot_messages)


async def test_deleting_the_answer_stops_the_model(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.answer(BEGUN)
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me a story")
        reply = await discord.wait_reply(asked, until=has_begun)
        await ada.delete(reply)
        await lm.wait_until(lambda: lm.completions[-1].cancelled_at is not None)
    assert not discord.bot_messages


async def test_a_shorter_answer_takes_the_place_of_one_of_two_messages(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    long = " ".join(f"Lighthouse {number} answers the call." for number in range(70))
    lm.script(Answer(long), Answer("Short."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Say something")
        reply = await discord.wait_reply(asked)
        await discord.wait_until(lambda: len(discord.bot_messages) == 2)
        last = discord.bot_messages[-1]
        await discord.wait_until(lambda: any("Regenerate" in str(c) for c in last.components))
        await ada.click(last, "Regenerate")
        await discord.wait_until(lambda: [m.content for m in discord.bot_messages] == ["Short."])
        assert discord.bot_messages == [reply]


async def test_what_is_left_of_an_answer_is_rewritten_where_its_first_message_was_deleted(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.answer(" ".join(f"Lighthouse {number} answers the call." for number in range(70)))
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        asked = await ada.mention(channel, "Tell me a story")
        ends = await discord.wait_until(
            lambda: [m for m in discord.bot_messages if "Regenerate" in str(m.components)]
        )
    first, left = discord.replies(asked)[0], ends[0]
    await ada.delete(first)
    lm.answer("In short.")
    async with running(settings):
        await ada.click(left, "Regenerate")
        await discord.wait_until(lambda: offers_again("In short.")(left))
    assert [m for m in channel.messages.values() if m.author.is_bot] == [left]


async def test_a_question_edited_twice_has_one_answer(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(BEGUN, Answer("About dogs."), Answer("About birds."))
    me = f"<@{discord.bot_user.id}>"
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me about cats")
        await discord.wait_reply(asked, until=has_begun)
        await ada.edit(asked, f"{me} Tell me about dogs")
        await discord.wait_reply(asked, until=lambda r: r.content == "About dogs.")
        await ada.edit(asked, f"{me} Tell me about birds")
        await discord.wait_until(
            lambda: [m.content for m in discord.bot_messages] == ["About birds."]
        )


async def test_regenerate_pressed_twice_makes_one_answer(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    quiet = {"CLAWBOT_DELIVERY__STAGE_AFTER_S": "60", "CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S": "1"}
    lm.script(Answer("First."))
    async with running(settings_for(discord, lm, tmp_path, **quiet)):
        asked = await ada.mention(channel, "Say something")
        reply = await discord.wait_reply(asked, until=lambda r: r.content == "First.")
        await discord.wait_until(lambda: any("Regenerate" in str(c) for c in reply.components))
        await lm.stop()
        await (await ada.click(reply, "Regenerate")).wait_response()
        again = await ada.click(reply, "Regenerate")
        await told(discord, again, "already")
        lm.script(Answer("Second."))
        await lm.start()
        await discord.wait_until(lambda: reply.content == "Second.")
        assert len(discord.bot_messages) == 1
