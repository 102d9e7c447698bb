"""Who may speak to the page's server: the page itself, on this machine, and nobody else.

A name server can point any name at 127.0.0.1, and any web page can send requests there. So the Host
must be the address that was printed, and the Origin, which browsers send with whatever may change
something, must be the page's own.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

_log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; font-src 'self'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""On every response."""

HOSTS: Final = ("127.0.0.1", "localhost")
_NEED_ORIGIN: Final = frozenset({"/live", "/attachments"})


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers of every response."""
    response.headers.update(HEADERS)
    response.headers.popall("Server", None)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let through what comes from the page itself."""
    transport = request.transport
    if transport is None:
        raise web.HTTPServiceUnavailable
    port = transport.get_extra_info("sockname")[1]
    own = {f"{host}:{port}" for host in HOSTS}
    if request.headers.getall("Host", []) not in [[each] for each in own]:
        return _refuse(421, "This page answers only at the address that the demo printed.")
    origins = request.headers.getall("Origin", [])
    if origins not in [[], *([f"http://{each}"] for each in own)]:
        return _refuse(403, "Only the demo's own page may ask this.")
    if not origins and request.path in _NEED_ORIGIN:
        return _refuse(403, "Only the demo's own page may ask this: there was no Origin.")
    if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        return _refuse(403, "Only the demo's own page may ask this.")
    try:
        return await handler(request)
    except web.HTTPException as exc:
        return _refuse(exc.status, _SENTENCES.get(exc.status, exc.reason + "."))
    except ConnectionError:
        raise
    except Exception:  # noqa: BLE001 - the seam of one request
        _log.exception("a request of the demo's page failed")
        return _refuse(
            500, "Something went wrong inside the demo. Try again, or start the demo anew."
        )


_CODES: Final = {400: "bad_request", 404: "not_found", 413: "too_large"}
_SENTENCES: Final = {
    404: "There is nothing at this address.",
    405: "This address takes no such request.",
    413: "A file may have 10 MiB at most.",
    426: "This address takes WebSockets only.",
}


def _refuse(status: int, message: str) -> web.Response:
    return web.json_response(
        {"error": {"code": _CODES.get(status, "refused"), "message": message}}, status=status
    )
