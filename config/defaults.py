"""Values of settings that others need, too, each with its unit and where it comes from."""

from __future__ import annotations

from typing import Final

DISCORD_API_BASE: Final = "https://discord.com/api/v10"
"""Discord's REST API, version 10."""

LMSTUDIO_BASE_URL: Final = "http://127.0.0.1:1234"
"""LM Studio's own default port; an address, since ``localhost`` may mean ``::1`` on Windows."""

LMSTUDIO_PORT: Final = 1234
"""LM Studio's own default port, where an address without ``http://`` names none."""

LOOPBACK: Final = "127.0.0.1"
"""Where the metrics listen unless told otherwise: they have no password."""

NETWORK_TIMEOUT_USUAL_MS: Final = (20_000, 30_000)
"""Milliseconds, both ends included: the recipe's range; outside it there is a warning."""

SYSTEM_PROMPT_CHARS: Final = 6000
"""Characters; Discord's longest string option."""

SYSTEM_PROMPT: Final = (
    "You are {bot}, a helpful assistant in a Discord server. "
    "Answer in the language of the question, plainly and to the point. "
    "Give only the final answer, without your thinking. "
    "Discord shows Markdown without tables or images; put code in fences with their language."
)
"""The default persona, with the recipe's "give the final answer" line."""
