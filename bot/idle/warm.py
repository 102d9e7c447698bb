"""Reading ahead: the next prompt of a conversation is in the model's cache before it is asked.

A prompt whose beginning changes, because history was cut, the persona is another, or somebody else's
prompt took the slot, is read anew while a person waits. Here it is read while nobody does.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

from bot.core.clock import Clock
from bot.core.domain import (
    ChatRequest,
    ChatTurn,
    MessageId,
    ModelInfo,
    Place,
    Question,
    QuestionId,
    Sampling,
    UserId,
)
from bot.core.ports import Capacity, ChatSettings, SettingsReader
from bot.core.recent import Recent
from bot.lmstudio.ahead import Piece
from bot.prompt.builder import NextPrompt
from bot.prompt.cut import ToSummarise

KEEP_S: Final = 600.0
"""Seconds after its last answer that a conversation is kept warm."""

PAUSE_S: Final = 60.0
"""Seconds without reading ahead where the machine seems to work for somebody else."""

MOST_TALKS: Final = 64
MOST_PLACES: Final = 4
_CHARS_PER_TOKEN: Final = 4
_SLOW: Final = 3.0
"""So many times slower than expected, and a second, means that the machine has other work."""

_FADING: Final = 0.9
"""What a piece counts for when the next one is judged: short ones are judged together."""


class Beginnings(Protocol):
    """Tells how prompts will begin."""

    async def next_prompt(
        self, question: Question, answer_id: MessageId, chat: ChatSettings, model: ModelInfo | None
    ) -> NextPrompt | None:
        """Return how the prompt of whoever goes on with an answer will begin."""
        ...

    def opening(
        self, place: Place, chat: ChatSettings, model: ModelInfo | None
    ) -> tuple[ChatTurn, ...]:
        """Return what every prompt of a place begins with; nothing where the persona is empty."""
        ...


class Readable(Protocol):
    """What is asked of a back end."""

    async def read_ahead(self, request: ChatRequest) -> Piece | None:
        """Read a piece of a prompt; ``None`` where there is nothing to do."""
        ...

    def model(self, key: str | None) -> ModelInfo | None:
        """Return what is known of a model."""
        ...

    def capacity(self) -> Capacity:
        """Return how much can run at once."""
        ...


@dataclass(slots=True)
class Cost:
    """What reading ahead has cost since the start.

    Attributes:
        tokens: Prompt tokens read ahead.
        in_vain: Of these, those of conversations that nobody went on with in time.
        cancelled: Pieces that a question ended.
    """

    tokens: int = 0
    in_vain: int = 0
    cancelled: int = 0


@dataclass(slots=True)
class _Talk:
    """A conversation that somebody may go on with.

    Attributes:
        made_for: The settings and the model that its beginning was made for.
        ahead: Tokens read ahead since its last answer.
    """

    question: Question
    answer_id: MessageId
    at_s: float
    made_for: tuple[ChatSettings, ModelInfo | None] | None = None
    beginning: NextPrompt | None = None
    ahead: int = 0


class WarmAhead:
    """Keeps the conversations warm that were answered last, and personas that are new.

    Args:
        backend: Reads.
        beginnings: Tells what the next prompts begin with.
        settings: The settings in force at each place.
        wake: Called when there may be something to read.
    """

    def __init__(
        self,
        backend: Readable,
        beginnings: Beginnings,
        settings: SettingsReader,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._backend = backend
        self._beginnings = beginnings
        self._settings = settings
        self._clock = clock
        self._wake = wake
        self._talks: Recent[str, _Talk] = Recent(MOST_TALKS)
        self._places: Recent[Place, tuple[tuple[ChatTurn, ...], ModelInfo | None]] = Recent(
            MOST_PLACES
        )
        self._paused_until_s = clock.monotonic()
        self._too_slow_s = 0.0
        self.cost = Cost()

    def answered(self, question: Question, conversation_key: str, answer_id: MessageId) -> None:
        """Take note of a question whose answer is delivered.

        Args:
            question: Which one.
            conversation_key: As its request named it.
            answer_id: The last message of its answer.
        """
        place = question.place
        self._places[place] = self._opening(place)
        self._talks[conversation_key] = _Talk(question, answer_id, self._clock.monotonic())
        self._wake()

    def kept(self) -> int:
        """Return how many conversations are kept warm at the moment."""
        self._expire(self._clock.monotonic())
        left, count = self._room_tokens(), 0
        for begun in (talk.beginning for talk in self._chosen()):
            if begun is not None and begun.prompt_tokens <= left:
                left -= begun.prompt_tokens
                count += 1
        return count

    def forget(self) -> None:
        """Forget all conversations."""
        self._talks.clear()

    def to_summarise(self) -> Iterator[tuple[ToSummarise, ChatSettings, str]]:
        """Yield what may be summed up of the conversations that are kept warm, the newest first."""
        for talk in self._chosen():
            begun, made_for = talk.beginning, talk.made_for
            if begun is not None and begun.to_summarise is not None and made_for is not None:
                chat, info = made_for
                named = chat if info is None else replace(chat, model=info.key)
                yield begun.to_summarise, named, begun.conversation_key

    def summed_up(self) -> None:
        """Take note of a new summary: what the next prompts begin with is looked at again."""
        for talk in self._talks.values():
            talk.made_for = None

    async def step(self) -> bool:
        """Read the next piece of the first conversation, or persona, that isn't in the cache."""
        now_s = self._clock.monotonic()
        self._expire(now_s)
        if now_s < self._paused_until_s:
            return False
        left = self._room_tokens()
        for talk in self._chosen():
            begun = await self._beginning(talk)
            if begun is None or begun.prompt_tokens > left:
                continue
            left -= begun.prompt_tokens
            if await self._go_on(talk, begun):
                return True
        for place, known in list(self._places.items()):
            if known != self._opening(place) and await self._open(place):
                return True
        return False

    def _room_tokens(self) -> float:
        pool_tokens = self._backend.capacity().pool_tokens
        return math.inf if pool_tokens is None else pool_tokens

    def _expire(self, now_s: float) -> None:
        for key, talk in list(self._talks.items()):
            if now_s - talk.at_s > KEEP_S:
                del self._talks[key]
                self.cost.in_vain += talk.ahead

    def _chosen(self) -> Iterator[_Talk]:
        """Yield the conversations to keep warm: the newest, as many as there are slots.

        Half of the slots at most are one person's.
        """
        slots = self._backend.capacity().slots
        chosen: list[UserId] = []
        for talk in reversed(list(self._talks.values())):
            person_id = talk.question.counts_for
            if len(chosen) < slots and chosen.count(person_id) < max(1, slots // 2):
                chosen.append(person_id)
                yield talk

    async def _beginning(self, talk: _Talk) -> NextPrompt | None:
        """Return how the next prompt of a conversation begins, by the settings of this moment."""
        chat = self._settings.effective(talk.question.place)
        info = self._backend.model(chat.model)
        if talk.made_for != (chat, info):
            talk.beginning = await self._beginnings.next_prompt(
                talk.question, talk.answer_id, chat, info
            )
            talk.made_for = chat, info
        return talk.beginning

    async def _go_on(self, talk: _Talk, begun: NextPrompt) -> bool:
        chat = self._settings.effective(talk.question.place)
        key = begun.conversation_key
        tokens = await self._read(_request(chat, key, begun.turns, begun.prompt_tokens))
        talk.ahead += tokens or 0
        return tokens is not None

    def _opening(self, place: Place) -> tuple[tuple[ChatTurn, ...], ModelInfo | None]:
        chat = self._settings.effective(place)
        info = self._backend.model(chat.model)
        return self._beginnings.opening(place, chat, info), info

    async def _open(self, place: Place) -> bool:
        """Read a persona that is new, or new to its model, at a place where somebody asked lately."""
        chat = self._settings.effective(place)
        opening = self._opening(place)
        size = sum(len(turn.text) for turn in opening[0]) // _CHARS_PER_TOKEN
        tokens = await self._read(_request(chat, "", opening[0], size))
        if tokens is None and place in self._places:
            self._places[place] = opening
        return tokens is not None

    async def _read(self, request: ChatRequest) -> int | None:
        """Read a piece; return how many tokens it had, ``None`` where there was nothing to read."""
        try:
            piece = await self._backend.read_ahead(request)
        except asyncio.CancelledError:
            self.cost.cancelled += 1
            raise
        if piece is None:
            return None
        self.cost.tokens += piece.tokens
        late_s = piece.took_s - _SLOW * piece.expected_s
        self._too_slow_s = max(0.0, _FADING * self._too_slow_s + late_s)
        if self._too_slow_s > 1.0:
            self._too_slow_s = 0.0
            self._paused_until_s = self._clock.monotonic() + PAUSE_S
        return piece.tokens


def _request(
    chat: ChatSettings, key: str, turns: tuple[ChatTurn, ...], prompt_tokens: int
) -> ChatRequest:
    return ChatRequest(
        question_id=QuestionId(0),
        conversation_key=key,
        model=chat.model,
        turns=turns,
        sampling=Sampling(chat.temperature, chat.top_p, 1),
        reasoning=chat.reasoning,
        prompt_tokens=prompt_tokens,
        may_load=False,
    )
