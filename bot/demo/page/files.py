"""The page's own files, the attachments that it shows, and those that people add."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from pathlib import Path
from typing import Final
from urllib.parse import quote

from aiohttp import web

from sandbox.discord.checks.messages import content_type_of, safe_name

STATIC: Final = Path(__file__).parent / "static"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".png": "image/png",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",
}
"""What the page is made of, by suffix; nothing else is served."""
PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
)
"""Pictures that a browser may show, by their first bytes and where these stand."""

MAX_UPLOADS: Final = 50
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024


def static_files() -> dict[str, Path]:
    """Return the page's own files by their path below the folder, with slashes."""
    return {
        path.relative_to(STATIC).as_posix(): path
        for path in STATIC.rglob("*")
        if path.suffix in TYPES and not path.name.startswith(".") and path.is_file()
    }


def static_response(path: Path) -> web.FileResponse:
    """Return one of the page's own files; a browser asks each time whether it has changed."""
    return web.FileResponse(
        path, headers={"Content-Type": TYPES[path.suffix], "Cache-Control": "no-cache"}
    )


def attachment_response(filename: str, data: bytes) -> web.Response:
    """Return an attachment so that a browser shows pictures and runs nothing."""
    headers = {"Cache-Control": "private, max-age=3600"}
    kind = picture_type(data)
    if kind is None:
        kind = "application/octet-stream"
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
    return web.Response(body=data, headers=headers | {"Content-Type": kind})


def picture_type(data: bytes) -> str | None:
    """Return the type of a picture that browsers show; ``None`` for anything else."""
    for magic, at, kind in PICTURES:
        if data[at : at + len(magic)] == magic:
            return kind
    return None


class Uploads:
    """Files that wait for their message, by name; the oldest go first when there are too many."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, tuple[str, bytes]] = OrderedDict()

    def add(self, name: str, data: bytes) -> dict[str, object]:
        """Keep a file and return how the page names it."""
        kept = safe_name(name.rpartition("/")[2])[-100:] or "file"
        key = secrets.token_hex(8)
        self._waiting[key] = kept, data
        while len(self._waiting) > MAX_UPLOADS or self._bytes() > MAX_WAITING_BYTES:
            self._waiting.popitem(last=False)
        return {"id": key, "name": kept, "size": len(data), "content_type": content_type_of(kept)}

    def get(self, key: str) -> tuple[str, bytes] | None:
        """Return the name and the content of a file that waits."""
        return self._waiting.get(key)

    def used(self, keys: list[str]) -> None:
        """Forget files that have been sent."""
        for key in keys:
            self._waiting.pop(key, None)

    def _bytes(self) -> int:
        return sum(len(data) for _, data in self._waiting.values())
