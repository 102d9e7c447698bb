"""How an answer ends, by what the server and the pipeline say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.chat.reply import (
    BROKE,
    CUT_BY_LENGTH,
    EMPTY,
    ONLY_THINKING,
    REPEATED,
    TOO_LONG,
    close_answer,
    model_name,
)
from bot.core.domain import Completed, FinishReason, Reasoning, TextDelta, Usage
from bot.core.ports import ChatSettings
from bot.output.pipeline import ReplyPipeline
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.sanitiser import SecretGuard
from bot.prompt.builder import Prompt

CHAT = ChatSettings(None, 0.7, 0.95, 512, "", Reasoning.AUTO)
PROMPT = Prompt((), 10, "key", remarks=("About the prompt.",))


def pipeline(*deltas: TextDelta, reason: FinishReason = FinishReason.STOP) -> ReplyPipeline:
    """Return a closed pipeline that took these."""
    made = ReplyPipeline(policy=OutputPolicy(), secrets=SecretGuard([]))
    for delta in deltas:
        made.feed(delta)
    for _ in made.closing(reason):
        pass
    return made


@pytest.mark.parametrize(
    ("reason", "lines", "can_continue"),
    [
        (FinishReason.STOP, (), False),
        (FinishReason.LENGTH, (CUT_BY_LENGTH,), True),
        (FinishReason.INTERRUPTED, (BROKE,), True),
    ],
)
def test_an_answer_that_is_incomplete_says_so_and_can_be_continued(
    reason: FinishReason, lines: tuple[str, ...], can_continue: bool
) -> None:
    closed = pipeline(TextDelta("Once upon"), reason=reason)
    closing = close_answer(closed, PROMPT, Completed(reason, remarks=("Of the run.",)), CHAT, 1.0)
    assert closing.can_continue is can_continue
    assert closing.remarks[:2] == ("About the prompt.", "Of the run.")
    assert len(closing.remarks) == 2 + len(lines)
    assert all(line in closing.remarks[2] for line in lines)


@pytest.mark.parametrize(
    ("deltas", "notice"),
    [((), EMPTY), ((TextDelta(reasoning="Let me think."),), ONLY_THINKING)],
)
def test_an_answer_without_words_says_what_there_was(
    deltas: tuple[TextDelta, ...], notice: str
) -> None:
    closing = close_answer(pipeline(*deltas), PROMPT, Completed(FinishReason.STOP), CHAT, 1.0)
    assert (closing.text, closing.notice) == ("", notice)
    assert not closing.can_continue


@pytest.mark.parametrize(
    ("usage", "first_token_s", "total_s", "context_tokens", "line"),
    [
        (None, None, None, None, "tiny · about 10 tokens of prompt"),
        (Usage(100, 40), 1.0, 5.0, 4096, "first word after 1.0 s · 10 tokens/s · 140 of 4,096"),
        (Usage(100, 40), 1.0, 5.0, None, "10 tokens/s · 140 tokens"),
        (Usage(100, 40), None, None, None, "tiny · 4 tokens/s · 140 tokens"),
        (Usage(100, 2), 4.5, 5.0, None, "first word after 4.5 s · 4 tokens/s · 102 tokens"),
        (Usage(100, 1), 1.0, 5.0, None, "first word after 1.0 s · 101 tokens"),
        (Usage(100, 40), 5.0, 5.0, None, "first word after 5.0 s · 140 tokens"),
    ],
)
def test_the_details_tell_model_speed_and_context(
    usage: Usage | None,
    first_token_s: float | None,
    total_s: float | None,
    context_tokens: int | None,
    line: str,
) -> None:
    done = Completed(
        FinishReason.STOP,
        "tiny",
        usage,
        first_token_s=first_token_s,
        total_s=total_s,
        context_tokens=context_tokens,
    )
    assert line in close_answer(pipeline(TextDelta("Yes.")), PROMPT, done, CHAT, 10.0).details


@pytest.mark.parametrize(
    ("reported", "name"),
    [
        (None, "model unknown"),
        ("  ", "model unknown"),
        ("a  `b`\n c", "a b c"),
        ("m" * 500, "m" * 100),
    ],
)
def test_a_servers_name_for_its_model_becomes_one_short_line(
    reported: str | None, name: str
) -> None:
    assert model_name(reported)[:100] == name


def test_another_model_and_the_details_are_named_below_an_answer_where_wanted() -> None:
    chat = replace(CHAT, model_remark="Another model answered.", show_footer=True)
    done = Completed(FinishReason.STOP, "tiny", remarks=("Of the run.",))
    closing = close_answer(pipeline(TextDelta("Yes.")), PROMPT, done, chat, 1.0)
    assert closing.remarks == (
        "Another model answered.",
        "About the prompt.",
        "Of the run.",
        closing.details,
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("All of it differs: " + " ".join(map(str, range(200))), TOO_LONG),
        ("And so it goes on and on. " * 400, REPEATED),
    ],
)
def test_an_answer_that_was_ended_early_says_why_and_is_not_continued(text: str, line: str) -> None:
    made = ReplyPipeline(
        policy=OutputPolicy(max_chars=500 if line is TOO_LONG else 20_000),
        secrets=SecretGuard([]),
    )
    made.feed(TextDelta(text))
    for _ in made.closing(FinishReason.LENGTH):
        pass
    closing = close_answer(made, PROMPT, Completed(FinishReason.LENGTH), CHAT, 1.0)
    assert closing.remarks[1:] == (line,)
    assert not closing.can_continue
