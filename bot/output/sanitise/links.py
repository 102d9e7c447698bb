"""Links as a reader should see them: the true address, never a mask, never an invite."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote, urlsplit

INVITE_REMOVED: Final = "(invite removed)"
REMOVED: Final = "(link removed)"
URL_CHARS: Final = 2048
"""Longest address that is looked at as a whole; Discord links none that is longer."""

_DOT: Final = r"(?:[.,。]|\s?[(\[]?(?:dot|[.,])[)\]]?\s?)"
_HOST: Final = (
    rf"(?:discord{_DOT}(?:gg|io|me|li|link)|(?:invite|dsc){_DOT}gg|(?<!\w)\.gg)(?:\s?/+\s?)"
)
_APP: Final = rf"discord(?:app)?{_DOT}com(?::\d+)?/+invite/+"
_INVITE: Final = re.compile(rf"(?:{_HOST}|{_APP})[\w\-]")
_INVITE_END: Final = re.compile(rf"(?:{_HOST}|discord(?:app)?{_DOT}com(?::\d+)?/+)\Z")
_DOTTED: Final = re.compile(r"(?<![\w\-])[\w\-]++(?:\.[\w\-]++)++")
_TOP_LEVEL: Final = re.compile(r"[a-z][a-z\-]+", re.IGNORECASE)
_HOST_ENDS: Final = frozenset("abcdefgeoikm0123456789)]\\")
"""What an invite's host, a port or an escape may end with."""

_FILE_ENDINGS: Final = frozenset(
    [
        *("c", "cc", "cfg", "conf", "cpp", "cs", "css", "csv", "go", "h", "html", "ini", "java"),
        *("js", "json", "jsx", "kt", "lock", "log", "lua", "md", "pdf", "php", "png", "py", "rb"),
        *("rs", "rst", "sh", "sql", "svg", "toml", "ts", "tsx", "txt", "xml", "yaml", "yml"),
    ]
)


def normalised(text: str) -> str:
    """Return text as a browser would read an address: unescaped, unified, in lower case."""
    plain = unquote(unquote(text)).replace("\\", "")
    return unicodedata.normalize("NFKC", plain).casefold().replace("。", ".")


def has_invite(text: str) -> bool:
    """Return whether a stretch of text names a Discord invite, in whatever spelling."""
    return bool(_INVITE.search(normalised(text)))


def may_begin_invite(text: str) -> bool:
    """Return whether text up to and with a slash may be the beginning of an invite."""
    last = text.rstrip("/ \n")[-1:]
    if last.isascii() and last.lower() not in _HOST_ENDS:
        return False
    return bool(_INVITE_END.search(normalised(text)))


def link_text(label: str, url: str, *, allow_invites: bool) -> str:
    """Return a masked link or image as plain text.

    Args:
        label: What the link would have shown.
        url: Where it leads.
        allow_invites: Whether invites may stay.
    """
    label = label.strip()
    url = url.strip()
    if not url.lower().startswith(("http://", "https://")):
        return label
    if not allow_invites and has_invite(url):
        return f"{label} {INVITE_REMOVED}".strip()
    if (
        not label
        or label == url
        or not any(map(str.isalnum, label))
        or _names_other_host(label, url)
    ):
        return url
    return f"{label} ({url})"


def _names_other_host(label: str, url: str) -> bool:
    named = _host_like(unicodedata.normalize("NFKC", label).lower())
    if not named:
        return False
    if named.rpartition(".")[2] in _FILE_ENDINGS and "://" not in label:
        return False
    return named != _host(url) or "://" in label


def _host_like(text: str) -> str:
    """Return the first stretch of text that reads like a host's name; empty without one."""
    for found in _DOTTED.finditer(text):
        labels = found[0].split(".")
        for index in range(len(labels) - 1, 0, -1):
            top = _TOP_LEVEL.match(labels[index])
            if top is not None:
                return ".".join([*labels[:index], top[0]])
    return ""


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
