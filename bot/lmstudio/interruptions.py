"""What to say below an answer that broke off after words: what is known of the failure, in a line."""

from __future__ import annotations

from typing import Final

from bot.core.errors import BackendError
from bot.lmstudio import errors

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
