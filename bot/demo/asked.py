"""What the bot asks of its model and what comes back, seen from inside the bot."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from bot.core.domain import (
    ChatEvent,
    ChatRequest,
    Completed,
    FinishReason,
    ModelInfo,
    Restarted,
    Stage,
    StageKind,
    TextDelta,
)
from bot.core.ports import Capacity, ChatBackend
from bot.prompt.tokens import static_tokens

_STATES: Final = {
    StageKind.CONNECTING: "waiting",
    StageKind.RETRYING: "waiting",
    StageKind.LOADING: "loading",
    StageKind.READING: "reading",
    StageKind.THINKING: "thinking",
}


@dataclass(slots=True)
class Asked:
    """One request to the model, as far as it has got.

    Attributes:
        request: What was asked.
        model: Its key, as far as it is known; may be empty.
        state: ``waiting``, ``loading``, ``reading``, ``thinking``, ``writing``, ``done``,
            ``stopped`` or ``failed``.
        to_read_tokens: What the bot expects the model to read; ``None`` before it is known.
        written_tokens: Estimated from the text that came.
        done: The server's own account, at the end.
    """

    request: ChatRequest
    model: str
    state: str = "waiting"
    to_read_tokens: int | None = None
    written_tokens: int = 0
    done: Completed | None = None

    def take(self, event: ChatEvent) -> None:
        """Take note of what came."""
        match event:
            case Stage(kind, tokens=tokens):
                self.state = _STATES.get(kind, self.state)
                self.to_read_tokens = tokens or self.to_read_tokens
            case TextDelta(content, reasoning):
                self.state = "writing" if content else "thinking"
                self.written_tokens += max(1, static_tokens(content + reasoning))
            case Restarted():
                self.written_tokens = 0
            case Completed(reason):
                self.done = event
                self.state = "failed" if reason is FinishReason.INTERRUPTED else "done"
            case _:
                pass


class HeardBackend:
    """A back end that somebody listens to.

    Args:
        backend: What answers.
        told: Gets each request as it is made.
    """

    def __init__(self, backend: ChatBackend, told: Callable[[Asked], None]) -> None:
        self._backend = backend
        self._told = told

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Answer one request, as ``ChatBackend`` has it."""
        info = self._backend.model(request.model)
        asked = Asked(request, info.key if info else request.model or "")
        self._told(asked)
        is_over = False
        try:
            async with aclosing(self._backend.stream(request)) as events:
                async for event in events:
                    asked.take(event)
                    yield event
            is_over = True
        except Exception:
            asked.state, is_over = "failed", True
            raise
        finally:
            if not is_over and asked.done is None:
                asked.state = "stopped"

    def model(self, key: str | None) -> ModelInfo | None:
        """Return what is known of a model."""
        return self._backend.model(key)

    def capacity(self) -> Capacity:
        """Return how much can run at once."""
        return self._backend.capacity()

    def is_available(self) -> bool:
        """Return whether a server is believed to answer."""
        return self._backend.is_available()

    def is_loading(self) -> bool:
        """Return whether none answers only because its model is still being loaded."""
        return self._backend.is_loading()

    def wake(self) -> Stage | None:
        """Have machines that sleep woken; the stage where one can be."""
        return self._backend.wake()
