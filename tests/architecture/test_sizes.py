"""Functions and command bodies stay small enough to read."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.sources import EVERYTHING, Source, sources

FUNCTION_LINES = 50
COMMAND_LINES = 20

SOURCES = sources(*EVERYTHING)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.path))
def test_functions_are_short(source: Source) -> None:
    for function in source.functions():
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= FUNCTION_LINES, f"{function.name}: {lines} lines"


@pytest.mark.parametrize("source", sources("cogs"), ids=lambda source: str(source.path))
def test_command_bodies_only_translate(source: Source) -> None:
    for function in source.functions():
        if any(_is_command(decorator) for decorator in function.decorator_list):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            lines = (function.end_lineno or 0) - body[0].lineno + 1
            assert lines <= COMMAND_LINES, f"{function.name}: {lines} lines"


def _is_command(decorator: ast.expr) -> bool:
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(call, ast.Attribute) and call.attr in {"command", "context_menu", "listener"}
