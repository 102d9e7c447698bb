"""Interaction callbacks: 3 seconds, once (Discord: "Receiving and responding")."""

from __future__ import annotations

from sandbox.discord import rendering
from sandbox.discord.api.request import ApiRequest, Result
from sandbox.discord.api.router import Route
from sandbox.discord.api.routes.messages import apply_edit, draft_of
from sandbox.discord.checks.commands import check_choices
from sandbox.discord.checks.components import check_modal
from sandbox.discord.checks.form import collect_errors
from sandbox.discord.checks.messages import check_body, refuse_empty
from sandbox.discord.state import message_actions
from sandbox.discord.state.guilds import Draft, Message
from sandbox.discord.state.interactions import Interaction
from sandbox.discord.values.channel_types import WITH_MESSAGES
from sandbox.discord.values.content import (
    CHAT_INPUT_COMMAND,
    CONTEXT_MENU_COMMAND,
    EPHEMERAL,
    LOADING,
    REPLY,
)
from sandbox.discord.values.errors import ApiError
from sandbox.discord.values.interaction_types import (
    AUTOCOMPLETE,
    AUTOCOMPLETE_RESULT,
    CHANNEL_MESSAGE,
    COMMAND,
    COMPONENT,
    DEFERRED_CHANNEL_MESSAGE,
    DEFERRED_UPDATE_MESSAGE,
    MODAL,
    MODAL_SUBMIT,
    UPDATE_MESSAGE,
)
from sandbox.discord.values.json_objects import JsonObject

_FITTING = {
    COMMAND: {CHANNEL_MESSAGE, DEFERRED_CHANNEL_MESSAGE, MODAL},
    COMPONENT: {
        CHANNEL_MESSAGE,
        DEFERRED_CHANNEL_MESSAGE,
        DEFERRED_UPDATE_MESSAGE,
        UPDATE_MESSAGE,
        MODAL,
    },
    AUTOCOMPLETE: {AUTOCOMPLETE_RESULT},
    MODAL_SUBMIT: {
        CHANNEL_MESSAGE,
        DEFERRED_CHANNEL_MESSAGE,
        DEFERRED_UPDATE_MESSAGE,
        UPDATE_MESSAGE,
    },
}


def respond(request: ApiRequest) -> Result:
    """Take the first response to an interaction."""
    world = request.world
    interaction = world.interactions.get(request.params["interaction_token"])
    if interaction is None or interaction.id != request.id("interaction_id"):
        raise ApiError(10062)
    body = request.object()
    kind = body.get("type")
    fitting = _FITTING[interaction.kind]
    if kind not in fitting or (
        kind in {UPDATE_MESSAGE, DEFERRED_UPDATE_MESSAGE} and interaction.source is None
    ):
        error = {"code": "BASE_TYPE_CHOICES", "message": f"Value must be one of {sorted(fitting)}."}
        raise ApiError(50035, errors={"type": {"_errors": [error]}})
    if interaction.acknowledged:
        raise ApiError(40060)
    if interaction.is_late:
        raise ApiError(10062)
    data = body.get("data")
    _take(request, interaction, kind, data if isinstance(data, dict) else {})
    interaction.response_type = kind
    interaction.responded_at = world.monotonic()
    world.changes.notify()
    if request.query.get("with_response", "").lower() in {"1", "true"}:
        return _resource(request, interaction)
    return None


def _take(request: ApiRequest, interaction: Interaction, kind: int, data: JsonObject) -> None:
    """Do what a callback type asks for."""
    if kind == CHANNEL_MESSAGE:
        interaction.message = reply(request, interaction, data, first=True)
    elif kind == DEFERRED_CHANNEL_MESSAGE:
        flags = LOADING | int(data.get("flags") or 0) & EPHEMERAL
        interaction.message = _post(request, interaction, Draft(flags=flags), first=True)
    elif kind == UPDATE_MESSAGE and interaction.source is not None:
        apply_edit(request, interaction.source, data)
        interaction.message = interaction.source
    elif kind == DEFERRED_UPDATE_MESSAGE:
        interaction.message = interaction.source
    elif kind == AUTOCOMPLETE_RESULT:
        interaction.choices = _choices(interaction, data)
    elif kind == MODAL:
        with collect_errors() as form:
            check_modal(form, data)
        interaction.modal = data


def _choices(interaction: Interaction, data: JsonObject) -> list[JsonObject]:
    choices = data.get("choices")
    with collect_errors() as form:
        if not isinstance(choices, list) or len(choices) > 25:
            form.wrong("data.choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
        else:
            check_choices(form, choices, "data.choices", interaction.option_kind)
    return list(choices or ())


def reply(
    request: ApiRequest, interaction: Interaction, data: JsonObject, *, first: bool
) -> Message:
    """Post a response or follow-up.

    Raises:
        ApiError: 50035 or 50006.
    """
    mentions = check_body(data)
    draft = draft_of(request, data, mentions, ephemeral=True)
    refuse_empty(draft.content, draft.embeds, draft.attachments, draft.components)
    return _post(request, interaction, draft, first=first)


def _post(request: ApiRequest, interaction: Interaction, draft: Draft, *, first: bool) -> Message:
    world = request.world
    if interaction.channel.kind not in WITH_MESSAGES:
        raise ApiError(50008)
    draft.webhook_id = draft.application_id = world.bot_user.id
    draft.interaction = rendering.interaction_metadata(
        request.world, interaction, follows=None if first else interaction.message
    )
    draft.seen_by = interaction.user.id if draft.flags & EPHEMERAL else None
    if not first:
        draft.kind, draft.reference = REPLY, interaction.message
    elif interaction.kind == COMMAND:
        draft.kind = CHAT_INPUT_COMMAND if interaction.data["type"] == 1 else CONTEXT_MENU_COMMAND
    elif interaction.kind == COMPONENT:
        draft.kind, draft.reference = REPLY, interaction.source
    return message_actions.post(world, interaction.channel, world.bot_user, draft)


def _resource(request: ApiRequest, interaction: Interaction) -> JsonObject:
    body: JsonObject = {
        "interaction": {
            "id": str(interaction.id),
            "type": interaction.kind,
            "channel_id": str(interaction.channel.id),
        },
    }
    if interaction.channel.guild is not None:
        body["interaction"]["guild_id"] = str(interaction.channel.guild.id)
    if interaction.message is not None:
        message = interaction.message
        body["interaction"] |= {
            "response_message_id": str(message.id),
            "response_message_loading": message.loading,
            "response_message_ephemeral": message.ephemeral,
        }
        if interaction.response_type in {CHANNEL_MESSAGE, UPDATE_MESSAGE}:
            shown = rendering.rest_message_object(request.world, message)
            body["resource"] = {"type": interaction.response_type, "message": shown}
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
