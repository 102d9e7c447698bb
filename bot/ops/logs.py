"""Logging: one record a line, no secrets, and which question a line belongs to."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import traceback
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final, TextIO
from urllib.parse import unquote, urlsplit

from bot.core.errors import ConfigurationError
from bot.core.tasks import log_ids
from bot.core.wording import plain_reason
from config.settings import LoggingSettings, Settings

_log = logging.getLogger(__name__)

HIDDEN: Final = "[hidden]"
"""What stands where a secret was."""

_OURS: Final = ("bot", "cogs", "config")
"""Whose lines below WARNING are logged. At DEBUG the libraries write every event and request verbatim:
content, and webhook addresses. At INFO they say what our own lines say too, in words for programmers."""

_MIB: Final = 1024 * 1024
_MOST_CAUSES: Final = 8
_TELL_AGAIN_S: Final = 3600.0
"""Seconds between two lines that say that the file can't be written."""

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
        record.__dict__.update(zip(_CONTEXT, log_ids(), strict=True))
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
        if not _is_ours(record):
            text = f"{record.name.partition('.')[0]}: {text}"
        mark = f"{ids.lstrip()}: " if ids else ""
        return escape(f"{self.formatTime(record)} {record.levelname:<7} {mark}{text}")


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


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] in _OURS


def _is_of_interest(record: logging.LogRecord) -> bool:
    """Drop the libraries' small talk, and discord.py's advice to install what only voice needs."""
    if not _is_ours(record) and record.levelno < logging.WARNING:
        return False
    return not (record.name == "discord.client" and "voice will NOT" in str(record.msg))


class _StreamHandler(logging.StreamHandler[TextIO]):
    """Says nothing of a stream that takes no more: the terminal or pipe behind it is gone."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Drop the record; logging's own way writes the arguments out, unredacted."""


class _FileHandler(RotatingFileHandler):
    """A file that is put aside when it is full; says now and then while it can't be written.

    Nothing is lost then: each record goes to standard error, too.
    """

    def __init__(self, settings: LoggingSettings, path: Path) -> None:
        self._told_at = -math.inf
        super().__init__(
            path,
            maxBytes=settings.file_mib * _MIB,
            backupCount=settings.file_count - 1,
            encoding="utf-8",
            errors="backslashreplace",
        )

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Leave the record to standard error, and say so, without what it holds."""
        if record.created - self._told_at >= _TELL_AGAIN_S:
            self._told_at = record.created
            _log.error(
                "the log's file can't be written (%s), so lines go to standard error only: look at its "
                "disk and the permissions of its folder",
                plain_reason(sys.exception() or OSError()),
            )


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
    """Send all records of the process to standard error, and to a file too if the settings say so.

    Args:
        settings: Level and form, and the secrets to keep out.
        at_least: Another level, for commands whose own words must not drown in the log.
        stream: Where to, in standard error's place.

    Raises:
        ConfigurationError: The log's file can't be written.
    """
    redactor = Redactor(secrets_of(settings))
    form = _JsonFormatter if settings.logging.json_lines else _LineFormatter
    handlers: list[logging.Handler] = [_StreamHandler(stream or sys.stderr)]
    if settings.logging.file is not None and at_least is None:
        handlers.append(_open_file(settings.logging, settings.logging.file))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        if isinstance(old, _FileHandler):
            old.close()
    for handler in handlers:
        handler.setFormatter(form(redactor))
        handler.addFilter(_ContextFilter())
        handler.addFilter(_is_of_interest)
        root.addHandler(handler)
    root.setLevel(at_least or settings.logging.level)
    logging.captureWarnings(capture=True)


def _open_file(settings: LoggingSettings, path: Path) -> logging.Handler:
    try:
        return _FileHandler(settings, path)
    except OSError as exc:
        raise ConfigurationError(
            f"CLAWBOT_LOGGING__FILE: the log can't be written there ({plain_reason(exc)}); "
            "write a file in a folder that exists and may be written to"
        ) from exc


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return every secret value of the settings, for redaction only."""
    held = (settings.discord.token, settings.discord.proxy, settings.lmstudio.api_token)
    values = [secret.get_secret_value() for secret in held if secret is not None]
    if settings.discord.proxy is not None:
        password = urlsplit(settings.discord.proxy.get_secret_value()).password or ""
        values += [password, unquote(password)]
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
    if record.name == "asyncio":
        text = text.partition("\n")[0]  # the lines below show what a task's failure held
    if record.exc_info and record.exc_info[1] is not None:
        text += "\n" + "\n".join(_failure(record.exc_info[1]))
    if record.stack_info:
        text += f"\n{record.stack_info}"
    return text


def _failure(exc: BaseException, depth: int = 0) -> list[str]:
    """Return where a failure was and of what kind it is, with what led to it.

    What it says of itself is left out, whoever raised it: it may hold words of people or of a model.
    """
    lines = []
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    if cause is not None and depth < _MOST_CAUSES:
        lines += [*_failure(cause, depth + 1), "led to:"]
    lines += [part.rstrip() for part in traceback.format_tb(exc.__traceback__)]
    lines.append(f"{type(exc).__qualname__} ({plain_reason(exc)})")
    if isinstance(exc, BaseExceptionGroup) and depth < _MOST_CAUSES:
        for inner in exc.exceptions:
            lines += ["together with:", *_failure(inner, depth + 1)]
    return lines
