"""The state behind the API: it outlives every connection and every bot process."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sandbox.discord.state import access
from sandbox.discord.state.changes import Changes
from sandbox.discord.state.commands import CommandStore
from sandbox.discord.state.events import Event
from sandbox.discord.state.guilds import (
    Channel,
    ChannelCreated,
    ChannelDeleted,
    Guild,
    GuildContext,
    Member,
    Message,
    Role,
)
from sandbox.discord.state.interactions import ACK_WITHIN_S, Interaction
from sandbox.discord.values import permissions
from sandbox.discord.values.accounts import HasId, Team, TeamMember, User
from sandbox.discord.values.channel_types import DM
from sandbox.discord.values.content import Attachment
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.permissions import PermissionsLike
from sandbox.discord.values.snowflakes import Snowflakes


class World:
    """Everything that Discord remembers.

    Args:
        now: UNIX time in seconds.
        monotonic: Time of records and deadlines, in seconds.
        portal_intents: Privileged intents that are switched on in the developer portal.

    Attributes:
        changes: Is notified of everything that is recorded.
        origin: Scheme, host and port of the sandbox's own addresses; empty before it listens.
        ack_within_s: How long a bot has for its first response to an interaction, in seconds of
            ``monotonic``; more where that runs faster than the machine that the bot works on.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        bot_name: str,
        portal_intents: int,
    ) -> None:
        self.now = now
        self.monotonic = monotonic
        self.portal_intents = portal_intents
        self.changes = Changes()
        self.ids = Snowflakes(now)
        self.origin = ""
        self.ack_within_s = ACK_WITHIN_S
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.commands = CommandStore()
        self.interactions: dict[str, Interaction] = {}
        self.uploads: dict[int, Attachment] = {}
        self.nonces: dict[tuple[int, str], Message] = {}
        self.bot_user = self.new_user(bot_name, is_bot=True)
        self.owner = self.new_user("owner")
        self.team: Team | None = None
        self._listeners: list[Callable[[Event], None]] = []
        self._guild_context = GuildContext(self.ids, now, self.users, self.announce)

    # Events

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call a listener at every event, after the change was made."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[Event], None]) -> None:
        """Call it no longer."""
        self._listeners.remove(listener)

    def announce(self, event: Event) -> None:
        """Tell everybody who subscribed what has happened."""
        if isinstance(event, ChannelCreated):
            self.channels[event.channel.id] = event.channel
        elif isinstance(event, ChannelDeleted):
            self.channels.pop(event.channel.id, None)
        for listener in self._listeners:
            listener(event)
        self.changes.notify()

    # Permissions

    def bot_may(self, channel: Channel, wanted: int) -> bool:
        """Tell whether the bot has all of these permissions in a channel."""
        return access.in_channel(channel, self.bot_user.id) & wanted == wanted

    # Accounts, guilds, direct messages

    def new_user(self, name: str, *, is_bot: bool = False) -> User:
        """Register an account; its user name is the name in lower case."""
        user = User(
            self.ids.next(), name if is_bot else name.lower(), None if is_bot else name, is_bot
        )
        self.users[user.id] = user
        return user

    def new_team(self, owner: HasId) -> Team:
        """Let a team own the application, with this person as its owner."""
        team_id = self.ids.next()
        account = User(team_id, f"team{team_id}", flags=1 << 10)
        self.team = Team(account, owner.id, [TeamMember(self.users[owner.id])])
        return self.team

    def new_guild(
        self, name: str, *, owner: HasId | None, bot_permissions: PermissionsLike, with_bot: bool
    ) -> Guild:
        """Found a guild; the bot joins it with a managed role of its own."""
        owner_id = owner.id if owner else self.owner.id
        guild = Guild(self._guild_context, self.ids.next(), name, owner_id)
        guild.roles[guild.id] = Role(
            guild.id, "@everyone", permissions.EVERYONE, mentionable=False, position=0
        )
        guild.members[owner_id] = Member(guild, self.users[owner_id], [], None, self.now())
        self.guilds[guild.id] = guild
        if with_bot:
            guild.add_bot(self.bot_user, bot_permissions)
        return guild

    def bot_guilds(self) -> list[Guild]:
        """Return the guilds that the bot is in."""
        return [guild for guild in self.guilds.values() if self.bot_user.id in guild.members]

    def dm_channel(self, user: User) -> Channel:
        """Return the bot's DM channel with somebody, opening it if need be."""
        for channel in self.channels.values():
            if channel.kind == DM and user.id in channel.recipient_ids:
                return channel
        channel = Channel(self.ids.next(), DM)
        channel.recipient_ids = [user.id, self.bot_user.id]
        self.channels[channel.id] = channel
        return channel

    # Interactions

    def new_interaction(
        self,
        kind: int,
        user: User,
        channel: Channel,
        data: JsonObject,
        *,
        source: Message | None = None,
        opened_by: Interaction | None = None,
    ) -> Interaction:
        """Create an interaction that the bot doesn't know of yet."""
        interaction = Interaction(
            self.changes,
            self.monotonic,
            self.ids.next(),
            f"aW50ZXJhY3Rpb24{secrets.token_hex(24)}",
            kind,
            user,
            channel,
            data,
            self.monotonic(),
            self.ack_within_s,
            source,
            opened_by=opened_by,
        )
        self.interactions[interaction.token] = interaction
        return interaction
