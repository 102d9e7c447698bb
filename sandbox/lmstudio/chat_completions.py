"""One chat completion on its connection: tokens out, faults in, the client's leaving noticed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.lmstudio import errors, generation, hostile_replies, other_servers, prompt, wire
from sandbox.lmstudio.engine import Engine, Instance, Job, TokenKind, events_of
from sandbox.lmstudio.errors import RefusalError
from sandbox.lmstudio.faults import BAD_JSON, ArmedFault, Fault
from sandbox.lmstudio.generation import Completion
from sandbox.lmstudio.values import Answer, ErrorReply, RecordedRequest

_DEFAULT_TOKENS = 3
"""Tokens before a fault that strikes inside a stream, unless it says."""
_INSIDE = frozenset(
    {
        Fault.RESET_AFTER_TOKENS,
        Fault.HANG_AFTER_TOKENS,
        Fault.TRUNCATED_STREAM,
        Fault.CHUNKED_CUT,
        Fault.EARLY_EOS,
    }
)
_AT_START = frozenset(
    {Fault.RESET_AFTER_HEADERS, Fault.HANG_AFTER_HEADERS, Fault.RESET_BEFORE_HEADERS}
)


@dataclass(slots=True)
class ChatCompletion:
    """Sends one completion.

    Attributes:
        engine: The machine.
        respond: Chooses the answer.
        changed: Called whenever the record says something new.
    """

    request: web.Request
    record: RecordedRequest
    engine: Engine
    respond: Callable[[RecordedRequest], Answer]
    changed: Callable[[], None]
    armed: ArmedFault | None
    sent: int = 0
    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    held: list[bytes] = field(default_factory=list)
    _context_tokens: int = 0

    async def run(self) -> web.StreamResponse:
        """Answer the request.

        Raises:
            RefusalError: With the error to send.
        """
        early = await self._play_fault_without_model()
        if early is not None:
            return early
        body = prompt.validate(self.record.body)
        self.record.unknown_fields = prompt.unknown_fields(body)
        instance = await generation.resolve(self.engine, body.get("model"))
        try:
            completion = self._admit(body, instance)
        except RefusalError as refusal:
            if body.get("stream") and self.engine.options.stream_overflow_200:
                return await self._refuse_in_stream(refusal.reply)
            raise
        self.engine.submit(instance, completion.job)
        self.changed()
        try:
            if completion.stream:
                return await self._stream(completion)
            return await self._plain(completion)
        finally:
            self.engine.client_left(instance, completion.job)

    async def _play_fault_without_model(self) -> web.StreamResponse | None:
        """Play the faults that need no model; ``None`` to go on."""
        armed = self.armed
        if armed is None:
            return None
        body = self.record.body
        stream = bool(isinstance(body, dict) and body.get("stream"))
        if armed.fault in hostile_replies.HOSTILE:
            return await hostile_replies.play(self.request, armed)
        if armed.fault in BAD_JSON:
            return await hostile_replies.bad_json(self.request, armed, stream=stream)
        if armed.after_tokens is None or not stream:
            error = generation.error_of(
                armed, self.record, next(iter(self.engine.instances.values()), None)
            )
            if error is not None and armed.after_tokens is None:
                raise RefusalError(error)
        return None

    async def _refuse_in_stream(self, reply: ErrorReply) -> web.StreamResponse:
        response = await hostile_replies.start_stream(self.request)
        await response.write(wire.error_event(reply, "data"))
        await response.write_eof()
        return response

    def _admit(self, body: dict[str, Any], instance: Instance) -> Completion:
        model = instance.model
        messages = body["messages"]
        if prompt.has_images(messages) and not model.vision:
            raise RefusalError(errors.IMAGES_UNSUPPORTED)
        silent = self.armed is not None and self.armed.fault is Fault.SILENT_TRUNCATION
        self.record.model = instance.id
        self._context_tokens = instance.context_tokens
        full = prompt.render(messages)
        self.record.prompt = "".join(full)
        self.record.prompt_tokens = len(full)
        if silent:
            tokens = prompt.render(prompt.truncate_middle(messages))
        else:
            tokens = generation.fit(self.engine, instance, messages)
        self.record.prompt_tokens = len(tokens)
        answer = generation.fault_answer(self.armed, self.respond(self.record))
        thinks = not (
            body.get("reasoning_effort") == "none" and "off" in (model.reasoning_options or ())
        )
        pieces, finish = generation.limited(
            generation.pieces_of(answer, thinks=thinks), body, answer.finish
        )
        if model.ends_on_special_tokens and _has_special(messages):
            pieces, finish = pieces[:0], "stop"
        job = Job(tokens, pieces, finish, self.record, pause_after=answer.pause_after)
        options = body.get("stream_options") or {}
        return Completion(
            job,
            instance,
            answer,
            wire.Chunks(answer.model or instance.id),
            bool(body.get("stream")),
            bool(options.get("include_usage")),
        )

    def _note(self, kind: TokenKind, piece: str) -> None:
        now = time.monotonic()
        if self.record.first_token_at is None:
            self.record.first_token_at = now
        if kind == "content" and self.record.first_content_at is None:
            self.record.first_content_at = now
        self.sent += 1
        self.record.tokens_sent = self.sent
        if kind == "reasoning":
            self.reasoning.append(piece)
        else:
            self.content.append(piece)

    def _usage(self) -> dict[str, Any]:
        if self.armed is not None and self.armed.fault is Fault.EMPTY_ZERO_USAGE:
            return wire.usage(0, 0, 0)
        if self.armed is not None and self.armed.fault is Fault.EMPTY_OVERFLOW:
            return wire.usage(self._context_tokens + 833, 0, 0)
        record, is_llama = self.record, self.engine.options.flavour == other_servers.LLAMA_CPP
        cached = record.prompt_tokens - record.reread_tokens if is_llama else None
        return wire.usage(record.prompt_tokens, self.sent, len(self.reasoning), cached)

    async def _plain(self, completion: Completion) -> web.StreamResponse:
        armed = self.armed
        limit = self._limit()
        async for event in events_of(completion.job):
            if limit is not None and self.sent >= limit and armed is not None:
                return await self._play_fault(completion, None, armed)
            if isinstance(event, ErrorReply):
                raise RefusalError(event)
            if isinstance(event, tuple):
                self._note(*event)
            else:
                self.record.finish_reason = event
        message = generation.whole_message(
            "".join(self.content), "".join(self.reasoning), completion.answer
        )
        finish = self.record.finish_reason or "stop"
        body = completion.chunks.whole(message, finish, self._usage())
        return web.Response(
            body=wire.dumps(body), headers={"Content-Type": "application/json; charset=utf-8"}
        )

    def _limit(self) -> int | None:
        """Return after how many tokens the fault strikes; ``None``: never."""
        armed = self.armed
        if armed is None:
            return None
        if armed.fault in _AT_START:
            return 0
        if armed.fault in _INSIDE:
            return _DEFAULT_TOKENS if armed.after_tokens is None else armed.after_tokens
        return armed.after_tokens

    async def _stream(self, completion: Completion) -> web.StreamResponse:
        armed = self.armed
        if armed is not None and armed.fault is Fault.JSON_FOR_STREAM:
            return await self._plain(completion)
        limit = self._limit()
        response: web.StreamResponse | None = None
        async for event in events_of(completion.job):
            if isinstance(event, ErrorReply) and response is None:
                raise RefusalError(event)
            if response is None:
                response = await hostile_replies.start_stream(self.request)
                self.record.status = 200
            if limit is not None and self.sent >= limit and armed is not None:
                return await self._play_fault(completion, response, armed)
            if isinstance(event, tuple):
                await self._send_piece(response, completion, *event)
            elif isinstance(event, ErrorReply):
                await response.write(wire.error_event(event))
            else:
                await self._send_tail(response, completion, event)
        assert response is not None  # noqa: S101 - events end with a finish or an error
        await response.write_eof()
        return response

    async def _send_piece(
        self, response: web.StreamResponse, completion: Completion, kind: TokenKind, piece: str
    ) -> None:
        name: str = kind
        if kind == "reasoning" and completion.answer.markup != "field_reasoning":
            name = "reasoning_content"
        data = completion.chunks.delta(name, piece)
        if self.armed is not None and self.armed.fault is Fault.NULL_DELTAS:
            data = (
                completion.chunks.choice(None, None)
                + completion.chunks.choice({"role": "assistant", "content": None}, None)
                + data
            )
        self._note(kind, piece)
        if self.armed is not None and self.armed.fault is Fault.BUFFERED:
            self.held.append(data)
        else:
            await response.write(data)
        self.changed()

    async def _send_tail(
        self, response: web.StreamResponse, completion: Completion, finish: str
    ) -> None:
        self.record.finish_reason = finish
        for data in [*self.held, *generation.tail(completion, finish, self._usage())]:
            if data == wire.DONE and self.armed is not None and self.armed.fault is Fault.NO_DONE:
                continue
            await response.write(data)

    async def _play_fault(
        self, completion: Completion, response: web.StreamResponse | None, armed: ArmedFault
    ) -> web.StreamResponse:
        """Let the fault happen now, after the tokens that were to go out before it."""
        fault = armed.fault
        error = generation.error_of(armed, self.record, completion.instance)
        if error is not None:
            if response is None:
                raise RefusalError(error)
            await response.write(wire.error_event(error, armed.form))
            if armed.done:
                await response.write(wire.DONE)
        elif fault in {Fault.HANG_AFTER_HEADERS, Fault.HANG_AFTER_TOKENS}:
            await generation.forever()
        elif fault is Fault.EARLY_EOS and response is not None:
            await self._send_tail(response, completion, "stop")
        elif fault is not Fault.TRUNCATED_STREAM or response is None:
            self._cut(fault)
        if response is None:
            return web.Response()
        await response.write_eof()
        return response

    def _cut(self, fault: Fault) -> None:
        """End the connection: with a reset, or in the middle of the chunked body.

        Raises:
            ConnectionResetError: Always.
        """
        transport = self.request.transport
        if fault is Fault.CHUNKED_CUT and transport is not None:
            transport.close()
        else:
            hostile_replies.reset(self.request)
        raise ConnectionResetError


def _has_special(messages: list[dict[str, Any]]) -> bool:
    return any(
        "<|im_end|>" in prompt.text_of(message) for message in messages if message["role"] == "user"
    )
