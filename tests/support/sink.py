"""Reply sinks for tests: one that records, and one with Discord's buckets."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.core.clock import Clock
from bot.core.domain import MessageId
from bot.core.errors import DeliveryError
from bot.core.ports import Controls, TextFile


@dataclass(slots=True)
class FakeMessage:
    """A message as it stands."""

    id: MessageId
    content: str
    controls: Controls | None = None
    file: TextFile | None = None
    versions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Call:
    """One request: ``send``, ``edit``, ``delete`` or ``typing``."""

    kind: str
    at_s: float
    message_id: MessageId | None = None
    content: str = ""
    nonce: str = ""
    is_reply: bool = False


class FakeSink:
    """A ``ReplySink`` that keeps messages in memory, with Discord's nonce rule.

    Attributes:
        messages: What stands, in order.
        calls: Every request, refused ones too.
        marks: The reactions to the question.
        barred: The bot may not write there at present.
        failures: Raised by the next requests that write, one each; ``None`` lets one pass.
        before: Awaited before each write takes effect, to hold requests back.
        after_send: Awaited once a message stands, before its sender is told.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._nonces: dict[str, MessageId] = {}
        self._next_id = 5000
        self.messages: dict[MessageId, FakeMessage] = {}
        self.calls: list[Call] = []
        self.marks: list[str] = []
        self.is_marked = False
        self.barred = False
        self.failures: deque[DeliveryError | None] = deque()
        self.before: Callable[[], Awaitable[object]] | None = None
        self.after_send: Callable[[], Awaitable[object]] | None = None

    @property
    def contents(self) -> list[str]:
        """The texts that stand, in order."""
        return [message.content for message in self.messages.values()]

    def kinds(self) -> list[str]:
        """The kinds of all requests, in order."""
        return [call.kind for call in self.calls]

    def writes_at(self) -> list[float]:
        """When posts and edits were made, in seconds."""
        return [call.at_s for call in self.calls if call.kind in {"send", "edit"}]

    async def send(
        self,
        content: str,
        *,
        nonce: str,
        controls: Controls | None = None,
        file: TextFile | None = None,
        is_reply: bool = False,
    ) -> MessageId:
        """Post, or return the message that this nonce made."""
        assert content.strip()
        assert len(content.encode("utf-16-le")) // 2 <= 2000
        assert len(nonce) <= 25
        await self._write(Call("send", self._clock.monotonic(), None, content, nonce, is_reply))
        if nonce in self._nonces:
            return self._nonces[nonce]
        self._next_id += 1
        message_id = self._nonces[nonce] = MessageId(self._next_id)
        self.messages[message_id] = FakeMessage(message_id, content, controls, file, [content])
        if self.after_send is not None:
            await self.after_send()
        return message_id

    async def edit(
        self, message_id: MessageId, content: str, *, controls: Controls | None = None
    ) -> None:
        """Replace a message's text."""
        assert content.strip()
        assert len(content.encode("utf-16-le")) // 2 <= 2000
        await self._write(Call("edit", self._clock.monotonic(), message_id, content))
        message = self.messages[message_id]
        message.content = content
        message.versions.append(content)
        if controls is not None:
            message.controls = controls

    async def delete(self, message_id: MessageId) -> None:
        """Remove a message."""
        await self._write(Call("delete", self._clock.monotonic(), message_id))
        self.messages.pop(message_id, None)

    async def typing(self) -> None:
        """Record it."""
        self.calls.append(Call("typing", self._clock.monotonic()))

    async def mark(self, emoji: str) -> None:
        """Record it."""
        self.marks.append(emoji)

    async def begin_waiting(self) -> None:
        """Record it."""
        self.is_marked = True

    async def end_waiting(self) -> None:
        """Record it."""
        self.is_marked = False

    def is_barred(self) -> bool:
        """Return what was said."""
        return self.barred

    def adopt(self, message_id: int, content: str) -> MessageId:
        """Let a message of a previous run stand here."""
        known = MessageId(message_id)
        self.messages[known] = FakeMessage(known, content, None, None, [content])
        return known

    async def _write(self, call: Call) -> None:
        self.calls.append(call)
        if self.before is not None:
            await self.before()
        failure = self.failures.popleft() if self.failures else None
        if failure is not None:
            raise failure


class Bucket:
    """Discord's limit as observed: so many requests in a window that the first one opens."""

    def __init__(self, limit: int = 5, window_s: float = 5.0) -> None:
        self._limit = limit
        self._window_s = window_s
        self._opened_s = float("-inf")
        self._used = 0
        self.refused = 0

    def take(self, now_s: float) -> bool:
        """Count a request; False is a 429."""
        if now_s >= self._opened_s + self._window_s:
            self._opened_s, self._used = now_s, 0
        self._used += 1
        if self._used > self._limit:
            self.refused += 1
            return False
        return True
