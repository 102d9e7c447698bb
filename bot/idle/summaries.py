"""Summing up, in idle time, what will fall out of a conversation."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import replace
from typing import Final, Protocol

from bot.core.domain import (
    ChatEvent,
    ChatRequest,
    Completed,
    FinishReason,
    QuestionId,
    Restarted,
    Role,
    Sampling,
    Summary,
    TextDelta,
)
from bot.core.ports import ChatSettings
from bot.core.recent import Recent
from bot.output.pipeline import ReplyPipeline, Verdict
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.sanitiser import SecretGuard
from bot.prompt.cut import ToSummarise, kept_text
from bot.prompt.likeness import is_like

LIMIT_S: Final = 60.0
"""Seconds for one summary: 1,024 tokens, thinking included, at 20 tokens/s."""

MOST_TOKENS: Final = 1024
MOST_TRIES: Final = 2
"""How often one is tried that came to nothing; those that a question ended don't count."""

_REMEMBERED: Final = 128


class Wanted(Protocol):
    """Tells what may be summed up."""

    def to_summarise(self) -> Iterable[tuple[ToSummarise, ChatSettings, str]]:
        """Yield what may be summed up, by what settings, and the conversation's key.

        The settings name the model, also where the server chooses it.
        """
        ...

    def summed_up(self) -> None:
        """Take note of a summary that is there from now on."""
        ...


class Keeper(Protocol):
    """Keeps summaries."""

    async def keep(self, summary: Summary, moment: int) -> bool:
        """Keep a summary, unless what it was made of has been forgotten since that moment."""
        ...


class Answers(Protocol):
    """What is asked of a back end."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Answer a request."""
        ...


class Summaries:
    """Sums up conversations, one at a time.

    Args:
        backend: Is asked.
        wanted: Tells of what.
        keeper: Where summaries are kept.
        secrets: What must never be written down.
        lacks_opening: Whether a model leaves out the opening tag of its thinking.
    """

    def __init__(
        self,
        backend: Answers,
        wanted: Wanted,
        keeper: Keeper,
        secrets: SecretGuard,
        lacks_opening: Callable[[str | None], bool],
    ) -> None:
        self._backend = backend
        self._wanted = wanted
        self._keeper = keeper
        self._secrets = secrets
        self._lacks_opening = lacks_opening
        self._tries: Recent[tuple[tuple[int, str], ...], float] = Recent(_REMEMBERED)
        self.made = 0

    async def step(self) -> bool:
        """Make the first summary that is wanted."""
        for wanted, chat, key in self._wanted.to_summarise():
            covers = wanted.summary.covers
            if self._tries.get(covers, 0) >= MOST_TRIES:
                continue
            self._tries[covers] = self._tries.get(covers, 0) + 1
            try:
                text = await self._sum_up(wanted, chat, key)
            except BaseException:
                self._tries[covers] -= 1
                raise
            if text and await self._keeper.keep(replace(wanted.summary, text=text), wanted.moment):
                self._tries[covers] = math.inf
                self.made += 1
                self._wanted.summed_up()
            return True
        return False

    async def _sum_up(self, wanted: ToSummarise, chat: ChatSettings, key: str) -> str:
        """Return the model's summary; empty where it wrote none that is of use."""
        pipeline = ReplyPipeline(
            policy=OutputPolicy(),
            secrets=self._secrets,
            expect_missing_opening=self._lacks_opening(chat.model),
        )
        reason = None
        events = self._backend.stream(_request(wanted, chat, key))
        async with contextlib.aclosing(events) as progress:
            async for event in progress:
                if isinstance(event, TextDelta):
                    pipeline.feed(event)
                elif isinstance(event, Restarted):
                    pipeline.restart()
                elif isinstance(event, Completed):
                    reason = event.reason
                if pipeline.must_stop:
                    break
        pipeline.close(reason or FinishReason.STOP)
        is_whole = reason in {FinishReason.STOP, FinishReason.LENGTH}
        is_answer = pipeline.verdict in {Verdict.ANSWER, Verdict.CUT}
        text = kept_text(pipeline.text, wanted.most_tokens) if is_whole and is_answer else ""
        said = "\n".join(turn.text for turn in wanted.turns[:-1] if turn.role is not Role.SYSTEM)
        return text if text and is_like(text, said) else ""


def _request(wanted: ToSummarise, chat: ChatSettings, key: str) -> ChatRequest:
    return ChatRequest(
        question_id=QuestionId(0),
        conversation_key=key,
        model=chat.model,
        turns=wanted.turns,
        sampling=Sampling(chat.temperature, chat.top_p, MOST_TOKENS),
        reasoning=chat.reasoning,
        prompt_tokens=wanted.prompt_tokens,
        may_load=False,
        limit_s=LIMIT_S,
    )
