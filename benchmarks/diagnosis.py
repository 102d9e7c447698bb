"""How long does a diagnosis take, and how soon is it acknowledged?

``python -m benchmarks diagnosis``

``/diag network`` in a local Discord, asked by the bot's owner: on a healthy set-up, with a closed port,
and with things broken that keep one step waiting for its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from benchmarks._rig import running_bot
from benchmarks.table import print_table
from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import Fault, LMStudioSandbox, Model

KEY = "qwen/qwen3-next-80b"
LIMIT_S = 60.0
Way = Callable[[LMStudioSandbox], contextlib.AbstractAsyncContextManager[str]]


@contextlib.asynccontextmanager
async def healthy(lm: LMStudioSandbox) -> AsyncIterator[str]:
    """Break nothing. Gives the address to configure."""
    yield lm.base_url


@contextlib.asynccontextmanager
async def refused(lm: LMStudioSandbox) -> AsyncIterator[str]:
    """Let nothing listen at the port. Gives the address to configure."""
    await lm.refuse()
    yield lm.base_url


@contextlib.asynccontextmanager
async def dropped(lm: LMStudioSandbox) -> AsyncIterator[str]:
    """Neither accept nor refuse connections. Gives the address to configure."""
    await lm.blackhole()
    yield lm.base_url


@contextlib.asynccontextmanager
async def mute(lm: LMStudioSandbox) -> AsyncIterator[str]:
    """Let the model accept a question and write nothing. Gives the address to configure."""
    lm.faults.next(Fault.HANG_AFTER_TOKENS, times=None, after_tokens=0)
    yield lm.base_url


@contextlib.asynccontextmanager
async def silent(_lm: LMStudioSandbox) -> AsyncIterator[str]:
    """Accept connections and say nothing. Gives the address to configure."""
    async with _serving(None) as url:
        yield url


@contextlib.asynccontextmanager
async def dripping(_lm: LMStudioSandbox) -> AsyncIterator[str]:
    """Begin the first reply, and go on with a byte each half second. Gives the address to configure."""
    async with _serving(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n") as url:
        yield url


@contextlib.asynccontextmanager
async def _serving(head: bytes | None) -> AsyncIterator[str]:
    """Accept connections, and say nothing, or a head and then a byte each half second."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            if head is not None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(head)
            while head is not None and not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.5)
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


CASES: dict[str, Way] = {
    "healthy": healthy,
    "port closed": refused,
    "packets dropped": dropped,
    "connection accepted, no reply": silent,
    "first reply never ends": dripping,
    "model accepts, writes nothing": mute,
}


async def measure(way: Way) -> tuple[float, float, str]:
    """Return the seconds to the acknowledgement, to the whole report, and its first line."""
    async with DiscordSandbox() as discord, LMStudioSandbox([Model(KEY)]) as lm, way(lm) as url:
        owner = discord.add_user("Ada")
        channel = discord.add_guild("Home", owner=owner).add_channel("general")
        extra = {"LMSTUDIO_BASE_URL": url, "CLAWBOT_OWNER_IDS": str(owner.id)}
        async with running_bot(discord, lm, **extra):
            began_s = time.perf_counter()
            made = await owner.slash(channel, "diag network")
            await discord.wait_until(lambda: made.acknowledged, timeout_s=LIMIT_S)
            acknowledged_s = time.perf_counter() - began_s
            await discord.wait_until(
                lambda: made.content and "Looking" not in made.content, timeout_s=LIMIT_S
            )
            whole_s = time.perf_counter() - began_s
    return acknowledged_s, whole_s, made.content.split("\n")[0].replace("*", "")


def main(argv: list[str]) -> int:
    """Run the benchmark; fails where a diagnosis is later than it may be."""
    argparse.ArgumentParser(prog="benchmarks diagnosis").parse_args(argv)
    rows, is_late = [], False
    for name, way in CASES.items():
        acknowledged_s, whole_s, first = asyncio.run(measure(way))
        rows.append((name, acknowledged_s, whole_s, first))
        is_late |= acknowledged_s > 1 or whole_s > (15 if name == "healthy" else 40)
    headers = ("what is broken", "acknowledged (s)", "whole (s)", "first line")
    print_table("/diag network", headers, rows)
    return int(is_late)
