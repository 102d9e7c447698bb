"""The client against the local LM Studio: real sockets, time that only the test moves.

Both ends live on one event loop and loopback, so whatever they have to say to each other happens
within the turns of the loop that ``FakeClock.advance`` gives; nothing waits for real time.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bot.core.domain import (
    ChatEvent,
    ChatRequest,
    ChatTurn,
    Completed,
    QuestionId,
    Reasoning,
    Restarted,
    Role,
    Sampling,
    Stage,
    StageKind,
    TextDelta,
    UserId,
)
from bot.lmstudio import LMStudioBackend, open_backend
from bot.lmstudio.nodes import Node
from config.settings import LMStudioSettings
from tests.support.clock import FakeClock, settle

T = TypeVar("T")

HISTORY = (
    ChatTurn(Role.SYSTEM, "You are a bot."),
    ChatTurn(Role.USER, "What is the capital of Italy?"),
    ChatTurn(Role.ASSISTANT, "Rome."),
    ChatTurn(Role.USER, "And of France?"),
)


def a_request(
    *turns: ChatTurn,
    model: str | None = None,
    max_tokens: int = 2048,
    reasoning: Reasoning = Reasoning.AUTO,
    prompt_tokens: int = 40,
    conversation: str = "c1",
) -> ChatRequest:
    """Return a request; a short conversation with a system turn when no turns are given."""
    return ChatRequest(
        question_id=QuestionId(1),
        conversation_key=conversation,
        model=model,
        turns=turns or HISTORY,
        sampling=Sampling(0.7, 0.95, max_tokens),
        reasoning=reasoning,
        prompt_tokens=prompt_tokens,
        person_id=UserId(zlib.crc32(conversation.encode())),
    )


@dataclass
class Outcome:
    """What became of a question."""

    events: list[ChatEvent] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def text(self) -> str:
        """Content since the last restart."""
        return "".join(event.content for event in self._since_restart())

    @property
    def reasoning(self) -> str:
        """Reasoning since the last restart."""
        return "".join(event.reasoning for event in self._since_restart())

    @property
    def end(self) -> Completed:
        """The last event, which must be ``Completed``; raises the failure if there was one."""
        if self.error is not None:
            raise self.error
        last = self.events[-1]
        assert isinstance(last, Completed)
        return last

    @property
    def stages(self) -> list[StageKind]:
        """Kinds of the stages, in order."""
        return [event.kind for event in self.events if isinstance(event, Stage)]

    def _since_restart(self) -> list[TextDelta]:
        starts = [i for i, event in enumerate(self.events) if isinstance(event, Restarted)]
        begin = starts[-1] if starts else 0
        return [event for event in self.events[begin:] if isinstance(event, TextDelta)]


async def passing(clock: FakeClock, work: Coroutine[Any, Any, T], step_s: float = 0.25) -> T:
    """Let time pass in steps until ``work`` is done, at most two simulated hours."""
    task = asyncio.create_task(work)
    for _ in range(int(7200 / step_s)):
        if task.done():
            break
        await clock.advance(step_s)
    return await task


async def listen(backend: LMStudioBackend, request: ChatRequest) -> Outcome:
    """Ask and keep everything that comes; failures too."""
    outcome = Outcome()
    try:
        async for event in backend.stream(request):
            outcome.events.append(event)
    except Exception as exc:  # noqa: BLE001 - the test looks at whatever it is
        outcome.error = exc
    return outcome


async def ask(
    clock: FakeClock,
    backend: LMStudioBackend,
    request: ChatRequest | None = None,
    *,
    step_s: float = 0.25,
) -> Outcome:
    """Ask and let time pass until the outcome is there."""
    return await passing(clock, listen(backend, request or a_request()), step_s)


def nodes(backend: LMStudioBackend) -> tuple[Node, ...]:
    """Return the servers of a back end, in the order of the settings."""
    return tuple(backend._fleet.nodes)


@asynccontextmanager
async def connected(
    clock: FakeClock, *base_urls: str, probed: bool = True, **settings: Any
) -> AsyncIterator[LMStudioBackend]:
    """Open a back end and let its first probes finish."""
    chosen = LMStudioSettings(base_url=base_urls, **settings)
    async with open_backend(chosen, clock) as backend:
        if probed:
            for _ in range(50):
                await settle()
                if all(node.is_up is not None for node in nodes(backend)):
                    break
        yield backend
