"""What was pasted in the place of a bot token, told by its shape; Discord alone judges a token."""

from __future__ import annotations

import re
from typing import Final

_PORTAL: Final = "copy the bot token from the Developer Portal, page Bot, Reset Token"
_SHAPES: Final = (
    (
        re.compile(r"(?i)(?:bot|bearer|token)[\s:]++\S+"),
        "begins with a word that isn't part of it: leave that out, only the token belongs here",
    ),
    (re.compile(r"\d{15,20}"), f"is the application's id, not its bot token; {_PORTAL}"),
    (re.compile(r"[0-9a-f]{64}"), f"is the application's public key, not its bot token; {_PORTAL}"),
    (re.compile(r"[\w-]{32}"), f"looks like the client secret, not the bot token; {_PORTAL}"),
)
_LEAST_CHARS: Final = (18, 4, 20)
"""Of the three parts of a token; those of today have about 26, 6 and 38."""

_WRAPPERS: Final = frozenset("\"'`<>()[]{}“”„‘’«»")
_PLACEHOLDER_WORDS: Final = re.compile(
    r"(?i)your|token|here|change|replace|paste|insert|placeholder|example|secret|todo|xxx|\*\*\*"
)


def mistaken_token(token: str) -> str | None:
    """Return what is wrong with a token by its looks; ``None`` where it may be a real one.

    A real one is the bot's id in base64, a time and a signature, joined by two dots (Discord:
    reference, authentication); the other shapes are the Developer Portal's.

    Args:
        token: As configured.
    """
    text = token.strip()
    if text.startswith("DISCORD_TOKEN"):
        return "holds its own name once more: only the token belongs behind the first ="
    if text.count(".") == 2 and {text[0], text[-1]} & _WRAPPERS:
        return "has quotes or brackets around it: leave them out"
    for shape, problem in _SHAPES:
        if shape.fullmatch(text):
            return problem
    parts = text.split(".")
    if len(parts) == 3 and len(text.split()) > 1:
        return f"has a space in it, and no token has; {_PORTAL}"
    if len(parts) == 3 and all(map(int.__ge__, map(len, parts), _LEAST_CHARS)):
        return None
    if _PLACEHOLDER_WORDS.search(text):
        return f"holds a placeholder, not a token; {_PORTAL}"
    if len(text) < 24 or " " in text or len(parts) == 3:
        return f"isn't a whole bot token, which has three parts joined by dots; {_PORTAL}"
    return None


def refused_token(token: str) -> str:
    """Return the sentence on a token that Discord refused, with the mistake where one shows.

    Args:
        token: As configured.
    """
    mistake = mistaken_token(token)
    what = f"DISCORD_TOKEN {mistake}" if mistake else "It was reset or mistyped; " + _PORTAL
    return f"Discord refused the bot token. {what}."
