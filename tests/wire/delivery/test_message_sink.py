"""What the message sink says to Discord, with the real discord.py."""

from __future__ import annotations

import pytest

from bot.core.domain import MessageId, QuestionId, UserId
from bot.core.errors import (
    DeliveryForbiddenError,
    DeliveryRejectedError,
    DeliveryUnavailableError,
    EditExhaustedError,
    TargetGoneError,
)
from bot.core.ports import Controls, TextFile
from tests.wire.delivery.helpers import MESSAGE, MESSAGES, SUPPRESS_EMBEDS, discord_rig

STOP = Controls(QuestionId(1), UserId(2), stop=True)
NONE = Controls(QuestionId(1), UserId(2))
LINK = "see https://example.org/?q=1"


async def test_every_body_is_quiet_harmless_and_named() -> None:
    async with discord_rig() as here:
        asked = await here.ada.say(here.channel, "hello")
        sink = here.sink(asked)
        message_id = await sink.send(LINK, nonce="1-r-0", is_reply=True, controls=STOP)
        await sink.edit(message_id, LINK + " @everyone")
        await sink.edit(message_id, LINK, controls=NONE)
        (create,) = here.sandbox.requests_to("POST", MESSAGES)
        edits = here.sandbox.requests_to("PATCH", MESSAGE)
        assert create.body["nonce"] == "1-r-0"
        assert create.body["enforce_nonce"] is True
        assert create.body["message_reference"]["fail_if_not_exists"] is False
        for request in (create, *edits):
            assert request.body["allowed_mentions"] == {"parse": []}
            assert request.body["flags"] & SUPPRESS_EMBEDS
        assert [("components" in edit.body) for edit in edits] == [False, True]
        (message,) = here.bot_messages()
        assert here.learnt == [LINK, LINK + " @everyone", LINK]
        assert message.reference is asked
        assert message.previews == []
        assert message.buttons == []
        assert not message.pings


async def test_only_the_first_message_replies() -> None:
    async with discord_rig() as here:
        asked = await here.ada.say(here.channel, "hello")
        sink = here.sink(asked)
        await sink.send("One.", nonce="1-r-0", is_reply=True)
        await sink.send("Two.", nonce="1-r-1")
        assert [message.reference for message in here.bot_messages()] == [asked, None]


async def test_a_file_comes_with_its_message() -> None:
    async with discord_rig() as here:
        file = TextFile("answer.md", "whole ünïcode answer")
        await here.sink().send("In the file.", nonce="1-r-0", is_reply=True, file=file)
        (message,) = here.bot_messages()
        assert [each.filename for each in message.attachments] == ["answer.md"]


async def test_a_deleted_question_is_answered_without_a_reference() -> None:
    async with discord_rig() as here:
        asked = await here.ada.say(here.channel, "hello")
        await here.ada.delete(asked)
        await here.sink(asked).send("Hi.", nonce="1-r-0", is_reply=True)
        (message,) = here.bot_messages()
        assert message.reference is None


async def test_a_reply_that_may_not_refer_is_sent_as_a_message() -> None:
    async with discord_rig() as here:
        asked = await here.ada.say(here.channel, "hello")
        here.sandbox.faults.refuse(160002, "POST", MESSAGES)
        await here.sink(asked).send("Hi.", nonce="1-r-0", is_reply=True)
        first, second = here.sandbox.requests_to("POST", MESSAGES)
        assert first.body["nonce"] == second.body["nonce"]
        assert "message_reference" not in second.body
        assert len(here.bot_messages()) == 1


async def test_a_replayed_nonce_is_corrected_to_the_wanted_text() -> None:
    async with discord_rig() as here:
        first = await here.sink().send("Old life.", nonce="1-r-0", is_reply=True)
        second = await here.sink().send("New life.", nonce="1-r-0", is_reply=True)
        assert first == second
        assert [message.content for message in here.bot_messages()] == ["New life."]


@pytest.mark.parametrize("status", [503, 520, 521, 522, 523])
async def test_a_short_outage_is_bridged_under_one_nonce(status: int) -> None:
    async with discord_rig() as here:
        here.sandbox.faults.fail("POST", MESSAGES, status=status, times=2)
        await here.sink().send("Hi.", nonce="1-r-0", is_reply=True)
        requests = here.sandbox.requests_to("POST", MESSAGES)
        assert [request.body["nonce"] for request in requests] == ["1-r-0"] * 3
        assert len(here.bot_messages()) == 1


@pytest.mark.parametrize("after_commit", [False, True])
async def test_a_reset_connection_makes_one_message(*, after_commit: bool) -> None:
    async with discord_rig() as here:
        here.sandbox.faults.reset("POST", MESSAGES, after_commit=after_commit)
        await here.sink().send("Hi.", nonce="1-r-0", is_reply=True)
        assert len(here.bot_messages()) == 1


async def test_a_call_that_hangs_is_bounded_and_made_again() -> None:
    async with discord_rig() as here:
        here.sandbox.faults.hang("POST", MESSAGES, after_commit=True)
        await here.sink(timeout_s=0.2).send("Hi.", nonce="1-r-0", is_reply=True)
        assert len(here.bot_messages()) == 1


async def test_a_long_outage_is_said_to_be_one() -> None:
    async with discord_rig() as here:
        here.sandbox.faults.fail("POST", MESSAGES, status=503, times=10)
        with pytest.raises(DeliveryUnavailableError):
            await here.sink().send("Hi.", nonce="1-r-0", is_reply=True)
        assert len(here.sandbox.requests_to("POST", MESSAGES)) == 3


async def test_cloudflares_ban_is_not_answered_with_more_requests() -> None:
    async with discord_rig() as here:
        here.sandbox.faults.cloudflare("POST", MESSAGES)
        with pytest.raises(DeliveryUnavailableError):
            await here.sink().send("Hi.", nonce="1-r-0", is_reply=True)
        assert len(here.sandbox.requests_to("POST", MESSAGES)) == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (10003, TargetGoneError),
        (10008, TargetGoneError),
        (50001, DeliveryForbiddenError),
        (50013, DeliveryForbiddenError),
        (50007, DeliveryForbiddenError),
        (160005, DeliveryForbiddenError),
        (50035, DeliveryRejectedError),
        (200000, DeliveryRejectedError),
        (240000, DeliveryRejectedError),
        (40005, DeliveryRejectedError),
        (30046, EditExhaustedError),
        (50083, EditExhaustedError),
    ],
)
async def test_each_refusal_has_its_meaning_and_is_not_repeated(
    code: int, error: type[Exception]
) -> None:
    async with discord_rig() as here:
        message_id = await here.sink().send("Hi.", nonce="1-r-0", is_reply=True)
        here.sandbox.faults.refuse(code, "PATCH", MESSAGE, status=400)
        with pytest.raises(error):
            await here.sink().edit(message_id, "More.")
        assert len(here.sandbox.requests_to("PATCH", MESSAGE)) == 1


async def test_deleting_what_is_gone_is_no_error() -> None:
    async with discord_rig() as here:
        sink = here.sink()
        message_id = await sink.send("Hi.", nonce="1-r-0", is_reply=True)
        await sink.delete(message_id)
        await sink.delete(message_id)
        await sink.delete(MessageId(1))
        assert here.bot_messages() == []


async def test_editing_what_is_gone_says_so() -> None:
    async with discord_rig() as here:
        sink = here.sink()
        message_id = await sink.send("Hi.", nonce="1-r-0", is_reply=True)
        await sink.delete(message_id)
        with pytest.raises(TargetGoneError):
            await sink.edit(message_id, "More.")


async def test_typing_is_shown() -> None:
    async with discord_rig() as here:
        await here.sink().typing()
        assert len(here.sandbox.requests_to("POST", "/channels/{channel_id}/typing")) == 1


async def test_nothing_was_asked_that_discord_does_not_know() -> None:
    async with discord_rig() as here:
        sink = here.sink()
        message_id = await sink.send("Hi.", nonce="1-r-0", is_reply=True, controls=STOP)
        await sink.edit(message_id, "More.")
        await sink.delete(message_id)
        assert here.sandbox.unexpected == []
