"""The project's own sources, parsed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = ("bot", "cogs", "config", "sandbox")
EVERYTHING = (*SHIPPED, "benchmarks", "tests")


@dataclass(frozen=True, slots=True)
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

    def imports(self) -> Iterator[str]:
        """Yield every module that is imported anywhere in the file, by its full name."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Yield every function and method."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def sources(*packages: str) -> list[Source]:
    """Return the modules of these top-level packages."""
    found = []
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            relative = path.relative_to(ROOT)
            parts = relative.with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            text = path.read_text(encoding="utf-8")
            found.append(Source(relative, module, text, ast.parse(text)))
    return found


def is_within(module: str, parents: tuple[str, ...] | frozenset[str]) -> bool:
    """Tell whether a module is one of these or inside one of them."""
    return any(module == parent or module.startswith(f"{parent}.") for parent in parents)
