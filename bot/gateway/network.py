"""What discord.py raises when Discord, or the network, can't be reached."""

from __future__ import annotations

from typing import Final

import aiohttp
import discord

NETWORK_ERRORS: Final = (
    OSError,
    discord.HTTPException,
    discord.RateLimited,
    discord.GatewayNotFound,
    aiohttp.ClientError,
    TimeoutError,
)
