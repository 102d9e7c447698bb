"""A Discord of plain values: messages in channels, replies, and a builder that reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bot.core.domain import (
    AttachmentInfo,
    IncomingMessage,
    MessageId,
    ModelInfo,
    Origin,
    Person,
    Place,
    PlaceKind,
    PromptCount,
    Question,
    QuestionId,
    Reasoning,
    Role,
    Summary,
    UserId,
)
from bot.core.notices import without_known
from bot.core.ports import ChatSettings, JournalEntry
from bot.prompt.attachments import decoding
from bot.prompt.attachments.fair_gate import Share
from bot.prompt.attachments.kinds import FileKind
from bot.prompt.builder import ContextBuilder, Prompt
from bot.prompt.tokens import TokenEstimator
from config.settings import ContextSettings
from tests.support.builders import ADA, ADAS_DM, BOB, BOT_ID, HOME, NOON
from tests.support.clock import FakeClock

CLAW = Person(BOT_ID, "Clawbot", is_bot=True)
CHAT = ChatSettings(None, 0.7, 0.95, 512, "You are {bot}.", Reasoning.AUTO)
__all__ = ["ADA", "ADAS_DM", "BOB", "BOT_ID", "CHAT", "CLAW", "HOME", "FakeSources", "check_roles"]


async def _everybody(_: Question) -> bool:
    return True


@dataclass
class FakeAccess:
    """Lets everybody read everything, unless it is told otherwise."""

    bot_id: Callable[[], UserId] = lambda: BOT_ID
    bot_name: Callable[[], str] = lambda: "Clawbot"
    names_of: Callable[[Place], tuple[str, str]] = lambda _: ("", "")
    may_use: Callable[[IncomingMessage], bool] = lambda _: True
    is_withheld: Callable[[IncomingMessage, UserId], bool] = lambda *_: False
    may_read: Callable[[Question], Coroutine[Any, Any, bool]] = _everybody


class NothingKept:
    """A journal, and summaries, with nothing in them."""

    moment = 0
    channels = ()

    async def entry_of_message(self, _: MessageId) -> JournalEntry | None:
        return None

    async def read_back(
        self, messages: Sequence[IncomingMessage], bot_id: UserId
    ) -> list[IncomingMessage]:
        return [
            replace(m, text=without_known(m.text)) if m.author.id == bot_id else m for m in messages
        ]

    async def counts_of(self, _: Sequence[MessageId]) -> dict[MessageId, PromptCount]:
        return {}

    async def of(self, _channel_id: int, _asker_id: int) -> list[Summary]:
        raise AssertionError("a channel that has none is asked")


class FakeSources:
    """Messages by place, in order; also the source of messages and files, and their decoder."""

    def __init__(self, **settings: Any) -> None:
        self.messages: dict[Place, list[IncomingMessage]] = {}
        self.files: dict[int, bytes] = {}
        self.starters: dict[Place, IncomingMessage] = {}
        self.requests = 0
        self.file_reads = 0
        self.decoded: list[tuple[FileKind, int]] = []
        self.settings = ContextSettings(**settings)
        self.estimator = TokenEstimator()
        self._next = 1_400_000_000_000_000_000
        self._at = NOON

    def say(
        self,
        author: Person,
        text: str,
        *,
        place: Place = HOME,
        to: IncomingMessage | None = None,
        minutes: float = 1,
        **fields: Any,
    ) -> IncomingMessage:
        """Post a message, ``minutes`` after the one before."""
        self._next += int(minutes * 60_000) << 22
        self._at += timedelta(minutes=minutes)
        message = IncomingMessage(
            id=MessageId(self._next),
            place=place,
            author=author,
            text=text,
            created_at=self._at,
            reference_id=to.id if to else None,
            **fields,
        )
        self.messages.setdefault(place, []).append(message)
        return message

    async def fetch(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        self.requests += 1
        return next((m for m in self.messages.get(place, ()) if m.id == message_id), None)

    async def history(
        self,
        place: Place,
        *,
        before: MessageId | None = None,
        after: MessageId | None = None,
        limit: int = 50,
    ) -> Sequence[IncomingMessage]:
        self.requests += 1
        found = [m for m in self.messages.get(place, ()) if before is None or m.id < before]
        if after is not None:
            return [m for m in found if m.id > after][:limit]
        return found[-limit:]

    async def read_after(
        self, place: Place, after: MessageId | None, limit: int
    ) -> Sequence[IncomingMessage]:
        return await self.history(place, after=after, limit=limit)

    async def starter(self, place: Place) -> IncomingMessage | None:
        return self.starters.get(place)

    async def read(self, attachment: AttachmentInfo, *, limit_bytes: int) -> bytes | None:
        self.file_reads += 1
        data = self.files.get(attachment.id)
        return None if data is None else data[:limit_bytes]

    def prepare(self, kind: FileKind) -> None:
        """Nothing to make ready."""

    async def decode(
        self, kind: FileKind, data: bytes, *, is_cut: bool, share: Share
    ) -> decoding.Decoded:
        """Decode here and at once."""
        self.decoded.append((kind, share.person_id))
        return decoding.decode(kind, data, is_cut=is_cut)

    def attach(self, filename: str, data: bytes, content_type: str | None = None) -> AttachmentInfo:
        """Return an attachment with these bytes."""
        number = len(self.files) + 1
        self.files[number] = data
        return AttachmentInfo(number, filename, content_type, len(data), f"https://cdn/{filename}")

    def builder(self, **parts: Any) -> ContextBuilder:
        """Return a builder that has just been started."""
        held = {name: parts.pop(name) for name in FakeAccess.__annotations__ if name in parts}
        values: dict[str, Any] = {
            "source": self,
            "files": self,
            "decoder": self,
            "estimator": self.estimator,
            "settings": self.settings,
            "access": FakeAccess(**held),
            "clock": FakeClock(),
            "answers": NothingKept(),
            "summaries": NothingKept(),
            **parts,
        }
        return ContextBuilder(**values)

    def ask(self, message: IncomingMessage, **fields: Any) -> Question:
        """Return the question that a message asks."""
        values: dict[str, Any] = {
            "id": QuestionId(int(message.id)),
            "origin": Origin.DM if message.place.kind is PlaceKind.DM else Origin.MENTION,
            "place": message.place,
            "asker": message.author,
            "text": message.text,
            "asked_at": message.created_at,
            "message": message,
            **fields,
        }
        return Question(**values)

    async def prompt(
        self,
        message: IncomingMessage,
        *,
        context_tokens: int = 8192,
        sees: bool | None = None,
        chat: ChatSettings = CHAT,
        **fields: Any,
    ) -> Prompt:
        """Build a message's prompt with a builder that has just been started."""
        model = ModelInfo("m", is_loaded=True, context_tokens=context_tokens, sees_images=sees)
        return await self.builder().build(self.ask(message, **fields), chat, model)

    def prompt_now(self, message: IncomingMessage, **fields: Any) -> Prompt:
        """Build a prompt outside of any event loop, for property tests."""
        return asyncio.run(self.prompt(message, **fields))


def check_roles(prompt: Prompt) -> None:
    """Assert what strict chat templates ask for."""
    turns = list(prompt.turns)
    assert all(turn.text.strip() for turn in turns)
    if turns[0].role is Role.SYSTEM:
        turns = turns[1:]
    wanted = [Role.USER, Role.ASSISTANT] * len(turns)
    assert [turn.role for turn in turns] == wanted[: len(turns)]
    assert turns[-1].role is Role.USER
    assert not any(turn.images for turn in turns if turn.role is not Role.USER)
