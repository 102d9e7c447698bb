"""Links as a reader should see them: the true address, never a mask, never an invite.

Also what is read of the forms that hold them: Discord's own ``<…>``, images written as HTML, and
what begins with a bracket. The latter is hand-written where a pattern would have to backtrack:
nothing is looked at more often than a fixed number of times, whatever stands in the text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from bot.output.markup import prefixes

INVITE_REMOVED: Final = "(invite removed)"
REMOVED: Final = "(link removed)"
URL_CHARS: Final = 2048
"""Longest address that is looked at as a whole; Discord links none that is longer."""

_DOT: Final = r"(?:[.,。]|\s?[(\[]?(?:dot|[.,])[)\]]?\s?)"
_PORT: Final = r"\.?(?::\d{0,5})?"
_HOST: Final = (
    rf"(?:discord{_DOT}(?:gg|io|me|li|link)|(?:invite|dsc){_DOT}gg|(?<!\w)\.gg){_PORT}(?:\s?/+\s?)"
)
_APP: Final = rf"discord(?:app)?{_DOT}com{_PORT}/+invite/+"
_DOT_SEGMENTS: Final = re.compile(r"/(?:[^\s/.]{1,40}+/\.)?+\.(?=/)")
"""Parts of a path that browsers take out before they ask for it."""

_INVITE: Final = re.compile(rf"(?:{_HOST}|{_APP})[\w\-]")
_INVITE_END: Final = re.compile(rf"(?:{_HOST}|discord(?:app)?{_DOT}com{_PORT}/+)\Z")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.\-]{0,32}+:|[^\w./#?~\-]", re.IGNORECASE)
"""Where an address leads out of the page; without one it is a path beside it, a place in it, or odd."""

_DOTTED: Final = re.compile(r"(?<![\w\-])[\w\-]++(?:\.[\w\-]++)++")
_TOP_LEVEL: Final = re.compile(r"[a-z][a-z\-]+", re.IGNORECASE)
_HOST_ENDS: Final = frozenset("abcdefgeoikm0123456789:)]\\")
"""What an invite's host, a port or an escape may end with."""

_FILE_ENDINGS: Final = frozenset(
    [
        *("c", "cc", "cfg", "conf", "cpp", "cs", "css", "csv", "go", "h", "html", "ini", "java"),
        *("js", "json", "jsx", "kt", "lock", "log", "lua", "md", "pdf", "php", "png", "py", "rb"),
        *("rs", "rst", "sh", "sql", "svg", "toml", "ts", "tsx", "txt", "xml", "yaml", "yml"),
    ]
)


_TOP_LEVELS: Final = frozenset(
    [
        *(
            "com",
            "net",
            "org",
            "info",
            "biz",
            "edu",
            "gov",
            "int",
            "mil",
            "dev",
            "app",
            "xyz",
            "top",
        ),
        *(
            "online",
            "site",
            "shop",
            "store",
            "club",
            "live",
            "link",
            "click",
            "cloud",
            "tech",
            "page",
        ),
        *(
            "space",
            "website",
            "world",
            "today",
            "support",
            "help",
            "chat",
            "games",
            "fun",
            "pro",
            "icu",
        ),
        *("example", "gift", "gifts", "name", "mobi", "asia", "work", "zip", "mov"),
    ]
)
"""Of the ends of hosts' names, those that are used most; a name in code may end with any other word."""

PLAIN_SCHEMES: Final = frozenset(
    [
        *(
            "ftp",
            "ftps",
            "sftp",
            "ssh",
            "git",
            "svn",
            "ws",
            "wss",
            "http2",
            "grpc",
            "tcp",
            "udp",
            "unix",
        ),
        *(
            "postgres",
            "postgresql",
            "mysql",
            "mariadb",
            "mongodb",
            "redis",
            "rediss",
            "sqlite",
            "mssql",
        ),
        *(
            "sqlserver",
            "oracle",
            "clickhouse",
            "cassandra",
            "neo4j",
            "bolt",
            "memcached",
            "odbc",
            "duckdb",
        ),
        *(
            "amqp",
            "amqps",
            "mqtt",
            "mqtts",
            "nats",
            "kafka",
            "s3",
            "gs",
            "ldap",
            "ldaps",
            "irc",
            "ircs",
        ),
        *(
            "rtsp",
            "rtmp",
            "imap",
            "smtp",
            "pop3",
            "stun",
            "turn",
            "socks4",
            "socks5",
            "docker",
            "oci",
        ),
    ]
)
"""Schemes of programs' addresses, which no client of Discord makes a link of."""


def normalised(text: str) -> str:
    """Return text as a browser would read an address: unescaped, unified, in lower case.

    Where it holds percent signs, it stands there twice, as it is and unescaped.
    """
    plain = f"{text}\n\n{unquote(unquote(text))}" if "%" in text else text
    plain = unicodedata.normalize("NFKC", plain.replace("\\", "")).casefold().replace("。", ".")
    return _DOT_SEGMENTS.sub("", plain)


def has_invite(text: str) -> bool:
    """Return whether a stretch of text names a Discord invite, in whatever spelling."""
    # Browsers read a backslash in an address as a slash, and Discord as an escape.
    forms = (text, text.replace("\\", "/")) if "\\" in text else (text,)
    return any(_INVITE.search(normalised(form)) for form in forms)


def may_begin_invite(text: str) -> bool:
    """Return whether text up to and with a slash may be the beginning of an invite."""
    last = text.rstrip("/ \n")[-1:]
    if last.isascii() and last.lower() not in _HOST_ENDS:
        return False
    return bool(_INVITE_END.search(normalised(text)))


def is_path(address: str) -> bool:
    """Return whether an address leads to something beside or in its own page, and to no host."""
    return _SCHEME.match(address.strip()) is None


def link_text(label: str, url: str, *, allow_invites: bool) -> str:
    """Return a masked link or image as plain text.

    Args:
        label: What the link would have shown.
        url: Where it leads.
        allow_invites: Whether invites may stay.
    """
    label = label.strip()
    url = url.strip()
    is_beside = is_path(url)
    if not is_beside and not url.lower().startswith(("http://", "https://")):
        return label
    if is_beside and (url.startswith("#") or url.removeprefix("./") == label.strip("`")):
        return label
    if not allow_invites and has_invite(url):
        return f"{label} {INVITE_REMOVED}".strip()
    if not is_beside and (
        not label
        or label == url
        or not any(map(str.isalnum, label))
        or _names_other_host(label, url)
    ):
        return url
    return f"{label} ({url})" if label and url else label


def _names_other_host(label: str, url: str) -> bool:
    named = _host_like(unicodedata.normalize("NFKC", label).lower())
    top = named.rpartition(".")[2]
    if not named or (label[0] == label[-1] == "`" and len(top) > 2 and top not in _TOP_LEVELS):
        return False
    if top in _FILE_ENDINGS and "://" not in label:
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


ANGLE_CHARS: Final = 700
"""How much of a text is looked at from its ``<`` on, in characters."""

ANGLE_STARTS: Final = frozenset(["", *"@#/:aAcCfFiImMsStT"])
"""What may follow the ``<`` of a form; nothing, while no more has come."""

ANGLE: Final = re.compile(
    r"<(?:(?P<sigil>@[!&]?|#)(?=\d)|/(?P<command>[\w\- ]{1,100}):\d{1,32}+>"
    r"|id:(?P<place>[\w\-:]{1,100}+)>"
    r"|(?:tel|mailto|sms|callto|facetime):(?P<contact>[^<>\s]{0,400}+)>"
    r"|(?P<emoji>a?:\w{1,32}:\d{1,22}>)|img\b(?P<image>[^<>]{0,600})>)",
    re.IGNORECASE,
)
"""A form that is whole."""

_PARTIAL: Final = re.compile(
    r"<(?:@[!&]?|#|/[\w\- ]{0,100}(?::\d{0,32})?|id:[\w\-:]{0,100}"
    r"|(?:tel|mailto|sms|callto|facetime):[^<>\s]{0,400}"
    r"|a?:\w{0,32}(?::\d{0,22})?|img\b[^<>]{0,600})?\Z",
    re.IGNORECASE,
)
_WORDS: Final = prefixes(
    f"<{word}:" for word in ("id", "tel", "mailto", "sms", "callto", "facetime", "a", "img")
)
_ATTRIBUTE: Final = re.compile(
    r"\b(src|alt)\s{0,80}+=\s{0,80}+(?:\"([^\"]{0,600}+)\"|'([^']{0,600}+)'|(\S{1,600}+))",
    re.IGNORECASE,
)


def may_become_angle(text: str) -> bool:
    """Return whether more characters could turn this whole text into one form."""
    return _PARTIAL.match(text) is not None or text.lower() in _WORDS


def angle_text(found: re.Match[str], *, allow_invites: bool) -> str:
    """Return a command, place, contact or image as plain text; empty where it is text already."""
    if found["image"] is not None:
        values = {
            m[1].lower(): m[2] or m[3] or m[4] or "" for m in _ATTRIBUTE.finditer(found["image"])
        }
        address = values.get("src", "").strip()
        if is_path(address):
            return ""  # a part of somebody's page, which leads nowhere
        return link_text(values.get("alt", ""), address, allow_invites=allow_invites)
    command, place, contact = found["command"], found["place"], found["contact"]
    return str(f"/{command}" if command else f"id:{place}" if place else contact)


BRACKET_CHARS: Final = URL_CHARS + 400
"""How much of a text is looked at from its bracket on, in characters."""

_LABEL: Final = re.compile(r"!?\[((?:[^\[\]\n\\]|\\.){0,300}+)")
_BLANKS: Final = re.compile(r"[ \t]*+")
_RUN: Final = re.compile(r"[^\s()<>]*+")
_IN_ANGLES: Final = re.compile(rf"<([^<>\n]{{0,{URL_CHARS}}}+)>")
_TITLE_AND_END: Final = re.compile(
    rf"(?:[ \t]{{1,80}}+[\"'(][^\"'()\n]{{0,{URL_CHARS}}}+[\"')])?+[ \t]{{0,80}}+\)"
)
_NAME: Final = re.compile(r"\[([^\[\]\n]{0,80}+)\]")
_NAME_PARTIAL: Final = re.compile(r"\[[^\[\]\n]{0,80}+\Z")
_DEFINED: Final = re.compile(r":[ \t]{0,80}+(?=<?(?:https?:|www\.|[/#]|\w{1,32}://))")
_DEFINED_PARTIAL: Final = re.compile(r":[ \t]{0,80}+<?+\w{0,12}+(?::/?+)?+\Z")
_ARGUMENT: Final = re.compile(r"\w{1,80}+")
"""No address: a call of what an index gives, ``handlers[name](value)``."""
_PARENTHESIS: Final = re.compile(r"[()]")
_DEFINED_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class Bracket:
    """What a bracket turned out to begin.

    Attributes:
        end: Where it ends in the text that was read.
        label: What stands in the first brackets.
        address: Where a link or an image leads; ``None`` for the other two.
        name: What a reference names; ``None`` for the others.
    """

    end: int
    label: str
    address: str | None = None
    name: str | None = None


def may_begin_bracket(text: str, start: int) -> bool:
    """Return whether the brackets at a place close, as far as the text has come."""
    label = _LABEL.match(text, start)
    return label is not None and text[label.end() : label.end() + 1] in {"", "]", "\\"}


def read_bracket(text: str) -> Bracket | None:
    """Return what begins at the start of a text with ``[`` or ``![``; ``None`` when it is nothing."""
    label = _LABEL.match(text)
    if label is None or not text.startswith("]", label.end()):
        return None
    after = label.end() + 1
    if text.startswith("(", after):
        return _link(text, label[1], after + 1)
    if reference := _NAME.match(text, after):
        return Bracket(reference.end(), label[1], name=reference[1])
    is_name = text[0] == "[" and 0 < len(label[1]) <= _DEFINED_CHARS
    if is_name and (defined := _DEFINED.match(text, after)):
        return Bracket(defined.end(), label[1])
    return None


def _link(text: str, label: str, start: int) -> Bracket | None:
    """Read the address of a link from behind its parenthesis on, and an optional title."""
    start = _end(_BLANKS, text, start)
    if angles := _IN_ANGLES.match(text, start):
        address, after = angles[1], angles.end()
    else:
        after = _end(_RUN, text, start)
        while text.startswith("(", after):
            inner = _end(_RUN, text, after + 1)
            if not text.startswith(")", inner):
                break
            after = _end(_RUN, text, inner + 1)
        address = text[start:after]
    closing = _TITLE_AND_END.match(text, after)
    if closing is None or _ARGUMENT.fullmatch(address):
        return None
    return Bracket(closing.end(), label, address=address)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start


def may_become_bracket(text: str) -> bool:
    """Return whether more characters could turn this whole text into what ``read_bracket`` reads."""
    label = _LABEL.match(text)
    if label is None:
        return False
    rest = text[label.end() :]
    if rest in {"", "\\", "]"}:
        return True
    if rest[0] != "]":
        return False
    if rest[1] == "(":
        return "\n" not in rest and not _closes(rest[2:])
    return bool(_NAME_PARTIAL.match(rest, 1) or _DEFINED_PARTIAL.match(rest, 1))


def _closes(text: str) -> bool:
    """Return whether a parenthesis closes that wasn't opened right before."""
    is_open = False
    for found in _PARENTHESIS.finditer(text):
        if found[0] == ")" and not is_open:
            return True
        is_open = found[0] == "("
    return False
