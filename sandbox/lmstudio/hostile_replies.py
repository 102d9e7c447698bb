"""Replies that attack a client's memory, patience or parser."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import zlib

from aiohttp import web

from sandbox.lmstudio import wire
from sandbox.lmstudio.faults import BAD_JSON, ArmedFault, Fault

BOMB_BYTES = 300 * 1024 * 1024
LINE_BYTES = 10 * 1024 * 1024
TINY_COUNT = 1_000_000
_BLOCK = 1024 * 1024


def reset(request: web.BaseRequest) -> None:
    """Close a connection with a TCP reset instead of an orderly end."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def start_stream(
    request: web.Request, extra_headers: dict[str, str] | None = None
) -> web.StreamResponse:
    """Send 200 and the headers of an event stream."""
    response = web.StreamResponse(headers=wire.STREAM_HEADERS | (extra_headers or {}))
    await response.prepare(request)
    return response


async def play(request: web.Request, armed: ArmedFault) -> web.StreamResponse:
    """Answer a request with a hostile body; ends when the client leaves.

    Args:
        request: What to answer.
        armed: One of the faults of this module.
    """
    if armed.fault is Fault.GZIP_BOMB:
        return await _gzip_bomb(request, armed.size_bytes or BOMB_BYTES)
    response = await start_stream(request)
    if armed.fault is Fault.HUGE_LINE:
        await _write_line(response, armed.size_bytes or LINE_BYTES)
    elif armed.fault is Fault.TINY_EVENTS:
        for _ in range(TINY_COUNT // 1000):
            await response.write(b"data: {}\n\n" * 1000)
    elif armed.fault is Fault.SLOW_LORIS:
        for byte in b'data: {"choices":[' + b" " * 100_000:
            await response.write(bytes([byte]))
            await asyncio.sleep(0.05)
    elif armed.fault is Fault.ENDLESS_COMMENTS:
        while True:
            await response.write(b": still here\n\n" * 100)
            await asyncio.sleep(0.005)
    await response.write_eof()
    return response


async def _write_line(response: web.StreamResponse, left_bytes: int) -> None:
    await response.write(b'data: {"choices":[{"index":0,"delta":{"content":"')
    while left_bytes > 0:
        await response.write(b"x" * min(left_bytes, _BLOCK))
        left_bytes -= _BLOCK
    await response.write(b'"}}]}\n\n' + wire.DONE)


async def _gzip_bomb(request: web.Request, size_bytes: int) -> web.StreamResponse:
    response = await start_stream(request, {"Content-Encoding": "gzip"})
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    await response.write(packer.compress(b'data: {"choices":[{"index":0,"delta":{"content":"'))
    block = b"0" * _BLOCK
    for _ in range(size_bytes // _BLOCK):
        packed = packer.compress(block)
        if packed:
            await response.write(packed)
            await asyncio.sleep(0)
    await response.write(packer.flush())
    await response.write_eof()
    return response


HOSTILE = frozenset(
    {
        Fault.GZIP_BOMB,
        Fault.HUGE_LINE,
        Fault.TINY_EVENTS,
        Fault.SLOW_LORIS,
        Fault.ENDLESS_COMMENTS,
    }
)


async def bad_json(request: web.Request, armed: ArmedFault, *, stream: bool) -> web.StreamResponse:
    """Answer with JSON that is no good."""
    body = BAD_JSON[armed.fault]
    if not stream:
        return web.Response(body=body, headers={"Content-Type": "application/json; charset=utf-8"})
    response = await start_stream(request)
    await response.write(b"data: " + body + b"\n\n" + wire.DONE)
    await response.write_eof()
    return response
