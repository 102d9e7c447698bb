"""Posting, editing and deleting messages; typing and reactions."""

from __future__ import annotations

from sandbox.discord import permissions, render, render_message
from sandbox.discord.messages import (
    EPHEMERAL,
    HAS_THREAD,
    THREAD_STARTER,
    AllowedMentions,
    Draft,
    JsonObject,
    Message,
    Named,
    Pings,
    full_text,
    parse_mentions,
)
from sandbox.discord.model import (
    ANNOUNCEMENT,
    ANNOUNCEMENT_THREAD,
    PUBLIC_THREAD,
    Channel,
    User,
)
from sandbox.discord.permissions import Permission
from sandbox.discord.sessions import (
    DM_MESSAGES,
    DM_REACTIONS,
    DM_TYPING,
    GUILD_MESSAGES,
    GUILD_REACTIONS,
    GUILD_TYPING,
    Session,
)
from sandbox.discord.world import World


def post(
    world: World, channel: Channel, author: User, draft: Draft, *, message_id: int | None = None
) -> Message:
    """Put a message into a channel and dispatch it; an ephemeral one is only kept.

    Args:
        world: Everything.
        channel: Where.
        author: Who.
        draft: What, already checked.
        message_id: Given to the first message of a forum post: the post's own id.
    """
    message = Message(
        id=message_id or world.ids.next(),
        channel=channel,
        author=author,
        content=draft.content,
        embeds=draft.embeds,
        components=draft.components,
        attachments=draft.attachments,
        flags=draft.flags,
        kind=draft.kind,
        created_unix_s=world.now(),
        reference=draft.reference,
        forward=draft.forward,
        nonce=draft.nonce,
        tts=draft.tts,
        interaction=draft.interaction,
        webhook_id=draft.webhook_id,
        application_id=draft.application_id,
        seen_by=draft.seen_by,
        stickers=draft.stickers,
        poll=draft.poll,
    )
    _mention(world, message, draft)
    message.snapshot(world.monotonic())
    if message.flags & EPHEMERAL:
        channel.hidden[message.id] = message
        world.touch()
        return message
    if channel.is_thread and channel.archived:
        channel.set_archived(False)
    channel.messages[message.id] = message
    if channel.is_thread and not author.is_webhook:
        channel.thread_member_ids.add(author.id)
    dispatch(world, "MESSAGE_CREATE", message)
    return message


def _mention(world: World, message: Message, draft: Draft) -> None:
    rules = draft.mentions
    named = parse_mentions(full_text(draft), rules, message.channel, message.author, world.users)
    users = list(named.users)
    replied = draft.reference
    if replied is not None and draft.kind == 19 and rules.replied_user and _is_account(replied):
        users.append(replied.author.id)
    users = list(dict.fromkeys(users))
    _apply(message, Named(users, named.roles, named.everyone))
    message.pings = Pings(
        frozenset(users) - {message.author.id}, frozenset(named.roles), named.everyone
    )


def _is_account(message: Message) -> bool:
    """Tell whether the author can be mentioned: a webhook's name can't."""
    return not message.author.is_webhook


def _apply(message: Message, named: Named) -> None:
    message.mention_ids = named.users
    message.mention_role_ids = named.roles
    message.mention_everyone = named.everyone


def thread_on(world: World, message: Message, name: str, owner: User) -> Channel:
    """Start a thread on a message: it takes the message's id and opens with a starter message."""
    parent = message.channel
    kind = ANNOUNCEMENT_THREAD if parent.kind == ANNOUNCEMENT else PUBLIC_THREAD
    thread = world.start_thread(parent, name, kind=kind, owner_id=owner.id, channel_id=message.id)
    message.thread = thread
    message.flags |= HAS_THREAD
    dispatch(world, "MESSAGE_UPDATE", message)
    post(world, thread, message.author, Draft(kind=THREAD_STARTER, reference=message))
    return thread


def changed(world: World, message: Message, rules: AllowedMentions, *, by_author: bool) -> None:
    """Record a message's new state and dispatch MESSAGE_UPDATE; edits notify nobody."""
    draft = Draft(content=message.content, components=message.components)
    named = parse_mentions(full_text(draft), rules, message.channel, message.author, world.users)
    replied = message.reference
    if replied is not None and message.kind == 19 and replied.author.id in message.mention_ids:
        named.users.append(replied.author.id)
    _apply(message, Named(list(dict.fromkeys(named.users)), named.roles, named.everyone))
    if by_author:
        message.edited_unix_s = world.now()
    message.snapshot(world.monotonic())
    if message.flags & EPHEMERAL:
        world.touch()
    else:
        dispatch(world, "MESSAGE_UPDATE", message)


def dispatch(world: World, name: str, message: Message) -> None:
    """Send MESSAGE_CREATE or MESSAGE_UPDATE as each session may see it."""

    def payload(session: Session) -> JsonObject:
        body = render_message.message(message, session.shows, gateway=True)
        channel = message.channel
        body["channel_type"] = channel.kind
        if channel.guild is not None:
            body["guild_id"] = str(channel.guild.id)
            member = channel.guild.members.get(message.author.id)
            if member is not None and message.webhook_id is None:
                body["member"] = render.member(member, with_user=False)
        return body

    world.emit(
        name,
        payload,
        intent=GUILD_MESSAGES if message.channel.guild else DM_MESSAGES,
        channel=message.channel,
    )


def delete(world: World, message: Message, *, quiet: bool = False) -> None:
    """Take a message out of its channel; ``quiet`` leaves the dispatch to the caller."""
    message.deleted_at = world.monotonic()
    message.channel.messages.pop(message.id, None)
    message.channel.hidden.pop(message.id, None)
    if message.flags & EPHEMERAL or quiet:
        world.touch()
        return
    _emit_here(world, "MESSAGE_DELETE", message.channel, {"id": str(message.id)})


def delete_many(world: World, channel: Channel, messages: list[Message]) -> None:
    """Take several messages out at once."""
    for message in messages:
        delete(world, message, quiet=True)
    body: JsonObject = {"ids": [str(message.id) for message in messages]}
    _emit_here(world, "MESSAGE_DELETE_BULK", channel, body)


def _emit_here(world: World, name: str, channel: Channel, body: JsonObject) -> None:
    body["channel_id"] = str(channel.id)
    if channel.guild is not None:
        body["guild_id"] = str(channel.guild.id)
    intent = GUILD_MESSAGES if channel.guild else DM_MESSAGES
    world.emit(name, body, intent=intent, channel=channel)


def typing(world: World, channel: Channel, user: User) -> None:
    """Show somebody typing, for ten seconds."""
    channel.typing.append((world.monotonic(), user.id))
    body: JsonObject = {
        "channel_id": str(channel.id),
        "user_id": str(user.id),
        "timestamp": int(world.now()),
    }
    intent = DM_TYPING
    if channel.guild is not None:
        body["guild_id"] = str(channel.guild.id)
        member = channel.guild.members.get(user.id)
        if member is not None:
            body["member"] = render.member(member)
        intent = GUILD_TYPING
    world.emit("TYPING_START", body, intent=intent, channel=channel)


def react(world: World, message: Message, user: User, emoji: str, *, add: bool) -> None:
    """Add or take away somebody's reaction; repeated ones change nothing."""
    users = message.reactions.get(emoji, [])
    if (user.id in users) == add:
        return
    if add:
        message.reactions.setdefault(emoji, []).append(user.id)
    else:
        users.remove(user.id)
        if not users:
            del message.reactions[emoji]
    body: JsonObject = {
        "user_id": str(user.id),
        "channel_id": str(message.channel.id),
        "message_id": str(message.id),
        "emoji": {"id": None, "name": emoji},
        "burst": False,
        "type": 0,
    }
    guild = message.channel.guild
    if guild is not None:
        body["guild_id"] = str(guild.id)
        if add and user.id in guild.members:
            body["member"] = render.member(guild.members[user.id])
            body["message_author_id"] = str(message.author.id)
    world.emit(
        "MESSAGE_REACTION_ADD" if add else "MESSAGE_REACTION_REMOVE",
        body,
        intent=GUILD_REACTIONS if guild else DM_REACTIONS,
        channel=message.channel,
    )


def may(channel: Channel, user_id: int, wanted: Permission) -> bool:
    """Tell whether a user has all of these permissions in a channel."""
    return permissions.in_channel(channel, user_id) & wanted == wanted
