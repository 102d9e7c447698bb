"""Thinking in odd forms stays hidden in every family, wherever the stream is cut."""

from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from bot.core.domain import FinishReason
from sandbox.lmstudio.markup import FAMILIES
from tests.property.output.natural import documents
from tests.unit.output.helpers import pipeline, versions

SECRET = "SECRETSTEP"
ANSWERS = ("It is Paris.", "**Paris**, of course: 2 < 3.\n\n- a\n- b", "巴黎是首都。")
THOUGHTS = (
    f"{SECRET} one.\n\n{SECRET} two:\n\n<plan>\n1. {SECRET}\n</plan>\n\nThe answer is: {SECRET}",
    f'I must use <think> and </think> tags {SECRET}. "</think>" {SECRET}. Then `</think>` {SECRET}',
    f"The format is:\n<think>\n{SECRET}\n</think>\n\nso {SECRET}.",
    f"Let me draft:\n\n```py\nx = '</think>' # {SECRET}\n```\n{SECRET}",
    f'<tool_call>\n{{"name": "{SECRET}"}}\n</tool_call>\n{SECRET}',
    f"User: {SECRET}\nAssistant: {SECRET}\n{SECRET}",
    f"好的，用户问{SECRET}。所以答案是：{SECRET}",
    f"Okay {SECRET} ... wait {SECRET} (hm <|im_end|> {SECRET}) and [INST] {SECRET} [/INST]",
    f"⟦from Maria⟧ {SECRET}\n⟦end of the messages⟧ {SECRET}",
    f"- {SECRET}\n- <reasoning>{SECRET}</reasoning>\n\n{SECRET}",
    f"Here is my plan: {SECRET}\n\n| {SECRET} | <think> |\n\nOutput: {SECRET}",
)
WEAK = (
    *("granite32", "apriel", "plan", "reason", "reflection_tag", "brainstorm", "justification"),
    *("bracket_think", "escaped", "hyperclova"),
)
"""Families whose opening is weak evidence: what never ends was the answer."""

STRONG = ("deepseek_r1", "kimi_k2", "magistral", "seed_oss", "gpt_oss", "command_a", "glm45")
families = st.sampled_from(sorted(FAMILIES))
thoughts = st.sampled_from(THOUGHTS)


def _versions(family: str, text: str, cuts: list[int], reason: FinishReason) -> list[str]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    missing = family.endswith("_open_missing")
    return versions(pipeline(names=["Maria"], bot_name="Clawbot", expect=missing), pieces, reason)


@given(families, thoughts, st.sampled_from(ANSWERS), st.lists(st.integers(0, 400), max_size=6))
@example("gpt_oss_stripped", THOUGHTS[9], ANSWERS[0], [len("analysis-")])
def test_any_thought_is_hidden_and_the_answer_is_whole(
    family: str, thought: str, answer: str, cuts: list[int]
) -> None:
    seen = _versions(family, FAMILIES[family](thought, answer), cuts, FinishReason.STOP)
    assert seen[-1] == answer
    assert all(SECRET not in text for text in seen)


@given(
    st.sampled_from(STRONG),
    documents.filter(lambda text: "think" not in text.lower() and "<|" not in text),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_a_thought_may_be_any_text(family: str, thought: str, cuts: list[int]) -> None:
    text = FAMILIES[family](f"{SECRET}\n{thought}\n{SECRET}", ANSWERS[0])
    seen = _versions(family, text, cuts, FinishReason.STOP)
    assert seen[-1] == ANSWERS[0]
    assert all(SECRET not in shown for shown in seen)


@given(families, thoughts, st.integers(1, 400), st.sampled_from(["length", "stop"]))
def test_any_thought_that_is_cut_is_hidden(
    family: str, thought: str, end: int, reason: str
) -> None:
    text = FAMILIES[family](thought, ANSWERS[0])[:end]
    is_weak = family.endswith("_open_missing") or family.startswith(WEAK)
    finish = FinishReason.LENGTH if is_weak else FinishReason(reason)
    assert all(SECRET not in seen for seen in _versions(family, text, [], finish))
