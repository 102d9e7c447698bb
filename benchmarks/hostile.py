"""What hostile responses cost the client in memory and time.

A child process asks the sandbox, which answers with a bomb; a thread in the child samples its
resident memory. The bar: at most 32 MiB more than before, and a typed failure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
from collections.abc import Sequence

import psutil

from benchmarks.table import print_table
from bot.core.clock import SystemClock
from bot.core.domain import ChatRequest, ChatTurn, QuestionId, Role, Sampling
from bot.core.errors import BackendError
from bot.lmstudio import LMStudioBackend, open_backend
from config.settings import LMStudioSettings
from sandbox.lmstudio import Fault, LMStudioSandbox

_BAR_MIB = 32.0
_MIB = 1024 * 1024
_CASES = (
    (Fault.GZIP_BOMB, "gzip bomb, 300 MiB unpacked"),
    (Fault.HUGE_LINE, "one line of 10 MB"),
    (Fault.TINY_EVENTS, "a million tiny events"),
    (Fault.ENDLESS_COMMENTS, "endless comments, for 30 s"),
    (Fault.DEEP_JSON, "JSON nested 100,000 deep"),
    (Fault.INVALID_JSON, "JSON that ends in the middle"),
)


def main(argv: list[str]) -> int:
    """Measure and print; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="hostile", description=__doc__)
    parser.add_argument("--client", metavar="URL", help="be the measured child")
    url = parser.parse_args(argv).client
    if url is not None:
        print(json.dumps(asyncio.run(_client(url))))
        return 0
    rows = asyncio.run(_server())
    headers = ("response", "ends in", "seconds", "more memory, MiB")
    print_table(f"Hostile responses (bar: {_BAR_MIB:.0f} MiB)", headers, rows)
    return 0 if all(float(str(row[3])) <= _BAR_MIB for row in rows) else 1


async def _server() -> list[Sequence[object]]:
    rows: list[Sequence[object]] = []
    for fault, name in _CASES:
        async with LMStudioSandbox() as lm:
            lm.answer("Hello.")
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks", "hostile", "--client", lm.base_url),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            await lm.wait_until(lambda lm=lm: len(lm.completions) == 1, timeout_s=60)  # type: ignore[misc]
            lm.faults.next(fault, times=None)
            output, _ = await child.communicate(b"go\n")
        end, seconds, mib = json.loads(output)
        rows.append((name, end, f"{seconds:.2f}", f"{mib:.1f}"))
    return rows


async def _client(url: str) -> tuple[str, float, float]:
    """Ask once for practice and once for real; return outcome, seconds and MiB."""
    settings = LMStudioSettings(base_url=(url,), retry_attempts=0, total_timeout_s=30)
    async with open_backend(settings, SystemClock()) as backend:
        await _ask(backend)
        await asyncio.to_thread(sys.stdin.readline)
        process = psutil.Process()
        before = peak = process.memory_info().rss
        is_over = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not is_over.wait(0.001):
                peak = max(peak, process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        began_s = time.monotonic()
        end = await _ask(backend)
        seconds = time.monotonic() - began_s
        is_over.set()
        watcher.join()
    return end, seconds, (peak - before) / _MIB


async def _ask(backend: LMStudioBackend) -> str:
    request = ChatRequest(
        question_id=QuestionId(1),
        conversation_key="benchmark",
        model=None,
        turns=(ChatTurn(Role.USER, "Hello?"),),
        sampling=Sampling(0.7, 0.95, 2048),
    )
    try:
        async for _ in backend.stream(request):
            pass
    except BackendError as exc:
        return type(exc).__name__
    return "an answer"
