"""Counts the work of our own text functions: steps of Python, and characters that C code looks at.

Modules are loaded with their source rewritten, so that each of these adds to one counter: entering a
function, a round of a loop or comprehension (1 each); a slice, a concatenation, a formatted string
(its length); a method of a string, a search in one, a call of a pattern (the characters that it may
look at, as far as its result tells). A pattern counts as one pass over what it was given, which the
check of patterns in ``tests/architecture`` holds. The count is the same on every machine.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from types import CodeType, ModuleType
from typing import Any

COUNTED = ("bot", "cogs", "config")
_FUNCTIONS = (sorted, list, tuple, set, frozenset, sum, any, all, max, min, bytes)
_CHEAP = {"startswith", "endswith"}
_FINDERS = {"find", "rfind", "index", "rindex"}


class OverrunError(Exception):
    """The work has passed the limit."""


class Meter:
    """The counter, under the names that rewritten code calls.

    Attributes:
        count: Work so far.
        limit: Where to give up.
    """

    def __init__(self) -> None:
        self.count = 0
        self.limit = 1 << 62

    def add(self, work: int) -> None:
        """Count work.

        Raises:
            OverrunError: There was more than allowed.
        """
        self.count += work
        if self.count > self.limit:
            raise OverrunError

    def rounds(self, items: Iterable[Any]) -> Iterator[Any]:
        """Count one for each item."""
        for item in items:
            self.add(1)
            yield item

    def made(self, value: Any) -> Any:
        """Count a value that was made by slicing, adding or formatting."""
        if isinstance(value, str | bytes | list | tuple):
            self.add(len(value))
        return value

    def contains(self, item: Any, whole: Any) -> bool:
        """Count a search with ``in``."""
        if isinstance(whole, str | bytes | list | tuple):
            self.add(len(whole))
        return item in whole

    def call(self, function: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
        """Count a call of a built-in function that reads all of what it is given."""
        if function in _FUNCTIONS:
            self.add(sum(len(arg) for arg in args if isinstance(arg, Sequence)))
        return function(*args, **named)

    def method(self, owner: Any, name: str, /, *args: Any, **named: Any) -> Any:
        """Count a call of a method."""
        if isinstance(owner, re.Pattern):
            return self._pattern(owner, name, args, named)
        result = getattr(owner, name)(*args, **named)
        if isinstance(owner, str | bytes):
            self.add(self._string(owner, name, args, result))
        return result

    def _string(self, owner: str | bytes, name: str, args: tuple[Any, ...], result: Any) -> int:
        if name in _CHEAP:
            return 1
        if name in _FINDERS:
            start = args[1] if len(args) > 1 and args[1] is not None else 0
            end = min(len(owner), args[2]) if len(args) > 2 and args[2] is not None else len(owner)
            if result < 0:
                return max(1, end - start)
            return int(abs(result - start if name[0] != "r" else end - result)) + 1
        if name.endswith("strip") and len(result) == len(owner):
            return 1
        return max(len(owner), len(result) if isinstance(result, str | bytes) else 1)

    def _pattern(
        self, pattern: re.Pattern[Any], name: str, args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        if name in {"sub", "subn", "split", "findall"}:
            self.add(len(args[1] if name.startswith("sub") else args[0]))
            return getattr(pattern, name)(*args, **named)
        text = args[0]
        start = max(0, args[1]) if len(args) > 1 else 0
        end = min(len(text), args[2]) if len(args) > 2 else len(text)
        if name == "finditer":
            return self._finds(pattern.finditer(*args), start, end)
        found = getattr(pattern, name)(*args, **named)
        self.add(max(1, self._looked_at(pattern, name, found, start, end)))
        return found

    @staticmethod
    def _looked_at(pattern: re.Pattern[Any], name: str, found: Any, start: int, end: int) -> int:
        if found is not None:
            return int(found.end()) - start
        if name != "search":
            return min(end - start, _width(pattern))
        return end - start

    def _finds(self, found: Iterator[Any], start: int, end: int) -> Iterator[Any]:
        for match in found:
            self.add(max(1, match.end() - start))
            start = match.end()
            yield match
        self.add(max(0, end - start))


@lru_cache(maxsize=1024)
def _width(pattern: re.Pattern[Any]) -> int:
    """Return the most characters that a match may take."""
    from re import _parser  # type: ignore[attr-defined]  # noqa: PLC0415 - not public, used here only

    source = pattern.pattern
    text = source if isinstance(source, str) else source.decode("latin-1")
    return int(_parser.parse(text, pattern.flags & ~re.UNICODE).getwidth()[1])


METER = Meter()
_NAME = "__meter__"


class _Counting(ast.NodeTransformer):
    """Rewrites a module so that it counts."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Count entering a function."""
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """Count entering a coroutine."""
        return self._function(node)

    def visit_While(self, node: ast.While) -> ast.AST:
        """Count a round."""
        self.generic_visit(node)
        node.body.insert(0, _statement("add", ast.Constant(1)))
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        """Count a round."""
        self.generic_visit(node)
        node.body.insert(0, _statement("add", ast.Constant(1)))
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        """Count a round."""
        self.generic_visit(node)
        if not node.is_async:
            node.iter = _call("rounds", node.iter)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Count what is called."""
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute):
            name = ast.Constant(node.func.attr)
            return ast.Call(_meter("method"), [node.func.value, name, *node.args], node.keywords)
        if isinstance(node.func, ast.Name) and node.func.id != "super":
            return ast.Call(_meter("call"), [node.func, *node.args], node.keywords)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Count a slice."""
        self.generic_visit(node)
        is_slice = isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load)
        return _call("made", node) if is_slice else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Count a concatenation."""
        self.generic_visit(node)
        return _call("made", node) if isinstance(node.op, ast.Add) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Count a formatted string."""
        return _call("made", node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """Count a string that grows."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.Add) or isinstance(node.target, ast.Subscript):
            return node
        read = ast.parse(ast.unparse(node.target), mode="eval").body
        is_text = ast.parse(f"isinstance({ast.unparse(node.target)}, (str, bytes))", mode="eval")
        counted = ast.Expr(ast.BoolOp(ast.And(), [is_text.body, _call("made", read)]))
        return [node, counted]

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Count a search with ``in``."""
        self.generic_visit(node)
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.In | ast.NotIn):
            return node
        counted = _call("contains", node.left, node.comparators[0])
        return counted if isinstance(node.ops[0], ast.In) else ast.UnaryOp(ast.Not(), counted)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.body = [self.visit(part) for part in node.body]  # decorators and defaults stay
        flat: list[ast.stmt] = []
        for part in node.body:
            flat.extend(part if isinstance(part, list) else [part])
        has_words = isinstance(flat[0], ast.Expr) and isinstance(flat[0].value, ast.Constant)
        flat.insert(1 if has_words else 0, _statement("add", ast.Constant(1)))
        node.body = flat
        return node


def _meter(name: str) -> ast.Attribute:
    return ast.Attribute(ast.Name(_NAME, ast.Load()), name, ast.Load())


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(_meter(name), list(args), [])


def _statement(name: str, *args: ast.expr) -> ast.Expr:
    return ast.Expr(_call(name, *args))


class _Loader(importlib.machinery.SourceFileLoader):
    def source_to_code(  # type: ignore[override]
        self, data: bytes, path: str, *, _optimize: int = -1
    ) -> CodeType:
        tree = ast.fix_missing_locations(_Counting().visit(ast.parse(data)))
        code: CodeType = compile(tree, path, "exec", dont_inherit=True, optimize=_optimize)
        return code

    def get_code(self, fullname: str) -> CodeType:
        """Compile the source, and never take what is cached."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)[_NAME] = METER
        super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] not in COUNTED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin and spec.origin.endswith(".py"):
            spec.loader = _Loader(name, spec.origin)
        return spec


def install() -> None:
    """Count in every module of ours that is imported from here on; none may be imported yet."""
    if any(name.partition(".")[0] in COUNTED for name in sys.modules):
        raise RuntimeError("too late: modules that don't count are loaded")
    sys.meta_path.insert(0, _Finder())
