"""The forms in which our own words stand among people's words in a prompt.

Whatever the bot adds to a person's text (who wrote it and when, what it replies to, where a file
begins and ends) stands between two marks that no text of a person or of the model can hold: they are
replaced there by ordinary brackets. So nobody can write a header or a frame, and a prompt can be
parsed back into exactly who said what. The grammar of a user turn::

    turn     = message *( newline message )
    message  = [ header " " ] body
    header   = "⟦" ( stamp | [ stamp ", " ] "from " name ) "⟧"
    body     = text and frames, in any order
    frame    = "⟦" words "⟧"                 a note, a picture, a quote
             | "⟦" label "⟧" text "⟦end of the " label "⟧"    a file, a forwarded message, ...

A message without a header goes on with what the person before it said; at the very beginning it is
the first person's. Names and labels are one line each, and a stamp holds no letters before a comma
but those of a weekday, so that each form is read in one way only.
"""

from __future__ import annotations

import re
from typing import Final

from bot.core.wording import counted

OPEN: Final = "⟦"
CLOSE: Final = "⟧"

HEADER: Final = re.compile(
    "⟦(?:(?P<stamp>[A-Z][a-z]{5,8} [0-9: UTC-]{10,20})(?:, )?)?(?:from (?P<name>[^⟦⟧\n]{1,48}))?⟧ ?"
)
"""A header, also where a model has copied one into its answer."""

EXPLAINED: Final = (
    "What stands between ⟦ and ⟧ was put there by the chat program: who wrote a message, files, "
    "quotes. People can't write these marks. Don't write them, nor your name in front of an answer."
)
"""Told to the model once, in the system prompt."""

ANSWER_IN: Final = "Answer in this language, whatever language the question is in: {language}."

_PLAIN: Final = str.maketrans("⟦〚⟬〘⁅❲⦋⟧〛⟭〙⁆❳⦌", "[" * 7 + "]" * 7)
"""The marks and the pairs that look like them."""


def plain(text: str) -> str:
    """Return a text of people or of the model without the marks."""
    return text if text.isascii() else text.translate(_PLAIN)


def note(words: str) -> str:
    """Return a remark of our own; everything of other people's in it must be ``plain``."""
    return f"{OPEN}{words}{CLOSE}"


def header(name: str | None, stamp: str) -> str:
    """Return what a message begins with that says something of its writer.

    Args:
        name: The writer's name, one line, where it is to be shown.
        stamp: When it was sent; empty where that isn't shown.
    """
    words = ", ".join(part for part in (stamp, f"from {name}" if name else "") if part)
    return f"{note(words)} "


def opening(label: str) -> str:
    """Return the beginning of a piece of text that isn't the writer's own."""
    return f"{note(label)}\n"


def ending(label: str) -> str:
    """Return the end of such a piece."""
    return f"\n{note(f'end of the {label}')}"


def quote(name: str, text: str) -> str:
    """Return what a message replies to, before the reply."""
    return note(f'in reply to {name}: "{text}"') + "\n"


def left_out(chars: int) -> str:
    """Return the remark that stands for what didn't fit."""
    return note(f"… {counted(chars, 'character')} left out")


MISSING_START: Final = note("the beginning of this conversation is missing")
EMPTY_MESSAGE: Final = note("a message without text")
ONLY_MENTION: Final = note("only a mention, no words")
WITHHELD: Final = note("a message whose writer doesn't want others' questions to read it")
FORWARD: Final = "forwarded message"
EMBED: Final = "embedded text"
POLL: Final = "poll"
SUMMARY: Final = "summary of earlier messages, written by you"
TRANSCRIPT: Final = "messages of this channel"
