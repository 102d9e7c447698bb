"""Remedies: what changes, and that each is used up."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.domain import ChatTurn, Role
from bot.core.errors import BackendError
from bot.lmstudio import errors
from bot.lmstudio.completion import Plan, encode_body, normalise
from bot.lmstudio.recovery import (
    KEEP_SHARE,
    NO_IMAGES,
    SHORTENED,
    TRIMMED,
    TURN_SHORTENED,
    Retries,
    more_tokens,
    recover,
    trim,
)

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


def words(*sizes: int, tokens: int, max_tokens: int = 500) -> Plan:
    """Return a plan of a system turn and a talk of so many characters each, and its tokens.

    Each turn weighs 16 characters more than its text.
    """
    talk = [
        ChatTurn(Role.ASSISTANT if i % 2 else Role.USER, str(i % 10) * size)
        for i, size in enumerate(sizes)
    ]
    return Plan("m", (ChatTurn(Role.SYSTEM, "s" * 100), *talk), tokens, max_tokens)


def sizes_of(plan: Plan | None) -> list[int]:
    """Return the lengths of a plan's turns."""
    return [] if plan is None else [len(turn.text) for turn in plan.turns]


@pytest.mark.parametrize(
    ("plan", "limit", "left", "prompt_tokens", "max_tokens"),
    [
        # the prompt fits beside the answer: nothing is dropped
        (words(700, 700, 700, tokens=2200), 4000, [100, 700, 700, 700], 2200, 500),
        # two turns go together, so that the talk begins with a person's
        (words(700, 700, 700, 700, 700, tokens=3600), 4000, [100, 700, 700, 700], 2205, 500),
        # the answer gives way first, to a quarter of the context
        (
            words(700, 700, 700, tokens=2200, max_tokens=4000),
            4000,
            [100, 700, 700, 700],
            2200,
            1000,
        ),
        # and to what is left beside the prompt
        (words(100, tokens=200, max_tokens=900), 1024, [100, 100], 200, 256),
        # twice as many tokens as characters
        (words(700, 700, 700, tokens=4400), 4000, [100, 700], 1616, 500),
        # what the last turn needs is all there is
        (words(10, 10, 700, tokens=820), 1700, [100, 10, 10, 700], 820, 425),
    ],
)
def test_the_oldest_goes_until_the_rest_fits(
    plan: Plan, limit: int, left: list[int], prompt_tokens: int, max_tokens: int
) -> None:
    trimmed = trim(plan, limit, plan.prompt_tokens)
    assert trimmed is not None
    assert sizes_of(trimmed) == left
    assert (trimmed.prompt_tokens, trimmed.max_tokens) == (prompt_tokens, max_tokens)
    assert trimmed.turns[-1] == plan.turns[-1]
    assert trimmed.remarks == ((TRIMMED,) if len(left) < len(plan.turns) else ())


def test_a_last_turn_that_is_too_long_loses_its_middle() -> None:
    plan = words(300, 300, 5000, tokens=5700)
    trimmed = trim(plan, 4000, 5700)
    assert trimmed is not None
    assert trimmed.remarks == (TURN_SHORTENED, TRIMMED)
    system, last = trimmed.turns
    assert system == plan.turns[0]
    beginning, mark, end = last.text.split("\n")
    assert set(beginning) == set(end) == {"2"}
    assert 0 <= len(end) - len(beginning) <= 1
    assert "2,199 characters are left out here" in mark
    assert len(last.text) == 5000 - 2199
    assert trimmed.prompt_tokens == 2900
    assert trimmed.max_tokens == 499


def test_a_last_turn_of_which_nothing_would_be_left_cant_be_trimmed() -> None:
    assert trim(words(400, tokens=5000), 1024, 5000) is None
    assert trim(Plan("m", (ChatTurn(Role.SYSTEM, "s" * 900),), 900, 500), 900, 900) is None


def test_an_empty_prompt_is_left_as_it_is() -> None:
    trimmed = trim(Plan("m", (), 0, 500), 4000, 0)
    assert trimmed is not None
    assert (trimmed.turns, trimmed.prompt_tokens, trimmed.max_tokens) == ((), 0, 500)


@pytest.mark.parametrize(
    ("failure", "context_tokens", "limit", "prompt_tokens"),
    [
        (errors.ContextOverflowError(2000), 9000, 2000, 2600),  # the limit that the server names
        (errors.ContextOverflowError(), 2000, 2000, 2600),  # or that is known
        (errors.ContextOverflowError(), 4000, 4000, 4000),  # which it has at least, without a count
        (errors.ContextOverflowError(2000, 3000), None, 2000, 3000),  # by the size that it names
        (errors.ContextOverflowError(2000, 100), None, 2000, 1300),  # or half of the estimate
        (errors.ContextOverflowError(), None, 1300, 2600),  # or to half of the prompt
        (errors.ContextOverflowError(None, 100), None, 1024, 1300),  # which isn't nearly nothing
    ],
)
def test_a_prompt_that_is_too_long_is_trimmed_to_what_is_known(
    failure: BackendError, context_tokens: int | None, limit: int, prompt_tokens: int
) -> None:
    plan = words(*[500] * 20, 400, tokens=2600, max_tokens=300)
    trimmed = trim(plan, limit, prompt_tokens)
    assert trimmed is not None
    assert recover(failure, plan, context_tokens) == trimmed.having_tried("trim")


def test_a_full_pool_costs_a_quarter_of_the_prompt_once_asking_alone_did_not_help() -> None:
    plan = words(*[100] * 39, tokens=4000)
    assert recover(errors.PoolFullError(), plan) is None
    smaller = recover(errors.PoolFullError(), plan.having_tried("alone"))
    assert smaller is not None
    assert (smaller.prompt_tokens, smaller.max_tokens) == (2800, 500)
    assert recover(errors.PoolFullError(), smaller) is None
    empty = Plan("m", (), 0, 500).having_tried("alone")
    assert recover(errors.PoolFullError(), empty) is None


@pytest.mark.parametrize(
    ("named", "left"),
    [
        (("reasoning_effort",), [(None, True)]),
        (("stream_options",), [("low", False)]),
        (("reasoning_effort", "stream_options"), [(None, True), (None, False)]),
        ((), [(None, True), (None, False)]),
        (("temperature",), []),
    ],
)
def test_an_optional_field_that_is_refused_is_left_out_and_one_after_the_other_if_none_is_named(
    named: tuple[str, ...], left: list[tuple[str | None, bool]]
) -> None:
    plan: Plan | None = a_plan()
    for expected in left:
        assert plan is not None
        plan = recover(errors.InvalidRequestError(named), plan)
        assert plan is not None
        assert (plan.reasoning_effort, plan.include_usage) == expected
    assert plan is not None
    assert recover(errors.InvalidRequestError(named), plan) is None
    known = {f"no {name}" for name in named if name != "temperature"}
    assert plan.tried == frozenset(known or ({"no reasoning_effort"} if left else ()))


def test_an_answer_is_shorter_in_two_steps_where_memory_is_short() -> None:
    plan = a_plan()
    for tokens in (1024, 512):
        changed = recover(errors.OutOfMemoryError(), plan)
        assert changed is not None
        plan = changed
        assert plan.max_tokens == tokens
        assert plan.remarks[-1] == SHORTENED
    assert recover(errors.OutOfMemoryError(), plan) is None


def test_images_that_are_refused_are_left_out_with_a_word_where_there_was_none() -> None:
    turn = ChatTurn(Role.USER, "", ("data:image/png;base64,AA==",))
    changed = recover(errors.ImagesRefusedError(), a_plan(turn, ChatTurn(Role.USER, "So?")))
    assert changed is not None
    assert changed.turns == (ChatTurn(Role.USER, "(an image)"), ChatTurn(Role.USER, "So?"))
    assert changed.remarks == (NO_IMAGES,)
    assert recover(errors.ImagesRefusedError(), changed) is None
    assert recover(errors.ImagesRefusedError(), a_plan(ChatTurn(Role.USER, "So?"))) is None


def test_an_empty_answer_is_asked_for_once_more_with_more_room_if_that_was_used_up() -> None:
    plan = a_plan(prompt_tokens=1000)
    again = recover(errors.EmptyAnswerError(), plan, 8192)
    assert again == plan.having_tried("empty")
    longer = recover(errors.EmptyAnswerError(hit_length=True), plan, 8192)
    assert longer is not None
    assert longer.max_tokens == 4096
    assert recover(errors.EmptyAnswerError(), again) is None


@pytest.mark.parametrize(
    ("max_tokens", "prompt_tokens", "context_tokens", "expected"),
    [
        (1000, 1000, 100_000, 2000),
        (1000, 1000, 3000, 1700),
        (1000, 3000, 3500, 1000),
        (1000, 1000, None, 2000),
        (1000, 2000, None, 1700),
    ],
)
def test_a_longer_answer_is_at_most_twice_as_long_and_fits_the_context(
    max_tokens: int, prompt_tokens: int, context_tokens: int | None, expected: int
) -> None:
    assert more_tokens(max_tokens, prompt_tokens, context_tokens) == expected


def delays(failures: list[BackendError], attempts: int = 20, budget_s: float = 600) -> list[float]:
    """Return the pauses until a failure is the end."""
    retries, found = Retries(attempts=attempts, budget_s=budget_s), list[float]()
    for failure in failures:
        with contextlib.suppress(type(failure)):
            found.append(retries.after(failure))
            continue
        break
    return found


@pytest.mark.parametrize(
    ("failure", "pauses_s"),
    [
        (errors.ModelCrashedError(), [3, 8]),
        (errors.ServerFaultError(), [2, 4]),
        (errors.DisconnectedError(), [0]),
        (errors.BusyError(), [2, 5, 10]),
        (errors.BusyError(7.0), [7, 7, 10]),
        (errors.BusyError(300.0), [30, 30, 30]),
        (errors.StalledError(), []),
    ],
    ids=str,
)
def test_each_pause_is_its_rules_and_up_to_a_quarter_more(
    failure: BackendError, pauses_s: list[float]
) -> None:
    found = delays([failure] * 9)
    assert len(found) == len(pauses_s)
    for pause_s, least_s in zip(found, pauses_s, strict=True):
        assert least_s <= pause_s <= 1.25 * least_s


def test_failures_of_several_kinds_are_counted_each_by_itself_and_all_together() -> None:
    mixed = [errors.ModelCrashedError(), errors.ServerFaultError()] * 4
    assert len(delays(mixed)) == 4
    assert len(delays(mixed, attempts=3)) == 3
    assert delays(mixed, attempts=0) == []


def test_all_pauses_together_stay_within_the_budget() -> None:
    many: list[BackendError] = [errors.BackendUnavailableError()] * 20
    for budget_s in (0.5, 3, 40, 70):
        assert sum(delays(many, budget_s=budget_s)) <= budget_s
    assert len(delays(many, budget_s=3)) == 1
    assert len(delays(many, budget_s=1000)) == 10
