"""A chat completion on the wire: its request, and its reply as it arrives, streamed or as one body.

The request is built from a fixed schema: nothing a person says can add a field to it. The reply's
format is OpenAI's chat completion object and chunk, as LM Studio's documentation of
``POST /v1/chat/completions`` gives it, in server-sent events of the WHATWG HTML standard. Every
field is checked for its type, because a server may send anything, and one event and the whole stream
have a size limit, because the other end isn't trusted with our memory. Beyond the standard, a line
that is bare JSON and an ``error:`` field count as data, and an event needs no blank line before the
end of the stream: servers do all three.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

from bot.core.domain import ChatTurn, Reasoning, Role, Usage

REASONING_EFFORTS: Final = {
    Reasoning.OFF: "none",
    Reasoning.ON: "medium",
    Reasoning.LOW: "low",
    Reasoning.MEDIUM: "medium",
    Reasoning.HIGH: "high",
}
"""Values of ``reasoning_effort`` (OpenAI's chat completions; LM Studio takes ``none`` too)."""


_LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh")

_ON: Final = "medium"
"""What switches thinking on where a model only knows on and off (lmstudio-bug-tracker #2057)."""

_OFF_OPTIONS: Final = frozenset({"off", "none"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask, as it stands after the remedies so far.

    Attributes:
        model: Model key; ``None`` for whichever is loaded.
        turns: The conversation.
        prompt_tokens: Estimate of the prompt's size.
        max_tokens: Longest answer.
        reasoning_effort: As on the wire; ``None`` leaves it out.
        include_usage: Ask for token counts.
        fold_system: The template takes no system role.
        remarks: Sentences for the person about what was changed.
        tried: Names of the remedies used up.
    """

    model: str | None
    turns: tuple[ChatTurn, ...]
    prompt_tokens: int
    max_tokens: int
    reasoning_effort: str | None = None
    include_usage: bool = True
    fold_system: bool = False
    remarks: tuple[str, ...] = ()
    tried: frozenset[str] = frozenset()

    def noting(self, remark: str) -> Plan:
        """Return this plan with a remark, once."""
        if remark in self.remarks:
            return self
        return replace(self, remarks=(*self.remarks, remark))

    def having_tried(self, remedy: str) -> Plan:
        """Return this plan with a remedy used up."""
        return replace(self, tried=self.tried | {remedy})

    @property
    def has_images(self) -> bool:
        """Whether any turn has an image."""
        return any(turn.images for turn in self.turns)


def normalise(turns: Iterable[ChatTurn], *, fold_system: bool = False) -> tuple[ChatTurn, ...]:
    """Return turns in the form that every prompt template takes.

    One system turn at most, first; then user and assistant in alternation, beginning and ending
    with user; no empty text. An assistant turn at either end is left out.

    Args:
        turns: Any turns.
        fold_system: Put the system text before the first user turn, for templates without the role.
    """
    given = [turn for turn in turns if turn.text.strip() or turn.images]
    preamble = "\n\n".join(turn.text for turn in given if turn.role is Role.SYSTEM)
    merged = _merged(turn for turn in given if turn.role is not Role.SYSTEM)
    while merged and merged[0].role is not Role.USER:
        merged.pop(0)
    while merged and merged[-1].role is not Role.USER:
        merged.pop()
    if not merged:
        merged = [ChatTurn(Role.USER, "(no text)")]
    if preamble and fold_system:
        first = merged[0]
        merged[0] = ChatTurn(first.role, f"{preamble}\n\n{first.text}", first.images)
    elif preamble:
        merged.insert(0, ChatTurn(Role.SYSTEM, preamble))
    return tuple(merged)


def _merged(turns: Iterable[ChatTurn]) -> list[ChatTurn]:
    """Return turns with those in a row that have one role made one."""
    merged: list[ChatTurn] = []
    for turn in turns:
        if merged and merged[-1].role is turn.role:
            last = merged[-1]
            text = "\n\n".join(part for part in (last.text, turn.text) if part)
            merged[-1] = ChatTurn(turn.role, text, last.images + turn.images)
        else:
            merged.append(turn)
    return merged


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


def fitting(effort: str | None, options: Collection[str] | None) -> str | None:
    """Return the ``reasoning_effort`` to send to a model; ``None`` leaves it out.

    Args:
        effort: What was asked for, as on the wire.
        options: What the model's listing offers; ``None`` when it doesn't say.
    """
    if effort is None or options is None or effort in options:
        return effort
    if effort == "none":
        return effort if _OFF_OPTIONS & set(options) else None
    levels = [level for level in _LEVELS if level in options]
    if levels:
        wanted = _LEVELS.index(effort)
        return min(levels, key=lambda level: abs(_LEVELS.index(level) - wanted))
    return _ON if "on" in options else None


def offered(options: Collection[str] | None) -> list[str]:
    """Return the values of the setting that mean something to a model, ``auto`` first."""
    if options is None:
        return [value.value for value in Reasoning]
    known = [Reasoning.AUTO.value]
    if _OFF_OPTIONS & set(options):
        known.append(Reasoning.OFF.value)
    named = (Reasoning.ON, Reasoning.LOW, Reasoning.MEDIUM, Reasoning.HIGH)
    return known + [value.value for value in named if value.value in options]


MAX_EVENT_BYTES: Final = 256 * 1024
"""Largest event, comments before it included; LM Studio's are about 300 bytes."""

MAX_STREAM_BYTES: Final = 4 * 1024 * 1024
"""Largest stream, comments included; about 12,000 deltas."""

_BOM: Final = b"\xef\xbb\xbf"

_MAX_NAME_CHARS: Final = 300

_UNREAD_BYTES: Final = 2000

_BROKEN_OFF: Final = frozenset({"error", "failed", "abort", "aborted", "modelUnloaded"})
"""Finish reasons of an answer that isn't whole: LM Studio's own, and other servers'."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_json: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def parse_json(data: bytes | str) -> object:
    """Parse JSON of bounded size from an untrusted source.

    Raises:
        ValueError: It isn't JSON (NaN and Infinity aren't either), or it is nested too deeply.
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    try:
        if text.startswith("{"):
            value, end = _json.raw_decode(text)
            if end == len(text):
                return value
        return _json.decode(text.removeprefix("\ufeff"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


class SseDecoder:
    """Turn pieces of a byte stream into the data of its events.

    Attributes:
        exceeded: A limit was exceeded; everything after it is ignored.
        received_bytes: Bytes fed so far.
    """

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_data",
        "_event_bytes",
        "_limit_bytes",
        "_partial",
        "exceeded",
        "received_bytes",
    )

    def __init__(self, limit_bytes: int = MAX_STREAM_BYTES) -> None:
        """Start before the first byte.

        Args:
            limit_bytes: Largest size of the whole stream.
        """
        self.exceeded = False
        self.received_bytes = 0
        self._limit_bytes = limit_bytes
        self._partial = bytearray()
        self._data: list[bytes] = []
        self._event_bytes = 0
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next piece and return the data of every event it completed, in order."""
        self.received_bytes += len(chunk)
        if self.exceeded or not chunk:
            return []
        if self.received_bytes > self._limit_bytes:
            self.exceeded = True
            return []
        chunk = self._with_plain_newlines(chunk)
        cut = chunk.rfind(b"\n")
        if cut < 0:
            self._keep(chunk)
            return []
        block = bytes(self._partial) + chunk[:cut] if self._partial else chunk[:cut]
        self._partial.clear()
        if self._at_start:
            self._at_start = False
            block = block.removeprefix(_BOM)
        events = self._lines(block.split(b"\n"))
        self._keep(chunk[cut + 1 :])
        return events

    def finish(self) -> list[bytes]:
        """Return the event that the end of the stream completes, if there is one."""
        if self.exceeded:
            return []
        last = bytes(self._partial)
        self._partial.clear()
        if self._at_start:
            last = last.removeprefix(_BOM)
        return self._lines([last, b""])

    def _with_plain_newlines(self, chunk: bytes) -> bytes:
        """Turn CRLF and lone CR into LF; a CR at the very end may be half of a CRLF."""
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = not chunk
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _keep(self, rest: bytes) -> None:
        self._partial += rest
        if len(self._partial) + self._event_bytes > MAX_EVENT_BYTES:
            self.exceeded = True
            self._partial.clear()
            self._data.clear()

    def _lines(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        data = self._data
        for line in lines:
            if not line:
                if data:
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
                    self._event_bytes = 0
                continue
            self._event_bytes += len(line)
            if self._event_bytes > MAX_EVENT_BYTES:
                self.exceeded = True
                data.clear()
                break
            if line.startswith(b"data:"):
                data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line.startswith(b"{"):
                data.append(line)
            elif line.startswith(b"error:"):
                data.append(b'{"error":' + line[6:] + b"}")
        return events


REASONING_FIELDS: Final = ("reasoning_content", "reasoning")
"""Where thinking comes apart from the text; LM Studio's names, of which the first is looked at first."""


class CompletionDecoder:
    """Decode one completion.

    Attributes:
        is_done: The end mark ``[DONE]`` came, or a whole reply did.
        finish_reason: The server's own word, once it came.
        usage: Token counts, once they came.
        model: The model that answers, once it was named.
        failure: The payload of an error that came inside the stream; decoding stops there.
        is_malformed: Something came that isn't allowed; decoding stops there.
        unread: The beginning of an event that is no JSON; an error's text may stand there.
        has_content: Text other than white space came.
        has_reasoning: Reasoning came.
        pieces: How many pieces of text and reasoning came; servers send one for a token or a few.
    """

    __slots__ = (
        "_carry",
        "_sse",
        "failure",
        "finish_reason",
        "has_content",
        "has_reasoning",
        "is_done",
        "is_malformed",
        "model",
        "pieces",
        "reasoning_field",
        "unread",
        "usage",
    )

    def __init__(self, limit_bytes: int = MAX_STREAM_BYTES) -> None:
        """Start before the first byte.

        Args:
            limit_bytes: Largest size of the whole stream.
        """
        self._sse = SseDecoder(limit_bytes)
        self._carry = ["", ""]
        self.is_done = False
        self.is_malformed = False
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.model: str | None = None
        self.failure: object = None
        self.unread = ""
        self.has_content = False
        self.has_reasoning = False
        self.reasoning_field = ""
        self.pieces = 0

    @property
    def has_ended(self) -> bool:
        """The completion is whole: an end mark or a finish reason came."""
        return self.is_done or self.finish_reason is not None

    @property
    def is_whole(self) -> bool:
        """It has ended with text; an error after that takes nothing from it."""
        return self.has_ended and self.has_content

    @property
    def is_blank(self) -> bool:
        """Not one byte came: the server ended the answer before it began."""
        return not self._sse.received_bytes

    @property
    def has_failed(self) -> bool:
        """Nothing more can come of this stream."""
        return self.is_malformed or self.failure is not None

    def feed(self, chunk: bytes) -> tuple[str, str]:
        """Take the next bytes; return the content and the reasoning that they brought, joined."""
        return self._events(self._sse.feed(chunk))

    def finish(self) -> tuple[str, str]:
        """Take the end of the stream; return what it completed.

        An event that the end cut in two is no malformed one: the stream is merely not whole.
        """
        was_malformed = self.is_malformed
        content, reasoning = self._events(self._sse.finish())
        self.is_malformed = was_malformed
        content += self._carry[0] and "\ufffd"
        reasoning += self._carry[1] and "\ufffd"
        self._carry = ["", ""]
        return content, reasoning

    def accept_reply(self, reply: object) -> tuple[str, str]:
        """Take a whole reply that came as one JSON body instead of a stream."""
        content: list[str] = []
        reasoning: list[str] = []
        self._payload(reply, content, reasoning)
        self.is_done = True
        return self._joined(content, reasoning)

    def _events(self, events: list[bytes]) -> tuple[str, str]:
        content: list[str] = []
        reasoning: list[str] = []
        for data in events:
            if self.is_done or self.is_malformed or self.failure is not None:
                break
            if data.startswith(b"[DONE]"):
                self.is_done = True
            elif data.strip():
                try:
                    payload = parse_json(data)
                except ValueError:
                    self.is_malformed = True
                else:
                    self._payload(payload, content, reasoning)
                if self.is_malformed:
                    self.unread = data[:_UNREAD_BYTES].decode("utf-8", "replace")
        if self._sse.exceeded:
            self.is_malformed = True
        return self._joined(content, reasoning)

    def _payload(self, payload: object, content: list[str], reasoning: list[str]) -> None:
        if type(payload) is not dict:
            self.is_malformed = True
            return
        choices = payload.get("choices")
        if type(choices) is list and choices and type(choices[0]) is dict:
            error = payload.get("error")
            if type(reason := choices[0].get("finish_reason")) is str:
                error = error or self._note_end(reason)
            delta = choices[0].get("delta") or choices[0].get("message")
            if type(delta) is dict:
                self._delta(delta, content, reasoning)
        else:
            error = payload.get("error") or _bare_error(payload)
        if error:
            self.failure = error
            return
        if self.model is None and type(name := payload.get("model")) is str and name:
            self.model = name[:_MAX_NAME_CHARS]
        if usage := payload.get("usage"):
            self.usage = _usage(usage) or self.usage

    def _delta(self, delta: dict[str, Any], content: list[str], reasoning: list[str]) -> None:
        if text := delta.get("content"):
            content.append(text if type(text) is str else _text_of_parts(text))
        if text := delta.get("reasoning_content") or delta.get("reasoning"):
            reasoning.append(text if type(text) is str else _text_of_parts(text))
            self.reasoning_field = self.reasoning_field or _field_of(delta)

    def _note_end(self, reason: str) -> str | None:
        """Note why the answer ends; return the reason where it means a failure."""
        if reason in _BROKEN_OFF:
            return reason
        self.finish_reason = reason[:_MAX_NAME_CHARS]
        return None

    def _joined(self, content: list[str], reasoning: list[str]) -> tuple[str, str]:
        self.pieces += len(content) + len(reasoning)
        text = self._mended(0, "".join(content))
        thought = self._mended(1, "".join(reasoning))
        if text and not self.has_content and not text.isspace():
            self.has_content = True
        if thought:
            self.has_reasoning = True
        return text, thought

    def _mended(self, index: int, text: str) -> str:
        """Join surrogate pairs that were cut between events; replace those that stay alone."""
        carry = self._carry[index]
        if text.isascii() and not carry:
            return text
        text = carry + text
        self._carry[index] = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._carry[index] = text[-1]
            text = text[:-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text


def _bare_error(payload: dict[str, Any]) -> object:
    """Return the payload itself where it is an error without the wrapper of that name."""
    kind = f"{payload.get('object')} {payload.get('type')}"
    is_marked = "code" in payload or "error" in kind
    is_error = "detail" in payload or (is_marked and type(payload.get("message")) is str)
    return payload if is_error and "choices" not in payload else None


def _field_of(delta: dict[str, object]) -> str:
    """Return in which of the two fields thinking comes."""
    return next(name for name in REASONING_FIELDS if delta.get(name))


def _text_of_parts(parts: object) -> str:
    """Return the text of content given as a list of parts; other forms hold none."""
    if not isinstance(parts, list):
        return ""
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _usage(usage: object) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    details = usage.get("completion_tokens_details")
    reasoning = details.get("reasoning_tokens") if isinstance(details, dict) else 0
    of_prompt = usage.get("prompt_tokens_details")
    cached = of_prompt.get("cached_tokens") if isinstance(of_prompt, dict) else None
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        reasoning_tokens=_count(reasoning),
        cached_tokens=None if cached is None else _count(cached),
    )


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < 2**31 else 0
