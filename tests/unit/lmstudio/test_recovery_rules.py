"""Remedies: what changes, and that each is used up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.domain import ChatTurn, Role
from bot.core.errors import BackendError
from bot.lmstudio import errors
from bot.lmstudio.completion import Plan, encode_body, normalise
from bot.lmstudio.recovery import KEEP_SHARE, recover, trim

FAILURES: list[BackendError] = [
    errors.ContextOverflowError(4096, 5000),
    errors.ContextOverflowError(),
    errors.TemplateError(),
    errors.ImagesRefusedError(),
    errors.EmptyAnswerError(hit_length=True),
    errors.EmptyAnswerError(),
    errors.InvalidRequestError(("reasoning_effort",)),
    errors.InvalidRequestError(),
    errors.OutOfMemoryError(),
    errors.LoadFailedError(),
]
turns = st.lists(
    st.builds(ChatTurn, st.sampled_from(Role), st.text(max_size=400)), min_size=1, max_size=40
)


def a_plan(*history: ChatTurn, prompt_tokens: int = 5000) -> Plan:
    """Return a plan with everything that a remedy can take away."""
    talk = history or (
        ChatTurn(Role.SYSTEM, "You are a bot."),
        *(ChatTurn(Role.ASSISTANT if i % 2 else Role.USER, f"{i} " + "x" * 400) for i in range(40)),
        ChatTurn(Role.USER, "Well?", ("data:image/png;base64,AA==",)),
    )
    return Plan("m", talk, prompt_tokens, max_tokens=2048, reasoning_effort="low")


@pytest.mark.parametrize("failure", FAILURES, ids=str)
def test_a_failure_that_stays_ends_after_a_few_remedies(failure: BackendError) -> None:
    plan: Plan | None = a_plan()
    for _ in range(4):
        assert plan is not None
        plan = recover(failure, plan, 8192)
        if plan is None:
            return
    pytest.fail("goes on for ever")


def test_trimming_keeps_the_system_text_and_the_question() -> None:
    trimmed = recover(errors.ContextOverflowError(4096, 5000), a_plan())
    assert trimmed is not None
    assert trimmed.turns[0].role is Role.SYSTEM
    assert trimmed.turns[1].role is Role.USER
    assert trimmed.turns[-1].text == "Well?"
    assert trimmed.prompt_tokens + trimmed.max_tokens <= 4096


@given(turns, st.integers(512, 20_000), st.integers(1, 30_000))
def test_what_was_trimmed_fits(history: list[ChatTurn], limit: int, tokens: int) -> None:
    plan = a_plan(*history, ChatTurn(Role.USER, "?"), prompt_tokens=tokens)
    trimmed = trim(plan, limit, tokens)
    if trimmed is not None:
        assert trimmed.prompt_tokens + trimmed.max_tokens <= limit * KEEP_SHARE + 1
        assert trimmed.turns[-1].text == "?"
        assert trimmed.max_tokens >= 1
        assert set(trimmed.turns) <= set(plan.turns)


@given(turns, st.booleans())
def test_every_template_takes_normalised_turns(history: list[ChatTurn], fold: bool) -> None:
    sent = normalise(history, fold_system=fold)
    assert all(turn.text.strip() or turn.images for turn in sent)
    talk = [turn for turn in sent if turn.role is not Role.SYSTEM]
    assert sent[: len(sent) - len(talk)] == tuple(t for t in sent if t.role is Role.SYSTEM)
    assert len(sent) - len(talk) <= (0 if fold else 1)
    assert [turn.role for turn in talk] == [
        Role.ASSISTANT if i % 2 else Role.USER for i in range(len(talk))
    ]
    assert talk[-1].role is Role.USER


@given(turns)
def test_nothing_a_person_says_is_lost_by_normalising(history: list[ChatTurn]) -> None:
    said = [t.text for t in history if t.role is not Role.ASSISTANT and t.text.strip()]
    sent = "".join(turn.text for turn in normalise(history))
    assert all(text in sent for text in said)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_isnt_one_is_never_sent(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_body(
            model=None,
            turns=(ChatTurn(Role.USER, "x"),),
            temperature=value,
            top_p=1,
            max_tokens=1,
            reasoning_effort=None,
        )


def test_only_data_urls_of_images_are_sent() -> None:
    turn = ChatTurn(Role.USER, "x", ("http://10.0.0.1/x.png", "data:image/png;base64,AA=="))
    body = encode_body(
        model="m", turns=(turn,), temperature=1, top_p=1, max_tokens=1, reasoning_effort=None
    )
    assert b"10.0.0.1" not in body
    assert b"data:image/png" in body


def test_a_lone_surrogate_in_a_text_can_be_sent() -> None:
    body = encode_body(
        model=None,
        turns=(ChatTurn(Role.USER, "a\ud83d"),),
        temperature=1,
        top_p=1,
        max_tokens=1,
        reasoning_effort=None,
    )
    assert b'"a?"' in body
