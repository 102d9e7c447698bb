"""One question's turn, by what the model, Discord and people do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from bot.chat.reply import (
    BROKE,
    BURST_SETTLES_S,
    CUT_BY_LENGTH,
    MERGED_MARK,
    ONLY_THINKING,
    PRESS_CONTINUE,
    RESTARTING_TEXT,
    Ending,
)
from bot.core.domain import (
    Completed,
    FinishReason,
    IncomingMessage,
    QuestionId,
    Reasoning,
    Stage,
    StageKind,
    TextDelta,
    Usage,
)
from bot.core.errors import (
    DeliveryError,
    DeliveryForbiddenError,
    DeliveryRejectedError,
    DeliveryUnavailableError,
    EditExhaustedError,
    TargetGoneError,
)
from bot.core.ports import Controls, JournalEntry, Outcome, QuestionState
from bot.delivery.pacing import SIGNS, SIGNS_S
from bot.lmstudio.errors import (
    BackendUnavailableError,
    ModelCrashedError,
    ModelNotFoundError,
    PoolFullError,
)
from tests.support.builders import ADA, BOB, NOON, message, question
from tests.support.chat import DONE, Chat, Step
from tests.support.clock import FakeClock
from tests.support.sink import FakeSink

ANSWER = "Because of the light."
BROKEN = Completed(FinishReason.INTERRUPTED, "tiny", may_go_on=True)


@pytest.fixture
def chat(clock: FakeClock) -> Chat:
    """A chat service on fakes."""
    return Chat(clock)


async def answered(chat: Chat, *scripts: Sequence[Step]) -> Controls | None:
    """Ask one question of a model that does this; return the buttons below what stands at last."""
    chat.backend.scripts.extend(scripts)
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(60)
    standing = list(chat.sink.messages.values())
    return standing[-1].controls if standing else None


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (TargetGoneError(), Outcome.DROPPED),
        (DeliveryForbiddenError(50013), Outcome.DROPPED),
        (DeliveryRejectedError(50035), Outcome.DROPPED),
        (DeliveryUnavailableError(), None),
        (EditExhaustedError(), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, DeliveryError) else None,
)
async def test_what_discord_never_takes_ends_or_is_kept_by_the_kind_of_its_refusal(
    chat: Chat, failure: DeliveryError, outcome: Outcome | None
) -> None:
    chat.sink.failures.extend([failure] * 1000)
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(600)
    entry = chat.journal.entries[QuestionId(1)]
    assert entry.outcome is outcome
    assert chat.sink.contents == []
    assert chat.service.running == 0
    assert (entry.attempts == 0) is (outcome is None)


@pytest.mark.parametrize("at", ["before a word", "amid the answer", "at its end"])
async def test_where_the_bot_may_no_longer_write_the_question_stays_open_with_what_stands(
    chat: Chat, at: str
) -> None:
    refused = [DeliveryForbiddenError(50013)] * 50
    chat.sink.failures.extend(refused if at == "before a word" else [None, *refused])
    chat.sink.barred = True
    more, more_still = asyncio.Event(), asyncio.Event()
    chat.backend.scripts.append(
        [TextDelta("Because"), more, TextDelta(" of light."), more_still, DONE]
    )
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(10)
    more.set()
    if at == "at its end":
        more_still.set()
    await chat.pass_time(10)
    assert chat.outcome(1) is None
    assert chat.service.running == 0
    assert "delete" not in chat.sink.kinds()
    assert len(chat.sink.contents) == (at != "before a word")
    assert chat.backend.closed == 1
    assert chat.journal.entries[QuestionId(1)].attempts == 0


async def test_an_answer_that_discord_takes_late_is_delivered(chat: Chat) -> None:
    chat.sink.failures.extend([DeliveryUnavailableError()] * 3)
    await answered(chat)
    assert chat.outcome(1) is Outcome.DELIVERED
    assert chat.sink.contents == [ANSWER]


@pytest.mark.parametrize(
    ("failure", "can_retry"),
    [(ModelCrashedError(), True), (PoolFullError(), True), (ModelNotFoundError(), False)],
    ids=lambda value: type(value).__name__,
)
async def test_a_model_that_fails_before_a_word_leaves_one_sentence(
    chat: Chat, failure: Exception, can_retry: bool
) -> None:
    controls = await answered(chat, [failure])
    assert chat.outcome(1) is Outcome.NOTIFIED
    assert len(chat.sink.contents) == 1
    assert (controls is not None and controls.regenerate) is can_retry


async def test_a_model_that_fails_after_words_leaves_these_and_a_sentence(chat: Chat) -> None:
    await answered(chat, [TextDelta("It is the "), Stage(StageKind.READING), ModelCrashedError()])
    assert chat.outcome(1) is Outcome.NOTIFIED
    [text] = chat.sink.contents
    assert text.startswith("It is the\n")


@pytest.mark.parametrize(
    ("failure", "people", "slots"),
    [
        (PoolFullError(), 1, 4),
        (PoolFullError(), 2, 2),
        (ModelCrashedError(), 1, 4),
        (ModelCrashedError(), 2, 2),
        (ModelNotFoundError(), 2, 4),
    ],
)
async def test_a_server_that_is_full_or_crashes_under_two_people_is_given_half(
    chat: Chat, failure: Exception, people: int, slots: int
) -> None:
    for number, asker in enumerate((ADA, BOB)[:people], 1):
        chat.backend.scripts.append([failure])
        await chat.service.submit(question(number, asker=asker), FakeSink(chat.clock))
        await chat.pass_time(5)
    assert chat.parts.scheduler.slots == slots
    assert chat.outcome(people) is Outcome.NOTIFIED
    assert chat.parts.scheduler.running == 0


async def test_an_answer_that_breaks_off_is_asked_for_the_rest(chat: Chat) -> None:
    await answered(chat, [TextDelta("It is the "), BROKEN], [TextDelta("light."), DONE])
    assert chat.outcome(1) is Outcome.DELIVERED
    assert chat.sink.contents == ["It is the light."]
    assert len(chat.backend.requests) == 2


async def test_an_answer_whose_rest_does_not_come_says_so_and_offers_it(chat: Chat) -> None:
    controls = await answered(
        chat, [TextDelta("It is the "), BROKEN], [BackendUnavailableError("away")]
    )
    assert chat.outcome(1) is Outcome.DELIVERED
    [text] = chat.sink.contents
    assert text.startswith("It is the\n")
    assert f"{BROKE} {PRESS_CONTINUE}" in text
    assert controls is not None
    assert controls.continue_


async def test_an_answer_cut_at_its_length_offers_its_continuation(chat: Chat) -> None:
    controls = await answered(
        chat, [TextDelta("It is the"), Completed(FinishReason.LENGTH, "tiny")]
    )
    assert CUT_BY_LENGTH in chat.sink.contents[0]
    assert controls is not None
    assert controls.continue_


async def test_an_answer_that_came_whole_offers_no_continuation(chat: Chat) -> None:
    controls = await answered(chat, [TextDelta(reasoning="Hm."), TextDelta(ANSWER), DONE])
    assert controls is not None
    assert (controls.regenerate, controls.continue_) == (True, False)
    assert (controls.thinking, controls.details, controls.stop) == (True, True, False)
    entry = chat.journal.entries[QuestionId(1)]
    assert (entry.thinking, entry.chunks) == ("Hm.", (ANSWER,))
    assert "tiny" in entry.details


async def test_a_model_that_only_thought_is_asked_not_to_think(chat: Chat) -> None:
    await answered(chat, [TextDelta(reasoning="Hm."), DONE], [TextDelta(ANSWER), DONE])
    assert chat.sink.contents == [ANSWER]
    assert [r.reasoning for r in chat.backend.requests] == [Reasoning.AUTO, Reasoning.OFF]


@pytest.mark.parametrize("thinking", [TextDelta(reasoning="Hm."), TextDelta("<think>Hm.</think>")])
async def test_a_model_that_thought_until_its_tokens_ended_gets_more_of_them(
    chat: Chat, thinking: TextDelta
) -> None:
    used_up = Completed(FinishReason.LENGTH, "tiny", context_tokens=8192)
    await answered(chat, [thinking, used_up], [TextDelta(ANSWER), DONE])
    first, second = chat.backend.requests
    assert chat.sink.contents == [ANSWER]
    assert second.reasoning is Reasoning.OFF
    assert first.sampling.max_tokens < second.sampling.max_tokens <= 8192
    assert second.limit_s is not None


async def test_a_model_that_only_thinks_is_asked_twice_and_then_named(chat: Chat) -> None:
    thinking: list[Step] = [TextDelta(reasoning="Hm."), DONE]
    controls = await answered(chat, thinking, thinking)
    assert chat.outcome(1) is Outcome.NOTIFIED
    assert len(chat.backend.requests) == 2
    assert ONLY_THINKING in chat.sink.contents[0]
    assert ONLY_THINKING in chat.journal.entries[QuestionId(1)].chunks[0]
    assert controls is not None
    assert (controls.regenerate, controls.thinking) == (True, True)


@pytest.mark.parametrize(
    ("ending", "outcome", "left", "marks"),
    [
        (Ending.STOPPED, Outcome.STOPPED, "Stopped.", []),
        (Ending.GONE, Outcome.DROPPED, "", []),
        (Ending.SUPERSEDED, Outcome.MERGED, "", []),
        (Ending.MERGED, Outcome.MERGED, "", [MERGED_MARK]),
        (Ending.RESTART, None, RESTARTING_TEXT, []),
    ],
)
async def test_a_reply_that_ends_early_leaves_what_its_reason_says(
    chat: Chat, ending: Ending, outcome: Outcome | None, left: str, marks: list[str]
) -> None:
    chat.backend.scripts.append([TextDelta("It is "), asyncio.Event()])
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(3)
    reply = chat.service._replies[QuestionId(1)]
    assert reply.is_underway
    assert not reply.may_be_joined
    assert reply.end(ending)
    assert reply.end(Ending.STOPPED), "the first reason counts"
    await chat.pass_time()
    assert chat.outcome(1) is outcome
    assert [left in text for text in chat.sink.contents] == [True] * bool(left)
    assert chat.sink.marks == marks
    assert chat.backend.closed == 1
    assert (chat.journal.entries[QuestionId(1)].attempts == 0) is (outcome is None)


async def test_marks_on_merged_messages_have_the_same_budget_as_other_signs(chat: Chat) -> None:
    last = SIGNS.person + 3
    for number in range(1, last + 1):
        await chat.service.submit(question(number), chat.sink)
    await chat.pass_time(1)
    assert {chat.outcome(number) for number in range(1, last)} == {Outcome.MERGED}
    assert chat.sink.marks == [MERGED_MARK] * SIGNS.person
    assert not chat.parts.pacers.may_sign(question(1).asker.id, question(1).place)
    await chat.pass_time(SIGNS_S)
    assert chat.parts.pacers.may_sign(question(1).asker.id, question(1).place)


async def test_a_model_that_is_away_is_waited_for_and_no_longer_than_it_is_held(
    clock: FakeClock,
) -> None:
    chat = Chat(clock, hold_s=20)
    chat.backend.scripts.extend([BackendUnavailableError("away")] for _ in range(1000))
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(15)
    assert chat.outcome(1) is None
    await chat.pass_time(60)
    assert chat.outcome(1) is Outcome.NOTIFIED


async def test_a_question_under_which_the_machine_goes_away_three_times_is_held_no_longer(
    chat: Chat,
) -> None:
    away: list[Step] = [Stage(StageKind.READING), BackendUnavailableError("away")]
    chat.backend.scripts.extend(away for _ in range(10))
    await chat.service.submit(question(1), chat.sink)
    await chat.pass_time(120)
    assert chat.outcome(1) is Outcome.NOTIFIED
    assert len(chat.backend.requests) == 3


@pytest.mark.parametrize(
    ("words", "waits_s"),
    [
        (message(1, ""), 0.0),
        (message(1, "", is_forward=True), 2.0),
        (message(1, "", stickers=("wave",)), 2.0),
        (message(1, "", poll="Blue or red?"), 2.0),
        (message(1, "why", is_forward=True), 0.0),
    ],
    ids=["empty", "forward", "sticker", "poll", "worded forward"],
)
async def test_what_comes_without_words_waits_for_them(
    clock: FakeClock, words: IncomingMessage, waits_s: float
) -> None:
    chat = Chat(clock, burst_window_s=2.0)
    await chat.service.submit(question(1, words.text, message=words), chat.sink)
    await clock.advance(waits_s * 0.9)
    assert len(chat.backend.requests) == (waits_s == 0.0)
    await chat.pass_time()
    assert len(chat.backend.requests) == 1


async def test_a_merged_question_settles_before_the_model_is_asked(chat: Chat) -> None:
    joined = question(2, joined=(message(1),))
    await chat.service.submit(joined, chat.sink)
    await chat.clock.advance(BURST_SETTLES_S * 0.9)
    assert chat.backend.requests == []
    await chat.clock.advance(BURST_SETTLES_S * 0.2)
    assert len(chat.backend.requests) == 1
    await chat.pass_time()


@pytest.mark.parametrize(
    ("own_lines", "continues"),
    [
        (None, False),
        ("", False),
        (f"-# {CUT_BY_LENGTH}", True),
        (f"-# About the prompt.\n-# {BROKE} {PRESS_CONTINUE}", True),
    ],
)
async def test_a_stored_answer_keeps_its_buttons(
    chat: Chat, own_lines: str | None, continues: bool
) -> None:
    entry = JournalEntry(
        question(1),
        QuestionState.ANSWERED,
        1,
        chunks=(ANSWER,),
        thinking="Hm.",
        details="tiny",
        own_lines=own_lines,
    )
    chat.journal.entries[QuestionId(1)] = entry
    chat.service.resume(entry, chat.sink)
    await chat.pass_time()
    [standing] = chat.sink.messages.values()
    assert standing.controls is not None
    assert (standing.controls.thinking, standing.controls.details) == (True, True)
    assert (standing.controls.regenerate, standing.controls.continue_) == (True, continues)
    assert chat.journal.entries[QuestionId(1)].attempts == 2


async def test_counts_of_a_whole_prompt_are_learned_from_and_of_a_cut_one_not(chat: Chat) -> None:
    def done(*, is_cut: bool) -> Completed:
        usage = Usage(900, 4, 0)
        return Completed(
            FinishReason.STOP,
            "tiny",
            usage,
            first_token_s=0.1,
            total_s=1.0,
            prompt_was_cut=is_cut,
        )

    before = chat.parts.estimator.dump()
    await answered(chat, [TextDelta(ANSWER), done(is_cut=True)])
    assert chat.parts.estimator.dump() == before
    chat.backend.scripts.append([TextDelta(ANSWER), done(is_cut=False)])
    later = question(2, "a long story " * 200, asked_at=NOON + timedelta(minutes=5))
    await chat.service.submit(later, FakeSink(chat.clock))
    await chat.pass_time()
    assert chat.parts.estimator.dump() != before
