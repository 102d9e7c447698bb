"""One answer for the stateful routes: the machine's work, and what came of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.lmstudio import errors, generation, prompt, wire
from sandbox.lmstudio.engine import Engine, Instance, Job, TokenKind, events_of
from sandbox.lmstudio.errors import RefusalError
from sandbox.lmstudio.values import Answer, ErrorReply, RecordedRequest

Messages = list[dict[str, Any]]


def named_event(kind: str, **fields: object) -> bytes:
    """Return an SSE event whose JSON repeats its type."""
    return f"event: {kind}\n".encode() + wire.event({"type": kind, **fields})


@dataclass(slots=True)
class StatefulCompletion:
    """A request that asks for an answer, on a route that keeps the conversation.

    Attributes:
        respond: Chooses the answer.
        changed: Called whenever the record says something new.
        error: The engine's error, if it ended so.
        finish: The finish reason, once it has ended.
    """

    request: web.Request
    record: RecordedRequest
    engine: Engine
    respond: Callable[[RecordedRequest], Answer]
    changed: Callable[[], None]
    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    began_at: float = field(default_factory=time.monotonic)
    error: ErrorReply | None = None
    finish: str = "stop"
    id: str = field(default_factory=lambda: f"resp_{secrets.token_hex(24)}")

    async def run(
        self,
        instance: Instance,
        messages: Messages,
        *,
        max_tokens: int | None,
        thinks: bool,
        progress: bool = False,
    ) -> AsyncIterator[tuple[TokenKind, str]]:
        """Yield progress and tokens; what they were, and how it ended, stays in the attributes.

        Raises:
            RefusalError: The prompt doesn't fit, before anything is yielded.
        """
        if prompt.has_images(messages) and not instance.model.vision:
            raise RefusalError(errors.IMAGES_UNSUPPORTED)
        record = self.record
        record.model = instance.id
        tokens = generation.fit(self.engine, instance, messages)
        record.prompt, record.prompt_tokens = "".join(tokens), len(tokens)
        answer = self.respond(record)
        pieces = generation.pieces_of(answer, thinks=thinks)
        pieces, finish = generation.limited(pieces, {"max_tokens": max_tokens}, answer.finish)
        job = Job(tokens, pieces, finish, record, pause_after=answer.pause_after, watched=progress)
        self.engine.submit(instance, job)
        self.changed()
        try:
            async for event in events_of(job):
                if isinstance(event, ErrorReply):
                    self.error = event
                elif isinstance(event, str):
                    self.finish = event
                else:
                    self._note(*event)
                    yield event
        finally:
            self.engine.client_left(instance, job)
        record.finish_reason = self.finish

    def _note(self, kind: TokenKind, piece: str) -> None:
        if kind == "progress":
            return
        now = time.monotonic()
        record = self.record
        record.first_token_at = record.first_token_at or now
        if kind == "reasoning":
            self.reasoning.append(piece)
        else:
            record.first_content_at = record.first_content_at or now
            self.content.append(piece)
        record.tokens_sent += 1
        self.changed()

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self.content)

    @property
    def thinking(self) -> str:
        """The thinking so far."""
        return "".join(self.reasoning)

    async def stream(self) -> web.StreamResponse:
        """Open the stream."""
        response = web.StreamResponse(headers=wire.STREAM_HEADERS)
        await response.prepare(self.request)
        self.record.status = 200
        return response

    def store(self, messages: Messages) -> None:
        """Store the conversation under the answer's id."""
        answered = {"role": "assistant", "content": self.text}
        self.engine.conversations[self.id] = [*messages, answered]

    def earlier_messages(self, body: dict[str, Any], refuse: Callable[..., ErrorReply]) -> Messages:
        """Return the conversation that a request goes on with.

        Args:
            body: The request's body.
            refuse: Makes the route's form of an error.

        Raises:
            RefusalError: It isn't stored.
        """
        name = "previous_response_id"
        wanted = body.get(name)
        if wanted is None:
            return []
        found = self.engine.conversations.get(str(wanted))
        if found is None:
            raise RefusalError(refuse(f"Response with id '{wanted}' not found", param=name))
        return found
