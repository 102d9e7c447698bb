"""Messages: create, read, edit, delete (Discord: resources, "Message")."""

from __future__ import annotations

from sandbox.discord import rendering
from sandbox.discord.api.request import ApiRequest, Result, snowflake
from sandbox.discord.api.router import Route
from sandbox.discord.checks.defaults import complete_components, complete_embeds
from sandbox.discord.checks.messages import (
    check_body,
    read_attachments,
    read_flags,
    refuse_empty,
)
from sandbox.discord.state import message_actions
from sandbox.discord.state.guilds import Channel, Draft, Message
from sandbox.discord.values.channel_types import STAGE, VOICE, WITH_MESSAGES
from sandbox.discord.values.content import (
    COMPONENTS_V2,
    LOADING,
    REPLY,
    SUPPRESS_EMBEDS,
    AllowedMentions,
)
from sandbox.discord.values.errors import ApiError
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.permissions import Permission
from sandbox.discord.values.snowflakes import time_of

_HOUR_S = 3600.0
_TWO_WEEKS_S = 14 * 86_400


def create(request: ApiRequest) -> Result:
    """Post a message."""
    channel = request.channel()
    if channel.kind not in WITH_MESSAGES:
        raise ApiError(50008)
    body = request.object()
    mentions = check_body(body)
    _check_may_post(request, channel, body)
    earlier = _message_of_nonce(request, channel, body)
    if earlier is not None:
        return rendering.rest_message_object(request.world, earlier)
    draft = draft_of(request, body, mentions)
    _read_reference(request, channel, body, draft)
    if draft.forward is None:
        refuse_empty(
            draft.content,
            draft.embeds,
            draft.attachments,
            draft.components,
            body.get("sticker_ids"),
            body.get("poll"),
        )
    message = message_actions.post(request.world, channel, request.world.bot_user, draft)
    if message.nonce is not None:
        request.world.nonces[channel.id, str(message.nonce)] = message
    return rendering.rest_message_object(request.world, message)


def draft_of(
    request: ApiRequest, body: JsonObject, mentions: AllowedMentions, *, ephemeral: bool = False
) -> Draft:
    """Return a checked body as a draft."""
    return Draft(
        content=str(body.get("content") or "").strip(),
        embeds=complete_embeds(body.get("embeds") or ()),
        components=complete_components(body.get("components") or ()),
        attachments=read_attachments(request.world.ids, body, request.files),
        flags=read_flags(body, ephemeral=ephemeral),
        mentions=mentions,
        nonce=body.get("nonce"),
        tts=bool(body.get("tts")),
    )


def _check_may_post(request: ApiRequest, channel: Channel, body: JsonObject) -> None:
    """Refuse what the bot may not post here."""
    world = request.world
    if channel.is_dm:
        people = [world.users[each] for each in channel.recipient_ids]
        if any(person.blocks_bot or not person.accepts_dms for person in people):
            raise ApiError(50007)
        return
    _refuse_locked(request, channel)
    if not world.bot_may(channel, Permission.SEND_MESSAGES):
        raise ApiError(50013)
    if request.files and not world.bot_may(channel, Permission.ATTACH_FILES):
        raise ApiError(50013)
    if body.get("tts") and not world.bot_may(channel, Permission.SEND_TTS_MESSAGES):
        raise ApiError(50013)


def _refuse_locked(request: ApiRequest, channel: Channel) -> None:
    """Refuse to write or edit in a locked thread (Discord: threads, "Locked Threads")."""
    is_locked = channel.is_thread and channel.locked
    if is_locked and not request.world.bot_may(channel, Permission.MANAGE_THREADS):
        raise ApiError(160005)


def _readable(request: ApiRequest) -> Channel:
    """Return the channel of the path; in a voice or stage channel reading takes Connect, too."""
    channel = request.channel()
    if channel.kind in {VOICE, STAGE} and not request.world.bot_may(channel, Permission.CONNECT):
        raise ApiError(50001)
    return channel


def _message_of_nonce(request: ApiRequest, channel: Channel, body: JsonObject) -> Message | None:
    """Return the message that an enforced nonce has made already.

    Raises:
        ApiError: 10008, it has been deleted since.
    """
    nonce = body.get("nonce")
    if nonce is None or not body.get("enforce_nonce"):
        return None
    earlier = request.world.nonces.get((channel.id, str(nonce)))
    if earlier is None:
        return None
    if request.world.now() - earlier.created_unix_s > request.options.nonce_window_s:
        return None
    if earlier.deleted_at is not None:
        raise ApiError(10008)
    return earlier


def _read_reference(request: ApiRequest, channel: Channel, body: JsonObject, draft: Draft) -> None:
    """Read ``message_reference``: a reply, or a forward."""
    reference = body.get("message_reference")
    if reference is None:
        return
    if not isinstance(reference, dict) or reference.get("message_id") is None:
        raise _unknown_reference()
    message_id = snowflake(reference["message_id"], "message_reference")
    if reference.get("type") == 1:
        _forward(request, reference, message_id, draft)
        return
    if not request.world.bot_may(channel, Permission.READ_MESSAGE_HISTORY):
        raise ApiError(160002)
    elsewhere = reference.get("channel_id") not in {None, channel.id, str(channel.id)}
    target = None if elsewhere else channel.messages.get(message_id)
    if target is None:
        if reference.get("fail_if_not_exists", True) or elsewhere:
            raise _unknown_reference()
        return
    if target.is_system:
        raise _unknown_reference(
            "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE", "Cannot reply to a system message"
        )
    draft.reference = target
    draft.kind = REPLY


def _forward(request: ApiRequest, reference: JsonObject, message_id: int, draft: Draft) -> None:
    source = request.world.channels.get(snowflake(reference.get("channel_id"), "message_reference"))
    target = source.messages.get(message_id) if source is not None else None
    if (
        source is None
        or target is None
        or not request.world.bot_may(source, Permission.READ_MESSAGE_HISTORY)
    ):
        raise _unknown_reference()
    draft.forward = target


def _unknown_reference(
    code: str = "REPLIES_UNKNOWN_MESSAGE", message: str = "Unknown message"
) -> ApiError:
    error = {"code": code, "message": message}
    return ApiError(50035, errors={"message_reference": {"_errors": [error]}})


def get(request: ApiRequest) -> Result:
    """Return one message."""
    channel = _readable(request)
    if not request.world.bot_may(channel, Permission.READ_MESSAGE_HISTORY):
        raise ApiError(50001)
    return rendering.rest_message_object(request.world, request.message(channel))


def history(request: ApiRequest) -> Result:
    """Return messages, newest first."""
    channel = _readable(request)
    if channel.kind not in WITH_MESSAGES:
        raise ApiError(50008)
    limit = _limit(request.query.get("limit", "50"))
    anchors = [key for key in ("around", "before", "after") if key in request.query]
    if not request.world.bot_may(channel, Permission.READ_MESSAGE_HISTORY):
        return []
    ids = list(channel.messages)
    if anchors:
        ids = _window(ids, anchors[0], snowflake(request.query[anchors[0]], anchors[0]), limit)
    chosen = ids[-limit:]
    return [
        rendering.rest_message_object(request.world, channel.messages[each])
        for each in reversed(chosen)
    ]


def _limit(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        error = {"code": "NUMBER_TYPE_MAX", "message": "int value should be between 1 and 100."}
        raise ApiError(50035, errors={"limit": {"_errors": [error]}})
    return int(text)


def _window(ids: list[int], anchor: str, at: int, limit: int) -> list[int]:
    if anchor == "before":
        return [each for each in ids if each < at]
    if anchor == "after":
        return [each for each in ids if each > at][:limit]
    before = [each for each in ids if each < at][-(limit // 2) :]
    return before + [each for each in ids if each >= at][: limit - len(before)]


def edit(request: ApiRequest) -> Result:
    """Edit a message of the bot's own."""
    channel = request.channel()
    message = request.message(channel)
    body = request.object()
    own = message.author is request.world.bot_user
    if not own and (
        set(body) - {"flags"} or not request.world.bot_may(channel, Permission.MANAGE_MESSAGES)
    ):
        raise ApiError(50005 if set(body) - {"flags"} else 50013)
    if channel.is_thread and channel.archived:
        raise ApiError(50083)
    _refuse_locked(request, channel)
    if _is_too_old(request, message):
        raise ApiError(30046)
    apply_edit(request, message, body)
    return rendering.rest_message_object(request.world, message)


def _is_too_old(request: ApiRequest, message: Message) -> bool:
    """Tell whether an edit gets 30046: with ``refuse_old_edits``, after an hour."""
    age_s = request.world.now() - message.created_unix_s
    return request.options.refuse_old_edits and age_s > _HOUR_S


def apply_edit(request: ApiRequest, message: Message, body: JsonObject) -> None:
    """Change a message as a PATCH body says; absent fields stay, ``flags`` replace.

    Raises:
        ApiError: 50035 or 50006.
    """
    probe = dict(body)
    if message.flags & COMPONENTS_V2:
        probe["flags"] = int(body.get("flags") or 0) | COMPONENTS_V2
    mentions = check_body(probe)
    content = message.content
    if "content" in body:
        content = str(body["content"] or "").strip()
    embeds, components = message.embeds, message.components
    if "embeds" in body:
        embeds = complete_embeds(body["embeds"] or ())
    if "components" in body:
        components = complete_components(body["components"] or ())
    attachments = message.attachments
    if request.files or "attachments" in body:
        attachments = read_attachments(request.world.ids, body, request.files, message.attachments)
    refuse_empty(content, embeds, components, attachments)
    message.content, message.embeds, message.components = content, embeds, components
    message.attachments = attachments
    message.flags &= ~LOADING
    if body.get("flags") is not None:
        settable = SUPPRESS_EMBEDS | COMPONENTS_V2
        kept = message.flags & ~SUPPRESS_EMBEDS
        message.flags = kept | int(body["flags"]) & settable
    by_author = bool(set(body) - {"flags"})
    message_actions.record_edit(request.world, message, mentions, by_author=by_author)


def delete(request: ApiRequest) -> Result:
    """Delete a message; others' take Manage Messages."""
    channel = request.channel()
    message = request.message(channel)
    own = message.author is request.world.bot_user
    if not own and (
        channel.is_dm or not request.world.bot_may(channel, Permission.MANAGE_MESSAGES)
    ):
        raise ApiError(50003 if channel.is_dm else 50013)
    if channel.is_thread and channel.archived:
        _refuse_locked(request, channel)
    message_actions.delete(request.world, message)
    return None


def bulk_delete(request: ApiRequest) -> Result:
    """Delete 2 to 100 messages at once."""
    channel = request.channel(Permission.MANAGE_MESSAGES)
    listed = request.object().get("messages")
    if not isinstance(listed, list) or not 2 <= len(listed) <= 100:
        raise ApiError(50016)
    ids = [snowflake(each, "messages") for each in listed]
    if any(request.world.now() - time_of(each) > _TWO_WEEKS_S for each in ids):
        raise ApiError(50034)
    found = [channel.messages[each] for each in ids if each in channel.messages]
    message_actions.delete_many(request.world, channel, found)
    return None


def pins(request: ApiRequest) -> Result:
    """Return pinned messages."""
    channel = request.channel()
    pinned = [each for each in channel.messages.values() if each.pinned]
    return [rendering.rest_message_object(request.world, each) for each in reversed(pinned)]


_ONE = "/channels/{channel_id}/messages/{message_id}"
ROUTES = (
    Route("POST", "/channels/{channel_id}/messages", create, "message_write"),
    Route("GET", "/channels/{channel_id}/messages", history, "message_read"),
    Route("POST", "/channels/{channel_id}/messages/bulk-delete", bulk_delete, "message_delete"),
    Route("GET", _ONE, get, "message_read"),
    Route("PATCH", _ONE, edit, "message_edit"),
    Route("DELETE", _ONE, delete, "message_delete"),
    Route("GET", "/channels/{channel_id}/pins", pins),
)
