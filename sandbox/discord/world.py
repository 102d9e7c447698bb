"""The world behind the API: it outlives every connection and every bot process."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from sandbox.discord import permissions, render
from sandbox.discord import sessions as gateway_sessions
from sandbox.discord.commands import CommandStore
from sandbox.discord.ids import Snowflakes
from sandbox.discord.messages import Attachment, JsonObject, Message
from sandbox.discord.model import DM, Channel, Guild, HasId, Member, Role, Team, TeamMember, User
from sandbox.discord.permissions import Permission, Wanted
from sandbox.discord.records import EventRecord
from sandbox.discord.sessions import GUILD_MEMBERS, GUILDS, Session

if TYPE_CHECKING:
    from sandbox.discord.interactions import Interaction

T = TypeVar("T")
Payload = JsonObject | Callable[[Session], JsonObject]


class World:
    """Everything Discord remembers, and the means to be told when it changes.

    Args:
        now: UNIX time in seconds.
        monotonic: Time of records and deadlines, in seconds.
        portal_intents: Privileged intents that are switched on in the developer portal.
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
        self.ids = Snowflakes(now)
        self.origin = ""
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.sessions: dict[str, Session] = {}
        self.commands = CommandStore()
        self.interactions: dict[str, Interaction] = {}
        self.uploads: dict[int, Attachment] = {}
        self.nonces: dict[tuple[int, str], Message] = {}
        self.events: deque[EventRecord] = deque(maxlen=20_000)
        self.bot_user = self.new_user(bot_name, is_bot=True)
        self.owner = self.new_user("owner")
        self.team: Team | None = None
        self._waiters: list[tuple[Callable[[], object], asyncio.Future[object]]] = []
        self._recheck_due = False

    # Being told

    def touch(self) -> None:
        """Let everyone who waits look again, once this step of the loop is over."""
        if self._waiters and not self._recheck_due:
            self._recheck_due = True
            asyncio.get_running_loop().call_soon(self._recheck)

    def _recheck(self) -> None:
        self._recheck_due = False
        for condition, future in list(self._waiters):
            if future.done():
                continue
            try:
                value = condition()
            except Exception as error:  # noqa: BLE001 - the seam to the waiting test
                future.set_exception(error)
                continue
            if value:
                future.set_result(value)

    async def wait_until(self, condition: Callable[[], T], *, timeout_s: float = 10.0) -> T:
        """Wait until a condition holds; it is looked at again whenever something was recorded.

        Raises:
            TimeoutError: It didn't hold in time.
        """
        value = condition()
        if value:
            return value
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        entry = (condition, future)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(timeout_s):
                return cast(T, await future)
        except TimeoutError:
            raise TimeoutError(f"did not come about within {timeout_s:g} s") from None
        finally:
            self._waiters.remove(entry)

    def emit(
        self, name: str, payload: Payload, *, intent: int = 0, channel: Channel | None = None
    ) -> None:
        """Dispatch an event to the bot's sessions.

        Args:
            name: The event, as MESSAGE_CREATE.
            payload: Its data, or a function that makes it for one session.
            intent: The intent it needs; 0 for none.
            channel: Where it happened: the bot must see that channel.
        """
        reached = 0
        if channel is None or self.bot_may(channel, Permission.VIEW_CHANNEL):
            for session in list(self.sessions.values()):
                if not intent or session.intents & intent:
                    session.push(name, payload(session) if callable(payload) else payload)
                    reached += 1
        self.events.append(EventRecord(self.monotonic(), name, reached))
        self.touch()

    # Judging

    def bot_may(self, channel: Channel, wanted: int) -> bool:
        """Tell whether the bot has all of these permissions in a channel."""
        return permissions.in_channel(channel, self.bot_user.id) & wanted == wanted

    def shows_content(self, message: Message) -> bool:
        """Tell whether REST gives the bot a message's content."""
        return bool(
            self.portal_intents & gateway_sessions.MESSAGE_CONTENT
        ) or gateway_sessions.always_shown(message, self.bot_user.id)

    # People, guilds, channels

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
        self, name: str, *, owner: HasId | None, bot_permissions: Wanted, with_bot: bool
    ) -> Guild:
        """Found a guild; the bot joins it with a managed role of its own."""
        owner_id = owner.id if owner else self.owner.id
        guild = Guild(self, self.ids.next(), name, owner_id)
        guild.roles[guild.id] = Role(
            guild.id, "@everyone", permissions.EVERYONE, mentionable=False, position=0
        )
        guild.members[owner_id] = Member(guild, self.users[owner_id], [], None, self.now())
        self.guilds[guild.id] = guild
        if with_bot:
            self.invite_bot(guild, bot_permissions)
        return guild

    def invite_bot(self, guild: Guild, bot_permissions: Wanted = None) -> None:
        """Let the bot join, with a managed role that has these permissions."""
        role = Role(
            self.ids.next(),
            self.bot_user.username,
            permissions.bits(bot_permissions),
            managed=True,
            bot_id=self.bot_user.id,
        )
        guild.roles[role.id] = role
        guild.members[self.bot_user.id] = Member(guild, self.bot_user, [role.id], None, self.now())
        self.emit("GUILD_CREATE", lambda session: self.guild_payload(guild, session), intent=GUILDS)

    def guild_payload(self, guild: Guild, session: Session) -> JsonObject:
        """Return GUILD_CREATE's data for a session."""
        return render.guild_create(guild, all_members=bool(session.intents & GUILD_MEMBERS))

    def bot_guilds(self) -> list[Guild]:
        """Return the guilds that the bot is in."""
        return [guild for guild in self.guilds.values() if self.bot_user.id in guild.members]

    def _emit_guild(self, guild: Guild, name: str, payload: Payload, intent: int = GUILDS) -> None:
        if self.bot_user.id in guild.members:
            self.emit(name, payload, intent=intent)

    def add_channel(self, channel: Channel) -> None:
        """Put a new channel into its guild and tell the bot."""
        self.channels[channel.id] = channel
        guild = channel.guild
        if guild is None:
            return
        guild.channels[channel.id] = channel
        if not channel.is_thread:
            self._emit_guild(guild, "CHANNEL_CREATE", render.channel(channel))
        elif self.bot_user.id in guild.members:
            body = render.channel(channel) | {"newly_created": True}
            self.emit("THREAD_CREATE", body, intent=GUILDS, channel=channel)

    def channel_changed(self, channel: Channel) -> None:
        """Tell the bot that a channel or thread was changed."""
        if channel.guild is not None:
            name = "THREAD_UPDATE" if channel.is_thread else "CHANNEL_UPDATE"
            self._emit_guild(channel.guild, name, render.channel(channel))

    def delete_channel(self, channel: Channel) -> None:
        """Delete a channel with its threads, and tell the bot."""
        guild = channel.guild
        for thread in [entry for entry in self.channels.values() if entry.parent is channel]:
            if thread.is_thread:
                self.delete_channel(thread)
        self.channels.pop(channel.id, None)
        if guild is not None:
            guild.channels.pop(channel.id, None)
            name = "THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE"
            self._emit_guild(guild, name, render.channel(channel))

    def start_thread(
        self, parent: Channel, name: str, *, kind: int, owner_id: int, channel_id: int | None = None
    ) -> Channel:
        """Open a thread below a channel; its owner is its first member."""
        thread = Channel(
            self,
            channel_id or self.ids.next(),
            kind,
            name,
            guild=parent.guild,
            parent=parent,
            owner_id=owner_id,
        )
        thread.thread_member_ids.add(owner_id)
        self.add_channel(thread)
        return thread

    def dm_channel(self, user: User) -> Channel:
        """Return the bot's DM channel with somebody, opening it if need be."""
        for channel in self.channels.values():
            if channel.kind == DM and user.id in channel.recipient_ids:
                return channel
        channel = Channel(self, self.ids.next(), DM)
        channel.recipient_ids = [user.id, self.bot_user.id]
        self.channels[channel.id] = channel
        return channel

    # Members and roles

    def role_added(self, guild: Guild, role: Role) -> None:
        """Tell the bot of a new role."""
        body = {"guild_id": str(guild.id), "role": render.role(role)}
        self._emit_guild(guild, "GUILD_ROLE_CREATE", body)

    def role_changed(self, guild: Guild, role: Role) -> None:
        """Tell the bot of a changed role."""
        body = {"guild_id": str(guild.id), "role": render.role(role)}
        self._emit_guild(guild, "GUILD_ROLE_UPDATE", body)

    def member_added(self, member: Member) -> None:
        """Tell the bot who joined."""
        body = render.member(member) | {"guild_id": str(member.guild.id)}
        self._emit_guild(member.guild, "GUILD_MEMBER_ADD", body, GUILD_MEMBERS)

    def member_changed(self, member: Member) -> None:
        """Tell the bot of changed roles or names; of its own without the members intent too."""
        body = render.member(member) | {"guild_id": str(member.guild.id)}
        own = member.user is self.bot_user
        self._emit_guild(member.guild, "GUILD_MEMBER_UPDATE", body, 0 if own else GUILD_MEMBERS)

    def remove_member(self, guild: Guild, user_id: int) -> None:
        """Take somebody out of a guild; the bot sees its own going as GUILD_DELETE."""
        if user_id == self.bot_user.id:
            self._emit_guild(guild, "GUILD_DELETE", {"id": str(guild.id)})
            guild.members.pop(user_id, None)
            return
        guild.members.pop(user_id, None)
        body = {"guild_id": str(guild.id), "user": render.user(self.users[user_id])}
        self._emit_guild(guild, "GUILD_MEMBER_REMOVE", body, GUILD_MEMBERS)


def new_token(bot_id: int) -> str:
    """Return a token of a bot token's shape that is plainly none."""
    head = "sandbox" + str(bot_id)[-17:]
    return f"{head}.{secrets.token_hex(3)}.not-a-real-token-{secrets.token_hex(11)}"
