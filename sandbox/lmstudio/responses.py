"""``/v1/responses``: OpenAI's Responses API, stateful; it tells nothing of loading or reading."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.lmstudio import errors, generation, wire
from sandbox.lmstudio.errors import RefusalError
from sandbox.lmstudio.stateful import Messages, StatefulCompletion, named_event

_TEXT_PARTS = {"input_text", "output_text", "text"}


@dataclass(slots=True)
class Responses:
    """Answers one request.

    Attributes:
        items: The output items so far.
        number: Of the next event.
    """

    completion: StatefulCompletion
    created: int = field(default_factory=lambda: int(time.time()))
    items: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0

    async def run(self) -> web.StreamResponse:
        """Answer it.

        Raises:
            RefusalError: With the error to send, as long as nothing was sent.
        """
        body = self.completion.record.body
        if not isinstance(body, dict) or not isinstance(body.get("input"), (str, list)):
            raise RefusalError(errors.openai("'input' is required", param="input"))
        messages = [*self.completion.earlier_messages(body, errors.openai), *_messages(body)]
        instance = await generation.resolve(self.completion.engine, body.get("model"))
        self.completion.record.model = instance.id
        effort = (body.get("reasoning") or {}).get("effort")
        tokens = self.completion.run(
            instance, messages, max_tokens=body.get("max_output_tokens"), thinks=effort != "none"
        )
        if body.get("stream"):
            response = await self._stream(body, tokens)
        else:
            async for kind, piece in tokens:
                self._take(kind, piece)
            if self.completion.error is not None:
                raise RefusalError(self.completion.error)
            response = web.Response(
                body=wire.dumps(self._response(body, "completed")),
                headers={"Content-Type": "application/json; charset=utf-8"},
            )
        if body.get("store", True):
            self.completion.store(messages)
        if isinstance(response, web.Response):
            return response
        await response.write_eof()
        return response

    def _take(self, kind: str, piece: str) -> bool:
        """Add a token to its item; returns whether the item is new."""
        wanted = "reasoning" if kind == "reasoning" else "message"
        new = not self.items or self.items[-1]["type"] != wanted
        if new:
            self.items.append(_item(wanted, f"{self.completion.id[5:15]}{len(self.items)}"))
        self.items[-1]["content"][0]["text"] += piece
        return new

    def _response(self, body: dict[str, Any], status: str) -> dict[str, Any]:
        completion = self.completion
        cut = status == "completed" and completion.finish == "length"
        read, written = (
            completion.record.prompt_tokens,
            len(completion.content) + len(completion.reasoning),
        )
        usage = {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": read - completion.record.reread_tokens},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": len(completion.reasoning)},
            "total_tokens": read + written,
        }
        return {
            "id": completion.id,
            "object": "response",
            "created_at": self.created,
            "status": "incomplete" if cut else status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "model": completion.record.model,
            "output": list(self.items),
            "previous_response_id": body.get("previous_response_id"),
            "usage": None if status == "in_progress" else usage,
        }

    async def _stream(self, body: dict[str, Any], tokens: Any) -> web.StreamResponse:  # noqa: ANN401 - an async generator
        response: web.StreamResponse | None = None
        async for kind, piece in tokens:
            if response is None:
                response = await self._open(body)
            if self._take(kind, piece):
                if len(self.items) > 1:
                    await self._close_item(response, len(self.items) - 2)
                await self._open_item(response)
            await self._send(response, f"{self._part}.delta", **self._where(), delta=piece)
        if response is None:
            if self.completion.error is not None:
                raise RefusalError(self.completion.error)
            response = await self._open(body)
        if self.completion.error is not None:
            await response.write(wire.error_event(self.completion.error))
            return response
        if self.items:
            await self._close_item(response, len(self.items) - 1)
        ended = self._response(body, "completed")
        await self._send(response, f"response.{ended['status']}", response=ended)
        return response

    async def _open(self, body: dict[str, Any]) -> web.StreamResponse:
        response = await self.completion.stream()
        begun = self._response(body, "in_progress")
        await self._send(response, "response.created", response=begun)
        await self._send(response, "response.in_progress", response=begun)
        return response

    @property
    def _part(self) -> str:
        thinking = self.items[-1]["type"] == "reasoning"
        return f"response.{'reasoning_text' if thinking else 'output_text'}"

    def _where(self) -> dict[str, Any]:
        last = len(self.items) - 1
        return {"item_id": self.items[last]["id"], "output_index": last, "content_index": 0}

    async def _open_item(self, response: web.StreamResponse) -> None:
        item = self.items[-1]
        begun = {**item, "status": "in_progress", "content": []}
        await self._send(
            response, "response.output_item.added", output_index=len(self.items) - 1, item=begun
        )
        part = {**item["content"][0], "text": ""}
        await self._send(response, "response.content_part.added", **self._where(), part=part)

    async def _close_item(self, response: web.StreamResponse, index: int) -> None:
        item = self.items[index]
        part = item["content"][0]
        where = {"item_id": item["id"], "output_index": index, "content_index": 0}
        kind = part["type"]
        await self._send(response, f"response.{kind}.done", **where, text=part["text"])
        await self._send(response, "response.content_part.done", **where, part=part)
        await self._send(response, "response.output_item.done", output_index=index, item=item)

    async def _send(self, stream: web.StreamResponse, kind: str, /, **fields: object) -> None:
        await stream.write(named_event(kind, sequence_number=self.number, **fields))
        self.number += 1


def _item(kind: str, number: str) -> dict[str, Any]:
    if kind == "reasoning":
        part = {"type": "reasoning_text", "text": ""}
        return {"id": f"rs_{number}", "type": kind, "summary": [], "content": [part]}
    words = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    return {
        "id": f"msg_{number}",
        "type": kind,
        "role": "assistant",
        "status": "completed",
        "content": [words],
    }


def _messages(body: dict[str, Any]) -> Messages:
    """Return the new turns of a body.

    Raises:
        RefusalError: An item is no message.
    """
    system = body.get("instructions")
    turns: Messages = [{"role": "system", "content": system}] if system else []
    given = body["input"]
    if isinstance(given, str):
        return [*turns, {"role": "user", "content": given}]
    for item in given:
        if not isinstance(item, dict) or not isinstance(item.get("role"), str):
            raise RefusalError(errors.openai("Invalid type for 'input'", param="input"))
        content = item.get("content")
        if isinstance(content, list):
            content = [_content_part(part) for part in content]
        turns.append({"role": item["role"], "content": content})
    return turns


def _content_part(part: object) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(part, dict) and kind in _TEXT_PARTS:
        return {"type": "text", "text": str(part.get("text"))}
    if isinstance(part, dict) and kind == "input_image":
        return {"type": "image_url", "image_url": {"url": str(part.get("image_url"))}}
    raise RefusalError(errors.openai("Invalid type for 'input'", param="input"))
