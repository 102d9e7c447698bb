"""discord.py's objects to plain values, and buttons the other way: the only place where that is done.

All that an answer's buttons need stands in their ids, so they survive restarts. ``Requests`` brings
messages to the core's cache, by request through discord.py.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

import discord
from discord.ext import commands

from bot.chat.backfill import SPACING_S, Candidate
from bot.core.clock import Clock
from bot.core.domain import (
    AttachmentInfo,
    ChannelId,
    GuildId,
    IncomingMessage,
    MessageId,
    Person,
    Place,
    PlaceKind,
    QuestionId,
    RoleId,
    UserId,
)
from bot.core.errors import DeliveryError, DeliveryForbiddenError, TargetGoneError
from bot.core.ports import Controls
from bot.core.wording import plain_reason
from bot.gateway.client import ClawbotClient
from bot.gateway.readable import UNREADABLE, read_message
from bot.gateway.rest import VOICE, Caller
from bot.prompt.cleaning import without_mention

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_R = TypeVar("_R")

_ORDINARY = frozenset({discord.MessageType.default, discord.MessageType.reply})
_FORUMS = frozenset({discord.ChannelType.forum, discord.ChannelType.media})
_VOICES = frozenset({discord.ChannelType.voice, discord.ChannelType.stage_voice})
_TEXT_CHARS = 6000
"""Most characters kept of one embed, component text or forwarded message (Discord: embed limits)."""

_MAX_TEXTS = 10

_MOST_LOOKED_UP = 20
"""Channels that are looked up while somebody waits for the answer to a command."""


def place(channel: discord.abc.Snowflake) -> Place:
    """Return where a channel, thread or direct message is.

    Args:
        channel: Any messageable of discord.py, also a partial one.
    """
    channel_id = ChannelId(channel.id)
    kind = getattr(channel, "type", None)
    guild_id = _guild_id(channel)
    if isinstance(channel, discord.Thread):
        parent = channel.parent
        is_forum = parent is not None and parent.type in _FORUMS
        return Place(
            PlaceKind.FORUM_POST if is_forum else PlaceKind.THREAD,
            channel_id,
            guild_id,
            ChannelId(channel.parent_id),
            _optional_channel(getattr(parent, "category_id", None)),
        )
    if kind is discord.ChannelType.group:
        return Place(PlaceKind.GROUP_DM, channel_id)
    if kind is discord.ChannelType.private or guild_id is None:
        return Place(PlaceKind.DM, channel_id)
    return Place(
        PlaceKind.VOICE_TEXT if kind in _VOICES else PlaceKind.GUILD_TEXT,
        channel_id,
        guild_id,
        None,
        _optional_channel(getattr(channel, "category_id", None)),
    )


def interaction_place(interaction: discord.Interaction[Any]) -> Place:
    """Return where an interaction happens."""
    channel = interaction.channel
    if channel is not None:
        found = place(channel)
        if found.guild_id is not None or interaction.guild_id is None:
            return found
    channel_id = ChannelId(interaction.channel_id or 0)
    if interaction.guild_id is None:
        return Place(PlaceKind.DM, channel_id)
    return Place(PlaceKind.GUILD_TEXT, channel_id, GuildId(interaction.guild_id))


def person(
    user: discord.User | discord.Member | discord.abc.User, *, webhook: bool = False
) -> Person:
    """Return who somebody is; roles only where their guild is known."""
    roles: Sequence[discord.Role] = ()
    if isinstance(user, discord.Member) and getattr(user, "guild", None) is not None:
        roles = user.roles
    return Person(
        UserId(user.id),
        user.display_name,
        is_bot=user.bot or webhook,
        role_ids=frozenset(RoleId(role.id) for role in roles),
    )


def message(message: discord.Message) -> IncomingMessage:
    """Return a message as a plain value."""
    reference = message.reference
    is_forward = reference is not None and reference.type is discord.MessageReferenceType.forward
    replied = reference.resolved if reference is not None else None
    snapshots = message.message_snapshots[:_MAX_TEXTS]
    own_role = _own_role(message)
    mentioned = {UserId(user.id) for user in _given(message, "mentions")}
    text = message.content
    if own_role is not None:
        me, mention = own_role
        mentioned.add(me)
        text = text.replace(mention, f"<@{me}>")
    attachments = [*message.attachments, *(a for s in snapshots for a in s.attachments)]
    custom_ids = list(_custom_ids(_given(message, "components")))
    return IncomingMessage(
        id=MessageId(message.id),
        place=place(message.channel),
        author=person(message.author, webhook=message.webhook_id is not None),
        text=text,
        created_at=message.created_at,
        reference_id=_reply_target(message),
        replied_user_id=(
            UserId(author.id) if (author := getattr(replied, "author", None)) is not None else None
        ),
        mentioned_ids=frozenset(mentioned),
        names=_names(message),
        attachments=tuple(_each(_attachment, attachments)),
        embed_texts=tuple(_bounded(_texts(message))),
        forwarded_texts=tuple(_bounded(_each(_snapshot_text, snapshots))),
        is_ordinary=message.type in _ORDINARY and message.webhook_id is None,
        is_forward=is_forward,
        edited_at=message.edited_at,
        webhook_id=message.webhook_id,
        application_id=message.application_id,
        stickers=_stickers(message, snapshots),
        poll="".join(_each(_poll_text, [message.poll])),
        forward_of=(
            MessageId(reference.message_id)
            if reference is not None and is_forward and reference.message_id is not None
            else None
        ),
        unfinished=_stops(custom_ids) if custom_ids else None,
    )


def _own_role(message: discord.Message) -> tuple[UserId, str] | None:
    """Return the bot and the markup of its managed role if a message mentions that.

    Clients offer it beside the bot under the same name. Discord's ``mention_roles`` leaves it out
    for people who may not mention all roles, so the text has the word.
    """
    if "<@&" not in message.content:
        return None
    role = getattr(message.guild, "self_role", None)
    if role is None or role.mention not in _outside_code(message.content):
        return None
    return UserId(role.tags.bot_id), role.mention


def _outside_code(text: str) -> str:
    """Return what isn't code or escaped, roughly as Discord reads it: where mentions count."""
    for mark in ("```", "`"):
        parts = text.split(mark)
        is_closed = len(parts) % 2 == 1
        text = " ".join(parts[::2] if is_closed else [*parts[:-1:2], parts[-1]])
    return text.replace("\\<", " ")


def says_something(message: IncomingMessage, me: UserId) -> bool:
    """Return whether a message has more to answer than the bot's own mention."""
    is_about = message.reference_id is not None or message.carries_something
    return is_about or bool(without_mention(message.text, me).strip())


def _guild_id(channel: discord.abc.Snowflake) -> GuildId | None:
    guild = getattr(channel, "guild", None)
    guild_id = guild.id if guild is not None else getattr(channel, "guild_id", None)
    return GuildId(guild_id) if guild_id is not None else None


def _optional_channel(channel_id: int | None) -> ChannelId | None:
    return ChannelId(channel_id) if channel_id is not None else None


def _reply_target(message: discord.Message) -> MessageId | None:
    """Return the message this one replies to, if that is in the same channel."""
    reference = message.reference
    if reference is None or reference.message_id is None:
        return None
    is_reply = reference.type is discord.MessageReferenceType.reply
    if not is_reply or reference.channel_id != message.channel.id:
        return None
    return MessageId(reference.message_id)


def _given(message: discord.Message, name: str) -> Sequence[Any]:
    """Return a list of a message, empty where Discord left it out.

    Components are optional (Discord: message object); discord.py 2.7.1 then has no such attribute.
    """
    given: Sequence[Any] = getattr(message, name, ())
    return given


def _names(message: discord.Message) -> dict[int, str]:
    names = {user.id: user.display_name for user in _given(message, "mentions")}
    names.update({role.id: role.name for role in _given(message, "role_mentions")})
    names.update({channel.id: channel.name for channel in message.channel_mentions})
    return names


def _each(read: Callable[[_T], _R], parts: Iterable[_T]) -> Iterator[_R]:
    """Read parts of a message; one of another form than the documented one costs nothing else."""
    for part in parts:
        try:
            found = read(part)
        except UNREADABLE:
            continue
        yield found


def _attachment(attachment: discord.Attachment) -> AttachmentInfo:
    return AttachmentInfo(
        attachment.id,
        str(attachment.filename),
        attachment.content_type,
        int(attachment.size),
        str(attachment.url),
    )


def _texts(message: discord.Message) -> Iterator[str]:
    yield from _each(_embed_text, message.embeds)
    yield "\n".join(_component_texts(_given(message, "components")))


def _stickers(
    message: discord.Message, snapshots: Iterable[discord.MessageSnapshot]
) -> tuple[str, ...]:
    found = [*message.stickers, *(each for s in snapshots for each in s.stickers)]
    return tuple(_bounded(_each(lambda sticker: sticker.name.strip(), found)))


def _poll_text(poll: discord.Poll | None) -> str:
    if poll is None:
        return ""
    options = [f"- {answer.text}" for answer in poll.answers]
    return "\n".join([str(poll.question), *options])[:_TEXT_CHARS]


def _snapshot_text(snapshot: discord.MessageSnapshot) -> str:
    embeds: Iterator[str] = _each(_embed_text, snapshot.embeds)
    return "\n".join([snapshot.content, *embeds, *_component_texts(snapshot.components)])


def _embed_text(embed: discord.Embed) -> str:
    lines = [embed.author.name, embed.title, embed.description]
    for embed_field in embed.fields:
        lines += [embed_field.name, embed_field.value]
    lines.append(embed.footer.text)
    return "\n".join(line for line in lines if line)


def _component_texts(components: Iterable[object]) -> Iterator[str]:
    """Return the words of text components, also of those inside sections and containers."""
    for component in components:
        if isinstance(component, discord.TextDisplay):
            yield component.content
        yield from _component_texts(getattr(component, "children", ()))


def _custom_ids(components: Iterable[object]) -> Iterator[str]:
    for component in components:
        yield str(getattr(component, "custom_id", None) or "")
        yield from _custom_ids(getattr(component, "children", ()))


def _bounded(texts: Iterable[str]) -> Iterator[str]:
    kept = [text.strip() for text in texts]
    yield from (text[:_TEXT_CHARS] for text in kept[:_MAX_TEXTS] if text)


class Button(StrEnum):
    """What a button below an answer does; the value is part of its id, so it never changes."""

    STOP = "stop"
    REGENERATE = "again"
    CONTINUE = "more"
    THINKING = "think"
    DETAILS = "info"


_LABELS: dict[Button, tuple[str, discord.ButtonStyle]] = {
    Button.STOP: ("Stop", discord.ButtonStyle.danger),
    Button.CONTINUE: ("Continue", discord.ButtonStyle.primary),
    Button.REGENERATE: ("Regenerate", discord.ButtonStyle.secondary),
    Button.THINKING: ("Show thinking", discord.ButtonStyle.secondary),
    Button.DETAILS: ("Details", discord.ButtonStyle.secondary),
}

BUTTON_ID = re.compile(
    r"clawbot:(?P<action>stop|again|more|think|info):(?P<question>\d{1,20}):(?P<asker>\d{1,20})"
)
"""At most 55 characters; Discord allows 100 (Discord: component reference, custom_id)."""

MOST_ID = 2**63 - 1
"""Snowflakes stay below it for centuries, and databases take no larger number."""


def view_for(controls: Controls | None) -> discord.ui.View | None:
    """Return the buttons to send along; ``None`` for none.

    The view is only a description: presses reach the class of ``cogs._actions.answer_button``, also
    after a restart, and nothing is kept in memory per message.
    """
    if controls is None:
        return None
    wanted = {
        Button.STOP: controls.stop,
        Button.CONTINUE: controls.continue_,
        Button.REGENERATE: controls.regenerate,
        Button.THINKING: controls.thinking,
        Button.DETAILS: controls.details,
    }
    if not any(wanted.values()):
        return None
    view = discord.ui.View(timeout=None)
    for action, is_wanted in wanted.items():
        if is_wanted:
            view.add_item(button(action, controls.question_id, controls.asker_id))
    return view


def button(
    action: Button, question_id: QuestionId, asker_id: UserId
) -> discord.ui.Button[discord.ui.View]:
    """Return one button of an answer."""
    label, style = _LABELS[action]
    custom_id = f"clawbot:{action}:{question_id}:{asker_id}"
    return discord.ui.Button(label=label, style=style, custom_id=custom_id)


def _stops(custom_ids: Iterable[str]) -> QuestionId | None:
    """Return the question that a Stop button among some belongs to."""
    found = (BUTTON_ID.fullmatch(each) for each in custom_ids)
    ids = (int(each["question"]) for each in found if each and each["action"] == Button.STOP)
    return next((QuestionId(each) for each in ids if each <= MOST_ID), None)


_UNREADABLE = (TargetGoneError, DeliveryForbiddenError)
"""Failures that say something of a channel, not of Discord at the moment."""


class Requests:
    """Messages by request. What may not be read is as if it weren't there.

    Args:
        client: Asks Discord.
        clock: Paces retries.
    """

    def __init__(self, client: commands.Bot, clock: Clock) -> None:
        self._client = client
        self._caller = Caller(clock)

    async def fetch_message(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        """Return one message; ``None`` if it is gone or unreadable."""
        try:
            return await self.look(place, message_id)
        except (DeliveryError, discord.ClientException) as exc:
            _log.debug("message %d couldn't be fetched: %s", message_id, plain_reason(exc))
            return None

    async def look(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        """Return one message as Discord has it now; ``None`` if it is unreadable.

        Raises:
            TargetGoneError: It is gone.
            DeliveryError: Discord can't be asked, or may not be.
        """
        channel = self._channel(place)
        if channel is None:
            return None
        http = self._client.http
        data = await self._caller.call(lambda: http.get_message(place.channel_id, message_id))
        return self._read(channel, place, data)

    async def fetch_history(
        self, place: Place, *, before: MessageId | None, after: MessageId | None, limit: int
    ) -> Sequence[IncomingMessage] | None:
        channel = self._channel(place)
        if channel is None:
            return None

        http = self._client.http
        around = {"before": before} if after is None else {"after": after}

        async def read() -> list[Any]:
            return list(await http.logs_from(place.channel_id, limit, **around))

        try:
            found = await self._caller.call(read)
        except (DeliveryError, discord.ClientException, TypeError) as exc:
            _log.info("channel %d couldn't be read: %s", place.channel_id, plain_reason(exc))
            if isinstance(exc, DeliveryError) and not isinstance(exc, _UNREADABLE):
                raise
            return None
        messages = (self._read(channel, place, data) for data in found)
        return sorted((m for m in messages if m is not None), key=lambda message: message.id)

    def read(self, place: Place, data: Any) -> IncomingMessage | None:  # noqa: ANN401 - as parsed
        """Return a message that Discord told of in a reply; ``None`` if nothing can be said of it."""
        channel = self._channel(place)
        return None if channel is None else self._read(channel, place, data)

    def _read(
        self,
        channel: discord.abc.Messageable,
        place: Place,
        data: Any,  # noqa: ANN401 - as parsed
    ) -> IncomingMessage | None:
        """Return a message; one that can't be read as one without words, so that it still counts."""
        state = self._client._connection  # noqa: SLF001 - what discord.py's own reading hands on

        def read(form: Any) -> IncomingMessage:  # noqa: ANN401 - as parsed
            made = state.create_message(channel=channel, data=form)  # type: ignore[arg-type]
            return message(made)

        for way in (read, partial(read_message, read), partial(_unread, place)):
            with suppress(*UNREADABLE):
                return way(data)
        return None

    async def fetch_starter(self, place: Place) -> IncomingMessage | None:
        """Return a thread's first message: it has the thread's own id."""
        starter_id = MessageId(place.channel_id)
        if place.kind is PlaceKind.FORUM_POST:
            return await self.fetch_message(place, starter_id)
        if place.kind is not PlaceKind.THREAD or place.parent_id is None:
            return None
        parent = Place(PlaceKind.GUILD_TEXT, place.parent_id, place.guild_id)
        return await self.fetch_message(parent, starter_id)

    def _channel(self, place: Place) -> discord.abc.Messageable | None:
        """Return the channel; one that isn't cached needs no request either."""
        client = self._client
        channel = client.get_channel(place.channel_id)
        if channel is None and place.guild_id is not None:
            guild = client.get_guild(place.guild_id)
            channel = guild.get_thread(place.channel_id) if guild is not None else None
        if channel is not None:
            return channel if isinstance(channel, discord.abc.Messageable) else None
        kind = discord.ChannelType.private if place.guild_id is None else None
        return client.get_partial_messageable(place.channel_id, guild_id=place.guild_id, type=kind)


def _unread(place: Place, data: Any) -> IncomingMessage:  # noqa: ANN401 - as parsed
    """Return what stands for a message that can't be read: nobody's, and without words."""
    _log.info("a message in channel %d can't be read and is skipped", place.channel_id)
    message_id = MessageId(int(data["id"]))
    nobody = Person(UserId(0), "", is_bot=True)
    moment = discord.utils.snowflake_time(message_id)
    return IncomingMessage(message_id, place, nobody, "", moment, is_ordinary=False)


def is_own_thread(channel: object, me: UserId) -> bool:
    """Return whether a channel is a thread that the bot opened."""
    return isinstance(channel, discord.Thread) and channel.owner_id == me


def _may_read(channel: discord.abc.GuildChannel | discord.Thread, me: discord.Member) -> bool:
    granted = channel.permissions_for(me)
    return granted.read_message_history and (granted.connect or not isinstance(channel, VOICE))


def candidates(client: ClawbotClient, dm_channels: Sequence[ChannelId]) -> list[Candidate]:
    """Return the channels where mentions may have been missed.

    Args:
        client: Online, with the guilds' channels known.
        dm_channels: The direct-message channels to look into, the latest last.
    """
    found: list[Candidate] = []
    for guild in client.guilds:
        channels: list[
            discord.TextChannel | discord.Thread | discord.VoiceChannel | discord.StageChannel
        ] = [
            *guild.text_channels,
            *guild.threads,
            *guild.voice_channels,
            *guild.stage_channels,
        ]
        me = guild.get_member(client.user.id)
        for channel in channels:
            if me is not None and not _may_read(channel, me):
                continue
            last = channel.last_message_id
            if last or not isinstance(channel, VOICE):  # these are nearly always empty
                found.append(Candidate(place(channel), MessageId(last) if last else None))
    latest_first = reversed(dm_channels if client.serves(None) else [])
    found += [Candidate(Place(PlaceKind.DM, channel_id), None) for channel_id in latest_first]
    return found


async def archived_thread(client: ClawbotClient, channel_id: ChannelId) -> Candidate | None:
    """Return a channel that is a thread which a session doesn't begin with: an archived one.

    It costs a request; discord.py knows it from then on.
    """
    thread = client.get_channel(channel_id) or await _looked_up(client, channel_id)
    if not isinstance(thread, discord.Thread) or not client.serves(thread.guild.id):
        return None
    thread.guild._add_thread(thread)  # noqa: SLF001 - what it does with those it is told of
    last = thread.last_message_id
    return Candidate(place(thread), MessageId(last) if last else None)


async def _looked_up(client: ClawbotClient, channel_id: ChannelId) -> object:
    clock = client.services.clock
    await clock.sleep(SPACING_S)
    try:
        return await Caller(clock).call(lambda: client.fetch_channel(channel_id))
    except (DeliveryError, discord.ClientException) as exc:
        _log.debug("channel %d isn't there any more (%s)", channel_id, plain_reason(exc))
        return None


async def deleted_among(
    client: ClawbotClient, guild_id: GuildId, channel_ids: Sequence[ChannelId]
) -> list[ChannelId]:
    """Return which of a server's channels and threads are deleted, of some that discord.py doesn't know.

    An archived thread isn't known either, so each costs a request.
    """
    guild = client.get_guild(guild_id)
    unknown = [i for i in channel_ids if guild and guild.get_channel_or_thread(i) is None]
    caller, found = Caller(client.services.clock), []
    for channel_id in random.sample(unknown, min(len(unknown), _MOST_LOOKED_UP)):
        try:
            await caller.call(partial(client.http.get_channel, channel_id))
        except TargetGoneError:
            found.append(channel_id)
        except DeliveryForbiddenError:
            continue
        except DeliveryError:
            break
    return found
