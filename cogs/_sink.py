"""The bot's words on their way to Discord: answers, as a message or a response, and signs and threads.

What discord.py 2.7.1 doesn't do is done here: previews stay suppressed on edits, a 503 or a reset
connection is tried again under the same nonce, and every call has a bound.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import discord
from discord.http import HTTPClient, MultipartParameters, Route, handle_message_parameters
from discord.utils import MISSING

from bot.core.clock import Clock
from bot.core.domain import (
    ChannelId,
    IncomingMessage,
    MessageId,
    Place,
    PlaceKind,
    Question,
    QuestionId,
    Response,
)
from bot.core.errors import (
    DeliveryError,
    DeliveryForbiddenError,
    DeliveryRejectedError,
    DeliveryUnavailableError,
    EditExhaustedError,
    TargetGoneError,
)
from bot.core.notices import notice
from bot.core.ports import Controls, TextFile
from bot.core.wording import plain_reason
from bot.delivery.delivery import nonce
from bot.gateway.client import ClawbotClient
from bot.gateway.rest import (
    CALL_TIMEOUT_S,
    POST_MESSAGE,
    Caller,
    missing,
)
from cogs._convert import Requests, view_for

if TYPE_CHECKING:
    from discord.types.message import Message as MessagePayload

_log = logging.getLogger(__name__)

TOKEN_VALID_S = 14 * 60.0
"""An interaction's token is valid for 15 minutes (Discord: receiving and responding)."""

ACKNOWLEDGED_WITHIN_S = 3.0
"""An interaction is answered within 3 seconds or never (Discord: receiving and responding)."""

_ORIGINAL = "@original"

_REFERENCE = frozenset({50035, 160002})
"""JSON error codes that may be about the reply only, and not about the text."""

_QUIET = discord.AllowedMentions.none()

WAITING: Final = "👀"


def _where_it_stands(
    place: Place, message_id: MessageId | None
) -> tuple[ChannelId, MessageId] | None:
    """Return the channel and id of a question's message.

    The message that a thread began with has the thread's id, and stands in its parent; that of a forum's
    post stands in the post (Discord: threads).
    """
    if message_id is None:
        return None
    is_above = int(message_id) == int(place.channel_id) and place.kind is PlaceKind.THREAD
    if not is_above:
        return place.channel_id, message_id
    return None if place.parent_id is None else (place.parent_id, message_id)


def is_barred(client: discord.Client, guild_id: int | None, channel_id: int) -> bool:
    """Return whether the bot isn't in a server, or may not write in its channel, as far as is known."""
    if guild_id is not None and client.get_guild(guild_id) is None:
        return True
    channel = client.get_channel(channel_id)
    is_out = isinstance(client, ClawbotClient) and channel_id in client.left_threads
    if is_out and isinstance(channel, discord.Thread) and channel.is_private():
        return not channel.permissions_for(channel.guild.me).manage_threads
    return bool(missing(channel, POST_MESSAGE, has_files=False))


class MessageSink:
    """An answer as ordinary messages, the first one a reply.

    Args:
        client: The logged-in client.
        place: Where to write: channel, thread or DM.
        reply_to: The message to reply to, and to mark; ``None`` for neither. The one that a thread
            began with is marked only: it stands in the thread's parent.
        clock: Paces retries.
        call_timeout_s: Bound of one request, in seconds.
        waiting_mark: What stands on the message until the first words.
        may_be_marked: An earlier run may have put the mark there.
        learn: Told each message as it stands from a reply on, before the gateway tells of it.
    """

    def __init__(
        self,
        client: discord.Client,
        place: Place,
        reply_to: MessageId | None,
        clock: Clock,
        *,
        call_timeout_s: float = CALL_TIMEOUT_S,
        waiting_mark: str = "",
        may_be_marked: bool = False,
        learn: Callable[[MessagePayload], None] = lambda _: None,
    ) -> None:
        self._learn = learn
        self._waiting_mark = waiting_mark
        self._is_marked = False
        self._may_be_marked = may_be_marked
        self._marking = asyncio.Lock()
        self._client = client
        self._http = client.http
        self._guild_id = place.guild_id
        self._channel_id = place.channel_id
        self._caller = Caller(clock, call_timeout_s)
        self._asked = _where_it_stands(place, reply_to)
        self._reference: discord.MessageReference | None = None
        if self._asked is not None and self._asked[0] == place.channel_id:
            self._reference = discord.MessageReference(
                message_id=self._asked[1],
                channel_id=place.channel_id,
                guild_id=place.guild_id,
                fail_if_not_exists=False,
            )

    async def send(
        self,
        content: str,
        *,
        nonce: str,
        controls: Controls | None = None,
        file: TextFile | None = None,
        is_reply: bool = False,
    ) -> MessageId:
        """Post a message; see ``ReplySink.send``."""
        reference = self._reference if is_reply else None
        try:
            message = await self._caller.call(
                lambda: self._post(content, nonce, controls, file, reference)
            )
        except (DeliveryRejectedError, DeliveryForbiddenError) as exc:
            if reference is None or exc.code not in _REFERENCE:
                raise
            message = await self._caller.call(
                lambda: self._post(content, nonce, controls, file, None)
            )
        message_id = MessageId(int(message["id"]))
        self._learn(message)
        if message["content"].strip() != content.strip():
            await self.edit(message_id, content, controls=controls)
        await self._unmark()
        return message_id

    async def edit(
        self, message_id: MessageId, content: str, *, controls: Controls | None = None
    ) -> None:
        """Replace a message's text, with previews suppressed again; see ``ReplySink.edit``."""
        self._learn(await self._caller.call(lambda: self._patch(message_id, content, controls)))
        if self._waiting_mark:
            await self._unmark()

    async def delete(self, message_id: MessageId) -> None:
        """Remove a message; see ``ReplySink.delete``."""
        try:
            await self._caller.call(lambda: self._http.delete_message(self._channel_id, message_id))
        except TargetGoneError:
            _log.debug("message %d is gone already", message_id)

    async def typing(self) -> None:
        """Show the typing indicator once; a failure isn't worth a second request."""
        await self._caller.call(lambda: self._http.send_typing(self._channel_id), tries=1)

    async def mark(self, emoji: str) -> None:
        """React to the question's message; see ``ReplySink.mark``."""
        if self._asked is not None:
            asked, react = self._asked, self._http.add_reaction
            await self._caller.call(lambda: react(*asked, emoji))

    def is_barred(self) -> bool:
        """Return whether the bot isn't in the server now, or may not write; see ``ReplySink.is_barred``."""
        return is_barred(self._client, self._guild_id, self._channel_id)

    async def begin_waiting(self) -> None:
        """Put the waiting mark on the question's message; see ``ReplySink.begin_waiting``."""
        async with self._marking:
            if self._waiting_mark and not self._is_marked:
                self._is_marked = True
                try:
                    await self.mark(self._waiting_mark)
                except (DeliveryForbiddenError, TargetGoneError):
                    self._waiting_mark, self._is_marked = "", False
                except DeliveryError as exc:
                    _log.debug("a mark may stand (%s)", plain_reason(exc))

    async def end_waiting(self) -> None:
        """Take the waiting mark away; see ``ReplySink.end_waiting``."""
        if self._waiting_mark:
            await self._unmark()

    async def _unmark(self) -> None:
        """Take the waiting mark away for good, which is not worth more than one request."""
        async with self._marking:
            mark, asked = self._waiting_mark, self._asked
            self._waiting_mark = ""
            if asked is None or not (self._is_marked or self._may_be_marked):
                return
            self._is_marked = self._may_be_marked = False
            take_away = self._http.remove_own_reaction
            try:
                await self._caller.call(lambda: take_away(*asked, mark), tries=1)
            except DeliveryError as exc:
                _log.debug("a mark stays (%s)", plain_reason(exc))

    async def _post(
        self,
        content: str,
        nonce: str,
        controls: Controls | None,
        file: TextFile | None,
        reference: discord.MessageReference | None,
    ) -> MessagePayload:
        """Post with an explicit nonce, which discord.py enforces."""
        with parameters(
            content,
            nonce=nonce,
            message_reference=reference.to_message_reference_dict() if reference else MISSING,
            view=view_for(controls) or MISSING,
            file=_attachment(file),
        ) as params:
            return await self._http.send_message(self._channel_id, params=params)

    async def _patch(
        self, message_id: MessageId, content: str, controls: Controls | None
    ) -> MessagePayload:
        view = MISSING if controls is None else view_for(controls)
        with parameters(content, view=view) as params:
            return await self._http.edit_message(self._channel_id, message_id, params=params)


def response_to(interaction: discord.Interaction[Any], place: Place) -> Response:
    """Return what is kept of an interaction, so that another run of the bot can fill it in."""
    allowed = interaction.app_permissions
    is_thread = place.kind in {PlaceKind.THREAD, PlaceKind.FORUM_POST}
    may_post = place.guild_id is None or (
        allowed.send_messages_in_threads if is_thread else allowed.send_messages
    )
    return Response(interaction.application_id, interaction.token, may_post)


class InteractionSink:
    """An answer to a slash command that was deferred: its first message is the response itself.

    Later messages go to the channel, where a nonce keeps them from being posted twice, and only
    where the bot may not write there as follow-ups, which are tried once: they have no nonce
    (discord-api-docs #6647). When the interaction expires, the channel takes over.

    Args:
        client: The logged-in client.
        response: Deferred, not filled in yet.
        place: Where it was used.
        clock: Tells when the interaction expires.
        valid_s: How long its token is valid yet, in seconds.
    """

    def __init__(
        self,
        client: discord.Client,
        response: Response,
        place: Place,
        clock: Clock,
        *,
        valid_s: float = TOKEN_VALID_S,
    ) -> None:
        self._http = client.http
        self._response = response
        self._clock = clock
        self._expires_s = clock.monotonic() + valid_s
        self._caller = Caller(clock)
        self._channel = MessageSink(client, place, None, clock)
        self._original_id: MessageId | None = None
        self._followup_ids: set[MessageId] = set()

    async def send(
        self,
        content: str,
        *,
        nonce: str,
        controls: Controls | None = None,
        file: TextFile | None = None,
        is_reply: bool = False,
    ) -> MessageId:
        """Fill the deferred response, then post; see ``ReplySink.send``."""
        if self._original_id is None and self._is_valid():
            try:
                message = await self._caller.call(
                    lambda: self._patch(_ORIGINAL, content, controls, file)
                )
            except EditExhaustedError:
                self.expire()
            else:
                self._original_id = MessageId(int(message["id"]))
                return self._original_id
        if self._response.may_post or not self._is_valid():
            return await self._channel.send(
                content, nonce=nonce, controls=controls, file=file, is_reply=is_reply
            )
        message = await self._caller.call(lambda: self._follow_up(content, controls, file), tries=1)
        message_id = MessageId(int(message["id"]))
        self._followup_ids.add(message_id)
        return message_id

    async def edit(
        self, message_id: MessageId, content: str, *, controls: Controls | None = None
    ) -> None:
        """Replace a message's text; see ``ReplySink.edit``."""
        if self._is_ours(message_id):
            try:
                await self._caller.call(
                    lambda: self._patch(str(message_id), content, controls, None)
                )
            except EditExhaustedError:
                self.expire()
            else:
                return
        await self._channel.edit(message_id, content, controls=controls)

    async def delete(self, message_id: MessageId) -> None:
        """Remove a message; see ``ReplySink.delete``."""
        if self._is_ours(message_id):
            route = self._route("DELETE", f"/messages/{message_id}")
            try:
                await self._caller.call(lambda: self._http.request(route))
            except EditExhaustedError:
                self.expire()
            except TargetGoneError:
                return
            else:
                return
        await self._channel.delete(message_id)

    async def typing(self) -> None:
        """Do nothing while Discord shows the deferred response as thinking."""
        if not self._is_valid():
            await self._channel.typing()

    async def mark(self, emoji: str) -> None:
        """Do nothing: there is no message to react to."""

    async def begin_waiting(self) -> None:
        """Do nothing: there is no message to react to."""

    async def end_waiting(self) -> None:
        """Do nothing: there is no message to react to."""

    def is_barred(self) -> bool:
        """Return whether the channel has taken over, where the bot may not write; see ``ReplySink``."""
        return not self._is_valid() and self._channel.is_barred()

    def expire(self) -> None:
        """Let the channel take over from now on."""
        self._expires_s = self._clock.monotonic()

    async def acknowledge(self, question_id: QuestionId) -> None:
        """Defer the response of an interaction that another run of the bot took.

        That it was acknowledged already, or can't be any more, is found out by ``take_up``.
        """
        route = Route(
            "POST",
            "/interactions/{interaction_id}/{interaction_token}/callback",
            interaction_id=question_id,
            interaction_token=self._response.token,
        )
        kind = discord.InteractionResponseType.deferred_channel_message.value
        try:
            await self._caller.call(lambda: self._http.request(route, json={"type": kind}), tries=1)
        except DeliveryError as exc:
            _log.debug("question %d: not acknowledged again: %s", question_id, plain_reason(exc))

    async def take_up(self) -> tuple[MessageId, ...]:
        """Find the response that another run of the bot left.

        Returns:
            Its message, if it has words already.
        """
        route = self._route("GET", f"/messages/{_ORIGINAL}")
        try:
            message = await self._caller.call(lambda: self._http.request(route))
        except DeliveryUnavailableError:
            return ()
        except DeliveryError:
            self.expire()
            return ()
        self._original_id = MessageId(int(message["id"]))
        if discord.MessageFlags._from_value(message.get("flags", 0)).loading:  # noqa: SLF001 - no public way
            self._original_id = None
            return ()
        return (self._original_id,)

    def _is_valid(self) -> bool:
        return self._clock.monotonic() < self._expires_s

    def _is_ours(self, message_id: MessageId) -> bool:
        """Return whether a message is still reached through the interaction."""
        known = message_id == self._original_id or message_id in self._followup_ids
        return known and self._is_valid()

    def _route(self, method: str, path: str) -> Route:
        return webhook_route(method, path, self._response.application_id, self._response.token)

    async def _patch(
        self, which: str, content: str, controls: Controls | None, file: TextFile | None
    ) -> MessagePayload:
        view = MISSING if controls is None else view_for(controls)
        with parameters(content, view=view, file=_attachment(file)) as params:
            return await request(self._http, self._route("PATCH", f"/messages/{which}"), params)

    async def _follow_up(
        self, content: str, controls: Controls | None, file: TextFile | None
    ) -> MessagePayload:
        view = view_for(controls) or MISSING
        with parameters(content, view=view, file=_attachment(file)) as params:
            return await request(self._http, self._route("POST", ""), params)


def webhook_route(method: str, path: str, application_id: int, token: str) -> Route:
    """Return the way to what belongs to an interaction's response."""
    return Route(
        method,
        "/webhooks/{webhook_id}/{webhook_token}" + path,
        webhook_id=application_id,
        webhook_token=token,
    )


def parameters(content: str, **further: Any) -> MultipartParameters:  # noqa: ANN401 - discord.py's own
    """Return a message as it is sent: pinging nobody, and with previews suppressed.

    These are suppressed by name, since ``Message.edit`` would bring them back.
    """
    flags = discord.MessageFlags(suppress_embeds=True)
    return handle_message_parameters(
        content=content, flags=flags, allowed_mentions=_QUIET, **further
    )


async def request(http: HTTPClient, route: Route, params: MultipartParameters) -> MessagePayload:
    """Make a request with a message, and the file that comes along."""
    payload: MessagePayload
    if params.files:
        payload = await http.request(route, files=params.files, form=params.multipart)
    else:
        payload = await http.request(route, json=params.payload)
    return payload


def _attachment(file: TextFile | None) -> discord.File:
    """Return a text file as discord.py takes it: a new one for each try, since it is read once."""
    if file is not None:
        return discord.File(io.BytesIO(file.content.encode("utf-8", "replace")), file.filename)
    absent: discord.File = MISSING
    return absent


def message_sink(
    client: ClawbotClient,
    place: Place,
    reply_to: MessageId | None,
    *,
    may_be_marked: bool = False,
) -> MessageSink:
    """Return the way into a channel, replying to a message if one is given and stands there."""
    chat = client.services.overrides.effective(place)
    mark = WAITING if chat.waiting_mark else ""
    clock, source = client.services.clock, client.services.source
    requests = Requests(client, clock)

    def learn(data: object) -> None:
        message = requests.read(place, data)
        if message is not None:
            source.posted(message)

    return MessageSink(
        client,
        place,
        reply_to,
        clock,
        waiting_mark=mark,
        may_be_marked=may_be_marked and mark != "",
        learn=learn,
    )


def replied_to(question: Question) -> MessageId | None:
    """Return the message that an answer replies to, or marks: the last one, or what its thread began with."""
    message = question.message
    if message is None or message.place.is_same(question.place):
        return None if message is None else message.id
    return MessageId(int(question.place.channel_id))


THREAD_MINUTES: Final = 1440
"""Minutes of silence after which Discord archives a question's thread: one of its four choices."""


NAME_CHARS: Final = 100
"""Longest name of a thread (Discord: channel resource)."""


def thread_name(text: str) -> str:
    """Return what a question's thread is called: the beginning of its words."""
    words = " ".join(text.split())
    if len(words) <= NAME_CHARS:
        return words or "Question"
    return f"{words[: NAME_CHARS - 1].rpartition(' ')[0] or words[: NAME_CHARS - 1]}…"


async def open_thread(client: ClawbotClient, message: IncomingMessage, name: str) -> Place | None:
    """Open a thread on a message; ``None`` where that can't be.

    One that is there already, of an earlier run, is taken.
    """
    place = message.place
    channel = client.get_channel(place.channel_id)
    if place.kind is not PlaceKind.GUILD_TEXT or not isinstance(channel, discord.TextChannel):
        return None
    granted = channel.permissions_for(channel.guild.me)
    if not (granted.create_public_threads and granted.send_messages_in_threads):
        return None
    start = client.http.start_thread_with_message
    try:
        await Caller(client.services.clock).call(
            lambda: start(
                place.channel_id, message.id, name=name, auto_archive_duration=THREAD_MINUTES
            )
        )
    except DeliveryError as exc:
        if not isinstance(exc.__cause__, discord.HTTPException) or exc.__cause__.code != HAS_THREAD:
            _log.info("a question gets no thread of its own (%s)", plain_reason(exc))
            return None
    return replace(
        place,
        kind=PlaceKind.THREAD,
        channel_id=ChannelId(message.id),
        parent_id=place.channel_id,
    )


HAS_THREAD: Final = 160004
"""Discord's JSON error code for a message that has a thread already."""


class Signals:
    """Tells people by Discord; see ``bot.chat.turned_away.Signals``.

    Args:
        client: The bot.
    """

    def __init__(self, client: ClawbotClient) -> None:
        self._client = client

    async def reply(self, message: IncomingMessage, sentence: str) -> bool:
        """Say a sentence in reply; return whether it stands."""
        try:
            await self._say(message.place, message.id, QuestionId(message.id), sentence)
        except DeliveryError as exc:
            _log.info("a notice could not be posted (%s)", plain_reason(exc))
            return False
        return True

    async def announce(self, place: Place, about: QuestionId, sentence: str) -> bool:
        """Say a sentence to a channel; return whether it stands, or never will."""
        try:
            await self._say(place, None, about, sentence)
        except DeliveryUnavailableError:
            return False
        except DeliveryError as exc:
            _log.warning("messages there are left without a word (%s)", plain_reason(exc))
        return True

    async def mark(self, message: IncomingMessage, mark: str) -> bool:
        """Put a mark on a message; return whether it is there."""
        try:
            await message_sink(self._client, message.place, message.id).mark(mark)
        except DeliveryError as exc:
            _log.debug("a message could not be marked (%s)", plain_reason(exc))
            return False
        return True

    async def _say(
        self, place: Place, reply_to: MessageId | None, about: QuestionId, sentence: str
    ) -> None:
        sink = message_sink(self._client, place, reply_to)
        message_id = await sink.send(notice(sentence), nonce=nonce(about, "n", 0), is_reply=True)
        await self._client.services.journal.note_notice(message_id)
