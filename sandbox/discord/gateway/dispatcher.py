"""Renders what happens in the world as gateway events, for each session that may see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import singledispatchmethod

from sandbox.discord import rendering
from sandbox.discord.gateway.sessions import Session, SessionStore
from sandbox.discord.state.events import (
    Event,
    InteractionCreated,
    MessageChanged,
    MessageCreated,
    MessageDeleted,
    MessagesDeleted,
    ReactionChanged,
    TypingStarted,
)
from sandbox.discord.state.guilds import (
    BotJoined,
    Channel,
    ChannelChanged,
    ChannelCreated,
    ChannelDeleted,
    Guild,
    Member,
    MemberChanged,
    MemberJoined,
    MemberLeft,
    Message,
    OutageChanged,
    RoleChanged,
    RoleCreated,
    RoleDeleted,
    ThreadMembersChanged,
)
from sandbox.discord.state.world import World
from sandbox.discord.values.intents import (
    DM_MESSAGES,
    DM_REACTIONS,
    DM_TYPING,
    GUILD_MEMBERS,
    GUILD_MESSAGES,
    GUILD_REACTIONS,
    GUILD_TYPING,
    GUILDS,
)
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.permissions import Permission

Payload = JsonObject | Callable[[Session], JsonObject]
"""An event's data, or a function that makes it for one session."""


class Dispatcher:
    """Sends events to the bot's sessions.

    Args:
        world: Where it happens.
        sessions: The bot's sessions.
    """

    def __init__(self, world: World, sessions: SessionStore) -> None:
        self._world = world
        self._sessions = sessions
        self._hidden: set[int] = set()

    def dispatch(
        self,
        name: str,
        payload: Payload,
        *,
        intent: int = 0,
        channel: Channel | None = None,
        guild: Guild | None = None,
    ) -> None:
        """Send an event to the sessions of the guild's shard; what is in no guild, to the first one's.

        Args:
            name: The event, as MESSAGE_CREATE.
            payload: Its data.
            intent: The intent it needs; 0 for none.
            channel: Where it happened: the bot must see that channel.
            guild: Where it happened, if that is said by no channel.
        """
        where = channel.guild if guild is None and channel is not None else guild
        if where is not None and where.unavailable and name != "GUILD_DELETE":
            return
        if channel is not None and not self._world.bot_may(channel, Permission.VIEW_CHANNEL):
            return
        for session in self._sessions.all():
            is_wanted = not intent or session.intents & intent
            if is_wanted and session.serves(None if where is None else where.id):
                session.push(name, payload(session) if callable(payload) else payload)

    @singledispatchmethod
    def on_event(self, event: Event) -> None:
        """Render and send an event of the world.

        Raises:
            TypeError: Nothing renders events of this kind.
        """
        raise TypeError(f"nothing renders {type(event).__name__}")

    # Guilds

    @on_event.register
    def _(self, event: BotJoined) -> None:
        """Of a guild that is new to the bot it isn't said whether it is available."""

        def payload(session: Session) -> JsonObject:
            body = self.guild_create(event.guild, session)
            del body["unavailable"]
            return body

        self.dispatch("GUILD_CREATE", payload, intent=GUILDS, guild=event.guild)

    @on_event.register
    def _(self, event: OutageChanged) -> None:
        guild = event.guild
        if not self._is_in(guild):
            return
        if guild.unavailable:
            body: JsonObject = {"id": str(guild.id), "unavailable": True}
            self.dispatch("GUILD_DELETE", body, intent=GUILDS, guild=guild)
        else:
            self.dispatch(
                "GUILD_CREATE",
                lambda session: self.guild_create(guild, session),
                intent=GUILDS,
                guild=guild,
            )

    @on_event.register
    def _(self, event: RoleChanged) -> None:
        body = {"guild_id": str(event.guild.id), "role": rendering.role_object(event.role)}
        self._dispatch_in_guild(event.guild, "GUILD_ROLE_UPDATE", body)
        self._sync_threads(event.guild, event.guild.channels.values())

    @on_event.register
    def _(self, event: RoleCreated) -> None:
        body = {"guild_id": str(event.guild.id), "role": rendering.role_object(event.role)}
        self._dispatch_in_guild(event.guild, "GUILD_ROLE_CREATE", body)

    @on_event.register
    def _(self, event: RoleDeleted) -> None:
        body = {"guild_id": str(event.guild.id), "role_id": str(event.role.id)}
        self._dispatch_in_guild(event.guild, "GUILD_ROLE_DELETE", body)

    @on_event.register
    def _(self, event: MemberJoined) -> None:
        self._dispatch_member("GUILD_MEMBER_ADD", event.member, GUILD_MEMBERS)

    @on_event.register
    def _(self, event: MemberChanged) -> None:
        """The bot is told of its own changes without the members intent too."""
        is_own = event.member.user is self._world.bot_user
        self._dispatch_member("GUILD_MEMBER_UPDATE", event.member, 0 if is_own else GUILD_MEMBERS)
        if is_own:
            guild = event.member.guild
            self._sync_threads(guild, guild.channels.values())

    @on_event.register
    def _(self, event: MemberLeft) -> None:
        guild, user = event.member.guild, event.member.user
        if user is self._world.bot_user:
            self.dispatch("GUILD_DELETE", {"id": str(guild.id)}, intent=GUILDS, guild=guild)
            return
        body = {"guild_id": str(guild.id), "user": rendering.user_object(user)}
        self._dispatch_in_guild(guild, "GUILD_MEMBER_REMOVE", body, GUILD_MEMBERS)

    @on_event.register
    def _(self, event: ChannelCreated) -> None:
        body = rendering.channel_object(self._world, event.channel)
        if not event.channel.is_thread:
            self._dispatch_in_guild(event.guild, "CHANNEL_CREATE", body)
        elif self._is_in(event.guild):
            body |= {"newly_created": True}
            self.dispatch("THREAD_CREATE", body, intent=GUILDS, channel=event.channel)

    @on_event.register
    def _(self, event: ChannelChanged) -> None:
        body = rendering.channel_object(self._world, event.channel)
        if event.channel.is_thread:
            self.dispatch("THREAD_UPDATE", body, intent=GUILDS, channel=event.channel)
            return
        self._dispatch_in_guild(event.guild, "CHANNEL_UPDATE", body)
        self._sync_threads(event.guild, [event.channel])

    @on_event.register
    def _(self, event: ThreadMembersChanged) -> None:
        """Without the members intent the bot is told of itself only; a private thread is new to who is added."""
        is_own = event.person_id == self._world.bot_user.id
        if is_own and event.is_added and event.channel.is_private:
            body = rendering.channel_object(self._world, event.channel)
            self.dispatch("THREAD_CREATE", body, intent=GUILDS, channel=event.channel)
        body = rendering.thread_members_update(
            event.channel, event.person_id, is_added=event.is_added
        )
        self._dispatch_in_guild(
            event.guild, "THREAD_MEMBERS_UPDATE", body, GUILDS if is_own else GUILD_MEMBERS
        )

    @on_event.register
    def _(self, event: ChannelDeleted) -> None:
        body = rendering.channel_object(self._world, event.channel)
        if not event.channel.is_thread:
            self._dispatch_in_guild(event.guild, "CHANNEL_DELETE", body)
        elif not event.with_parent:
            self.dispatch("THREAD_DELETE", body, intent=GUILDS, channel=event.channel)

    def _sync_threads(self, guild: Guild, channels: Iterable[Channel]) -> None:
        """Tell of the open threads of channels that the bot sees now, and didn't before."""
        gained = []
        for channel in channels:
            if channel.is_thread:
                continue
            if not self._world.bot_may(channel, Permission.VIEW_CHANNEL):
                self._hidden.add(channel.id)
            elif channel.id in self._hidden:
                self._hidden.remove(channel.id)
                gained.append(channel)
        if gained:
            body = rendering.thread_list(self._world, guild, gained)
            self._dispatch_in_guild(guild, "THREAD_LIST_SYNC", body)

    def _dispatch_member(self, name: str, member: Member, intent: int) -> None:
        body = rendering.member_object(member) | {"guild_id": str(member.guild.id)}
        self._dispatch_in_guild(member.guild, name, body, intent)

    def _dispatch_in_guild(
        self, guild: Guild, name: str, body: JsonObject, intent: int = GUILDS
    ) -> None:
        if self._is_in(guild):
            self.dispatch(name, body, intent=intent, guild=guild)

    def _is_in(self, guild: Guild) -> bool:
        return self._world.bot_user.id in guild.members

    def guild_create(self, guild: Guild, session: Session) -> JsonObject:
        """Return GUILD_CREATE's data for a session."""
        for channel in guild.channels.values():
            if not self._world.bot_may(channel, Permission.VIEW_CHANNEL):
                self._hidden.add(channel.id)
        all_members = bool(session.intents & GUILD_MEMBERS)
        return rendering.guild_create_data(self._world, guild, all_members=all_members)

    # Messages; of ephemeral ones the gateway tells nothing

    @on_event.register
    def _(self, event: MessageCreated) -> None:
        if not event.message.ephemeral:
            self._dispatch_message("MESSAGE_CREATE", event.message)

    @on_event.register
    def _(self, event: MessageChanged) -> None:
        if not event.message.ephemeral:
            self._dispatch_message("MESSAGE_UPDATE", event.message)

    @on_event.register
    def _(self, event: MessageDeleted) -> None:
        body: JsonObject = {"id": str(event.message.id)}
        if not event.message.ephemeral:
            self._dispatch_deletion("MESSAGE_DELETE", event.message.channel, body)

    @on_event.register
    def _(self, event: MessagesDeleted) -> None:
        body: JsonObject = {"ids": [str(message.id) for message in event.messages]}
        self._dispatch_deletion("MESSAGE_DELETE_BULK", event.channel, body)

    def _dispatch_message(self, name: str, message: Message) -> None:
        channel = message.channel

        def payload(session: Session) -> JsonObject:
            body = rendering.message_object(self._world, message, session.shows, gateway=True)
            body["channel_type"] = channel.kind
            if channel.guild is not None:
                body["guild_id"] = str(channel.guild.id)
                member = channel.guild.members.get(message.author.id)
                if member is not None and message.webhook_id is None:
                    body["member"] = rendering.member_object(member, with_user=False)
            return body

        intent = GUILD_MESSAGES if channel.guild else DM_MESSAGES
        self.dispatch(name, payload, intent=intent, channel=channel)

    def _dispatch_deletion(self, name: str, channel: Channel, body: JsonObject) -> None:
        body["channel_id"] = str(channel.id)
        if channel.guild is not None:
            body["guild_id"] = str(channel.guild.id)
        intent = GUILD_MESSAGES if channel.guild else DM_MESSAGES
        self.dispatch(name, body, intent=intent, channel=channel)

    @on_event.register
    def _(self, event: TypingStarted) -> None:
        channel, user = event.channel, event.user
        body: JsonObject = {
            "channel_id": str(channel.id),
            "user_id": str(user.id),
            "timestamp": int(self._world.now()),
        }
        if channel.guild is not None:
            body["guild_id"] = str(channel.guild.id)
            member = channel.guild.members.get(user.id)
            if member is not None:
                body["member"] = rendering.member_object(member)
        intent = GUILD_TYPING if channel.guild else DM_TYPING
        self.dispatch("TYPING_START", body, intent=intent, channel=channel)

    @on_event.register
    def _(self, event: ReactionChanged) -> None:
        message, user, guild = event.message, event.user, event.message.channel.guild
        body: JsonObject = {
            "user_id": str(user.id),
            "channel_id": str(message.channel.id),
            "message_id": str(message.id),
            "emoji": {"id": None, "name": event.emoji},
            "burst": False,
            "type": 0,
        }
        if guild is not None:
            body["guild_id"] = str(guild.id)
            if event.is_added and user.id in guild.members:
                body["member"] = rendering.member_object(guild.members[user.id])
                body["message_author_id"] = str(message.author.id)
        self.dispatch(
            "MESSAGE_REACTION_ADD" if event.is_added else "MESSAGE_REACTION_REMOVE",
            body,
            intent=GUILD_REACTIONS if guild else DM_REACTIONS,
            channel=message.channel,
        )

    @on_event.register
    def _(self, event: InteractionCreated) -> None:
        """Interactions need no intent."""
        body = rendering.interaction_object(self._world, event.interaction)
        self.dispatch("INTERACTION_CREATE", body, guild=event.interaction.channel.guild)
