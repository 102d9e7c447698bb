"""What the model was given, turn by turn, and how much of it had to be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.demo.asked import Asked
from bot.demo.page.view import Json
from bot.prompt.tokens import static_tokens
from sandbox.lmstudio import RecordedRequest, text_of, turn_tokens

MAX_TURN_CHARS: Final = 4000
MAX_TURNS: Final = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a prompt has got.

    Attributes:
        state: A word that the page knows.
        kept_tokens: Of these, found in the model's cache; ``None`` before that is known.
        written_tokens: What the model has written so far.
        is_estimate: The server hasn't counted these: the bot estimates.
        finish: Why the answer ended.
    """

    state: str
    prompt_tokens: int
    kept_tokens: int | None
    written_tokens: int
    is_estimate: bool = False
    finish: str | None = None


class Prompt:
    """One prompt on its way.

    Args:
        number: Its number, from 1.
        at_unix_s: When it was asked.
        model: Whom.
        turns: What it holds, each with its tokens.
        progress: Looks how far it has got.
        has_shares: Those tokens are estimates, which share the prompt's size in proportion.
    """

    def __init__(
        self,
        number: int,
        at_unix_s: float,
        model: str,
        turns: Callable[[], Sequence[tuple[Json, int]]],
        progress: Callable[[], Progress],
        *,
        has_shares: bool = False,
    ) -> None:
        self._head = {"n": number, "at": at_unix_s, "model": model}
        self._read_turns = turns
        self._turns: Sequence[tuple[Json, int]] = ()
        self._progress = progress
        self._has_shares = has_shares
        self._seen: Progress | None = None
        self._told: list[Json] | None = None

    def has_changed(self) -> bool:
        """Tell whether it has got further since this was last asked."""
        seen, self._seen = self._seen, self._progress()
        return seen != self._seen

    def update(self) -> Json:
        """Return it as it stands, without its turns where they are as they were told."""
        drawn = self.drawn()
        if drawn["turns"] == self._told:
            del drawn["turns"]
        else:
            self._told = drawn["turns"]
        return drawn

    def drawn(self) -> Json:
        """Return it as it stands."""
        now = self._progress()
        kept = now.kept_tokens
        return self._head | {
            "state": now.state,
            "prompt_tokens": now.prompt_tokens,
            "read_tokens": None if kept is None else now.prompt_tokens - kept,
            "kept_tokens": kept,
            "written_tokens": now.written_tokens,
            "is_estimate": now.is_estimate,
            "has_shares": self._has_shares,
            "finish": now.finish,
            "turns": self._drawn_turns(now),
        }

    def _drawn_turns(self, now: Progress) -> list[Json]:
        self._turns = self._turns or self._read_turns()
        whole = sum(tokens for _, tokens in self._turns)
        scale = now.prompt_tokens / whole if self._has_shares and whole else 1.0
        kept, drawn = now.kept_tokens or 0, []
        for turn, share in self._turns:
            tokens = round(share * scale)
            drawn.append(turn | {"tokens": tokens, "kept_tokens": max(0, min(tokens, kept))})
            kept -= tokens
        return drawn


def recorded_prompt(number: int, record: RecordedRequest, at_unix_s: float) -> Prompt:
    """Return a prompt as the stand-in has written it down: it knows all counts."""

    def turns() -> list[tuple[Json, int]]:
        messages = record.messages[-MAX_TURNS:]
        return [(_message(each), turn_tokens(each)) for each in messages]

    def progress() -> Progress:
        is_read = record.started_at is not None
        return Progress(
            _state(record),
            record.prompt_tokens,
            record.prompt_tokens - record.reread_tokens if is_read else None,
            record.tokens_sent,
            finish=record.finish_reason,
        )

    return Prompt(number, at_unix_s, record.model or "", turns, progress)


def asked_prompt(number: int, asked: Asked, at_unix_s: float) -> Prompt:
    """Return a prompt as the bot has asked it of a real server, which counts as a whole and at the end."""

    def turns() -> list[tuple[Json, int]]:
        sent = asked.request.turns[-MAX_TURNS:]
        return [
            (_turn(each.role, each.text, len(each.images)), max(1, static_tokens(each.text)))
            for each in sent
        ]

    def progress() -> Progress:
        usage = asked.done.usage if asked.done is not None else None
        size = usage.prompt_tokens if usage is not None else asked.request.prompt_tokens
        kept = usage.cached_tokens if usage is not None else None
        if kept is None and asked.to_read_tokens is not None:
            fresh = asked.to_read_tokens / max(1, asked.request.prompt_tokens)
            kept = size - round(size * min(1.0, fresh))
        return Progress(
            asked.state,
            size,
            kept,
            usage.completion_tokens if usage is not None else asked.written_tokens,
            is_estimate=usage is None or usage.cached_tokens is None,
            finish=asked.done.reason if asked.done is not None else None,
        )

    return Prompt(number, at_unix_s, asked.model, turns, progress, has_shares=True)


def _message(message: Json) -> Json:
    content: Any = message.get("content")
    parts = content if isinstance(content, list) else []
    images = sum(1 for each in parts if each.get("type") == "image_url")
    return _turn(message.get("role"), text_of(message), images)


def _turn(role: str | None, text: str, images: int) -> Json:
    is_cut = len(text) > MAX_TURN_CHARS
    return {"role": role, "text": text[:MAX_TURN_CHARS], "cut": is_cut, "images": images}


def _state(record: RecordedRequest) -> str:
    if record.cancelled_at is not None:
        return "stopped"
    if record.ended_at is not None:
        return "done" if record.finished and record.finish_reason else "failed"
    if record.started_at is None:
        return "waiting"
    if record.first_token_at is None:
        return "reading"
    return "thinking" if record.first_content_at is None else "writing"
