"""What text that is made to be slow costs: work by size for each function.

Work is counted, not timed (``_meter``). The bar: ten times the text costs at most 20 times the work.
100 kB are tried of the texts that cost most with 10 kB, or whose cost grew most up to there. How long
the bot's event loop stands still for such texts, ``benchmarks pauses`` measures.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.table import print_table

SIZES = (1_000, 10_000, 100_000)
GROWTH = (100, 20)
"""Most work for ten times the text, as a multiple. From 1 to 10 kB it is only bounded: looks ahead of
up to 2.5 kB and messages of 2,000 characters begin there. From 10 to 100 kB nothing new begins, and
quadratic would be 100."""

SLACK = 100_000
"""Work that doesn't count as growth: the first steps, and what a text of one message spares."""

SUSPECTS, QUICK_SUSPECTS = 8, 2
"""How many texts are tried with 100 kB for what they cost with 10, and how many for its growth."""

Row = tuple[str, str, list[int]]


def main(argv: list[str]) -> int:
    """Measure and print; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="adversarial", description=__doc__)
    parser.add_argument("--count", action="store_true", help="be the child that counts")
    parser.add_argument("--pairs", action="store_true", help="alternations of two signs, too")
    parser.add_argument("--few", action="store_true", help="only the texts of a shape of their own")
    parser.add_argument("--quick", action="store_true", help="100 kB of four texts a function")
    parser.add_argument("--all", action="store_true", help="100 kB of every text, not of suspects")
    parser.add_argument("--part", default="0/1", help="every which function to count: 0/2, 1/2")
    parser.add_argument("--only", default="", help="functions whose name begins so")
    options = parser.parse_args(argv)
    if options.count:
        for row in _counted(options):
            print(json.dumps(row), flush=True)
        return 0
    switches = ("pairs", "few", "quick", "all")
    wanted = [f"--{name}" for name in switches if getattr(options, name)]
    rows = counted([*wanted, "--only", options.only])
    headers = ("function", "costliest text", *(f"work at {size // 1000} kB" for size in SIZES))
    print_table("Adversarial texts", headers, _worst(rows))
    slow = [row for row in rows if not is_linear(row[2])]
    for function, text, work in slow:
        print(f"not linear: {function} on {text}: {work}")
    return 1 if slow else 0


def counted(arguments: Sequence[str]) -> list[Row]:
    """Count in processes of their own, whose modules are loaded in a form that counts."""
    command = [sys.executable, "-m", "benchmarks", "adversarial", "--count", *arguments]
    parts = os.cpu_count() or 1
    children = [
        subprocess.Popen(  # noqa: S603 - our own interpreter, our own module
            [*command, "--part", f"{part}/{parts}"], stdout=subprocess.PIPE, text=True
        )
        for part in range(parts)
    ]
    lines = [line for child in children for line in child.communicate()[0].splitlines()]
    if any(child.returncode for child in children):
        raise RuntimeError("a process that counts has failed")
    return [tuple(json.loads(line)) for line in lines]


def is_linear(work: Sequence[int]) -> bool:
    """Return whether work grows with the text, each number being for ten times the text before."""
    steps = zip(itertools.pairwise(work), GROWTH, strict=False)
    return all(after <= growth * before + SLACK for (before, after), growth in steps)


def _counted(options: argparse.Namespace) -> Iterator[Row]:
    from benchmarks import _meter, _texts  # noqa: PLC0415 - in the child only

    _meter.install()
    texts = [
        _texts.adversarial(size, with_pairs=options.pairs, with_units=not options.few)
        for size in SIZES
    ]

    def count(function: Callable[[str], object], name: str, work: list[int]) -> None:
        """Add the work on a text of the next size."""
        _meter.METER.count = 0
        growth = GROWTH[len(work) - 1]
        _meter.METER.limit = growth * work[-1] + SLACK + 1 if work else 1 << 62
        with contextlib.suppress(_meter.OverrunError):
            function(texts[len(work)][name])
        work.append(_meter.METER.count)

    part, parts = map(int, options.part.split("/"))
    for index, (function_name, function) in enumerate(_texts.functions().items()):
        if index % parts != part % parts or not function_name.startswith(options.only):
            continue
        works: dict[str, list[int]] = {name: [] for name in texts[0]}
        for name, work in works.items():
            count(function, name, work)
            count(function, name, work)
        most = QUICK_SUSPECTS if options.quick else SUSPECTS
        for name in works if options.few or options.all else _suspects(works, most):
            if is_linear(works[name]):
                count(function, name, works[name])
        print(
            f"{function_name}: {time.process_time():.0f} s of work so far",
            file=sys.stderr,
            flush=True,
        )
        for name, work in works.items():
            yield function_name, name, work


def _suspects(works: Mapping[str, Sequence[int]], most: int) -> set[str]:
    """Return the texts that cost most at 10 kB, and those whose cost grew most up to there."""
    by_work = sorted(works, key=lambda name: -works[name][1])
    by_growth = sorted(works, key=lambda name: -works[name][1] / works[name][0])
    return {*by_work[:most], *by_growth[:most]}


def _worst(rows: Sequence[Row]) -> list[Sequence[object]]:
    """Return the costliest row of each function."""
    worst: dict[str, Row] = {}
    for row in rows:
        known = worst.get(row[0])
        if known is None or (len(row[2]), row[2][-1]) > (len(known[2]), known[2][-1]):
            worst[row[0]] = row
    return [(name, text, *(f"{count:,}" for count in work)) for name, text, work in worst.values()]
