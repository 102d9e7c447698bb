"""What text that is made to be slow costs: work by size for each function, and the longest pause.

Work is counted, not timed (``_meter``). The bars: ten times the text costs at most 20 times the work,
and no adversarial answer holds the event loop for more than 100 ms.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from benchmarks.table import print_table

SIZES = (1_000, 10_000, 100_000)
GROWTH = (100, 20)
"""Most work for ten times the text, as a multiple. From 1 to 10 kB it is only bounded: looks ahead of
up to 2.5 kB and messages of 2,000 characters begin there. From 10 to 100 kB nothing new begins, and
quadratic would be 100."""

SLACK = 100_000
"""Work that doesn't count as growth: the first steps, and what a text of one message spares."""

_BAR_MS = 100.0
_READ_CHARS = 65_536
"""Most that one read of a stream brings, as aiohttp's reader is set."""

Row = tuple[str, str, list[int]]


def main(argv: list[str]) -> int:
    """Measure and print; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="adversarial", description=__doc__)
    parser.add_argument("--count", action="store_true", help="be the child that counts")
    parser.add_argument("--pairs", action="store_true", help="alternations of two signs, too")
    parser.add_argument("--few", action="store_true", help="only the texts of a shape of their own")
    parser.add_argument("--only", default="", help="functions whose name begins so")
    options = parser.parse_args(argv)
    if options.count:
        for row in _counted(options):
            print(json.dumps(row), flush=True)
        return 0
    rows = counted(["--pairs"] if options.pairs else [])
    headers = ("function", "costliest text", *(f"work at {size // 1000} kB" for size in SIZES))
    print_table("Adversarial texts", headers, _worst(rows))
    slow = [row for row in rows if not is_linear(row[2])]
    for function, text, work in slow:
        print(f"not linear: {function} on {text}: {work}")
    text, pause_ms = _longest_pause()
    print_table("The event loop", ("answer", "longest pause, ms"), [(text, f"{pause_ms:.0f}")])
    return 1 if slow or pause_ms > _BAR_MS else 0


def counted(arguments: Sequence[str]) -> list[Row]:
    """Count in a process of its own, whose modules are loaded in a form that counts."""
    child = subprocess.run(  # noqa: S603 - our own interpreter, our own module
        [sys.executable, "-m", "benchmarks", "adversarial", "--count", *arguments],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return [tuple(json.loads(line)) for line in child.stdout.splitlines()]


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
    for function_name, function in _texts.functions().items():
        if not function_name.startswith(options.only):
            continue
        for text_name in texts[0]:
            work: list[int] = []
            for by_name in texts:
                _meter.METER.count = 0
                growth = GROWTH[len(work) - 1]
                _meter.METER.limit = growth * work[-1] + SLACK + 1 if work else 1 << 62
                try:
                    function(by_name[text_name])
                except _meter.OverrunError:
                    work.append(_meter.METER.count)
                    break
                work.append(_meter.METER.count)
            yield function_name, text_name, work


def _worst(rows: Sequence[Row]) -> list[Sequence[object]]:
    """Return the costliest row of each function."""
    worst: dict[str, Row] = {}
    for row in rows:
        known = worst.get(row[0])
        if known is None or row[2][-1] > known[2][-1]:
            worst[row[0]] = row
    return [(name, text, *(f"{count:,}" for count in work)) for name, text, work in worst.values()]


def _longest_pause() -> tuple[str, float]:
    """Return the answer that holds the loop longest, and for how long, in milliseconds."""
    from benchmarks._texts import adversarial  # noqa: PLC0415 - after the child's rewriting
    from bot.core.domain import FinishReason, TextDelta  # noqa: PLC0415
    from bot.delivery.plan import plan_chunks  # noqa: PLC0415
    from bot.delivery.splitter import split, streaming_cut  # noqa: PLC0415
    from bot.output.pipeline import OutputPolicy, ReplyPipeline, SecretGuard  # noqa: PLC0415

    def steps(whole: str) -> Iterator[Callable[[], object]]:
        reply = ReplyPipeline(policy=OutputPolicy(), secrets=SecretGuard(["192.168.178.50"]))
        for start in range(0, len(whole), _READ_CHARS):
            yield partial(reply.feed, TextDelta(whole[start : start + _READ_CHARS]))
        yield lambda: split(streaming_cut(reply.text))
        yield partial(reply.close, FinishReason.STOP)
        yield lambda: reply.thinking
        yield lambda: plan_chunks(reply.text, (), max_messages=8)

    worst = ("", 0.0)
    for name, text in adversarial(SIZES[-1], with_pairs=True).items():
        for head in ("", "a ", "<think>"):
            for step in steps(head + text):
                began_s = time.perf_counter()
                step()
                pause_ms = (time.perf_counter() - began_s) * 1000
                if pause_ms > worst[1]:
                    worst = (f"{head}{name}", pause_ms)
    return worst
