"""The filter's judgements: what is held, what is given back, what a verdict says."""

from __future__ import annotations

import pytest

from bot.core.domain import FinishReason, TextDelta
from bot.output.pipeline import OutputPolicy, Verdict
from tests.unit.output.helpers import pipeline, shown, versions


@pytest.mark.parametrize(
    "text", ["Hello", "Yes", "2 < 3 is true", "The answer", "巴黎", "**Bold** start", "1. first"]
)
def test_the_first_visible_piece_is_shown_at_once(text: str) -> None:
    target = pipeline()
    target.feed(TextDelta(text))
    assert target.text == text


def test_the_first_word_after_thinking_is_shown_with_its_own_delta() -> None:
    target = pipeline()
    for piece in ("<think>", "hm", "</think>", "\n\n"):
        target.feed(TextDelta(piece))
    assert target.text == ""
    target.feed(TextDelta("Paris"))
    assert target.text == "Paris"


@pytest.mark.parametrize("text", ["a < b", "x <3 y", "a <- b", "1 <2", "[ok] then", "<b> x"])
def test_what_is_no_marker_is_held_no_longer_than_it_takes_to_tell(text: str) -> None:
    target = pipeline()
    target.feed(TextDelta("So "))
    for number, char in enumerate(text):
        target.feed(TextDelta(char))
        behind = len(("So " + text[: number + 1]).rstrip()) - len(target.text)
        assert behind <= (len(" [ok]") if "[" in text else len(" <b"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paris.<|im_en", "Paris."),
        ("Paris.\n\n</thi", "Paris."),
        ("Paris is [TOOL_RE", "Paris is"),
        ("<thin", ""),
        ("◁/thi", ""),
        ("if a <", "if a <"),
        ("if a <b", "if a <b"),
        ("see [1, 2", "see [1, 2"),
        ("the code `<thin", "the code `<thin"),
    ],
)
def test_of_a_marker_that_an_answer_is_cut_in_nothing_is_shown(text: str, expected: str) -> None:
    for pieces in ([text], list(text)):
        assert versions(pipeline(), pieces, FinishReason.LENGTH)[-1] == expected
        assert versions(pipeline(), pieces)[-1] == text


def test_an_orphan_close_replaces_what_was_shown() -> None:
    target = pipeline()
    target.feed(TextDelta("Let me think. It is 4."))
    assert target.text == "Let me think. It is 4."
    target.feed(TextDelta("\n</think>\n\nFour."))
    assert target.text == "Four."
    target.close(FinishReason.STOP)
    assert target.saw_orphan_close
    assert "Let me think" in target.thinking


def test_a_missing_opening_that_is_expected_is_never_shown() -> None:
    seen = versions(pipeline(expect=True), ["Let me ", "think.\n</th", "ink>\n\nFour."])
    assert seen == ["", "", "Four.", "Four."]


def test_expecting_a_close_that_never_comes_shows_the_answer_at_the_end() -> None:
    assert versions(pipeline(expect=True), ["Four."])[-1] == "Four."


def test_expecting_a_close_in_an_answer_cut_short_shows_nothing() -> None:
    target = pipeline(expect=True)
    assert versions(target, ["Let me think"], FinishReason.LENGTH)[-1] == ""
    assert target.verdict is Verdict.ONLY_THINKING


def test_a_field_of_its_own_for_thinking_ends_the_expectation() -> None:
    target = pipeline(expect=True)
    target.feed(TextDelta(reasoning="hm"))
    assert target.is_thinking
    target.feed(TextDelta("Four"))
    assert (target.text, target.is_thinking, target.thinking) == ("Four", False, "hm")


def test_a_stray_close_at_the_very_end_keeps_the_answer() -> None:
    target = pipeline()
    assert versions(target, ["<think>a</think>", "Four.", "\n</think>"])[-1] == "Four."


def test_a_closing_tag_that_was_only_mentioned_in_thinking_does_not_lose_the_answer() -> None:
    text = "<think>\nI write </think> and then stop\n</think>\nFour."
    assert shown(text) == "Four."
    assert shown("<think>\nso it is four </think> The answer is 4.") == "The answer is 4."


@pytest.mark.parametrize(
    "text",
    [
        "The <think> tag is used by some models.",
        "Use <think> and </think> around it.",
        "It ends with a `</think>` tag.",
        "In short: (</think>) ends it.",
        "Write <|nothing here.",
        "Steps:\nMaria: dishes\nJan: cooking",
        "The file has <plan>A</plan> in it.",
    ],
)
def test_prose_about_markup_stays(text: str) -> None:
    assert versions(pipeline(names=["Maria", "Jan"]), list(text))[-1] == text


def test_repeated_blocks_between_text_are_hidden() -> None:
    text = "<think>a</think>One.\n<think>b</think>\nTwo."
    assert shown(text).split() == ["One.", "Two."]


@pytest.mark.parametrize(
    ("content", "reasoning", "verdict"),
    [
        ("Four.", "", Verdict.ANSWER),
        ("<think>a", "", Verdict.ONLY_THINKING),
        ("", "a", Verdict.ONLY_THINKING),
        ("\u200b \n", "", Verdict.EMPTY),
        ("", "", Verdict.EMPTY),
    ],
)
def test_the_verdict_says_what_came(content: str, reasoning: str, verdict: Verdict) -> None:
    target = pipeline()
    target.feed(TextDelta(content, reasoning))
    target.close(FinishReason.STOP)
    assert target.verdict is verdict


def test_the_size_cap_stops_the_stream() -> None:
    target = pipeline(policy=OutputPolicy(max_chars=100))
    for _ in range(100):
        target.feed(TextDelta("word "))
    assert target.must_stop
    target.close(FinishReason.STOP)
    assert target.verdict is Verdict.CUT
    assert 90 <= len(target.text) <= 100


def test_a_cap_inside_code_closes_the_fence() -> None:
    target = pipeline(policy=OutputPolicy(max_chars=60))
    text = versions(target, ["```py\n", *[f"x{n} = {n}\n" for n in range(20)]])[-1]
    assert text.count("```") == 2


@pytest.mark.parametrize("field", ["content", "reasoning"])
def test_endless_repetition_stops_the_stream(field: str) -> None:
    target = pipeline()
    for _ in range(200):
        piece = "I will say this again and again. "
        target.feed(TextDelta(piece) if field == "content" else TextDelta(reasoning=piece))
    assert target.must_stop
    target.close(FinishReason.INTERRUPTED)
    assert target.verdict is Verdict.REPEATED


def test_tables_and_rules_are_no_repetition() -> None:
    table = "| a | b |\n| --- | --- |\n" + "".join(f"| {n} | x |\n" for n in range(80))
    assert not (target := pipeline()).must_stop
    assert versions(target, [table + "-" * 80])[-1].endswith("-" * 80)
    assert target.verdict is Verdict.ANSWER


def test_restart_forgets_everything() -> None:
    target = pipeline()
    target.feed(TextDelta("", "thought"))
    target.restart()
    target.feed(TextDelta("Four"))
    assert (target.text, target.thinking) == ("Four", "")


def test_byte_pair_artefacts_become_text_and_maltese_stays() -> None:
    assert shown("HelloĠworld,ĠweĠmeet.ĊĊSo") == "Hello world, we meet.\n\nSo"
    assert shown("Il-Ġimgħa u Ċensu") == "Il-Ġimgħa u Ċensu"


def test_many_blanks_in_front_of_an_answer_are_left_out() -> None:
    assert versions(pipeline(), ["\n" * 5000, " " * 5000 + "Hello"])[-1] == "Hello"


def test_a_glued_role_word_ends_the_answer() -> None:
    assert versions(pipeline(), list("It is Paris.assistant\n\nI am glad"))[-1] == "It is Paris."


@pytest.mark.parametrize("lead", ["", "<think>"])
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_an_apostrophe_behind_the_end_of_thinking_is_no_end_of_a_quoted_text(
    lead: str, size: int
) -> None:
    text = f"{lead}Let's answer 'ok</think>It's 'ok' then."
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert versions(pipeline(), pieces)[-1] == "It's 'ok' then."
