"""What the stand-in's tests ask with: plain aiohttp, no client of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from sandbox.lmstudio import LMStudioSandbox

KEY = "qwen/qwen3-next-80b"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.raw)

    @property
    def events(self) -> list[Any]:
        """The data of each SSE event, ``[DONE]`` left out."""
        lines = [line for line in self.raw.decode().splitlines() if line.startswith("data: ")]
        return [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]

    @property
    def text(self) -> str:
        """All content of the stream."""
        return "".join(
            one["choices"][0]["delta"].get("content", "")
            for one in self.events
            if one.get("choices")
        )


def ask(text: str = "Hi there", **more: object) -> dict[str, Any]:
    """Return a request body with one user message."""
    return {"model": KEY, "messages": [{"role": "user", "content": text}], **more}


async def call(
    lm: LMStudioSandbox,
    path: str = "/v1/chat/completions",
    body: object = None,
    *,
    method: str | None = None,
    token: str | None = None,
) -> Reply:
    """Send one request on a connection of its own and read the whole reply."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(
            method or ("GET" if body is None else "POST"),
            lm.base_url + path,
            json=body,
            allow_redirects=False,
        ) as response,
    ):
        return Reply(response.status, dict(response.headers), await response.read())
