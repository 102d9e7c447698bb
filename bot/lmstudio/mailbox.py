"""From the task that reads the model to the one that shows it: in order, joined, never waiting."""

from __future__ import annotations

import asyncio
from collections import deque

from bot.core.domain import ChatEvent, TextDelta


class Mailbox:
    """Events on their way to a consumer who may be slow.

    Text that arrives while the consumer is busy is joined to one ``TextDelta``, so that a slow
    consumer gets fewer and larger ones. What is held is bounded by the limits of one answer.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._events: deque[ChatEvent] = deque()
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._ready = asyncio.Event()
        self._is_closed = False

    def put(self, event: ChatEvent) -> None:
        """Add an event after the text that came before it."""
        self._flush()
        self._events.append(event)
        self._ready.set()

    def add_text(self, content: str, reasoning: str) -> None:
        """Add text to what waits."""
        if content:
            self._content.append(content)
        if reasoning:
            self._reasoning.append(reasoning)
        self._ready.set()

    def close(self) -> None:
        """Say that nothing more will come."""
        self._is_closed = True
        self._ready.set()

    async def take(self) -> list[ChatEvent]:
        """Wait for events and return all that are there; an empty list at the end."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            self._flush()
            events = list(self._events)
            self._events.clear()
            if self._is_closed:
                self._ready.set()
                return events
            if events:
                return events

    def _flush(self) -> None:
        if self._content or self._reasoning:
            delta = TextDelta("".join(self._content), "".join(self._reasoning))
            self._events.append(delta)
            self._content.clear()
            self._reasoning.clear()
