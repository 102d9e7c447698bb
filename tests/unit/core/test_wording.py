"""Failures of the outside, in plain words."""

from __future__ import annotations

import asyncio
import errno
import os

import aiohttp
import discord
import pytest

from bot.core.errors import BotError, DeliveryForbiddenError
from bot.core.wording import plain_reason


class DiscordAnswer:
    """What discord.py reads of an HTTP response."""

    status = 403
    reason = "Forbidden"


def every_subclass(base: type[BotError]) -> list[type[BotError]]:
    """Return all failures of our own."""
    return [base, *(each for kind in base.__subclasses__() for each in every_subclass(kind))]


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (TimeoutError(), "it took too long"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "was refused"),
        (ConnectionResetError(), "was reset"),
        (OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH)), "no route to host"),
        (aiohttp.ServerDisconnectedError(), "was closed"),
        (aiohttp.ClientPayloadError("secret body"), "broke off"),
        (
            discord.HTTPException(DiscordAnswer(), {"code": 50013, "message": "x"}),
            "403, code 50013",
        ),
        (DeliveryForbiddenError(50013), "I'm not allowed to do that in this channel"),
        (RuntimeError("secret"), "an unexpected failure"),
    ],
)
def test_a_failure_is_a_few_plain_words(failure: Exception, words: str) -> None:
    said = plain_reason(failure)
    assert words in said
    assert type(failure).__name__ not in said
    assert "secret" not in said


async def test_a_name_that_does_not_resolve_is_told_from_a_closed_port() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError) as unknown:
            await session.get("http://no-such-host.invalid/")
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        with pytest.raises(aiohttp.ClientConnectorError) as closed:
            await session.get(f"http://127.0.0.1:{port}/")
    assert plain_reason(unknown.value) == "its name can't be resolved"
    assert plain_reason(closed.value) == "the connection was refused"


@pytest.mark.parametrize("kind", every_subclass(BotError), ids=lambda kind: kind.__name__)
def test_no_sentence_holds_a_class_name(kind: type[BotError]) -> None:
    assert kind.__name__ not in kind.user_text
