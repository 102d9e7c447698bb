"""What LM Studio does with a request's body: validation, chat template, tokens."""

from __future__ import annotations

import hashlib
from typing import Any

from sandbox.lmstudio import errors
from sandbox.lmstudio.errors import RefusalError
from sandbox.lmstudio.tokens import IMAGE_TOKENS, tokenize
from sandbox.lmstudio.values import Model

KNOWN_FIELDS = frozenset(
    [
        "model",
        "messages",
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "seed",
        "logit_bias",
        "stream",
        "stream_options",
        "response_format",
        "tools",
        "tool_choice",
        "ttl",
        "draft_model",
        "preset",
        "reasoning_effort",
    ]
)
_NUMBERS = ("temperature", "top_p", "min_p", "repeat_penalty", "presence_penalty")
_INTEGERS = ("max_tokens", "max_completion_tokens", "top_k", "seed", "ttl")
EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh"})
_ANSWER_OPENING = ("<|im_start|>", "assistant", "\n")
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


def _received(value: object) -> str:
    names = {bool: "boolean", str: "string", int: "number", float: "number", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def validate(body: object) -> dict[str, Any]:
    """Check a chat completion's body the way LM Studio does.

    Returns:
        The body.

    Raises:
        RefusalError: With LM Studio's text.
    """
    if not isinstance(body, dict) or "messages" not in body:
        raise RefusalError(errors.MESSAGES_REQUIRED)
    if not isinstance(body["messages"], list):
        raise RefusalError(errors.NOT_ITERABLE)
    for name in _NUMBERS + _INTEGERS:
        value = body.get(name)
        if value is not None and not _is_number(value):
            raise RefusalError(errors.zod(name, "number", _received(value)))
        if name in _INTEGERS and isinstance(value, float) and value != int(value):
            raise RefusalError(errors.zod(name, "integer", "float"))
    if not isinstance(body.get("stream", False), bool):
        raise RefusalError(errors.zod("stream", "boolean", _received(body["stream"])))
    if not isinstance(body.get("model", ""), str):
        raise RefusalError(errors.zod("model", "string", _received(body["model"])))
    _validate_choices(body)
    for message in body["messages"]:
        _validate_message(message)
    return body


def _validate_choices(body: dict[str, Any]) -> None:
    response_format = body.get("response_format")
    if response_format is not None and (
        not isinstance(response_format, dict)
        or response_format.get("type") not in {"json_schema", "text"}
    ):
        raise RefusalError(errors.RESPONSE_FORMAT)
    effort = body.get("reasoning_effort")
    if effort is not None and effort not in EFFORTS:
        raise RefusalError(errors.zod("reasoning_effort", "'low' | 'medium' | 'high'", str(effort)))


def _validate_message(message: object) -> None:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        raise RefusalError(
            errors.bare("'messages' array must only contain objects with a 'role' field")
        )
    content = message.get("content")
    if isinstance(content, str) or (content is None and message["role"] == "assistant"):
        return
    if not isinstance(content, list):
        raise RefusalError(errors.zod("content", "string", _received(content)))
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            continue
        url = part.get("image_url") if kind == "image_url" else None
        if not isinstance(url, dict) or not isinstance(url.get("url"), str):
            raise RefusalError(
                errors.bare("Invalid discriminator value. Expected 'text' | 'image_url'")
            )
        if not url["url"].startswith("data:image/"):
            raise RefusalError(errors.bare("'url' field must be a base64 encoded image."))


def unknown_fields(body: dict[str, Any]) -> tuple[str, ...]:
    """Return top-level names that LM Studio ignores silently."""
    return tuple(sorted(set(body) - KNOWN_FIELDS))


def check_template(model: Model, messages: list[dict[str, Any]]) -> None:
    """Apply the model's chat template rules.

    Raises:
        RefusalError: With the template's text.
    """
    roles = ["system" if m["role"] == "developer" else m["role"] for m in messages]
    if "no_system" in model.template and "system" in roles:
        raise RefusalError(errors.jinja("System role not supported"))
    if "system_first" in model.template and "system" in roles[1:]:
        raise RefusalError(errors.jinja("System message must be at the beginning."))
    if "user_required" in model.template and "user" not in roles:
        raise RefusalError(errors.jinja("No user query found in messages."))
    if "alternate" in model.template:
        turns = roles[1:] if roles and roles[0] == "system" else roles
        expected = ["user" if index % 2 == 0 else "assistant" for index in range(len(turns))]
        if turns != expected:
            raise RefusalError(
                errors.jinja("Conversation roles must alternate user/assistant/user/assistant/...")
            )


def has_images(messages: list[dict[str, Any]]) -> bool:
    """Return whether any message carries an image."""
    return any(
        part.get("type") == "image_url"
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )


def text_of(message: dict[str, Any]) -> str:
    """Return a message's text parts, joined."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def render(messages: list[dict[str, Any]]) -> list[str]:
    """Return the prompt's tokens: ChatML, each message's content tokenised by itself.

    A message therefore costs the same tokens wherever it stands, and a reply that comes back as
    history matches what is in the cache.
    """
    tokens: list[str] = []
    for message in messages:
        role = "system" if message["role"] == "developer" else message["role"]
        tokens += ["<|im_start|>", role, "\n"]
        content = message.get("content")
        parts: list[dict[str, Any]] = (
            content if isinstance(content, list) else [{"text": content or ""}]
        )
        for part in parts:
            if part.get("type") == "image_url":
                digest = hashlib.sha256(part["image_url"]["url"].encode()).hexdigest()[:12]
                tokens += [f"<|image:{digest}|>"] * IMAGE_TOKENS
            else:
                tokens += tokenize(part["text"])
        tokens += ["<|im_end|>", "\n"]
    return [*tokens, *_ANSWER_OPENING]


def turn_tokens(message: dict[str, Any]) -> int:
    """Return how many of a prompt's tokens one message is."""
    return len(render([message])) - len(_ANSWER_OPENING)


def truncate_middle(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what LM Studio's default policy keeps: system, first exchange, last message."""
    system = [m for m in messages[:1] if m["role"] in {"system", "developer"}]
    rest = messages[len(system) :]
    return messages if len(rest) <= 3 else [*system, *rest[:2], rest[-1]]
