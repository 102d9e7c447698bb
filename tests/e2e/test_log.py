"""The log of the whole application: each question can be followed, and nobody's words are in it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from bot.ops.logs import set_up_logging
from config.settings import Settings
from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox
from tests.support.application import running, settings_for

ASKED = "Planted-question-words"
THOUGHT = "Planted-thinking-words"
SAID = "Planted-answer-words"
API_TOKEN = "planted-api-token-0123456789"


pytestmark = pytest.mark.usefixtures("restored_logging")


def logging_of(settings: Settings) -> io.StringIO:
    """Set the log up as a start does, and return where it goes."""
    stream = io.StringIO()
    set_up_logging(settings, stream=stream)
    return stream


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
@pytest.mark.parametrize("form", ["true", "false"])
async def test_no_word_of_anybody_and_no_secret_is_logged(
    form: str,
    level: str,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    ada: Person,
    channel: Channel,
    tmp_path: Path,
) -> None:
    file = tmp_path / "clawbot.log"
    settings = settings_for(
        discord,
        lm,
        tmp_path,
        LMSTUDIO_API_TOKEN=API_TOKEN,
        CLAWBOT_LOGGING__LEVEL=level,
        CLAWBOT_LOGGING__JSON_LINES=form,
        CLAWBOT_LOGGING__FILE=str(file),
        CLAWBOT_LMSTUDIO__RETRY_ATTEMPTS="1",
    )
    stream = logging_of(settings)
    lm.answer(Answer(SAID, reasoning=THOUGHT, markup="field"))
    async with running(settings):
        for fault in (None, Fault.CRASHED, Fault.UNKNOWN_ERROR, Fault.RESET_AFTER_TOKENS):
            if fault is not None:
                lm.faults.next(fault)
            asked = await ada.mention(channel, f"{ASKED}, please?")
            await discord.wait_reply(
                asked, timeout_s=20, until=lambda m: "stop" not in str(m.components).lower()
            )
    text = stream.getvalue()
    assert text == file.read_text(encoding="utf-8")
    for words in (ASKED, THOUGHT, SAID, API_TOKEN, discord.token, "Ada", "general", "127.0.0.1"):
        assert words not in text
    assert text.count("asked by mention") == 4
    assert "stopped" in text.splitlines()[-1]


async def test_an_id_joins_all_lines_of_a_question_and_only_those(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_LOGGING__JSON_LINES="true")
    stream = logging_of(settings)
    lm.answer("Because of the light.")
    async with running(settings):
        asked = []
        for words in ("Why?", "And why not?"):
            asked.append(await ada.mention(channel, words))
            await discord.wait_reply(
                asked[-1], timeout_s=20, until=lambda m: "stop" not in str(m.components).lower()
            )
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    for message in asked:
        own = [line["message"] for line in lines if line.get("question_id") == message.id]
        assert len(own) == 1
        assert own[0].startswith("answered in")
    assert {line.get("question_id") for line in lines} == {None, *(m.id for m in asked)}


async def test_a_question_that_is_refused_has_its_line_as_well(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> None:
    more = {"CLAWBOT_LOGGING__JSON_LINES": "true", "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1"}
    settings = settings_for(discord, lm, tmp_path, **more)
    stream = logging_of(settings)
    async with running(settings):
        first = await ada.mention(channel, "Why?")
        await discord.wait_reply(first, timeout_s=20, until=lambda m: "help you" in m.content)
        second = await ada.mention(channel, f"{ASKED}?")
        await discord.wait_reply(second, timeout_s=20)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    [own] = [line["message"] for line in lines if line.get("question_id") == second.id]
    assert own.startswith("not taken: ")
    assert ASKED not in stream.getvalue()
