"""What is said of an answer at its end: why it ended, what was changed, what the server did."""

from __future__ import annotations

import logging
from typing import Final

from bot.core.domain import FinishReason, Usage
from bot.core.errors import BackendError
from bot.lmstudio import errors
from bot.lmstudio.catalogue import is_same_model
from bot.lmstudio.completion import CompletionDecoder
from bot.lmstudio.nodes import Node
from bot.lmstudio.recovery import Plan

_log = logging.getLogger(__name__)

SILENTLY_CUT_SHARE: Final = 0.6
"""Reported prompt tokens below this share of the estimate mean that the server cut the prompt."""

_LEAST_ESTIMATE_TOKENS: Final = 1000
_SHOWN_CHARS: Final = 100

OTHER_MODEL: Final = "Another model than the one I'm set to use answered this."
NEAR_NAME: Final = "The model I'm set to use is listed as {key}, so I take that."
CUT_BY_SERVER: Final = (
    "The model's server left out a part of our conversation, because it was too long for it."
)

_REASONS: Final = {
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
}
_LINES: Final[tuple[tuple[type[BackendError], str], ...]] = (
    (errors.ContextOverflowError, "What the model can read at once is full here."),
    (errors.PoolFullError, "The memory that all running answers share was full here."),
    (errors.OutOfMemoryError, "The model's machine ran out of memory here."),
    (errors.ModelUnloadedError, "The model was unloaded here."),
    (errors.ModelCrashedError, "The model crashed here."),
    (errors.ComputeError, "The model had a fault while computing here."),
    (errors.OutputParserError, "The model's server couldn't read what the model wrote here."),
    (errors.StalledError, "The model stopped in the middle here."),
    (errors.TotalTimeoutError, "I stopped here: this took longer than I may wait."),
    (errors.TruncatedStreamError, "The connection to the model broke here."),
    (errors.DisconnectedError, "The connection to the model broke here."),
    (errors.BackendUnavailableError, "The connection to the model broke here."),
    (errors.BadResponseError, "The model's server sent something I can't read here."),
    (errors.TlsError, "The connection to the model broke here."),
)
UNKNOWN: Final = "The model's server reported a fault here."


def line_for(error: BackendError) -> str:
    """Return one sentence on why an answer ends where it does."""
    return next((line for kind, line in _LINES if isinstance(error, kind)), UNKNOWN)


def may_go_on(error: BackendError) -> bool:
    """Return whether asking again at once may bring the rest of an answer.

    Where time or room is used up it can't, and what is configured wrongly stays so.
    """
    return error.can_retry and not isinstance(error, errors.TotalTimeoutError)


def reason_of(decoder: CompletionDecoder) -> FinishReason:
    """Return why a whole answer ended."""
    return _REASONS.get(decoder.finish_reason or "", FinishReason.STOP)


def findings(node: Node, plan: Plan, decoder: CompletionDecoder, instance: str) -> list[str]:
    """Return sentences for the person about how a request was answered.

    Args:
        node: Who answered.
        plan: What was asked.
        decoder: What came.
        instance: The name that the request named; empty when it named none.
    """
    found = []
    info = node.model(plan.model)
    if plan.model is not None and info is not None and node.is_first_near(plan.model):
        _log.warning("the model %.200r is taken for %.200r", plan.model, info.key)
        found.append(NEAR_NAME.format(key=_shown(info.key)))
    listed = () if info is None else (info.key, *info.instance_ids)
    expected = {plan.model or "", instance, *listed}
    answered_by = decoder.model
    is_known = any(is_same_model(answered_by or "", name) for name in expected if name)
    if plan.model is not None and answered_by is not None and not is_known:
        found.append(OTHER_MODEL)
    if was_cut(plan, decoder.usage, info.context_tokens if info else None):
        found.append(CUT_BY_SERVER)
    return found


def was_cut(plan: Plan, usage: Usage | None, context_tokens: int | None) -> bool:
    """Return whether the server read much less than it was sent, for lack of room.

    LM Studio's default overflow policy drops the middle of a conversation without an error.

    Args:
        plan: What was asked.
        usage: The tokens that the server counted, where it did.
        context_tokens: The model's context length, where known: what fits isn't cut, however few
            tokens it turns out to have.
    """
    if usage is None or not usage.prompt_tokens or plan.prompt_tokens < _LEAST_ESTIMATE_TOKENS:
        return False
    is_short = usage.prompt_tokens < plan.prompt_tokens * SILENTLY_CUT_SHARE
    return is_short and (
        context_tokens is None or plan.prompt_tokens + plan.max_tokens > context_tokens
    )


def _shown(name: str) -> str:
    """Return a model's name for a sentence, on one line and short."""
    return " ".join(name.replace("`", "").split())[:_SHOWN_CHARS]
