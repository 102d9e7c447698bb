"""Every family and every accident of the corpus: the answer, and nothing of the thinking."""

from __future__ import annotations

import pytest

from bot.core.domain import FinishReason
from sandbox.lmstudio.markup import MarkupCase
from sandbox.lmstudio.markup_cases import MARKUP_CASES
from tests.unit.output.helpers import pipeline, versions


def _versions(case: MarkupCase, pieces: list[str]) -> list[str]:
    target = pipeline(names=case.names, bot_name=case.bot_name, expect=case.opening_may_be_missing)
    reason = FinishReason.STOP if case.answer else FinishReason.LENGTH
    return versions(target, pieces, reason)


@pytest.mark.parametrize("case", MARKUP_CASES, ids=lambda case: case.name)
def test_only_the_answer_is_ever_shown(case: MarkupCase) -> None:
    for pieces in ([case.raw], list(case.raw)):
        seen = _versions(case, pieces)
        assert seen[-1] == case.answer.strip()
        for text in seen:
            assert case.answer.startswith(text)


@pytest.mark.parametrize("case", MARKUP_CASES, ids=lambda case: case.name)
def test_a_cut_anywhere_changes_nothing(case: MarkupCase) -> None:
    step = max(1, len(case.raw) // 24)
    for cut in range(1, len(case.raw), step):
        seen = _versions(case, [case.raw[:cut], case.raw[cut:]])
        assert seen[-1] == case.answer.strip(), cut
        assert all(case.answer.startswith(text) for text in seen), cut
