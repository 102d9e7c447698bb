"""Messages: create, read, edit, delete (Discord: resources, "Message")."""

from __future__ import annotations

from sandbox.discord import posting, render_message, stored
from sandbox.discord.errors import ApiError
from sandbox.discord.ids import time_of
from sandbox.discord.messages import (
    COMPONENTS_V2,
    LOADING,
    REPLY,
    SUPPRESS_EMBEDS,
    AllowedMentions,
    Draft,
    JsonObject,
    Message,
)
from sandbox.discord.model import WITH_MESSAGES, Channel
from sandbox.discord.permissions import Permission
from sandbox.discord.rest import Call, Result, Route, snowflake
from sandbox.discord.validation import (
    check_body,
    read_attachments,
    read_flags,
    refuse_empty,
)

_TWO_WEEKS_S = 14 * 86_400


def create(call: Call) -> Result:
    """Post a message."""
    channel = call.channel()
    if channel.kind not in WITH_MESSAGES:
        raise ApiError(50008)
    body = call.object()
    mentions = check_body(body)
    _refuse_closed(call, channel, body)
    earlier = _same_nonce(call, channel, body)
    if earlier is not None:
        return render_message.message(earlier, call.world.shows_content)
    draft = draft_of(call, body, mentions)
    _refer(call, channel, body, draft)
    if draft.forward is None:
        refuse_empty(
            draft.content,
            draft.embeds,
            draft.attachments,
            draft.components,
            body.get("sticker_ids"),
            body.get("poll"),
        )
    message = posting.post(call.world, channel, call.world.bot_user, draft)
    if message.nonce is not None:
        call.world.nonces[channel.id, str(message.nonce)] = message
    return render_message.message(message, call.world.shows_content)


def draft_of(
    call: Call, body: JsonObject, mentions: AllowedMentions, *, ephemeral: bool = False
) -> Draft:
    """Return a checked body as a draft."""
    return Draft(
        content=str(body.get("content") or "").strip(),
        embeds=stored.embeds(body.get("embeds") or ()),
        components=stored.components(body.get("components") or ()),
        attachments=read_attachments(call.world, body, call.files),
        flags=read_flags(body, ephemeral=ephemeral),
        mentions=mentions,
        nonce=body.get("nonce"),
        tts=bool(body.get("tts")),
    )


def _refuse_closed(call: Call, channel: Channel, body: JsonObject) -> None:
    """Refuse what the bot may not post here."""
    world = call.world
    if channel.is_dm:
        people = [world.users[each] for each in channel.recipient_ids]
        if not all(person.accepts_dms for person in people):
            raise ApiError(50007)
        return
    if (
        channel.is_thread
        and channel.locked
        and not world.bot_may(channel, Permission.MANAGE_THREADS)
    ):
        raise ApiError(160005)
    if not world.bot_may(channel, Permission.SEND_MESSAGES):
        raise ApiError(50013)
    if call.files and not world.bot_may(channel, Permission.ATTACH_FILES):
        raise ApiError(50013)
    if body.get("tts") and not world.bot_may(channel, Permission.SEND_TTS_MESSAGES):
        raise ApiError(50013)


def _same_nonce(call: Call, channel: Channel, body: JsonObject) -> Message | None:
    """Return the message that an enforced nonce has made already.

    Raises:
        ApiError: 10008, it has been deleted since.
    """
    nonce = body.get("nonce")
    if nonce is None or not body.get("enforce_nonce"):
        return None
    earlier = call.world.nonces.get((channel.id, str(nonce)))
    if earlier is None:
        return None
    if call.world.now() - earlier.created_unix_s > call.sandbox.nonce_window_s:
        return None
    if earlier.deleted_at is not None:
        raise ApiError(10008)
    return earlier


def _refer(call: Call, channel: Channel, body: JsonObject, draft: Draft) -> None:
    """Read ``message_reference``: a reply, or a forward."""
    reference = body.get("message_reference")
    if reference is None:
        return
    if not isinstance(reference, dict) or reference.get("message_id") is None:
        raise _unknown_reference()
    message_id = snowflake(reference["message_id"], "message_reference")
    if reference.get("type") == 1:
        _forward(call, reference, message_id, draft)
        return
    if not call.world.bot_may(channel, Permission.READ_MESSAGE_HISTORY):
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


def _forward(call: Call, reference: JsonObject, message_id: int, draft: Draft) -> None:
    source = call.world.channels.get(snowflake(reference.get("channel_id"), "message_reference"))
    target = source.messages.get(message_id) if source is not None else None
    if (
        source is None
        or target is None
        or not call.world.bot_may(source, Permission.READ_MESSAGE_HISTORY)
    ):
        raise _unknown_reference()
    draft.forward = target


def _unknown_reference(
    code: str = "REPLIES_UNKNOWN_MESSAGE", message: str = "Unknown message"
) -> ApiError:
    error = {"code": code, "message": message}
    return ApiError(50035, errors={"message_reference": {"_errors": [error]}})


def get(call: Call) -> Result:
    """Return one message."""
    channel = call.channel()
    if not call.world.bot_may(channel, Permission.READ_MESSAGE_HISTORY):
        raise ApiError(50001)
    return render_message.message(call.message(channel), call.world.shows_content)


def history(call: Call) -> Result:
    """Return messages, newest first."""
    channel = call.channel()
    if channel.kind not in WITH_MESSAGES:
        raise ApiError(50008)
    limit = _limit(call.query.get("limit", "50"))
    anchors = [key for key in ("around", "before", "after") if key in call.query]
    if not call.world.bot_may(channel, Permission.READ_MESSAGE_HISTORY):
        return []
    ids = list(channel.messages)
    if anchors:
        ids = _window(ids, anchors[0], snowflake(call.query[anchors[0]], anchors[0]), limit)
    chosen = ids[-limit:]
    shows = call.world.shows_content
    return [render_message.message(channel.messages[each], shows) for each in reversed(chosen)]


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


def edit(call: Call) -> Result:
    """Edit a message of the bot's own."""
    channel = call.channel()
    message = call.message(channel)
    body = call.object()
    own = message.author is call.world.bot_user
    if not own and (
        set(body) - {"flags"} or not call.world.bot_may(channel, Permission.MANAGE_MESSAGES)
    ):
        raise ApiError(50005 if set(body) - {"flags"} else 50013)
    if channel.is_thread and channel.archived:
        raise ApiError(50083)
    if call.sandbox.takes_no_old_edits(message):
        raise ApiError(30046)
    apply_edit(call, message, body)
    return render_message.message(message, call.world.shows_content)


def apply_edit(call: Call, message: Message, body: JsonObject) -> None:
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
        embeds = stored.embeds(body["embeds"] or ())
    if "components" in body:
        components = stored.components(body["components"] or ())
    attachments = message.attachments
    if call.files or "attachments" in body:
        attachments = read_attachments(call.world, body, call.files, message.attachments)
    refuse_empty(content, embeds, components, attachments)
    message.content, message.embeds, message.components = content, embeds, components
    message.attachments = attachments
    message.flags &= ~LOADING
    if body.get("flags") is not None:
        settable = SUPPRESS_EMBEDS | COMPONENTS_V2
        kept = message.flags & ~SUPPRESS_EMBEDS
        message.flags = kept | int(body["flags"]) & settable
    by_author = bool(set(body) - {"flags"})
    posting.changed(call.world, message, mentions, by_author=by_author)


def delete(call: Call) -> Result:
    """Delete a message; others' take Manage Messages."""
    channel = call.channel()
    message = call.message(channel)
    own = message.author is call.world.bot_user
    if not own and (channel.is_dm or not call.world.bot_may(channel, Permission.MANAGE_MESSAGES)):
        raise ApiError(50003 if channel.is_dm else 50013)
    posting.delete(call.world, message)
    return None


def bulk_delete(call: Call) -> Result:
    """Delete 2 to 100 messages at once."""
    channel = call.channel(Permission.MANAGE_MESSAGES)
    listed = call.object().get("messages")
    if not isinstance(listed, list) or not 2 <= len(listed) <= 100:
        raise ApiError(50016)
    ids = [snowflake(each, "messages") for each in listed]
    if any(call.world.now() - time_of(each) > _TWO_WEEKS_S for each in ids):
        raise ApiError(50034)
    found = [channel.messages[each] for each in ids if each in channel.messages]
    posting.delete_many(call.world, channel, found)
    return None


def pins(call: Call) -> Result:
    """Return pinned messages."""
    channel = call.channel()
    shows = call.world.shows_content
    pinned = [each for each in channel.messages.values() if each.pinned]
    return [render_message.message(each, shows) for each in reversed(pinned)]


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
