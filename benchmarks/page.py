"""The demo's page: first words after Enter, frames while 2,000 messages are scrolled, sizes.

``python -m benchmarks page [--questions 10] [--messages 2000]``
``python -m benchmarks page --picture docs/images/demo.png`` takes README's picture instead.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import io
import json
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Page, async_playwright

import bot.demo.page
from benchmarks.table import percentile, print_table
from bot.demo.page.server import PageServer
from bot.demo.run import open_demo, wait_online
from bot.demo.world import FAST, Demo
from config.loader import load_settings

FIRST_WORDS_MS = 1000.0
FRAME_MS = 50.0
MOST_BYTES = 300_000
MOST_COMPRESSED_BYTES = 100_000

SEEDS = (
    "A plain line, as most are.",
    "**Bold**, *slanted*, `code`, ||hidden|| and [a link](https://a.example) <t:1700000000:R>",
    "- one\n- two\n  - three\n> a quote of it\n-# small print",
    "```python\ndef double(x):\n    return x * 2  # twice\n```",
    "A paragraph that is as long as an answer of a few sentences often is. " * 6,
)
PICTURED = ("What does a KV cache keep?", "Show me some code, please")
ASK = """async (question) => {
  const field = document.querySelector(".composer textarea");
  const list = document.querySelector(".messages");
  field.value = question;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  const known = new Set(list.children);
  const shown = () => [...list.children].some((row) =>
    !known.has(row) && row.querySelector(".tag") && /It keeps/.test(row.textContent));
  const begun = performance.now();
  const done = new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (!shown()) return;
      observer.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - begun));
    });
    observer.observe(list, { childList: true, subtree: true, characterData: true });
  });
  field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
  return done;
}"""
SCROLL = """async () => {
  const scroller = document.querySelector(".scroller");
  const list = document.querySelector(".messages");
  const seen = new Set([...list.children].map((row) => row.id));
  let mostRows = 0;
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const row of addedNodes) seen.add(row.id);
    mostRows = Math.max(mostRows, list.childElementCount);
  }).observe(list, { childList: true });
  const frames = [];
  const long = [];
  new PerformanceObserver((entries) => long.push(...entries.getEntries().map((e) => e.duration)))
    .observe({ type: "long-animation-frame" });
  let last = performance.now();
  const frame = () => new Promise((resolve) => requestAnimationFrame((now) => {
    frames.push(now - last);
    last = now;
    resolve();
  }));
  const run = async (step, isDone) => {
    for (let i = 0; i < 20000 && !isDone(); i += 1) {
      scroller.scrollTop += step;
      await frame();
    }
  };
  await run(-500, () => scroller.scrollTop === 0 && document.querySelector(".welcome"));
  await run(500, () => document.querySelector(".jump").hidden);
  return { frames, long, shown: seen.size, mostRows };
}"""


@contextlib.asynccontextmanager
async def page_of_a_demo() -> AsyncGenerator[tuple[Page, Demo, str], None]:
    """Open the page in Chromium, with the real bot behind it."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("This benchmark needs chromium.")
    nowhere = {
        "LMSTUDIO_BASE_URL": "http://127.0.0.1:9",
        "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
    }
    async with (
        open_demo(load_settings(nowhere).settings, timing=FAST) as demo,
        PageServer(demo, port=0) as server,
        async_playwright() as playwright,
    ):
        await wait_online(demo)
        browser = await playwright.chromium.launch(executable_path=chromium)
        yield await browser.new_page(), demo, server.address
        await browser.close()


async def first_words(page: Page, demo: Demo, address: str, questions: int) -> list[float]:
    """Return the time from Enter to the first words of the answer on the screen, in ms."""
    bot_id = demo.discord.bot_user.id
    found = []
    for number in range(questions + 1):  # the first loads the model
        channel = demo.places.guild.add_channel(f"asked-{number}")
        await page.goto(f"{address}/#{channel.id}")
        await page.get_by_role("heading", name=channel.name, exact=True).wait_for()
        found.append(float(await page.evaluate(ASK, f"<@{bot_id}> what does a cache keep?")))
        await page.get_by_role("button", name="Regenerate").last.wait_for()
    return found[1:]


async def scrolled(page: Page, demo: Demo, address: str, messages: int) -> dict[str, Any]:
    """Return the frames of a way up through all messages and down again, in ms."""
    channel = demo.places.guild.add_channel("crowded")
    for number in range(messages):
        person = demo.places.people[number // 3 % 3]
        await person.say(channel, f"{SEEDS[number % len(SEEDS)]} {number}")
    await page.goto(f"{address}/#{channel.id}")
    await page.reload()
    await page.get_by_role("heading", name=channel.name, exact=True).wait_for()
    browser = page.context.browser
    if browser is None:
        raise RuntimeError("The page is in no browser of ours.")
    await browser.start_tracing(page=page, categories=["toplevel"])
    found: dict[str, Any] = await page.evaluate(SCROLL)
    return {**found, "busy": busy_ms(json.loads(await browser.stop_tracing())["traceEvents"])}


async def take_picture(path: Path) -> None:
    """Ask two questions and keep what the page shows of them, with few colours so that it stays small."""
    async with page_of_a_demo() as (page, demo, address):
        await page.set_viewport_size({"width": 1280, "height": 800})
        await page.emulate_media(color_scheme="dark")
        await page.goto(f"{address}/#{demo.places.general.id}")
        await page.get_by_role("tab", name="Look inside").click()
        field = page.locator(".composer textarea")
        for number, question in enumerate(PICTURED, start=1):
            await field.fill(f"@Clawbot {question}")
            await field.press("Enter")
            await page.get_by_role("button", name="Regenerate").nth(number - 1).wait_for()
        await page.get_by_text("Answered after").wait_for()
        picture = await page.screenshot(animations="disabled")
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256).save(path, optimize=True)


def busy_ms(trace: list[dict[str, Any]]) -> list[float]:
    """Return the processor time of each task of the page's main thread, painting included, in ms."""
    tasks: dict[tuple[int, int], list[float]] = {}
    for each in trace:
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain":
            tasks[each["pid"], each["tid"]] = []
    for each in trace:
        thread = (each["pid"], each["tid"])
        if each["name"] == "ThreadControllerImpl::RunTask" and thread in tasks:
            tasks[thread].append(each.get("tdur", 0) / 1000)
    return max(tasks.values(), key=len)


def sizes() -> tuple[int, int]:
    """Return the bytes of all files that the page loads: as they are, and each by gzip."""
    folder = Path(str(bot.demo.page.__file__)).parent / "static"
    kinds = {".html", ".css", ".js", ".svg"}
    contents = [path.read_bytes() for path in folder.rglob("*") if path.suffix in kinds]
    return sum(map(len, contents)), sum(len(gzip.compress(each, 9)) for each in contents)


async def measure(options: argparse.Namespace) -> int:
    """Measure everything and print it; returns the exit code."""
    async with page_of_a_demo() as (page, demo, address):
        words = await first_words(page, demo, address, options.questions)
        scroll = await scrolled(page, demo, address, options.messages)
    whole, compressed = sizes()
    busy = scroll["busy"]
    longest = max(scroll["long"], default=0.0)
    rows = [
        ("Enter to first words, median (ms)", percentile(words, 50), FIRST_WORDS_MS),
        ("Enter to first words, longest (ms)", max(words), FIRST_WORDS_MS),
        ("messages scrolled", scroll["shown"], ""),
        ("rows at once, most", scroll["mostRows"], ""),
        ("frame, median (ms)", percentile(scroll["frames"], 50), ""),
        ("frame, 99th percentile (ms)", percentile(scroll["frames"], 99), ""),
        ("processor time of a frame, mean (ms)", sum(busy) / len(scroll["frames"]), ""),
        ("processor time of a frame, most (ms)", max(busy), ""),
        (f"frames over {FRAME_MS:.0f} ms", len(scroll["long"]), 0),
        ("longest of these (ms)", longest, ""),
        ("page and libraries (bytes)", whole, MOST_BYTES),
        ("compressed (bytes)", compressed, MOST_COMPRESSED_BYTES),
    ]
    print_table("The demo's page", ("figure", "measured", "bar"), rows)
    missed = [row for row in rows if isinstance(row[2], int | float) and row[1] > row[2]]
    return 1 if missed else 0


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code, 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks page")
    parser.add_argument("--questions", type=int, default=10)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args(argv)
    if options.picture is not None:
        asyncio.run(take_picture(options.picture))
        return 0
    return asyncio.run(measure(options))
