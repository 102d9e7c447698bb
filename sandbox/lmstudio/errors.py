"""LM Studio's errors, word by word as reported on lmstudio-bug-tracker and by client projects."""

from __future__ import annotations

import json
from typing import Any

from sandbox.lmstudio.values import ErrorReply


class RefusalError(Exception):
    """A request ends with this error."""

    def __init__(self, reply: ErrorReply) -> None:
        super().__init__(reply.message)
        self.reply = reply


def bare(message: str, status: int = 400) -> ErrorReply:
    """Return the form ``{"error": "text"}``, usual on ``/v1`` and for engine failures."""
    return ErrorReply(status, {"error": message}, message)


def openai(
    message: str, *, status: int = 400, param: str | None = None, code: str | None = None
) -> ErrorReply:
    """Return OpenAI's error object."""
    error = {
        "message": message,
        "type": "invalid_request_error",
        "param": param,
        "code": code,
    }
    return ErrorReply(status, {"error": error}, message)


def native(
    message: str,
    *,
    status: int = 400,
    kind: str = "invalid_request",
    code: str | None = None,
    param: str | None = None,
) -> ErrorReply:
    """Return the error object of the native routes."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if code:
        error["code"] = code
    if param:
        error["param"] = param
    return ErrorReply(status, {"error": error}, message)


def html(status: int, title: str, *, proxy: bool = False) -> ErrorReply:
    """Return an HTML page: Express's own for 500, a proxy's for the other_servers."""
    if proxy:
        page = (
            f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n"
            f"<center><h1>{status} {title}</h1></center>\r\n<hr><center>nginx/1.26.2</center>\r\n"
            "</body>\r\n</html>\r\n"
        )
        return ErrorReply(status, page, title, "text/html")
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n'
        f"</head>\n<body>\n<pre>{title}</pre>\n</body>\n</html>\n"
    )
    return ErrorReply(status, page, title, "text/html; charset=utf-8")


NATIVE_TYPES = frozenset(
    {
        "invalid_request",
        "unknown",
        "mcp_connection_error",
        "plugin_connection_error",
        "not_implemented",
        "model_not_found",
        "job_not_found",
        "internal_error",
    }
)
"""The types that LM Studio documents for errors of the native routes."""

TOKEN_MISSING = native(
    "An LM Studio API token is required to make requests to this server, but none was provided "
    "using the Authorization header using the 'Bearer' scheme (i.e., 'Authorization: Bearer "
    "$LM_API_TOKEN'). Learn more at: https://lmstudio.ai/docs/developer/core/authentication.",
    status=401,
    code="invalid_api_key",
)
FORBIDDEN = native("Permission denied to use plugin mcp/playwright", status=403)
UNLOADED = bare("Model is unloaded.")
POOL_FULL_MESSAGE = (
    'Engine protocol predict stream returned an error: {"code":500,'
    '"message":"Context size has been exceeded.","type":"server_error"}'
)
POOL_FULL = bare(POOL_FULL_MESSAGE)
IMAGES_UNSUPPORTED = bare("Model does not support images. Please use a model that does.")
IMAGE_UNREADABLE = bare("Failed to load image or audio file")
MESSAGES_REQUIRED = bare("'messages' field is required")
NOT_ITERABLE = bare("[Server Error] _0x48eeaf is not iterable")
RESPONSE_FORMAT = bare("'response_format.type' must be 'json_schema' or 'text'")
NO_MODELS_03 = bare(
    "No models loaded. Please load a model in the developer page or use the `lms load` command",
    status=404,
)
NO_MODELS = openai(
    "No models loaded. Please load a model in the developer page or use the 'lms load' command.",
    param="model",
)
MULTIPLE_MODELS = openai(
    "Multiple models are loaded. Please specify a model by providing a 'model' field.",
    param="model",
    code="model_not_found",
)


def token_malformed(token: str) -> ErrorReply:
    """Return the 401 for a wrong token, which echoes the token's beginning."""
    shown = token[:10] + "*" * 14
    return native(
        f"Malformed LM Studio API token provided: {shown}", status=401, code="invalid_api_key"
    )


def unexpected_endpoint(method: str, path: str) -> ErrorReply:
    """Return what LM Studio says, with status 200, to a path it doesn't know."""
    return bare(f"Unexpected endpoint or method. ({method} {path})", status=200)


def model_not_found(name: str) -> ErrorReply:
    """Return the error for a name that is no downloaded chat model."""
    return openai(
        f'Invalid model identifier "{name}". Please specify a valid downloaded model '
        "(e.g., qwen/qwen3-next-80b).",
        param="model",
        code="model_not_found",
    )


def overflow_keep_first(prompt_tokens: int, context_tokens: int) -> ErrorReply:
    """Return the overflow error of about 0.3.20 and before."""
    return bare(
        f"Trying to keep the first {prompt_tokens} tokens when context the overflows. However, the "
        f"model is loaded with context length of only {context_tokens} tokens, which is not enough."
        " Try to load the model with a larger context length, or provide a shorter input"
    )


def overflow_n_keep(prompt_tokens: int, context_tokens: int) -> ErrorReply:
    """Return the overflow error of later 0.3 and early 0.4."""
    return bare(
        "The number of tokens to keep from the initial prompt is greater than the context length "
        f"(n_keep: {prompt_tokens}>= n_ctx: {context_tokens}). Try to load the model with a larger "
        "context length, or provide a shorter input."
    )


def overflow_uncounted(_prompt_tokens: int, _context_tokens: int) -> ErrorReply:
    """Return the overflow error of 0.3 and 0.4 without its counts (lmstudio-bug-tracker #2205)."""
    return bare(
        "The number of tokens to keep from the initial prompt is greater than the context length. "
        "Try to load the model with a larger context length, or provide a shorter input"
    )


def overflow_engine(prompt_tokens: int, context_tokens: int) -> ErrorReply:
    """Return the overflow error of the engine-protocol era: JSON inside a string."""
    inner = {
        "error": {
            "code": 400,
            "message": f"request ({prompt_tokens} tokens) exceeds the available context size "
            f"({context_tokens} tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": prompt_tokens,
            "n_ctx": context_tokens,
        }
    }
    text = json.dumps(inner, separators=(",", ":"))
    return bare(f"Engine protocol predict request returned 400: {text}")


def jinja(inner: str, status: int = 400) -> ErrorReply:
    """Return a chat template's error."""
    return bare(
        f'Error rendering prompt with jinja template: "{inner}".\n\nThis is usually an issue with '
        "the model's prompt template. If you are using a popular model, you can try to search the "
        "model under lmstudio-community, which will have fixed prompt templates. If you cannot "
        "find one, you are welcome to post this issue to our discord or issue tracker on GitHub. "
        "Alternatively, if you know how to write jinja templates, you can override the prompt "
        "template in My Models > model settings > Prompt Template.",
        status,
    )


def load_failed(name: str, reason: str, status: int = 400) -> ErrorReply:
    """Return a failed load as ``/v1`` words it."""
    return bare(f'Failed to load model "{name}". Error: {reason}', status)


GUARDRAIL_REASON = (
    "Model loading was stopped due to insufficient system resources. Under the current settings, "
    "this model requires approximately 62.41 GB of memory, and continuing to load it would likely "
    "overload your system and cause it to freeze. If you think this is incorrect, you can adjust "
    "the model loading guardrails in settings."
)


def zod(path: str, expected: str, received: str) -> ErrorReply:
    """Return a validation error: a list of issues dumped as a string."""
    issues = [
        {
            "code": "invalid_type",
            "expected": expected,
            "received": received,
            "path": [path],
            "message": f"Expected {expected}, received {received}",
        }
    ]
    return bare(json.dumps(issues, indent=2))
