"""The reasoning filter over random compositions, every cut, and texts that are only markup."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.filter import compose, fault
from bot.core.domain import FinishReason, TextDelta
from bot.output.markup import MARKERS
from sandbox.lmstudio.markup import MarkupCase
from sandbox.lmstudio.markup_cases import MARKUP_CASES
from tests.unit.output.helpers import pipeline, versions

MARKUP = st.sampled_from(
    [
        *MARKERS,
        "<think",
        "analysis",
        "assistantfinal",
        "`",
        "```\n",
        "\n",
        " ",
        "word",
        "Maria:",
        "\n⟦from Maria⟧ ",
        "\n[from Maria] ",
        "assistant\n\n",
        "<",
    ]
)


@given(st.integers(0, 2**32))
def test_a_composition_shows_its_answer_and_nothing_else(seed: int) -> None:
    assert fault(compose(random.Random(seed))) == ""


@given(st.sampled_from(MARKUP_CASES), st.data())
def test_any_cuts_give_the_answer_of_the_whole(case: MarkupCase, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(case.raw)), max_size=12)))
    edges = [0, *cuts, len(case.raw)]
    pieces = [case.raw[a:b] for a, b in itertools.pairwise(edges)]
    target = pipeline(names=case.names, bot_name=case.bot_name, expect=case.opening_may_be_missing)
    reason = FinishReason.STOP if case.answer else FinishReason.LENGTH
    seen = versions(target, pieces, reason)
    assert seen[-1] == case.answer.strip()
    assert all(case.answer.startswith(text) for text in seen)


@given(st.lists(MARKUP, max_size=25).map("".join), st.booleans())
def test_any_markup_streams_to_what_it_is_as_a_whole(text: str, expect: bool) -> None:
    whole = versions(pipeline(names=["Maria"], expect=expect), [text])[-1]
    target = pipeline(names=["Maria"], expect=expect)
    before = ""
    for piece in text:
        target.feed(TextDelta(piece))
        now = target.text
        assert now.startswith(before) or before in target.thinking
        before = now
    target.close(FinishReason.STOP)
    assert target.text == whole
