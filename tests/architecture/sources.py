"""The project's own sources, parsed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = ("bot", "cogs", "config", "sandbox")
EVERYTHING = (*SHIPPED, "benchmarks", "tests")


@dataclass(frozen=True)
class Source:
    """One module."""

    path: Path
    module: str
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.module.partition(".")[0]

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the tree."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def imports(self) -> tuple[str, ...]:
        """Every module that is imported anywhere in the file, by its full name."""
        found: list[str] = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found += (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found += (f"{node.module}.{alias.name}" for alias in node.names)
        return tuple(found)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Yield every function and method."""
        for node in self.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        """Yield every call with the text of what it calls."""
        for node in self.nodes:
            if isinstance(node, ast.Call):
                yield node, ast.unparse(node.func)


def sources(*packages: str) -> list[Source]:
    """Return the modules of these top-level packages."""
    return [source for package in packages for source in _parsed(package)]


@cache
def _parsed(package: str) -> tuple[Source, ...]:
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        relative = path.relative_to(ROOT)
        parts = relative.with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found.append(Source(relative, module, text, ast.parse(text)))
    return tuple(found)


def is_within(module: str, parents: tuple[str, ...] | frozenset[str]) -> bool:
    """Tell whether a module is one of these or inside one of them."""
    return any(module == parent or module.startswith(f"{parent}.") for parent in parents)
