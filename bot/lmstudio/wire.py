"""The body of a request, from a fixed schema: nothing a person says can add a field to it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any, Final

from bot.core.domain import ChatTurn, Reasoning, Role

REASONING_EFFORTS: Final = {
    Reasoning.OFF: "none",
    Reasoning.ON: "medium",
    Reasoning.LOW: "low",
    Reasoning.MEDIUM: "medium",
    Reasoning.HIGH: "high",
}
"""Values of ``reasoning_effort`` (OpenAI's chat completions; LM Studio takes ``none`` too)."""


_LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh")

_NONE: Final = "none"

_ON: Final = "medium"
"""What switches thinking on where a model only knows on and off (lmstudio-bug-tracker #2057)."""

_OFF_OPTIONS: Final = frozenset({"off", "none"})


def normalise(turns: Iterable[ChatTurn], *, fold_system: bool = False) -> tuple[ChatTurn, ...]:
    """Return turns in the form that every prompt template takes.

    One system turn at most, first; then user and assistant in alternation, beginning and ending
    with user; no empty text. An assistant turn at either end is left out.

    Args:
        turns: Any turns.
        fold_system: Put the system text before the first user turn, for templates without the role.
    """
    system: list[str] = []
    merged: list[ChatTurn] = []
    for turn in turns:
        if not turn.text.strip() and not turn.images:
            continue
        if turn.role is Role.SYSTEM:
            system.append(turn.text)
        elif merged and merged[-1].role is turn.role:
            last = merged[-1]
            text = "\n\n".join(part for part in (last.text, turn.text) if part)
            merged[-1] = ChatTurn(turn.role, text, last.images + turn.images)
        else:
            merged.append(turn)
    while merged and merged[0].role is not Role.USER:
        merged.pop(0)
    while merged and merged[-1].role is not Role.USER:
        merged.pop()
    if not merged:
        merged = [ChatTurn(Role.USER, "(no text)")]
    preamble = "\n\n".join(system)
    if preamble and fold_system:
        first = merged[0]
        merged[0] = ChatTurn(first.role, f"{preamble}\n\n{first.text}", first.images)
    elif preamble:
        merged.insert(0, ChatTurn(Role.SYSTEM, preamble))
    return tuple(merged)


def encode_body(
    *,
    model: str | None,
    turns: Iterable[ChatTurn],
    temperature: float,
    top_p: float,
    max_tokens: int,
    reasoning_effort: str | None,
    include_usage: bool = True,
) -> bytes:
    """Return the JSON body of ``POST /v1/chat/completions``.

    Raises:
        ValueError: A number isn't finite.
    """
    body: dict[str, Any] = {
        "messages": [_message(turn) for turn in turns],
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "stream": True,
    }
    if model is not None:
        body["model"] = model
    if include_usage:
        body["stream_options"] = {"include_usage": True}
    if reasoning_effort is not None:
        body["reasoning_effort"] = reasoning_effort
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _message(turn: ChatTurn) -> dict[str, Any]:
    if not turn.images:
        return {"role": turn.role.value, "content": turn.text}
    parts: list[dict[str, Any]] = []
    if turn.text:
        parts.append({"type": "text", "text": turn.text})
    parts += [
        {"type": "image_url", "image_url": {"url": url}}
        for url in turn.images
        if url.startswith("data:image/")
    ]
    return {"role": turn.role.value, "content": parts}


def fitting(effort: str | None, options: Collection[str]) -> str | None:
    """Return the ``reasoning_effort`` to send to a model; ``None`` leaves it out.

    Args:
        effort: What was asked for, as on the wire.
        options: What the model's listing offers; empty when it doesn't say.
    """
    if effort is None or not options or effort in options:
        return effort
    if effort == _NONE:
        return _NONE if _OFF_OPTIONS & set(options) else None
    levels = [level for level in _LEVELS if level in options]
    if levels:
        wanted = _LEVELS.index(effort)
        return min(levels, key=lambda level: abs(_LEVELS.index(level) - wanted))
    return _ON if "on" in options else None


def offered(options: Collection[str]) -> list[str]:
    """Return the values of the setting that mean something to a model, ``auto`` first."""
    if not options:
        return [value.value for value in Reasoning]
    known = [Reasoning.AUTO.value]
    if _OFF_OPTIONS & set(options):
        known.append(Reasoning.OFF.value)
    named = (Reasoning.ON, Reasoning.LOW, Reasoning.MEDIUM, Reasoning.HIGH)
    return known + [value.value for value in named if value.value in options]
