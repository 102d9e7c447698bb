"""The demo's page without a browser: how soon its tabs are told, and how much they are sent first.

``python -m benchmarks tabs [--messages 2000] [--tabs 3]``

The delay is from a tab's frame that says something to the moment the slowest tab has the message.
A snapshot holds the newest messages of each channel only, so its size must not follow theirs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import AsyncExitStack

import aiohttp

from benchmarks.table import percentile, print_table
from bot.demo.page.server import PageServer
from bot.demo.run import open_demo, wait_online
from bot.demo.world import FAST, Demo
from config.loader import load_settings

DELAY_MS = 50.0
MOST_SNAPSHOT_BYTES = 512 * 1024
SAID = 200
Row = tuple[str, str, str]


async def _told(demo: Demo, server: PageServer, count: int) -> list[float]:
    """Return how long each of ``SAID`` messages took to the last of the tabs, in milliseconds."""
    delays = []
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        tabs = []
        for _ in range(count):
            opened = session.ws_connect(
                f"{server.address}/live", headers={"Origin": server.address}, max_msg_size=0
            )
            tabs.append(await stack.enter_async_context(opened))
            await tabs[-1].receive()
        for number in range(SAID):
            text = f"message {number} of the benchmark"
            said = {
                "do": "say",
                "person": str(demo.places.owner.id),
                "channel": str(demo.places.general.id),
            }
            began_s = time.perf_counter()
            await tabs[0].send_str(json.dumps({"id": number, "text": text, **said}))
            await asyncio.gather(*(_has(tab, text) for tab in tabs))
            delays.append((time.perf_counter() - began_s) * 1000)
    return delays


async def _has(tab: aiohttp.ClientWebSocketResponse, text: str) -> None:
    while f'"content":"{text}"' not in (await tab.receive()).data:
        pass


async def _snapshot(server: PageServer) -> tuple[int, float]:
    """Return a snapshot's bytes, and the milliseconds from asking for it to having it."""
    async with aiohttp.ClientSession() as session:
        began_s = time.perf_counter()
        async with session.ws_connect(
            f"{server.address}/live", headers={"Origin": server.address}, max_msg_size=0
        ) as tab:
            text = (await tab.receive()).data
            return len(text.encode()), (time.perf_counter() - began_s) * 1000


async def run(messages: int, tabs: int) -> tuple[list[Row], bool]:
    """Measure, and tell whether the bars hold."""
    settings = load_settings({"LMSTUDIO_BASE_URL": "http://127.0.0.1:9"}).settings
    async with open_demo(settings, timing=FAST) as demo, PageServer(demo) as server:
        await wait_online(demo)
        small, _ = await _snapshot(server)
        delays = await _told(demo, server, tabs)
        for number in range(messages):
            await demo.places.member.say(demo.places.general, f"{number}: " + "word " * 40)
        large, took_ms = await _snapshot(server)
    delay_ms = percentile(delays, 99)
    rows = [
        ("tabs told, median", f"{percentile(delays, 50):.1f} ms", ""),
        ("tabs told, 99th percentile", f"{delay_ms:.1f} ms", f"{DELAY_MS:g} ms"),
        ("snapshot at first", f"{small / 1024:.0f} KiB", ""),
        (f"snapshot with {messages:,} messages", f"{large / 1024:.0f} KiB",
         f"{MOST_SNAPSHOT_BYTES // 1024} KiB"),
        ("time for that", f"{took_ms:.0f} ms", ""),
    ]  # fmt: skip
    return rows, delay_ms <= DELAY_MS and large <= MOST_SNAPSHOT_BYTES


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks tabs", description=__doc__)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--tabs", type=int, default=3)
    options = parser.parse_args(argv)
    rows, is_good = asyncio.run(run(options.messages, options.tabs))
    print_table(f"{options.tabs} tabs", ("what", "figure", "bar"), rows)
    return 0 if is_good else 1
