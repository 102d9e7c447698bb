"""Default values, each with its unit and where it comes from."""

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

NETWORK_TIMEOUT_MS: Final = 30_000
"""Milliseconds; the recipe's default. Outside 20,000 to 30,000 is allowed with a warning."""

NETWORK_TIMEOUT_USUAL_MS: Final = (20_000, 30_000)
"""Milliseconds, both ends included: the recipe's range; outside it there is a warning."""

FIRST_TOKEN_TIMEOUT_S: Final = 180.0
"""Seconds; loading 50 to 65 GB plus a cold prompt of 16k tokens at 300 tokens/s."""

TOTAL_TIMEOUT_S: Final = 900.0
"""Seconds; far over the longest useful answer, under an hour of a stuck slot."""

HEALTH_INTERVAL_S: Final = 15.0
"""Seconds between probes of a server; one small GET."""

RETRY_BUDGET_S: Final = 60.0
"""Seconds; LM Studio that restarts is back within this."""

TEMPERATURE: Final = 0.7
"""The recipe's default."""

TOP_P: Final = 0.95
"""LM Studio's built-in default."""

MAX_TOKENS: Final = 2048
"""Tokens; the recipe's default."""

SYSTEM_PROMPT_CHARS: Final = 6000
"""Characters; Discord's longest string option."""

SYSTEM_PROMPT: Final = (
    "You are {bot}, a helpful assistant in a Discord server. "
    "Answer in the language of the question, plainly and to the point. "
    "Give only the final answer, without your thinking. "
    "Discord shows Markdown without tables or images; put code in fences with their language."
)
"""The default persona, with the recipe's "give the final answer" line."""

WRITES_PER_5_S: Final = 4
"""Posts and edits per channel in 5 seconds; Discord's buckets are 5 per 5 s, observed."""

IDENTIFIES_PER_DAY: Final = 200
"""Discord resets the token at 1000 in 24 hours; a fifth of that leaves room for restarts."""

MAX_STORED_MIB: Final = 1024
MAX_STORED_GUILD_MIB: Final = 256
MAX_STORED_PERSON_MIB: Final = 32
"""An ordinary question with its answer's thinking takes 2 to 10 KiB."""

RESERVE_MIB: Final = 256

LOG_FILE_MIB: Final = 10
LOG_FILES: Final = 5
"""Together 50 MiB: some hundred thousand lines."""
