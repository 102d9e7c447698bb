"""Reading a request's body: JSON, or JSON with files."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import BodyPartReader, web

from sandbox.discord.values.content import Upload
from sandbox.discord.values.errors import ApiError

MAX_REQUEST_BYTES = 25 * 1024 * 1024


async def read_body(request: web.BaseRequest) -> tuple[Any, dict[str, Upload], ApiError | None]:
    """Return the parsed body, the files, and the refusal of a body that can't be parsed."""
    if (request.content_length or 0) > MAX_REQUEST_BYTES:
        return None, {}, ApiError(40005)
    if request.content_type.startswith("multipart/"):
        return await _read_multipart(request)
    raw = await request.read()
    return _parse(raw)


def _parse(raw: bytes) -> tuple[Any, dict[str, Upload], ApiError | None]:
    if not raw:
        return None, {}, None
    try:
        return json.loads(raw), {}, None
    except ValueError:
        return None, {}, ApiError(50109)


async def _read_multipart(
    request: web.BaseRequest,
) -> tuple[Any, dict[str, Upload], ApiError | None]:
    body: Any = None
    refusal: ApiError | None = None
    files: dict[str, Upload] = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        data = bytes(await part.read(decode=False))
        if part.name == "payload_json":
            body, _, refusal = _parse(data)
        elif part.name is not None and part.filename is not None:
            files[part.name] = Upload(part.filename, data)
    return body, files, refusal
