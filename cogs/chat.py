"""Where questions come in: mentions, replies, direct messages, ``/ask`` and message menus."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Container, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.admission import Decision, Loose, Rule, is_for_others
from bot.chat.resume import SET_ASIDE, TOO_OLD, Resumer
from bot.chat.turned_away import TurnedAway
from bot.chat.whose_words import Proxies, SaidAgain
from bot.core.domain import (
    ChannelId,
    GuildId,
    IncomingMessage,
    MessageId,
    Origin,
    Place,
    Question,
    QuestionId,
    UserId,
)
from bot.core.errors import AdmissionError, DeliveryError, MovedError
from bot.core.recent import Recent
from bot.core.tasks import KeyedLocks, TaskOwner
from bot.core.wording import counted, plain_reason
from bot.gateway.client import ClawbotClient, Interaction
from bot.prompt.cleaning import readable, without_mention
from cogs import _actions, _convert, _gate, _respond, _review, _sink, _tree
from cogs._asking import ask
from config import values

_log = logging.getLogger(__name__)

ASK_IN_SERVERS = (
    "Mention {name} with your question, reply to one of my messages to go on, or use `/ask`. "
    "A reply carries the conversation above it; a new mention starts a new one."
)
ASK_DIRECTLY = (
    "Write me your question; what you write next goes on with it. A message that mentions {name} "
    "starts a new conversation, and so does `/ask` with `new`."
)
HELP = (
    "- **Stop**, **Regenerate**, **Continue** and **Show thinking** are buttons below my answers. "
    "Edit your question and I answer again; delete it and I stop.\n"
    "- Right-click a message, Apps: **Ask about this**, **Summarise from here**.\n"
    "- `/stop` ends your questions here. `/diag network` says why I'm slow or silent.\n"
    "- `/privacy show` says what I keep about you, and how to take it along or delete it."
)
MANAGER_HELP = (
    "- You manage this server: `/setup` shows everything on one page, `/config` changes a setting by "
    "name, `/persona` and `/model use` say who answers."
)
OWNER_HELP = (
    "- You run me. In a server, `scope:global` changes what holds everywhere, `/config limits` how much may "
    "be asked, `/model load` what is in the machine's memory."
)

Seen = discord.Guild | discord.abc.GuildChannel | discord.Thread
"""What the bot may see, or not."""

MOST_EDITED = 1000
"""Edited messages whose newest edit is remembered."""

ASK_SOMETHING = "What would you like to know? Write it after the mention."
ASK_IN_OPTION = "What would you like to know? Write it into the option prompt."
ASK_PRIVATELY = "What would you like to know?"
UNREADABLE = "There is nothing in that forward that I can read. What would you like to know?"
NEEDS_HISTORY = "You may not read the history of this channel, so I can't read it for you."
SUMMARISE = "Summarise the conversation from this message on: the points, decisions and questions."
ABOUT = "Explain this message: what it says, and what matters about it."


class ChatCog(commands.Cog):
    """Hands every question to the chat service."""

    def __init__(self, bot: ClawbotClient) -> None:
        self.bot = bot
        self._services = bot.services
        self._tasks = TaskOwner()
        self._actions = _actions.AnswerActions(bot)
        self._proxies = Proxies(
            self._services.clock, self._services.settings.discord.proxy_application_ids
        )
        self._services.privacy.on_forget(lambda who: self._proxies.forget(who.has_question))
        self._loose = Loose()
        self._services.privacy.on_forget(lambda who: self._loose.forget(who.has_question))
        self._reviewer = _review.Reviewer(
            bot, lambda question, gone_id: self._proxies.gone(question, gone_id, self._me)
        )
        self._order = KeyedLocks()
        self._edited_at: Recent[MessageId, datetime | None] = Recent(MOST_EDITED)
        self._arriving: dict[MessageId, tuple[UserId, ChannelId]] = {}
        self._backfill = self._services.backfill
        self._resumer = Resumer(
            self._services.journal,
            self._services.chat,
            self._services.clock,
            self._reviewer,
            self._services.source,
            self._stale_after,
            lambda question: bot.serves(question.place.guild_id),
        )
        self._turned_away = TurnedAway(
            _sink.Signals(bot), self._services.pacers, self._services.clock
        )
        self._catching_up = asyncio.Lock()
        self._scanning = asyncio.Lock()
        self._is_catch_up_due = self._is_scan_due = False
        self._menus = [
            app_commands.ContextMenu(name=name, callback=callback, extras=_respond.OTHERWISE)
            for name, callback in (
                ("Ask about this", self._ask_about),
                ("Summarise from here", self._summarise_from),
            )
        ]

    async def cog_load(self) -> None:
        """Add the message menus and the buttons of answers."""
        for menu in self._menus:
            self.bot.tree.add_command(menu)
        answer_button = _actions.answer_button(self._actions.presses, self._services.clock)
        self.bot.add_dynamic_items(answer_button)
        self._tasks.start(self._resumer.keep_looking(self._look_for_left), name="left open")

    async def cog_unload(self) -> None:
        """End what this cog runs in the background."""
        await self._tasks.cancel()
        await self._turned_away.close()

    # Messages

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Take a message that was just written."""
        incoming = _convert.message(message)
        self._services.source.observe(incoming)
        if self._is_webhooks(incoming):
            await self._copied(incoming)
        elif not incoming.author.is_bot:
            await self._arrived(incoming, message.channel)
        if not self.bot.serves(incoming.place.guild_id):
            return  # whoever does finds it
        if self._backfill.is_caught_up:
            await self._services.journal.seen(incoming.place.channel_id, incoming.id)
        else:
            self._backfill.keep_back(incoming.place.channel_id, incoming.id)

    def _is_webhooks(self, incoming: IncomingMessage) -> bool:
        return incoming.webhook_id is not None and incoming.author.id != self._me

    async def _copied(self, incoming: IncomingMessage) -> None:
        """Take a message that a webhook posted, if it is a person's question said again."""
        said = self._proxies.copied(incoming, self._me)
        if said is not None:
            async with self._in_turn(said.message):
                await self._take_again(said)

    async def _take_again(self, said: SaidAgain) -> None:
        """Take a person's message in the words of its copy: part of a question, or one by itself."""
        if await self._actions.joins(said.message, may_come_before=not said.is_loose):
            return
        if said.is_loose and not self._loose.awaits(said.message, self._burst_window):
            self._loose.note(said.question)
            return
        whole = self._loose.put_after(said.question, self._burst_window)
        await self._ask(whole, whole.message or said.message, is_counted=True)

    async def _arrived(self, incoming: IncomingMessage, channel: object) -> None:
        self._said(incoming)
        async with self._in_turn(incoming):
            await self._take(incoming, is_own_thread=_convert.is_own_thread(channel, self._me))

    def _said(self, incoming: IncomingMessage) -> None:
        """Note what a person says, which a proxy bot may say again."""
        if incoming.is_ordinary and not incoming.author.is_bot:
            self._proxies.said(self._question(incoming, Origin.MENTION))

    @asynccontextmanager
    async def _in_turn(self, incoming: IncomingMessage) -> AsyncGenerator[None]:
        """Do something about a message once all is done that its author did before in its channel."""
        who = self._arriving[incoming.id] = (incoming.author.id, incoming.place.channel_id)
        try:
            async with self._order.of(*who):
                yield
        finally:
            self._arriving.pop(incoming.id, None)

    @property
    def _stale_after(self) -> timedelta:
        return timedelta(seconds=self._services.settings.queue.stale_after_s)

    @property
    def _burst_window(self) -> timedelta:
        return timedelta(seconds=self._services.settings.queue.burst_window_s)

    @property
    def _me(self) -> UserId:
        return UserId(self.bot.user.id)

    async def _take(self, incoming: IncomingMessage, *, is_own_thread: bool) -> None:
        judgement = _gate.judge(self.bot, incoming, is_own_thread=is_own_thread)
        origin = judgement.origin
        if judgement.rule is Rule.CANNOT_WRITE:
            _log.info("asked in channel %d, where I may not write", incoming.place.channel_id)
            return
        if judgement.decision is Decision.REFUSE:
            self._turned_away.explain(incoming, judgement.reason)
            return
        if origin is None and self._goes_on(incoming):
            origin = Origin.MENTION
        question = self._question(incoming, origin or Origin.MENTION)
        if origin is None:
            if _may_be_part(incoming) and question.has_content:
                self._loose.note(question)
            return
        if origin is Origin.DM:
            await self._remember_dm(incoming.place)
        await self._ask(question, incoming)

    async def _ask(
        self, question: Question, incoming: IncomingMessage, *, is_counted: bool = False
    ) -> None:
        """Ask a question with what belongs to it, or ask for its words where it has none."""
        question = self._loose.put_before(question)
        self._proxies.asked(question, self._me)
        if not question.has_content:
            self._loose.note(question)
            self._tasks.start(self._ask_for_words(question, incoming), name="no words")
            return
        await self._submit(question, incoming, is_counted=is_counted)

    async def _remember_dm(self, place: Place) -> None:
        """Remember a direct-message channel; where it is new, a lost database may have known it."""
        if place.channel_id not in self._backfill.dm_channels:
            looking = self._backfill.hand_on_unfinished(place, self._end_unfinished)
            self._tasks.start(looking, name="unfinished")
        await self._backfill.remember_dms(place.channel_id)

    async def _end_unfinished(self, shown: IncomingMessage) -> None:
        """End an answer of the bot's own that was being written for a question nobody knows."""
        if shown.author.id != self._me:
            return
        try:
            await self._actions.end_lost(shown)
        except DeliveryError as exc:
            _log.info("an unfinished answer stays as it is (%s)", plain_reason(exc))

    def _goes_on(self, incoming: IncomingMessage) -> bool:
        """Return whether a message goes on with what its author has just begun to ask."""
        if not _may_be_part(incoming) or not (incoming.text or incoming.carries_something):
            return False
        is_awaited = self._loose.awaits(incoming, self._burst_window)
        return is_awaited or self._services.chat.continues_burst(incoming)

    async def _ask_for_words(self, question: Question, incoming: IncomingMessage) -> None:
        """Ask what a mention without words is about, unless that is said in a moment."""
        await self._services.clock.sleep(self._services.settings.queue.burst_window_s)
        if self._loose.give_up(question):
            sentence = ASK_PRIVATELY if question.origin is Origin.DM else ASK_SOMETHING
            self._turned_away.explain(incoming, UNREADABLE if incoming.is_forward else sentence)

    async def _in_thread(
        self, question: Question, incoming: IncomingMessage, *, is_counted: bool
    ) -> tuple[Question, _sink.MessageSink]:
        """Return a question in a thread of its own, and the way there; in place where it gets none.

        Raises:
            AdmissionError: It may not be asked, so that it needs none.
        """
        if not is_counted:
            self._services.chat.check_rate(question)
        me = self.bot.user
        words = readable(question.text, incoming.names, bot_id=self._me, bot_name=me.display_name)
        place = await _sink.open_thread(self.bot, incoming, _sink.thread_name(words))
        question = question if place is None else replace(question, place=place)
        return question, _sink.message_sink(self.bot, question.place, incoming.id)

    def _question(self, incoming: IncomingMessage, origin: Origin) -> Question:
        is_mentioned = self._me in incoming.mentioned_ids
        return Question(
            id=QuestionId(incoming.id),
            origin=origin,
            place=incoming.place,
            asker=incoming.author,
            text=without_mention(incoming.text, self._me),
            asked_at=incoming.created_at,
            message=incoming,
            about_id=incoming.reference_id,
            fresh=origin is Origin.DM and is_mentioned and incoming.reference_id is None,
        )

    async def _submit(
        self, question: Question, incoming: IncomingMessage, *, is_counted: bool = False
    ) -> None:
        chat = self._services.overrides.effective(question.place)
        is_moved = chat.answer_in == "thread" and question.origin in {
            Origin.MENTION,
            Origin.CHANNEL,
        }
        burst = None
        if is_moved:
            burst = self._services.chat.burst_around(incoming, may_come_before=False)
        if burst is not None and not burst.place.is_same(incoming.place):
            question, is_moved = replace(question, place=burst.place), False  # it has a thread
        in_thread = partial(self._in_thread, question, incoming, is_counted=is_counted)
        try:
            sink = _sink.message_sink(self.bot, question.place, _sink.replied_to(question))
            await self._services.chat.submit(
                question, sink, is_counted=is_counted, move=in_thread if is_moved else None
            )
        except MovedError:
            _log.debug("message %d is left to another process", incoming.id)
        except AdmissionError as exc:
            self._proxies.refused(question)
            if question.origin is not Origin.CHANNEL:  # otherwise nobody asked me
                self._turned_away.refuse(incoming, exc.sentence)

    # What happens to messages afterwards

    @commands.Cog.listener()
    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """Answer a question again when its author changed it, or a message that now asks."""
        incoming = _convert.message(payload.message)
        self._services.source.edited(incoming)
        if incoming.author.id == self._me:
            return
        self._proxies.edited(incoming, self._me)
        if payload.data.get("edited_timestamp") is None:
            return
        self._edited_at[incoming.id] = incoming.edited_at
        self._forget_summaries(incoming.place.channel_id, [incoming.id])
        self._loose.gone(incoming.id)
        async with self._in_turn(incoming):
            has_asked = await self._edited(incoming)
            if not has_asked and _gate.admission(self.bot).is_late_mention(incoming, self._me):
                self._said(incoming)
                is_own_thread = _convert.is_own_thread(payload.message.channel, self._me)
                await self._take(incoming, is_own_thread=is_own_thread)

    async def _edited(self, incoming: IncomingMessage) -> bool:
        """Answer a changed question anew; False if the message has asked nothing before."""
        if self._is_outdated(incoming):
            return True
        try:
            return await self._actions.edited(incoming)
        except MovedError:
            return True
        except AdmissionError as exc:
            self._turned_away.refuse(incoming, exc.sentence)
            return True

    def _is_outdated(self, incoming: IncomingMessage) -> bool:
        """Return whether a message was changed again since it was read: only its newest words are asked."""
        newest = self._edited_at.get(incoming.id)
        return newest is not None and (incoming.edited_at is None or incoming.edited_at < newest)

    @commands.Cog.listener()
    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """End the work on a question or an answer that is gone."""
        self._deleted(payload.channel_id, payload.message_id)

    @commands.Cog.listener()
    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """End the work on all questions and answers that are gone."""
        self._deleted(payload.channel_id, *payload.message_ids)

    def _deleted(self, channel_id: int, *message_ids: int) -> None:
        ids = [MessageId(message_id) for message_id in message_ids]
        self._services.source.deleted(ChannelId(channel_id), ids)
        self._forget_summaries(channel_id, ids)
        for message_id in ids:
            self._gone(message_id)
            self._tasks.start(self._actions.taken_back(message_id), name="taken back")

    def _forget_summaries(self, channel_id: int, message_ids: Sequence[int] | None = None) -> None:
        store = self._services.summary_store
        forgetting = store.forget(channel_id=channel_id, message_ids=message_ids)
        self._tasks.start(forgetting, name="forget summaries")

    def _gone(self, message_id: MessageId) -> None:
        """End the work on what is gone at once; what else it means is seen in its turn."""
        was_open = self._services.chat.message_gone(message_id)
        was_open = self._loose.gone(message_id) or was_open or message_id in self._arriving
        burst = self._services.chat.burst_with(message_id)
        who = self._arriving.get(message_id) or self._proxies.who_said(message_id)
        if who is None and burst is not None:
            who = burst.asker.id, burst.place.channel_id
        if who is not None:
            self._tasks.start(self._gone_of(*who, message_id, was_open=was_open), name="gone")

    async def _gone_of(
        self, author_id: UserId, channel_id: ChannelId, message_id: MessageId, *, was_open: bool
    ) -> None:
        """Ask anew what is left of a burst, or what a copy says again, once all before is taken."""
        async with self._order.of(author_id, channel_id):
            was_open = self._services.chat.message_gone(message_id) or was_open
            was_open = self._loose.gone(message_id) or was_open
            said = self._proxies.deleted(message_id, self._me, was_open=was_open)
            if self._services.chat.burst_with(message_id) is not None:
                await self._actions.part_gone(message_id, None if said is None else said.message)
            elif said is not None:
                await self._take_again(said)

    @commands.Cog.listener()
    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """End the work in a channel that is gone."""
        self._channel_gone(ChannelId(channel.id))

    @commands.Cog.listener()
    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        """End the work in a thread that is gone."""
        self._channel_gone(ChannelId(payload.thread_id))

    def _channel_gone(self, channel_id: ChannelId) -> None:
        self._services.source.channel_gone(channel_id)
        self._forget_summaries(channel_id)
        self._services.chat.place_gone(channel_id=channel_id, guild_id=None)

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """End the work in a server the bot was removed from."""
        self._may_have_missed(guild)
        self._services.chat.place_gone(channel_id=None, guild_id=GuildId(guild.id))

    # What the bot sees may have changed: nobody told it what was said, edited or deleted out of its sight

    def _may_have_missed(self, place: Seen) -> set[ChannelId]:
        """Keep nothing of a server's channels, or of one with its threads, as if it were up to date.

        Returns:
            These channels.
        """
        threads = [*getattr(place, "threads", ())]
        channels = place.channels if isinstance(place, discord.Guild) else [place]
        channel_ids = {ChannelId(channel.id) for channel in (*channels, *threads)}
        for channel_id in channel_ids:
            self._services.source.channel_gone(channel_id)
        return channel_ids

    def _may_see_again(self, place: Seen) -> None:
        """See what became of the questions in work, too: one may be deleted or changed meanwhile."""
        channel_ids = self._may_have_missed(place)
        self._tasks.start(self._look_again(channel_ids), name="seen again")

    @commands.Cog.listener()
    async def on_guild_channel_update(
        self, before: discord.abc.GuildChannel, after: discord.abc.GuildChannel
    ) -> None:
        """Take note of changed overwrites."""
        if before.overwrites != after.overwrites:
            self._may_see_again(after)

    @commands.Cog.listener()
    async def on_guild_role_update(self, before: discord.Role, after: discord.Role) -> None:
        """Take note of what a role grants now."""
        if before.permissions != after.permissions:
            self._may_see_again(after.guild)

    @commands.Cog.listener()
    async def on_member_update(self, before: discord.Member, after: discord.Member) -> None:
        """Take note of the bot's own roles."""
        if after.id == self._me and before.roles != after.roles:
            self._may_see_again(after.guild)

    @commands.Cog.listener()
    async def on_thread_remove(self, thread: discord.Thread) -> None:
        """Take note that the bot is no member of a thread any more: of a private one it sees nothing then."""
        self.bot.left_threads[thread.id] = None
        self._may_have_missed(thread)

    @commands.Cog.listener()
    async def on_thread_join(self, thread: discord.Thread) -> None:
        """Go on with what was left open in a thread that the bot is a member of again."""
        if thread.id in self.bot.left_threads:
            del self.bot.left_threads[thread.id]
            self._may_see_again(thread)
            self._tasks.start(self._look_for_left(), name="returned")

    @commands.Cog.listener()
    async def on_guild_available(self, _guild: discord.Guild) -> None:
        """Look for what was missed in a server that came late to a session, or was lost to Discord for a while."""
        if not self.bot.is_online():
            return  # the start of a session looks at all that have come by then
        self._services.source.session_lost()
        self._backfill.server_returned()
        self._tasks.start(self._catch_up(), name="catch-up")

    @commands.Cog.listener()
    async def on_guild_join(self, _guild: discord.Guild) -> None:
        """Go on with what was left open in a server that the bot has returned to."""
        self._tasks.start(self._look_for_left(), name="returned")

    # After a start or a lost session

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Take up what was left open, and look for mentions missed meanwhile."""
        self._tasks.start(self._catch_up(), name="catch-up")

    @commands.Cog.listener()
    async def on_shard_left(self) -> None:
        """Begin the scan that waited for the servers of a shard, which another process has now."""
        if not self._backfill.is_caught_up:
            self._tasks.start(self._catch_up(), name="catch-up")

    async def _catch_up(self) -> None:
        if self._is_catch_up_due:
            return  # one that waits for its turn takes up everything
        self._is_catch_up_due = True
        async with self._catching_up:
            self._is_catch_up_due = False
            await self._look_again()
            count = await self._resumer.run(self._me)
            level = logging.INFO if count else logging.DEBUG
            _log.log(level, "took up %s", counted(count, "question"))
        await self._look_for_missed()

    async def _look_for_missed(self) -> None:
        """Look through all channels; meanwhile, which may be minutes, questions left open are taken up."""
        if self._is_scan_due:
            return  # one that waits for its turn looks at everything
        self._is_scan_due = True
        async with self._scanning:
            self._is_scan_due = False
            if not self.bot.knows_all():
                return  # a scan would count for all; it comes when the rest is known
            channels = _convert.candidates(self.bot, self._backfill.dm_channels)
            look_up = partial(_convert.archived_thread, self.bot)
            await self._backfill.run(channels, self._take_if_served, self._me, look_up)

    async def _look_for_left(self) -> int:
        """Take up what stays open although no start or new session is due; returns how much it was."""
        if not self.bot.is_online() or self._catching_up.locked():
            return 0
        async with self._catching_up:
            count = await self._resumer.run(self._me)
        if self._backfill.is_caught_up or self._scanning.locked():
            return count
        self._tasks.start(self._look_for_missed(), name="catch-up")  # a channel couldn't be read
        return count + 1

    async def _look_again(self, channel_ids: Container[ChannelId] | None = None) -> None:
        """See what became of the questions in work while no events came, in some channels or everywhere."""
        for asked in self._services.chat.asked_in:
            if channel_ids is not None and asked.place.channel_id not in channel_ids:
                continue
            found = await self._reviewer.look(asked)
            if found is None:
                self._gone(asked.id)
            elif found.edited_at != asked.edited_at:
                async with self._in_turn(found):
                    await self._edited(found)

    async def _take_if_served(self, incoming: IncomingMessage) -> None:
        """Take a message that was missed.

        Raises:
            MovedError: Its place is another process's by now.
        """
        await self._take_missed(incoming)
        if not self.bot.serves(incoming.place.guild_id):
            raise MovedError

    async def _take_missed(self, incoming: IncomingMessage) -> None:
        if incoming.unfinished is not None:
            await self._end_unfinished(incoming)
            return
        if self._is_webhooks(incoming):
            await self._copied(incoming)
            return
        channel = self.bot.get_channel(incoming.place.channel_id)
        is_own_thread = _convert.is_own_thread(channel, self._me)
        judgement = _gate.judge(self.bot, incoming, is_own_thread=is_own_thread)
        is_for_me = judgement.decision is not Decision.IGNORE
        if not is_for_me and not self._goes_on(incoming):
            await self._take(incoming, is_own_thread=is_own_thread)  # it may be part of what comes
            return  # nearly all that is found, so nothing is looked up for it
        if await self._services.chat.has_taken(QuestionId(incoming.id)):
            async with self._in_turn(incoming):
                await self._edited(incoming)
            return
        async with self._backfill.taking(incoming.id) as may_take:
            if may_take:
                await self._take_found(incoming, channel)
            else:
                self._turned_away.explain(incoming, SET_ASIDE)

    async def _take_found(self, incoming: IncomingMessage, channel: object) -> None:
        incoming = await self._reviewer.as_member(incoming)
        if self._is_outdated(incoming):
            now = await self._reviewer.look(incoming)
            incoming = incoming if now is None else replace(now, author=incoming.author)
        if self._services.clock.now() - incoming.created_at <= self._stale_after:
            await self._arrived(incoming, channel)
            return
        is_own_thread = _convert.is_own_thread(channel, self._me)
        judgement = _gate.judge(self.bot, incoming, is_own_thread=is_own_thread)
        if judgement.decision is Decision.ACCEPT:
            self._turned_away.explain(incoming, TOO_OLD)

    # Commands

    @app_commands.command(extras=_respond.OTHERWISE)
    async def ask(
        self,
        interaction: Interaction,
        prompt: app_commands.Range[str, 1, 6000],
        new: bool = False,
    ) -> None:
        """Ask the model something.

        Args:
            prompt: What you would like to know
            new: Start afresh, without the conversation before
        """
        if not values.bare(prompt):
            raise _gate.GateError(ASK_IN_OPTION)
        await ask(interaction, prompt, origin=Origin.SLASH, fresh=new)

    @app_commands.command()
    async def stop(self, interaction: Interaction) -> None:
        """Stop your questions in this channel that are waiting or being answered."""
        place = _convert.interaction_place(interaction)
        who, chat = (UserId(interaction.user.id), place.channel_id), self._services.chat
        arriving = [i for i, whose in self._arriving.items() if whose == who]
        coming = sum(not chat.knows(QuestionId(message_id)) for message_id in arriving)
        count = coming + chat.stop_person(*who, QuestionId(interaction.id))
        text = (
            f"Stopped: {counted(count, 'question')}."
            if count
            else "You have no question running here."
        )
        await _respond.say(interaction, text)

    @app_commands.command(extras={_gate.FOR_MANAGERS: True})
    async def help(self, interaction: Interaction) -> None:
        """Show what I can do for you and how to ask."""
        is_owner = _gate.is_owner(interaction)
        how = ASK_DIRECTLY if interaction.guild_id is None else ASK_IN_SERVERS
        lines = [how.format(name=self.bot.user.mention), HELP]
        if interaction.guild_id is not None and _gate.is_manager(interaction):
            lines.append(MANAGER_HELP)
        if is_owner:
            lines.append(OWNER_HELP)
        await _respond.say(interaction, "\n".join(lines))

    async def _ask_about(self, interaction: Interaction, message: discord.Message) -> None:
        await ask(interaction, ABOUT, origin=Origin.CONTEXT_MENU, about=message)

    async def _summarise_from(self, interaction: Interaction, message: discord.Message) -> None:
        if interaction.guild_id is not None and not interaction.permissions.read_message_history:
            await _respond.say(interaction, NEEDS_HISTORY)
            return
        await ask(interaction, SUMMARISE, origin=Origin.CONTEXT_MENU, since=message)


def _may_be_part(message: IncomingMessage) -> bool:
    """Return whether a person's message may be about to ask, together with another one of theirs."""
    return message.is_ordinary and not message.author.is_bot and not is_for_others(message)


async def setup(bot: ClawbotClient) -> None:
    """Add the cog; discord.py calls this."""
    _tree.require_tree(bot)
    await bot.add_cog(ChatCog(bot))
