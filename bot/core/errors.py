"""Every failure the application names, and the one table that turns a failure into words.

::

    BotError
    ├── StartupError                 the process cannot start or go on
    │   ├── ConfigurationError       exit code 78
    │   └── DependencyError          exit code 69
    ├── BackendError                 the model's side (subclasses in bot.lmstudio.errors)
    ├── AdmissionError               a question was refused, with a reason for the person
    ├── QueueError                   the queue is full or closed
    ├── StoreError                   the database failed
    └── DeliveryError                Discord refused or lost what was to be shown
        ├── TargetGoneError          message, channel or guild is gone: stop the work
        ├── DeliveryForbiddenError   the permission is missing
        ├── DeliveryRejectedError    this content is refused; never send it again as it is
        ├── EditExhaustedError       this message can't be edited any more; send a new one
        └── DeliveryUnavailableError Discord didn't take it, also after retries

The table is the class attributes: each class says its sentence, its log level and whether asking
again can help. ``describe`` reads it, and is what every seam calls (commands, autocomplete, views,
modals, listeners, workers).
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import ClassVar, Final

from bot.core.permissions import NEEDED, listed

OTHER_KIND: Final = "other"


class BotError(Exception):
    """Base of the application's own failures.

    Attributes:
        user_text: One plain sentence for the person: what happened and what to do. No address,
            no upstream text.
        admin_hint: What whoever runs the bot should do; empty where there is nothing to add.
        log_level: A ``logging`` level.
        can_retry: Asking again later, unchanged, may succeed.
    """

    user_text: ClassVar[str] = "Something went wrong on my side. Please try again."
    admin_hint: ClassVar[str] = ""
    log_level: ClassVar[int] = logging.ERROR
    can_retry: ClassVar[bool] = False

    @property
    def sentence(self) -> str:
        """The sentence for the person; subclasses with data override this to fill it in."""
        return self.user_text


def error_kind(exc: BaseException) -> str:
    """Return the kind of a failure as a word of a fixed set: ``model_crashed``, ``store``.

    Returns:
        ``other`` for what isn't one of ours.
    """
    return _kind(type(exc)) if isinstance(exc, BotError) else OTHER_KIND


def _kind(failure: type[BotError]) -> str:
    name = failure.__name__.removesuffix("Error")
    return "".join(f"_{ch.lower()}" if ch.isupper() else ch for ch in name).lstrip("_")


def error_kinds(base: type[BotError] = BotError) -> set[str]:
    """Return every kind that ``error_kind`` can name, of one class and those below it."""
    kinds, classes = {OTHER_KIND}, [base]
    while classes:
        found = classes.pop()
        kinds.add(_kind(found))
        classes += found.__subclasses__()
    return kinds


class StartupError(BotError):
    """The process cannot start or go on; the message is the sentence printed last."""

    exit_code: ClassVar[int] = 1

    @property
    def sentence(self) -> str:
        """The message given where it was raised, written for the operator."""
        return str(self)


class ConfigurationError(StartupError):
    """Settings, token or files are wrong; only the operator can mend it."""

    exit_code: ClassVar[int] = 78


class DependencyError(StartupError):
    """Something the bot needs is unavailable: a port, a lock, a network."""

    exit_code: ClassVar[int] = 69


class BackendError(BotError):
    """The model's side failed. Subclasses: ``bot.lmstudio.errors``."""

    user_text = "The model's machine had a problem. Please try again in a moment."
    admin_hint = "Look at LM Studio's server log, and load the model again."
    log_level = logging.WARNING
    can_retry = True


class AdmissionError(BotError):
    """A question was refused before any work; the message is the sentence for the person."""

    log_level = logging.INFO

    @property
    def sentence(self) -> str:
        """The message given where it was raised."""
        return str(self)


class QueueError(AdmissionError):
    """The queue is full or closed; the message says when to try again."""

    can_retry = True


class MovedError(QueueError):
    """Another process answers there since a moment ago, and finds missed messages by itself."""

    def __init__(self) -> None:
        super().__init__("I'm moving to another machine. Please try again in a minute.")


class StoreError(BotError):
    """The database failed; the bot goes on answering."""

    user_text = "I couldn't save that: my database has a problem. Nothing was changed."
    admin_hint = "Look at the disk and at the data folder's permissions."


class DeliveryError(BotError):
    """Discord refused or lost what was to be shown."""

    user_text = "I couldn't deliver my answer to Discord."
    log_level = logging.WARNING


class TargetGoneError(DeliveryError):
    """The message, channel, thread or guild is gone, or the bot was removed from it."""

    user_text = "The message or its channel is gone."
    log_level = logging.INFO


class DeliveryForbiddenError(DeliveryError):
    """The bot lacks a permission in this channel.

    Attributes:
        code: Discord's JSON error code, 0 if it gave none.
        is_explained: The permissions, as known at that moment, say the same.
    """

    user_text = "I'm not allowed to do that in this channel."
    admin_hint = f"Give the bot {listed(NEEDED.values())} there."

    def __init__(self, code: int = 0, *, is_explained: bool = False) -> None:
        super().__init__(f"forbidden ({code})")
        self.code = code
        self.is_explained = is_explained


class DeliveryRejectedError(DeliveryError):
    """Discord refuses this very content (AutoMod, harmful link, invalid body).

    Attributes:
        code: Discord's JSON error code.
    """

    user_text = "Discord refused my answer's text, so I can't show it."

    def __init__(self, code: int = 0) -> None:
        super().__init__(f"rejected ({code})")
        self.code = code


class EditExhaustedError(DeliveryError):
    """This message can't be edited any more (30046, 20028, an interaction that expired)."""

    user_text = "I can't edit that message any more."


class DeliveryUnavailableError(DeliveryError):
    """Discord didn't take the request, also after retries.

    Attributes:
        retry_after_s: When Discord said to come back, in seconds, if it said so.
    """

    user_text = "Discord didn't take my message."
    can_retry = True

    def __init__(self, retry_after_s: float | None = None) -> None:
        super().__init__("Discord is unavailable")
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Report:
    """A failure in words.

    Attributes:
        user_text: One sentence for the person.
        log_level: How loud to log it.
        can_retry: Offer to try again.
        reference: Eight hexadecimal digits that stand in the log too; empty for expected failures.
    """

    user_text: str
    log_level: int
    can_retry: bool
    reference: str = ""


def describe(exc: BaseException) -> Report:
    """Turn any failure into a report; what isn't ours gets a general sentence and a reference.

    Args:
        exc: The failure, ours or a stranger's.
    """
    if isinstance(exc, BotError):
        return Report(exc.sentence, exc.log_level, exc.can_retry)
    if isinstance(exc, TimeoutError):
        return Report("That took too long, so I stopped.", logging.WARNING, can_retry=True)
    reference = secrets.token_hex(4)
    text = f"{BotError.user_text} (reference {reference})"
    return Report(text, logging.ERROR, can_retry=True, reference=reference)
