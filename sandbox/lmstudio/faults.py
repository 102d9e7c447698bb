"""Everything that goes wrong with LM Studio, on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypedDict, Unpack

from sandbox.lmstudio import errors
from sandbox.lmstudio.values import ErrorReply

Form = Literal["event", "data", "data_string"]
Route = Literal["completion", "refused", "models", "load", "any"]


class Fault(StrEnum):
    """A failure by name; the comments give what a client sees."""

    NO_MODELS = "no_models"  # 400, nothing loaded
    NO_MODELS_03 = "no_models_03"  # 404, the same before 0.4
    MODEL_NOT_FOUND = "model_not_found"  # 400, unknown model name
    MULTIPLE_MODELS = "multiple_models"  # 400, several loaded and none named
    MODEL_SWAP = "model_swap"  # 200, another model answers
    UNLOADED = "unloaded"  # 400, evicted or ejected
    TERMINATED = "terminated"
    RELOADED = "reloaded"
    LOAD_GUARDRAIL = "load_guardrail"  # 400, not enough memory by LM Studio's estimate
    LOAD_VULKAN = "load_vulkan"
    LOAD_DEVICE_LOST = "load_device_lost"
    LOAD_EXIT_CODE = "load_exit_code"
    LOAD_UNHEALTHY = "load_unhealthy"
    LOAD_NATIVE = "load_native"  # 500, model_load_failed
    LOAD_SNAPSHOT = "load_snapshot"
    CRASHED = "crashed"  # 400, exit code null
    CRASHED_SEGV = "crashed_segv"
    CRASHED_WINDOWS = "crashed_windows"
    BAD_ALLOC = "bad_alloc"
    OVERFLOW_KEEP_FIRST = "overflow_keep_first"  # three generations of context overflow
    OVERFLOW_N_KEEP = "overflow_n_keep"
    OVERFLOW_ENGINE = "overflow_engine"
    OVERFLOW_REACHED = "overflow_reached"  # while writing, where the engine can't shift its context
    EMPTY_OVERFLOW = "empty_overflow"  # 200, no content, usage above the context length
    SILENT_TRUNCATION = "silent_truncation"  # 200, the middle of the prompt is gone
    METAL_ALLOCATE = "metal_allocate"  # MLX: a buffer larger than the graphics device allows
    VISION_NOT_LOADED = "vision_not_loaded"
    UNKNOWN_ERROR = "unknown_error"  # words that no client knows
    POOL_FULL = "pool_full"  # other requests filled the shared pool
    JINJA_ALTERNATE = "jinja_alternate"
    JINJA_ALTERNATE_TOOLS = "jinja_alternate_tools"
    JINJA_ONLY_USER = "jinja_only_user"
    JINJA_NO_SYSTEM = "jinja_no_system"
    JINJA_NO_USER = "jinja_no_user"
    JINJA_SYSTEM_FIRST = "jinja_system_first"
    JINJA_UNKNOWN_TEST = "jinja_unknown_test"
    JINJA_UNDEFINED = "jinja_undefined"
    JINJA_BOTH = "jinja_both"
    JINJA_ENGINE = "jinja_engine"  # 500, through the engine protocol
    IMAGES_UNSUPPORTED = "images_unsupported"
    IMAGE_UNREADABLE = "image_unreadable"
    VALIDATION_MESSAGES = "validation_messages"
    VALIDATION_ITERABLE = "validation_iterable"
    VALIDATION_RESPONSE_FORMAT = "validation_response_format"
    VALIDATION_ZOD = "validation_zod"
    VALIDATION_GRAMMAR = "validation_grammar"
    VALIDATION_NATIVE = "validation_native"
    REASONING_UNSUPPORTED = "reasoning_unsupported"
    COMPUTE_ERROR = "compute_error"
    DEVICE_LOST = "device_lost"
    SPECULATIVE = "speculative"
    PEG_NATIVE = "peg_native"
    CHANNEL_ERROR = "channel_error"
    CHANNEL_SEND = "channel_send"
    UNKNOWN_ENDPOINT = "unknown_endpoint"  # 200 with an error
    AUTH_MISSING = "auth_missing"
    AUTH_MALFORMED = "auth_malformed"
    FORBIDDEN = "forbidden"
    HTML_500 = "html_500"
    HTML_502 = "html_502"
    HTML_503 = "html_503"
    HTML_504 = "html_504"
    HTML_413 = "html_413"
    EMPTY_400 = "empty_400"
    EMPTY_200 = "empty_200"
    PLAIN_TEXT = "plain_text"
    EMPTY = "empty"  # 200, no content, finish stop
    EMPTY_ZERO_USAGE = "empty_zero_usage"  # the same with usage all zero
    REASONING_ONLY = "reasoning_only"  # thinking used up the tokens: finish length
    REASONING_ONLY_STOP = "reasoning_only_stop"
    TOOL_CALL_EMPTY = "tool_call_empty"  # finish tool_calls that nobody asked for
    EARLY_EOS = "early_eos"  # ends after a few tokens as if complete
    TRUNCATED_STREAM = "truncated_stream"  # clean end without finish reason or [DONE]
    NO_DONE = "no_done"  # finish reason, but no [DONE]
    CHUNKED_CUT = "chunked_cut"  # the body ends inside its chunked encoding
    RESET_BEFORE_HEADERS = "reset_before_headers"
    RESET_AFTER_HEADERS = "reset_after_headers"
    RESET_AFTER_TOKENS = "reset_after_tokens"
    STALE_KEEPALIVE = "stale_keepalive"  # a reused connection is closed without a reply
    HANG_BEFORE_HEADERS = "hang_before_headers"
    HANG_AFTER_HEADERS = "hang_after_headers"
    HANG_AFTER_TOKENS = "hang_after_tokens"
    SLOW_LORIS = "slow_loris"  # one byte at a time, never a whole event
    BUFFERED = "buffered"  # a proxy holds the stream back and sends it in one lump
    JSON_FOR_STREAM = "json_for_stream"  # a plain reply where a stream was asked for
    NULL_DELTAS = "null_deltas"  # null where objects and texts should be
    GZIP_BOMB = "gzip_bomb"
    HUGE_LINE = "huge_line"  # one line of 10 MB
    TINY_EVENTS = "tiny_events"  # a million events that say nothing
    ENDLESS_COMMENTS = "endless_comments"
    NAN_JSON = "nan_json"
    DEEP_JSON = "deep_json"
    INVALID_JSON = "invalid_json"
    INVALID_UTF8 = "invalid_utf8"
    REDIRECT = "redirect"  # 302 to ``location``


@dataclass(frozen=True, slots=True)
class Situation:
    """What an error's text is made from."""

    model: str = "qwen/qwen3-next-80b"
    prompt_tokens: int = 9025
    context_tokens: int = 8192
    token: str = ""
    method: str = "POST"
    path: str = "/v1/chat/completions"


def _crash(code: str) -> ErrorReply:
    return errors.bare(f"The model has crashed without additional information. (Exit code: {code})")


def _load(reason: str) -> Callable[[Situation], ErrorReply]:
    return lambda at: errors.load_failed(at.model, reason)


def _fixed(reply: ErrorReply) -> Callable[[Situation], ErrorReply]:
    return lambda _: reply


_ALTERNATE_TOOLS = (
    "After the optional system message, conversation roles must alternate user and assistant "
    "roles except for tool calls and results."
)

ERRORS: dict[Fault, Callable[[Situation], ErrorReply]] = {
    Fault.NO_MODELS: _fixed(errors.NO_MODELS),
    Fault.NO_MODELS_03: _fixed(errors.NO_MODELS_03),
    Fault.MODEL_NOT_FOUND: lambda at: errors.model_not_found(at.model),
    Fault.MULTIPLE_MODELS: _fixed(errors.MULTIPLE_MODELS),
    Fault.UNLOADED: _fixed(errors.UNLOADED),
    Fault.TERMINATED: _fixed(errors.bare("terminated")),
    Fault.RELOADED: _fixed(errors.bare("Model reloaded")),
    Fault.LOAD_GUARDRAIL: _load(errors.GUARDRAIL_REASON),
    Fault.LOAD_VULKAN: _load("error loading model: unable to allocate Vulkan0 buffer"),
    Fault.LOAD_DEVICE_LOST: _load("vk::PhysicalDevice::createDevice: ErrorDeviceLost"),
    Fault.LOAD_EXIT_CODE: _load(
        "Error loading model. (Exit code: 18446744072635812000). Unknown error. "
        "Try a different model and/or config."
    ),
    Fault.LOAD_UNHEALTHY: lambda at: errors.load_failed(
        at.model,
        f"Engine protocol runtime llama-server for {at.model} exited before becoming healthy. "
        "exitCode=1, signal=null",
    ),
    Fault.LOAD_NATIVE: lambda at: errors.native(
        f'Failed to load model "{at.model}". Error: signal=SIGABRT',
        status=500,
        kind="model_load_failed",
    ),
    Fault.LOAD_SNAPSHOT: _load("Attempt to pull a snapshot of system resources failed."),
    Fault.CRASHED: _fixed(_crash("null")),
    Fault.CRASHED_SEGV: _fixed(_crash("11")),
    Fault.CRASHED_WINDOWS: _fixed(_crash("18446744072635812000")),
    Fault.BAD_ALLOC: _fixed(errors.bare("decode() failed: bad alloc")),
    Fault.OVERFLOW_KEEP_FIRST: lambda at: errors.overflow_keep_first(
        at.prompt_tokens, at.context_tokens
    ),
    Fault.OVERFLOW_N_KEEP: lambda at: errors.overflow_n_keep(at.prompt_tokens, at.context_tokens),
    Fault.OVERFLOW_ENGINE: lambda at: errors.overflow_engine(at.prompt_tokens, at.context_tokens),
    Fault.OVERFLOW_REACHED: lambda at: errors.bare(
        f"Reached context length of {at.context_tokens} tokens with model (arch: qwen3next) that "
        "does not currently support mid-generation context overflow. Try reloading with a larger "
        "context length or shortening the prompt/chat."
    ),
    Fault.METAL_ALLOCATE: _fixed(
        errors.bare(
            "[metal::malloc] Attempting to allocate 38654705664 bytes which is greater than the "
            "maximum allowed buffer size of 28991029248 bytes."
        )
    ),
    Fault.VISION_NOT_LOADED: _fixed(errors.bare("Vision model is not loaded")),
    Fault.UNKNOWN_ERROR: _fixed(errors.bare("The flux capacitor is out of phase.")),
    Fault.POOL_FULL: _fixed(errors.POOL_FULL),
    Fault.JINJA_ALTERNATE: _fixed(
        errors.jinja("Conversation roles must alternate user/assistant/user/assistant/...")
    ),
    Fault.JINJA_ALTERNATE_TOOLS: _fixed(errors.jinja(_ALTERNATE_TOOLS)),
    Fault.JINJA_ONLY_USER: _fixed(errors.jinja("Only user and assistant roles are supported!")),
    Fault.JINJA_NO_SYSTEM: _fixed(errors.jinja("System role not supported")),
    Fault.JINJA_NO_USER: _fixed(errors.jinja("No user query found in messages.")),
    Fault.JINJA_SYSTEM_FIRST: _fixed(errors.jinja("System message must be at the beginning.")),
    Fault.JINJA_UNKNOWN_TEST: _fixed(errors.jinja("Unknown test: sequence")),
    Fault.JINJA_UNDEFINED: _fixed(
        errors.jinja("Cannot perform operation ~ on undefined values", status=500)
    ),
    Fault.JINJA_BOTH: _fixed(errors.jinja("Cannot pass both content and thinking")),
    Fault.JINJA_ENGINE: _fixed(
        errors.bare(
            'Engine protocol predict request returned 500: {"error":{"code":500,"message":'
            '"Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/'
            '...","type":"server_error"}}',
            500,
        )
    ),
    Fault.IMAGES_UNSUPPORTED: _fixed(errors.IMAGES_UNSUPPORTED),
    Fault.IMAGE_UNREADABLE: _fixed(errors.IMAGE_UNREADABLE),
    Fault.VALIDATION_MESSAGES: _fixed(errors.MESSAGES_REQUIRED),
    Fault.VALIDATION_ITERABLE: _fixed(errors.NOT_ITERABLE),
    Fault.VALIDATION_RESPONSE_FORMAT: _fixed(errors.RESPONSE_FORMAT),
    Fault.VALIDATION_ZOD: _fixed(errors.zod("reasoning_effort", "'low'", "string")),
    Fault.VALIDATION_GRAMMAR: _fixed(
        errors.bare("Failed to initialize samplers: failed to parse grammar")
    ),
    Fault.VALIDATION_NATIVE: _fixed(
        errors.native("Unrecognized key(s) in object: 'stop'", code="unrecognized_keys")
    ),
    Fault.REASONING_UNSUPPORTED: lambda at: errors.native(
        f"Model '{at.model}' does not expose reasoning configuration.",
        code="invalid_value",
        param="reasoning",
    ),
    Fault.COMPUTE_ERROR: _fixed(errors.bare("Compute error.")),
    Fault.DEVICE_LOST: _fixed(errors.bare("decode() failed: vk::Queue::submit: ErrorDeviceLost")),
    Fault.SPECULATIVE: _fixed(errors.bare("decode() failed: failed to process speculative batch")),
    Fault.PEG_NATIVE: _fixed(
        errors.bare(
            'Engine protocol predict stream returned an error: {"code":500,"message":"The model '
            'produced output that does not match the expected peg-native format",'
            '"type":"server_error"}'
        )
    ),
    Fault.CHANNEL_ERROR: _fixed(errors.bare("Channel Error")),
    Fault.CHANNEL_SEND: _fixed(errors.bare("Channel Error: channelSend for unknown channel")),
    Fault.UNKNOWN_ENDPOINT: lambda at: errors.unexpected_endpoint(at.method, at.path),
    Fault.AUTH_MISSING: _fixed(errors.TOKEN_MISSING),
    Fault.AUTH_MALFORMED: lambda at: errors.token_malformed(at.token or "sk-bogus-EXAMPLE"),
    Fault.FORBIDDEN: _fixed(errors.FORBIDDEN),
    Fault.HTML_500: _fixed(errors.html(500, "Internal Server Error")),
    Fault.HTML_502: _fixed(errors.html(502, "Bad Gateway", proxy=True)),
    Fault.HTML_503: _fixed(errors.html(503, "Service Temporarily Unavailable", proxy=True)),
    Fault.HTML_504: _fixed(errors.html(504, "Gateway Time-out", proxy=True)),
    Fault.HTML_413: _fixed(errors.html(413, "Request Entity Too Large", proxy=True)),
    Fault.EMPTY_400: _fixed(ErrorReply(400, "", "", "text/plain")),
    Fault.EMPTY_200: _fixed(ErrorReply(200, "", "", "text/plain")),
    Fault.PLAIN_TEXT: _fixed(ErrorReply(500, "upstream failure", "upstream failure", "text/plain")),
}

BAD_JSON: dict[Fault, bytes] = {
    Fault.NAN_JSON: b'{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":NaN,"completion_tokens":Infinity,"total_tokens":-Infinity}}',
    Fault.DEEP_JSON: b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    Fault.INVALID_JSON: b'{"choices":[{"index":0,"message":{"content":"x"',
    Fault.INVALID_UTF8: b'{"choices":[{"index":0,"message":{"content":"\xff\xfe\xc3\x28"},'
    b'"finish_reason":"stop"}]}',
}
"""Bodies that are no good JSON; in a stream the same stands in one event."""


class Detail(TypedDict, total=False):
    """Details of a fault to come.

    Attributes:
        form: ``event`` (``event: error`` and both messages), ``data`` (an object) or
            ``data_string`` (a bare text), for errors inside a stream.
        done: Whether ``[DONE]`` follows an error inside a stream.
        route: ``completion``, ``refused`` (a completion without messages), ``models`` (all listings
            and the greeting), ``load`` (and unload) or ``any``.
        location: Target of a redirect.
        status: Status of a redirect.
        size_bytes: Size of bombs and long lines; 0 for the fault's own.
        words: Only requests whose body holds this text; all when empty.
    """

    form: Form
    done: bool
    route: Route
    location: str
    status: int
    size_bytes: int
    words: str


@dataclass(slots=True)
class ArmedFault:
    """A fault that waits for its request.

    Attributes:
        times: How many requests it still strikes; ``None``: all.
        after_tokens: Tokens that go out first; ``None``: the fault's own moment.
        form: How an error looks inside a stream.
        done: ``[DONE]`` follows an error inside a stream.
        location: Where a redirect points.
        status: A redirect's status.
        size_bytes: How much a body that is too large has, unpacked.
        words: What the body of a request must hold for it to strike.
    """

    fault: Fault
    times: int | None = 1
    after_tokens: int | None = None
    form: Form = "event"
    done: bool = False
    route: Route = "completion"
    location: str = "http://127.0.0.1:9/v1/elsewhere"
    status: int = 302
    size_bytes: int = 0
    words: str = ""


class FaultPlan:
    """The faults to come, in order."""

    def __init__(self) -> None:
        self._armed: list[ArmedFault] = []

    def next(
        self,
        fault: Fault,
        times: int | None = 1,
        after_tokens: int | None = None,
        **detail: Unpack[Detail],
    ) -> None:
        """Let the next requests of a route fail.

        Args:
            fault: What happens.
            times: To how many requests; ``None`` for all until ``clear``.
            after_tokens: For an error: send it inside the stream after so many tokens (0: after
                the headers) instead of as a status. For resets, hangs and cuts: when.
            detail: See ``Detail``.
        """
        self._armed.append(ArmedFault(fault, times, after_tokens, **detail))

    @property
    def armed(self) -> int:
        """How many requests will yet be struck; those without end count once."""
        return sum(1 if each.times is None else each.times for each in self._armed)

    def clear(self) -> None:
        """Disarm everything."""
        self._armed.clear()

    def take(self, route: Route, *, reused: bool, body: bytes = b"") -> ArmedFault | None:
        """Return the fault for this request, if one is due.

        Args:
            route: The kind of request.
            reused: It came over a connection that has carried a request before.
            body: Its body, as it came.
        """
        for armed in self._armed:
            if armed.route not in {route, "any"}:
                continue
            if armed.words.encode() not in body:
                continue
            if armed.fault is Fault.STALE_KEEPALIVE and not reused:
                continue
            if armed.times is not None:
                armed.times -= 1
                if armed.times <= 0:
                    self._armed.remove(armed)
            return armed
        return None
