"""``/api/v1/chat``: stateful, with events for loading and for reading the prompt."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.lmstudio import errors, generation, wire
from sandbox.lmstudio.engine import Engine, Instance
from sandbox.lmstudio.errors import RefusalError
from sandbox.lmstudio.listing import first_instance
from sandbox.lmstudio.native_bodies import checked
from sandbox.lmstudio.stateful import Messages, StatefulCompletion, named_event
from sandbox.lmstudio.values import ErrorReply

FIELDS: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "input": (str, list),
    "system_prompt": (str,),
    "integrations": (list,),
    "stream": (bool,),
    "temperature": (int, float),
    "top_p": (int, float),
    "top_k": (int,),
    "min_p": (int, float),
    "repeat_penalty": (int, float),
    "max_output_tokens": (int,),
    "reasoning": (str,),
    "context_length": (int,),
    "store": (bool,),
    "previous_response_id": (str,),
}
_UP_TO_ONE = ("temperature", "top_p", "min_p")
_STARTS = {"reasoning": "reasoning", "content": "message"}


@dataclass(slots=True)
class NativeChat:
    """Answers one request.

    Attributes:
        load_s: How long the model took to load; ``None``: it was loaded.
    """

    completion: StatefulCompletion
    load_s: float | None = None

    async def run(self) -> web.StreamResponse:
        """Answer it.

        Raises:
            RefusalError: With the error to send, as long as nothing was sent.
        """
        body = _checked(self.completion.engine, self.completion.record.body)
        messages = [*self.completion.earlier_messages(body, errors.native), *_messages(body)]
        if body.get("stream"):
            return await self._stream(body, messages)
        try:
            instance = await self._instance(body, None)
            async for _ in self._run(instance, body, messages):
                pass
        except RefusalError as refusal:
            raise RefusalError(_native(refusal.reply)) from refusal
        if self.completion.error is not None:
            raise RefusalError(_native(self.completion.error))
        return web.Response(
            body=wire.dumps(self._result(body, instance, messages)),
            headers={"Content-Type": "application/json; charset=utf-8"},
        )

    async def _instance(
        self, body: dict[str, Any], progress: asyncio.Queue[float | None] | None
    ) -> Instance:
        """Return the model's instance, loading it where it isn't loaded."""
        engine, name = self.completion.engine, body["model"]
        began = time.monotonic()
        if progress is None or name not in engine.models or not engine.options.jit:
            loads = engine.options.counters.loads
            instance = await generation.resolve(engine, name)
            if engine.options.counters.loads > loads:
                self.load_s = time.monotonic() - began
            return instance
        try:
            instance = await engine.load(
                engine.models[name],
                context_tokens=body.get("context_length"),
                jit=True,
                progress=progress.put_nowait,
            )
        finally:
            progress.put_nowait(None)
        self.load_s = time.monotonic() - began
        return instance

    def _run(self, instance: Instance, body: dict[str, Any], messages: Messages) -> Any:  # noqa: ANN401 - an async generator
        return self.completion.run(
            instance,
            messages,
            max_tokens=body.get("max_output_tokens"),
            thinks=body.get("reasoning") != "off",
            progress=bool(body.get("stream")),
        )

    async def _stream(self, body: dict[str, Any], messages: Messages) -> web.StreamResponse:
        engine = self.completion.engine
        name = body["model"]
        loaded = first_instance(engine, name)
        model = engine.models.get(name)
        if loaded is not None or model is None or model.kind != "llm" or not engine.options.jit:
            try:
                loaded = await generation.resolve(engine, name)
            except RefusalError as refusal:
                raise RefusalError(_native(refusal.reply)) from refusal
            name = loaded.id
        response = await self.completion.stream()
        await response.write(named_event("chat.start", model_instance_id=name))
        try:
            instance = loaded or await self._load(response, body)
            await self._stream_tokens(response, instance, body, messages)
        except RefusalError as refusal:
            self.completion.error = refusal.reply
        if self.completion.error is not None:
            error = _native(self.completion.error).body["error"]
            await response.write(named_event("error", error=error))
        result = self._result(body, first_instance(engine, name), messages)
        await response.write(named_event("chat.end", result=result))
        await response.write_eof()
        return response

    async def _load(self, response: web.StreamResponse, body: dict[str, Any]) -> Instance:
        name = body["model"]
        await response.write(named_event("model_load.start", model_instance_id=name))
        progress: asyncio.Queue[float | None] = asyncio.Queue()
        task = asyncio.create_task(self._instance(body, progress))
        try:
            while (share := await progress.get()) is not None:
                data = named_event("model_load.progress", model_instance_id=name, progress=share)
                await response.write(data)
            instance = await task
        finally:
            task.cancel()
        data = named_event(
            "model_load.end", model_instance_id=name, load_time_seconds=self.load_s or 0.0
        )
        await response.write(data)
        return instance

    async def _stream_tokens(
        self,
        response: web.StreamResponse,
        instance: Instance,
        body: dict[str, Any],
        messages: Messages,
    ) -> None:
        section = "prompt_processing"
        await response.write(named_event("prompt_processing.start"))
        async for kind, piece in self._run(instance, body, messages):
            if kind == "progress":
                data = named_event("prompt_processing.progress", progress=float(piece))
                await response.write(data)
                continue
            wanted = _STARTS[kind]
            if wanted != section:
                await response.write(named_event(f"{section}.end"))
                await response.write(named_event(f"{wanted}.start"))
                section = wanted
            await response.write(named_event(f"{section}.delta", content=piece))
        await response.write(named_event(f"{section}.end"))

    def _result(
        self, body: dict[str, Any], instance: Instance | None, messages: Messages
    ) -> dict[str, Any]:
        completion = self.completion
        output = []
        if completion.reasoning:
            output.append({"type": "reasoning", "content": completion.thinking})
        if completion.content:
            output.append({"type": "message", "content": completion.text})
        now = time.monotonic()
        first = completion.record.first_token_at or now
        written = len(completion.content) + len(completion.reasoning)
        stats: dict[str, Any] = {
            "input_tokens": completion.record.prompt_tokens,
            "total_output_tokens": written,
            "reasoning_output_tokens": len(completion.reasoning),
            "tokens_per_second": written / max(now - first, 0.001),
            "time_to_first_token_seconds": first - completion.began_at,
        }
        if self.load_s is not None:
            stats["model_load_time_seconds"] = self.load_s
        found: dict[str, Any] = {
            "model_instance_id": instance.id if instance else body["model"],
            "output": output,
            "stats": stats,
        }
        if body.get("store", True):
            completion.store(messages)
            found["response_id"] = completion.id
        return found


def _checked(engine: Engine, sent: object) -> dict[str, Any]:
    """Check a body.

    Raises:
        RefusalError: With an error of the native form.
    """
    body = checked(sent, FIELDS, ("model", "input"))
    for name in _UP_TO_ONE:
        if not 0 <= body.get(name, 0) <= 1:
            raise RefusalError(errors.native(f"'{name}' must be between 0 and 1", param=name))
    if not str(body.get("previous_response_id", "resp_")).startswith("resp_"):
        name = "previous_response_id"
        raise RefusalError(errors.native(f"'{name}' must start with 'resp_'", param=name))
    if body.get("integrations"):
        message = "Integrations are not available here"
        raise RefusalError(errors.native(message, kind="not_implemented", param="integrations"))
    model = engine.models.get(body["model"])
    wanted = body.get("reasoning")
    if wanted is not None and model is not None and wanted not in (model.reasoning_options or ()):
        message = f"Model {model.key} does not support reasoning setting '{wanted}'"
        raise RefusalError(errors.native(message, param="reasoning"))
    return body


def _messages(body: dict[str, Any]) -> Messages:
    """Return the new turns of a body.

    Raises:
        RefusalError: An item is neither text nor image.
    """
    system = body.get("system_prompt")
    turns: Messages = [{"role": "system", "content": system}] if system else []
    given = body["input"]
    if isinstance(given, str):
        return [*turns, {"role": "user", "content": given}]
    parts = []
    for item in given:
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "text" and isinstance(item.get("content"), str):
            parts.append({"type": "text", "text": item["content"]})
        elif kind == "image" and str(item.get("data_url", "")).startswith("data:image/"):
            parts.append({"type": "image_url", "image_url": {"url": item["data_url"]}})
        else:
            message = "Invalid discriminator value. Expected 'text' | 'image'"
            raise RefusalError(errors.native(message, code="invalid_union", param="input"))
    return [*turns, {"role": "user", "content": parts}]


def _native(reply: ErrorReply) -> ErrorReply:
    """Return an engine's error in the native form, with a documented type."""
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    if isinstance(error, dict) and error.get("code") == "model_not_found":
        return errors.native(reply.message, status=404, kind="model_not_found")
    if isinstance(error, dict) and error.get("type") in errors.NATIVE_TYPES:
        return reply
    return errors.native(reply.message, status=reply.status, kind="internal_error")
