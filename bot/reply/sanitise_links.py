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
_HOST_LIKE: Final = re.compile(r"(?:[\w\-]+\.)+([a-z][a-z\-]+)", re.IGNORECASE)
_FILE_ENDINGS: Final = frozenset(
    [
        *("c", "cc", "cfg", "conf", "cpp", "cs", "css", "csv", "go", "h", "html", "ini", "java"),
        *("js", "json", "jsx", "kt", "lock", "log", "lua", "md", "pdf", "php", "png", "py", "rb"),
        *("rs", "rst", "sh", "sql", "svg", "toml", "ts", "tsx", "txt", "xml", "yaml", "yml"),
    ]
)
_PUNCTUATION: Final = re.compile(r"[\W_]*\Z")


def normalised(text: str) -> str:
    """Return text as a browser would read an address: unescaped, unified, in lower case."""
    plain = unquote(unquote(text)).replace("\\", "")
    return unicodedata.normalize("NFKC", plain).casefold().replace("。", ".")


def has_invite(text: str) -> bool:
    """Return whether a stretch of text names a Discord invite, in whatever spelling."""
    return bool(_INVITE.search(normalised(text)))


def may_begin_invite(text: str) -> bool:
    """Return whether text up to and with a slash may be the beginning of an invite."""
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
    if not label or label == url or _PUNCTUATION.match(label) or _names_other_host(label, url):
        return url
    return f"{label} ({url})"


def _names_other_host(label: str, url: str) -> bool:
    found = _HOST_LIKE.search(unicodedata.normalize("NFKC", label))
    if found is None:
        return False
    if found[1].lower() in _FILE_ENDINGS and "://" not in label:
        return False
    return bool(found[0].lower() != _host(url)) or "://" in label


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
