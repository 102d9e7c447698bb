"""A chat completion as it arrives: text, reasoning, end mark, usage; streamed or as one body.

The format is OpenAI's chat completion object and chunk, as LM Studio's documentation of
``POST /v1/chat/completions`` gives it. This is the hot path. The deltas of one stream differ only in their text, so once one
has been parsed, the bytes before and after its text are a template: an event that fits it is read
by slicing, and parses to the same thing. Everything else is parsed as JSON, and every field is
checked for its type, because a server may send anything.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from bot.core.domain import Usage
from bot.lmstudio.sse import MAX_STREAM_BYTES, SseDecoder

_MAX_NAME_CHARS: Final = 300
_MAX_TEMPLATES: Final = 256
"""Templates learned per stream; a stream whose events all differ isn't worth learning from."""

_TEXT_START: Final = re.compile(rb'"(content|reasoning_content|reasoning)": ?"')
_SAMPLE: Final = "Zq7"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_scan: Final = json.JSONDecoder(parse_constant=_refuse_constant).decode


def parse_json(data: bytes | str) -> object:
    """Parse JSON of bounded size from an untrusted source.

    Raises:
        ValueError: It isn't JSON (NaN and Infinity aren't either), or it is nested too deeply.
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    try:
        return _scan(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


class CompletionDecoder:
    """Decode one completion.

    Attributes:
        is_done: The end mark ``[DONE]`` came, or a whole reply did.
        finish_reason: The server's own word, once it came.
        usage: Token counts, once they came.
        model: The model that answers, once it was named.
        failure: The payload of an error that came inside the stream; decoding stops there.
        is_malformed: Something came that isn't allowed; decoding stops there.
        has_content: Text other than white space came.
        has_reasoning: Reasoning came.
    """

    __slots__ = (
        "_carry",
        "_head",
        "_prefix",
        "_sse",
        "_suffix",
        "_tail",
        "_templates_left",
        "_text_index",
        "failure",
        "finish_reason",
        "has_content",
        "has_reasoning",
        "is_done",
        "is_malformed",
        "model",
        "usage",
    )

    def __init__(self, limit_bytes: int = MAX_STREAM_BYTES) -> None:
        """Start before the first byte.

        Args:
            limit_bytes: Largest size of the whole stream.
        """
        self._sse = SseDecoder(limit_bytes)
        self._carry = ["", ""]
        self._prefix = b""
        self._suffix = b""
        self._head = b""
        self._tail = b""
        self._text_index = 0
        self._templates_left = _MAX_TEMPLATES
        self.is_done = False
        self.is_malformed = False
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.model: str | None = None
        self.failure: object = None
        self.has_content = False
        self.has_reasoning = False

    @property
    def has_ended(self) -> bool:
        """The completion is whole: an end mark or a finish reason came."""
        return self.is_done or self.finish_reason is not None

    @property
    def has_failed(self) -> bool:
        """Nothing more can come of this stream."""
        return self.is_malformed or self.failure is not None

    def feed(self, chunk: bytes) -> tuple[str, str]:
        """Take the next bytes; return the content and the reasoning that they brought, joined."""
        if self._prefix and chunk.startswith(self._head) and chunk.endswith(self._tail):
            text = self._whole_event(chunk)
            if text is not None:
                if self._text_index:
                    return "", text
                if not self.has_content and text and not text.isspace():
                    self.has_content = True
                return text, ""
        return self._events(self._sse.feed(chunk))

    def _whole_event(self, chunk: bytes) -> str | None:
        """Return the text of a read that brought exactly one delta of the known form."""
        try:
            text = chunk[len(self._head) : -len(self._tail)].decode()
        except UnicodeDecodeError:
            return None
        if '"' in text or "\\" in text or not text.isprintable():
            return None
        return text if not self._carry[self._text_index] and self._sse.skip(chunk) else None

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
        texts: tuple[list[str], list[str]] = ([], [])
        for data in events:
            if self._prefix and data.startswith(self._prefix) and data.endswith(self._suffix):
                text = data[len(self._prefix) : -len(self._suffix)].decode("utf-8", "replace")
                if '"' not in text and "\\" not in text and text.isprintable():
                    texts[self._text_index].append(text)
                    continue
            if self.is_done or self.has_failed:
                break
            self._event(data, *texts)
        if self._sse.exceeded:
            self.is_malformed = True
        return self._joined(*texts)

    def _event(self, data: bytes, content: list[str], reasoning: list[str]) -> None:
        """Take one event the long way, and learn from it for the next."""
        if data.startswith(b"[DONE]"):
            self.is_done = True
        if self.is_done or not data.strip():
            self._prefix = b""
            return
        try:
            payload = parse_json(data)
        except ValueError:
            self.is_malformed = True
            self._prefix = b""
            return
        before = len(content), len(reasoning)
        self._payload(payload, content, reasoning)
        if self.has_ended or self.has_failed:
            self._prefix = b""
            self._templates_left = 0
        elif self._templates_left:
            if len(content) == before[0] + 1 and len(reasoning) == before[1]:
                self._learn(data, payload, content[-1], 0)
            elif len(reasoning) == before[1] + 1 and len(content) == before[0]:
                self._learn(data, payload, reasoning[-1], 1)

    def _learn(self, data: bytes, payload: object, text: str, index: int) -> None:
        """Make an event the template of those to come, if its text can be cut out of it."""
        found = _TEXT_START.search(data)
        if found is None or b"\\" in data or self._has_extras(payload):
            return
        end = data.find(b'"', found.end())
        prefix, suffix = data[: found.end()], data[end:]
        name = found[1].decode()
        if (prefix, suffix) == (self._prefix, self._suffix):
            return
        self._templates_left -= 1
        try:
            sample: Any = parse_json(prefix + _SAMPLE.encode() + suffix)
            delta = sample["choices"][0]["delta"]
            fits = delta[name] == _SAMPLE
            delta[name] = text
        except (ValueError, KeyError, IndexError, TypeError):
            return
        if fits and sample == payload:
            self._prefix, self._suffix, self._text_index = prefix, suffix, index
            self._head, self._tail = b"data: " + prefix, suffix + b"\n\n"

    @staticmethod
    def _has_extras(payload: object) -> bool:
        """Whether an event says anything besides its text that each event must be asked for."""
        return not isinstance(payload, dict) or bool(payload.get("usage") or payload.get("error"))

    def _payload(self, payload: object, content: list[str], reasoning: list[str]) -> None:
        if type(payload) is not dict:
            self.is_malformed = True
            return
        choices = payload.get("choices")
        if type(choices) is list and choices and type(choices[0]) is dict:
            choice = choices[0]
            delta = choice.get("delta") or choice.get("message")
            if type(delta) is dict:
                if text := delta.get("content"):
                    content.append(text if type(text) is str else _text_of_parts(text))
                if text := delta.get("reasoning_content") or delta.get("reasoning"):
                    reasoning.append(text if type(text) is str else _text_of_parts(text))
            reason = choice.get("finish_reason")
            if type(reason) is str:
                self.finish_reason = reason[:_MAX_NAME_CHARS]
        elif error := payload.get("error"):
            self.failure = error
            return
        if self.model is None and type(name := payload.get("model")) is str and name:
            self.model = name[:_MAX_NAME_CHARS]
        if usage := payload.get("usage"):
            self.usage = _usage(usage) or self.usage

    def _joined(self, content: list[str], reasoning: list[str]) -> tuple[str, str]:
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
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        reasoning_tokens=_count(reasoning),
    )


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < 2**31 else 0
