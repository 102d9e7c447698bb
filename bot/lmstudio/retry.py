"""Which failures are worth another try, how often, and when: one table, one budget per question."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from tenacity import RetryCallState, Retrying, retry_if_exception

from bot.core.errors import BackendError
from bot.lmstudio import errors


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """How a failure is tried again.

    Attributes:
        delays_s: Seconds before each retry, without jitter; their number bounds the retries.
    """

    delays_s: tuple[float, ...]


_NEVER: Final = Rule(())
_RULES: Final[tuple[tuple[type[BackendError], Rule], ...]] = (
    (
        errors.BackendUnavailableError,
        Rule((1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0)),
    ),
    (errors.DisconnectedError, Rule((0.0,))),
    (errors.ModelUnloadedError, Rule((1.5, 4.0))),
    (errors.ModelCrashedError, Rule((3.0, 8.0))),
    (errors.PoolFullError, Rule((1.0, 3.0))),
    (errors.ComputeError, Rule((2.0,))),
    (errors.OutputParserError, Rule((0.5,))),
    (errors.ChannelError, Rule((2.0,))),
    (errors.ServerFaultError, Rule((2.0, 4.0))),
    (errors.BusyError, Rule((2.0, 5.0, 10.0))),
    (errors.TruncatedStreamError, Rule((1.0,))),
    (errors.BadResponseError, Rule((1.0,))),
)
"""Seconds; after the advice that LM Studio's own users give for each failure. What isn't listed
isn't retried: it would fail again, or the server has taken the prompt and is still at it."""

_LONGEST_RETRY_AFTER_S: Final = 30.0
_JITTER: Final = 0.25


def rule_for(error: BaseException | None) -> Rule:
    """Return how a failure is tried again."""
    for kind, rule in _RULES:
        if isinstance(error, kind):
            return rule
    return _NEVER


class Retries:
    """One question's retries; a rule counts the tries of its own kind of failure."""

    def __init__(self, *, attempts: int, budget_s: float) -> None:
        """Start a question's budget.

        Args:
            attempts: Retries in all.
            budget_s: Time that all waiting between tries may take together, in seconds.
        """
        self._left_s = budget_s
        self._used: dict[Rule, int] = {}
        policy = Retrying(
            retry=retry_if_exception(self._is_left),
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
        rule = rule_for(failure)
        self._used[rule] = self._used.get(rule, 0) + 1
        self._left_s -= delay_s
        return delay_s

    def _is_left(self, error: BaseException) -> bool:
        rule = rule_for(error)
        return self._used.get(rule, 0) < len(rule.delays_s)

    def _delay_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        rule = rule_for(error)
        delay_s = rule.delays_s[self._used.get(rule, 0)]
        if isinstance(error, errors.BusyError) and error.retry_after_s is not None:
            delay_s = max(delay_s, min(error.retry_after_s, _LONGEST_RETRY_AFTER_S))
        return delay_s * (1 + _JITTER * random.random())  # noqa: S311 - jitter, not a secret
