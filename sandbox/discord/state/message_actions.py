"""What can be done with messages: post, edit, delete, react, type, start a thread on one."""

from __future__ import annotations

from sandbox.discord.state import access
from sandbox.discord.state.events import (
    MessageChanged,
    MessageCreated,
    MessageDeleted,
    MessagesDeleted,
    ReactionChanged,
    TypingStarted,
)
from sandbox.discord.state.guilds import Channel, Draft, Message
from sandbox.discord.state.mentions import Mentions, full_text, parse_mentions
from sandbox.discord.state.world import World
from sandbox.discord.values.accounts import User
from sandbox.discord.values.channel_types import (
    ANNOUNCEMENT,
    ANNOUNCEMENT_THREAD,
    PUBLIC_THREAD,
)
from sandbox.discord.values.content import (
    HAS_THREAD,
    REPLY,
    SUPPRESS_EMBEDS,
    THREAD_STARTER_MESSAGE,
    AllowedMentions,
    Pings,
    Version,
)
from sandbox.discord.values.markup import links
from sandbox.discord.values.permissions import Permission


def post(
    world: World, channel: Channel, author: User, draft: Draft, *, message_id: int | None = None
) -> Message:
    """Put a message into a channel, an ephemeral one beside its history.

    Args:
        world: Where it happens.
        channel: The channel.
        author: Who posts.
        draft: The message, already checked.
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
    _keep_version(message, world.monotonic())
    if message.ephemeral:
        channel.hidden[message.id] = message
        world.announce(MessageCreated(message))
        return message
    if channel.is_thread and channel.archived:
        channel.set_archived(False)
    channel.messages[message.id] = message
    if channel.is_thread and not author.is_webhook:
        channel.thread_member_ids.add(author.id)
    world.announce(MessageCreated(message))
    return message


def _mention(world: World, message: Message, draft: Draft) -> None:
    rules = draft.mentions
    named = parse_mentions(full_text(draft), rules, message.channel, message.author, world.users)
    users = list(named.users)
    replied = draft.reference
    if replied is not None and draft.kind == REPLY and rules.replied_user and _is_account(replied):
        users.append(replied.author.id)
    users = list(dict.fromkeys(users))
    _apply(message, Mentions(users, named.roles, named.everyone))
    message.pings = Pings(
        frozenset(users) - {message.author.id}, frozenset(named.roles), named.everyone
    )


def _keep_version(message: Message, at: float) -> None:
    """Keep the present state as a version, and note links that would unfurl."""
    message.versions.append(
        Version(
            at,
            message.content,
            message.flags,
            tuple(message.embeds),
            tuple(message.components),
            tuple(message.attachments),
        )
    )
    if not message.flags & SUPPRESS_EMBEDS and _may_embed(message):
        message.previews.extend((at, url) for url in links(message.content))


def _may_embed(message: Message) -> bool:
    if message.channel.guild is None or message.author.is_bot:
        return True
    allowed = access.in_channel(message.channel, message.author.id)
    return bool(allowed & Permission.EMBED_LINKS)


def _is_account(message: Message) -> bool:
    """Tell whether the author can be mentioned: a webhook's name can't."""
    return not message.author.is_webhook


def _apply(message: Message, named: Mentions) -> None:
    message.mention_ids = named.users
    message.mention_role_ids = named.roles
    message.mention_everyone = named.everyone


def start_thread_on(world: World, message: Message, name: str, owner: User) -> Channel:
    """Start a thread on a message: it takes the message's id and opens with a starter message."""
    parent = message.channel
    kind = ANNOUNCEMENT_THREAD if parent.kind == ANNOUNCEMENT else PUBLIC_THREAD
    thread = parent.start_thread(name, kind=kind, owner_id=owner.id, thread_id=message.id)
    message.thread = thread
    message.flags |= HAS_THREAD
    world.announce(MessageChanged(message))
    post(world, thread, message.author, Draft(kind=THREAD_STARTER_MESSAGE, reference=message))
    return thread


def record_edit(world: World, message: Message, rules: AllowedMentions, *, by_author: bool) -> None:
    """Record a message's new state; edits ping nobody."""
    draft = Draft(content=message.content, components=message.components)
    named = parse_mentions(full_text(draft), rules, message.channel, message.author, world.users)
    replied = message.reference
    if replied is not None and message.kind == REPLY and replied.author.id in message.mention_ids:
        named.users.append(replied.author.id)
    _apply(message, Mentions(list(dict.fromkeys(named.users)), named.roles, named.everyone))
    if by_author:
        message.edited_unix_s = world.now()
    _keep_version(message, world.monotonic())
    world.announce(MessageChanged(message))


def delete(world: World, message: Message) -> None:
    """Take a message out of its channel."""
    _take_out(world, message)
    world.announce(MessageDeleted(message))


def delete_many(world: World, channel: Channel, messages: list[Message]) -> None:
    """Take several messages out at once."""
    for message in messages:
        _take_out(world, message)
    world.announce(MessagesDeleted(channel, tuple(messages)))


def _take_out(world: World, message: Message) -> None:
    message.deleted_at = world.monotonic()
    message.channel.messages.pop(message.id, None)
    message.channel.hidden.pop(message.id, None)


def start_typing(world: World, channel: Channel, user: User) -> None:
    """Show somebody typing, for ten seconds."""
    channel.typing.append((world.monotonic(), user.id))
    world.announce(TypingStarted(channel, user))


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
    world.announce(ReactionChanged(message, user, emoji, is_added=add))
