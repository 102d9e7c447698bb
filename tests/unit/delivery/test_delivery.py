"""One answer from first word to last, on a fake clock."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from bot.domain import MessageId, Stage, StageKind
from bot.errors import (
    DeliveryForbiddenError,
    DeliveryRejectedError,
    DeliveryUnavailableError,
    EditExhaustedError,
    TargetGoneError,
)
from bot.reply.delivery import FINAL_PATIENCE_S
from config.settings import DeliverySettings
from tests.support.clock import settle
from tests.unit.delivery.helpers import DONE, STOP, Desk

LOADING = Stage(StageKind.LOADING)


async def test_first_words_go_out_at_once_without_any_timer() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        await settle()
        delivery.show("Hel")
        await settle()
        assert desk.sink.contents == ["Hel"]
        assert desk.sink.writes_at() == [1000.0]


async def test_four_seconds_of_text_take_five_requests_at_most() -> None:
    desk = Desk()
    async with desk.delivery(live_controls=STOP) as delivery:
        words = ""
        for number in range(120):
            words += f"word{number} "
            delivery.show(words)
            await desk.clock.advance(4.0 / 120)
        result = await delivery.finish(words, controls=DONE)
    assert desk.sink.contents == [words.strip()]
    assert result.rest_calls == len(desk.sink.calls) <= 5
    assert desk.sink.writes_at()[-1] == desk.clock.monotonic()


async def test_reading_the_model_never_waits_for_discord() -> None:
    desk = Desk()
    desk.sink.before = asyncio.Event().wait  # never set: Discord hangs
    async with desk.delivery() as delivery:
        await settle()
        for number in range(1000):
            delivery.show("word " * number)
        await settle()
        assert desk.sink.kinds() == ["typing", "send"]


async def test_finish_waits_for_a_request_under_way() -> None:
    desk = Desk()
    release = asyncio.Event()
    desk.sink.before = release.wait
    async with desk.delivery() as delivery:
        delivery.show("One")
        await settle()
        ending = asyncio.create_task(delivery.finish("One two."))
        await settle()
        assert not ending.done()
        release.set()
        await ending
    assert desk.sink.contents == ["One two."]


async def test_an_edit_that_would_change_nothing_is_not_made() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        await settle()
        delivery.show("All of it.")
        await desk.clock.advance(10.0)
        delivery.show("All of it. ")
        await desk.clock.advance(10.0)
        await delivery.finish("All of it.")
    assert desk.sink.kinds() == ["typing", "send"]


async def test_the_stop_button_gives_way_to_those_of_a_finished_answer() -> None:
    desk = Desk()
    async with desk.delivery(live_controls=STOP) as delivery:
        delivery.show("Text.")
        await settle()
        (message,) = desk.sink.messages.values()
        assert message.controls == STOP
        await delivery.finish("Text.", controls=DONE)
        assert message.controls == DONE


async def test_a_long_answer_grows_over_messages_and_only_the_last_keeps_buttons() -> None:
    desk = Desk()
    text = "\n\n".join(f"Paragraph {number}. " + "word " * 150 for number in range(7))
    async with desk.delivery(live_controls=STOP) as delivery:
        for end in range(200, len(text), 200):
            delivery.show(text[:end])
            await desk.clock.advance(0.5)
        await desk.wait(delivery.finish(text, controls=DONE))
    messages = list(desk.sink.messages.values())
    assert len(messages) >= 3
    assert " ".join(desk.sink.contents).split() == text.split()
    assert messages[-1].controls == DONE
    for message in messages[:-1]:
        assert message.controls is not None
        assert not message.controls.stop


async def test_an_answer_of_too_many_messages_ends_in_a_file() -> None:
    desk = Desk(DeliverySettings(max_messages=3))
    text = "word " * 2000
    async with desk.delivery() as delivery:
        delivery.show(text[:5000])
        await desk.clock.advance(30.0)
        result = await delivery.finish(text, notices=("Cut.",))
    assert len(result.message_ids) == len(desk.sink.messages) == 3
    last = list(desk.sink.messages.values())[-1]
    assert last.file is not None
    assert last.file.filename == "answer.md"
    assert last.file.content == text
    assert "9,999 characters" in last.content or "10,000 characters" in last.content
    assert last.content.endswith("-# Cut.")


async def test_where_files_are_forbidden_all_of_it_comes_as_messages() -> None:
    desk = Desk(DeliverySettings(max_messages=1))
    text = "word " * 1000
    desk.sink.failures.extend([None, DeliveryForbiddenError(50013)])
    async with desk.delivery() as delivery:
        await desk.wait(delivery.finish(text))
        assert not delivery.gone.is_set()
    assert " ".join(desk.sink.contents).split() == text.split()


async def test_quiet_lines_stand_below_the_answer_within_the_limit() -> None:
    desk = Desk()
    text = "x " * 999
    async with desk.delivery() as delivery:
        await delivery.finish(text, notices=("Left out 12 older messages.",), footer="qwen · 40/s")
    assert desk.sink.contents[-1].endswith("\n-# Left out 12 older messages.\n-# qwen · 40/s")


async def test_an_open_code_block_is_closed_before_quiet_lines() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        await delivery.finish("```python\nprint(1)", notices=("Cut: press Continue.",))
    assert desk.sink.contents == ["```python\nprint(1)\n```\n-# Cut: press Continue."]


async def test_blank_answers_still_say_something() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        await delivery.finish("  \n ")
    assert "empty" in desk.sink.contents[0]


async def test_no_stage_line_when_the_first_word_is_quick() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        delivery.stage(LOADING)
        await desk.clock.advance(1.9)
        delivery.show("Hello.")
        await desk.clock.advance(5.0)
    assert desk.sink.kinds() == ["typing", "send"]
    assert desk.sink.contents == ["Hello."]


async def test_the_answer_takes_the_stage_lines_place() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        delivery.stage(LOADING)
        await desk.clock.advance(2.1)
        assert desk.sink.contents[0].startswith("-# ⏳ Loading the model…")
        delivery.show("Hello.")
        await settle()
        assert desk.sink.contents == ["Hello."]
        await delivery.finish("Hello.")
    assert desk.sink.kinds() == ["typing", "send", "edit"]


async def test_the_stage_line_is_updated_sparingly() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        for _ in range(600):
            delivery.stage(Stage(StageKind.THINKING))
            await desk.clock.advance(0.1)
        writes = desk.sink.writes_at()
        assert min(after - before for before, after in itertools.pairwise(writes)) >= 5.0
        assert len(writes) <= 12
        assert "Thinking… 5" in desk.sink.contents[0]


async def test_typing_goes_on_while_working_and_ends_with_the_first_words() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        delivery.stage(Stage(StageKind.READING, tokens=3120))
        await desk.clock.advance(30.0)
        typed = [call.at_s for call in desk.sink.calls if call.kind == "typing"]
        assert [round(at_s - 1000, 1) for at_s in typed] == [0.0, 8.5, 17.0, 25.5]
        delivery.show("Done.")
        await desk.clock.advance(30.0)
        assert desk.sink.kinds().count("typing") == 4


async def test_nobody_types_while_a_question_only_waits_in_line() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        delivery.stage(Stage(StageKind.QUEUED, position=2))
        await desk.clock.advance(60.0)
        assert desk.sink.kinds().count("typing") == 1


async def test_answers_in_one_channel_share_one_typing_indicator() -> None:
    desk = Desk()
    async with desk.delivery(1), desk.delivery(2), desk.delivery(3):
        await desk.clock.advance(10.0)
        assert desk.sink.kinds() == ["typing", "typing"]


@pytest.mark.parametrize("error", [TargetGoneError(), DeliveryForbiddenError(50013)])
async def test_losing_the_reader_is_told_at_once(error: TargetGoneError) -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        await settle()
        delivery.show("Hello.")
        await settle()
        desk.sink.failures.append(error)
        await desk.clock.advance(2.0)
        delivery.show("Hello. More.")
        await settle()
        assert delivery.gone.is_set()
        with pytest.raises(type(error)):
            await delivery.finish("Hello. More. End.")
    assert desk.sink.kinds() == ["typing", "send", "edit"]


async def test_a_message_that_takes_no_more_edits_is_replaced() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        await settle()
        delivery.show("Hello.")
        await settle()
        desk.sink.failures.append(EditExhaustedError())
        result = await delivery.finish("Hello. The end.")
    assert desk.sink.contents == ["Hello. The end."]
    assert list(result.message_ids) == list(desk.sink.messages)


async def test_refused_text_is_explained_once_under_another_nonce() -> None:
    desk = Desk()
    desk.sink.failures.append(DeliveryRejectedError(200000))
    async with desk.delivery() as delivery:
        result = await delivery.finish("Something bad.")
    assert result.is_refused
    assert desk.sink.contents == [DeliveryRejectedError.user_text]
    assert [call.nonce for call in desk.sink.calls if call.kind == "send"] == ["1-r-0", "1-n-0"]


async def test_refused_interim_text_ends_interim_edits_only() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        desk.sink.failures.append(DeliveryRejectedError(200000))
        delivery.show("Bad start")
        await desk.clock.advance(5.0)
        delivery.show("Bad start goes on.")
        await desk.clock.advance(5.0)
        assert desk.sink.kinds().count("send") == 1
        result = await delivery.finish("Harmless.")
    assert not result.is_refused
    assert desk.sink.contents == ["Harmless."]


async def test_finals_are_tried_again_until_discord_is_back() -> None:
    desk = Desk()
    desk.sink.failures.extend([DeliveryUnavailableError()] * 5)
    async with desk.delivery() as delivery:
        ending = asyncio.create_task(delivery.finish("The end."))
        await desk.clock.advance(60.0)
        await ending
    assert desk.sink.contents == ["The end."]
    assert {call.nonce for call in desk.sink.calls if call.kind == "send"} == {"1-r-0"}


async def test_finals_are_given_up_at_a_bound() -> None:
    desk = Desk()
    desk.sink.failures.extend([DeliveryUnavailableError()] * 1000)
    async with desk.delivery() as delivery:
        ending = asyncio.create_task(delivery.finish("The end."))
        await desk.clock.advance(FINAL_PATIENCE_S + 10.0)
        with pytest.raises(DeliveryUnavailableError):
            await ending


async def test_a_failure_is_said_instead_of_an_answer() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        delivery.stage(LOADING)
        await desk.clock.advance(3.0)
        await delivery.fail("The model went away.", controls=DONE)
    assert desk.sink.contents == ["The model went away."]


async def test_a_failure_stands_below_what_was_shown_already() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        delivery.show("Half an ans")
        await settle()
        await delivery.fail("The model went away.")
    assert desk.sink.contents == ["Half an ans\n-# The model went away."]


async def test_abort_takes_everything_back() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        delivery.show("word " * 900)
        await desk.clock.advance(10.0)
        assert len(desk.sink.messages) == 3
        await delivery.abort()
    assert desk.sink.messages == {}
    assert delivery.message_ids == ()


async def test_leaving_without_an_end_stops_all_requests() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        await settle()
        delivery.show("Hello.")
        await settle()
    delivery.show("Hello again.")
    await desk.clock.advance(60.0)
    assert desk.sink.kinds() == ["typing", "send"]
    assert desk.pacer.is_idle(desk.clock.monotonic())


async def test_messages_of_an_earlier_life_are_edited_and_spare_ones_deleted() -> None:
    desk = Desk()
    posted = [desk.sink.adopt(100 + number, "old") for number in range(3)]
    async with desk.delivery(posted=posted) as delivery:
        result = await delivery.deliver(("One.", "Two."))
    assert desk.sink.contents == ["One.", "Two."]
    assert result.message_ids == (MessageId(100), MessageId(101))
    assert "send" not in desk.sink.kinds()


async def test_a_crash_after_posting_makes_no_second_message() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        delivery.show("Half")
        await settle()
    async with desk.delivery() as again:
        result = await again.deliver(("Whole.",))
    assert len(desk.sink.messages) == 1
    assert len(result.message_ids) == 1


async def test_each_new_message_is_reported_with_all_ids() -> None:
    desk = Desk()
    seen: list[tuple[MessageId, ...]] = []

    async def note(message_ids: tuple[MessageId, ...]) -> None:
        seen.append(message_ids)

    async with desk.delivery(on_posted=note) as delivery:
        await delivery.finish("word " * 700)
    assert [len(ids) for ids in seen] == [1, 2]
    assert seen[-1] == delivery.message_ids


async def test_final_texts_are_known_before_any_is_sent() -> None:
    desk = Desk()
    stored: list[tuple[str, ...]] = []

    async def store(chunks: tuple[str, ...]) -> None:
        assert desk.sink.writes_at() == []
        stored.append(chunks)

    async with desk.delivery() as delivery:
        await delivery.finish("The answer.", before_final=store)
    assert stored == [("The answer.",)]


async def test_stale_messages_of_an_earlier_life_go_as_soon_as_there_is_text() -> None:
    desk = Desk()
    posted = [desk.sink.adopt(100 + number, "old") for number in range(3)]
    async with desk.delivery(posted=posted) as delivery:
        delivery.show("New words.")
        await desk.clock.advance(10.0)
        assert desk.sink.contents == ["New words."]
        assert delivery.message_ids == (MessageId(100),)


async def test_a_nonce_that_an_earlier_life_used_is_not_counted_as_a_new_message() -> None:
    desk = Desk()
    async with desk.delivery() as delivery:
        await delivery.finish("word " * 500)
    first, second = delivery.message_ids
    async with desk.delivery(posted=[second]) as again:
        result = await desk.wait(again.deliver(("One.", "Two.")))
    assert len(set(result.message_ids)) == len(result.message_ids) == 2
    assert first not in result.message_ids
    shown = {desk.sink.messages[message_id].content for message_id in result.message_ids}
    assert shown == {"One.", "Two."}
