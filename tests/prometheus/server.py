"""A real Prometheus on loopback, and what is under ``deploy/monitoring``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
PATIENCE_S = 60.0
"""Longest wait for anything of Prometheus, in seconds."""

INTERVAL_S = 15
"""Seconds between two looks at a bot, as ``prometheus.yml`` has it."""

_SELECTOR = re.compile(r"\b(?:(?:clawbot|process)_[a-z_]++|up)\b(?:\{[^{}]*+\})?")


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def dashboard_queries() -> list[str]:
    """Return every query of the dashboard, with its variables filled in."""
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    return [each.replace("$job", "clawbot").replace("$__rate_interval", "1m") for each in found]


def selectors(query: str) -> list[str]:
    """Return what a query reads: each metric with its labels."""
    return _SELECTOR.findall(query)


class Prometheus:
    """A running server's API."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def _get(self, path: str, **parameters: str) -> Any:
        async with self._session.get(f"{self._url}{path}", params=parameters) as response:
            return await response.json()

    async def query(self, text: str, at_s: float | None = None) -> list[Any]:
        """Return the samples of a query, as of now or another time (Unix seconds)."""
        when = {} if at_s is None else {"time": str(at_s)}
        answer = await self._get("/api/v1/query", query=text, **when)
        assert answer["status"] == "success", f"{text}: {answer}"
        return list(answer["data"]["result"])

    async def rules(self) -> list[Any]:
        """Return the alert rules that are loaded."""
        groups = (await self._get("/api/v1/rules"))["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def until_some(self, text: str) -> list[Any]:
        """Wait until a query has samples.

        Raises:
            AssertionError: It had none for too long.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not (found := await self.query(text)):  # noqa: ASYNC110 - a process of its own
                    await asyncio.sleep(0.2)
                return found
        raise AssertionError(f"empty: {text}")


class Hour:
    """What a bot shows, looked at as often as Prometheus looks in an hour or more, but in half a minute.

    Attributes:
        end_s: When it ended, Unix seconds: four hours ago, before anything the server itself sees.
        is_full: Everything has happened, so that an hour will do.
    """

    LOOKS = 241
    LOOKS_AFTER = 60 // INTERVAL_S
    """At least so many come after everything has happened: a minute, of which ``rate()`` needs two."""

    def __init__(self, port: int) -> None:
        self.end_s = time.time() // INTERVAL_S * INTERVAL_S - 4 * 3600
        self._url = f"http://127.0.0.1:{port}/metrics"
        self.is_full = False
        self._texts: list[str] = []

    @property
    def looks(self) -> int:
        """How often the bot was looked at."""
        return len(self._texts)

    @property
    def last(self) -> str:
        """What the last look saw."""
        return self._texts[-1]

    @property
    def length(self) -> str:
        """How long it lasted, as a duration of Prometheus."""
        return f"{INTERVAL_S * self.looks}s"

    async def watch(self) -> None:
        """Look until it is over."""
        async with aiohttp.ClientSession() as session:
            after = 0
            while self.looks < self.LOOKS or after < self.LOOKS_AFTER:
                after += self.is_full
                async with session.get(self._url) as response:
                    self._texts.append(await response.text())
                await asyncio.sleep(0.1)

    async def write(self, folder: Path) -> None:
        """Make a server's data of it, each look 15 s after the one before."""
        series: dict[str, list[str]] = {}
        for number, text in enumerate(self._texts):
            at_s = self.end_s - INTERVAL_S * (self.looks - 1 - number)
            for line in ["up 1", *text.splitlines()]:
                if not line.startswith("#"):
                    name, value = line.rsplit(" ", 1)
                    bare, _, labels = name.rstrip("}").partition("{")
                    full = ",".join(filter(None, (f'{bare}{{job="clawbot"', labels)))
                    series.setdefault(full, []).append(f"{full}}} {value} {at_s:.0f}")
        lines = [line for each in series.values() for line in each]
        file = folder / "hour.txt"
        file.write_text("\n".join([*lines, "# EOF", ""]))
        code, said = await promtool(
            "tsdb", "create-blocks-from", "openmetrics", str(file), str(folder / "data")
        )
        assert code == 0, said


async def promtool(*arguments: str, given: str = "") -> tuple[int, str]:
    """Run promtool with this on its standard input; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        "promtool",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(given.encode())
    return process.returncode or 0, said.decode()


@contextlib.asynccontextmanager
async def prometheus(folder: Path, target_port: int) -> AsyncGenerator[Prometheus, None]:
    """Run Prometheus with the files as they are shipped, but looking every second.

    Args:
        folder: Empty; for its files.
        target_port: Where the bot shows its metrics.
    """
    config = (FOLDER / "prometheus.yml").read_text()
    for old, new in ((": 15s", ": 1s"), ("127.0.0.1:9095", f"127.0.0.1:{target_port}")):
        assert old in config
        config = config.replace(old, new)
    (folder / "prometheus.yml").write_text(config)
    (folder / "alerts.yml").write_text((FOLDER / "alerts.yml").read_text())
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as session:
            await _until_ready(session, f"http://127.0.0.1:{port}")
            yield Prometheus(session, f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        await process.wait()


async def _until_ready(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/-/ready") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.1)
