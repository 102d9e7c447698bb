"""Follow-ups to interactions, for 15 minutes (Discord: "Followup messages")."""

from __future__ import annotations

from sandbox.discord import posting, render_message
from sandbox.discord.errors import ApiError
from sandbox.discord.interactions import Interaction
from sandbox.discord.messages import JsonObject, Message
from sandbox.discord.rest import Call, Result, Route
from sandbox.discord.routes.callbacks import reply
from sandbox.discord.routes.messages import apply_edit


def _interaction(call: Call) -> Interaction:
    if call.id("application_id") != call.world.bot_user.id:
        raise ApiError(10015)
    made = call.world.interactions.get(call.params["interaction_token"])
    if made is None:
        raise ApiError(10015)
    if made.expired():
        raise ApiError(50027)
    if not made.acknowledged:
        raise ApiError(10015)
    return made


def _shown(message: Message) -> JsonObject:
    return render_message.message(message, lambda _: True)


def _one(call: Call) -> tuple[Interaction, Message]:
    made = _interaction(call)
    wanted = call.params["message_id"]
    if wanted == "@original":
        found = made.message
    else:
        message_id = call.id("message_id")
        found = next((each for each in made.messages if each.id == message_id), None)
    if found is None or found.deleted_at is not None:
        raise ApiError(10008)
    return made, found


def follow_up(call: Call) -> Result:
    """Post a follow-up; the first one after a deferral takes the place of "thinking"."""
    made = _interaction(call)
    body = call.object()
    first = made.message
    if first is not None and first.loading:
        apply_edit(call, first, body)
        made.followups.append(first)
        return _shown(first)
    message = reply(call, made, body, first=False)
    made.followups.append(message)
    return _shown(message)


def get(call: Call) -> Result:
    """Return the response or a follow-up."""
    return _shown(_one(call)[1])


def edit(call: Call) -> Result:
    """Edit the response or a follow-up."""
    _, message = _one(call)
    apply_edit(call, message, call.object())
    return _shown(message)


def delete(call: Call) -> Result:
    """Delete the response or a follow-up."""
    made, message = _one(call)
    posting.delete(call.world, message)
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
