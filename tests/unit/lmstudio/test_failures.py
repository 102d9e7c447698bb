"""Each text that LM Studio is known to fail with leads to one typed failure."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bot.core.errors import BackendError
from bot.lmstudio import errors
from bot.lmstudio.completion import CompletionDecoder
from bot.lmstudio.failures import classify, classify_event, failure_of
from bot.lmstudio.run import UNKNOWN, line_for

JINJA = (
    'Error rendering prompt with jinja template: "{}".\n\nThis is usually an issue with the model.'
)
REACHED = (
    "Reached context length of 4096 tokens with model (arch: qwen3next) that does not currently "
    "support mid-generation context overflow. Try reloading with a larger context length or "
    "shortening the prompt/chat."
)
TOKEN = "sk-bogus-E**************"

TEXTS: tuple[tuple[int, object, type[BackendError]], ...] = (
    # no model
    (
        404,
        "No models loaded. Please load a model in the developer page or use the `lms load` command",
        errors.NoModelError,
    ),
    (
        400,
        {
            "message": "No models loaded. Please load a model in the developer page or use the "
            "'lms load' command.",
            "type": "invalid_request_error",
            "param": "model",
            "code": None,
        },
        errors.NoModelError,
    ),
    # model names
    (
        400,
        {
            "message": 'Invalid model identifier "not-a-model". Please specify a valid downloaded '
            "model (e.g., qwen).",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        },
        errors.ModelNotFoundError,
    ),
    (
        400,
        "Multiple models are loaded. Please specify a model by providing a 'model' field.",
        errors.ModelNotFoundError,
    ),
    (404, {"message": "Model X not found in downloaded models"}, errors.ModelNotFoundError),
    # unloaded
    (400, "Model is unloaded.", errors.ModelUnloadedError),
    (400, "terminated", errors.ModelUnloadedError),
    (400, "Model reloaded", errors.ModelUnloadedError),
    (404, "Model with instance identifier 'x' is not loaded.", errors.ModelUnloadedError),
    # load failures
    (
        400,
        (
            'Failed to load model "x". Error: Model loading was stopped due to insufficient system '
            "resources. this model requires approximately 60 GB of memory"
        ),
        errors.OutOfMemoryError,
    ),
    (400, "error loading model: unable to allocate Vulkan0 buffer", errors.OutOfMemoryError),
    (
        400,
        'Failed to load model "x". Error: vk::PhysicalDevice::createDevice: ErrorDeviceLost',
        errors.LoadFailedError,
    ),
    (
        400,
        (
            "Error loading model. (Exit code: 18446744072635812000). Unknown error. Try a different "
            "model and/or config."
        ),
        errors.LoadFailedError,
    ),
    (
        400,
        (
            "Engine protocol runtime llama-server for x exited before becoming healthy. exitCode=1, "
            "signal=null"
        ),
        errors.LoadFailedError,
    ),
    (500, {"type": "model_load_failed", "message": "signal=SIGABRT"}, errors.LoadFailedError),
    (400, "Attempt to pull a snapshot of system resources failed.", errors.LoadFailedError),
    # crashes
    (
        400,
        "The model has crashed without additional information. (Exit code: null)",
        errors.ModelCrashedError,
    ),
    (
        400,
        "The model has crashed without additional information. (Exit code: 11)",
        errors.ModelCrashedError,
    ),
    (400, "decode() failed: bad alloc", errors.OutOfMemoryError),
    # pool
    (
        400,
        (
            'Engine protocol predict stream returned an error: {"code":500,"message":"Context size '
            'has been exceeded.","type":"server_error"}'
        ),
        errors.PoolFullError,
    ),
    # templates
    (
        400,
        JINJA.format("Conversation roles must alternate user/assistant/user/assistant/..."),
        errors.TemplateError,
    ),
    (400, JINJA.format("Only user and assistant roles are supported!"), errors.TemplateError),
    (400, "System role not supported", errors.TemplateError),
    (400, JINJA.format("No user query found in messages."), errors.TemplateError),
    (400, JINJA.format("System message must be at the beginning."), errors.TemplateError),
    (400, "Unknown test: sequence", errors.TemplateError),
    (500, "Cannot perform operation ~ on undefined values", errors.TemplateError),
    (400, "Cannot pass both content and thinking", errors.TemplateError),
    (
        500,
        (
            'Engine protocol predict request returned 500: {"error":{"code":500,"message":"Jinja '
            'Exception: roles","type":"server_error"}}'
        ),
        errors.TemplateError,
    ),
    # images
    (
        400,
        "Model does not support images. Please use a model that does.",
        errors.ImagesRefusedError,
    ),
    (400, "Failed to load image or audio file", errors.BadImageError),
    # validation
    (400, "'messages' field is required", errors.InvalidRequestError),
    (400, "'response_format.type' must be 'json_schema' or 'text'", errors.InvalidRequestError),
    (400, "[Server Error] _0x48eeaf is not iterable", errors.InvalidRequestError),
    (
        400,
        "Failed to initialize samplers: failed to parse grammar",
        errors.InvalidRequestError,
    ),
    (
        400,
        {
            "message": "Invalid discriminator value. Expected 'text' | 'image'",
            "type": "invalid_request",
            "code": "invalid_union",
        },
        errors.InvalidRequestError,
    ),
    (400, "Unrecognized key(s) in object: 'text'", errors.InvalidRequestError),
    (
        400,
        {
            "message": "Model 'gemma' does not expose reasoning configuration.",
            "param": "reasoning",
            "code": "invalid_value",
        },
        errors.InvalidRequestError,
    ),
    (
        400,
        '[{"code":"invalid_type","expected":"string","path":["reasoning_effort"],"message":"x"}]',
        errors.InvalidRequestError,
    ),
    # newer wordings
    (400, REACHED, errors.ContextOverflowError),
    (400, "[metal::malloc] Attempting to allocate 38654705664 bytes", errors.OutOfMemoryError),
    (400, "Vision model is not loaded", errors.BadImageError),
    (400, "Vision model is not loaded.", errors.BadImageError),
    (
        400,
        (
            "[metal::malloc] Attempting to allocate 12884901888 bytes which is greater than the "
            "maximum allowed buffer size of 9534832640 bytes."
        ),
        errors.OutOfMemoryError,
    ),
    (400, "generic.noModelMatchingQuery", errors.ModelNotFoundError),
    (400, "generic.specificModelUnloaded", errors.ModelUnloadedError),
    (400, "No LM Runtime found for model format 'gguf'!", errors.LoadFailedError),
    (
        400,
        "Vision add-on is not loaded, but images were provided for processing",
        errors.BadImageError,
    ),
    # llama.cpp's server
    (
        400,
        {
            "code": 400,
            "message": "request (9025 tokens) exceeds the available context size (4096 tokens), try "
            "increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 9025,
            "n_ctx": 4096,
        },
        errors.ContextOverflowError,
    ),
    (
        500,
        {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"},
        errors.PoolFullError,
    ),
    (
        503,
        {"code": 503, "message": "Loading model", "type": "unavailable_error"},
        errors.StillLoadingError,
    ),
    (
        500,
        {
            "code": 500,
            "message": "image input is not supported - hint: if this is unexpected, you may need to "
            "provide the mmproj",
            "type": "server_error",
        },
        errors.ImagesRefusedError,
    ),
    (
        401,
        {"code": 401, "message": "Invalid API Key", "type": "authentication_error"},
        errors.AuthenticationError,
    ),
    (
        500,
        (
            "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 5000.00 MiB on device 0: cudaMalloc "
            "failed"
        ),
        errors.OutOfMemoryError,
    ),
    (500, "failed to allocate compute buffers", errors.OutOfMemoryError),
    # vLLM
    (
        404,
        {"message": "The model `a/b` does not exist.", "type": "NotFoundError", "code": 404},
        errors.ModelNotFoundError,
    ),
    (
        400,
        {
            "object": "error",
            "message": "The decoder prompt (length 9025) is longer than the maximum model length of "
            "4096. Make sure that `max_model_len` is no smaller than the number of text tokens.",
            "type": "BadRequestError",
            "code": 400,
        },
        errors.ContextOverflowError,
    ),
    (
        400,
        {"message": "At most 0 image(s) may be provided in one prompt.", "code": 400},
        errors.ImagesRefusedError,
    ),
    (
        400,
        (
            "The number of tokens to keep from the initial prompt is greater than the context length. "
            "Try to load the model with a larger context length, or provide a shorter input"
        ),
        errors.ContextOverflowError,
    ),
    (500, "the input length exceeds the context length", errors.ContextOverflowError),
    (
        400,
        "Invalid image detected at index 0. Supported formats: JPEG, PNG, WebP",
        errors.BadImageError,
    ),
    (
        400,
        "Error in iterating prediction stream: OSError: broken data stream when reading image file",
        errors.BadImageError,
    ),
    (
        400,
        (
            "Error in iterating prediction stream: ValueError: Number of image token positions (1450) does "
            "not match number of image features (448) for batch 0"
        ),
        errors.BadImageError,
    ),
    (400, "'url' field must be a base64 encoded image.", errors.BadImageError),
    (
        500,
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB",
        errors.OutOfMemoryError,
    ),
    (
        500,
        {"message": "EngineCore encountered an issue. See stack trace (above) for the root cause."},
        errors.ModelCrashedError,
    ),
    (
        400,
        (
            "As of transformers v4.44, default chat template is no longer allowed, so you must provide "
            "a chat template"
        ),
        errors.TemplateError,
    ),
    # Ollama
    (
        404,
        {"message": 'model "a:8b" not found, try pulling it first', "type": "api_error"},
        errors.ModelNotFoundError,
    ),
    (404, {"message": "model 'a' not found", "type": "not_found_error"}, errors.ModelNotFoundError),
    (400, '"nomic-embed-text" does not support chat', errors.ModelNotFoundError),
    (
        500,
        "model requires more system memory (5.5 GiB) than is available (3.0 GiB)",
        errors.OutOfMemoryError,
    ),
    (
        500,
        "llama runner process has terminated: exit status 2",
        errors.ModelCrashedError,
    ),
    (
        503,
        "server busy, please try again.  maximum pending requests exceeded",
        errors.BusyError,
    ),
    (
        500,
        "timed out waiting for llama runner to start - progress 0.00 -",
        errors.LoadFailedError,
    ),
    (400, '"llama3.2" does not support thinking', errors.InvalidRequestError),
    (
        400,
        'invalid reasoning value: "none" (must be "high", "medium", "low", true, or false)',
        errors.InvalidRequestError,
    ),
    (
        400,
        "prompt too long; exceeded max context length by 312 tokens",
        errors.ContextOverflowError,
    ),
    (400, "this model is missing data required for image input", errors.ImagesRefusedError),
    # proxies and others before a server
    (200, {"message": "Rate limit reached", "code": "rate_limit_exceeded"}, errors.BusyError),
    (400, {"message": "x", "code": "context_length_exceeded"}, errors.ContextOverflowError),
    # engine
    (400, "Compute error.", errors.ComputeError),
    (400, "decode() failed: vk::Queue::submit: ErrorDeviceLost", errors.ComputeError),
    (400, "decode() failed: failed to process speculative batch", errors.ComputeError),
    (
        400,
        "The model produced output that does not match the expected peg-native format",
        errors.OutputParserError,
    ),
    (400, "Channel Error", errors.ChannelError),
    (400, "Channel Error: channelSend for unknown channel", errors.ChannelError),
    (400, "Channel Error: Model is unloaded.", errors.ModelUnloadedError),
    # endpoint and token
    (200, "Unexpected endpoint or method. (POST /chat/completions)", errors.WrongEndpointError),
    (
        401,
        {
            "type": "invalid_request",
            "code": "invalid_api_key",
            "message": "An LM Studio API token is required to make requests to this server",
        },
        errors.AuthenticationError,
    ),
    # what engines say by themselves: llama.cpp, MLX, ROCm, Ollama, TabbyAPI
    (500, "Engine protocol predict request failed: fetch failed", errors.ChannelError),
    (400, "Engine protocol predict stream returned an error: socket hang up", errors.ChannelError),
    (
        400,
        "Engine protocol runtime llama-server for x exited. exitCode=139, signal=SIGSEGV",
        errors.ModelCrashedError,
    ),
    (
        500,
        "model runner has unexpectedly stopped, this may be due to resource limitations",
        errors.ModelCrashedError,
    ),
    (
        400,
        (
            "[METAL] Command buffer execution failed: Caused GPU Timeout Error "
            "(00000002:kIOGPUCommandBufferCallbackErrorTimeout)."
        ),
        errors.ComputeError,
    ),
    (400, "ROCm error: unspecified launch failure", errors.ComputeError),
    (500, "Invalid input batch.", errors.ComputeError),
    (400, "Error in iterating prediction stream: StopIteration", errors.ComputeError),
    (
        400,
        (
            "Error in iterating prediction stream: ValueError: Image features and image tokens do "
            "not match: tokens: 0, features 1024"
        ),
        errors.BadImageError,
    ),
    (400, "Failed to load draft model", errors.LoadFailedError),
    (503, "no slot available", errors.BusyError),
    (
        400,
        "Assistant response prefill is incompatible with enable_thinking.",
        errors.TemplateError,
    ),
    (
        400,
        "Cannot have 2 or more assistant messages at the end of the list.",
        errors.TemplateError,
    ),
    (
        500,
        "While executing FilterExpression at line 9, column 3 in source:",
        errors.TemplateError,
    ),
    (500, "Failed to parse input at pos 12: <|channel|>", errors.OutputParserError),
    (
        400,
        "Input prompt is too big compared to KV size. Please try increasing KV size.",
        errors.ContextOverflowError,
    ),
    (400, "Context length exceeded", errors.ContextOverflowError),
    (
        400,
        "This message (9000 tokens) doesn't fit into the context window of 4096 tokens.",
        errors.ContextOverflowError,
    ),
    (500, "failed to find free space in the KV cache", errors.PoolFullError),
    (500, "failed to find a memory slot for batch of size 512", errors.PoolFullError),
    (500, "failed to process image", errors.BadImageError),
    (
        500,
        "Failed to create new sequence: failed to process inputs: unsupported image format",
        errors.BadImageError,
    ),
    (400, 'Model get/load failed: Cannot find a model with path "x"', errors.ModelNotFoundError),
    (400, 'Cannot find model of key "x".', errors.ModelNotFoundError),
    (400, "Model key not found: x", errors.ModelNotFoundError),
    (500, "model name=foo is not found", errors.ModelNotFoundError),
    (400, "model is not loaded", errors.ModelUnloadedError),
    (400, "Generation was stopped: model is being unloaded", errors.ModelUnloadedError),
    (400, "hipErrorOutOfMemory", errors.OutOfMemoryError),
    (400, "vk::Device::allocateMemory: ErrorOutOfHostMemory", errors.OutOfMemoryError),
    (500, "CUBLAS_STATUS_ALLOC_FAILED", errors.OutOfMemoryError),
    (400, "mmap failed: Cannot allocate memory", errors.OutOfMemoryError),
    (500, "unable to load model: blobs/sha256-12", errors.LoadFailedError),
    (500, "model name=foo failed to load", errors.LoadFailedError),
    (400, "Model loading was stopped because it was cancelled.", errors.LoadFailedError),
    (400, "unknown model architecture: 'qwen3next'", errors.LoadFailedError),
    (400, "ValueError: Model type qwen3_vl_moe not supported.", errors.LoadFailedError),
    (400, "Error: The engine 'mlx-llm' is not installed", errors.LoadFailedError),
    (503, "Model is currently loading, please wait", errors.StillLoadingError),
    (400, "The model is being loaded", errors.StillLoadingError),
    (500, "llama_decode failed, ret = -3", errors.ComputeError),
    (400, "JSON decode failed: Expected value", errors.InvalidRequestError),
    (500, "CUBLAS_STATUS_EXECUTION_FAILED", errors.ComputeError),
    (
        400,
        "Unable to generate parser for this template. Automatic parser generation failed: x",
        errors.TemplateError,
    ),
    (400, "Failed to parse Harmony message: unexpected token", errors.OutputParserError),
    (400, "unexpected tokens remaining in message header: Some", errors.OutputParserError),
    (401, f"Malformed LM Studio API token provided: {TOKEN}", errors.AuthenticationError),
    (403, "Permission denied to use plugin x", errors.PermissionDeniedError),
)


@pytest.mark.parametrize(("status", "error", "kind"), TEXTS, ids=lambda value: str(value)[:40])
def test_known_texts(status: int, error: object, kind: type[BackendError]) -> None:
    assert type(classify(status, json.dumps({"error": error}))) is kind


UNCLEAR = (
    ("terminated", "JSON in a text"),
    ("terminated", "plain text"),
    ({"type": "model_load_failed", "message": "signal=SIGABRT"}, "plain text"),
)
"""What isn't known any more in these forms: one word among others, a type that isn't sent."""

STREAMABLE = [(error, kind) for status, error, kind in TEXTS if status not in (401, 403)]


def line(payload: object) -> bytes:
    """Return a server-sent event with this payload."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return f"data: {text}\n\n".encode()


def message_of(error: object) -> object:
    """Return an error's text alone."""
    return error["message"] if isinstance(error, dict) and error["message"] != "x" else error


FORMS: dict[str, Callable[[object], bytes]] = {
    "an object's field": lambda error: line({"error": error}),
    "an event named error": lambda error: (
        b"event: error\n" + line({"error": error, "message": message_of(error)})
    ),
    "beside choices": lambda error: line(
        {"error": error, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]}
    ),
    "JSON in a text": lambda error: line(
        {"error": f"Engine protocol predict stream returned an error: {json.dumps(error)}"}
    ),
    "a bare line": lambda error: json.dumps({"error": error}).encode() + b"\n",
    "its own field": lambda error: f"error: {json.dumps(error)}\n\n".encode(),
    "no wrapper": lambda error: line(
        {"code": 500, **error} if isinstance(error, dict) else {"detail": error}
    ),
    "plain text": lambda error: b"event: error\n" + line(str(message_of(error))),
}
WORDS = line({"choices": [{"delta": {"content": "Paris is"}, "finish_reason": None}]})


@pytest.mark.parametrize("before", [b"", WORDS], ids=["before words", "after words"])
@pytest.mark.parametrize(
    ("error", "kind", "form"),
    [(*each, form) for each in STREAMABLE for form in FORMS if (each[0], form) not in UNCLEAR],
    ids=lambda value: str(value)[:40],
)
def test_known_texts_inside_a_stream(
    error: object, kind: type[BackendError], form: str, before: bytes
) -> None:
    decoder = CompletionDecoder()
    text = decoder.feed(before + FORMS[form](error))[0]
    decoder.finish()
    failure = failure_of(decoder)
    assert type(failure) is kind
    assert text == ("Paris is" if before else "")


@pytest.mark.parametrize(("error", "kind"), STREAMABLE, ids=lambda value: str(value)[:40])
def test_after_words_a_sentence_says_what_is_known(error: object, kind: type[BackendError]) -> None:
    said = line_for(classify_event(error))
    assert said.endswith(".")
    assert "connection" not in said or kind is errors.StillLoadingError
    assert said != UNKNOWN or kind in {errors.InvalidRequestError, errors.ServerFaultError}


def test_after_words_an_unknown_error_is_no_broken_connection() -> None:
    assert line_for(classify_event({"message": "Something new went wrong"})) == UNKNOWN


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("error", errors.ServerFaultError),
        ("failed", errors.ServerFaultError),
        ("abort", errors.ServerFaultError),
        ("modelUnloaded", errors.ModelUnloadedError),
    ],
)
def test_an_answer_that_its_server_broke_off_is_not_whole(
    reason: str, kind: type[BackendError]
) -> None:
    decoder = CompletionDecoder()
    decoder.feed(WORDS + line({"choices": [{"delta": {}, "finish_reason": reason}]}))
    assert type(failure_of(decoder)) is kind


def test_what_is_no_error_is_none() -> None:
    decoder = CompletionDecoder()
    for payload in (
        {"message": "still reading"},
        {"type": "ping"},
        {"choices": [], "message": "x"},
    ):
        decoder.feed(line(payload))
    assert not decoder.has_failed


def test_an_answer_without_one_byte_is_empty_rather_than_cut() -> None:
    decoder = CompletionDecoder()
    decoder.finish()
    assert isinstance(failure_of(decoder), errors.EmptyAnswerError)
    decoder = CompletionDecoder()
    decoder.feed(b": reading\n\n")
    assert isinstance(failure_of(decoder), errors.TruncatedStreamError)


@pytest.mark.parametrize(
    ("text", "limit", "prompt"),
    [
        (
            (
                "Trying to keep the first 9025 tokens when context the overflows. However, the model "
                "is loaded with context length of only 4096 tokens, which is not enough."
            ),
            4096,
            9025,
        ),
        (
            (
                "The number of tokens to keep from the initial prompt is greater than the context "
                "length (n_keep: 13055>= n_ctx: 4096). Try to load the model with a larger context "
                "length, or provide a shorter input."
            ),
            4096,
            13055,
        ),
        (
            (
                'Engine protocol predict request returned 400: {"error":{"code":400,"message":'
                '"request (9025 tokens) exceeds the available context size (8192 tokens), try '
                'increasing it","type":"exceed_context_size_error","n_prompt_tokens":9025,'
                '"n_ctx":8192}}'
            ),
            8192,
            9025,
        ),
        (
            (
                "This model's maximum context length is 4096 tokens. However, your request has "
                "9025 input tokens. Please reduce the length of the input messages."
            ),
            4096,
            9025,
        ),
        (
            (
                "This model's maximum context length is 4096 tokens. However, you requested 9537 "
                "tokens (9025 in the messages, 512 in the completion). Please reduce the length."
            ),
            4096,
            9025,
        ),
        (
            "The decoder prompt (length 9025) is longer than the maximum model length of 4096.",
            4096,
            9025,
        ),
        (
            (
                "The prompt (total length 9025) is too long to fit into the model (context length "
                "4096)."
            ),
            4096,
            9025,
        ),
        (REACHED, 4096, None),
        ("Cannot truncate prompt with n_keep (9025) >= n_ctx (4096)", 4096, 9025),
        (
            (
                "You passed 9025 input tokens and requested 1024 output tokens. However, the model's "
                "context length is only 4096 tokens, resulting in a maximum input length of 3072 "
                "tokens. Please reduce the length of the input prompt."
            ),
            4096,
            9025,
        ),
        (
            (
                "You passed 60001 input characters and requested 1024 output tokens. However, the "
                "model's context length is only 4096 tokens, resulting in a maximum input length of "
                "3072 tokens (at most 49152 characters)."
            ),
            4096,
            None,
        ),
        (
            "The input (9025 tokens) is longer than the model's context length (4096 tokens).",
            4096,
            9025,
        ),
        (
            (
                "Requested token count exceeds the model's maximum context length of 4096 tokens. You "
                "requested a total of 10049 tokens: 9025 tokens from the input messages and 1024 "
                "tokens for the completion."
            ),
            4096,
            9025,
        ),
        ("Input length (9025) exceeds model's maximum context length (4096).", 4096, 9025),
        (
            (
                "Input length (9025 tokens) exceeds the maximum allowed length (4096 tokens). Use a "
                "shorter input or enable --allow-auto-truncate."
            ),
            4096,
            9025,
        ),
        (
            (
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: "
                "9025 `inputs` tokens and 1024 `max_new_tokens`"
            ),
            4096,
            9025,
        ),
        ("Prompt length 9025 is greater than max_seq_len 4096", 4096, 9025),
        (
            "Prompt too long: 9025 tokens exceeds max context window of 4096 tokens",
            4096,
            9025,
        ),
    ],
)
def test_an_overflow_names_the_real_limit(text: str, limit: int, prompt: int | None) -> None:
    for failure in (classify(400, json.dumps({"error": text})), classify_event({"message": text})):
        assert isinstance(failure, errors.ContextOverflowError)
        assert failure.limit_tokens == limit
        assert failure.prompt_tokens == prompt
        assert f"{limit:,}" in failure.sentence


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, "<!DOCTYPE html><pre>Internal Server Error</pre>", errors.ServerFaultError),
        (502, "<html>Bad Gateway</html>", errors.ServerFaultError),
        (503, "", errors.ServerFaultError),
        (504, "<html>", errors.ServerFaultError),
        (413, "<html>", errors.PayloadTooLargeError),
        (429, "{}", errors.BusyError),
        (400, "", errors.InvalidRequestError),
        (404, "<html>", errors.WrongEndpointError),
        (302, "", errors.RedirectError),
        (307, "", errors.RedirectError),
        (401, "", errors.AuthenticationError),
        (403, "", errors.PermissionDeniedError),
        (200, "upstream failure", errors.ServerFaultError),
        (
            400,
            "Client sent an HTTP request to an HTTPS server.",
            errors.TlsError,
        ),
    ],
)
def test_without_a_known_text_the_status_decides(
    status: int, body: str, kind: type[BackendError]
) -> None:
    assert type(classify(status, body)) is kind


@pytest.mark.parametrize(
    "text",
    [
        "stop: the text exceeds the maximum allowed length of 64",
        "The file's name is longer than the allowed length",
        "The upload exceeds the maximum model size of 40 GB",
        "`max_new_tokens` must be <= 512. Given: 1024",
        "Membership error: you aren't entitled to this",
    ],
)
def test_another_refusal_is_no_prompt_that_is_too_long_and_no_broken_engine(text: str) -> None:
    assert type(classify(400, json.dumps({"error": text}))) is errors.InvalidRequestError


def test_of_two_lengths_the_limit_is_the_one_that_is_exceeded() -> None:
    failure = classify(400, "A prompt of context length 9000 exceeds the context length 4096")
    assert isinstance(failure, errors.ContextOverflowError)
    assert failure.limit_tokens == 4096


def test_an_event_stream_with_a_status_is_read_too() -> None:
    body = 'event: error\ndata: {"error":{"message":"Compute error."}}\n\n'
    assert type(classify(400, body)) is errors.ComputeError


def test_the_name_of_a_refused_field_is_found() -> None:
    failure = classify(400, json.dumps({"error": "Invalid option for 'reasoning_effort'"}))
    assert isinstance(failure, errors.InvalidRequestError)
    assert failure.fields == ("reasoning_effort",)


@pytest.mark.parametrize(
    "text",
    ["Model 'x' does not expose reasoning configuration.", '"x" does not support thinking'],
)
def test_a_model_that_takes_no_wish_about_thinking_names_that_field(text: str) -> None:
    failure = classify(400, json.dumps({"error": text}))
    assert isinstance(failure, errors.InvalidRequestError)
    assert failure.fields == ("reasoning_effort",)


def test_the_body_of_a_refused_token_is_kept_nowhere() -> None:
    failure = classify(401, json.dumps({"error": {"message": f"Malformed token: {TOKEN}"}}))
    assert "sk-bogus" not in f"{failure!r} {failure} {failure.sentence} {failure.args}"


def test_a_busy_server_says_when_to_come_back() -> None:
    failure = classify(429, "", "7")
    assert isinstance(failure, errors.BusyError)
    assert failure.retry_after_s == 7


@pytest.mark.parametrize("payload", [None, 7, [], {}, [[[["x"]]]], {"a": {"b": None}}, True])
def test_any_payload_leads_to_a_failure(payload: object) -> None:
    assert isinstance(classify_event(payload), BackendError)
    assert isinstance(classify(400, json.dumps(payload)), BackendError)
