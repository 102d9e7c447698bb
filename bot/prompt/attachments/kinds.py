"""What an attachment may be used as, by what Discord says of it."""

from __future__ import annotations

from enum import StrEnum

from bot.core.domain import AttachmentInfo


class FileKind(StrEnum):
    """What an attachment can be used as."""

    TEXT = "text"
    IMAGE = "image"
    PDF = "pdf"
    OTHER = "other"


_TEXT_SUFFIXES = frozenset([
    "txt", "md", "rst", "log", "csv", "tsv", "json", "jsonl", "xml", "yaml", "yml", "toml",
    "ini", "cfg", "conf", "env", "properties", "tex", "srt", "vtt", "diff", "patch", "html",
    "htm", "css", "scss", "js", "mjs", "ts", "tsx", "jsx", "vue", "svelte", "py", "pyi", "rb",
    "php", "pl", "lua", "r", "jl", "java", "kt", "kts", "scala", "c", "h", "cc", "cpp", "cxx",
    "hpp", "cs", "fs", "go", "rs", "swift", "dart", "zig", "nim", "ex", "exs", "erl", "hs", "ml",
    "clj", "lisp", "el", "sh", "bash", "zsh", "fish", "ps1", "bat", "cmd", "sql", "graphql",
    "proto", "gradle", "cmake", "make", "mk", "dockerfile", "tf", "vim", "asm", "s", "v", "sv",
    "vhd", "bib", "org", "adoc", "ipynb", "nfo", "gitignore", "lock", "cjs", "mts", "cts", "jsonc",
    "json5", "ndjson", "pem", "asc", "plist", "dtd", "tcl", "csh", "latex", "mbox", "ass", "m3u", "m3u8",
    "crash",
])  # fmt: skip
_TEXT_TYPES = frozenset([
    "application/json", "application/xml", "application/x-yaml", "application/yaml",
    "application/toml", "application/javascript", "application/x-sh", "application/x-httpd-php",
    "application/sql", "application/rtf", "message/rfc822",
])  # fmt: skip
_UNKNOWN_TYPES = frozenset({"", "application/octet-stream"})
"""What Discord says of a name that it doesn't know, such as ``README`` or ``app.log.1``."""

_IMAGE_TYPES = frozenset({
    "image/png", "image/apng", "image/jpeg", "image/gif", "image/webp", "image/bmp",
})  # fmt: skip
_IMAGE_SUFFIXES = frozenset({"png", "jpg", "jpeg", "gif", "webp", "bmp"})


def kind_of(attachment: AttachmentInfo) -> FileKind:
    """Guess what an attachment is from its type and name; its bytes have the last word later."""
    declared = _declared(attachment)
    suffix = attachment.filename.rpartition(".")[2].lower()
    if declared in _IMAGE_TYPES or (declared in _UNKNOWN_TYPES and suffix in _IMAGE_SUFFIXES):
        return FileKind.IMAGE
    if declared == "application/pdf" or suffix == "pdf":
        return FileKind.PDF
    if suffix in _TEXT_SUFFIXES or declared in _TEXT_TYPES or declared in _UNKNOWN_TYPES:
        return FileKind.TEXT
    is_text = declared.startswith("text/") or declared.endswith(("+json", "+xml"))
    return FileKind.TEXT if is_text and declared != "image/svg+xml" else FileKind.OTHER


def is_other_picture(attachment: AttachmentInfo) -> bool:
    """Return whether an attachment is a picture in a format that isn't read, such as a phone's HEIC."""
    return kind_of(attachment) is FileKind.OTHER and _declared(attachment).startswith("image/")


def _declared(attachment: AttachmentInfo) -> str:
    return (attachment.content_type or "").partition(";")[0].strip().lower()
