"""A real Prometheus on loopback, and what is under ``deploy/monitoring``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
PATIENCE_S = 20.0
"""Longest wait for anything of Prometheus, in seconds."""

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

    async def query(self, text: str) -> list[Any]:
        """Return the samples of a query, as of now."""
        answer = await self._get("/api/v1/query", query=text)
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
