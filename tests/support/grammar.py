"""Reads a prompt back by the grammar of ``bot.core.frames``, without knowing how it was written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bot.core.domain import ChatTurn, Role

_FRAME = re.compile(r"⟦([^⟦⟧]*)⟧")
_SPEAKER = re.compile(r"(?:([A-Z][a-z]+day [0-9: UTC-]+)(?:, |$))?(?:from ([^\n]+))?")
_QUOTE = re.compile(r'in reply to ([^\n]+?): "(.*)"', re.DOTALL)


@dataclass
class Said:
    """What one person said in a row.

    Attributes:
        name: As shown; empty for the first person of a prompt that shows no names yet.
        words: The person's own words.
        pieces: Label and text of what isn't.
        quotes: Name and text of what is replied to.
        notes: Our remarks.
    """

    name: str
    words: str = ""
    pieces: list[tuple[str, str]] = field(default_factory=list)
    quotes: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_prompt(turns: Iterable[ChatTurn]) -> list[Said]:
    """Return who said what in the user turns of a prompt, in order; a turn's end ends a row."""
    found: list[Said] = []
    for turn in turns:
        if turn.role is Role.USER:
            found.extend(read_turn(turn.text))
    return found


def read_turn(text: str) -> list[Said]:
    """Return who said what in one user turn."""
    return list(_read(_tokens(text)))


def _tokens(text: str) -> Iterator[tuple[bool, str]]:
    """Yield text and the words of frames, in turn."""
    for index, part in enumerate(_FRAME.split(text)):
        yield index % 2 == 1, part


def _read(tokens: Iterator[tuple[bool, str]]) -> Iterator[Said]:
    said = Said("")
    for is_frame, part in tokens:
        if not is_frame:
            said.words = "\n".join(w for w in (said.words, part.strip("\n ")) if w)
            continue
        speaker, quote = _SPEAKER.fullmatch(part), _QUOTE.fullmatch(part)
        if speaker and any(speaker.groups()):
            name = speaker.group(2) or said.name
            if name != said.name:
                if said != Said(""):
                    yield said
                said = Said(name)
        elif quote:
            said.quotes.append((quote.group(1), quote.group(2)))
        elif part.startswith(("file ", "forwarded", "embedded")) and ": " not in part:
            said.pieces.append((part, _piece(part, tokens, said)))
        else:
            said.notes.append(part)
    yield said


def _piece(label: str, tokens: Iterator[tuple[bool, str]], said: Said) -> str:
    """Return the text up to the end of a piece."""
    text = ""
    for is_frame, part in tokens:
        if is_frame and part == f"end of the {label}":
            break
        if is_frame:
            said.notes.append(part)
        else:
            text += part
    return text.strip("\n")
