"""From what a server said to a typed failure: by text first, by status only then.

LM Studio answers nearly every failure with 400 and some with 200, in half a dozen shapes: a string,
OpenAI's object, its own object, an object holding JSON as a string, HTML, nothing. The patterns
match texts reported in public (lmstudio-bug-tracker, llama.cpp, and clients' issue trackers); the
table is read from top to bottom, and the first match counts.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Final

from bot.core.errors import BackendError
from bot.lmstudio import errors
from bot.lmstudio.completion import CompletionDecoder, parse_json

_MAX_TEXT_CHARS: Final = 10_000
_MAX_DEPTH: Final = 6
_OWN_FIELDS: Final = (
    "reasoning_effort",
    "stream_options",
    "top_p",
    "temperature",
    "max_tokens",
    "messages",
    "model",
    "context_length",
    "eval_batch_size",
    "flash_attention",
    "parallel",
    "offload_kv_cache_to_gpu",
)
_LIMIT_TOKENS: Final = re.compile(
    r"context length of only (\d{1,12})|n_ctx\W{1,8}(\d{1,12})|Reached context length of (\d{1,12})"
    r"|maximum (?:context|model) length (?:is|of) (\d{1,12})|\(context length (\d{1,12})\)"
    r"|(?:exceeds|than) (?:the )?(?:model's )?(?:max(?:imum)? )?context length \(?(\d{1,12})"
    r"|context length is only (\d{1,12})|`inputs` tokens \+ `max_new_tokens` must be <= (\d{1,12})"
    r"|context size \((\d{1,12}) tokens\)|exceeds [^.]{0,60}\((\d{1,12}) tokens\)"
    r"|max_seq_len (\d{1,12})|context window of (\d{1,12})",
    re.IGNORECASE,
)
_PROMPT_TOKENS: Final = re.compile(
    r"n_keep\W{1,3}(\d+)|keep the first (\d+) tokens|n_prompt_tokens\W{1,8}(\d+)"
    r"|(?:request|input) \((\d+) tokens\)|(?:request has|you passed) (\d+) input tokens"
    r"|input length \((\d+)|(\d{1,12}) tokens from the input|Given: (\d+) `inputs`"
    r"|you requested \d+ tokens \((\d+) in|you requested (\d+) tokens|prompt \((?:total )?length (\d+)\)"
    r"|prompt length (\d+)|prompt (?:is )?too long: (\d+)",
    re.IGNORECASE,
)

_OF_REASONING: Final = re.compile(
    "reasoning configuration|support thinking|invalid (reasoning|think) value", re.IGNORECASE
)

_TEXTS: Final[dict[type[BackendError], tuple[str, ...]]] = {
    errors.AuthenticationError: ("invalid_api_key", "LM Studio API token", "Invalid API key"),
    errors.PermissionDeniedError: ("Permission denied to use",),
    errors.WrongEndpointError: ("Unexpected endpoint or method",),
    errors.TlsError: (r"HTTP request (was sent )?to (an )?HTTPS", "plain HTTP to an SSL"),
    errors.ContextOverflowError: (
        r"n_keep\W{1,3}\d+\W{1,6}n_ctx",
        "exceed_context_size_error",
        "exceeds the available context size",
        r"Trying to keep the first \d+ tokens",
        r"context length (of|is) only \d+",
        r"Reached context length of \d+",
        "mid-generation context overflow",
        r"maximum (context|model) length (is|of) \d+",
        (
            r"(exceed(s|ed)?|(greater|larger|longer) than) (the )?(model's )?(max(imum)? )?(available )?"
            r"(context (length|size|window)|model length)"
        ),
        r"context[ _](length|window)[ _](is |was |has been )?exceeded",
        r"does(n't| not) fit (in|into) (the |its )?(model's )?context",
        "context shift is disabled",
        "too long to fit into the model",
        r"input( \(\d+ tokens\))? is too large to process",
        r"`inputs` tokens \+ `max_new_tokens` must be <=",
        r"(input|prompt)\b.{0,40} exceeds the maximum allowed length",
        r"prompt (is )?too (long|big)",
        "greater than max_seq_len",
    ),
    errors.PoolFullError: (
        "Context size has been exceeded",
        "find free space in the KV cache",
        "not enough space in the KV cache",
        "failed to find a memory slot",
    ),
    errors.BadImageError: (
        "Failed to load image",
        "Vision (model|add-on|adapter) is not loaded",
        "Invalid image detected",
        "cannot identify image file",
        "when reading image file",
        "failed to (process|decode) image",
        "unsupported image format",
        "must be a base64 encoded image",
        "Image features and image tokens do not match",
        "number of image (token|features)",
    ),
    errors.ImagesRefusedError: (
        "does(n't| not) support (image|vision)",
        "image input is not supported",
        "images? (is|are) not supported",
        "At most 0 image",
        "is not a multimodal model",
        "missing data required for image input",
    ),
    errors.NoModelError: ("No models? (is |are )?loaded",),
    errors.ModelNotFoundError: (
        "Multiple models are loaded",
        "Invalid model identifier",
        "model_not_found",
        "not found in downloaded models",
        "Cannot find (a )?model (of|with)",
        "Model key not found",
        r"\bmodel name=\S{1,300} is not found",
        "noModelMatchingQuery",
        r"\bmodel [`'\"][^`'\"]{1,300}[`'\"] (does not exist|(is )?not found)",
        "try pulling it first",
        "does not support (chat|generate)",
    ),
    errors.ModelUnloadedError: (
        "Model (is |was |has been )?(being )?(reloaded|unloaded)",
        "modelUnloaded",
        "^terminated$",
        r"is not loaded\.",
        r"\bmodel is not loaded\b",
    ),
    errors.OutOfMemoryError: (
        "((unable|failed) to|cannot) allocate",
        "out ?of ?memory",
        "insufficient memory",
        "not enough (V?RAM|memory)",
        "requires more (system )?memory",
        "cudaMalloc failed",
        "ErrorOutOf(Device|Host)Memory",
        "STATUS_ALLOC_FAILED",
        "bad.?alloc",
        r"Attempting to allocate \d+ bytes",
        "metal::malloc",
        "insufficient system resources",
    ),
    errors.LoadFailedError: (
        "(unable|failed) to load (the |draft )?model",
        r"\bmodel name=\S{1,300} failed to load",
        "Model loading (was |has been )?(stopped|aborted|cancell?ed)",
        "unknown model architecture",
        r"Model type \S{1,80} (is )?not supported",
        "engine .{1,80} is not installed",
        "Error loading model",
        "model_load_failed",
        "exited before becoming healthy",
        "snapshot of system resources",
        "createDevice",
        "No LM Runtime found",
        "waiting for llama runner to start",
    ),
    errors.ModelCrashedError: (
        "model has crashed",
        "Exit code:",
        "llama runner process",
        "model runner has unexpectedly stopped",
        r"Engine (protocol runtime|process)\b.{0,80} (exited|died)",
        "EngineDeadError",
        "EngineCore encountered",
        "Engine loop has died",
    ),
    errors.StillLoadingError: (
        "Loading model",
        r"model is ((currently |still )?loading|being loaded)\b",
    ),
    errors.BusyError: (
        "server (is )?busy",
        "pending requests exceeded",
        "too many requests",
        "rate.?limit",
        "slots? (is |are )?(not |un)available",
        "no slots? available",
        "queue is full",
        "overloaded",
    ),
    errors.ComputeError: (
        "ErrorDeviceLost",
        "Compute error",
        r"(_decode|decode\(\)) failed",
        r"\bCU(BLAS|DNN)_STATUS_",
        "speculative batch",
        r"\b(CUDA|ROCm|HIP) error",
        r"\[METAL\] Command buffer",
        "Invalid input batch",
        "Error in iterating prediction stream",
        "received prediction-error",
        "encountered while running the model",
    ),
    errors.TemplateError: (
        "rendering prompt with jinja",
        "Jinja Exception",
        "roles must alternate",
        "Only user and assistant roles",
        "System role not supported",
        "No user query found",
        "System message must be at the beginning",
        "Unknown test: sequence",
        "on undefined values",
        "Cannot pass both content and thinking",
        "chat template is no longer allowed",
        "Cannot use chat template",
        "Value is not callable",
        r"While executing \w+ at line",
        "prefill is incompatible",
        "generate parser for this template",
        "assistant messages at the end of the list",
    ),
    errors.OutputParserError: (
        "peg-native",
        "failed to parse (output|input at pos)",
        "(parse|end of) Harmony",
        "tokens remaining in message header",
    ),
    errors.InvalidRequestError: (
        "failed to parse grammar",
        "field is required",
        r"is required\b",
        "must be '",
        "is not iterable",
        "Invalid discriminator",
        "Unrecognized key",
        "reasoning configuration",
        "does not support thinking",
        r"invalid (reasoning|think) value",
        "missing_required_parameter",
        "invalid_(union|value|json|enum_value|type)",
        "previous_response",
        "Invalid option",
        r"\bExpected ",
    ),
    errors.ChannelError: (
        "Channel Error",
        "channelSend",
        r"Engine protocol \w+ (request failed|stream (failed|returned an error))",
    ),
}
"""Order matters: a guardrail's text says "failed to load" and "insufficient" both, a load failure
may name an exit code, and the generic wrapper "Channel Error" is only read when nothing inside it
says more."""

_PATTERNS: Final = {
    kind: re.compile("|".join(texts), re.IGNORECASE | re.MULTILINE)
    for kind, texts in _TEXTS.items()
}


def _read(kind: type[BackendError], text: str) -> BackendError:
    """Return a failure with what its text says of it."""
    if kind is errors.ContextOverflowError:
        limit, prompt = _number(_LIMIT_TOKENS, text), _number(_PROMPT_TOKENS, text)
        return errors.ContextOverflowError(limit, prompt)
    if kind is errors.InvalidRequestError:
        named = [name for name in _OWN_FIELDS if name in text]
        is_of_reasoning = _OF_REASONING.search(text) is not None
        return errors.InvalidRequestError(
            ("reasoning_effort",) if is_of_reasoning else tuple(named)
        )
    return kind()


def classify(status: int, body: bytes | str, retry_after: str | None = None) -> BackendError:
    """Return the failure that a response means.

    Args:
        status: HTTP status.
        body: The body, already bounded; anything at all.
        retry_after: The header of that name.
    """
    if status == 401:
        return errors.AuthenticationError()
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    found = classify_payload(_unwrapped(text[:_MAX_TEXT_CHARS]))
    if found is not None and not (status == 403 and type(found) is errors.InvalidRequestError):
        return found
    return _by_status(status, retry_after)


def classify_payload(payload: object) -> BackendError | None:
    """Return the failure that an error's payload names; ``None`` when no text of it is known."""
    text = "\n".join(_texts(payload, 0))[:_MAX_TEXT_CHARS]
    found = (kind for kind, pattern in _PATTERNS.items() if pattern.search(text))
    kind = next(found, None)
    return None if kind is None else _read(kind, text)


def classify_event(payload: object) -> BackendError:
    """Return the failure that an error inside a stream means."""
    return classify_payload(payload) or errors.ServerFaultError()


def failure_of(decoder: CompletionDecoder) -> BackendError | None:
    """Return what is wrong with a completion at its end; ``None`` for a whole one with text.

    One that holds only thinking is whole: what that means is judged with the text
    (``bot.output.pipeline``), where thinking may stand too.
    """
    if decoder.is_whole:
        return None
    if decoder.failure is not None:
        return classify_event(decoder.failure)
    if decoder.is_malformed:
        unread = classify_payload(decoder.unread)
        return unread or errors.BadResponseError("the stream is malformed or too large")
    if not decoder.has_ended and not decoder.is_blank:
        return errors.TruncatedStreamError()
    if decoder.has_reasoning:
        return None
    return errors.EmptyAnswerError(hit_length=decoder.finish_reason == "length")


def error_in(body: object) -> object:
    """Return the ``error`` of a parsed body, ``None`` if it holds none."""
    return body.get("error") if isinstance(body, dict) else None


def _by_status(status: int, retry_after: str | None) -> BackendError:
    if 300 <= status < 400:
        return errors.RedirectError()
    if status == 429:
        return errors.BusyError(_seconds(retry_after))
    by_status: dict[int, type[BackendError]] = {
        403: errors.PermissionDeniedError,
        404: errors.WrongEndpointError,
        405: errors.WrongEndpointError,
        413: errors.PayloadTooLargeError,
        426: errors.TlsError,
    }
    if status in by_status:
        return by_status[status]()
    if status in (400, 422):
        return errors.InvalidRequestError()
    return errors.ServerFaultError(status)


def _unwrapped(text: str) -> object:
    """Return a body as JSON where it is some, without the marks of an event stream."""
    stripped = text.strip().removeprefix("\ufeff")
    if stripped.startswith(("event:", "data:")):
        lines = (line for line in stripped.splitlines() if line.startswith("data:"))
        stripped = next(lines, "data:")[5:].strip()
    try:
        return parse_json(stripped)
    except ValueError:
        return stripped


def _texts(payload: object, depth: int) -> Iterator[str]:
    """Yield every text in a payload: values of its objects, and JSON inside its texts."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(payload, str):
        yield payload
        start = payload.find("{")
        if start >= 0 and depth < _MAX_DEPTH:
            with contextlib.suppress(ValueError):
                yield from _texts(parse_json(payload[start:]), depth + 1)
    elif isinstance(payload, dict):
        for key, value in payload.items():
            if type(value) is int and isinstance(key, str):
                yield f"{key}: {value}"
            yield from _texts(value, depth + 1)
    elif isinstance(payload, list):
        for value in payload[:20]:
            yield from _texts(value, depth + 1)


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    if match is None:
        return None
    digits = next(group for group in match.groups() if group)
    return int(digits) if len(digits) < 10 else None


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isascii() and header.isdigit() else None
