"""Which Discord the library talks to, the real one or another, and what it raises when none is there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yarl
from discord.gateway import DiscordWebSocket
from discord.http import MultipartParameters, Route
from discord.webhook.async_ import AsyncWebhookAdapter, async_context

from config.settings import DiscordSettings

if TYPE_CHECKING:
    from discord.types.interactions import InteractionCallback
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


class Callbacks(AsyncWebhookAdapter):
    """Answers to interactions, where Discord may say nothing back.

    A callback is answered by 204 without a body unless a response is asked for (Discord: receiving
    and responding). discord.py 2.7.1 asks for one and fails after the fact when there is none, as
    behind a proxy that drops the query; nothing here needs more than the interaction's id.
    """

    async def create_interaction_response(
        self,
        interaction_id: int,
        token: str,
        *,
        params: MultipartParameters,
        **connection: Any,  # noqa: ANN401 - session and proxy, handed on
    ) -> InteractionCallback:
        """Answer an interaction, and make up for a missing body."""
        reply: InteractionCallback | None = await super().create_interaction_response(
            interaction_id, token, params=params, **connection
        )
        return reply or {"interaction": {"id": interaction_id, "type": 2}}


@contextlib.contextmanager
def discord_endpoints(settings: DiscordSettings) -> Iterator[None]:
    """Point discord.py at the configured addresses, and back again at the end.

    discord.py 2.7 keeps both as class attributes; a wire test fails when an upgrade moves them.
    """
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    callbacks = async_context.get()
    async_context.set(Callbacks())  # type: ignore[no-untyped-call]  # discord.py leaves it untyped
    Route.BASE = settings.api_base.rstrip("/")
    if settings.gateway_url:
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.gateway_url)
    try:
        yield
    finally:
        async_context.set(callbacks)
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway
