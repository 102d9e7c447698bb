"""Which of a person's messages ask together with the next one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.chat.admission import BEFORE, Loose
from bot.core.domain import MessageId, Question
from tests.support.builders import BOB, NOON, message, question

WINDOW = timedelta(seconds=2)


def said(number: int, text: str = "", *, after_s: float = 0.0, poll: str = "") -> Question:
    """Return what one person says so long after noon."""
    words = replace(message(number, text, poll=poll), created_at=NOON + timedelta(seconds=after_s))
    return replace(question(number, text, message=words), asked_at=words.created_at)


@pytest.mark.parametrize(
    ("first", "second", "is_joined"),
    [
        (said(1, poll="Tea?"), said(2), True),
        (said(1, poll="Tea?"), said(2, "which one?"), True),
        (said(1, "Tea or coffee?"), said(2), True),
        (said(1, "Good morning"), said(2, "which one?"), False),
        (said(1), said(2, "which one?"), True),
        (said(1, poll="Tea?"), said(2, after_s=BEFORE.total_seconds() + 1), False),
        (said(1, poll="Tea?"), replace(said(2), asker=BOB), False),
        (said(1, poll="Tea?"), replace(said(2), about_id=MessageId(7)), False),
        (said(1, poll="Tea?"), said(1), False),
    ],
)
def test_what_was_said_right_before_belongs_to_a_question_about_it(
    first: Question, second: Question, is_joined: bool
) -> None:
    loose = Loose()
    loose.note(first)
    whole = loose.put_before(second)
    assert whole == (second.merge(first) if is_joined else second)
    assert loose.put_before(second) == second, "it is used once"


def test_only_a_mention_without_words_awaits_them_for_a_moment() -> None:
    loose = Loose()
    loose.note(said(1, "Good morning"))
    later = said(2, "which one?", after_s=1).message
    assert later is not None
    assert not loose.awaits(later, WINDOW)
    bare = said(1)
    loose.note(bare)
    assert loose.awaits(later, WINDOW)
    assert not loose.awaits(later, WINDOW / 4)
    assert loose.give_up(bare)
    assert not loose.give_up(bare)
    assert not loose.awaits(later, WINDOW)


def test_a_deleted_message_and_a_forgotten_person_leave_nothing() -> None:
    loose = Loose()
    loose.note(said(1, poll="Tea?"))
    loose.gone(MessageId(1))
    assert loose.put_before(said(2)) == said(2)
    loose.note(said(1, poll="Tea?"))
    loose.forget(lambda each: each.id == 1)
    assert loose.put_before(said(2)) == said(2)


@pytest.mark.parametrize(("after_s", "is_joined"), [(1.0, True), (2.1, False), (-1.0, False)])
def test_what_was_said_right_after_a_question_that_is_taken_late_belongs_to_it(
    after_s: float, is_joined: bool
) -> None:
    loose, asked = Loose(), said(1, "which one?")
    more = said(2, "the blue one", after_s=after_s)
    loose.note(more)
    assert loose.put_after(asked, WINDOW) == (more.merge(asked) if is_joined else asked)
    assert loose.gone(MessageId(2)) is not is_joined
