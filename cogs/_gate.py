"""Who may do what: the one permission gate of commands, autocomplete, buttons and modals."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.chat.admission import Admission, Verdict
from bot.core.domain import IncomingMessage, UserId
from bot.gateway.client import ClawbotClient
from cogs import _convert, _places, _respond

Interaction = discord.Interaction[ClawbotClient]

NEEDS_MANAGE_GUILD = "You need the Manage Server permission to do that here."
NEEDS_GUILD = "That works only inside a server."
NEEDS_OWNER = "Only whoever runs me may change what holds everywhere."
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
    if application is not None:
        ids |= _team_owners(application.team) if application.team else {_owner(application)}
    return frozenset(ids - set(settings.blocked_user_ids))


def _owner(application: discord.AppInfo) -> UserId:
    return UserId(application.owner.id)


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
    return Admission(client.services.settings.discord, owner_ids(client))


def judge(client: ClawbotClient, message: IncomingMessage, *, is_own_thread: bool) -> Verdict:
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
        may_write=_places.may_write(client, message),
    )


async def admits(interaction: Interaction) -> bool:
    """Check that this person may use the bot at this place, and now; answers them when not.

    Autocomplete, which reads nothing but memory, isn't counted, and gets no choices instead of a
    sentence.
    """
    client = interaction.client
    person = _convert.person(interaction.user)
    if person.id in owner_ids(client):
        return True
    is_typing = interaction.type is discord.InteractionType.autocomplete
    reason = FOREIGN_INSTALL
    if is_installed(interaction):
        place = _convert.interaction_place(interaction)
        reason = admission(client).refusal(person, place)
        if not reason and not is_typing:
            reason = client.services.limiter.press(person.id, place.guild_id)
    if not reason:
        return True
    if is_typing:
        await interaction.response.autocomplete([])
    else:
        await _respond.say(interaction, reason)
    return False


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
    if interaction.guild_id is None:
        raise GateError(NEEDS_GUILD)
    if not is_installed(interaction):
        raise GateError(FOREIGN_INSTALL)
    permissions = interaction.permissions
    if not (permissions.manage_guild or permissions.administrator):
        raise GateError(NEEDS_MANAGE_GUILD)


def require_owner(interaction: Interaction) -> None:
    """Let through only the people who run the bot.

    Raises:
        GateError: With the sentence for the person.
    """
    if UserId(interaction.user.id) not in owner_ids(interaction.client):
        raise GateError(NEEDS_OWNER)


def is_manager(interaction: Interaction) -> bool:
    """Return whether ``require_manager`` or ``require_owner`` would let this person through."""
    try:
        require_manager(interaction)
    except GateError:
        return UserId(interaction.user.id) in owner_ids(interaction.client)
    return True
