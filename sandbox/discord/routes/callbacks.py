"""Interaction callbacks: 3 seconds, once (Discord: "Receiving and responding")."""

from __future__ import annotations

from sandbox.discord import interactions, posting, render_message
from sandbox.discord.commands import check_choices
from sandbox.discord.components import check_modal
from sandbox.discord.errors import ApiError, form
from sandbox.discord.interactions import (
    ACK_WITHIN_S,
    AUTOCOMPLETE,
    CHOICES,
    COMMAND,
    COMPONENT,
    DEFER_REPLY,
    DEFER_UPDATE,
    MODAL,
    MODAL_SUBMIT,
    REPLY,
    UPDATE,
    Interaction,
)
from sandbox.discord.messages import (
    CHAT_INPUT,
    CONTEXT_MENU,
    EPHEMERAL,
    LOADING,
    Draft,
    JsonObject,
    Message,
)
from sandbox.discord.messages import REPLY as REPLY_TYPE
from sandbox.discord.model import WITH_MESSAGES
from sandbox.discord.rest import Call, Result, Route
from sandbox.discord.routes.messages import apply_edit, draft_of
from sandbox.discord.validation import check_body, refuse_empty

_FITTING = {
    COMMAND: {REPLY, DEFER_REPLY, MODAL},
    COMPONENT: {REPLY, DEFER_REPLY, DEFER_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {REPLY, DEFER_REPLY, DEFER_UPDATE, UPDATE},
}


def respond(call: Call) -> Result:
    """Take the first response to an interaction."""
    world = call.world
    made = world.interactions.get(call.params["interaction_token"])
    if made is None or made.id != call.id("interaction_id"):
        raise ApiError(10062)
    body = call.object()
    kind = body.get("type")
    fitting = _FITTING[made.kind]
    if kind not in fitting or (kind in {UPDATE, DEFER_UPDATE} and made.source is None):
        error = {"code": "BASE_TYPE_CHOICES", "message": f"Value must be one of {sorted(fitting)}."}
        raise ApiError(50035, errors={"type": {"_errors": [error]}})
    if made.acknowledged:
        raise ApiError(40060)
    if world.monotonic() - made.at > ACK_WITHIN_S:
        raise ApiError(10062)
    data = body.get("data")
    _take(call, made, kind, data if isinstance(data, dict) else {})
    made.response_type = kind
    made.responded_at = world.monotonic()
    world.touch()
    if call.query.get("with_response", "").lower() in {"1", "true"}:
        return _resource(call, made)
    return None


def _take(call: Call, made: Interaction, kind: int, data: JsonObject) -> None:
    """Do what a callback type asks for."""
    if kind == REPLY:
        made.message = reply(call, made, data, first=True)
    elif kind == DEFER_REPLY:
        flags = LOADING | int(data.get("flags") or 0) & EPHEMERAL
        made.message = _post(call, made, Draft(flags=flags), first=True)
    elif kind == UPDATE and made.source is not None:
        apply_edit(call, made.source, data)
        made.message = made.source
    elif kind == DEFER_UPDATE:
        made.message = made.source
    elif kind == CHOICES:
        made.choices = _choices(made, data)
    elif kind == MODAL:
        with form() as opened:
            check_modal(opened, data)
        made.modal = data


def _choices(made: Interaction, data: JsonObject) -> list[JsonObject]:
    choices = data.get("choices")
    with form() as opened:
        if not isinstance(choices, list) or len(choices) > 25:
            opened.wrong("data.choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
        else:
            check_choices(opened, choices, "data.choices", made.option_kind)
    return list(choices or ())


def reply(call: Call, made: Interaction, data: JsonObject, *, first: bool) -> Message:
    """Post a response or follow-up.

    Raises:
        ApiError: 50035 or 50006.
    """
    mentions = check_body(data)
    draft = draft_of(call, data, mentions, ephemeral=True)
    refuse_empty(draft.content, draft.embeds, draft.attachments, draft.components)
    return _post(call, made, draft, first=first)


def _post(call: Call, made: Interaction, draft: Draft, *, first: bool) -> Message:
    world = call.world
    if made.channel.kind not in WITH_MESSAGES:
        raise ApiError(50008)
    draft.webhook_id = draft.application_id = world.bot_user.id
    draft.interaction = interactions.metadata(made, follows=None if first else made.message)
    draft.seen_by = made.user.id if draft.flags & EPHEMERAL else None
    if not first:
        draft.kind, draft.reference = REPLY_TYPE, made.message
    elif made.kind == COMMAND:
        draft.kind = CHAT_INPUT if made.data["type"] == 1 else CONTEXT_MENU
    elif made.kind == COMPONENT:
        draft.kind, draft.reference = REPLY_TYPE, made.source
    return posting.post(world, made.channel, world.bot_user, draft)


def _resource(call: Call, made: Interaction) -> JsonObject:
    body: JsonObject = {
        "interaction": {
            "id": str(made.id),
            "type": made.kind,
            "channel_id": str(made.channel.id),
        },
    }
    if made.channel.guild is not None:
        body["interaction"]["guild_id"] = str(made.channel.guild.id)
    if made.message is not None:
        message = made.message
        body["interaction"] |= {
            "response_message_id": str(message.id),
            "response_message_loading": message.loading,
            "response_message_ephemeral": message.ephemeral,
        }
        if made.response_type in {REPLY, UPDATE}:
            shown = render_message.message(message, call.world.shows_content)
            body["resource"] = {"type": made.response_type, "message": shown}
    return body


ROUTES = (
    Route(
        "POST",
        "/interactions/{interaction_id}/{interaction_token}/callback",
        respond,
        "webhook",
        token=False,
    ),
)
