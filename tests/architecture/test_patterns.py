"""Every regular expression that we ship works in linear time.

No tool does it: ``docs/architecture.md`` says which were looked at.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator

import pytest

from bot.ops.logs import Redactor
from bot.output.markup import MARKERS, block_pattern
from bot.output.participants import Labels
from bot.output.sanitise.sanitiser import SecretGuard
from tests.architecture.pattern_shape import faults
from tests.architecture.sources import SHIPPED, Source, sources

FUNCTIONS = {"match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
BUILT = {
    "bot.output.sanitise.sanitiser": SecretGuard(["a" * 40, "a.*b+(c", "10.0.0.1"]),
    "bot.output.participants": Labels(["aaa aaa", "(a+)+", "x:"], ["b b b"]),
    "bot.output.markup": block_pattern(MARKERS),
    "bot.ops.logs": Redactor(("a" * 40, "(a+)+$")),
}
"""What builds patterns from data, by module, made from values that try to get into them."""

IN_FUNCTIONS = {*BUILT, "bot.output.reasoning.block"}
"""``reasoning_block`` builds one character class, and what ``markup`` builds."""


def _patterns(value: object, depth: int = 0) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth < 4:
        inner: Iterator[object] = iter(())
        if isinstance(value, dict):
            inner = iter(value.values())
        elif isinstance(value, tuple | list | set | frozenset):
            inner = iter(value)
        elif type(value).__module__ in BUILT:
            inner = iter(getattr(value, "__dict__", {}).values())
        for one in inner:
            yield from _patterns(one, depth + 1)


def _with_patterns() -> Iterator[Source]:
    """Yield the modules that know regular expressions."""
    for source in sources(*SHIPPED):
        is_ours = ".migrations" not in source.module and not source.module.endswith("__main__")
        if is_ours and "re" in source.imports:
            yield source


def _patterns_of(source: Source) -> set[re.Pattern[str]]:
    module = importlib.import_module(source.module)
    values = [*vars(module).values(), BUILT.get(source.module)]
    return {pattern for value in values for pattern in _patterns(value)}


def test_every_pattern_is_linear() -> None:
    found = {source.module: _patterns_of(source) for source in _with_patterns()}
    unseen = [module for module, patterns in found.items() if not patterns]
    assert not unseen, "patterns are module-level constants, or built by a class named in BUILT"
    wrong = {
        (module, pattern.pattern): why
        for module, patterns in found.items()
        for pattern in patterns
        if (why := faults(pattern))
    }
    assert not wrong


def test_patterns_are_constants_that_the_check_can_see() -> None:
    wrong = [
        f"{source.path}:{line}: {what}"
        for source in _with_patterns()
        for line, what in _unseen_patterns(source)
    ]
    assert not wrong


def _unseen_patterns(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the line of each pattern that isn't a constant, and what is wrong."""
    inside = {
        id(node)
        for function in source.functions()
        for part in function.body
        for node in ast.walk(part)
    }
    for node, called in source.calls():
        if called in {f"re.{name}" for name in FUNCTIONS}:
            yield node.lineno, called
        if called == "re.compile" and source.module not in IN_FUNCTIONS and id(node) in inside:
            yield node.lineno, "a pattern built in a function"


SLOW = [
    # Two repeats that share characters, one after the other or one inside the other.
    r"(a+)+$",
    r"(?:a*b?)*c",
    r"\d+\.?\d*x",
    r"\s*\n*\s*x",
    r"(?:\s*x[\s,]*)+y",
    r"//[^\s()]*(?:\([^\s()]*\)?[^\s()]*)*x",
    r"!?\[x\]\([^\n()]*(?:\([^\n()]*\)?[^\n()]*)*\Z",
    r"(?:x{0,40}){0,40}y",
    # Alternatives in a repeat that begin alike.
    r"(?:a|ab|b)*c",
    # A search that runs from each place of the same run.
    r"\s+$",
    r"[ \t]*x",
    r"^\s*x|(?:\s*x)+\s*$",
    r"\[[^\]]*\]",
    r"<a.*?>",
    r"[\w.]+@x",
    r"(?:[ \t>]*-#)+",
    r"(?=.*x)y",
    r'"[^\n]*"',
]
LINEAR = [
    r"\s+",
    r"`{3,}",
    r"(?>a+)b{0,9}",
    r"(?<!\s)\s++$",
    r"(?<![\w-])[\w-]++(?:\.[\w-]++)++",
    r"(?:[^\s()]++|\([^\s()]*+\)?+)*+",
    r'"[^"\n]*"',
    r"\[[^\[\]\n]{1,300}\]\([^()\s]{1,600}\)",
    r"(?<=/webhooks/)\d+/x",
    r"\A\s*x",
    r"(?m)^[ \t]*x",
    r"(?:ab|cd)+?e{0,4}",
]


@pytest.mark.parametrize("pattern", SLOW)
def test_the_check_refuses_what_is_slow(pattern: str) -> None:
    assert faults(re.compile(pattern))


@pytest.mark.parametrize("pattern", LINEAR)
def test_the_check_passes_what_is_linear(pattern: str) -> None:
    assert faults(re.compile(pattern)) == []


HELD_THE_LOOP = [
    r"!?\[((?:[^\[\]\n\\]|\\.){0,300})(?:\\|\](?:\([^\n()]*(?:\([^\n()]*\)?[^\n()]*)*)?)?\Z",
    r"//[^\s<>\"`\[\]()]*(?:\([^\s<>\"`\[\]()]*\)?[^\s<>\"`\[\]()]*)*x",
    r"^(?:\s*<@!?1>[\s,:]*)+|(?:\s*<@!?1>)+\s*$",
    r"(?:[ \t>]*-#(?=[ \t]))*[ \t>]*(?:-#?)?\Z",
    r"(?:[\w\-]+\.)+([a-z][a-z\-]+)",
    r"([A-Za-z][A-Za-z0-9+.\-]*):\Z",
    r"(/(api/v[01]|v1|chat/completions|chat))+$",
]


@pytest.mark.parametrize("pattern", HELD_THE_LOOP)
def test_the_check_refuses_what_has_held_the_loop(pattern: str) -> None:
    assert faults(re.compile(pattern))
