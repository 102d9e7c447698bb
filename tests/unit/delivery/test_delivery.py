"""One answer from first word to last, on a fake clock."""

from __future__ import annotations

import asyncio
import itertools
from functools import partial

from bot.core.domain import Stage, StageKind
from bot.core.errors import (
    DeliveryForbiddenError,
)
from config.settings import DeliverySettings
from tests.support.clock import settle
from tests.unit.delivery.helpers import DONE, STOP, DeliveryRig

LOADING = Stage(StageKind.LOADING)


async def test_first_words_go_out_at_once_without_any_timer() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        await settle()
        delivery.show(lambda: "Hel")
        await settle()
        assert rig.sink.contents == ["Hel"]
        assert rig.sink.writes_at() == [1000.0]


async def test_four_seconds_of_text_take_three_requests() -> None:
    rig = DeliveryRig()
    async with rig.delivery(live_controls=STOP) as delivery:
        words = ""
        for number in range(120):
            words += f"word{number} "
            delivery.show(partial(str, words))
            await rig.clock.advance(4.0 / 120)
        await delivery.finish(words, controls=DONE)
    assert rig.sink.contents == [words.strip()]
    assert len(rig.sink.calls) == 3
    assert rig.sink.writes_at()[-1] == rig.clock.monotonic()


async def test_reading_the_model_never_waits_for_discord() -> None:
    rig = DeliveryRig()
    rig.sink.before = asyncio.Event().wait  # never set: Discord hangs
    async with rig.delivery() as delivery:
        await settle()
        for number in range(1000):
            delivery.show(partial(str, "word " * number))
        await settle()
        assert rig.sink.kinds() == ["typing", "send"]


async def test_finish_waits_for_a_request_under_way() -> None:
    rig = DeliveryRig()
    release = asyncio.Event()
    rig.sink.before = release.wait
    async with rig.delivery() as delivery:
        delivery.show(lambda: "One")
        await settle()
        ending = asyncio.create_task(delivery.finish("One two."))
        await settle()
        assert not ending.done()
        release.set()
        await ending
    assert rig.sink.contents == ["One two."]


async def test_an_edit_that_would_change_nothing_is_not_made() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        await settle()
        delivery.show(lambda: "All of it.")
        await rig.clock.advance(10.0)
        delivery.show(lambda: "All of it. ")
        await rig.clock.advance(10.0)
        await delivery.finish("All of it.")
    assert rig.sink.kinds() == ["typing", "send"]


async def test_the_stop_button_gives_way_to_those_of_a_finished_answer() -> None:
    rig = DeliveryRig()
    async with rig.delivery(live_controls=STOP) as delivery:
        delivery.show(lambda: "Text.")
        await settle()
        (message,) = rig.sink.messages.values()
        assert message.controls == STOP
        await delivery.finish("Text.", controls=DONE)
        assert message.controls == DONE


async def test_a_long_answer_grows_over_messages_and_only_the_last_keeps_buttons() -> None:
    rig = DeliveryRig()
    text = "\n\n".join(f"Paragraph {number}. " + "word " * 150 for number in range(7))
    async with rig.delivery(live_controls=STOP) as delivery:
        for end in range(200, len(text), 200):
            delivery.show(partial(str, text[:end]))
            await rig.clock.advance(0.5)
        await rig.wait(delivery.finish(text, controls=DONE))
    messages = list(rig.sink.messages.values())
    assert len(messages) >= 3
    assert " ".join(rig.sink.contents).split() == text.split()
    assert messages[-1].controls == DONE
    for message in messages[:-1]:
        assert message.controls is not None
        assert not message.controls.stop


async def test_an_answer_of_too_many_messages_ends_in_a_file() -> None:
    rig = DeliveryRig(DeliverySettings(max_messages=3))
    text = "word " * 2000
    async with rig.delivery() as delivery:
        delivery.show(partial(str, text[:5000]))
        await rig.clock.advance(30.0)
        await delivery.finish(text, remarks=("Cut.",))
    assert len(delivery.message_ids) == len(rig.sink.messages) == 3
    last = list(rig.sink.messages.values())[-1]
    assert last.file is not None
    assert last.file.filename == "answer.md"
    assert last.file.content == text
    assert "9,999 characters" in last.content or "10,000 characters" in last.content
    assert last.content.endswith("-# Cut.")


async def test_where_files_are_forbidden_all_of_it_comes_as_messages() -> None:
    rig = DeliveryRig(DeliverySettings(max_messages=1))
    text = "word " * 1000
    rig.sink.failures.extend([None, DeliveryForbiddenError(50013)])
    async with rig.delivery() as delivery:
        await rig.wait(delivery.finish(text))
        assert not delivery.gone.is_set()
    assert " ".join(rig.sink.contents).split() == text.split()


async def test_quiet_lines_stand_below_the_answer_within_the_limit() -> None:
    rig = DeliveryRig()
    text = "x " * 999
    async with rig.delivery() as delivery:
        await delivery.finish(text, remarks=("Left out 12 older messages.", "qwen · 40/s"))
    assert rig.sink.contents[-1].endswith("\n-# Left out 12 older messages.\n-# qwen · 40/s")


async def test_an_open_code_block_is_closed_before_quiet_lines() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        await delivery.finish("```python\nprint(1)", remarks=("Cut: press Continue.",))
    assert rig.sink.contents == ["```python\nprint(1)\n```\n-# Cut: press Continue."]


async def test_blank_answers_still_say_something() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        await delivery.finish("  \n ")
    assert "empty" in rig.sink.contents[0]


async def test_no_stage_line_when_the_first_word_is_quick() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        delivery.stage(LOADING)
        await rig.clock.advance(1.9)
        delivery.show(lambda: "Hello.")
        await rig.clock.advance(5.0)
    assert rig.sink.kinds() == ["typing", "send"]
    assert rig.sink.contents == ["Hello."]


async def test_the_answer_takes_the_stage_lines_place() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        delivery.stage(LOADING)
        await rig.clock.advance(2.1)
        assert rig.sink.contents[0].startswith("-# ⏳ Loading the model…")
        delivery.show(lambda: "Hello.")
        await settle()
        assert rig.sink.contents == ["Hello."]
        await delivery.finish("Hello.")
    assert rig.sink.kinds() == ["typing", "send", "edit"]


async def test_the_stage_line_is_updated_sparingly() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        for _ in range(600):
            delivery.stage(Stage(StageKind.THINKING))
            await rig.clock.advance(0.1)
        writes = rig.sink.writes_at()
        assert min(after - before for before, after in itertools.pairwise(writes)) >= 5.0
        assert len(writes) <= 12
        assert "Thinking… 5" in rig.sink.contents[0]


async def test_typing_goes_on_while_working_and_ends_with_the_first_words() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        delivery.stage(Stage(StageKind.READING, tokens=3120))
        await rig.clock.advance(30.0)
        typed = [call.at_s for call in rig.sink.calls if call.kind == "typing"]
        assert [round(at_s - 1000, 1) for at_s in typed] == [0.0, 8.5, 17.0, 25.5]
        delivery.show(lambda: "Done.")
        await rig.clock.advance(30.0)
        assert rig.sink.kinds().count("typing") == 4


async def test_nobody_types_while_a_question_only_waits_in_line() -> None:
    rig = DeliveryRig()
    async with rig.delivery() as delivery:
        delivery.stage(Stage(StageKind.QUEUED, position=2))
        await rig.clock.advance(60.0)
        assert rig.sink.kinds().count("typing") == 1


async def test_answers_in_one_channel_share_one_typing_indicator() -> None:
    rig = DeliveryRig()
    async with rig.delivery(1), rig.delivery(2), rig.delivery(3):
        await rig.clock.advance(10.0)
        assert rig.sink.kinds() == ["typing", "typing"]
