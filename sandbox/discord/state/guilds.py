"""Guilds with their roles, members, channels and messages, and the events of their changes.

They refer to each other, so they are one module. Nothing in here knows the world: a guild has ids,
accounts and a listener for its events from outside (``GuildContext``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.discord.values import permissions
from sandbox.discord.values.accounts import HasId, User
from sandbox.discord.values.channel_types import (
    ANNOUNCEMENT,
    ANNOUNCEMENT_THREAD,
    DM,
    GROUP_DM,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    THREADS,
    TYPES_BY_NAME,
)
from sandbox.discord.values.components import BUTTON, walk
from sandbox.discord.values.content import (
    CHAT_INPUT_COMMAND,
    CONTEXT_MENU_COMMAND,
    DEFAULT_TYPE,
    EPHEMERAL,
    LOADING,
    REPLY,
    AllowedMentions,
    Attachment,
    Pings,
    Poll,
    Sticker,
    Version,
)
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.permissions import PermissionsLike
from sandbox.discord.values.snowflakes import Snowflakes


@dataclass(eq=False)
class Role:
    """A role; the one with the guild's id is @everyone."""

    id: int
    name: str
    permissions: int = 0
    mentionable: bool = False
    managed: bool = False
    position: int = 1
    bot_id: int | None = None

    @property
    def mention(self) -> str:
        """The markup that mentions this role."""
        return f"<@&{self.id}>"


@dataclass(eq=False)
class Member:
    """A user in a guild."""

    guild: Guild
    user: User
    role_ids: list[int] = field(default_factory=list)
    nick: str | None = None
    joined_unix_s: float = 0.0
    timed_out_until: float | None = None
    """UNIX time until which they may only read."""


@dataclass
class Overwrite:
    """A permission overwrite for a role or a member."""

    target_id: int
    is_member: bool
    allow: int = 0
    deny: int = 0


@dataclass(eq=False)
class Channel:
    """Anything with a channel id: text, voice, forum, category, thread, DM."""

    id: int
    kind: int
    name: str | None = None
    guild: Guild | None = field(default=None, repr=False)
    parent: Channel | None = field(default=None, repr=False)
    topic: str | None = None
    recipient_ids: list[int] = field(default_factory=list)
    overwrites: dict[int, Overwrite] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict, repr=False)
    hidden: dict[int, Message] = field(default_factory=dict, repr=False)
    """Ephemeral messages: in nobody's history, each in one person's view."""
    owner_id: int | None = None
    archived: bool = False
    locked: bool = False
    thread_member_ids: set[int] = field(default_factory=set)
    typing: list[tuple[float, int]] = field(default_factory=list, repr=False)
    """When (the sandbox's monotonic time, in seconds) and who."""
    applied_tags: list[int] = field(default_factory=list)
    auto_archive_minutes: int = 1440
    nsfw: bool = False
    position: int = 0
    slowmode_s: int = 0
    """Least time between two messages of one person; bots and those who manage the channel are exempt."""

    @property
    def is_thread(self) -> bool:
        """A thread of any kind, forum posts included."""
        return self.kind in THREADS

    @property
    def is_private(self) -> bool:
        """A private thread."""
        return self.kind == PRIVATE_THREAD

    @property
    def is_dm(self) -> bool:
        """A direct message channel, group or not."""
        return self.kind in {DM, GROUP_DM}

    @property
    def mention(self) -> str:
        """The markup that links to this channel."""
        return f"<#{self.id}>"

    def overwrite(
        self,
        target: HasId,
        *,
        allow: PermissionsLike = None,
        deny: PermissionsLike = None,
        is_member: bool = False,
    ) -> None:
        """Set the overwrite of a role (``guild.everyone`` too) or, with ``is_member``, a person."""
        self.overwrites[target.id] = Overwrite(
            target.id, is_member, permissions.bits(allow), permissions.bits(deny)
        )
        self.announce_change()

    def set_archived(self, archived: bool = True, *, locked: bool | None = None) -> None:
        """Archive or reopen a thread, as a moderator would."""
        self.archived = archived
        if locked is not None:
            self.locked = locked
        self.announce_change()

    def add_thread_member(self, person: HasId) -> None:
        """Add somebody to a thread, as a mention in it does."""
        self.thread_member_ids.add(person.id)
        self._announce_member(person, is_added=True)

    def remove_thread_member(self, person: HasId) -> None:
        """Remove somebody from a thread; who is out of a private one sees nothing of it any more."""
        self.thread_member_ids.discard(person.id)
        self._announce_member(person, is_added=False)

    def _announce_member(self, person: HasId, *, is_added: bool) -> None:
        if self.guild is not None:
            change = ThreadMembersChanged(self.guild, self, person.id, is_added)
            self.guild.context.announce(change)

    def announce_change(self) -> None:
        """Tell that a field was changed; nobody is told of direct message channels."""
        if self.guild is not None:
            self.guild.context.announce(ChannelChanged(self.guild, self))

    def delete(self) -> None:
        """Delete the channel with its threads, as a moderator would."""
        if self.guild is not None:
            self.guild.delete_channel(self)

    def add_thread(
        self, name: str, *, private: bool = False, owner: HasId | None = None
    ) -> Channel:
        """Start a thread (a post, in a forum) as ``owner`` or the guild's owner."""
        kind = PRIVATE_THREAD if private else PUBLIC_THREAD
        if self.kind == ANNOUNCEMENT:
            kind = ANNOUNCEMENT_THREAD
        owner_id = owner.id if owner else self.guild.owner_id if self.guild else 0
        return self.start_thread(name, kind=kind, owner_id=owner_id)

    def start_thread(
        self, name: str, *, kind: int, owner_id: int, thread_id: int | None = None
    ) -> Channel:
        """Open a thread below this channel; its owner is its first member.

        Args:
            name: Its name.
            kind: Its channel type.
            owner_id: Who starts it.
            thread_id: The id of the message that it is started on; a new id when omitted.

        Raises:
            ValueError: The channel is in no guild.
        """
        if self.guild is None:
            raise ValueError("direct messages have no threads")
        thread = Channel(
            thread_id or self.guild.context.ids.next(),
            kind,
            name,
            guild=self.guild,
            parent=self,
            owner_id=owner_id,
        )
        thread.thread_member_ids.add(owner_id)
        self.guild.insert_channel(thread)
        return thread


@dataclass(frozen=True)
class GuildContext:
    """What a guild needs from outside.

    Attributes:
        ids: Makes snowflakes.
        now: UNIX time in seconds.
        users: Every account by id.
        announce: Hears every change, after it was made.
    """

    ids: Snowflakes
    now: Callable[[], float]
    users: Mapping[int, User]
    announce: Callable[[GuildEvent], None]


@dataclass(eq=False)
class Guild:
    """A server.

    Attributes:
        oddities: Items of another form than the documented one, by the list they are sent in.
        unavailable: There is an outage: nothing of it is told, and no request about it answered.
    """

    context: GuildContext = field(repr=False)
    id: int
    name: str
    owner_id: int
    roles: dict[int, Role] = field(default_factory=dict, repr=False)
    members: dict[int, Member] = field(default_factory=dict, repr=False)
    channels: dict[int, Channel] = field(default_factory=dict, repr=False)
    opened_commands: set[str] = field(default_factory=set)
    locale: str = "en-US"
    oddities: dict[str, object] = field(default_factory=dict)
    unavailable: bool = False

    @property
    def everyone(self) -> Role:
        """The @everyone role."""
        return self.roles[self.id]

    @property
    def bot_role(self) -> Role:
        """The bot's managed role, which the mention picker offers beside the bot."""
        return next(role for role in self.roles.values() if role.bot_id is not None)

    def add_channel(
        self,
        name: str,
        kind: str = "text",
        *,
        parent: Channel | None = None,
        topic: str | None = None,
        overwrites: Mapping[int, tuple[PermissionsLike, PermissionsLike]] | None = None,
    ) -> Channel:
        """Add a channel.

        Args:
            name: Its name.
            kind: text, voice, category, announcement, stage, forum or media.
            parent: Its category.
            topic: Its topic.
            overwrites: Role or user id → (allow, deny).
        """
        channel = Channel(
            self.context.ids.next(),
            TYPES_BY_NAME[kind],
            name,
            guild=self,
            parent=parent,
            topic=topic,
            position=len(self.channels),
        )
        for target_id, (allow, deny) in (overwrites or {}).items():
            channel.overwrites[target_id] = Overwrite(
                target_id,
                target_id not in self.roles,
                permissions.bits(allow),
                permissions.bits(deny),
            )
        self.insert_channel(channel)
        return channel

    def insert_channel(self, channel: Channel) -> None:
        """Take a new channel or thread in."""
        self.channels[channel.id] = channel
        self.context.announce(ChannelCreated(self, channel))

    def delete_channel(self, channel: Channel) -> None:
        """Delete a channel with its threads, of which Discord tells by its own deletion only."""
        for thread in [entry for entry in self.channels.values() if entry.parent is channel]:
            if thread.is_thread:
                self.channels.pop(thread.id)
                self.context.announce(ChannelDeleted(self, thread, with_parent=True))
        self.channels.pop(channel.id, None)
        self.context.announce(ChannelDeleted(self, channel))

    def add_role(
        self, name: str, permissions_: PermissionsLike = None, *, mentionable: bool = False
    ) -> Role:
        """Add a role."""
        role = Role(
            self.context.ids.next(),
            name,
            permissions.bits(permissions_),
            mentionable,
            position=len(self.roles),
        )
        self.roles[role.id] = role
        self.context.announce(RoleCreated(self, role))
        return role

    def set_permissions(self, role: Role, wanted: PermissionsLike) -> None:
        """Replace what a role grants."""
        role.permissions = permissions.bits(wanted)
        self.context.announce(RoleChanged(self, role))

    def set_outage(self, unavailable: bool) -> None:
        """Let Discord lose the guild for a while, or have it back."""
        self.unavailable = unavailable
        self.context.announce(OutageChanged(self))

    def delete_role(self, role: Role) -> None:
        """Delete a role: members and channels lose it.

        Raises:
            ValueError: It is @everyone, an app's own, or not this guild's.
        """
        if role is self.everyone or role.managed or self.roles.get(role.id) is not role:
            raise ValueError(f"Discord deletes no such role: {role.name}")
        del self.roles[role.id]
        for member in self.members.values():
            member.role_ids = [each for each in member.role_ids if each != role.id]
        for channel in self.channels.values():
            channel.overwrites.pop(role.id, None)
        self.context.announce(RoleDeleted(self, role))

    def add_member(
        self,
        person: HasId,
        *,
        permissions: PermissionsLike = None,
        roles: Iterable[Role] = (),
        nick: str | None = None,
    ) -> Member:
        """Let somebody join; ``permissions`` come as a role of their own.

        Args:
            person: The user or person.
            permissions: Bits or names beyond what @everyone has.
            roles: Roles to give.
            nick: Name in this guild.
        """
        user = self.context.users[person.id]
        role_ids = [role.id for role in roles]
        if permissions is not None:
            role_ids.append(self.add_role(f"for {user.username}", permissions).id)
        member = Member(self, user, role_ids, nick, self.context.now())
        self.members[user.id] = member
        self.context.announce(MemberJoined(member))
        return member

    def set_roles(self, person: HasId, roles: Iterable[Role]) -> None:
        """Replace a member's roles."""
        member = self.members[person.id]
        member.role_ids = [role.id for role in roles]
        self.context.announce(MemberChanged(member))

    def time_out(self, person: HasId, until_unix_s: float | None) -> None:
        """Let a member only read until a moment; ``None`` ends it."""
        member = self.members[person.id]
        member.timed_out_until = until_unix_s
        self.context.announce(MemberChanged(member))

    def remove_member(self, person: HasId) -> None:
        """Let somebody leave, or kick them; the bot too, whose own role goes with it."""
        member = self.members.pop(person.id, None)
        if member is not None:
            for role in [each for each in self.roles.values() if each.bot_id == person.id]:
                del self.roles[role.id]
            self.context.announce(MemberLeft(member))

    def add_bot(self, bot: User, bot_permissions: PermissionsLike = None) -> None:
        """Let the bot join, with a managed role that has these permissions."""
        role = Role(
            self.context.ids.next(),
            bot.username,
            permissions.bits(bot_permissions),
            managed=True,
            bot_id=bot.id,
        )
        self.roles[role.id] = role
        self.members[bot.id] = Member(self, bot, [role.id], None, self.context.now())
        self.context.announce(BotJoined(self))

    def open_command(self, name: str) -> None:
        """Let everyone use a command here, as Server Settings → Integrations can."""
        self.opened_commands.add(name)


@dataclass
class Draft:
    """A message to be posted, already checked."""

    content: str = ""
    embeds: list[JsonObject] = field(default_factory=list)
    components: list[JsonObject] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: int = 0
    kind: int = DEFAULT_TYPE
    reference: Message | None = None
    forward: Message | None = None
    mentions: AllowedMentions = field(default_factory=AllowedMentions)
    nonce: str | int | None = None
    tts: bool = False
    interaction: JsonObject | None = None
    webhook_id: int | None = None
    application_id: int | None = None
    seen_by: int | None = None
    stickers: tuple[Sticker, ...] = ()
    poll: Poll | None = None


@dataclass(eq=False, repr=False)
class Message:
    """A message as Discord keeps it.

    Attributes:
        previews: (time, address) of each link that Discord would have unfurled.
        pings: Who was notified when it was posted.
        versions: Every state, oldest first.
        deleted_at: monotonic time of its deletion, in seconds.
        seen_by: The only person who sees it, for an ephemeral message.
        mention_ids: Discord's ``mentions`` list.
        oddities: Parts of another form than the documented one, sent in place of the right ones.
    """

    id: int
    channel: Channel
    author: User
    content: str
    embeds: list[JsonObject]
    components: list[JsonObject]
    attachments: list[Attachment]
    flags: int
    kind: int
    created_unix_s: float
    reference: Message | None = None
    forward: Message | None = None
    nonce: str | int | None = None
    tts: bool = False
    interaction: JsonObject | None = None
    webhook_id: int | None = None
    application_id: int | None = None
    seen_by: int | None = None
    stickers: tuple[Sticker, ...] = ()
    poll: Poll | None = None
    edited_unix_s: float | None = None
    deleted_at: float | None = None
    mention_ids: list[int] = field(default_factory=list)
    mention_role_ids: list[int] = field(default_factory=list)
    mention_everyone: bool = False
    pings: Pings = field(default_factory=Pings)
    previews: list[tuple[float, str]] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    reactions: dict[str, list[int]] = field(default_factory=dict)
    pinned: bool = False
    thread: Channel | None = None
    oddities: JsonObject = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Message {self.id} by {self.author.username}: {self.content[:80]!r}>"

    @property
    def ephemeral(self) -> bool:
        """Only one person sees it."""
        return bool(self.flags & EPHEMERAL)

    @property
    def loading(self) -> bool:
        """It shows "… is thinking": a deferred interaction response."""
        return bool(self.flags & LOADING)

    @property
    def is_system(self) -> bool:
        """Not typed by anybody."""
        return self.kind not in {DEFAULT_TYPE, REPLY, CHAT_INPUT_COMMAND, CONTEXT_MENU_COMMAND}

    @property
    def buttons(self) -> list[JsonObject]:
        """All buttons on it, in order."""
        return [part for part in walk(self.components) if part.get("type") == BUTTON]

    def component(self, wanted: str) -> JsonObject:
        """Return the component with this custom id or label.

        Raises:
            LookupError: There is none.
        """
        parts = list(walk(self.components))
        for key in ("custom_id", "label"):
            for part in parts:
                if part.get(key) == wanted:
                    return part
        names = [str(each.get("label") or each.get("custom_id") or "") for each in parts]
        offered = ", ".join(filter(None, names)) or "none"
        raise LookupError(f"the message has no component {wanted}; there are: {offered}")


@dataclass(frozen=True)
class BotJoined:
    """The bot joined a guild."""

    guild: Guild


@dataclass(frozen=True)
class RoleCreated:
    """A guild got a role."""

    guild: Guild
    role: Role


@dataclass(frozen=True)
class RoleChanged:
    """What a role grants was changed."""

    guild: Guild
    role: Role


@dataclass(frozen=True)
class OutageChanged:
    """A guild became unavailable, or available again."""

    guild: Guild


@dataclass(frozen=True)
class RoleDeleted:
    """A guild lost a role."""

    guild: Guild
    role: Role


@dataclass(frozen=True)
class MemberJoined:
    """Somebody joined a guild."""

    member: Member


@dataclass(frozen=True)
class MemberChanged:
    """A member's roles changed, or their time-out."""

    member: Member


@dataclass(frozen=True)
class MemberLeft:
    """Somebody left a guild or was removed; the bot too."""

    member: Member


@dataclass(frozen=True)
class ChannelCreated:
    """A guild got a channel or thread."""

    guild: Guild
    channel: Channel


@dataclass(frozen=True)
class ChannelChanged:
    """A field of a guild's channel or thread changed."""

    guild: Guild
    channel: Channel


@dataclass(frozen=True)
class ThreadMembersChanged:
    """Somebody was added to a thread, or removed from it.

    Attributes:
        person_id: Who.
        is_added: Added, not removed.
    """

    guild: Guild
    channel: Channel
    person_id: int
    is_added: bool


@dataclass(frozen=True)
class ChannelDeleted:
    """A guild's channel or thread was deleted.

    Attributes:
        with_parent: It is a thread, and went with its channel.
    """

    guild: Guild
    channel: Channel
    with_parent: bool = False


GuildEvent = (
    BotJoined
    | RoleCreated
    | RoleChanged
    | RoleDeleted
    | OutageChanged
    | MemberJoined
    | MemberChanged
    | MemberLeft
    | ChannelCreated
    | ChannelChanged
    | ThreadMembersChanged
    | ChannelDeleted
)
