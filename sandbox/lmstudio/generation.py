"""``/v1/chat/completions``: which model answers, what it says, and how that is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.lmstudio import errors, other_servers, prompt, wire
from sandbox.lmstudio.engine import Engine, Instance, Job, TokenKind
from sandbox.lmstudio.errors import RefusalError
from sandbox.lmstudio.faults import ERRORS, ArmedFault, Fault, Situation
from sandbox.lmstudio.listing import first_instance
from sandbox.lmstudio.markup import FAMILIES
from sandbox.lmstudio.tokens import tokenize
from sandbox.lmstudio.values import Answer, ErrorReply, RecordedRequest

_OVERFLOWS = {
    "keep_first": errors.overflow_keep_first,
    "n_keep": errors.overflow_n_keep,
    "uncounted": errors.overflow_uncounted,
    "engine": errors.overflow_engine,
    other_servers.LLAMA_CPP: other_servers.overflow_llama,
    other_servers.VLLM: other_servers.overflow_vllm,
}
_CONTENT_FAULTS: dict[Fault, Answer] = {
    Fault.EMPTY: Answer(""),
    Fault.EMPTY_ZERO_USAGE: Answer(""),
    Fault.EMPTY_OVERFLOW: Answer(""),
    Fault.REASONING_ONLY: Answer("", reasoning="Let me think about this. " * 8, finish="length"),
    Fault.REASONING_ONLY_STOP: Answer("", reasoning="The answer is 42."),
    Fault.TOOL_CALL_EMPTY: Answer("", finish="tool_calls"),
}


@dataclass(slots=True)
class Completion:
    """A completion that was accepted and runs.

    Attributes:
        answer: What is said.
    """

    job: Job
    instance: Instance
    answer: Answer
    chunks: wire.Chunks
    stream: bool
    include_usage: bool


async def resolve(engine: Engine, name: str | None) -> Instance:
    """Find or load the model that answers.

    Raises:
        RefusalError: No such model, none loaded, or several and none named.
    """
    engine.expire()
    is_llama = engine.options.flavour == other_servers.LLAMA_CPP
    if is_llama and not engine.instances:
        raise RefusalError(other_servers.loading())
    if not name or is_llama:
        loaded = [one for one in engine.instances.values() if one.model.kind == "llm"]
        if len(loaded) > 1:
            raise RefusalError(errors.MULTIPLE_MODELS)
        if not loaded:
            raise RefusalError(_none_loaded(engine))
        return loaded[0]
    name = _without_quantisation(engine, name)
    instance = first_instance(engine, name)
    if instance and instance.model.kind == "llm":
        return instance
    model = engine.models.get(name)
    if model is None or model.kind != "llm":
        loaded = [one for one in engine.instances.values() if one.model.kind == "llm"]
        if engine.options.substitute and loaded and model is None:
            return loaded[0]
        other = engine.options.flavour == other_servers.VLLM
        raise RefusalError(
            other_servers.model_missing(name) if other else errors.model_not_found(name)
        )
    if not engine.options.jit:
        raise RefusalError(_none_loaded(engine))
    return await engine.load_just_in_time(model)


def _without_quantisation(engine: Engine, name: str) -> str:
    """Return the key that ``key@quantisation`` means, and any other name as it is.

    Raises:
        RefusalError: The model is there in other quantisations only.
    """
    key, _, wanted = name.partition("@")
    model = engine.models.get(key) if wanted and name not in engine.models else None
    if model is None:
        return name
    if wanted != model.quantization.lower() and name not in model.variants:
        raise RefusalError(errors.UNLOADED)
    return key


def _none_loaded(engine: Engine) -> ErrorReply:
    return errors.NO_MODELS_03 if engine.options.era == "0.3" else errors.NO_MODELS


def fault_answer(armed: ArmedFault | None, answer: Answer) -> Answer:
    """Return what a fault makes of an answer."""
    if armed is None:
        return answer
    if armed.fault is Fault.MODEL_SWAP:
        return Answer(answer.text, answer.reasoning, answer.markup, model="other/swapped-model")
    return _CONTENT_FAULTS.get(armed.fault, answer)


def pieces_of(answer: Answer, *, thinks: bool) -> list[tuple[TokenKind, str]]:
    """Return the tokens of an answer with the field each belongs to."""
    reasoning = answer.reasoning if thinks else ""
    if answer.markup not in {"field", "field_reasoning"}:
        render = FAMILIES[answer.markup]
        raw = render(reasoning, answer.text) if reasoning else answer.text
        return _sized([("content", piece) for piece in tokenize(raw)], answer.tokens)
    found: list[tuple[TokenKind, str]] = [("reasoning", piece) for piece in tokenize(reasoning)]
    if answer.tokens is not None and not isinstance(answer.tokens, int):
        return found + [("content", piece) for piece in answer.tokens]
    return found + _sized([("content", piece) for piece in tokenize(answer.text)], answer.tokens)


def _sized(
    pieces: list[tuple[TokenKind, str]], tokens: int | Sequence[str] | None
) -> list[tuple[TokenKind, str]]:
    if tokens is None:
        return pieces
    if not isinstance(tokens, int):
        return [("content", piece) for piece in tokens]
    filler: list[tuple[TokenKind, str]] = [
        ("content", f" word{index % 10}") for index in range(tokens)
    ]
    return (pieces + filler)[:tokens]


def limited(
    pieces: list[tuple[TokenKind, str]], body: dict[str, Any], finish: str
) -> tuple[list[tuple[TokenKind, str]], str]:
    """Apply ``stop`` and ``max_tokens``."""
    stops = body.get("stop") or []
    stops = [stops] if isinstance(stops, str) else stops
    pieces, stopped = _stopped(pieces, stops)
    limit = body.get("max_tokens") or body.get("max_completion_tokens") or -1
    if 0 <= limit < len(pieces):
        return pieces[: int(limit)], "length"
    return pieces, "stop" if stopped else finish


def _stopped(
    pieces: list[tuple[TokenKind, str]], stops: list[str]
) -> tuple[list[tuple[TokenKind, str]], bool]:
    text = "".join(piece for kind, piece in pieces if kind == "content")
    found = [at for at in (text.find(stop) for stop in stops if stop) if at >= 0]
    if not found:
        return pieces, False
    room = min(found)
    kept: list[tuple[TokenKind, str]] = []
    for kind, piece in pieces:
        if kind == "content":
            if room <= 0:
                break
            piece = piece[:room]  # noqa: PLW2901 - the piece that the stop string cuts
            room -= len(piece)
        kept.append((kind, piece))
    return kept, True


def fit(engine: Engine, instance: Instance, messages: list[dict[str, Any]]) -> list[str]:
    """Render the prompt and hold it against the context length.

    Raises:
        RefusalError: It doesn't fit and the server is set to say so.
    """
    prompt.check_template(instance.model, messages)
    tokens = prompt.render(messages)
    context = other_servers.slot_context(engine, instance)
    flavour = engine.options.flavour
    overflow = engine.options.overflow if flavour == "lmstudio" else flavour
    if len(tokens) < context:
        return tokens
    if overflow == "truncate_middle":
        shorter = prompt.render(prompt.truncate_middle(messages))
        if len(shorter) < context:
            return shorter
        overflow = "engine"
    raise RefusalError(_OVERFLOWS[overflow](len(tokens), context))


def situation(record: RecordedRequest, instance: Instance | None) -> Situation:
    """Return what an error's text is made from, for this request."""
    body = record.body if isinstance(record.body, dict) else {}
    context = instance.context_tokens if instance else 8192
    return Situation(
        model=str(body.get("model") or (instance.id if instance else "unknown")),
        prompt_tokens=max(record.prompt_tokens, context + 833),
        context_tokens=context,
        token=record.headers.get("authorization", "").removeprefix("Bearer "),
        method=record.method,
        path=record.path,
    )


def tail(completion: Completion, finish: str, counted: dict[str, Any]) -> Iterator[bytes]:
    """Yield what follows the last token: tool calls, finish reason, usage, ``[DONE]``."""
    chunks = completion.chunks
    for index, call in enumerate(completion.answer.tool_calls):
        function: dict[str, Any] = {"name": call.name, "arguments": ""}
        first = {"index": index, "id": f"call_{index}", "type": "function", "function": function}
        yield chunks.delta("tool_calls", [first])
        for piece in tokenize(call.arguments):
            yield chunks.delta("tool_calls", [{"index": index, "function": {"arguments": piece}}])
    yield chunks.choice({}, finish)
    if completion.include_usage:
        yield chunks.usage(counted)
    yield wire.DONE


def whole_message(content: str, reasoning: str, answer: Answer) -> dict[str, Any]:
    """Return the message of a plain reply."""
    name = "reasoning" if answer.markup == "field_reasoning" else "reasoning_content"
    calls = [
        {
            "id": f"call_{index}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(answer.tool_calls)
    ]
    return {"role": "assistant", "content": content, name: reasoning, "tool_calls": calls}


def error_of(
    armed: ArmedFault, record: RecordedRequest, instance: Instance | None
) -> ErrorReply | None:
    """Return the error that a fault stands for; ``None`` if it is of another kind."""
    make = ERRORS.get(armed.fault)
    return make(situation(record, instance)) if make else None


def reply_of(error: ErrorReply) -> web.Response:
    """Return an error as a whole reply."""
    body = error.body.encode() if isinstance(error.body, str) else wire.dumps(error.body)
    return web.Response(
        status=error.status, body=body, headers={"Content-Type": error.content_type}
    )


async def forever() -> None:
    """Wait until cancelled: the client leaves, or the server stops."""
    await asyncio.Event().wait()
