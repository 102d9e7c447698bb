"""The log's line on a question."""

from __future__ import annotations

import pytest

from bot.chat.account import Account
from bot.core.ports import Outcome


def test_an_answered_question_says_where_its_time_went() -> None:
    account = Account(10.0)
    account.granted(10.1)
    account.word(11.2)
    account.granted(13.0)
    account.word(13.5)
    account.tokens = 312
    line = account.line(Outcome.DELIVERED, 14.2)
    assert line == "answered in 4.2 s (line 0.1 s, first word after 1.2 s, 312 tokens)"


@pytest.mark.parametrize("outcome", [*Outcome, None])
def test_every_end_has_its_words(outcome: Outcome | None) -> None:
    line = Account(0.0).line(outcome, 2.0)
    assert line.endswith(" 2.0 s")
    assert "(" not in line
