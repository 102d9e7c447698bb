"""The bot's own words around an answer, and how to take them out of it again.

Everything the bot posts that isn't the model's text follows one of two conventions:

- quiet lines (footers, stage lines, hints) begin with ``-# ``, Discord's subtext markup;
- a message that is a notice as a whole (a failure, a refusal) begins with ``NOTICE_MARK``.

A model may write either of them too. So the journal records what the bot itself has put into a
message, and only that is taken out when the message is read back as part of a conversation. Where
nothing is recorded, only what can't be anything else is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from bot.core.errors import BotError
from bot.core.fences import open_fence

QUIET_PREFIX: Final = "-# "
"""Begins every quiet line (Discord: Markdown, subtext)."""

NOTICE_MARK: Final = "⚠️ "
"""Begins every message that is a notice instead of an answer."""

STAGE_PREFIX: Final = "-# ⏳ "
"""Begins a stage line, which is a message of its own."""

FILE_LINE: Final = "-# This is the first part; the whole answer ("
"""Begins the line that stands above an answer's file."""

_FIGURES: Final = frozenset(
    {"tokens", "tokens/s", "of tokens of context", "about tokens of prompt"}
)
SUMMED_UP: Final = " and a summary of earlier ones"

LOST: Final = "I was stopped while I wrote this, and have lost the rest. If no answer follows, please ask again."
"""Ends an answer that was being written when the database was lost."""

_HISTORY: Final = frozenset(
    f"Using the last {what}{summary}."
    for what in (
        "messages",
        "of messages",
        "messages of this long conversation",
        "message of this long conversation",
    )
    for summary in ("", SUMMED_UP)
)
"""What quiet lines are without their numbers: parts of the footer, and the line on what was cut."""


def notice(text: str) -> str:
    """Return a sentence as a notice message."""
    return NOTICE_MARK + text


def may_hold_own_lines(text: str) -> bool:
    """Return whether a message of the bot has anything that looks like the bot's own words."""
    return text.startswith((NOTICE_MARK.rstrip(), QUIET_PREFIX)) or f"\n{QUIET_PREFIX}" in text


def without(text: str, own_lines: str) -> str:
    """Return the model's words of a message.

    A last line that the model wrote itself, word for word like a recorded one, goes with it.

    Args:
        text: Content of one of the bot's own messages.
        own_lines: The bot's own lines in that answer, as recorded: the last message ends with them, or
            with the last of them.
    """
    lines, own = text.strip().split("\n"), own_lines.split("\n")
    while lines and own and lines[-1].rstrip() == own[-1].rstrip():
        lines.pop()
        own.pop()
    return "\n".join(lines).strip()


def without_known(text: str) -> str:
    """Return the model's words of a message that nothing is recorded of.

    Only what no model writes is taken out: a stage line, the footer, the line above a file, and a
    notice with a sentence from the table of failures.
    """
    text = text.strip()
    if text.startswith(STAGE_PREFIX) and "\n" not in text:
        return ""
    if text.startswith(NOTICE_MARK):
        return "" if _first_sentence(text.removeprefix(NOTICE_MARK)) in _failures() else text
    lines = text.split("\n")
    while lines and _is_ours(lines[-1].rstrip()):
        lines.pop()
    return "\n".join(lines).strip()


def _is_ours(line: str) -> bool:
    """Return whether a last line is the one above a file, the figures of a run, or what was cut."""
    if not line.startswith(QUIET_PREFIX):
        return False
    if line.startswith(FILE_LINE):
        return True
    words = line.removeprefix(QUIET_PREFIX)
    return (
        words == LOST
        or _numberless(words) in _HISTORY
        or any(_numberless(part) in _FIGURES for part in words.split(" · "))
    )


def _numberless(text: str) -> str:
    """Return a text without its numbers; as it is where it has none."""
    bare = "".join(" " if char.isdigit() or char == "," else char for char in text)
    return " ".join(bare.split()) if bare != text else f"no number: {text}"


@cache
def _failures() -> frozenset[str]:
    """Return how the sentences about failures begin; their advice may differ by version."""

    def kinds(kind: type[BotError]) -> Iterator[type[BotError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from kinds(each)

    return frozenset(_first_sentence(kind.user_text) for kind in kinds(BotError))


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")


def join_chunks(chunks: list[str]) -> str:
    """Put the messages of one answer together again.

    A code block that was closed at the end of one message and opened again in the next becomes one
    block, as the model wrote it.
    """
    parts: list[str] = []
    before = ""
    for chunk in filter(None, chunks):
        first, _, rest = chunk.partition("\n")
        body = before[:-3].rstrip("\n")
        is_cut = before.endswith("```") and first.startswith("```") and rest
        fence = open_fence(body) if is_cut else None
        if fence is not None and fence.opening.strip() == first.strip():
            parts[-1] = parts[-1][:-3].rstrip("\n")
            parts += ("\n", rest)
        elif before:
            parts += ("\n\n" if before[-1] in ".!?:…。！？`*\n" else "\n", chunk)
        else:
            parts.append(chunk)
        before = chunk
    return "".join(parts)
