"""Logging: one record a line, no secrets, and which question a line belongs to."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TextIO
from urllib.parse import unquote, urlsplit

from config.settings import Settings

HIDDEN: Final = "[hidden]"
"""What stands where a secret was."""

_QUIET: Final = (
    "discord.http",
    "discord.gateway",
    "discord.client",
    "discord.webhook",
    "aiohttp",
    "alembic",
)
"""At DEBUG these log every event and request verbatim: content, and webhook addresses. At INFO they
say what our own lines say too, in words for programmers."""

_SHAPES: Final = (
    # Discord: a bot token is the id in base64, a time and a signature, joined by dots.
    re.compile(r"[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}"),
    re.compile(r"(?<=/webhooks/)\d+/[A-Za-z0-9_.-]+"),
    re.compile(r"(?<=/interactions/)\d+/[A-Za-z0-9_.-]+"),
    # Lookbehind needs one width, so the scheme and what follows it are one alternative each.
    re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=:-]{6,}"),
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),
)

_CONTEXT: Final = ("question_id", "guild_id", "channel_id")
_question_id: ContextVar[int | None] = ContextVar("question_id", default=None)
_guild_id: ContextVar[int | None] = ContextVar("guild_id", default=None)
_channel_id: ContextVar[int | None] = ContextVar("channel_id", default=None)


@contextmanager
def log_context(
    *, question_id: int | None = None, guild_id: int | None = None, channel_id: int | None = None
) -> Iterator[None]:
    """Stamp every record of this task, and of tasks it starts, with these ids.

    Args:
        question_id: The question being worked on.
        guild_id: Its guild; ``None`` in a DM.
        channel_id: Its channel.
    """
    tokens = (_question_id.set(question_id), _guild_id.set(guild_id), _channel_id.set(channel_id))
    try:
        yield
    finally:
        _question_id.reset(tokens[0])
        _guild_id.reset(tokens[1])
        _channel_id.reset(tokens[2])


def current_question_id() -> int | None:
    """Return the question that the running task works on."""
    return _question_id.get()


class Redactor:
    """Replaces secrets in text: by value where they are known, by shape where not.

    Args:
        secrets: Values that must not appear; short ones (under 4 characters) are left to shapes,
            since they would hide half of every line.
    """

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        values = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, values))) if values else None

    def clean(self, text: str) -> str:
        """Return the text with every secret replaced."""
        if self._values is not None:
            text = self._values.sub(HIDDEN, text)
        for shape in _SHAPES:
            text = shape.sub(HIDDEN, text)
        return text


class _ContextFilter(logging.Filter):
    """Puts the ids of ``log_context`` on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.question_id = _question_id.get()
        record.guild_id = _guild_id.get()
        record.channel_id = _channel_id.get()
        return True


class _LineFormatter(logging.Formatter):
    """One line per record, redacted with its traceback and before any escaping hides a secret."""

    default_msec_format = "%s.%03d"

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._line(record, self._redactor.clean(_text(record)))

    def _line(self, record: logging.LogRecord, text: str) -> str:
        ids = "".join(
            f" {name.removesuffix('_id')}={value}" for name, value in _ids(record).items()
        )
        return escape(f"{self.formatTime(record)} {record.levelname:<7} {record.name}{ids}: {text}")


class _JsonFormatter(_LineFormatter):
    """One JSON object per line."""

    def _line(self, record: logging.LogRecord, text: str) -> str:
        content = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": text,
            **_ids(record),
        }
        return json.dumps(content, ensure_ascii=True)


def _is_of_interest(record: logging.LogRecord) -> bool:
    """Drop discord.py's advice to install what only voice needs."""
    return not (record.name == "discord.client" and "voice will NOT" in str(record.msg))


def escape(text: str) -> str:
    """Return text on one line: control and direction characters as backslash escapes."""
    if text.isprintable():
        return text
    return "".join(
        ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in text
    )


def set_up_logging(
    settings: Settings, *, at_least: str | None = None, stream: TextIO | None = None
) -> None:
    """Send all records of the process to one handler, as the settings say.

    Args:
        settings: Level and form, and the secrets to keep out.
        at_least: Another level, for commands whose own words must not drown in the log.
        stream: Where to; standard error when left out.
    """
    redactor = Redactor(secrets_of(settings))
    form = _JsonFormatter if settings.logging.json_lines else _LineFormatter
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(form(redactor))
    handler.addFilter(_ContextFilter())
    handler.addFilter(_is_of_interest)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(at_least or settings.logging.level)
    logging.captureWarnings(capture=True)
    least = max(logging.WARNING, root.level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(least)


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return every secret value of the settings, for redaction only."""
    held = (settings.discord.token, settings.lmstudio.api_token)
    values = [secret.get_secret_value() for secret in held if secret is not None]
    values += settings.lmstudio.api_tokens
    if settings.store.database_url and "@" in settings.store.database_url:
        password = urlsplit(settings.store.database_url).password or ""
        values += [settings.store.database_url, password, unquote(password)]
    return tuple(dict.fromkeys(value for value in values if value))


def _ids(record: logging.LogRecord) -> dict[str, int]:
    found = {name: getattr(record, name, None) for name in _CONTEXT}
    return {name: value for name, value in found.items() if value is not None}


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        text += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
    if record.stack_info:
        text += f"\n{record.stack_info}"
    return text
