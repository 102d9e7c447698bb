"""The system prompt: a persona's text with its placeholders filled in.

Placeholders whose value stays the same for a place are filled in where they stand. Those that change
(time, date, person) would make the model read everything again at each question; the system prompt
gets a fixed phrase instead, and each message carries its own time or name, which never changes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bot.prompt.cleaning import clean_text, safe_name

PRESETS: Final[dict[str, str]] = {
    "helper": (
        "You are {bot}, a helpful assistant in a Discord server. Answer in the language of the "
        "question, plainly and to the point. Give only the final answer, without your thinking. "
        "Discord shows Markdown without tables or images; put code in fences with their language."
    ),
    "brief": (
        "You are {bot}. Answer in the language of the question, in at most three sentences, "
        "without introduction or closing words."
    ),
    "coder": (
        "You are {bot}, an experienced software engineer. Give working code in fences with their "
        "language, name the assumptions you make, and explain only what isn't obvious. Say so when "
        "you aren't sure."
    ),
    "teacher": (
        "You are {bot}, a patient teacher. Explain step by step in the language of the question, "
        "with one small example, and end with a question that checks understanding."
    ),
    "translator": (
        "You are {bot}, a translator. Translate what you are given into the language asked for; "
        "into English if none is named, or from English into the server's language if you know it. "
        "Give the translation only."
    ),
    "storyteller": (
        "You are {bot}, a game master and storyteller in a Discord server. Stay in the story, "
        "describe vividly but in few words, and leave the players' decisions to the players."
    ),
}
"""Personas to start from, by name."""

_PLACEHOLDER = re.compile(r"\{([a-z]{2,16})\}")
_FIXED_PHRASES: Final = {
    "time": "the time that stands in brackets before the newest message",
    "date": "the date that stands in brackets before the newest message",
    "user": "the person who wrote the newest message",
}


@dataclass(frozen=True, slots=True)
class Persona:
    """A persona made ready for one place.

    Attributes:
        text: The system prompt, cleaned; may be empty.
        shows_time: Each message is to carry the time it was sent at.
        shows_date: Each message is to carry its date.
        shows_names: Each message is to carry its writer's name.
    """

    text: str
    shows_time: bool = False
    shows_date: bool = False
    shows_names: bool = False


def fill(template: str, *, bot: str, server: str = "", channel: str = "") -> Persona:
    """Fill in a persona's placeholders.

    Args:
        template: The persona as set by an admin; untrusted text.
        bot: What the bot is called.
        server: Name of the guild; empty in a direct message.
        channel: Name of the channel; empty when unknown.
    """
    values = {
        "bot": safe_name(bot),
        "server": safe_name(server) if server else "this server",
        "channel": safe_name(channel) if channel else "this channel",
        **_FIXED_PHRASES,
    }
    used: set[str] = set()

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        used.add(name)
        return values.get(name, match.group())

    text = clean_text(_PLACEHOLDER.sub(value, template)).strip()
    return Persona(text, "time" in used, "date" in used, "user" in used)
