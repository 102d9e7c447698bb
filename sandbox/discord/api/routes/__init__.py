"""The REST routes, by area."""

from __future__ import annotations

from sandbox.discord.api.router import Route
from sandbox.discord.api.routes import (
    application,
    callbacks,
    channels,
    guilds,
    messages,
    reactions,
    threads,
    webhooks,
)


def all_routes() -> list[Route]:
    """Return every route that the sandbox knows."""
    areas = (application, callbacks, channels, guilds, messages, reactions, threads, webhooks)
    return [route for area in areas for route in area.ROUTES]
