"""What happened to a question, and the log's line on it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.chat.account import Account, PromptSizes, line_of
from bot.core.domain import Completed, FinishReason, Stage, StageKind, TextDelta, Usage
from bot.core.ports import Outcome
from bot.core.record import QuestionRecord, Span
from bot.output.pipeline import ReplyPipeline
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.sanitiser import SecretGuard
from bot.prompt.builder import Prompt
from tests.support.builders import question
from tests.support.clock import FakeClock

PROMPT = Prompt((), 1000, "here")


def pipeline_of(**delta: str) -> ReplyPipeline:
    """Return an answer of which this came."""
    pipeline = ReplyPipeline(policy=OutputPolicy(), secrets=SecretGuard([]))
    pipeline.feed(TextDelta(**delta))
    return pipeline


def completed(prompt: int, written: int, cached: int | None = None) -> Completed:
    """Return an end of an answer, with its counts."""
    usage = Usage(prompt, written, cached_tokens=cached)
    return Completed(FinishReason.STOP, "tiny", usage)


async def answered(account: Account, clock: FakeClock) -> QuestionRecord:
    """Take a question through everything, a little longer each time."""
    await clock.advance(0.1)
    account.enter(Span.QUEUE)
    await clock.advance(0.2)
    for kind, seconds in ((StageKind.LOADING, 4.0), (StageKind.READING, 1.0)):
        account.stage(Stage(kind, tokens=1000))
        await clock.advance(seconds)
    account.enter(Span.THINK)
    await clock.advance(2.0)
    account.enter(Span.WRITE)
    await clock.advance(3.0)
    account.completed(completed(900, 312), PROMPT)
    account.enter(Span.DELIVER)
    await clock.advance(0.5)
    return account.close(Outcome.DELIVERED)


async def test_each_moment_belongs_to_one_span(clock: FakeClock) -> None:
    record = await answered(Account(question(), clock, PromptSizes()), clock)
    assert list(record.spans) == list(Span)
    assert sum(record.spans.values()) == pytest.approx(record.total_s) == pytest.approx(10.8)
    assert record.spans[Span.LOAD] == pytest.approx(4.0)
    assert record.first_word_s == pytest.approx(7.3)


async def test_the_line_says_all_of_it_in_words(clock: FakeClock) -> None:
    account = Account(question(), clock, PromptSizes())
    account.retried("model_crashed")
    assert line_of(await answered(account, clock)) == (
        "answered in 10.8 s (asked by mention, first word after 7.3 s, preparing 0.1 s, in line 0.2 s, "
        "loading the model 4.0 s, reading 1.0 s, thinking 2.0 s, writing 3.0 s, delivering 0.5 s, "
        "prompt tokens 900, written tokens 312, asked again 1 time)"
    )


async def test_a_question_of_an_earlier_start_says_how_long_ago_it_was_asked(
    clock: FakeClock,
) -> None:
    asked = replace(question(), asked_at=clock.now())
    await clock.advance(40.0)
    record = Account(asked, clock, PromptSizes(), is_taken_up=True).close(Outcome.STOPPED)
    assert "asked by mention, taken up 40 s later by a new start" in line_of(record)


@pytest.mark.parametrize("outcome", [*Outcome, None])
def test_every_end_has_its_words(outcome: Outcome | None, clock: FakeClock) -> None:
    record = Account(question(), clock, PromptSizes()).close(outcome)
    assert line_of(replace(record, total_s=2.0)).endswith(" 2.0 s (asked by mention)")


@pytest.mark.parametrize(
    ("fresh", "cached", "read", "reread"),
    [
        (1000, None, 1500, 1100),  # nothing warm: all that was there before is read again
        (200, None, 300, 0),  # a fifth is new, by the estimate
        (1000, 1100, 400, 0),  # the server's own word counts
        (1000, 600, 900, 500),
    ],
)
def test_what_is_read_again_is_told_from_what_is_new(
    fresh: int, cached: int | None, read: int, reread: int, clock: FakeClock
) -> None:
    sizes = PromptSizes()
    first = Account(question(), clock, sizes)
    first.completed(completed(1000, 100), PROMPT)
    record = first.close(Outcome.DELIVERED)
    assert (record.read_tokens, record.reread_tokens) == (1000, 0)
    second = Account(question(1001), clock, sizes)
    second.stage(Stage(StageKind.CONNECTING))
    second.stage(Stage(StageKind.READING, tokens=fresh))
    second.completed(completed(1500, 100, cached), PROMPT)
    record = second.close(Outcome.DELIVERED)
    assert (record.prompt_tokens, record.read_tokens, record.reread_tokens) == (1500, read, reread)


def test_a_prompt_that_the_server_cut_is_not_counted(clock: FakeClock) -> None:
    account = Account(question(), clock, PromptSizes())
    account.completed(replace(completed(900, 312), prompt_was_cut=True), PROMPT)
    record = account.close(Outcome.DELIVERED)
    assert record.prompt_tokens is None
    assert record.written_tokens == 312


async def test_what_a_question_comes_back_to_is_added_up(clock: FakeClock) -> None:
    account = Account(question(), clock, PromptSizes())
    for span in (Span.QUEUE, Span.READ, Span.QUEUE):
        await clock.advance(2)
        account.enter(span)
    await clock.advance(5)
    record = account.close(None)
    assert record.spans == {Span.PREPARE: 2, Span.QUEUE: 7, Span.READ: 2}
    assert record.ended_at == clock.now()
