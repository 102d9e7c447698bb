"""Build the prompt for a question: the conversation, cleaned, cut to fit, the same at every turn."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from bot.core import frames
from bot.core.clock import Clock
from bot.core.domain import (
    AttachmentInfo,
    ChatTurn,
    IncomingMessage,
    ModelInfo,
    Place,
    Question,
    UserId,
)
from bot.core.ports import ChatSettings, FileSource, MessageSource
from bot.core.recent import Recent
from bot.prompt import budget
from bot.prompt.attachments.decoder import Decoder
from bot.prompt.attachments.fair_gate import Share
from bot.prompt.attachments.files import FileReader, has_expired
from bot.prompt.chain import LINEAR_KINDS, AnswerIndex, ConversationReader
from bot.prompt.cleaning import safe_name
from bot.prompt.draft import Draft
from bot.prompt.render import Persona, Style, fill, fit
from bot.prompt.tokens import TokenEstimator, static_tokens
from config.settings import ContextSettings

NO_CONTENT = (
    "I can't read messages here that don't mention me or reply to me: "
    "Discord's Message Content intent is off."
)
NO_HISTORY = "You may not read the history of this channel, so I used only what you sent yourself."
PERSONA_CUT = "My persona is too long for this model's context, so I use only its beginning."

MayRead = Callable[[Question], Awaitable[bool]]
_MOST_QUOTES = 12
_SHRINK_TRIES = 24
_REMEMBERED_PLACES = 256


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is given for one question.

    Attributes:
        turns: At most one system turn, first; then user and assistant in turn, ending with user.
        prompt_tokens: Estimated size, in tokens.
        conversation_key: Stable over the turns of a conversation.
        remarks: Sentences for the person, each a line.
        participants: Names of the people in it, for cutting an invented continuation.
        bot_names: What the bot is called, for cutting a name in front of the answer.
    """

    turns: tuple[ChatTurn, ...]
    prompt_tokens: int
    conversation_key: str
    remarks: tuple[str, ...] = ()
    participants: tuple[str, ...] = ()
    bot_names: tuple[str, ...] = ()


class ContextBuilder:
    """Builds prompts. Keeps nothing that a prompt depends on: a restart changes no byte.

    Args:
        source: Messages of Discord.
        files: Bytes of attachments.
        decoder: Makes them readable, somewhere they can do no harm.
        estimator: Learns from what the server counts.
        settings: Limits.
        bot_id: The bot's own user, known once it is connected.
        bot_name: What the bot is called.
        clock: Bounds the reading of files.
        may_use: Whether a message may be shown to the model (its writer isn't blocked).
        may_read: Whether a question's asker may read what was said before.
        answers: The journal, for answers to slash commands and answers of several messages.
        place_names: Names of the guild and channel of a place, for the persona.
    """

    def __init__(  # noqa: PLR0913 - the one place where all parts of it meet
        self,
        *,
        source: MessageSource,
        files: FileSource,
        decoder: Decoder,
        estimator: TokenEstimator,
        settings: ContextSettings,
        bot_id: Callable[[], UserId],
        bot_name: Callable[[], str],
        clock: Clock,
        may_use: Callable[[IncomingMessage], bool] = lambda _: True,
        may_read: MayRead | None = None,
        answers: AnswerIndex | None = None,
        place_names: Callable[[Place], tuple[str, str]] = lambda _: ("", ""),
    ) -> None:
        self._reader = ConversationReader(source, bot_id, may_use, answers)
        self._source = source
        self._clock = clock
        self._files = FileReader(files, decoder, settings, clock)
        self._estimator = estimator
        self._settings = settings
        self._bot_id = bot_id
        self._bot_name = bot_name
        self._place_names = place_names
        self._may_read = may_read
        self._told_places: Recent[int, None] = Recent(_REMEMBERED_PLACES)

    async def build(
        self, question: Question, chat: ChatSettings, model: ModelInfo | None
    ) -> Prompt:
        """Return the prompt for a question.

        Args:
            question: What was asked.
            chat: The settings in force at its place.
            model: What is known of the model that will answer.
        """
        known = model.context_tokens if model else None
        context_tokens = known or self._settings.fallback_context_tokens
        key = model.key if model else chat.model
        bot_name = safe_name(self._bot_name())
        scale = self._estimator.scale(key)
        room = budget.plan(context_tokens, chat.max_tokens, 0, scale).turn_tokens
        who = self._persona(question.place, chat, bot_name)
        text, missing = fit(who.text, max(0, room // 2 - static_tokens(frames.EXPLAINED)))
        who = dataclasses.replace(who, text=f"{text}\n\n{frames.EXPLAINED}".strip())
        plan = budget.plan(context_tokens, chat.max_tokens, static_tokens(who.text), scale)
        reads = self._may_read is None or await self._may_read(question)
        if reads:
            talk = await self._reader.read(
                question, limit=self._settings.max_messages, enough_tokens=plan.step_tokens * 2
            )
        else:
            talk = await self._reader.only(question)
        style = Style(self._bot_id(), bot_name, who, plan.turn_tokens, {})
        draft = Draft(
            talk,
            plan,
            style,
            sees_images=model is None or model.sees_images is not False,
            max_images=self._settings.max_images,
        )
        await self._fill(draft, key, question.counts_for)
        turns = draft.turns
        return Prompt(
            turns=turns,
            prompt_tokens=self._estimator.estimate_turns(turns, key),
            conversation_key=talk.key or draft.anchor_key,
            remarks=(
                *([PERSONA_CUT] if missing else []),
                *([] if reads or not _wants_history(question) else [NO_HISTORY]),
                *self._remarks(draft, question),
            ),
            participants=tuple(draft.names.by_id.values()),
            bot_names=tuple(dict.fromkeys([bot_name, self._bot_name()])),
        )

    def _persona(self, place: Place, chat: ChatSettings, bot_name: str) -> Persona:
        server, channel = self._place_names(place)
        return fill(chat.system_prompt, bot=bot_name, server=server, channel=channel)

    async def _fill(self, draft: Draft, key: str | None, person_id: UserId) -> None:
        """Cut history, then the newest message, until the prompt fits."""
        most = draft.plan.prompt_tokens
        for point in draft.points:
            await self._load(draft, point, person_id)
            await _in_turns(draft.writing(point))
            if self._estimator.estimate_turns(draft.turns, key) <= most:
                return
        for attempt in range(_SHRINK_TRIES):
            await _in_turns(draft.shrinking(attempt))
            if self._estimator.estimate_turns(draft.turns, key) <= most:
                return

    async def _load(self, draft: Draft, point: int, person_id: UserId) -> None:
        """Read the files and the quoted messages of what is kept."""
        wanted: list[AttachmentInfo] = []
        for message, files in draft.wanted(point):
            wanted += await self._valid(message, files)
        place = draft.talk.newest.place
        share = Share(person_id, place.guild_id or person_id)
        contents = await asyncio.gather(*(self._files.read(each, share) for each in wanted))
        draft.files.update({a.id: content for a, content in zip(wanted, contents, strict=True)})
        for message_id in draft.unknown_quotes(point)[-_MOST_QUOTES:]:
            quoted = await self._reader.quotable(place, message_id)
            if quoted is not None:
                draft.referred[message_id] = quoted

    async def _valid(
        self, message: IncomingMessage, files: list[AttachmentInfo]
    ) -> list[AttachmentInfo]:
        """Return files with addresses that still hold, from the message as it now is."""
        if not any(has_expired(file, self._clock.now()) for file in files):
            return files
        fresh = await self._source.fetch(message.place, message.id)
        current = {a.id: a for a in fresh.attachments} if fresh is not None else {}
        return [current.get(file.id, file) for file in files]

    def _remarks(self, draft: Draft, question: Question) -> tuple[str, ...]:
        remarks = draft.remarks()
        channel_id = question.place.channel_id
        if draft.has_blank_messages and channel_id not in self._told_places:
            self._told_places[channel_id] = None
            remarks.append(NO_CONTENT)
        return tuple(remarks)


async def _in_turns(steps: Iterator[None]) -> None:
    """Do work step by step, letting others have their turn in between."""
    for _ in steps:
        await asyncio.sleep(0)


def _wants_history(question: Question) -> bool:
    is_linear = question.place.kind in LINEAR_KINDS
    return is_linear or question.about_id is not None or question.since_id is not None
