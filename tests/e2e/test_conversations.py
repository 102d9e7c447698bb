"""What of a conversation reaches the model, over real sockets."""

from __future__ import annotations

from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox, RecordedRequest
from tests.support.application import running, settings_for


def turns(request: RecordedRequest) -> list[tuple[str, object]]:
    """Return the roles and texts of a request, without the system prompt."""
    return [(m["role"], m["content"]) for m in request.body["messages"] if m["role"] != "system"]


async def test_an_answer_that_begins_with_a_warning_sign_is_remembered(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    lm.script("⚠️ Never mix bleach and ammonia.", "Because of the gas.", "Yes.")
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_CHAT__SHOW_FOOTER="true")
    async with running(settings):
        asked = await ada.mention(channel, "May I mix these?")
        answer = await discord.wait_reply(asked)
        await discord.wait_until(lambda: "tokens" in answer.content)
        why = await ada.reply(answer, "Why?")
        second = await discord.wait_reply(why)
        await discord.wait_until(lambda: "tokens" in second.content)
    async with running(settings):
        await discord.wait_reply(await ada.reply(second, "Sure?"))
    assert turns(lm.completions[1])[1] == ("assistant", "⚠️ Never mix bleach and ammonia.")
    assert turns(lm.completions[2])[:4] == [
        *turns(lm.completions[1]),
        ("assistant", "Because of the gas."),
    ]


async def test_what_the_bot_said_itself_is_no_part_of_a_conversation(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, tmp_path: Path
) -> None:
    lm.script("One.", "Two.")
    extra = {"CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1"}
    async with running(settings_for(discord, lm, tmp_path, **extra)):
        first = await ada.dm("First")
        await discord.wait_until(lambda: any(m.content == "One." for m in discord.replies(first)))
        refused = await ada.dm("Second")
        notice = await discord.wait_reply(refused)
        assert notice.content.startswith("⚠️")
    async with running(settings_for(discord, lm, tmp_path)):
        third = await ada.dm("Third")
        await discord.wait_until(lambda: any(m.content == "Two." for m in discord.replies(third)))
    assert "⚠️" not in str(turns(lm.completions[-1]))
