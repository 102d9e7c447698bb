"""An answer when Discord, the model or the process fails."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from bot.core.domain import MessageId, Stage, StageKind
from bot.core.errors import (
    DeliveryForbiddenError,
    DeliveryRejectedError,
    DeliveryUnavailableError,
    EditExhaustedError,
    TargetGoneError,
)
from bot.core.notices import FILE_LINE, notice
from bot.delivery.delivery import FILE_PATIENCE_S, FINAL_PATIENCE_S
from config.settings import DeliverySettings
from tests.support.clock import settle
from tests.unit.delivery.helpers import DONE, STOP, DeliveryRig

LOADING = Stage(StageKind.LOADING)


@pytest.mark.parametrize("error", [TargetGoneError(), DeliveryForbiddenError(50013)])
async def test_losing_the_reader_is_told_at_once(error: TargetGoneError) -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        await settle()
        delivery.show(lambda: "Hello.")
        await settle()
        rig.sink.failures.append(error)
        await rig.clock.advance(2.0)
        delivery.show(lambda: "Hello. More.")
        await settle()
        assert delivery.gone.is_set()
        with pytest.raises(type(error)):
            await delivery.finish("Hello. More. End.")
    assert rig.sink.kinds() == ["typing", "send", "edit"]


async def test_a_message_that_takes_no_more_edits_is_replaced() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        await settle()
        delivery.show(lambda: "Hello.")
        await settle()
        rig.sink.failures.append(EditExhaustedError())
        await delivery.finish("Hello. The end.")
    assert rig.sink.contents == ["Hello. The end."]
    assert list(delivery.message_ids) == list(rig.sink.messages)
    assert [call.is_reply for call in rig.sink.calls if call.kind == "send"] == [True, True]


async def test_what_takes_a_messages_place_has_a_nonce_that_no_life_has_used() -> None:
    rig = DeliveryRig()
    for life in range(3):
        rig.sink.failures.append(EditExhaustedError())
        async with rig.delivery(posted=[MessageId(life + 1 << 22)]) as delivery:
            await rig.wait(delivery.finish("Hello. The end."))
    nonces = [call.nonce for call in rig.sink.calls if call.kind == "send"]
    assert len({*nonces, "1-r-0", "1-r-1"}) == 5


async def test_a_message_is_no_longer_noted_as_posted_when_it_is_taken_away_to_be_replaced() -> (
    None
):
    rig = DeliveryRig()
    noted: list[tuple[MessageId, ...]] = []
    at_deletion: list[tuple[MessageId, ...]] = []

    async def note(ids: tuple[MessageId, ...]) -> None:
        noted.append(ids)

    async def look() -> None:
        if rig.sink.calls[-1].kind == "delete":
            at_deletion.append(noted[-1])

    rig.sink.before = look
    async with rig.delivery(on_posted=note) as delivery:
        await settle()
        delivery.show(lambda: "Hello.")
        await settle()
        rig.sink.failures.append(EditExhaustedError())
        await delivery.finish("Hello. The end.")
    assert at_deletion == [()]
    assert noted[-1] == tuple(rig.sink.messages)


@pytest.mark.parametrize("is_final", [True, False])
async def test_a_message_that_is_being_posted_when_its_answer_ends_is_taken_back_too(
    is_final: bool,
) -> None:
    rig = DeliveryRig()
    taken = asyncio.Event()
    rig.sink.after_send = taken.wait
    async with rig.delivery() as delivery:
        await settle()
        if not is_final:
            delivery.show(lambda: "Hello.")
        await settle()
        finishing = asyncio.create_task(delivery.finish("Hello. The end."))
        await settle()
        finishing.cancel()
        await asyncio.wait({finishing})
        taken.set()
        await delivery.abort()
    assert rig.sink.contents == []


async def test_refused_text_is_explained_once_under_another_nonce() -> None:
    rig = DeliveryRig()
    rig.sink.failures.append(DeliveryRejectedError(200000))
    async with rig.delivery() as delivery:
        await delivery.finish("Something bad.")
    assert delivery.message_ids == ()
    assert rig.sink.contents == [notice(DeliveryRejectedError.user_text)]
    assert [call.nonce for call in rig.sink.calls if call.kind == "send"] == ["1-r-0", "1-n-0"]


@pytest.mark.parametrize("number", [0, 1])
async def test_a_refused_message_makes_room_for_the_sentence_that_says_so(number: int) -> None:
    rig = DeliveryRig()
    words = "word " * 700
    async with rig.delivery(live_controls=STOP) as delivery:
        delivery.show(partial(str, words))
        await rig.clock.advance(10.0)
        assert len(rig.sink.messages) == 2
        rig.sink.failures.extend([None] * number + [DeliveryRejectedError(200000)])
        await rig.wait(delivery.finish(f"now {words} {words}", controls=DONE))
    assert len(rig.sink.messages) == number + 1
    *before, last = rig.sink.messages.values()
    assert last.content == notice(DeliveryRejectedError.user_text)
    assert last.controls is None or not last.controls.stop
    assert all(message.content.startswith("now word") for message in before)


async def test_who_may_not_write_any_more_may_still_take_back() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        delivery.show(lambda: "Hello.")
        await settle()
        rig.sink.failures.append(DeliveryForbiddenError(50013))
        delivery.show(lambda: "Hello again.")
        await rig.clock.advance(5.0)
        assert delivery.gone.is_set()
        assert await delivery.abort()
    assert rig.sink.contents == []


async def test_refused_interim_text_ends_interim_edits_only() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        rig.sink.failures.append(DeliveryRejectedError(200000))
        delivery.show(lambda: "Bad start")
        await rig.clock.advance(5.0)
        delivery.show(lambda: "Bad start goes on.")
        await rig.clock.advance(5.0)
        assert rig.sink.kinds().count("send") == 1
        await delivery.finish("Harmless.")
    assert delivery.message_ids == tuple(rig.sink.messages)
    assert rig.sink.contents == ["Harmless."]


async def test_finals_are_tried_again_until_discord_is_back() -> None:
    rig = DeliveryRig()
    rig.sink.failures.extend([DeliveryUnavailableError()] * 5)
    async with rig.delivery() as delivery:
        ending = asyncio.create_task(delivery.finish("The end."))
        await rig.clock.advance(60.0)
        await ending
    assert rig.sink.contents == ["The end."]
    assert {call.nonce for call in rig.sink.calls if call.kind == "send"} == {"1-r-0"}


async def test_finals_are_given_up_at_a_bound() -> None:
    rig = DeliveryRig()
    rig.sink.failures.extend([DeliveryUnavailableError()] * 1000)
    async with rig.delivery() as delivery:
        ending = asyncio.create_task(delivery.finish("The end."))
        await rig.clock.advance(FINAL_PATIENCE_S + 10.0)
        with pytest.raises(DeliveryUnavailableError):
            await ending


async def test_a_failure_is_said_instead_of_an_answer() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        delivery.stage(LOADING)
        await rig.clock.advance(3.0)
        await delivery.fail("The model went away.", controls=DONE)
    assert rig.sink.contents == [notice("The model went away.")]


async def test_a_failure_stands_below_what_was_shown_already() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        delivery.show(lambda: "Half an ans")
        await settle()
        await delivery.fail("The model went away.")
    assert rig.sink.contents == ["Half an ans\n-# The model went away."]


async def test_abort_takes_everything_back() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        delivery.show(lambda: "word " * 900)
        await rig.clock.advance(10.0)
        assert len(rig.sink.messages) == 3
        await delivery.abort()
    assert rig.sink.messages == {}
    assert delivery.message_ids == ()


async def test_leaving_without_an_end_stops_all_requests() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        await settle()
        delivery.show(lambda: "Hello.")
        await settle()
    delivery.show(lambda: "Hello again.")
    await rig.clock.advance(60.0)
    assert rig.sink.kinds() == ["typing", "send"]
    assert rig.pacer.is_idle(rig.clock.monotonic())


async def test_messages_of_a_previous_run_are_edited_and_spare_ones_deleted() -> None:
    rig = DeliveryRig()
    posted = [rig.sink.adopt(100 + number, "old") for number in range(3)]
    async with rig.delivery(posted=posted) as delivery:
        await delivery.deliver(("One.", "Two."))
    assert rig.sink.contents == ["One.", "Two."]
    assert delivery.message_ids == (MessageId(100), MessageId(101))
    assert "send" not in rig.sink.kinds()


async def test_a_crash_after_posting_makes_no_second_message() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        delivery.show(lambda: "Half")
        await settle()
    async with rig.delivery() as again:
        await again.deliver(("Whole.",))
    assert len(rig.sink.messages) == 1
    assert len(again.message_ids) == 1


async def test_each_new_message_is_reported_with_all_ids() -> None:
    rig = DeliveryRig()
    seen: list[tuple[MessageId, ...]] = []

    async def note(message_ids: tuple[MessageId, ...]) -> None:
        seen.append(message_ids)

    async with rig.delivery(on_posted=note) as delivery:
        await delivery.finish("word " * 700)
    assert [len(ids) for ids in seen] == [1, 2]
    assert seen[-1] == delivery.message_ids


async def test_final_texts_are_known_before_any_is_sent() -> None:
    rig = DeliveryRig()
    stored: list[tuple[str, ...]] = []

    async def store(chunks: tuple[str, ...]) -> None:
        assert rig.sink.writes_at() == []
        stored.append(chunks)

    async with rig.delivery() as delivery:
        await delivery.finish("The answer.", before_final=store)
    assert stored == [("The answer.",)]


async def test_stale_messages_of_a_previous_run_go_as_soon_as_there_is_text() -> None:
    rig = DeliveryRig()
    posted = [rig.sink.adopt(100 + number, "old") for number in range(3)]
    async with rig.delivery(posted=posted) as delivery:
        delivery.show(lambda: "New words.")
        await rig.clock.advance(10.0)
        assert rig.sink.contents == ["New words."]
        assert delivery.message_ids == (MessageId(100),)


async def test_a_nonce_that_a_previous_run_used_is_not_counted_as_a_new_message() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        await delivery.finish("word " * 500)
    first, second = delivery.message_ids
    async with rig.delivery(posted=[second]) as again:
        await rig.wait(again.deliver(("One.", "Two.")))
    assert len(set(again.message_ids)) == len(again.message_ids) == 2
    assert first not in again.message_ids
    shown = {rig.sink.messages[message_id].content for message_id in again.message_ids}
    assert shown == {"One.", "Two."}


async def test_a_forbidden_file_is_no_lost_reader() -> None:
    rig = DeliveryRig(DeliverySettings(max_messages=1))
    rig.sink.failures.extend([None, DeliveryForbiddenError(50013)])
    async with rig.delivery() as delivery:
        lost = asyncio.create_task(delivery.gone.wait())
        await rig.wait(delivery.finish("word " * 900))
        assert not lost.done()
        lost.cancel()
    assert len(delivery.message_ids) == 3
    assert "word word" in rig.sink.contents[-1]


async def test_a_message_that_the_bot_itself_deletes_counts_as_gone_before_discord_answers() -> (
    None
):
    rig = DeliveryRig()
    posted = [rig.sink.adopt(100 + number, "old") for number in range(2)]
    seen: list[tuple[MessageId, ...]] = []

    async def look() -> None:
        if rig.sink.calls[-1].kind == "delete":
            seen.append(delivery.message_ids)

    rig.sink.before = look
    async with rig.delivery(posted=posted) as delivery:
        await rig.wait(delivery.deliver(("One.",)))
    assert seen == [(MessageId(100),)]


async def test_the_final_text_is_delivered_when_an_interim_edit_failed_unexpectedly() -> None:
    rig = DeliveryRig()

    async def fail() -> None:
        raise RuntimeError("a fault of our own")

    rig.sink.before = fail
    async with rig.delivery() as delivery:
        delivery.show(lambda: "Hello.")
        await settle()
        rig.sink.before = None
        await delivery.finish("Hello. The end.")
    assert rig.sink.contents == ["Hello. The end."]
    assert list(delivery.message_ids) == list(rig.sink.messages)
    assert [call.is_reply for call in rig.sink.calls if call.kind == "send"] == [True, True]


@pytest.mark.parametrize(
    "error", [DeliveryForbiddenError(50013), DeliveryRejectedError(40005), DeliveryRejectedError(0)]
)
async def test_a_long_answer_whose_file_is_refused_comes_whole_as_messages(
    error: DeliveryForbiddenError | DeliveryRejectedError,
) -> None:
    rig = DeliveryRig(DeliverySettings(max_messages=2))
    text = " ".join(f"word{number}" for number in range(900))
    rig.sink.failures.extend([None, error])
    async with rig.delivery() as delivery:
        await rig.wait(delivery.finish(text))
    assert delivery.message_ids == tuple(rig.sink.messages)
    assert " ".join(rig.sink.contents).split() == text.split()
    assert all(message.file is None for message in rig.sink.messages.values())


async def test_a_long_answer_whose_file_is_never_taken_comes_whole_as_messages() -> None:
    rig = DeliveryRig(DeliverySettings(max_messages=2))
    text = " ".join(f"word{number}" for number in range(900))
    tried_s: list[float] = []

    async def look() -> None:
        if rig.sink.calls[-1].content.startswith(FILE_LINE):
            tried_s.append(rig.clock.monotonic())
            raise DeliveryUnavailableError

    rig.sink.before = look
    async with rig.delivery() as delivery:
        await rig.wait(delivery.finish(text), most_s=120.0)
    assert " ".join(rig.sink.contents).split() == text.split()
    assert len(tried_s) > 2
    assert tried_s[-1] - tried_s[0] <= FILE_PATIENCE_S


@pytest.mark.parametrize("is_told", [True, False], ids=["by the gateway", "by a refused edit"])
async def test_a_message_that_somebody_deleted_is_not_deleted_again(is_told: bool) -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        delivery.show(lambda: "word " * 900)
        await rig.clock.advance(10.0)
        first, *others = delivery.message_ids
        if is_told:
            delivery.lost(first)
        else:
            rig.sink.failures.append(TargetGoneError())
            delivery.show(partial(str, "other words " + "word " * 900))
            await rig.clock.advance(10.0)
        await delivery.abort()
    deleted = [call.message_id for call in rig.sink.calls if call.kind == "delete"]
    assert sorted(deleted) == sorted(others)  # type: ignore[type-var]


async def _interim_edits(trouble: str) -> int:
    """Return how many edits 20 s of growing text make, after some trouble with the first edit."""
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        await settle()
        delivery.show(lambda: "Hello.")
        await settle()
        if trouble == "failure":
            rig.sink.failures.append(DeliveryUnavailableError())
        elif trouble == "slow":
            rig.sink.before = lambda: _slow_once(rig)
        for step in range(200):
            delivery.show(partial(str, "Hello." + " More." * (step + 1)))
            await rig.clock.advance(0.1)
    return rig.sink.kinds().count("edit")


async def _slow_once(rig: DeliveryRig) -> None:
    rig.sink.before = None
    await rig.clock.sleep(3.1)


@pytest.mark.parametrize("trouble", ["failure", "slow"])
async def test_interim_edits_become_rarer_once_discord_refuses_or_delays_one(trouble: str) -> None:
    usual = await _interim_edits("none")
    assert await _interim_edits(trouble) <= 0.75 * usual
