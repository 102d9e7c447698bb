"""The local Discord as the page shows it: plain JSON objects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from colorsys import hls_to_rgb
from typing import Any, Final
from urllib.parse import quote

from bot.core.recent import Recent
from bot.demo.world import Demo
from sandbox.discord import (
    Channel,
    Interaction,
    Message,
    NotOfferedError,
    Permission,
    Person,
    User,
    rendering,
)
from sandbox.discord.people.command_options import check_offered
from sandbox.discord.state import access
from sandbox.discord.values.channel_types import FORUMS, WITH_MESSAGES
from sandbox.discord.values.command_types import SUBCOMMAND, SUBCOMMAND_GROUP

Json = dict[str, Any]

WINDOW: Final = 50
"""Messages of each channel in a snapshot."""
MAX_USED: Final = 5000
"""Commands that are remembered for the messages that came of them."""
TYPING_S: Final = 10.0
"""How long somebody is shown typing (Discord: resources, "Channel")."""

_ROLES: Final = (
    ("member", "Everybody's rights"),
    ("admin", "May manage the server"),
    ("owner", "Runs this bot"),
)


class View:
    """Renders one demo."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._world = demo.discord.world
        self._commands: Recent[str, str] = Recent(MAX_USED)

    # Who is there

    def people(self) -> list[Json]:
        """Return everybody one can be."""
        return [
            {
                "id": str(person.id),
                "name": person.user.display_name,
                "username": person.user.username,
                "role": role,
                "about": about,
                "dm": str(person.dm_channel.id),
            }
            for person, (role, about) in zip(self._demo.places.people, _ROLES, strict=True)
        ]

    def users(self) -> Json:
        """Return every account by its id."""
        return {
            str(user.id): {
                "name": user.display_name,
                "username": user.username,
                "bot": user.is_bot,
                "color": _color(user),
            }
            for user in self._world.users.values()
        }

    def roles(self) -> list[Json]:
        """Return the server's roles."""
        return [
            {"id": str(role.id), "name": role.name, "managed": role.managed}
            for role in self._demo.places.guild.roles.values()
        ]

    def bot(self) -> Json:
        """Return the bot with its presence."""
        discord = self._demo.discord
        presences = discord.presences
        presence = presences[-1][1] if presences and discord.online else {}
        activities = presence.get("activities") or [{}]
        commands = self._world.commands.names(self._demo.places.guild.id)
        return {
            "id": str(discord.bot_user.id),
            "name": discord.bot_user.display_name,
            "status": presence.get("status", "online") if discord.online else "offline",
            "activity": activities[0].get("state") or activities[0].get("name") or "",
            "ready": discord.online and bool(commands),
        }

    # Places

    def channels(self) -> list[Json]:
        """Return every channel, in the order to show."""
        own = list(self._demo.places.guild.channels.values())
        dms = [person.dm_channel for person in self._demo.places.people]
        return [self.channel(each) for each in [*own, *dms] if self.shows(each)]

    def shows(self, channel: Channel) -> bool:
        """Tell whether the page has such channels: with messages or posts, seen by somebody."""
        if channel.guild is None:
            return channel.is_dm
        return channel.kind in WITH_MESSAGES | FORUMS

    def channel(self, channel: Channel) -> Json:
        """Return a channel."""
        people = {each.id for each in self._demo.places.people}
        dm_of = next((each for each in channel.recipient_ids if each in people), None)
        return {
            "id": str(channel.id),
            "kind": _kind(channel),
            "name": channel.name or self._demo.discord.bot_user.display_name,
            "topic": channel.topic or "",
            "parent": str(channel.parent.id) if channel.parent else None,
            "section": _section(channel),
            "seen_by": self._who(channel, Permission.VIEW_CHANNEL),
            "post_by": self._who(channel, Permission.VIEW_CHANNEL | Permission.SEND_MESSAGES),
            "recipient": str(dm_of) if dm_of is not None else None,
            "archived": channel.archived,
            "locked": channel.locked,
            "owner": str(channel.owner_id) if channel.owner_id else None,
        }

    def _who(self, channel: Channel, wanted: Permission) -> list[str]:
        return [
            str(each.id)
            for each in self._demo.places.people
            if access.in_channel(channel, each.id) & wanted == wanted
        ]

    # Messages

    def message(self, message: Message) -> Json:
        """Return a message as Discord's API has it, with what only people see in ``demo``."""
        body = rendering.whole_message_object(self._world, message)
        _relocate(body)
        body["demo"] = {
            "seen_by": str(message.seen_by) if message.seen_by is not None else None,
            "command": self._commands.get(str((message.interaction or {}).get("id"))),
            "reactions": {
                emoji: [str(each) for each in users] for emoji, users in message.reactions.items()
            },
            "thread": str(message.thread.id) if message.thread is not None else None,
        }
        return body

    def window(
        self,
        channel: Channel,
        *,
        before: int | None = None,
        limit: int,
        person: Person | None = None,
    ) -> Json:
        """Return messages of a channel, oldest first.

        Args:
            channel: Which.
            before: The id that they are older than; the newest when left out.
            limit: The most of them.
            person: Whose view it is; everybody's when left out.
        """
        found = sorted(
            message_id
            for message_id in (*channel.messages, *channel.hidden)
            if before is None or message_id < before
        )
        shown = [
            channel.messages.get(each) or channel.hidden[each] for each in found[-limit:] if limit
        ]
        seen = [each for each in shown if person is None or person.sees(each)]
        return {"items": [self.message(each) for each in seen], "has_older": len(found) > limit}

    def windows(self) -> Json:
        """Return the newest messages of every channel, by its id."""
        return {
            str(each.id): self.window(each, limit=WINDOW)
            for each in self._world.channels.values()
            if self.shows(each)
        }

    def typing(self) -> list[Json]:
        """Return who types, and has said nothing since."""
        now, clock = self._world.now(), self._world.monotonic()
        found = {}
        for channel in self._world.channels.values():
            recent = list(channel.messages.values())[-WINDOW:]
            said = {each.author.id: each.versions[0].at for each in recent}
            for at, user_id in channel.typing[-WINDOW:]:
                if clock - at < TYPING_S and said.get(user_id, 0.0) < at:
                    found[channel.id, user_id] = now + TYPING_S - (clock - at)
        return [
            {"channel_id": str(channel_id), "user_id": str(user_id), "until": until}
            for (channel_id, user_id), until in found.items()
        ]

    # Commands

    def note(self, interaction: Interaction) -> None:
        """Remember what was used, for the messages that come of it."""
        if "name" in interaction.data:
            self._commands[str(interaction.id)] = spoken(interaction.data)

    def commands(self) -> list[Json]:
        """Return what the bot has registered, with who is offered it where."""
        own = self._world.commands.scope(self._demo.places.guild.id)
        return [
            each | {"demo": self._offers(each, in_dms=int(each["id"]) not in own)}
            for each in self._demo.registered()
        ]

    def _offers(self, command: Json, *, in_dms: bool) -> Json:
        people = self._demo.places.people
        dms = [each for each in people if in_dms and _offered(each.dm_channel, each, command)]
        guild = [each for each in people if _offered(self._demo.places.general, each, command)]
        return {"guild": [str(each.id) for each in guild], "dm": [str(each.id) for each in dms]}


def spoken(data: Json) -> str:
    """Return a command as a person says it: ``/config set``, ``Ask about this``.

    Args:
        data: Of its interaction.
    """
    words, options = [data["name"]], data.get("options") or []
    while options and options[0]["type"] in {SUBCOMMAND, SUBCOMMAND_GROUP}:
        words.append(options[0]["name"])
        options = options[0].get("options") or []
    return ("/" if data["type"] == 1 else "") + " ".join(words)


def _offered(channel: Channel, person: Person, command: Json) -> bool:
    try:
        check_offered(channel, person.user, command)
    except NotOfferedError:
        return False
    return True


def _color(user: User) -> str:
    """Return a colour that stays the account's own, as #rrggbb: dark enough for white letters."""
    hue = int.from_bytes(hashlib.sha256(user.username.encode()).digest()[:2]) % 360
    return "#" + bytes(round(255 * part) for part in hls_to_rgb(hue / 360, 0.45, 0.5)).hex()


def _kind(channel: Channel) -> str:
    if channel.guild is None:
        return "dm"
    if channel.is_thread:
        return "thread"
    return "forum" if channel.kind in FORUMS else "text"


def _section(channel: Channel) -> str | None:
    if channel.guild is None or channel.is_thread:
        return None
    return "Forums" if channel.kind in FORUMS else "Text channels"


def _relocate(body: Json) -> None:
    """Point a message's files at this server, in what it refers to and forwards as well."""
    for each in body.get("attachments") or ():
        name = quote(str(each["filename"]), safe="")
        channel_id = each["url"].partition("/attachments/")[2].partition("/")[0]
        each["url"] = f"/files/{channel_id}/{each['id']}/{name}"
        each.pop("proxy_url", None)
    for inner in _inner(body):
        _relocate(inner)


def _inner(body: Json) -> Iterable[Json]:
    referenced = body.get("referenced_message")
    if referenced:
        yield referenced
    for each in body.get("message_snapshots") or ():
        yield each["message"]
