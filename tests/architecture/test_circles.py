"""No module imports itself by way of others, for type checking only or otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.architecture.sources import EVERYTHING, Source, sources

Graph = Mapping[str, frozenset[str]]
"""Each module with those that it imports."""


def graph_of(modules: Iterable[Source]) -> Graph:
    """Return who imports whom, by every import anywhere in a file."""
    found = {source.module: source for source in modules}
    return {
        name: frozenset(_known(imported, found) for imported in source.imports) - {name, ""}
        for name, source in found.items()
    }


def _known(imported: str, modules: Mapping[str, Source]) -> str:
    """Return the module in which an imported name is; empty when it is none of these modules."""
    while imported and imported not in modules:
        imported = imported.rpartition(".")[0]
    return imported


def circles(graph: Graph) -> list[list[str]]:
    """Return a shortest circle through each strongly connected component of several modules."""
    reached = {name: _reachable(graph, name) for name in graph}
    found: list[list[str]] = []
    seen: set[str] = set()
    for name in sorted(graph):
        if name in reached[name] and name not in seen:
            seen |= {other for other in reached[name] if name in reached[other]}
            found.append(_path(graph, name))
    return found


def _reachable(graph: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = graph[waiting.pop()] - reached
        reached |= fresh
        waiting += fresh
    return reached


def _path(graph: Graph, start: str) -> list[str]:
    """Return the shortest way from a module back to itself."""
    paths = [[start]]
    while True:
        longer = [[*path, following] for path in paths for following in sorted(graph[path[-1]])]
        back = [path for path in longer if path[-1] == start]
        if back:
            return back[0]
        shortest = {path[-1]: path for path in reversed(longer)}
        paths = list(shortest.values())


def test_no_module_imports_itself_by_way_of_others() -> None:
    found = ["\n    imports ".join(circle) for circle in circles(graph_of(sources(*EVERYTHING)))]
    assert not found, "circles of imports:\n" + "\n".join(found)


def _made(module: str, text: str) -> Source:
    return Source(Path(f"{module}.py"), module, text, ast.parse(text))


def test_a_circle_is_found_that_only_type_checking_closes() -> None:
    modules = [
        _made("a", "from a.values import Value"),
        _made("a.values", "if TYPE_CHECKING:\n    from a.world import World"),
        _made("a.world", "def make():\n    import a.state"),
        _made("a.state", "from a import values"),
        _made("a.alone", "import json\nfrom a.world import World"),
    ]
    assert circles(graph_of(modules)) == [["a.state", "a.values", "a.world", "a.state"]]
