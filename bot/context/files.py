"""Attachments as something a model can read: text, images as data URLs, the text of PDF files."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

from bot.clock import Clock
from bot.context import decoding
from bot.context.cleaning import clean_text, safe_name
from bot.domain import AttachmentInfo
from bot.ports import FileSource
from config.settings import ContextSettings

_CACHE_CHARS = 6_000_000
"""Most characters of decoded files kept in memory; a picture of 1024 pixels is about 300,000."""

_DECODE_TIMEOUT_S = 20.0
_FILES_AT_ONCE = 3
_EXPIRY_MARGIN_S = 120


class FileKind(StrEnum):
    """What an attachment can be used as."""

    TEXT = "text"
    IMAGE = "image"
    PDF = "pdf"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FileContent:
    """An attachment as read.

    Attributes:
        name: File name, made safe.
        kind: What it was taken for.
        text: Text of a text file or PDF, cleaned.
        image: ``data:`` URL of an image.
        problem: Why it can't be used, as half a sentence; empty when it can.
        is_cut: Only the first part was read.
    """

    name: str
    kind: FileKind
    text: str = ""
    image: str = ""
    problem: str = ""
    is_cut: bool = False


_TEXT_SUFFIXES = frozenset(
    [
        "txt",
        "md",
        "rst",
        "log",
        "csv",
        "tsv",
        "json",
        "jsonl",
        "xml",
        "yaml",
        "yml",
        "toml",
        "ini",
        "cfg",
        "conf",
        "env",
        "properties",
        "tex",
        "srt",
        "vtt",
        "diff",
        "patch",
        "html",
        "htm",
        "css",
        "scss",
        "js",
        "mjs",
        "ts",
        "tsx",
        "jsx",
        "vue",
        "svelte",
        "py",
        "pyi",
        "rb",
        "php",
        "pl",
        "lua",
        "r",
        "jl",
        "java",
        "kt",
        "kts",
        "scala",
        "c",
        "h",
        "cc",
        "cpp",
        "cxx",
        "hpp",
        "cs",
        "fs",
        "go",
        "rs",
        "swift",
        "dart",
        "zig",
        "nim",
        "ex",
        "exs",
        "erl",
        "hs",
        "ml",
        "clj",
        "lisp",
        "el",
        "sh",
        "bash",
        "zsh",
        "fish",
        "ps1",
        "bat",
        "cmd",
        "sql",
        "graphql",
        "proto",
        "gradle",
        "cmake",
        "make",
        "mk",
        "dockerfile",
        "tf",
        "vim",
        "asm",
        "s",
        "v",
        "sv",
        "vhd",
        "bib",
        "org",
        "adoc",
        "ipynb",
        "nfo",
        "gitignore",
        "lock",
    ]
)
_TEXT_TYPES = frozenset(
    {
        "application/json",
        "application/xml",
        "application/x-yaml",
        "application/yaml",
        "application/toml",
        "application/javascript",
        "application/x-sh",
        "application/x-httpd-php",
        "application/sql",
    }
)
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})
_IMAGE_SUFFIXES = frozenset({"png", "jpg", "jpeg", "gif", "webp", "bmp"})


def kind_of(attachment: AttachmentInfo) -> FileKind:
    """Guess what an attachment is from its type and name; its bytes have the last word later."""
    declared = (attachment.content_type or "").partition(";")[0].strip().lower()
    suffix = attachment.filename.rpartition(".")[2].lower()
    if declared in _IMAGE_TYPES or (not declared and suffix in _IMAGE_SUFFIXES):
        return FileKind.IMAGE
    if declared == "application/pdf" or suffix == "pdf":
        return FileKind.PDF
    if suffix in _TEXT_SUFFIXES or declared in _TEXT_TYPES:
        return FileKind.TEXT
    is_text = declared.startswith("text/") or declared.endswith(("+json", "+xml"))
    return FileKind.TEXT if is_text and declared != "image/svg+xml" else FileKind.OTHER


def has_expired(attachment: AttachmentInfo, now: datetime) -> bool:
    """Return whether an attachment's address is no longer valid, or about to be.

    Discord signs addresses and says in ``ex``, a hexadecimal time stamp, until when they hold
    (Discord: reference, signed attachment CDN URLs).
    """
    value = parse_qs(urlsplit(attachment.url).query).get("ex", [""])[0]
    try:
        return int(value, 16) < now.timestamp() + _EXPIRY_MARGIN_S
    except ValueError:
        return False


class FileReader:
    """Reads attachments, bounded in bytes, time and memory.

    What was read is remembered by attachment id, so that a picture goes into every prompt of a
    conversation with the very same bytes.
    """

    def __init__(self, source: FileSource, settings: ContextSettings, clock: Clock) -> None:
        self._source = source
        self._settings = settings
        self._clock = clock
        self._kept: OrderedDict[int, FileContent] = OrderedDict()
        self._kept_chars = 0
        self._gate = asyncio.Semaphore(_FILES_AT_ONCE)

    async def read(self, attachment: AttachmentInfo) -> FileContent:
        """Return what an attachment holds, or why it can't be used; never raises for bad files."""
        known = self._kept.get(attachment.id)
        if known is not None:
            self._kept.move_to_end(attachment.id)
            return known
        name = safe_name(attachment.filename)
        kind = kind_of(attachment)
        if kind is FileKind.OTHER:
            return FileContent(name, kind, problem="I can't read this kind of file")
        limit = self._limit_bytes(kind)
        if limit == 0:
            return FileContent(name, kind, problem="reading such files is switched off")
        if kind is not FileKind.TEXT and attachment.size_bytes > limit:
            return FileContent(name, kind, problem=f"it is larger than {limit // 1024:,} KiB")
        async with self._gate:
            data = await self._source.read(attachment, limit_bytes=limit)
            if data is None:
                return FileContent(name, kind, problem="I couldn't download it")
            content = await self._decode(name, kind, data, attachment.size_bytes > len(data))
        self._keep(attachment.id, content)
        return content

    def _limit_bytes(self, kind: FileKind) -> int:
        if kind is FileKind.TEXT:
            return self._settings.max_text_file_bytes
        return self._settings.max_image_bytes

    async def _decode(self, name: str, kind: FileKind, data: bytes, is_cut: bool) -> FileContent:
        work = asyncio.create_task(asyncio.to_thread(_decoded, name, kind, data, is_cut))
        timer = asyncio.create_task(self._clock.sleep(_DECODE_TIMEOUT_S))
        try:
            await asyncio.wait({work, timer}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            return FileContent(name, kind, problem="reading it took too long")
        finally:
            timer.cancel()
            work.cancel()

    def _keep(self, attachment_id: int, content: FileContent) -> None:
        self._kept[attachment_id] = content
        self._kept_chars += len(content.text) + len(content.image)
        while self._kept_chars > _CACHE_CHARS and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._kept_chars -= len(old.text) + len(old.image)


def _decoded(name: str, kind: FileKind, data: bytes, is_cut: bool) -> FileContent:
    """Decode a file's bytes; runs in a thread."""
    try:
        if kind is FileKind.IMAGE:
            return FileContent(name, kind, image=decoding.image_url(data))
        if kind is FileKind.PDF:
            text, cut = decoding.pdf_text(data)
            return FileContent(name, kind, text=clean_text(text), is_cut=cut)
        text = decoding.text_of(data, is_cut=is_cut)
        return FileContent(name, kind, text=clean_text(text), is_cut=is_cut)
    except decoding.UnreadableError as exc:
        return FileContent(name, kind, problem=str(exc))
