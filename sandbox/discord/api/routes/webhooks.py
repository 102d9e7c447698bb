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
    made = request.world.interactions.get(request.params["interaction_token"])
    if made is None:
        raise ApiError(10015)
    if made.expired():
        raise ApiError(50027)
    if not made.acknowledged:
        raise ApiError(10015)
    return made


def _shown(request: ApiRequest, message: Message) -> JsonObject:
    return rendering.whole_message(request.world, message)


def _one(request: ApiRequest) -> tuple[Interaction, Message]:
    made = _interaction(request)
    wanted = request.params["message_id"]
    if wanted == "@original":
        found = made.message
    else:
        message_id = request.id("message_id")
        found = next((each for each in made.messages if each.id == message_id), None)
    if found is None or found.deleted_at is not None:
        raise ApiError(10008)
    return made, found


def follow_up(request: ApiRequest) -> Result:
    """Post a follow-up; the first one after a deferral takes the place of "thinking"."""
    made = _interaction(request)
    body = request.object()
    first = made.message
    if first is not None and first.loading:
        apply_edit(request, first, body)
        made.followups.append(first)
        return _shown(request, first)
    message = reply(request, made, body, first=False)
    made.followups.append(message)
    return _shown(request, message)


def get(request: ApiRequest) -> Result:
    """Return the response or a follow-up."""
    return _shown(request, _one(request)[1])


def edit(request: ApiRequest) -> Result:
    """Edit the response or a follow-up."""
    _, message = _one(request)
    apply_edit(request, message, request.object())
    return _shown(request, message)


def delete(request: ApiRequest) -> Result:
    """Delete the response or a follow-up."""
    made, message = _one(request)
    message_actions.delete(request.world, message)
    if message is made.message:
        made.message = None
    return None


_BASE = "/webhooks/{application_id}/{interaction_token}"
_ONE = _BASE + "/messages/{message_id}"
ROUTES = (
    Route("POST", _BASE, follow_up, "webhook", token=False),
    Route("GET", _ONE, get, "webhook", token=False),
    Route("PATCH", _ONE, edit, "webhook", token=False),
    Route("DELETE", _ONE, delete, "webhook", token=False),
)
