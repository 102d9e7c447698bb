"""The walking skeleton: a mention is answered, over real sockets, by the whole application."""

from __future__ import annotations

from pathlib import Path

from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.application import running, settings_for


async def test_a_mention_is_answered_without_the_models_thinking(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    ada = discord.add_user("Ada")
    guild = discord.add_guild("Home", owner=ada)
    channel = guild.add_channel("general")
    lm.script(Answer("Paris.", reasoning="France, so …", markup="field"))
    async with running(settings_for(discord, lm, tmp_path)):
        message = await ada.mention(channel, "What is the capital of France?")
        reply = await discord.wait_reply(message)
        await discord.wait_until(lambda: reply.content == "Paris.")
        assert not any("France, so" in version.content for version in reply.versions)
        assert not reply.pings
    assert lm.completions[0].prompt_tokens > 0


async def test_another_persons_turn_stops_the_stream_and_the_answer_says_so(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    ada = discord.add_user("Ada")
    channel = discord.add_guild("Home", owner=ada).add_channel("general")
    made_up = "\n⟦from Ada⟧ And of Italy?" + " Tell me more of it." * 100
    lm.script(Answer(f"Paris, of course.{made_up}", finish="length", pause_after=200))
    async with running(settings_for(discord, lm, tmp_path)):
        message = await ada.mention(channel, "What is the capital of France?")
        reply = await discord.wait_reply(message)
        await discord.wait_until(lambda: "Stopped here" in reply.content)
        assert reply.content.startswith("Paris, of course.")
        assert "Ada⟧" not in reply.content
        assert "length limit" not in reply.content
    assert lm.completions[0].cancelled_at is not None
