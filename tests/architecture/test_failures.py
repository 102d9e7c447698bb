"""Every failure of ours has words for a person."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

from bot.core.errors import AdmissionError, BotError, StartupError
from tests.architecture.sources import sources

SENTENCE = re.compile(r"[A-Z][^\n]*[.!?)]")


def all_failures(base: type[BotError] = BotError) -> Iterator[type[BotError]]:
    """Yield every class of our failures."""
    yield base
    for failure in base.__subclasses__():
        yield from all_failures(failure)


def load_everything() -> list[type[BotError]]:
    """Import every module that may define a failure, then list the failures."""
    for source in sources("bot", "cogs"):
        if "Error" in source.text and "migrations" not in source.module:
            importlib.import_module(source.module)
    return sorted(set(all_failures()), key=lambda failure: failure.__name__)


def faults(failure: type[BotError]) -> Iterator[str]:
    """Yield what is wrong with the words of a failure."""
    if issubclass(failure, StartupError | AdmissionError):
        # Made without __init__, which may ask for more than the reason.
        if failure.__new__(failure, "A reason.").sentence != "A reason.":
            yield "loses the reason it was raised with"
        return
    for text in (failure.user_text, failure.admin_hint or "Nothing."):
        if not SENTENCE.fullmatch(text):
            yield f"is no sentence: {text!r}"
        if "://" in text or len(text) > 300:
            yield f"says too much: {text!r}"


def test_each_failure_has_a_sentence() -> None:
    wrong = [
        f"{failure.__name__} {fault}" for failure in load_everything() for fault in faults(failure)
    ]
    assert wrong == []


def test_names_of_failures_are_unique_and_end_alike() -> None:
    names = [failure.__name__ for failure in load_everything()]
    assert len(names) == len(set(names))
    assert [name for name in names if not name.endswith("Error")] == []
