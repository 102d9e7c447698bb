"""The journal of accepted questions, over a database that may fail, and kept within its bounds.

Every open question is also in memory, whole, and every write stores it whole. So a database that
fails costs nothing but durability: work goes on, and what changed meanwhile is written when the
database is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from sqlalchemy import ColumnElement, Connection, false

from bot.core.clock import Clock
from bot.core.domain import ChannelId, MessageId, Person, PromptCount, Question, QuestionId
from bot.core.errors import StoreError
from bot.core.ports import JournalEntry, Outcome, QuestionState
from bot.core.recent import Recent
from bot.storage import journal_sql
from bot.storage.database import Database
from bot.storage.schema import to_ms
from bot.storage.tidying_sql import NOTICES, Bounds, stored_bytes, tidy
from config.settings import StoreSettings

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

THINKING_BYTES: Final = 16_384
"""Longest stored thinking, in bytes of UTF-8; longer thinking keeps its beginning and its end."""

DETAILS_BYTES: Final = 2_048
"""Longest stored details."""

CUT: Final = "\n[…]\n"
"""Stands where the middle of a text was left out."""

UNSAVED: Final = 1_000
"""Ended questions kept in memory while the database fails; the oldest go first when there are more."""

FORGOTTEN: Final = 1_000
"""Deleted questions whose number is remembered, as work on them may be ending still."""

CHANNELS: Final = 10_000
"""Channels whose newest message is remembered; the others are scanned from the last sign of life on,
so that whoever fills this up hides nobody's messages."""

CHANNELS_EVERY_S: Final = 5.0
"""Seconds between writes of the newest messages; after a crash a scan covers the gap."""

Save = Callable[[Connection, Sequence[JournalEntry]], int]
"""Writes questions; returns how many bytes they take."""

BATCH: Final = 500
"""Questions written back in one transaction at most, which keeps it short."""

EVERY_S: Final = 300.0
"""Seconds between looks whether something has to be deleted, while little is written."""

EVERY_BYTES: Final = 4 * 1024 * 1024
"""Bytes written between looks; what is stored may exceed a bound by so much."""

RECENT: Final = timedelta(minutes=10)
"""Ended questions that stay in any case: Discord may send their messages again."""

LEAST_BYTES: Final = 8 * 1024 * 1024
"""What ended questions may keep although the disk is nearly full: it isn't they who fill it."""


class Tidying:
    """Deletes ended questions that are too old, or too many for a person, a guild or the disk.

    Args:
        database: Open.
        clock: For ages and intervals.
        retention_days: How long ended questions are kept.
        bounds: How much of them.
    """

    def __init__(
        self, database: Database, clock: Clock, retention_days: int, bounds: Bounds
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = timedelta(days=retention_days)
        self._bounds = bounds
        self._written = 0
        self._looked_s: float | None = None
        self._is_running = False

    def wrote(self, size_bytes: int) -> None:
        """Count what was written, and begin to tidy in the background when it is time."""
        self._written += size_bytes
        now_s = self._clock.monotonic()
        is_due = self._looked_s is None or now_s - self._looked_s >= EVERY_S
        if self._is_running or not (is_due or self._written >= EVERY_BYTES):
            return
        self._looked_s, self._written, self._is_running = now_s, 0, True
        self._database.spawn(self._tidy())

    async def _tidy(self) -> None:
        try:
            count = await self._delete()
            if count:
                _log.info("%d ended questions were deleted to make room", count)
            await self._database.reclaim()
        except StoreError as exc:
            _log.debug("tidying was given up: %s", exc)
        finally:
            self._is_running = False

    async def _delete(self) -> int:
        now = self._clock.now()
        expired_ms, recent_ms = to_ms(now - self._retention), to_ms(now - RECENT)
        bounds = await self._bounds_now()
        count = 0
        while step := await self._database.write(lambda c: tidy(c, bounds, expired_ms, recent_ms)):
            count += step
        return count

    async def _bounds_now(self) -> Bounds:
        """Return the bounds in force; where the disk is short of room, less than is stored."""
        bounds = self._bounds
        missing = await self._database.missing_room(bounds.reserve)
        if not missing:
            return bounds
        stored = await self._database.read(stored_bytes)
        return replace(bounds, total=max(LEAST_BYTES, min(bounds.total, stored - missing)))


class SqlJournal:
    """A ``Journal`` over SQLAlchemy. Made by ``open``."""

    def __init__(self, database: Database, clock: Clock, tidying: Tidying) -> None:
        self._database = database
        self._clock = clock
        self._tidying = tidying
        self._open: OrderedDict[QuestionId, JournalEntry] = OrderedDict()
        self._newest: QuestionId | None = None
        self._unsaved: set[QuestionId] = set()
        self._accepting: set[QuestionId] = set()
        self._forgotten: Recent[QuestionId, None] = Recent(FORGOTTEN)
        self._channels: OrderedDict[ChannelId, MessageId] = OrderedDict()
        self._unsaved_channels: dict[ChannelId, MessageId] = {}
        self._notices: Recent[MessageId, None] = Recent(NOTICES)
        self._unsaved_notices: Recent[MessageId, None] = Recent(NOTICES)
        self._channels_written_s = clock.monotonic()

    @classmethod
    async def open(
        cls,
        database: Database,
        clock: Clock,
        retention_days: int,
        bounds: Bounds | None = None,
        *,
        is_shared: bool = False,
    ) -> SqlJournal:
        """Begin with what the database knows; with one that can't be read, with nothing.

        Args:
            database: Open.
            clock: For timestamps and retention.
            retention_days: How long ended questions are kept.
            bounds: How much may be stored; the settings' defaults when left out.
            is_shared: Other processes have open questions here, too: ``take_up`` says which are ours.
        """
        tidying = Tidying(database, clock, retention_days, bounds or Bounds.of(StoreSettings()))
        journal = cls(database, clock, tidying)
        try:
            await journal._load(*([false()] if is_shared else []))
        except StoreError as exc:
            _log.error("The journal can't be read (%s); beginning with an empty one", exc)
        database.on_recovery(journal._write_back)
        return journal

    @property
    def unsaved(self) -> int:
        """Questions whose newest state is in memory only."""
        return len(self._unsaved)

    async def accept(self, question: Question, posted: Sequence[MessageId] = ()) -> bool:
        """Store a question before any work; ``False`` if it is known already (a duplicate)."""
        if question.id in self._open:
            return False
        now, ids = self._clock.now(), tuple(dict.fromkeys(posted))
        entry = JournalEntry(question, QuestionState.ACCEPTED, posted=ids, updated_at=now)
        self._open[question.id] = entry
        if self._newest is not None:
            self._newest = max(self._newest, question.id)
        if self._database.is_degraded:
            return await self._accept_degraded(entry)
        self._accepting.add(question.id)
        try:
            is_new = await self._database.write(lambda c: journal_sql.insert_entry(c, entry))
        except StoreError:
            return await self._accept_degraded(entry)
        finally:
            self._accepting.discard(question.id)
        if not is_new:
            self._open.pop(question.id, None)
        self._tidying.wrote(journal_sql.ROW_BYTES)
        return is_new

    async def start(self, question_id: QuestionId) -> int:
        """Mark work as begun, before anything is done; returns the number of this attempt."""

        def begin(entry: JournalEntry) -> JournalEntry:
            is_final = entry.state is QuestionState.ANSWERED
            state = entry.state if is_final else QuestionState.RUNNING
            return replace(entry, state=state, attempts=entry.attempts + 1)

        entry = await self._change(question_id, begin)
        return 1 if entry is None else entry.attempts

    async def give_back(self, question_id: QuestionId) -> None:
        """Take back the newest attempt: the process is alive, and works on it no longer."""
        await self._change(
            question_id, lambda entry: replace(entry, attempts=max(0, entry.attempts - 1))
        )

    async def posted(self, question_id: QuestionId, message_ids: Sequence[MessageId]) -> None:
        """Record the messages posted so far, in order."""
        ids = tuple(dict.fromkeys(message_ids))
        await self._change(question_id, lambda entry: replace(entry, posted=ids))

    async def answered(
        self,
        question_id: QuestionId,
        chunks: Sequence[str],
        *,
        thinking: str = "",
        details: str = "",
        own_lines: str | None = None,
        count: PromptCount | None = None,
    ) -> None:
        """Store the final texts, before they are delivered; over-long thinking is cut."""
        await self._change(
            question_id,
            lambda entry: replace(
                entry,
                state=QuestionState.ANSWERED,
                chunks=tuple(chunks),
                thinking=_cut(thinking, THINKING_BYTES),
                details=_cut(details, DETAILS_BYTES),
                own_lines=own_lines,
                count=count,
            ),
        )

    async def own_lines(self, question_id: QuestionId, own_lines: str) -> None:
        """Record the bot's own lines in what is about to be posted."""
        await self._change(question_id, lambda entry: replace(entry, own_lines=own_lines))

    async def revise(self, question: Question) -> None:
        """Record that an open question is asked in other words now; an answer to the old is dropped."""

        def ask_anew(entry: JournalEntry) -> JournalEntry:
            is_final = entry.state is QuestionState.ANSWERED
            state = QuestionState.RUNNING if is_final else entry.state
            return replace(entry, question=question, state=state, chunks=(), count=None)

        await self._change(question.id, ask_anew)

    async def close(self, question_id: QuestionId, outcome: Outcome) -> None:
        """Record the outcome, and forget texts and token; a second call changes nothing."""
        await self._change(
            question_id,
            lambda entry: replace(
                entry,
                question=replace(entry.question, response=None),
                state=QuestionState.CLOSED,
                outcome=outcome,
                chunks=(),
            ),
        )

    async def entry(self, question_id: QuestionId) -> JournalEntry | None:
        """Return one question as stored.

        A new question has the highest id yet, which tells without a look at the database.
        """
        found = self._open.get(question_id)
        if found is not None or (self._newest is not None and question_id > self._newest):
            return found
        try:
            return await self._database.read(lambda c: journal_sql.load_entry(c, question_id))
        except StoreError:
            return self._open.get(question_id)

    async def entry_of_message(self, message_id: MessageId) -> JournalEntry | None:
        """Return the question that a posted message answers."""
        for found in self._open.values():
            if message_id in found.posted:
                return found
        try:
            return await self._database.read(
                lambda c: journal_sql.load_entry_of_message(c, message_id)
            )
        except StoreError:
            return None

    async def newest_asked_in(self, message_id: MessageId) -> JournalEntry | None:
        """Return the question that was asked last in a message."""
        asked = [e for e in self._open.values() if message_id in e.question.asked_in]
        try:
            stored = await self._database.read(
                lambda c: journal_sql.load_newest_asked_in(c, message_id)
            )
        except StoreError:
            return asked[-1] if asked else None
        known = [entry for entry in asked if entry.question.id in self._unsaved]
        if stored is not None:
            known.append(self._open.get(stored.question.id, stored))
        return max(known, key=lambda entry: entry.question.id, default=None)

    async def own_lines_of(self, message_ids: Sequence[MessageId]) -> dict[MessageId, str | None]:
        """Return the recorded own lines of the answers that posted messages belong to."""
        wanted = set(message_ids)
        found = await self._stored_of(lambda c: journal_sql.load_own_lines(c, sorted(wanted)))
        for entry in self._open.values():
            found.update(dict.fromkeys(wanted.intersection(entry.posted), entry.own_lines))
        return found

    async def note_notice(self, message_id: MessageId) -> None:
        """Record a message that was posted outside of any question."""
        self._notices[message_id] = self._unsaved_notices[message_id] = None
        if not self._database.is_degraded:
            with suppress(StoreError):
                await self._write_notices()

    async def notices_of(self, message_ids: Sequence[MessageId]) -> set[MessageId]:
        """Return which of these messages were posted outside of any question, by whatever process."""
        found = self._notices.keys() & message_ids
        with suppress(StoreError):
            found |= await self._database.read(lambda c: journal_sql.load_notices(c, message_ids))
        return found

    async def counts_of(self, message_ids: Sequence[MessageId]) -> dict[MessageId, PromptCount]:
        """Return the counts of the answers that posted messages belong to, where there are any."""
        wanted = set(message_ids)
        found = await self._stored_of(lambda c: journal_sql.load_counts(c, sorted(wanted)))
        for entry in self._open.values():
            for message_id in wanted.intersection(entry.posted):
                found.pop(message_id, None)
                if entry.count is not None:
                    found[message_id] = entry.count
        return found

    async def askers(self, message_ids: Sequence[MessageId]) -> dict[MessageId, Person]:
        """Return who asked in messages; those that asked nothing are left out."""
        found = await self._stored_of(lambda c: journal_sql.load_askers(c, message_ids))
        for message_id in message_ids:
            entry = self._open.get(QuestionId(message_id))
            if entry is not None:
                found[message_id] = entry.question.asker
        return found

    async def _stored_of(
        self, look: Callable[[Connection], dict[MessageId, _T]]
    ) -> dict[MessageId, _T]:
        """Return what is stored of messages; nothing where the database fails."""
        try:
            return await self._database.read(look)
        except StoreError:
            return {}

    def forget(self, concerns: Callable[[Question], bool]) -> None:
        """Drop questions from memory; what is still under way for them stores them no more."""
        for question_id in [i for i, e in self._open.items() if concerns(e.question)]:
            del self._open[question_id]
            self._unsaved.discard(question_id)
            self._forgotten[question_id] = None

    async def pending(self) -> Sequence[JournalEntry]:
        """Return all questions without an outcome, oldest first."""
        found = (e for e in self._open.values() if e.state is not QuestionState.CLOSED)
        return sorted(found, key=lambda entry: entry.question.id)

    async def seen(self, channel_id: ChannelId, message_id: MessageId) -> None:
        """Note the newest message received in a channel; written with a delay of seconds."""
        if message_id <= self._channels.get(channel_id, 0):
            return
        self._channels[channel_id] = message_id
        self._channels.move_to_end(channel_id)
        self._unsaved_channels[channel_id] = message_id
        while len(self._channels) > CHANNELS:
            forgotten, _ = self._channels.popitem(last=False)
            self._unsaved_channels.pop(forgotten, None)
        now_s = self._clock.monotonic()
        if now_s - self._channels_written_s >= CHANNELS_EVERY_S and not self._database.is_degraded:
            self._channels_written_s = now_s
            with suppress(StoreError):
                await self._write_channels()

    async def last_seen(self) -> dict[ChannelId, MessageId]:
        """Return the newest noted message of every channel."""
        return dict(self._channels)

    async def _write_channels(self) -> None:
        newest = self._unsaved_channels
        if not newest:
            return
        self._unsaved_channels = {}
        now = self._clock.now()
        try:
            await self._database.write(lambda c: journal_sql.save_channels(c, newest, now))
        except StoreError:
            self._unsaved_channels = {**newest, **self._unsaved_channels}
            raise

    async def _write_notices(self) -> None:
        ids = tuple(self._unsaved_notices)
        if ids:
            await self._database.write(lambda c: journal_sql.save_notices(c, ids))
            for message_id in ids:
                self._unsaved_notices.pop(message_id, None)

    async def _accept_degraded(self, entry: JournalEntry) -> bool:
        """Accept without writing; what can still be read tells a duplicate."""
        self._unsaved.add(entry.question.id)
        try:
            known = await self._database.read(
                lambda c: journal_sql.load_entry(c, entry.question.id)
            )
        except StoreError:
            return True
        if known is None or journal_sql.is_same_acceptance(known, entry):
            return True
        self._unsaved.discard(entry.question.id)
        self._open.pop(entry.question.id, None)
        return False

    async def _change(
        self, question_id: QuestionId, change: Callable[[JournalEntry], JournalEntry]
    ) -> JournalEntry | None:
        """Change a question in memory and store it; unknown and closed ones stay as they are."""
        before = self._open.get(question_id)
        if before is None:
            loaded = await self.entry(question_id)
            before = self._open.get(question_id, loaded)
        if before is None or before.state is QuestionState.CLOSED:
            return before
        if question_id in self._forgotten:
            return None
        entry = replace(change(before), updated_at=self._clock.now())
        is_posted_stored = before.posted == entry.posted and question_id not in self._unsaved
        self._open[question_id] = entry
        await self._save(
            entry, journal_sql.save_texts if is_posted_stored else journal_sql.save_entries
        )
        return entry

    async def _save(self, entry: JournalEntry, save: Save) -> None:
        if self._database.is_degraded:
            self._unsaved.add(entry.question.id)
            if entry.outcome is not None:
                self._bound_memory()
            return
        with suppress(StoreError):
            await self._write((entry,), save)

    async def _write(
        self,
        entries: Sequence[JournalEntry],
        save: Save,
    ) -> None:
        """Store entries; those that ended are then forgotten in memory."""
        try:
            size = await self._database.write(lambda c: save(c, entries))
        except (StoreError, asyncio.CancelledError):
            ids = {entry.question.id for entry in entries}
            self._unsaved |= ids & self._open.keys()
            raise
        self._tidying.wrote(size)
        for entry in entries:
            question_id = entry.question.id
            is_partly = save is journal_sql.save_texts and question_id in self._unsaved
            if self._open.get(question_id) is entry and not is_partly:
                self._unsaved.discard(question_id)
                if entry.state is QuestionState.CLOSED:
                    del self._open[question_id]

    async def _write_back(self, is_fresh: bool) -> None:
        """Store what memory holds: all of it in a fresh database, otherwise what changed."""
        if is_fresh:
            self._newest = None  # it may be another database, which knows more
            accepting = [self._open[question_id] for question_id in self._accepting]
            self._unsaved.update(self._open.keys() - self._accepting)
            for entry in accepting:  # it may turn out to be known, and then stays as it is
                await self._database.write(partial(journal_sql.insert_entry, entry=entry))
            self._unsaved_channels = dict(self._channels)
            self._unsaved_notices.update(self._notices)
        while batch := [self._open[i] for i in islice(self._unsaved, BATCH)]:
            await self._write(batch, journal_sql.save_with_asking)
        await self._write_channels()
        await self._write_notices()

    async def take_up(self, shard: int, count: int) -> None:
        """Take over the open questions of one of so many shards, which another process has left.

        Raises:
            StoreError: The database failed.
        """
        await self._load(journal_sql.is_of_shard(shard, count))

    def leave(self, concerns: Callable[[Question], bool]) -> None:
        """Leave questions, which are stored and not worked on, to another process."""
        for question_id in [i for i, e in self._open.items() if concerns(e.question)]:
            if question_id not in self._unsaved:
                del self._open[question_id]

    async def _load(self, *conditions: ColumnElement[bool]) -> None:
        for entry in await self._database.read(lambda c: journal_sql.load_pending(c, *conditions)):
            self._open.setdefault(entry.question.id, entry)
        self._newest = await self._database.read(journal_sql.load_newest)
        newest = await self._database.read(lambda c: journal_sql.load_channels(c, CHANNELS))
        for channel_id in reversed(newest):
            known = self._channels.get(channel_id, newest[channel_id])
            self._channels[channel_id] = max(known, newest[channel_id])

    def _bound_memory(self) -> None:
        """Forget the oldest ended questions that couldn't be stored when there are too many."""
        ended = [i for i, entry in self._open.items() if entry.outcome is not None]
        for question_id in ended[: max(0, len(ended) - UNSAVED)]:
            del self._open[question_id]
            self._unsaved.discard(question_id)


def _cut(text: str, limit_bytes: int) -> str:
    """Return a text's beginning and end in at most so many bytes of UTF-8."""
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) <= limit_bytes:
        return text
    half = (limit_bytes - len(CUT.encode())) // 2
    beginning = raw[:half].decode("utf-8", "ignore")
    return beginning + CUT + raw[-half:].decode("utf-8", "ignore")
