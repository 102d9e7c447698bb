"""The bot's own words around an answer, and how to tell them from the answer itself.

Everything the bot posts that isn't the model's text follows one of two conventions, so that it can
be taken out again when the message is read back as part of a conversation:

- quiet lines (footers, stage lines, hints) begin with ``-# ``, Discord's subtext markup;
- a message that is a notice as a whole (a failure, a refusal) begins with ``NOTICE_MARK``.
"""

from __future__ import annotations

from typing import Final

QUIET_PREFIX: Final = "-# "
"""Begins every quiet line (Discord: Markdown, subtext)."""

NOTICE_MARK: Final = "⚠️ "
"""Begins every message that is a notice instead of an answer."""

_NOTICE_CHARS = 600
"""A longer message is an answer that happens to begin with a warning sign."""


def notice(text: str) -> str:
    """Return a sentence as a notice message."""
    return NOTICE_MARK + text


def strip_chrome(text: str) -> str:
    """Return only the model's words of a message that the bot posted.

    Quiet lines outside of code blocks are removed; a notice has no words of the model at all.

    Args:
        text: Content of one of the bot's own messages.
    """
    if text.startswith(NOTICE_MARK.rstrip()) and len(text) <= _NOTICE_CHARS:
        return ""
    if QUIET_PREFIX not in text:
        return text.strip()
    kept: list[str] = []
    in_code = False
    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        if in_code or not line.startswith(QUIET_PREFIX):
            kept.append(line)
    return "\n".join(kept).strip()


def join_chunks(chunks: list[str]) -> str:
    """Put the messages of one answer together again.

    A code block that was closed at the end of one message and opened again in the next becomes one
    block, as the model wrote it.
    """
    whole = ""
    for chunk in chunks:
        whole = _joined(whole, chunk) if whole else chunk
    return whole


def _joined(before: str, after: str) -> str:
    first, _, rest = after.partition("\n")
    if before.endswith("```") and first.startswith("```") and rest:
        body = before[:-3].rstrip("\n")
        opening = _open_fence(body)
        if opening is not None and opening == first.strip():
            return f"{body}\n{rest}"
    glue = "\n\n" if before[-1:] in ".!?:…。！？`*\n" else "\n"
    return before + glue + after


def _open_fence(text: str) -> str | None:
    """Return the opening line of the code block that is still open at the end of a text."""
    opening: str | None = None
    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            opening = line.strip() if opening is None else None
    return opening
