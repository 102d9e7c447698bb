"""What people and servers may see of their data, take along, and have deleted."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bot.chat.allowed_models import AllowedModels
from bot.chat.backfill import Backfill
from bot.chat.service import ChatService
from bot.core.clock import Clock
from bot.core.concerns import Subject
from bot.core.domain import ChannelId, GuildId, IncomingMessage, PlaceKind, UserId
from bot.core.errors import StoreError
from bot.core.ports import JournalEntry
from bot.core.wording import counted
from bot.prompt.cache import MessageCache
from bot.storage.kept import KeptData
from bot.storage.setting_types import Change, StoredSetting
from bot.storage.settings_store import SettingsStore
from bot.storage.summaries import SummaryStore

_log = logging.getLogger(__name__)

PART_BYTES: Final = 8 * 1024 * 1024
"""Longest file of an export; Discord takes 10 MiB (uploading files)."""

MOST_PARTS: Final = 10
"""Files of one export; a person's stored questions are bounded to far less by default."""

STOP_WITHIN_S: Final = 10.0
"""Seconds for running answers to end before their questions are deleted."""


@dataclass(slots=True)
class Held:
    """How much is kept of somebody.

    Attributes:
        questions: Stored, open ones included.
        thinking: Of these, with what the model thought.
        counted: Of these, with how long the prompt was.
        open: Of these, without an answer yet.
        oldest: When the oldest was asked.
        settings: Settings in force that they set, or have.
        changes: Changes of settings under their name.
        messages: Messages in memory.
        summaries: Of conversations that they had a part in, or are named in.
    """

    questions: int = 0
    thinking: int = 0
    counted: int = 0
    open: int = 0
    oldest: datetime | None = None
    settings: int = 0
    changes: int = 0
    messages: int = 0
    summaries: int = 0


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted.

    Attributes:
        stopped: Questions that were waiting or being answered.
        questions: Stored questions.
        is_overwritten: Nothing of it is left in the database's files.
    """

    stopped: int
    questions: int
    is_overwritten: bool


@dataclass(slots=True)
class Export:
    """Files that are being written, each of them JSON."""

    head: dict[str, object]
    parts: list[bytes] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _bytes: int = 0

    def add(self, record: dict[str, object]) -> None:
        """Append a question; one that the file has no room for begins the next."""
        line = json.dumps(record)
        if self._bytes + len(line) > PART_BYTES:
            self.close()
        self._lines.append(line)
        self._bytes += len(line)

    def close(self) -> None:
        """End the file that is being written."""
        head = json.dumps({**self.head, "part": len(self.parts) + 1}, indent=1)
        body = ",\n  ".join(self._lines)
        self.parts.append(f'{head[:-2]},\n "questions": [\n  {body}\n ]\n}}\n'.encode())
        self._lines.clear()
        self._bytes = 0


TellOthers = Callable[[Subject], Awaitable[None]]
"""Has other processes forget somebody, and waits until they have."""


async def _alone(_who: Subject) -> None:
    """Tell nobody: there is one process."""


class Privacy:
    """Shows, hands out and deletes what is kept.

    Args:
        kept: What is stored.
        settings: Settings of servers and channels.
        models: What else servers have.
        summaries: Of conversations.
        messages: Messages in memory.
        chat: Ends work on questions.
        backfill: Remembers direct-message channels.
        clock: Time.
    """

    def __init__(
        self,
        kept: KeptData,
        settings: SettingsStore,
        models: AllowedModels,
        summaries: SummaryStore,
        messages: MessageCache,
        chat: ChatService,
        backfill: Backfill,
        clock: Clock,
    ) -> None:
        self.kept = kept
        self._settings = settings
        self._models = models
        self._summaries = summaries
        self._messages = messages
        self._chat = chat
        self._backfill = backfill
        self._clock = clock
        self._forgetters: list[Callable[[Subject], None]] = []
        self._withholders: list[Callable[[], None]] = []
        self._deleting = asyncio.Lock()
        self._tell_others: TellOthers = _alone

    def on_forget(self, forget: Callable[[Subject], None]) -> None:
        """Have a function called that forgets what memory holds of somebody."""
        self._forgetters.append(forget)

    def on_opt_out(self, forget: Callable[[], None]) -> None:
        """Have a function called that forgets prompts, in which somebody's words may stand."""
        self._withholders.append(forget)

    def tell_others(self, tell: TellOthers) -> None:
        """Have other processes forget first whose data is deleted here."""
        self._tell_others = tell

    async def forget_in_memory(self, who: Subject) -> None:
        """Stop what is asked for somebody, and forget what memory holds: another process deletes the rest."""
        with suppress(StoreError):
            await self._forget_dms(who)
        await self._chat.stop_all(who.has_question, STOP_WITHIN_S)
        self.kept.forget_open(who)
        self._forget_here(who)

    async def reload(self) -> None:
        """Take over who is opted out, as other processes have stored it.

        Raises:
            StoreError: The database failed.
        """
        await self.kept.reload()
        for forget in self._withholders:
            forget()

    async def opt_out(self, person_id: UserId) -> None:
        """Have a person's messages no longer read when others ask, from now on.

        Raises:
            StoreError: That couldn't be kept.
        """
        await self.kept.opt_out(person_id)
        for forget in self._withholders:
            forget()

    async def held(self, who: Subject) -> Held:
        """Return how much is kept of somebody.

        Raises:
            StoreError: The database failed.
        """
        held = Held(
            messages=len(self._messages.kept(_written_by(who))),
            summaries=len(await self._summaries.held(who)),
        )
        if who.person_id is not None:
            held.settings = len(self._settings.set_by(who.person_id))
            held.changes = len(await self._settings.changes_by(who.person_id))
        elif who.guild_id is not None:
            held.settings = len(self._settings.set_in(who.guild_id))
        async for entries in self.kept.of(who):
            for entry in entries:
                held.questions += 1
                held.thinking += bool(entry.thinking)
                held.counted += entry.count is not None
                held.open += entry.outcome is None
                held.oldest = min(held.oldest or entry.question.asked_at, entry.question.asked_at)
        return held

    async def export(
        self, who: Subject, may_read: Callable[[ChannelId], bool] = lambda _: True
    ) -> list[bytes]:
        """Return what is kept of somebody as files of JSON, at most ``MOST_PARTS``.

        Of a person it holds their own words, what the model thought for them, and summaries of what
        they alone said; of a server its settings, and what was asked and summed up in the channels
        that may be read.

        Raises:
            StoreError: The database failed.
        """
        head = await self._head(who)
        export = Export({**head, "summaries": await self._summed_up(who, may_read)})
        async for entries in self.kept.of(who):
            for entry in entries:
                is_readable = who.person_id or may_read(entry.question.place.channel_id)
                if is_readable and len(export.parts) < MOST_PARTS:
                    export.add(_record(entry, who))
                await asyncio.sleep(0)
        export.close()
        return export.parts[:MOST_PARTS]

    async def _summed_up(
        self, who: Subject, may_read: Callable[[ChannelId], bool]
    ) -> list[dict[str, str]]:
        return [
            {"channel": str(each.channel_id), "text": each.text}
            for each in await self._summaries.held(who)
            if (
                may_read(ChannelId(each.channel_id))
                if who.person_id is None
                else each.people == {who.person_id}
            )
        ]

    async def _head(self, who: Subject) -> dict[str, object]:
        head: dict[str, Any] = {"made_at": self._clock.now().isoformat()}
        if who.person_id is None:
            guild_id = who.guild_id or GuildId(0)
            return {
                **head,
                "server": str(guild_id),
                "settings": [_setting(each) for each in self._settings.set_in(guild_id)],
            }
        person_id = who.person_id
        since = self.kept.opted_out_at(person_id)
        own = self._messages.kept(_written_by(who))
        return {
            **head,
            "person": str(person_id),
            "opted_out_since": None if since is None else since.isoformat(),
            "settings": [_setting(each) for each in self._settings.set_by(person_id)],
            "changes": [_change(each) for each in await self._settings.changes_by(person_id)],
            "messages_in_memory": [_message(each) for each in own],
        }

    async def delete(self, who: Subject) -> Deleted:
        """Stop what is asked for somebody, and delete what is kept of them, at once and for good.

        A person's opt-out stays, and so do settings of servers, without the person's name.

        Raises:
            StoreError: The database failed; nothing, or not everything, was deleted.
        """
        async with self._deleting:
            stopped = await self._chat.stop_all(who.has_question, STOP_WITHIN_S)
            await self._tell_others(who)
            count = await self._delete_stored(who)
            self._forget_here(who)
            return Deleted(stopped, count, await self._overwrite())

    def _forget_here(self, who: Subject) -> None:
        self._messages.forget(who.has_message)
        for forget in self._forgetters:
            forget(who)

    async def _delete_stored(self, who: Subject) -> int:
        await self._summaries.delete(who)
        await self._forget_dms(who)
        count = await self.kept.forget(who)
        if who.person_id is not None:
            await self._settings.forget_author(who.person_id)
        elif who.guild_id is not None:
            await self._settings.forget_guild(who.guild_id)
            await self._models.forget(who.guild_id)
        return count

    async def _forget_dms(self, who: Subject) -> None:
        """Forget the direct-message channels that a person asked in, as far as is still known."""
        if who.person_id is None:
            return
        channels = {
            entry.question.place.channel_id
            async for entries in self.kept.of(who)
            for entry in entries
            if entry.question.place.kind is PlaceKind.DM
            and entry.question.asker.id == who.person_id
        }
        await self._backfill.forget_dms(channels)

    async def _overwrite(self) -> bool:
        try:
            return await self.kept.overwrite_deleted()
        except StoreError as exc:
            _log.error("Traces of what was deleted are left in the database's file (%s)", exc)
            return False

    async def look_for_left(
        self, is_known: Callable[[GuildId], bool], is_member: Callable[[GuildId], bool]
    ) -> None:
        """Note which servers, of those that anything is kept of, the bot has left.

        Args:
            is_known: Whether that can be told of a server; of some it is another process that can.
            is_member: Whether the bot is in a server.

        Raises:
            StoreError: The database failed.
        """
        for guild_id in filter(is_known, await self.kept.guilds()):
            if is_member(guild_id):
                await self.kept.stays(guild_id)
            else:
                await self.kept.left(guild_id)

    async def forget_left(self, before: datetime, is_known: Callable[[GuildId], bool]) -> None:
        """Delete the data of servers that were left before a moment.

        Args:
            before: The moment.
            is_known: As in ``look_for_left``.

        Raises:
            StoreError: The database failed.
        """
        for guild_id in filter(is_known, self.kept.left_before(before)):
            done = await self.delete(Subject(guild_id=guild_id))
            await self.kept.stays(guild_id)
            _log.info(
                "server %d was left: %s deleted", guild_id, counted(done.questions, "question")
            )


def _written_by(who: Subject) -> Callable[[IncomingMessage], bool]:
    if who.person_id is None:
        return who.has_message
    return lambda message: message.author.id == who.person_id


def _record(entry: JournalEntry, who: Subject) -> dict[str, object]:
    """Return a question as it stands in an export: of a person only what they wrote themselves."""
    question = entry.question
    is_asker = who.person_id in {None, question.asker.id}
    own = [
        _message(message)
        for message in (*question.rests_on, *question.messages)
        if who.person_id in {None, message.author.id}
    ]
    found: dict[str, object] = {
        "id": str(question.id),
        "asked_at": question.asked_at.isoformat(),
        "server": None if question.place.guild_id is None else str(question.place.guild_id),
        "channel": str(question.place.channel_id),
        "way": question.origin.value,
        "text": question.text if is_asker else None,
        "messages": own,
        "outcome": None if entry.outcome is None else entry.outcome.value,
    }
    if who.person_id is None:
        return {**found, "person": str(question.asker.id)}
    if is_asker:
        found |= {"thinking": entry.thinking, "details": entry.details, "answer": entry.chunks}
    return found


def _message(message: IncomingMessage) -> dict[str, object]:
    return {
        "id": str(message.id),
        "channel": str(message.place.channel_id),
        "sent_at": message.created_at.isoformat(),
        "text": message.text,
        "files": [attachment.filename for attachment in message.attachments],
    }


def _setting(stored: StoredSetting) -> dict[str, object]:
    return {"name": stored.key, "value": stored.value, "set_at": stored.changed_at.isoformat()}


def _change(change: Change) -> dict[str, object]:
    return {"name": change.key, "new": change.new, "changed_at": change.changed_at.isoformat()}
