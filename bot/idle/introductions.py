"""Getting to know a model before anybody meets it: two tiny questions of the bot's own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Final, Protocol

from pydantic import TypeAdapter, ValidationError

from bot.core.clock import Clock
from bot.core.domain import (
    ChatEvent,
    ChatRequest,
    ChatTurn,
    Completed,
    FinishReason,
    QuestionId,
    Reasoning,
    Restarted,
    Role,
    Sampling,
    TextDelta,
    Usage,
)
from bot.core.errors import BackendError
from bot.core.recent import Recent
from bot.core.wording import plain_reason
from bot.lmstudio.learned import Experience
from bot.output.pipeline import ModelMemory, ReplyPipeline
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.sanitiser import SecretGuard

_log = logging.getLogger(__name__)

ACQUAINTANCES: Final = "acquaintances"
"""State: what is known of each model, and of which load of it."""

MOST_MODELS: Final = 32
MOST_TRIES: Final = 3
"""How often one load of a model is asked in vain."""

SAY_OK: Final = "Reply with the single word OK."
MOST_TOKENS: Final = 1024
"""Longest answer to that, thinking included."""

LIMIT_S: Final = 40.0
"""Seconds for it: a thousand tokens at 25 tokens/s."""

SUSPICIOUS_CHARS: Final = 16
"""More text than this instead of one word may be thinking, as long as nothing shows otherwise."""

_WORD_TOKENS: Final = 8
"""About how many tokens the words of ``SAY_OK`` are."""

_LEAST_WRITTEN: Final = 8
_NUMBERS: Final = 60


class Askable(Protocol):
    """What is asked of a back end."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Answer a request."""
        ...

    def loads(self) -> dict[str, str]:
        """Return the models in memory, each with what tells its load from another."""
        ...

    def experience(self, key: str) -> Experience:
        """Return what was learned of a model."""
        ...

    def restore(self, key: str, saved: Experience) -> None:
        """Take what was learned of a model earlier."""
        ...


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """What is known of one load of a model.

    Attributes:
        load: Tells the load from others.
        thinking: ``apart`` (in a field of its own), ``tagged`` or ``untagged`` (in the text, with or
            without the opening tag), ``none`` (it answered at once); empty where it didn't become clear.
        overhead_tokens: What its template adds to a prompt of one message; 0 where unknown.
        writes: Tokens it writes a second; 0 where unknown.
        experience: What the back end learned of it.
    """

    load: str
    thinking: str = ""
    overhead_tokens: int = 0
    writes: float = 0.0
    experience: Experience = field(default_factory=Experience)


_STORED: Final = TypeAdapter(Acquaintance)


@dataclass(slots=True)
class _Heard:
    """What came of the first question."""

    pipeline: ReplyPipeline
    is_apart: bool = False
    chars: int = 0
    usage: Usage | None = None
    writes: float = 0.0
    reason: FinishReason | None = None

    def restart(self) -> None:
        self.pipeline.restart()
        self.is_apart, self.chars = False, 0

    @property
    def thinking(self) -> str:
        if self.is_apart:
            return "apart"
        if self.pipeline.saw_orphan_close:
            return "untagged"
        if self.pipeline.saw_open:
            return "tagged"
        return "none" if self.reason is FinishReason.STOP else ""

    @property
    def is_suspicious(self) -> bool:
        """It wrote on and on, and nothing says yet whether that was thinking."""
        return self.reason is None and not self.thinking and self.chars > SUSPICIOUS_CHARS


class Introductions:
    """Asks each model that is seen loaded, once for each load that differs from the last.

    Args:
        backend: Where the models are.
        memory: Is told whether a model leaves out the opening tag of its thinking.
        reasoning: How much a model may think where nobody says otherwise.
        saved: What ``dump`` returned in an earlier run; anything else is ignored.
    """

    def __init__(
        self,
        backend: Askable,
        memory: ModelMemory,
        clock: Clock,
        reasoning: Callable[[], Reasoning],
        saved: object = None,
    ) -> None:
        self._backend = backend
        self._memory = memory
        self._clock = clock
        self._reasoning = reasoning
        self._known: Recent[str, Acquaintance] = Recent(MOST_MODELS)
        self._restored: set[str] = set()
        self._tries: Recent[str, int] = Recent(MOST_MODELS)
        for key, stored in saved.items() if isinstance(saved, dict) else ():
            with contextlib.suppress(ValidationError):
                # As JSON, where a tuple is a list, and everything else may be taken strictly.
                acquaintance = _STORED.validate_json(json.dumps(stored), strict=True)
                self._known[str(key)] = acquaintance

    def of(self, key: str | None) -> Acquaintance | None:
        """Return what is known of a model as it is loaded now."""
        known = self._known.get(key or "")
        return (
            known
            if known is not None and self._backend.loads().get(key or "") == known.load
            else None
        )

    def dump(self) -> dict[str, object]:
        """Return what is known, to be given as ``saved`` after a restart."""
        for key in self._restored & self._backend.loads().keys() & self._known.keys():
            known = self._known[key]
            self._known[key] = replace(known, experience=self._backend.experience(key))
        return {key: asdict(known) for key, known in self._known.items()}

    def look(self) -> None:
        """Take over what is known of the models that are loaded now, and forget what holds no longer."""
        for key, load in self._backend.loads().items():
            known = self._known.get(key)
            if known is not None and known.load == load:
                if key not in self._restored:
                    self._restored.add(key)
                    self._backend.restore(key, known.experience)
            elif known is not None:
                del self._known[key]
                self._restored.discard(key)
                self._memory.forget(key)

    async def step(self) -> bool:
        """Ask the first model that isn't known."""
        self.look()
        for key, load in self._backend.loads().items():
            stranger = f"{key} {load}"
            if key not in self._known and self._tries.get(stranger, 0) < MOST_TRIES:
                self._tries[stranger] = self._tries.get(stranger, 0) + 1
                try:
                    await self._meet(key, load)
                except (
                    asyncio.CancelledError
                ):  # a question has come, which says nothing of the model
                    self._tries[stranger] -= 1
                    raise
                return True
        return False

    async def _meet(self, key: str, load: str) -> None:
        heard = _Heard(ReplyPipeline(policy=OutputPolicy(), secrets=SecretGuard()))
        try:
            await self._listen(key, heard)
        except BackendError as exc:
            _log.debug("a model couldn't be asked (%s)", plain_reason(exc))
        finally:
            self._teach(key, heard)
        if not heard.thinking:
            return
        with contextlib.suppress(BackendError):
            await self._measure(key)
        overhead = 0 if heard.usage is None else heard.usage.prompt_tokens - _WORD_TOKENS
        self._restored.add(key)
        self._known[key] = Acquaintance(
            load, heard.thinking, max(0, overhead), heard.writes, self._backend.experience(key)
        )

    def _teach(self, key: str, heard: _Heard) -> None:
        """Teach what was seen; a long text that was cut short is only suspected of being a thought."""
        self._memory.suspect(key, is_suspected=heard.is_suspicious)
        if heard.thinking in {"untagged", "tagged", "apart"}:
            self._memory.teach(key, is_missing=heard.thinking == "untagged")

    async def _listen(self, key: str, heard: _Heard) -> None:
        """Ask for one word, as a person's question would be asked."""
        request = _request(key, (ChatTurn(Role.USER, SAY_OK),), MOST_TOKENS, self._reasoning())
        async with contextlib.aclosing(self._backend.stream(request)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    heard.is_apart = heard.is_apart or bool(event.reasoning)
                    heard.chars += len(event.content)
                    heard.pipeline.feed(event)
                elif isinstance(event, Restarted):
                    heard.restart()
                elif isinstance(event, Completed):
                    heard.pipeline.close(event.reason)
                    heard.usage, heard.reason = event.usage, event.reason
                    heard.writes = _writing_speed(event)

    async def _measure(self, key: str) -> None:
        """Have it read what is in no cache, with a system turn and thinking switched off."""
        numbers = " ".join(str(secrets.randbelow(1000)) for _ in range(_NUMBERS))
        turns = (ChatTurn(Role.SYSTEM, f"Numbers: {numbers}"), ChatTurn(Role.USER, SAY_OK))
        request = _request(key, turns, 1, Reasoning.OFF)
        async with contextlib.aclosing(self._backend.stream(request)) as events:
            async for _ in events:
                pass


def _request(
    key: str, turns: tuple[ChatTurn, ...], max_tokens: int, reasoning: Reasoning
) -> ChatRequest:
    return ChatRequest(
        question_id=QuestionId(0),
        conversation_key="",
        model=key,
        turns=turns,
        sampling=Sampling(0.0, 1.0, max_tokens),
        reasoning=reasoning,
        prompt_tokens=sum(len(turn.text) for turn in turns) // 2,
        may_load=False,
        limit_s=LIMIT_S,
    )


def _writing_speed(done: Completed) -> float:
    if done.usage is None or done.first_token_s is None or done.total_s is None:
        return 0.0
    took_s, written = done.total_s - done.first_token_s, done.usage.completion_tokens
    return (written - 1) / took_s if written >= _LEAST_WRITTEN and took_s > 0 else 0.0
