"""Who may do what: commands, autocomplete, buttons and modals, reading what was said before, and the bot itself."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import timedelta
from typing import Any, Final

import discord
from discord import app_commands

from bot.chat.admission import Admission, Judgement
from bot.core.clock import Clock
from bot.core.domain import (
    IncomingMessage,
    Origin,
    Person,
    Place,
    Question,
    UserId,
)
from bot.core.errors import DeliveryError, TargetGoneError
from bot.core.wording import plain_reason
from bot.gateway.client import ClawbotClient, Interaction
from bot.gateway.rest import POST_MESSAGE, VOICE, Caller, missing
from cogs import _convert, _respond

NEEDS_MANAGE_GUILD = (
    "You need the Manage Server permission to do that here, or a role that this server's settings "
    "name for it."
)
NEEDS_MANAGE_ITSELF = "You need the Manage Server permission itself to do that here."
NEEDS_GUILD = "That works only inside a server."
NEEDS_OWNER = "Only whoever runs me may do that: it concerns everybody whom I answer."
FOREIGN_INSTALL = "Add me to this server first: I work only where I'm a member."


_OWNING_ROLES = frozenset({discord.TeamMemberRole.admin, discord.TeamMemberRole.developer})


class GateError(app_commands.CheckFailure):
    """A person may not do what they asked for; the message is the sentence for them."""


def owner_ids(client: ClawbotClient) -> frozenset[UserId]:
    """Return the people who may change global settings: configured ones and the app's owners.

    Of a team these are its owner, and the members who accepted as admin or developer (Discord:
    teams, member roles). Nobody who is blocked is an owner.
    """
    settings = client.services.settings.discord
    ids = {UserId(i) for i in settings.owner_ids}
    application = client.application
    if application is not None and application.team:
        ids |= _team_owners(application.team)
    elif application is not None:
        ids.add(UserId(application.owner.id))
    return frozenset(ids - set(settings.blocked_user_ids))


def _team_owners(team: discord.Team) -> set[UserId]:
    found = {
        UserId(member.id)
        for member in team.members
        if member.membership_state is discord.TeamMembershipState.accepted
        and member.role in _OWNING_ROLES
    }
    return found | ({UserId(team.owner_id)} if team.owner_id else set())


def admission(client: ClawbotClient) -> Admission:
    """Return the admission policy in force."""
    services = client.services
    return Admission(services.settings.discord, owner_ids(client), services.overrides.rules)


def judge(client: ClawbotClient, message: IncomingMessage, *, is_own_thread: bool) -> Judgement:
    """Decide what to do with a message, permissions included.

    Args:
        client: Knows the channels.
        message: Just created, just edited, or missed.
        is_own_thread: It was said in a thread that belongs to the bot.
    """
    return admission(client).judge(
        message,
        UserId(client.user.id),
        is_own_thread=is_own_thread,
        may_write=may_write(client, message),
    )


def may_write(client: ClawbotClient, message: IncomingMessage) -> bool:
    """Return whether an answer to a message can be posted, as far as is known without asking."""
    channel = client.get_channel(message.place.channel_id)
    return not missing(channel, POST_MESSAGE, has_files=False)


def own_permissions(interaction: discord.Interaction[Any]) -> discord.Permissions:
    """Return what the bot may do where an interaction happens: as stated, or else computed."""
    stated, guild, channel = interaction.app_permissions, interaction.guild, interaction.channel
    if (
        stated.value
        or guild is None
        or not isinstance(channel, discord.TextChannel | discord.Thread)
    ):
        return stated
    return channel.permissions_for(guild.me)


async def admits(interaction: Interaction, *, is_administrative: bool | None = None) -> bool:
    """Check that this person may use the bot at this place, and now; answers them when not.

    Autocomplete, which reads nothing but memory, isn't counted, and gets no choices instead of a
    sentence. Who manages a server isn't locked out of its settings by them.

    Args:
        interaction: Fresh.
        is_administrative: It is about settings; by its command when left out.
    """
    if is_administrative is None:
        is_administrative = _is_administrative(interaction.command)
    client = interaction.client
    person = _convert.person(interaction.user)
    if person.id in owner_ids(client):
        return True
    if _is_everybodys(interaction.command):
        reason = client.services.limiter.press(person.id, None)
        if reason:
            await _respond.say(interaction, reason)
        return not reason
    is_typing = interaction.type is discord.InteractionType.autocomplete
    reason = FOREIGN_INSTALL
    if is_installed(interaction):
        place = _convert.interaction_place(interaction)
        policy = admission(client)
        manages = is_administrative and is_manager(interaction)
        reason = (policy.operators_refusal if manages else policy.refusal)(person, place)
        if not reason and not is_typing:
            reason = client.services.limiter.press(person.id, place.guild_id)
    if not reason:
        return True
    if is_typing:
        await interaction.response.autocomplete([])
    else:
        await _respond.say(interaction, reason)
    return False


IN_SERVERS: Final = app_commands.AppCommandContext(
    guild=True, dm_channel=False, private_channel=False
)
"""Where commands about servers are offered. What is left out here is as the command tree has it."""

FOR_MANAGERS: Final = "is_for_managers"
"""Marks a command, in its extras, that a server's settings don't shut its managers out of."""


def _is_administrative(command: object) -> bool:
    """Return whether a command is there for those who manage a server: for nobody else, or at any rate."""
    root = getattr(command, "root_parent", None) or command
    is_only_theirs = getattr(root, "default_permissions", None) is not None
    return is_only_theirs or FOR_MANAGERS in getattr(root, "extras", {})


EVERYBODYS: Final = "is_everybodys"
"""Marks a command, in its extras, that nobody is shut out from: it is about a person's own data."""


def _is_everybodys(command: object) -> bool:
    root = getattr(command, "root_parent", None) or command
    return EVERYBODYS in getattr(root, "extras", {})


def is_installed(interaction: Interaction) -> bool:
    """Return whether the bot is itself where this happens, not only brought along by a person.

    In a guild that is one whose events it receives, and whose own installation Discord names where
    it names any; elsewhere it is a direct message with the bot itself (Discord: receiving and
    responding, authorizing integration owners and contexts).
    """
    if interaction.guild_id is None:
        return not interaction.context.private_channel
    is_named = bool(interaction._integration_owners)  # noqa: SLF001 - only two of its keys are public
    is_member = interaction.client.get_guild(interaction.guild_id) is not None
    return is_member and (interaction.is_guild_integration() or not is_named)


def require_manager(interaction: Interaction) -> None:
    """Let through only people who manage this guild, where the bot itself is a member.

    The permission that Discord computes and sends is checked, since a command's default
    permissions are only a hint (Discord: application commands, permissions).

    Raises:
        GateError: With the sentence for the person.
    """
    _require_own_server(interaction)
    if not (_manages_itself(interaction) or _has_admin_role(interaction)):
        raise GateError(NEEDS_MANAGE_GUILD)


def require_manage_server(interaction: Interaction) -> None:
    """Let through only people with the Manage Server permission itself: a role of the settings won't do.

    Raises:
        GateError: With the sentence for the person.
    """
    _require_own_server(interaction)
    if not _manages_itself(interaction):
        raise GateError(NEEDS_MANAGE_ITSELF)


def _require_own_server(interaction: Interaction) -> None:
    if interaction.guild_id is None:
        raise GateError(NEEDS_GUILD)
    if not is_installed(interaction):
        raise GateError(FOREIGN_INSTALL)


def _manages_itself(interaction: Interaction) -> bool:
    permissions = interaction.permissions
    return permissions.manage_guild or permissions.administrator


def _has_admin_role(interaction: Interaction) -> bool:
    """Return whether a role makes this person one who changes the server's settings."""
    person, place = _convert.person(interaction.user), _convert.interaction_place(interaction)
    return _is_admin(interaction.client, person, person.role_ids, place)


def _is_admin(
    client: ClawbotClient, person: Person, role_ids: Collection[int], place: Place
) -> bool:
    settings, rules = client.services.settings.discord, client.services.overrides.rules(place)
    blocked = {*settings.blocked_user_ids, *rules.blocked_user_ids}
    allowed = {*settings.admin_role_ids, *rules.admin_role_ids}
    return person.id not in blocked and not allowed.isdisjoint(role_ids)


def is_owner(interaction: Interaction) -> bool:
    """Return whether this person is one of those who run the bot."""
    return UserId(interaction.user.id) in owner_ids(interaction.client)


def require_owner(interaction: Interaction) -> None:
    """Let through only the people who run the bot.

    Raises:
        GateError: With the sentence for the person.
    """
    if not is_owner(interaction):
        raise GateError(NEEDS_OWNER)


def is_manager(interaction: Interaction) -> bool:
    """Return whether ``require_manager`` or ``require_owner`` would let this person through."""
    try:
        require_manager(interaction)
    except GateError:
        return is_owner(interaction)
    return True


_log = logging.getLogger(__name__)

ROLES_HOLD: Final = timedelta(seconds=60)
"""How long the roles that came with a question are taken for the person's roles."""


class Rights:
    """Tells who the bot is, what may be read, and what an asker may do at a place, as things are now.

    Args:
        client: Knows the guilds.
        clock: Tells how old a question is.
    """

    def __init__(self, client: ClawbotClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._caller = Caller(clock)

    def bot_id(self) -> UserId:
        """Return the bot's own user."""
        return UserId(self._client.user.id)

    def bot_name(self) -> str:
        """Return what the bot is called."""
        return self._client.user.display_name

    def names_of(self, place: Place) -> tuple[str, str]:
        """Return the names of a place's guild and channel; empty where unknown."""
        guild = self._client.get_guild(place.guild_id) if place.guild_id is not None else None
        channel = guild.get_channel_or_thread(place.channel_id) if guild is not None else None
        return (guild.name if guild else "", channel.name if channel else "")

    def may_use(self, message: IncomingMessage) -> bool:
        """Return whether a message's writer isn't blocked, by the operator or at its place."""
        services, writer = self._client.services, message.author.id
        return (
            writer not in services.settings.discord.blocked_user_ids
            and writer not in services.overrides.rules(message.place).blocked_user_ids
        )

    def is_withheld(self, message: IncomingMessage, asker_id: UserId) -> bool:
        """Return whether somebody who wrote a part of a message doesn't want others to read it."""
        services = self._client.services
        writers = services.source.writers_of(message) - {asker_id}
        return any(services.privacy.kept.is_withheld(writer) for writer in writers)

    async def may_read(self, question: Question) -> bool:
        """Return whether the asker sees the channel and its history; what can't be told is no."""
        place = question.place
        if place.guild_id is None:
            return True
        guild = self._client.get_guild(place.guild_id)
        channel = None if guild is None else _channel(guild, place)
        if guild is None or channel is None:
            return False
        roles = await self._roles(guild, question)
        return roles is not None and may_read(guild, channel, question.asker.id, roles)

    async def may_manage(self, question: Question) -> bool:
        """Return whether the asker may change settings of the server; what can't be told is no."""
        client, place, asker = self._client, question.place, question.asker
        if asker.id in owner_ids(client):
            return True
        guild = client.get_guild(place.guild_id) if place.guild_id is not None else None
        roles = None if guild is None else await self._roles(guild, question)
        if guild is None or roles is None:
            return False
        granted = _granted(guild, roles)
        is_granted = granted.manage_guild or granted.administrator
        return is_granted or guild.owner_id == asker.id or _is_admin(client, asker, roles, place)

    async def _roles(self, guild: discord.Guild, question: Question) -> Collection[int] | None:
        """Return the asker's roles: those that came with the question, or Discord's word."""
        asker = question.asker
        is_new = self._clock.now() - question.asked_at <= ROLES_HOLD
        if asker.role_ids and is_new and question.origin is not Origin.REGENERATE:
            return asker.role_ids
        try:
            member = await self._caller.call(lambda: guild.fetch_member(asker.id))
        except TargetGoneError:
            return None
        except DeliveryError as exc:
            _log.info("a member could not be looked up (%s)", plain_reason(exc))
            return asker.role_ids or None
        return {role.id for role in member.roles}


def _channel(guild: discord.Guild, place: Place) -> discord.abc.GuildChannel | None:
    """Return the channel that the permissions of a place are those of: a thread's parent."""
    found = guild.get_channel_or_thread(place.channel_id)
    if isinstance(found, discord.Thread):
        found = found.parent
    if found is None and place.parent_id is not None:
        found = guild.get_channel(place.parent_id)
    return found


def _granted(guild: discord.Guild, role_ids: Collection[int]) -> discord.Permissions:
    """Return what roles grant in a whole server."""
    value = 0
    for role in guild.roles:
        if role.id in role_ids or role.is_default():
            value |= role.permissions.value
    return discord.Permissions(value)


def may_read(
    guild: discord.Guild,
    channel: discord.abc.GuildChannel,
    person_id: int,
    role_ids: Collection[int],
) -> bool:
    """Compute whether somebody sees a channel and what was said there (Discord: permissions, overwrites).

    Args:
        guild: The channel's guild.
        channel: No thread.
        person_id: The member.
        role_ids: The member's roles.
    """
    if person_id == guild.owner_id:
        return True
    granted = _granted(guild, role_ids)
    if granted.administrator:
        return True
    value = granted.value
    everyone, own, person = (0, 0), (0, 0), (0, 0)
    for target, overwrite in channel.overwrites.items():
        allow, deny = (each.value for each in overwrite.pair())
        if target.id == guild.id:
            everyone = (allow, deny)
        elif target.id == person_id:
            person = (allow, deny)
        elif target.id in role_ids:
            own = (own[0] | allow, own[1] | deny)
    for allow, deny in (everyone, own, person):
        value = (value & ~deny) | allow
    needed = discord.Permissions(
        view_channel=True, read_message_history=True, connect=isinstance(channel, VOICE)
    ).value
    return value & needed == needed
