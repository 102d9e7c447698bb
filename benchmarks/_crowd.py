"""Many people who ask at once, and what became of their questions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import tokenize

SETTLE_S = 300.0
"""The most to wait for the last answer, in seconds."""


@dataclass(frozen=True)
class Crowd:
    """People who share the channels of one guild."""

    people: Sequence[Person]
    channels: Sequence[Channel]


def words(tokens: int) -> str:
    """Return a text of so many tokens of the stand-in's, beginning with "Ships"."""
    text = "Ships"
    while len(tokenize(text + " go.")) <= tokens:
        text += " go"
    return text + "."


def gather(discord: DiscordSandbox, people: int, channels: int, guild_name: str = "Home") -> Crowd:
    """Found a guild with so many channels and members."""
    owner = discord.add_user("Ada")
    guild = discord.add_guild(guild_name, owner=owner)
    others = [discord.add_user(f"Person {number}") for number in range(1, people)]
    for person in others:
        guild.add_member(person)
    return Crowd(
        (owner, *others), [guild.add_channel(f"room-{number}") for number in range(channels)]
    )


def answers_to(discord: DiscordSandbox, asked: Message) -> list[Message]:
    """Return the bot's messages that refer to a question."""
    return [
        message
        for message in asked.channel.messages.values()
        if message.reference is asked and message.author is discord.bot_user
    ]


def is_answered(discord: DiscordSandbox, asked: Message, text: str) -> bool:
    """Return whether the whole answer stands, without a Stop button."""
    return any(
        message.content == text and "clawbot:stop" not in str(message.components)
        for message in answers_to(discord, asked)
    )


async def until_told(discord: DiscordSandbox, asked: Message, timeout_s: float) -> None:
    """Wait until a question has an answer, or a sentence in its place, without a Stop button.

    Raises:
        TimeoutError: It has none within ``timeout_s`` seconds.
    """

    def is_told() -> bool:
        return any(
            "clawbot:stop" not in str(answer.components) and answer.content
            for answer in answers_to(discord, asked)
        )

    await discord.wait_until(is_told, timeout_s=timeout_s)


def is_merged(asked: Message) -> bool:
    """Return whether the question became part of its author's next one."""
    return "➕" in asked.reactions


async def all_answered(discord: DiscordSandbox, questions: Sequence[Message], text: str) -> int:
    """Wait until every question has its whole answer; returns how many have."""
    waiting = list(questions)

    def none_left() -> bool:
        waiting[:] = [asked for asked in waiting if not is_answered(discord, asked, text)]
        return not waiting

    try:
        await discord.wait_until(none_left, timeout_s=SETTLE_S)
    except TimeoutError:
        none_left()
    return len(questions) - len(waiting)


def first_word_s(discord: DiscordSandbox, asked: Message, word: str) -> float | None:
    """Return the seconds from a question to the first version of an answer with its first word."""
    times = [
        version.at
        for message in answers_to(discord, asked)
        for version in message.versions
        if version.content.startswith(word)
    ]
    return min(times) - asked.versions[0].at if times else None


def last_change_s(discord: DiscordSandbox, asked: Message) -> float:
    """Return the seconds from a question to the last change of its answers; 0 without one."""
    times = [m.versions[-1].at for m in answers_to(discord, asked)]
    return max(times) - asked.versions[0].at if times else 0.0


def busiest_second(times: Iterable[float]) -> int:
    """Return how many of these moments lie within the fullest second."""
    ordered = sorted(times)
    most = start = 0
    for end, at in enumerate(ordered):
        while ordered[start] <= at - 1.0:
            start += 1
        most = max(most, end - start + 1)
    return most
