"""Natural text of every kind comes through the whole pipeline with all its words."""

from __future__ import annotations

import importlib
import inspect
import random
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.domain import FinishReason, TextDelta
from bot.output.pipeline import Verdict
from tests.property.output.natural import NAMES, documents, sentences, spoken_of
from tests.unit.output.helpers import pipeline

_WORDS = re.compile(r"\w+")
_MODULES = (
    *("argparse", "asyncio", "calendar", "configparser", "csv", "dataclasses", "datetime"),
    *("difflib", "doctest", "email.message", "enum", "fractions", "html.parser", "http.client"),
    *("json", "logging", "optparse", "os", "pathlib", "pickle", "plistlib", "random"),
    *("re", "smtplib", "socket", "statistics", "string", "subprocess", "tarfile"),
    *("textwrap", "threading", "tokenize", "typing", "unittest", "urllib.parse"),
    *("xml.etree.ElementTree", "zipfile"),
)
MANY = settings(max_examples=max(400, settings().max_examples))


def _missing(text: str, cuts: random.Random) -> str:
    """Stream a text in random pieces; return the first word that is lost, or nothing."""
    target = pipeline(names=NAMES, bot_name="Clawbot")
    most = cuts.choice((1, 3, 12, 60, len(text)))
    start = 0
    while start < len(text):
        size = cuts.randint(1, most)
        target.feed(TextDelta(text[start : start + size]))
        assert not target.must_stop, text
        start += size
    target.close(FinishReason.STOP)
    assert target.verdict is Verdict.ANSWER, text
    shown = iter(_WORDS.findall(target.text))
    return next((word for word in _WORDS.findall(text) if word not in shown), "")


@MANY
@given(documents, st.integers(0, 2**32))
def test_all_words_of_a_document_come_through(text: str, seed: int) -> None:
    assert _missing(text, random.Random(seed)) == ""


@MANY
@given(sentences, spoken_of, sentences, st.integers(0, 2**32))
def test_what_is_said_about_markup_comes_through(
    before: str, text: str, after: str, seed: int
) -> None:
    whole = f"{before}\n\n{text}\n\n{after}"
    assert _missing(whole, random.Random(seed)) == ""


def _docstrings(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    for value in (module, *(getattr(module, known) for known in module.__all__)):
        is_described = inspect.ismodule(value) or inspect.isroutine(value) or inspect.isclass(value)
        text = inspect.getdoc(value) if is_described else None
        if text:
            yield text


@pytest.mark.parametrize("name", _MODULES)
def test_all_words_of_a_modules_documentation_come_through(name: str) -> None:
    cuts = random.Random(name)
    for text in _docstrings(name):
        assert _missing(text, cuts) == "", text
