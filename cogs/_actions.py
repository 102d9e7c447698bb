"""Who may press the buttons below an answer, what these do, and what an edited question does."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Self, TypeVar

import discord

from bot.chat.backfill import DISCORD_EPOCH_MS
from bot.chat.reply import Ending
from bot.chat.seam import GO_ON
from bot.chat.whose_words import proxied
from bot.core.clock import Clock, within
from bot.core.domain import IncomingMessage, MessageId, Origin, Question, QuestionId, UserId
from bot.core.errors import DeliveryError
from bot.core.notices import LOST, notice, without_known
from bot.core.ports import Controls, JournalEntry, Outcome, QuestionState
from bot.core.wording import plain_reason
from bot.delivery.delivery import quiet_lines
from bot.delivery.splitter import MESSAGE_UNITS, split, units
from bot.gateway.client import ClawbotClient, Interaction
from cogs import _convert, _gate, _respond, _review, _settings, _sink
from cogs._convert import BUTTON_ID, Button

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

FORGOTTEN = "I no longer have that question. Please ask it again."
ASKED_NO_MORE = "The message that asked this is deleted. Please ask it again."
MAY_NOT_ASK = "I may not answer the person who asked that any more."
RUNNING_AGAIN = "I'm answering that again already."
NOT_RUNNING = "That answer is finished already."
CONTINUED_ALREADY = "That answer is continued already. Press Continue below its last part."
LOOK_S = 1.5
"""Seconds to look at a question's message before it is answered again: a press waits 3 s at most."""
CLOSING_S = 0.5
"""Seconds that a press waits for an answer which stands, and whose question is about to be closed."""
SHOWN_CHARS = 1900
"""Longer thinking comes as a file."""
NOT_YOURS = "Only the person who asked, or a moderator, can use this button."

Press = Callable[[QuestionId, discord.Interaction[Any]], Awaitable[None]]
"""Does what a button says for its question, and answers the interaction; what it raises is explained."""

AnswerItem = discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]]


def answer_button(presses: Mapping[Button, Press], clock: Clock) -> type[AnswerItem]:
    """Return the class to give to ``Client.add_dynamic_items``: presses of all answers, old and new, reach it.

    Args:
        presses: What each button does.
        clock: Tells when a press has to be acknowledged.
    """

    class AnswerButton(AnswerItem, template=BUTTON_ID):
        """One button of an answer, rebuilt from its id at every press."""

        def __init__(self, action: Button, question_id: QuestionId, asker_id: UserId) -> None:
            super().__init__(_convert.button(action, question_id, asker_id))
            self._action = action
            self._question_id = question_id
            self._asker_id = asker_id

        @classmethod
        async def from_custom_id(
            cls,
            interaction: discord.Interaction[Any],  # noqa: ARG003 - discord.py's signature
            item: discord.ui.Item[Any],  # noqa: ARG003
            match: re.Match[str],
            /,
        ) -> Self:
            """Read the id back."""
            question_id = QuestionId(int(match["question"]))
            return cls(Button(match["action"]), question_id, UserId(int(match["asker"])))

        async def callback(self, interaction: discord.Interaction[Any]) -> None:
            """Do what the button says, or say why not."""
            try:
                if not may_press(interaction, self._asker_id):
                    await _respond.say(interaction, NOT_YOURS)
                    return
                async with _respond.in_time(interaction, clock):
                    await presses[self._action](self._question_id, interaction)
                if not interaction.response.is_done():
                    await interaction.response.defer()
            except Exception as exc:  # noqa: BLE001 - the seam to Discord's components
                await _respond.failure(interaction, exc)

    return AnswerButton


def may_press(interaction: discord.Interaction[Any], asker_id: UserId) -> bool:
    """Return whether somebody may use an answer's buttons: its asker, or a moderator there."""
    if interaction.user.id == asker_id:
        return True
    return interaction.guild_id is not None and interaction.permissions.manage_messages


class AnswerActions:
    """Does what people press; answers every interaction.

    Args:
        client: The bot.

    Attributes:
        presses: What each button does.
    """

    def __init__(self, client: ClawbotClient) -> None:
        self._client = client
        self._services = client.services
        self._pressed: dict[MessageId, str] = {}
        self._reviewer = _review.Reviewer(client)
        self.presses: dict[Button, Press] = {
            Button.STOP: self.stop,
            Button.REGENERATE: self.regenerate,
            Button.CONTINUE: self.continue_,
            Button.THINKING: self.thinking,
            Button.DETAILS: self.details,
        }

    async def stop(self, question_id: QuestionId, interaction: Interaction) -> None:
        """Stop writing; what was written stays."""
        entry = await self._entry_of(question_id, interaction)
        if entry is None:
            await self._end_unknown(question_id, interaction)
        elif self._services.chat.stop(question_id):
            await interaction.response.defer()
        elif entry.outcome is not None:
            await _respond.say(interaction, NOT_RUNNING)
        else:
            await _respond.Acknowledgement(interaction).give()
            await self._stop_left_open(question_id)

    async def _end_unknown(self, question_id: QuestionId, interaction: Interaction) -> None:
        """End an answer that was being written when the database was lost."""
        await _respond.say(interaction, FORGOTTEN)
        if interaction.message is not None:
            place = _convert.interaction_place(interaction)
            shown = replace(_convert.message(interaction.message), place=place)
            await self.end_lost(replace(shown, unfinished=question_id))

    async def end_lost(self, shown: IncomingMessage) -> None:
        """End one of the bot's own messages that is still being written, but for no known question.

        Raises:
            DeliveryError: Discord doesn't let it be edited.
        """
        question_id, journal = shown.unfinished, self._services.journal
        if question_id is None or await journal.entry(question_id) is not None:
            return
        if await journal.entry_of_message(shown.id) is not None:
            return
        words, line = without_known(shown.text), quiet_lines((LOST,))
        kept = split(words, MESSAGE_UNITS - units(line) - 1)[:1]
        ended = "\n".join([*kept, line]) if kept else notice(LOST)
        sink = _sink.message_sink(self._client, shown.place, None)
        await sink.edit(shown.id, ended, controls=Controls(question_id, shown.author.id))

    async def _open(self, question_id: QuestionId) -> JournalEntry | None:
        entry = await self._services.journal.entry(question_id)
        return None if entry is None or entry.outcome is not None else entry

    async def _stop_left_open(self, question_id: QuestionId) -> None:
        """Stop a question of an earlier run, which may be taken up while its place is looked for."""
        entry = await self._open(question_id)
        way = None if entry is None else await self._reviewer.way_back(entry)
        if self._services.chat.stop(question_id):
            return
        entry = await self._open(question_id)
        if entry is not None and way is not None:
            self._services.chat.withdraw(entry, way.sink, Ending.STOPPED)

    async def regenerate(self, question_id: QuestionId, interaction: Interaction) -> None:
        """Answer again, in the place of the answer that stands."""
        await self._once(question_id, interaction, RUNNING_AGAIN, self._regenerate)

    async def continue_(self, question_id: QuestionId, interaction: Interaction) -> None:
        """Go on where an answer was cut, in a new message; each answer is continued once."""
        await self._once(question_id, interaction, CONTINUED_ALREADY, self._continue)

    async def _once(
        self,
        question_id: QuestionId,
        interaction: Interaction,
        meanwhile: str,
        do: Callable[[JournalEntry, MessageId, Interaction], Awaitable[None]],
    ) -> None:
        """Do what was pressed below a message; who presses there meanwhile is told a sentence."""
        entry = await self._entry(question_id, interaction)
        if entry is None:
            return
        shown_id = MessageId(interaction.message.id if interaction.message else 0)
        if shown_id in self._pressed:
            await _respond.say(interaction, self._pressed[shown_id])
            return
        self._pressed[shown_id] = meanwhile
        try:
            await do(entry, shown_id, interaction)
        finally:
            del self._pressed[shown_id]

    async def _regenerate(
        self, entry: JournalEntry, shown_id: MessageId, interaction: Interaction
    ) -> None:
        newest = await self._services.journal.entry_of_message(shown_id) or entry
        is_newer = newest.question.id != entry.question.id
        chat, wait_s = self._services.chat, 0.0
        if newest.state is QuestionState.ANSWERED:  # its buttons may stand already
            wait_s = CLOSING_S
        if is_newer and not await chat.closed(newest.question.id, wait_s):
            await _respond.say(interaction, RUNNING_AGAIN)
            return
        asked = await self._as_asked_now(newest.question)
        posted = await self._in_time(self._still_there(newest, shown_id), newest.posted)
        refusal = await self._reason_against_again(newest, shown_id)
        if asked is None or refusal:
            await _respond.say(interaction, refusal or ASKED_NO_MORE)
            return
        question = replace(
            asked,
            id=QuestionId(interaction.id),
            origin=Origin.REGENERATE,
            asked_at=interaction.created_at,
            response=None,
            pressed_by=UserId(interaction.user.id),
        )
        sink = _sink.message_sink(self._client, question.place, _sink.replied_to(question))
        give = _respond.Acknowledgement(interaction).give
        await self._services.chat.submit(question, sink, replaces=posted, acknowledge=give)

    async def _reason_against_again(self, entry: JournalEntry, shown_id: MessageId) -> str:
        """Return why an answer isn't given again, for what happened meanwhile; empty if it is.

        An edit may be being answered in its place, and its asker may have had their data deleted.
        """
        question = entry.question
        newest = await self._services.journal.entry_of_message(shown_id) or entry
        if await self._services.journal.entry(question.id) is None:
            return FORGOTTEN
        asked_now = map(self._services.chat.asked_now, [m.id for m in question.messages])
        ids = {newest.question.id, *(each.id for each in asked_now if each is not None)}
        if ids != {question.id}:
            return RUNNING_AGAIN
        is_refused = _gate.admission(self._client).refusal(question.asker, question.place)
        return MAY_NOT_ASK if is_refused else ""

    async def _as_asked_now(self, question: Question) -> Question | None:
        """Return a question in the words that its message has now; ``None`` when it is deleted."""
        now = await self._in_time(self._reviewer.look_at_all(question), {})
        return _review.reworded(question, now, self._client.me)

    async def _in_time(self, looking: Awaitable[_T], otherwise: _T) -> _T:
        """Return what is looked up, or something else where that takes too long for a press."""
        try:
            return await within(self._services.clock, looking, LOOK_S)
        except TimeoutError:
            return otherwise

    async def _reason_against_more(self, entry: JournalEntry, last: MessageId) -> str:
        """Return why an answer isn't continued; empty if it is."""
        newest = await self._services.journal.newest_asked_in(last)
        if newest is not None and newest.question.continues == entry.question.id:
            return CONTINUED_ALREADY
        shown = await self._services.journal.entry_of_message(last)
        if shown is None:
            return FORGOTTEN
        return "" if shown.question.id == entry.question.id else RUNNING_AGAIN

    async def _continue(
        self, entry: JournalEntry, last: MessageId, interaction: Interaction
    ) -> None:
        refusal = await self._reason_against_more(entry, last)
        if refusal:
            await _respond.say(interaction, refusal)
            return
        question = Question(
            id=QuestionId(interaction.id),
            origin=Origin.CONTINUE,
            place=entry.question.place,
            asker=_convert.person(interaction.user),
            text=GO_ON,
            asked_at=interaction.created_at,
            about_id=last,
            continues=entry.question.id,
            rests_on=(*entry.question.rests_on, *entry.question.messages),
        )
        sink = _sink.message_sink(self._client, question.place, last)
        give = _respond.Acknowledgement(interaction).give
        await self._services.chat.submit(question, sink, acknowledge=give)

    async def thinking(self, question_id: QuestionId, interaction: Interaction) -> None:
        """Show what the model thought, to whoever pressed."""
        entry = await self._entry(question_id, interaction)
        if entry is None:
            return
        if not entry.thinking:
            await _respond.say(interaction, "There was no thinking to show.")
        elif len(entry.thinking) <= SHOWN_CHARS:
            await _respond.say(interaction, _settings.block(entry.thinking, SHOWN_CHARS))
        else:
            file = discord.File(io.BytesIO(entry.thinking.encode()), "thinking.txt")
            await _respond.say(interaction, "What the model thought:", file=file)

    async def details(self, question_id: QuestionId, interaction: Interaction) -> None:
        """Show model, speed and context used, to whoever pressed."""
        entry = await self._entry(question_id, interaction)
        if entry is not None:
            await _respond.say(interaction, entry.details or "Nothing is known about that answer.")

    async def _entry(
        self, question_id: QuestionId, interaction: Interaction
    ) -> JournalEntry | None:
        if not await _gate.admits(interaction):
            return None
        entry = await self._entry_of(question_id, interaction)
        if entry is None:
            await _respond.say(interaction, FORGOTTEN)
        return entry

    async def _entry_of(
        self, question_id: QuestionId, interaction: Interaction
    ) -> JournalEntry | None:
        """Return a button's question, if this is a button of its answer: an id can be made up."""
        if question_id > _convert.MOST_ID:
            return None
        entry = await self._services.journal.entry(question_id)
        if entry is None or entry.question.place.channel_id != interaction.channel_id:
            return None
        return entry if may_press(interaction, entry.question.asker.id) else None

    async def edited(self, message: IncomingMessage) -> bool:
        """Answer a question anew whose author changed its text; anything else is left alone.

        Returns:
            False if the message has asked nothing before.

        Raises:
            AdmissionError: Not now; an answer to the earlier words goes on.
        """
        is_copy = message.webhook_id is not None and message.author.id != self._client.me
        if message.author.is_bot and not is_copy:
            return True
        entry = await self._services.journal.newest_asked_in(message.id)
        if entry is None:
            return is_copy or self._services.chat.knows(QuestionId(message.id))
        if is_copy:
            message = proxied(message, entry.question.asker)
        if _gate.admission(self._client).refusal(message.author, message.place):
            return True
        asked = _review.reworded(entry.question, {message.id: message}, self._client.me)
        if asked is None or asked.text == entry.question.text:
            return True
        self._services.chat.check_rate(asked)  # before anything is asked of Discord for it
        changed_at = message.edited_at or message.created_at
        posted = await self._still_there(entry)
        newest = await self._services.journal.newest_asked_in(message.id)
        if newest is None:  # its author had their data deleted meanwhile
            return True
        asks_now = self._services.chat.asked_now(message.id) or newest.question
        if asks_now.text == asked.text:  # somebody pressed Regenerate meanwhile
            return True
        if newest.question.id != entry.question.id:
            posted = newest.posted
        asked = asked if posted else await self._outside_of_deleted(asked)
        await self._ask_anew(asked, message.id, changed_at, posted)
        return True

    async def taken_back(self, message_id: MessageId) -> None:
        """Delete the answer to a deleted question if it was stopped; a whole one is its readers'."""
        entry = await self._services.journal.newest_asked_in(message_id)
        if entry is None or entry.question.joined:
            return
        if entry.outcome is None:
            await self._withdraw(entry)
        if entry.outcome is not Outcome.STOPPED:
            return
        sink = _sink.message_sink(self._client, entry.question.place, None)
        for posted in entry.posted:
            try:
                await sink.delete(posted)
            except DeliveryError as exc:
                _log.info("a stopped answer stays (%s)", plain_reason(exc))

    async def _withdraw(self, entry: JournalEntry) -> None:
        """End a deleted question that waits until the bot may write at its place again."""
        question = entry.question
        if self._services.chat.knows(question.id) or not self._reviewer.is_barred(question):
            return
        way, left = await self._reviewer.way_back(entry), await self._open(question.id)
        if way is not None and left is not None:
            self._services.chat.withdraw(left, way.sink, Ending.GONE)

    async def part_gone(self, message_id: MessageId, copy: IncomingMessage | None) -> None:
        """Ask a burst's question anew after one of its messages was deleted.

        Args:
            message_id: What was deleted.
            copy: What says it again in its place; ``None``: nothing does.
        """
        burst = self._services.chat.burst_with(message_id)
        if burst is None:
            return
        left = _review.reworded(burst, {message_id: copy}, self._client.me)
        if left is not None:
            await self._ask_anew(left, message_id, self._services.clock.now(), is_counted=True)

    async def joins(self, said: IncomingMessage, *, may_come_before: bool) -> bool:
        """Ask an unanswered question anew with a message of the same moment.

        Args:
            said: By whoever asked.
            may_come_before: It may belong to what was said after it, too.

        Returns:
            False if there is no such question.
        """
        burst = self._services.chat.burst_around(said, may_come_before=may_come_before)
        if burst is None or burst.message is None:
            return False
        *before, last = sorted((*burst.messages, said), key=lambda each: (each.created_at, each.id))
        whole = replace(burst, message=last, joined=tuple(before))
        whole = _review.with_words_of_messages(whole, self._client.me)
        now = self._services.clock.now()
        await self._ask_anew(whole, burst.message.id, now, is_counted=True)
        return True

    async def _ask_anew(
        self,
        asked: Question,
        changed_id: MessageId,
        changed_at: datetime,
        replaces: tuple[MessageId, ...] = (),
        *,
        is_counted: bool = False,
    ) -> None:
        question = replace(
            asked,
            id=change_id(changed_id, changed_at),
            origin=Origin.REGENERATE,
            asked_at=changed_at,
            pressed_by=None,
        )
        sink = _sink.message_sink(self._client, question.place, _sink.replied_to(question))
        await self._services.chat.submit(
            question, sink, replaces=replaces, changed_id=changed_id, is_counted=is_counted
        )

    async def _outside_of_deleted(self, asked: Question) -> Question:
        """Return a question at its message's place, where the thread of its answer is deleted."""
        place, message = asked.place, asked.message
        if place.guild_id is None or message is None or place.is_same(message.place):
            return asked
        deleted = await _convert.deleted_among(self._client, place.guild_id, [place.channel_id])
        return replace(asked, place=message.place) if deleted else asked

    async def _still_there(
        self, entry: JournalEntry, shown_id: MessageId | None = None
    ) -> tuple[MessageId, ...]:
        """Return an answer's messages without those that somebody has deleted, so that none of them is edited.

        Args:
            entry: Of the question.
            shown_id: One that is certainly there.
        """
        place = entry.question.place
        is_there = self._reviewer.is_there
        return tuple([i for i in entry.posted if i == shown_id or await is_there(place, i)])


def change_id(message_id: MessageId, changed_at: datetime) -> QuestionId:
    """Return the id of a changed question: a snowflake of the change, the same each time it is seen.

    The message's time is mixed into the low bits, which a message of the same moment may share, and
    the change's microseconds, since two edits may come within a millisecond.
    """
    ms = int(changed_at.timestamp() * 1000) - DISCORD_EPOCH_MS
    low = message_id ^ (message_id >> 22) ^ (changed_at.microsecond % 1000 << 12)
    return QuestionId((ms << 22) | (low & 0x3FFFFF))
