"""Today's figures against the week before, in words and for the chart."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from bot.diagnostics.model_report import (
    RANGES,
    acquaintance_text,
    drawing,
    history_text,
    in_words,
    read_ahead_text,
)
from bot.idle.introductions import Acquaintance
from bot.idle.warm import Cost
from bot.lmstudio.learned import Experience
from bot.ops.history import History
from tests.support.clock import FakeClock
from tests.support.records import MODEL, record
from tests.support.state import FakeState

ALT_TEXT_CHARS = 1024
"""Longest description of an attachment (Discord: attachment object)."""


async def two_days() -> History:
    clock = FakeClock()
    history = History(FakeState(), clock)
    history.note(record(clock.now(), written_tokens=90))
    await clock.advance(86_400 * 2)
    history.note(record(clock.now()))
    history.note(record(clock.now(), failure="stalled", first_word_s=None, written_tokens=None))
    return history


async def test_today_stands_before_the_week_in_brackets() -> None:
    text = history_text(await two_days(), MODEL)
    assert "Questions: 2 questions, 1 of them failed (1 question, none failed)" in text
    assert "Speed: 50 tokens/s (30 tokens/s)" in text
    assert "First word: half within" in text


def test_no_picture_is_drawn_of_a_time_without_questions() -> None:
    clock = FakeClock()
    history = History(FakeState(), clock)
    history.note(record(clock.now() - timedelta(hours=3)))
    assert drawing(history, RANGES["hour"], None) == {}
    assert drawing(history, RANGES["day"], None)["answered"]


def test_nothing_known_is_said_in_a_sentence() -> None:
    text = history_text(History(FakeState(), FakeClock()), None)
    assert text == "No question has ended in the last 8 days, so there are no figures yet."


async def test_the_figures_are_those_of_the_model_in_use() -> None:
    history, clock = await two_days(), FakeClock()
    text = history_text(history, "another/one")
    assert (
        text
        == "No question to this model has ended in the last 8 days, so there are no figures yet."
    )
    history.note(record(clock.now() + timedelta(days=2), model="another/one", written_tokens=300))
    text = history_text(history, "another/one")
    assert "Questions: 1 question, none failed" in text
    assert "Speed: 100 tokens/s" in text
    assert "Questions: 3 questions" in history_text(history, None)


@pytest.mark.parametrize("name", RANGES)
async def test_a_chart_holds_numbers_only_and_says_the_same_in_words(name: str) -> None:
    history = await two_days()
    data = drawing(history, RANGES[name], MODEL)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    lengths = {len(series) for series in data.values() if isinstance(series, list)}
    assert lengths == {RANGES[name].table.buckets}
    words = in_words(history, RANGES[name], MODEL)
    assert RANGES[name].title in words
    assert "question" in words
    assert len(words) <= ALT_TEXT_CHARS


def test_what_a_model_is_like_is_told_as_far_as_it_is_known() -> None:
    assert not acquaintance_text(None)
    assert not acquaintance_text(Acquaintance("load"))
    learned = Experience(reads=412.4, load_s=41.0, refused=("reasoning_effort",))
    known = Acquaintance("load", "untagged", 13, 35.2, learned)
    assert acquaintance_text(known).splitlines() == [
        "It writes its thinking into its answers, without an opening tag; I leave that out.",
        "It refused the setting for how much it thinks; I leave that out.",
        "It reads about 412 tokens/s, writes about 35 tokens/s and took 41 s to load.",
        "Its template adds about 13 tokens to a prompt.",
    ]


def test_what_reading_ahead_has_cost_is_told() -> None:
    assert not read_ahead_text(Cost())
    read = Cost(tokens=12_300, in_vain=800)
    assert read_ahead_text(read) == (
        "Since my start it read 12,300 tokens before anybody asked, 800 of them for questions that never came."
    )


def test_the_field_that_thinking_comes_in_is_named() -> None:
    known = Acquaintance("load", "apart", experience=Experience(reasoning_field="reasoning"))
    assert acquaintance_text(known) == (
        "It thinks before it answers, and sends that apart from the answer, in `reasoning`."
    )
