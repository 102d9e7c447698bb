"""Run one benchmark: ``python -m benchmarks NAME [options]``.

Each benchmark is a module beside this one with ``main(argv) -> int`` that prints a table.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks

HELPERS = frozenset({"__main__", "table"})


def main(argv: list[str]) -> int:
    """Run the benchmark that ``argv`` names; without a name, list them all.

    Returns:
        The benchmark's exit code; 2 for an unknown name.
    """
    names = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__))
    names = [name for name in names if name not in HELPERS and not name.startswith("_")]
    if not argv or argv[0] not in names:
        print("usage: python -m benchmarks NAME [options]; names: " + ", ".join(names))
        return 2
    module = importlib.import_module(f"benchmarks.{argv[0]}")
    code: int = module.main(argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
