"""A conversation that outgrows its context: how it is cut, over a restart of the bot."""

from __future__ import annotations

from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import LMStudioSandbox, Model
from tests.support.application import running, settings_for

CONTEXT, LONGEST_ANSWER = 2048, 256
TURNS = 12
REASONS = 20
SETTINGS = {
    "CLAWBOT_CHAT__MAX_TOKENS": str(LONGEST_ANSWER),
    "CLAWBOT_QUEUE__BURST_WINDOW_S": "0",
}


async def test_history_is_cut_once_when_its_room_is_used_up_and_stays_cut_over_a_restart(
    discord: DiscordSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    async with LMStudioSandbox([Model("tiny", context_tokens=CONTEXT)]) as lm:
        settings = settings_for(discord, lm, tmp_path, **SETTINGS)
        last: Message | None = None
        for first in range(0, TURNS, 4):
            async with running(settings):
                for number in range(first, first + 4):
                    last = await turn(discord, lm, ada, channel, last, number)
    sent = [record.prompt for record in lm.completions]
    sizes = [record.prompt_tokens for record in lm.completions]
    opening = "<|im_start|>assistant\n"
    cuts = [
        number
        for number in range(1, len(sent))
        if not sent[number].startswith(sent[number - 1].removesuffix(opening))
    ]
    room = CONTEXT - LONGEST_ANSWER
    assert len(cuts) == 1, sizes
    assert 0.85 * room <= max(sizes) <= room, sizes
    assert sizes[cuts[0]] <= 0.6 * room, sizes


async def turn(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    last: Message | None,
    number: int,
) -> Message:
    """Ask, and return the whole answer."""
    lm.script(f"Answer {number}: " + "because of this and that " * REASONS)
    text = f"Question {number}: " + "why is it so and not so " * 6
    asked = await (ada.mention(channel, text) if last is None else ada.reply(last, text))
    return await discord.wait_reply(asked, until=is_whole)


def is_whole(answer: Message) -> bool:
    """Whether the whole answer is there; a line about a cut may stand below it."""
    return answer.content.count("that") == REASONS and "clawbot:stop" not in str(answer.components)
