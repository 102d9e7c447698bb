"""Follow-ups to interactions, for 15 minutes (Discord: "Followup messages")."""

from __future__ import annotations

from sandbox.discord import rendering
from sandbox.discord.api.request import ApiRequest, Result
from sandbox.discord.api.router import Route
from sandbox.discord.api.routes.callbacks import reply
from sandbox.discord.api.routes.messages import apply_edit
from sandbox.discord.state import message_actions
from sandbox.discord.state.guilds import Message
from sandbox.discord.state.interactions import Interaction
from sandbox.discord.values.errors import ApiError
from sandbox.discord.values.json_objects import JsonObject


def _interaction(request: ApiRequest) -> Interaction:
    if request.id("application_id") != request.world.bot_user.id:
        raise ApiError(10015)
    interaction = request.world.interactions.get(request.params["interaction_token"])
    if interaction is None:
        raise ApiError(10015)
    if interaction.expired():
        raise ApiError(50027)
    if not interaction.acknowledged:
        raise ApiError(10015)
    return interaction


def _shown(request: ApiRequest, message: Message) -> JsonObject:
    return rendering.whole_message_object(request.world, message)


def _one(request: ApiRequest) -> tuple[Interaction, Message]:
    interaction = _interaction(request)
    wanted = request.params["message_id"]
    if wanted == "@original":
        found = interaction.message
    else:
        message_id = request.id("message_id")
        found = next((each for each in interaction.messages if each.id == message_id), None)
    if found is None or found.deleted_at is not None:
        raise ApiError(10008)
    return interaction, found


def follow_up(request: ApiRequest) -> Result:
    """Post a follow-up; the first one after a deferral takes the place of "thinking"."""
    interaction = _interaction(request)
    body = request.object()
    first = interaction.message
    if first is not None and first.loading:
        apply_edit(request, first, body)
        interaction.followups.append(first)
        return _shown(request, first)
    message = reply(request, interaction, body, first=False)
    interaction.followups.append(message)
    return _shown(request, message)


def get(request: ApiRequest) -> Result:
    """Return the response or a follow-up."""
    return _shown(request, _one(request)[1])


def edit(request: ApiRequest) -> Result:
    """Edit the response or a follow-up."""
    interaction, message = _one(request)
    apply_edit(request, message, request.object())
    interaction.is_edited = interaction.is_edited or message is interaction.message
    return _shown(request, message)


def delete(request: ApiRequest) -> Result:
    """Delete the response or a follow-up."""
    interaction, message = _one(request)
    message_actions.delete(request.world, message)
    if message is interaction.message:
        interaction.message = None
    return None


_BASE = "/webhooks/{application_id}/{interaction_token}"
_ONE = _BASE + "/messages/{message_id}"
ROUTES = (
    Route("POST", _BASE, follow_up, "webhook", token=False),
    Route("GET", _ONE, get, "webhook", token=False),
    Route("PATCH", _ONE, edit, "webhook", token=False),
    Route("DELETE", _ONE, delete, "webhook", token=False),
)
