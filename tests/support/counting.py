"""A conversation with a model that counts tokens in its own way, and the counts kept with its answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from bot.core.domain import (
    ChatTurn,
    IncomingMessage,
    MessageId,
    ModelInfo,
    Place,
    PromptCount,
    Summary,
    Usage,
)
from bot.core.ports import ChatSettings, JournalEntry
from bot.prompt.builder import NextPrompt, Prompt
from bot.prompt.tokens import count_of, is_credible, static_tokens
from tests.support.conversation import ADA, CHAT, CLAW, HOME, FakeSources

TEMPLATE_TOKENS: Final = 5
ANSWER_OPENING: Final = 3

Forge = Callable[[Usage], Usage | None]
"""Changes what the server says of one answer."""


def honest(usage: Usage) -> Usage | None:
    """Say what was counted."""
    return usage


class CountedTalk:
    """Holds a conversation; also the journal that keeps its counts.

    Args:
        factor: Tokens that the model has for each that a static estimate has.
        context_tokens: Of the model.
        place: Where; in a channel each question replies to the answer before.
        chat: The settings there.
    """

    def __init__(
        self,
        *,
        factor: float = 1.0,
        context_tokens: int = 8192,
        place: Place = HOME,
        chat: ChatSettings = CHAT,
    ) -> None:
        self.chat = chat
        self.sources = FakeSources()
        self.factor = factor
        self.place = place
        self.model = ModelInfo("m", is_loaded=True, context_tokens=context_tokens)
        self.counts: dict[MessageId, PromptCount] = {}
        self.summaries: list[Summary] = []
        self.builder = self.sources.builder(answers=self, summaries=self)

    @property
    def room(self) -> int:
        """Tokens that there are beside the longest answer."""
        context = self.model.context_tokens or 0
        return context - min(self.chat.max_tokens, context // 2)

    async def entry_of_message(self, message_id: MessageId) -> JournalEntry | None:
        assert message_id
        return None

    async def read_back(
        self, messages: Sequence[IncomingMessage], bot_id: int
    ) -> list[IncomingMessage]:
        assert bot_id == CLAW.id
        return list(messages)

    async def counts_of(self, message_ids: Sequence[MessageId]) -> dict[MessageId, PromptCount]:
        return {each: self.counts[each] for each in message_ids if each in self.counts}

    def tokens(self, text: str) -> int:
        """Return how many tokens a text has."""
        return math.ceil(self.factor * static_tokens(text))

    def prompt_tokens(self, turns: Sequence[ChatTurn]) -> int:
        """Return how many tokens a prompt has, as the model reads it."""
        return sum(TEMPLATE_TOKENS + self.tokens(t.text) for t in turns) + ANSWER_OPENING

    def restart(self) -> None:
        """Begin with a new process, which knows only what was kept."""
        self.sources.estimator = type(self.sources.estimator)()
        self.builder = self.sources.builder(answers=self, summaries=self)

    moment = 0

    @property
    def channels(self) -> set[int]:
        return {each.channel_id for each in self.summaries}

    async def of(self, channel_id: int, _: int) -> list[Summary]:
        return [each for each in self.summaries if each.channel_id == channel_id]

    async def ask(self, question: IncomingMessage) -> Prompt:
        """Build the prompt of a question."""
        return await self.builder.build(self.sources.ask(question), self.chat, self.model)

    async def say(self, text: str, to: IncomingMessage | None = None) -> IncomingMessage:
        """Post a question."""
        is_chain = self.place is HOME
        return self.sources.say(ADA, text, place=self.place, to=to if is_chain else None)

    async def answer(
        self, question: IncomingMessage, prompt: Prompt, text: str, forge: Forge = honest
    ) -> IncomingMessage:
        """Answer a prompt, and keep what is counted, as a reply does."""
        posted = self.sources.say(CLAW, text, place=self.place, to=question)
        said = forge(Usage(self.prompt_tokens(prompt.turns), self.tokens(text) + 1))
        context = self.model.context_tokens
        if said and not is_credible(said, prompt.turns, prompt.prompt_tokens, context):
            said = None
        if said is not None:
            self.sources.estimator.learn(self.model.key, prompt.turns, said.prompt_tokens)
        self.counts[posted.id] = count_of(
            said,
            prompt.turns,
            text,
            model=self.model,
            first_id=prompt.first_id,
            has_thought=False,
        )
        return posted

    async def next_prompt(
        self, question: IncomingMessage, answer: IncomingMessage
    ) -> NextPrompt | None:
        """Return how the next prompt begins."""
        asked = self.sources.ask(question)
        return await self.builder.next_prompt(asked, answer.id, self.chat, self.model)


def head_of(turns: Sequence[ChatTurn]) -> str:
    """Return what a server has of turns in its cache, as text."""
    return "".join(f"<{t.role}>{t.text}{''.join(t.images)}</{t.role}>" for t in turns)
