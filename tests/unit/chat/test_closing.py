"""How an answer ends, by what the server and the pipeline say."""

from __future__ import annotations

import pytest

from bot.chat.closing import BROKE, CUT_BY_LENGTH, EMPTY, ONLY_THINKING, close_answer
from bot.core.domain import Completed, FinishReason, Reasoning, TextDelta
from bot.core.ports import ChatSettings
from bot.output.pipeline import ReplyPipeline
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.secret_guard import SecretGuard
from bot.prompt.builder import Prompt

CHAT = ChatSettings(None, 0.7, 0.95, 512, "", Reasoning.AUTO)
PROMPT = Prompt((), 10, "key", notices=("About the prompt.",))


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
    closing = close_answer(closed, PROMPT, Completed(reason, notices=("Of the run.",)), CHAT, 1.0)
    assert closing.can_continue is can_continue
    assert closing.notices[:2] == ("About the prompt.", "Of the run.")
    assert len(closing.notices) == 2 + len(lines)
    assert all(line in closing.notices[2] for line in lines)


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
