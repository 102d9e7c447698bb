"""Plain values of the local LM Studio: models, timing, answers, and what was recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Era = Literal["0.3", "0.4"]
Flavour = Literal["lmstudio", "llama.cpp", "vllm"]
Overflow = Literal["keep_first", "n_keep", "uncounted", "engine", "truncate_middle"]
TemplateRule = Literal["alternate", "no_system", "system_first", "user_required"]


@dataclass(frozen=True, slots=True)
class Model:
    """A downloaded model.

    Attributes:
        key: Model key, ``publisher/name``.
        context_tokens: Context length it is loaded with; the pool that all its slots share.
        parallel: Slots.
        loaded: Resident from the start.
        vision: Accepts images.
        reasoning_options: What ``/api/v1/models`` offers for thinking; ``None``: it doesn't say.
        reasoning_default: The option in force when a request doesn't say.
        kind: ``llm`` or ``embedding``.
        max_context_tokens: The model's own maximum.
        template: Rules of its chat template that raise errors.
        hybrid: Its cache can't be rolled back, only appended to (recurrent layers).
        ends_on_special_tokens: ``<|im_end|>`` in a user's text ends the generation at once.
        variants: Quantizations of one model, as ``publisher/name@q4_k_m``; the first is selected.
        loadable_context_tokens: Loading with more than this fails for want of memory.
    """

    key: str
    context_tokens: int = 8192
    parallel: int = 4
    loaded: bool = True
    vision: bool = False
    reasoning_options: tuple[str, ...] | None = None
    reasoning_default: str | None = None
    kind: Literal["llm", "embedding"] = "llm"
    max_context_tokens: int = 131_072
    architecture: str = "qwen3next"
    quantization: str = "Q4_K_M"
    size_bytes: int = 48_500_000_000
    tool_use: bool = False
    template: frozenset[TemplateRule] = frozenset()
    hybrid: bool = False
    ends_on_special_tokens: bool = False
    variants: tuple[str, ...] = ()
    loadable_context_tokens: int | None = None

    @property
    def publisher(self) -> str:
        """The part of the key before the slash."""
        return self.key.partition("/")[0] if "/" in self.key else "local"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long everything takes, in the model machine's own seconds.

    Attributes:
        load_s: Loading a model.
        prefill_tokens_s: Prompt tokens read per second while the context is short.
        prefill_half_tokens: Context length at which reading is half as fast; ``inf``: never.
        generation_tokens_s: Tokens written per second by a request that is alone.
        decode_slowdown: Each further active request adds this share to the time of a token.
        prefill_drag: Each prompt being read adds this share to the time of a token of the other_servers.
        batch_tokens: Prompt tokens read between two looks at whether the client is still there.
        one_batch: Batches are read one after the other, whoever's prompts they are (llama.cpp); otherwise
            prompts are read at the same time, none the slower for it.
        cancel_finishes_prompt: A client that leaves is noticed only after the whole prompt.
        reply_s: Time that any other route takes.
        speed: How many times faster than real time all this runs; ``None`` or ``inf``: instantly.
    """

    load_s: float = 9.0
    prefill_tokens_s: float = 400.0
    prefill_half_tokens: float = math.inf
    generation_tokens_s: float = 40.0
    decode_slowdown: float = 0.0
    prefill_drag: float = 0.0
    batch_tokens: int = 512
    one_batch: bool = False
    cancel_finishes_prompt: bool = False
    reply_s: float = 0.0
    speed: float | None = 1.0

    @property
    def instant(self) -> bool:
        """True when nothing takes time."""
        return self.speed is None or math.isinf(self.speed)

    def real_s(self, model_s: float) -> float:
        """Return how long to really wait for ``model_s`` seconds of the machine's time."""
        return 0.0 if self.speed is None or math.isinf(self.speed) else model_s / self.speed

    def prefill_s(self, start: int, end: int) -> float:
        """Return the machine's seconds for reading prompt tokens ``start`` to ``end``."""
        middle = (start + end) / 2
        return (end - start) / self.prefill_tokens_s * (1 + middle / self.prefill_half_tokens)


INSTANT = Timing(speed=None)
"""No waiting anywhere."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call in an answer; ``arguments`` is JSON text."""

    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says to one request.

    Attributes:
        text: The answer proper.
        reasoning: The thinking before it.
        markup: How thinking reaches the client: ``field`` (``reasoning_content``),
            ``field_reasoning`` (``reasoning``), or the name of a family in
            ``sandbox.lmstudio.markup``, which puts both into ``content``.
        finish: The finish reason when nothing else ends the answer first.
        tokens: A number: the text is cut or filled up to exactly so many tokens. A sequence: the
            exact pieces of ``content``, one delta each, instead of ``text``.
        tool_calls: Calls that follow the text.
        model: Model name to report instead of the real one.
        pause_after: Stop after so many tokens (0: before the first) until ``resume`` is called.
    """

    text: str = "Hello! How can I help you today?"
    reasoning: str = ""
    markup: str = "field"
    finish: Literal["stop", "length", "tool_calls"] = "stop"
    tokens: int | Sequence[str] | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    model: str | None = None
    pause_after: int | None = None


STATEFUL = frozenset({"/v1/responses", "/api/v1/chat"})
"""Routes that keep the conversation themselves."""


@dataclass(slots=True, eq=False)
class RecordedRequest:
    """One request as it came, and what became of it. Times are ``time.monotonic`` seconds.

    Attributes:
        headers: Lower-case names: authorization, user-agent, accept, content-type, content-length,
            accept-encoding, connection, host.
        body: The parsed JSON body; ``None`` without one or when it is no JSON.
        status: Status that was sent; ``None`` before that, and when nothing was.
        fault: Name of the fault that was played, if any.
        unknown_fields: Top-level fields that LM Studio would ignore silently.
        reread_tokens: Prompt tokens that weren't in the slot's cache and had to be read.
        first_token_at: When the first token went out, thinking or not.
        first_content_at: When the first token of ``content`` went out.
        tokens_sent: Tokens written to the client so far.
        cancelled_at: When the server noticed that the client had gone.
        finished: The reply was sent to its end.
    """

    time: float
    method: str
    path: str
    headers: dict[str, str]
    body: Any = None
    status: int | None = None
    fault: str | None = None
    model: str | None = None
    unknown_fields: tuple[str, ...] = ()
    prompt: str = ""
    prompt_tokens: int = 0
    reread_tokens: int = 0
    slot: int | None = None
    started_at: float | None = None
    first_token_at: float | None = None
    first_content_at: float | None = None
    tokens_sent: int = 0
    finish_reason: str | None = None
    cancelled_at: float | None = None
    ended_at: float | None = None
    finished: bool = False

    @property
    def is_completion(self) -> bool:
        """True for a POST that asks for the model's words; one without messages is refused at once."""
        is_chat = self.path.endswith("/chat/completions")
        has_messages = isinstance(self.body, dict) and "messages" in self.body
        is_asking = self.path in STATEFUL or (is_chat and has_messages)
        return self.method == "POST" and is_asking

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the body; empty when there are none."""
        found = self.body.get("messages") if isinstance(self.body, dict) else None
        return found if isinstance(found, list) else []


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error as LM Studio words it.

    Attributes:
        status: HTTP status when nothing was sent before.
        body: The JSON body, or text to send as it is.
        message: The words alone, for the form it takes inside a stream.
        content_type: Of a text body.
    """

    status: int
    body: Any
    message: str
    content_type: str = "application/json; charset=utf-8"


@dataclass(slots=True)
class Counters:
    """What a server has done since it was made."""

    loads: int = 0
    unloads: int = 0
    peak_active: int = 0
    connections: int = 0


@dataclass(slots=True)
class Options:
    """How the server behaves; may be changed while it runs.

    Attributes:
        flavour: Another server's listing, unknown paths, overflow and model names: llama.cpp's
            (any name is answered by the one loaded model) or vLLM's.
        unified: llama.cpp: each slot has the whole context (``--kv-unified``); False: its share.
        slots_endpoint: llama.cpp: ``/slots`` answers; False: 501 (``--no-slots``).
        era: ``0.3`` has no ``/api/v1`` and answers it as any unknown path.
        token: The API token it asks for; ``None``: authentication is off.
        forbidden: A valid token lacks the permission (403).
        jit: Load a model that is asked for; also lists all downloaded ones at ``/v1/models``.
        jit_context_tokens: Context length that just-in-time loading uses; the model's when unset.
        only_last_jit: Loading one just in time unloads the one loaded so before.
        jit_race: Cold requests at once load one instance each.
        ttl_s: Idle seconds after which a model loaded just in time goes, in machine seconds.
        substitute: An unknown model name is silently answered by a loaded one (200).
        overflow: What happens to a prompt longer than the context.
        stream_overflow_200: In a stream, overflow is 200 and an error event (before 0.4).
        memory_tokens: Loading any model with more context than this fails for want of memory.
        keepalive_s: Idle seconds after which a connection is closed.
        cache_prompt: A slot keeps what it has read for the next prompt that begins alike.
    """

    flavour: Flavour = "lmstudio"
    unified: bool = True
    slots_endpoint: bool = True
    era: Era = "0.4"
    token: str | None = None
    forbidden: bool = False
    jit: bool = True
    jit_context_tokens: int | None = None
    only_last_jit: bool = True
    jit_race: bool = False
    ttl_s: float = 3600.0
    substitute: bool = False
    overflow: Overflow = "engine"
    stream_overflow_200: bool = False
    memory_tokens: int | None = None
    keepalive_s: float = 5.0
    cache_prompt: bool = True
    counters: Counters = field(default_factory=Counters)

    def has(self, path: str) -> bool:
        """Tell whether this server has one of the ``STATEFUL`` routes."""
        if self.flavour != "lmstudio" or path not in STATEFUL:
            return False
        return self.era != "0.3" or not path.startswith("/api/v1")
