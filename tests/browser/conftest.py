"""One Chromium and one running demo for all tests of this folder; a channel for each test.

Where there is no Chromium, the folder holds no tests; ``.ci/run`` installs it, or says so in a line.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from bot.demo.page.server import PageServer
from bot.demo.run import open_demo, wait_online
from bot.demo.world import Demo
from config.loader import load_settings
from sandbox.lmstudio import Timing
from tests.browser.reader import Reader, Tab

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
collect_ignore_glob = [] if CHROMIUM else ["test_*.py"]
QUICK = Timing(load_s=0.05, prefill_tokens_s=20_000.0, speed=20.0)
NUMBERS = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncGenerator[Browser, None]:
    """A Chromium without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def demo(browser: Browser) -> AsyncGenerator[Demo, None]:  # noqa: ARG001 - none without it
    """The demo, online, with a quick stand-in for the model."""
    nowhere = {
        "LMSTUDIO_BASE_URL": "http://127.0.0.1:9",
        "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
        "CLAWBOT_QUEUE__BURST_WINDOW_S": "0",
    }
    settings = load_settings(nowhere, require_token=False).settings
    async with open_demo(settings, timing=QUICK) as demo:
        await wait_online(demo)
        yield demo


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(demo: Demo) -> AsyncGenerator[PageServer, None]:
    """What serves the page."""
    async with PageServer(demo, port=0) as server:
        yield server


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that keeps screenshots: ``CLAWBOT_SCREENSHOTS``, else one of pytest's own."""
    chosen = os.environ.get("CLAWBOT_SCREENSHOTS")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tab(browser: Browser, server: PageServer) -> AsyncGenerator[Tab, None]:
    """One tab that stays open from test to test, as a person's would."""
    async with Tab.opened(browser, server.address) as tab:
        yield tab


@pytest_asyncio.fixture(loop_scope="session")
async def reader(tab: Tab, demo: Demo, pictures: Path) -> AsyncGenerator[Reader, None]:
    """Somebody in front of the page, in a channel of this test's own.

    Whatever the test does, nothing may fail in the page, and nothing be asked of elsewhere.
    """
    reader = Reader(tab, demo, demo.places.guild.add_channel(f"test-{next(NUMBERS)}"), pictures)
    await reader.start()
    yield reader
    for page in tab.context.pages[1:]:
        await page.close()
    assert tab.problems == []
