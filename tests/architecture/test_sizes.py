"""Functions and command bodies stay small enough to read."""

from __future__ import annotations

import ast

from tests.architecture.sources import EVERYTHING, sources

FUNCTION_LINES = 49
COMMAND_LINES = 20

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_functions_are_short() -> None:
    lengths = {
        f"{source.path}:{function.lineno} {function.name}": (function.end_lineno or 0)
        - function.lineno
        + 1
        for source in sources(*EVERYTHING)
        for function in source.functions()
    }
    assert not {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES}


def test_command_bodies_only_translate() -> None:
    lengths = {
        f"{source.path}:{function.lineno} {function.name}": _body_lines(function)
        for source in sources("cogs")
        for function in source.functions()
        if any(_is_command(decorator) for decorator in function.decorator_list)
    }
    assert not {name: lines for name, lines in lengths.items() if lines > COMMAND_LINES}


def _body_lines(function: Function) -> int:
    """Return the lines of a function below its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1


def _is_command(decorator: ast.expr) -> bool:
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(call, ast.Attribute) and call.attr in {"command", "context_menu", "listener"}
