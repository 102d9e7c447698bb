"""A REST request as its handler gets it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.discord.gateway.identify_budget import IdentifyBudget
from sandbox.discord.options import Options
from sandbox.discord.state.guilds import Channel, Guild, Message
from sandbox.discord.state.world import World
from sandbox.discord.values.content import Upload
from sandbox.discord.values.errors import ApiError
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.permissions import Permission


@dataclass
class ApiRequest:
    """One request on its way to a handler, with what handlers act on.

    Attributes:
        world: Where it happens.
        options: Figures and switches of the sandbox.
        budget: How often the bot may still IDENTIFY.
        params: The path's parameters.
        query: The query string's parameters.
        body: Parsed JSON, or the JSON part of a multipart body.
        files: The uploads, by form field (``files[0]``).
    """

    world: World
    options: Options
    budget: IdentifyBudget
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    files: Mapping[str, Upload]

    def id(self, name: str) -> int:
        """Return a snowflake of the path.

        Raises:
            ApiError: 50035, it is none.
        """
        return snowflake(self.params[name], name)

    def object(self) -> JsonObject:
        """Return the body, which must be a JSON object.

        Raises:
            ApiError: 50035 or 50109, it is none.
        """
        if isinstance(self.body, dict):
            return self.body
        error = {
            "code": "DICT_TYPE_CONVERT",
            "message": "Only dictionaries may be used in a DictType",
        }
        raise ApiError(50035, errors={"_errors": [error]})

    def channel(self, wanted: int = 0) -> Channel:
        """Return the channel of the path, which the bot must see and have these permissions in.

        Raises:
            ApiError: 10003, 50001 or 50013.
        """
        channel = self.world.channels.get(self.id("channel_id"))
        if channel is None:
            raise ApiError(10003)
        self._refuse_outage(channel.guild)
        return self.allowed(channel, wanted)

    @staticmethod
    def _refuse_outage(guild: Guild | None) -> None:
        if guild is not None and guild.unavailable:
            raise ApiError(0, status=503, message="503: Service Unavailable")

    def allowed(self, channel: Channel, wanted: int) -> Channel:
        """Return the channel if the bot sees it and has these permissions.

        Raises:
            ApiError: 50001 or 50013.
        """
        if not self.world.bot_may(channel, Permission.VIEW_CHANNEL):
            raise ApiError(50001)
        if wanted and not self.world.bot_may(channel, wanted):
            raise ApiError(50013)
        return channel

    def message(self, channel: Channel, name: str = "message_id") -> Message:
        """Return the message of the path.

        Raises:
            ApiError: 10008.
        """
        message = channel.messages.get(self.id(name))
        if message is None:
            raise ApiError(10008)
        return message

    def guild(self) -> Guild:
        """Return the guild of the path, in which the bot must be.

        Raises:
            ApiError: 10004.
        """
        guild = self.world.guilds.get(self.id("guild_id"))
        if guild is None or self.world.bot_user.id not in guild.members:
            raise ApiError(10004)
        self._refuse_outage(guild)
        return guild


Result = JsonObject | list[Any] | None
Handler = Callable[[ApiRequest], Result]


def snowflake(value: object, path: str) -> int:
    """Return a snowflake as an int.

    Raises:
        ApiError: 50035 at ``path``.
    """
    text = str(value)
    if text.isascii() and text.isdigit() and len(text) <= 20:
        return int(text)
    error = {"code": "NUMBER_TYPE_COERCE", "message": f'Value "{text[:100]}" is not snowflake.'}
    raise ApiError(50035, errors={path: {"_errors": [error]}})
