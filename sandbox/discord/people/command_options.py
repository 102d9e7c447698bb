"""What Discord's client makes of the options that a person fills in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from sandbox.discord import rendering
from sandbox.discord.checks.messages import content_type_of
from sandbox.discord.people.limits import check_files
from sandbox.discord.people.not_offered import NotOfferedError, in_words
from sandbox.discord.state import access
from sandbox.discord.state.guilds import Channel, Message
from sandbox.discord.state.world import World
from sandbox.discord.values import command_types
from sandbox.discord.values.accounts import User
from sandbox.discord.values.content import Attachment
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.permissions import Permission


class OptionReader:
    """Checks and converts option values, and collects what they refer to.

    Attributes:
        resolved: ``resolved`` of the interaction's data.
    """

    def __init__(self, world: World, channel: Channel) -> None:
        self._world = world
        self._channel = channel
        self.resolved: dict[str, JsonObject] = {}

    def read(
        self, declared: list[JsonObject], given: Mapping[str, object], *, partly: bool = False
    ) -> list[JsonObject]:
        """Return the options as an interaction carries them.

        Args:
            declared: The command's options.
            given: What the person filled in.
            partly: Required ones may be missing, as while typing.

        Raises:
            NotOfferedError: A value is missing, unknown, or not of its kind.
        """
        names = {option["name"] for option in declared}
        unknown = set(given) - names
        if unknown:
            raise NotOfferedError(
                f"no option {in_words(sorted(unknown))}; there are: {in_words(sorted(names)) or 'none'}"
            )
        read = []
        for option in declared:
            name = option["name"]
            if name in given:
                value = self._convert(option, given[name])
                read.append({"name": name, "type": option["type"], "value": value})
            elif option.get("required") and not partly:
                raise NotOfferedError(f"the option {name} is required; write it as {name}:…")
        return read

    def _convert(self, option: JsonObject, value: object) -> object:
        kind = option["type"]
        if kind == command_types.STRING:
            return _string(option, str(value))
        if kind in {command_types.INTEGER, command_types.NUMBER}:
            return _number(option, value)
        if kind == command_types.BOOLEAN:
            return _boolean(option, value)
        if kind == command_types.ATTACHMENT:
            return self._attach(value)
        return self.refer(kind, option["name"], value)

    def refer(self, kind: int, name: str, value: object) -> str:
        """Refer to somebody or something that a picker offers, and return its id.

        Args:
            kind: The type of an option that takes it.
            name: The picker's, for a refusal.
            value: It, or its id.

        Raises:
            NotOfferedError: The picker doesn't offer it.
        """
        text = str(getattr(value, "id", value))
        found = int(text) if text.isdecimal() and len(text) <= 20 else 0
        guild = self._channel.guild
        roles = guild.roles if guild is not None else {}
        users = self._world.users
        pickers: dict[int, tuple[bool, Callable[[int], None]]] = {
            command_types.USER: (found in users, self.add_user),
            command_types.CHANNEL: (found in self._world.channels, self._add_channel),
            command_types.ROLE: (found in roles, self._add_role),
            command_types.MENTIONABLE: (found in users or found in roles, self._add_mentionable),
        }
        is_offered, add = pickers[kind]
        if not is_offered:
            raise NotOfferedError(f"{name} offers no such thing")
        add(found)
        return str(found)

    def _add_resolved(self, kind: str, key: int, body: JsonObject) -> None:
        self.resolved.setdefault(kind, {})[str(key)] = body

    def add_user(self, user_id: int) -> None:
        """Refer to a user, and as a member where they are one."""
        self._add_resolved("users", user_id, rendering.user_object(self._world.users[user_id]))
        guild = self._channel.guild
        member = guild.members.get(user_id) if guild else None
        if member is not None:
            mine = access.in_channel(self._channel, user_id)
            body = rendering.member_object(member, with_user=False) | {"permissions": str(mine)}
            self._add_resolved("members", user_id, body)

    def add_message(self, message: Message) -> None:
        """Refer to a message; the bot gets its content whatever its intents."""
        self._add_resolved(
            "messages", message.id, rendering.whole_message_object(self._world, message)
        )

    def _add_channel(self, channel_id: int) -> None:
        channel = self._world.channels[channel_id]
        body = rendering.channel_object(self._world, channel)
        kept = (
            *("id", "name", "type", "parent_id", "topic", "flags", "nsfw", "thread_metadata"),
            *("owner_id", "member_count", "message_count", "total_message_sent"),  # of threads
        )
        partial = {key: body[key] for key in kept if key in body}
        mine = access.in_channel(channel, self._world.bot_user.id)
        self._add_resolved("channels", channel_id, partial | {"permissions": str(mine)})

    def _add_role(self, role_id: int) -> None:
        guild = self._channel.guild
        if guild is not None:
            self._add_resolved("roles", role_id, rendering.role_object(guild.roles[role_id]))

    def _add_mentionable(self, target_id: int) -> None:
        if target_id in self._world.users:
            self.add_user(target_id)
        else:
            self._add_role(target_id)

    def _attach(self, value: Any) -> str:  # noqa: ANN401 - (name, bytes), checked here
        name, data = value
        check_files([(name, data)])
        attachment = Attachment(self._world.ids.next(), name, content_type_of(name), data)
        self._world.uploads[attachment.id] = attachment
        body = {
            "id": str(attachment.id),
            "filename": name,
            "size": len(data),
            "content_type": attachment.content_type,
            "ephemeral": True,
        }
        path = f"/ephemeral-attachments/{attachment.id}/{quote(name, safe='')}?ex=7fffffff"
        url = self._world.origin + path
        self._add_resolved("attachments", attachment.id, body | {"url": url, "proxy_url": url})
        return str(attachment.id)


def _string(option: JsonObject, text: str) -> str:
    choices = option.get("choices")
    if choices:
        for choice in choices:
            if text in {choice["name"], choice["value"]}:
                return str(choice["value"])
        raise NotOfferedError(f"{option['name']} takes one of: {_values(choices)}")
    least, most = option.get("min_length") or 0, option.get("max_length") or 6000
    if not least <= len(text) <= most:
        raise NotOfferedError(f"{option['name']} takes {least} to {most} characters")
    return text


def _boolean(option: JsonObject, value: object) -> bool:
    chosen = {"true": True, "false": False}.get(str(value).lower())
    if chosen is None:
        raise NotOfferedError(f"{option['name']} takes true or false")
    return chosen


def _number(option: JsonObject, value: object) -> int | float:
    whole = option["type"] == command_types.INTEGER
    try:
        number: int | float = int(str(value)) if whole else float(str(value))
    except ValueError:
        raise NotOfferedError(f"{option['name']} takes a number, not {value}") from None
    if not math.isfinite(number) or abs(number) > command_types.MAX_SAFE:
        raise NotOfferedError(f"{option['name']} takes numbers up to 2^53")
    least, most = option.get("min_value"), option.get("max_value")
    if (least is not None and number < least) or (most is not None and number > most):
        raise NotOfferedError(f"{option['name']} takes {least} to {most}")
    choices = option.get("choices")
    if choices and number not in {choice["value"] for choice in choices}:
        raise NotOfferedError(f"{option['name']} takes one of: {_values(choices)}")
    return number


def _values(choices: list[JsonObject]) -> str:
    return in_words(each["value"] for each in choices)


def check_offered(channel: Channel, who: User, command: JsonObject) -> None:
    """Check that Discord's client shows somebody a command.

    Raises:
        NotOfferedError: It doesn't.
    """
    name, guild = command["name"], channel.guild
    contexts = command.get("contexts")
    if contexts is not None and (1 if guild is None else 0) not in contexts:
        raise NotOfferedError(f"/{name} is not offered here")
    if guild is None:
        if contexts is None and not command.get("dm_permission", True):
            raise NotOfferedError(f"/{name} is not offered in direct messages")
        return
    have = access.in_channel(channel, who.id)
    if not have & Permission.USE_APPLICATION_COMMANDS:
        raise NotOfferedError("no Use Application Commands here")
    needed = command.get("default_member_permissions")
    if needed is None or name in guild.opened_commands:
        return
    admin = bool(have & Permission.ADMINISTRATOR)
    if not admin and (int(needed) == 0 or have & int(needed) != int(needed)):
        raise NotOfferedError(
            f"/{name} is hidden from {who.username}; Server Settings, Integrations can open it"
        )


def command_data(
    command: JsonObject,
    chain: list[JsonObject],
    given: list[JsonObject],
    resolved: dict[str, JsonObject],
) -> JsonObject:
    """Return the ``data`` of a command's interaction, options nested in their subcommand_types."""
    options = given
    for step in reversed(chain):
        options = [{"name": step["name"], "type": step["type"], "options": options}]
    data: JsonObject = {"id": command["id"], "name": command["name"], "type": command["type"]}
    if "guild_id" in command:
        data["guild_id"] = command["guild_id"]
    if options:
        data["options"] = options
    if resolved:
        data["resolved"] = resolved
    return data
