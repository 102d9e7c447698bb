"""What to do after a failure: ask something else at once, or the same again after a while.

Every remedy is tried at most once per question (lowering ``max_tokens``: twice), so a question
costs a bounded number of requests whatever the server says; and all waiting between tries shares one
budget.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tenacity import RetryCallState, Retrying, retry_if_exception

from bot.core import frames
from bot.core.domain import ChatTurn, Role
from bot.core.errors import BackendError
from bot.lmstudio import errors
from bot.lmstudio.completion import Plan
from bot.lmstudio.learned import weight

LOW_MEMORY_STEPS: Final = (1024, 512)
"""Tokens; the steps of ``max_tokens`` when memory is short."""

KEEP_SHARE: Final = 0.85
"""Share of the context that a trimmed prompt and its answer may fill."""

_LEAST_ANSWER_TOKENS: Final = 256
_LEAST_TURN_CHARS: Final = 64
"""A turn isn't shortened below this: what is left then says nothing any more."""

_HEAD_SHARE: Final = 0.5
"""How much of a shortened text is its beginning; the question often stands at either end."""

TRIMMED: Final = (
    "I left out the oldest part of our conversation: the model can't read more at once."
)
TURN_SHORTENED: Final = "What you sent is longer than this model can read: I left out its middle."
NO_IMAGES: Final = "This model can't look at images, so I answered without them."
SHORTENED: Final = "The model's machine is short of memory, so this answer may be cut short."


def recover(error: BackendError, plan: Plan, context_tokens: int | None = None) -> Plan | None:
    """Return the plan to try at once after a failure; ``None`` when there is no remedy left.

    Args:
        error: What happened.
        plan: What was asked.
        context_tokens: The model's context length, where known.
    """
    for kind, remedy, apply in _REMEDIES:
        if isinstance(error, kind) and remedy not in plan.tried:
            changed = apply(error, plan, context_tokens)
            if changed is not None:
                return changed.having_tried(remedy) if remedy else changed
    return None


def trim(plan: Plan, limit_tokens: int, prompt_tokens: int) -> Plan | None:
    """Drop the oldest turns until prompt and answer fit a context, then shorten the last one.

    The system turn and the last turn stay; the answer's length gives way before history does, down
    to a quarter of the context.

    Args:
        plan: What was asked.
        limit_tokens: The context length.
        prompt_tokens: What the prompt really has, or the best estimate.

    Returns:
        The trimmed plan; ``None`` if what has to stay leaves no room for the last turn.
    """
    budget = int(limit_tokens * KEEP_SHARE)
    max_tokens = min(plan.max_tokens, max(limit_tokens // 4, _LEAST_ANSWER_TOKENS))
    head = [turn for turn in plan.turns if turn.role is Role.SYSTEM]
    rest = [turn for turn in plan.turns if turn.role is not Role.SYSTEM]
    chars = sum(weight(turn) for turn in plan.turns)
    tokens_per_char = max(prompt_tokens, 1) / max(chars, 1)
    allowed_chars = (budget - max_tokens) / tokens_per_char
    kept_chars = chars
    while kept_chars > allowed_chars and len(rest) > 1:
        kept_chars -= weight(rest.pop(0))
        while len(rest) > 1 and rest[0].role is not Role.USER:
            kept_chars -= weight(rest.pop(0))
    is_shorter = len(head) + len(rest) < len(plan.turns)
    if kept_chars > allowed_chars:
        cut = _shortened(rest[-1], int(kept_chars - allowed_chars)) if rest else None
        if cut is None:
            return None
        kept_chars += weight(cut) - weight(rest[-1])
        plan = plan.noting(TURN_SHORTENED)
        rest[-1] = cut
    fitting = int(budget - kept_chars * tokens_per_char)
    trimmed = replace(
        plan,
        turns=(*head, *rest),
        prompt_tokens=int(kept_chars * tokens_per_char),
        max_tokens=max(1, min(max_tokens, fitting)),
    )
    return trimmed.noting(TRIMMED) if is_shorter else trimmed


def _shortened(turn: ChatTurn, by_chars: int) -> ChatTurn | None:
    """Return a turn with its middle left out; ``None`` if nothing worth reading would stay."""
    text = turn.text
    mark = f"\n{frames.note(f'… {by_chars:,} characters are left out here …')}\n"
    kept = len(text) - by_chars - len(mark)
    if kept < _LEAST_TURN_CHARS:
        return None
    head = int(kept * _HEAD_SHARE)
    return replace(turn, text=f"{text[:head]}{mark}{text[len(text) - (kept - head) :]}")


def without_images(plan: Plan) -> Plan:
    """Return the plan without its images, with a remark."""
    turns = tuple(
        replace(turn, images=(), text=turn.text or "(an image)") if turn.images else turn
        for turn in plan.turns
    )
    return replace(plan, turns=turns).noting(NO_IMAGES)


def more_tokens(max_tokens: int, prompt_tokens: int, context_tokens: int | None) -> int:
    """Return a longer bound for an answer that used up its own before its first word.

    Args:
        max_tokens: The bound it had.
        prompt_tokens: The prompt.
        context_tokens: The model's context length, where known.
    """
    room = (context_tokens or 4 * max_tokens) - prompt_tokens
    return max(max_tokens, min(max_tokens * 2, int(room * KEEP_SHARE)))


def _overflow(error: BackendError, plan: Plan, context_tokens: int | None) -> Plan | None:
    if not isinstance(error, errors.ContextOverflowError):
        return None
    limit = error.limit_tokens or context_tokens
    known = error.prompt_tokens or plan.prompt_tokens
    if limit is None:
        limit = max(known // 2, 1024)
    elif error.prompt_tokens is None:
        # It is longer than was thought: our estimate would cut nothing, however often.
        least = 0 if error.limit_tokens else limit
        if "trim" in plan.tried:
            least += limit
        known = max(known, least)
    return trim(plan, limit, max(known, plan.prompt_tokens // 2))


def _template(_error: BackendError, plan: Plan, _context: int | None) -> Plan | None:
    return replace(plan, fold_system=True)


def _images(_error: BackendError, plan: Plan, _context: int | None) -> Plan | None:
    return without_images(plan) if plan.has_images else None


def _empty(error: BackendError, plan: Plan, context_tokens: int | None) -> Plan | None:
    if not isinstance(error, errors.EmptyAnswerError):
        return None
    if not error.hit_length:
        return plan
    return replace(
        plan, max_tokens=more_tokens(plan.max_tokens, plan.prompt_tokens, context_tokens)
    )


def _invalid(error: BackendError, plan: Plan, _context: int | None) -> Plan | None:
    """Leave out the optional field that was refused; where none is named, each in turn."""
    if not isinstance(error, errors.InvalidRequestError):
        return None
    named = error.fields
    if plan.reasoning_effort is not None and ("reasoning_effort" in named or not named):
        changed = replace(plan, reasoning_effort=None)
        return changed.having_tried("no reasoning_effort")
    if plan.include_usage and ("stream_options" in named or not named):
        changed = replace(plan, include_usage=False)
        return changed.having_tried("no stream_options") if named else changed
    return None


def _memory(_error: BackendError, plan: Plan, _context: int | None) -> Plan | None:
    for tokens in LOW_MEMORY_STEPS:
        if plan.max_tokens > tokens:
            return replace(plan, max_tokens=tokens).noting(SHORTENED)
    return None


def _pool(_error: BackendError, plan: Plan, _context: int | None) -> Plan | None:
    """Take a quarter off the prompt, when asking again alone didn't help."""
    if "alone" not in plan.tried or not plan.prompt_tokens:
        return None
    target_tokens = plan.prompt_tokens * 0.75 + plan.max_tokens
    return trim(plan, int(target_tokens / KEEP_SHARE), plan.prompt_tokens)


_Remedy = Callable[[BackendError, Plan, int | None], Plan | None]
_REMEDIES: Final[tuple[tuple[type[BackendError], str, _Remedy], ...]] = (
    (errors.ContextOverflowError, "trim", _overflow),
    (errors.ContextOverflowError, "trim again", _overflow),
    (errors.TemplateError, "fold", _template),
    (errors.ImagesRefusedError, "images", _images),
    (errors.EmptyAnswerError, "empty", _empty),
    (errors.InvalidRequestError, "", _invalid),
    (errors.LoadFailedError, "", _memory),
    (errors.PoolFullError, "pool", _pool),
)


_DELAYS_S: Final[dict[type[BackendError], tuple[float, ...]]] = {
    errors.BackendUnavailableError: (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0),
    errors.DisconnectedError: (0.0,),
    errors.ModelUnloadedError: (1.5, 4.0),
    errors.ModelCrashedError: (3.0, 8.0),
    errors.PoolFullError: (1.0, 3.0),
    errors.ComputeError: (2.0,),
    errors.OutputParserError: (0.5,),
    errors.ChannelError: (2.0,),
    errors.ServerFaultError: (2.0, 4.0),
    errors.BusyError: (2.0, 5.0, 10.0),
    errors.TruncatedStreamError: (1.0,),
    errors.BadResponseError: (1.0,),
}
"""Seconds before each retry of a kind of failure, without jitter, after the advice that LM Studio's own users
give. What isn't listed isn't retried: it would fail again, or the server has taken the prompt and is still
at it."""

_LONGEST_RETRY_AFTER_S: Final = 30.0
_JITTER: Final = 0.25


def _kind_of(error: BaseException | None) -> type[BackendError] | None:
    """Return the kind of failure whose retries an error counts among; ``None`` where it isn't retried."""
    return next((kind for kind in _DELAYS_S if isinstance(error, kind)), None)


class Retries:
    """One question's retries; each kind of failure has its own count."""

    def __init__(self, *, attempts: int, budget_s: float) -> None:
        """Start a question's budget.

        Args:
            attempts: Retries in all.
            budget_s: Time that all waiting between tries may take together, in seconds.
        """
        self._left_s = budget_s
        self._used: Counter[type[BackendError] | None] = Counter()
        policy = Retrying(
            retry=retry_if_exception(lambda error: bool(self._delays_left_s(error))),
            wait=self._delay_s,
            stop=lambda state: (
                state.attempt_number > attempts or state.upcoming_sleep > self._left_s
            ),
            sleep=lambda _delay_s: None,  # the caller waits, on its own clock
            reraise=True,
        )
        self._attempts = iter(policy)
        self._attempt = next(self._attempts)

    def after(self, failure: BackendError) -> float:
        """Return how long to wait before the next try, in seconds.

        Raises:
            BackendError: The failure, where it isn't tried again.
        """
        state = self._attempt.retry_state
        state.set_exception((type(failure), failure, failure.__traceback__))
        self._attempt = next(self._attempts)
        delay_s = state.upcoming_sleep
        self._used[_kind_of(failure)] += 1
        self._left_s -= delay_s
        return delay_s

    def _delays_left_s(self, error: BaseException | None) -> tuple[float, ...]:
        kind = _kind_of(error)
        return () if kind is None else _DELAYS_S[kind][self._used[kind] :]

    def _delay_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        delay_s = self._delays_left_s(error)[0]
        if isinstance(error, errors.BusyError) and error.retry_after_s is not None:
            delay_s = max(delay_s, min(error.retry_after_s, _LONGEST_RETRY_AFTER_S))
        return delay_s * (1 + _JITTER * random.random())  # noqa: S311 - jitter, not a secret
