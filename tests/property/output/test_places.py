"""Each family's markup, in each place of an answer, with each ending: hidden where it is meant, else shown."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.domain import FinishReason
from sandbox.lmstudio.markup import TAG_FAMILIES
from tests.unit.output.helpers import pipeline, versions

SECRET = "SECRETSTEP"
PAIRS = sorted(
    {
        (tags.opening.strip().removesuffix("thought"), tags.closing.strip())
        for tags in TAG_FAMILIES.values()
        if tags.opening.strip()[0] in "<[◁" and tags.closing.strip()[0] in "<[◁"
    }
)
TAGS = [pair for pair in PAIRS if pair[0] in {"<think>", "<thinking>", "<seed:think>"}]
QUOTABLE = [
    pair for pair in PAIRS if pair[1] not in {"<|end|>", "<channel|>"} and "\n" not in pair[0]
]
"""Whose ends aren't tokens that also end something else, and whose beginnings fit into a line."""

INSIDE = (
    f"{SECRET} one.",
    f"\n{SECRET} one:\n```py\nx = 1\n```\n{SECRET}.\n",
    f"\n{SECRET}\n```xml\n{{open}}\n{SECRET}\n{{close}}\n```\n{SECRET}.\n",
    f"\nA draft:\n\n```\n{{close}}\n```\n{SECRET}.\n",
    f"{SECRET}: write `{{open}}x{{close}}` {SECRET}.",
    f"{SECRET} uses {{close}} and then {SECRET}.\n",
    f"\n- {SECRET}\n- `{{close}}` {SECRET}\n\n> {SECRET}\n",
)
MEANT = (
    "{open}{inside}{close}\n\nParis.",
    "{open}{inside}{close}Paris.",
    "\n\n{open}{inside}{close}\nParis.",
    "**{open}**\n{inside}\n**{close}**\n\nParis.",
)
LATER = (
    "It is 4.\n\n{open}{inside}{close}\n\nParis.",
    "It is 4. Wait, {open}{inside}{close} Paris.",
    "It is 4. Hmm... {open}{inside}{close}\n\nParis.",
    "It is 4.\n\n**{open}**\n{inside}\n**{close}**\n\nParis.",
)
SHOWN = (
    "{open}...{close} is used by some models.",
    "{open} … {close} tags are used by some models.",
    "Alpha: {open}...{close}\nBeta: {open}...{close}",
    "- Alpha: {open}...{close}\n- Beta: {open}text{close}",
    "Use `{open}` and `{close}` here.",
    "They write {open} first and {close} last.",
    "```text\n{open}\ninside\n{close}\n```\nThat is it.",
    "> {open}\n> inside\n> {close}\n\nThat is the form.",
    "The **{open}** tag begins it, **{close}** ends it.",
    "| begin | end |\n|---|---|\n| {open} | {close} |",
    "It looks so:\n\n{open}\ninside\n{close}\n\nThat is it.",
    'The pair "{open}" and "{close}" is removed.',
)
texts = st.sampled_from(INSIDE)


def _filled(form: str, pair: tuple[str, str], inside: str = "") -> str:
    filled = form.replace("{inside}", inside)
    return filled.replace("{open}", pair[0]).replace("{close}", pair[1])


def _seen(text: str, cuts: list[int], reason: FinishReason = FinishReason.STOP) -> list[str]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return versions(pipeline(), [text[a:b] for a, b in itertools.pairwise(edges)], reason)


@given(
    st.sampled_from(MEANT),
    st.sampled_from(QUOTABLE),
    texts,
    st.lists(st.integers(0, 400), max_size=6),
)
def test_thinking_at_the_start_is_hidden_whatever_it_quotes(
    form: str, pair: tuple[str, str], inside: str, cuts: list[int]
) -> None:
    seen = _seen(_filled(form, pair, inside), cuts)
    assert seen[-1] == "Paris."
    assert all(SECRET not in text for text in seen)


@given(
    st.sampled_from(LATER), st.sampled_from(TAGS), texts, st.lists(st.integers(0, 400), max_size=6)
)
def test_thinking_that_begins_later_is_hidden(
    form: str, pair: tuple[str, str], inside: str, cuts: list[int]
) -> None:
    seen = _seen(_filled(form, pair, inside), cuts)
    assert seen[-1].startswith("It is 4.")
    assert seen[-1].endswith("Paris.")
    assert all(SECRET not in text for text in seen)


@given(st.sampled_from(MEANT), st.sampled_from(QUOTABLE), texts, st.integers(1, 400))
def test_thinking_that_is_cut_off_is_hidden(
    form: str, pair: tuple[str, str], inside: str, end: int
) -> None:
    seen = _seen(_filled(form, pair, inside)[:end], [end // 2], FinishReason.LENGTH)
    assert all(SECRET not in text for text in seen)


@pytest.mark.parametrize("form", SHOWN)
@pytest.mark.parametrize("pair", TAGS, ids=lambda pair: str(pair[0]))
def test_what_is_shown_as_an_example_stays(form: str, pair: tuple[str, str]) -> None:
    text = _filled(form, pair)
    for cuts in ([], list(range(len(text)))):
        shown = _seen(text, cuts)[-1]
        if "|---|" in text:
            assert pair[0] in shown
            assert pair[1] in shown
        else:
            assert shown == text
