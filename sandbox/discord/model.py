"""Users, guilds, roles, members and channels of the sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sandbox.discord import permissions
from sandbox.discord.permissions import Wanted

if TYPE_CHECKING:
    from sandbox.discord.messages import Message
    from sandbox.discord.world import World

TEXT, DM, VOICE, GROUP_DM, CATEGORY, ANNOUNCEMENT = 0, 1, 2, 3, 4, 5
ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD, STAGE, FORUM, MEDIA = 10, 11, 12, 13, 15, 16
THREADS = frozenset({ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD})
WITH_MESSAGES = frozenset({TEXT, DM, VOICE, GROUP_DM, ANNOUNCEMENT, STAGE}) | THREADS

KINDS: dict[str, int] = {
    "text": TEXT,
    "voice": VOICE,
    "category": CATEGORY,
    "announcement": ANNOUNCEMENT,
    "stage": STAGE,
    "forum": FORUM,
    "media": MEDIA,
}


@dataclass(eq=False)
class User:
    """An account.

    Attributes:
        accepts_dms: False: messages to this person are refused with 50007.
        is_system: Discord's own account.
        is_webhook: The name under which a webhook spoke, which is no account.
    """

    id: int
    username: str
    global_name: str | None = None
    is_bot: bool = False
    accepts_dms: bool = True
    is_system: bool = False
    is_webhook: bool = False
    flags: int = 0

    @property
    def mention(self) -> str:
        """The markup that mentions this user."""
        return f"<@{self.id}>"


@dataclass(frozen=True)
class TeamMember:
    """Somebody in a team; ``role`` is admin, developer or read_only."""

    user: User
    role: str = "admin"
    accepted: bool = True


@dataclass(eq=False)
class Team:
    """The team that owns the application.

    Attributes:
        user: The pseudo-account that stands as the application's owner.
    """

    user: User
    owner_id: int
    members: list[TeamMember] = field(default_factory=list)


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

    world: World = field(repr=False)
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
    """When (``World.monotonic``) and who."""
    applied_tags: list[int] = field(default_factory=list)
    auto_archive_minutes: int = 1440
    nsfw: bool = False
    position: int = 0

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
        self, target: HasId, *, allow: Wanted = None, deny: Wanted = None, is_member: bool = False
    ) -> None:
        """Set the overwrite of a role (``guild.everyone`` too) or, with ``is_member``, a person."""
        self.overwrites[target.id] = Overwrite(
            target.id, is_member, permissions.bits(allow), permissions.bits(deny)
        )
        self.world.channel_changed(self)

    def set_archived(self, archived: bool = True, *, locked: bool | None = None) -> None:
        """Archive or reopen a thread, as a moderator would."""
        self.archived = archived
        if locked is not None:
            self.locked = locked
        self.world.channel_changed(self)

    def delete(self) -> None:
        """Delete the channel, as a moderator would."""
        self.world.delete_channel(self)

    def add_thread(
        self, name: str, *, private: bool = False, owner: HasId | None = None
    ) -> Channel:
        """Start a thread (a post, in a forum) as ``owner`` or the guild's owner."""
        kind = PRIVATE_THREAD if private else PUBLIC_THREAD
        if self.kind == ANNOUNCEMENT:
            kind = ANNOUNCEMENT_THREAD
        owner_id = owner.id if owner else self.guild.owner_id if self.guild else 0
        return self.world.start_thread(self, name, kind=kind, owner_id=owner_id)


class HasId(Protocol):
    """Anything with an id: a user, a person, a role."""

    @property
    def id(self) -> int:
        """The snowflake."""
        ...


@dataclass(eq=False)
class Guild:
    """A server."""

    world: World = field(repr=False)
    id: int
    name: str
    owner_id: int
    roles: dict[int, Role] = field(default_factory=dict, repr=False)
    members: dict[int, Member] = field(default_factory=dict, repr=False)
    channels: dict[int, Channel] = field(default_factory=dict, repr=False)
    opened_commands: set[str] = field(default_factory=set)
    locale: str = "en-US"

    @property
    def everyone(self) -> Role:
        """The @everyone role."""
        return self.roles[self.id]

    @property
    def bot_role(self) -> Role:
        """The bot's managed role, which the mention picker offers beside the bot."""
        bot_id = self.world.bot_user.id
        return next(role for role in self.roles.values() if role.bot_id == bot_id)

    def add_channel(
        self,
        name: str,
        kind: str = "text",
        *,
        parent: Channel | None = None,
        topic: str | None = None,
        overwrites: Mapping[int, tuple[Wanted, Wanted]] | None = None,
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
            self.world,
            self.world.ids.next(),
            KINDS[kind],
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
        self.world.add_channel(channel)
        return channel

    def add_role(
        self, name: str, permissions_: Wanted = None, *, mentionable: bool = False
    ) -> Role:
        """Add a role."""
        role = Role(
            self.world.ids.next(),
            name,
            permissions.bits(permissions_),
            mentionable,
            position=len(self.roles),
        )
        self.roles[role.id] = role
        self.world.role_added(self, role)
        return role

    def add_member(
        self,
        person: HasId,
        *,
        permissions: Wanted = None,
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
        user = self.world.users[person.id]
        role_ids = [role.id for role in roles]
        if permissions is not None:
            role_ids.append(self.add_role(f"for {user.username}", permissions).id)
        member = Member(self, user, role_ids, nick, self.world.now())
        self.members[user.id] = member
        self.world.member_added(member)
        return member

    def set_roles(self, person: HasId, roles: Iterable[Role]) -> None:
        """Replace a member's roles."""
        member = self.members[person.id]
        member.role_ids = [role.id for role in roles]
        self.world.member_changed(member)

    def remove_member(self, person: HasId) -> None:
        """Let somebody leave, or kick them; the bot too."""
        self.world.remove_member(self, person.id)

    def open_command(self, name: str) -> None:
        """Let everyone use a command here, as Server Settings → Integrations can."""
        self.opened_commands.add(name)
