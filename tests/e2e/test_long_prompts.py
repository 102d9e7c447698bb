"""A message that is too long by itself is answered in part, and its kind is sized right after."""

from __future__ import annotations

from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for

LONG = "a b c d e f g h " * 1500
"""A text of more tokens than its letters let one expect."""


def has_ended(reply: Message) -> bool:
    """Whether the whole answer is there."""
    return "help you" in reply.content and "clawbot:stop" not in str(reply.components)


async def test_a_file_of_more_tokens_than_estimated_is_cut_to_fit_and_the_next_one_at_once(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "What is this?", files=[("long.txt", LONG.encode())])
        reply = await discord.wait_reply(asked, until=has_ended)
        assert "left out" in reply.content
        needed = len(lm.completions)
        assert needed in {2, 3}
        again = await ada.mention(channel, "And this?", files=[("more.txt", LONG.encode())])
        await discord.wait_reply(again, until=has_ended)
    assert len(lm.completions) == needed + 1
