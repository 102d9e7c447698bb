"""Build the prompt for a question: the conversation, cleaned, cut to fit, the same at every turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from bot.core import frames
from bot.core.clock import Clock
from bot.core.domain import (
    AttachmentInfo,
    ChatTurn,
    Counted,
    IncomingMessage,
    MessageId,
    ModelInfo,
    Origin,
    Place,
    PromptCount,
    Question,
    QuestionId,
    Role,
    Summary,
    UserId,
)
from bot.core.ports import ChatSettings, FileSource, MessageSource
from bot.core.recent import Recent
from bot.prompt.attachments.decoder import Decoder
from bot.prompt.attachments.fair_gate import Share
from bot.prompt.attachments.files import FileReader, has_expired
from bot.prompt.budget import Budget, plan
from bot.prompt.chain import LINEAR_KINDS, AnswerIndex, ConversationReader
from bot.prompt.cleaning import safe_name
from bot.prompt.counts import Sizes, prefixes
from bot.prompt.draft import Draft
from bot.prompt.render import Persona, Style, fill, fit
from bot.prompt.summary import SummaryIndex, ToSummarise
from bot.prompt.tokens import TokenEstimator, is_possible, static_tokens
from config.settings import ContextSettings

NO_CONTENT = (
    "I can't read messages here that don't mention me or reply to me: "
    "Discord's Message Content intent is off."
)
NO_HISTORY = "You may not read the history of this channel, so I used only what you sent yourself."
PERSONA_CUT = "My persona is too long for this model's context, so I use only its beginning."

MayRead = Callable[[Question], Awaitable[bool]]
Measure = Callable[..., Sizes]
_MOST_QUOTES = 12
_SHRINK_TRIES = 24
_REMEMBERED_PLACES = 256
_REMEMBERED_REFUSALS = 64


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is given for one question.

    Attributes:
        turns: At most one system turn, first; then user and assistant in turn, ending with user.
        prompt_tokens: Its size, in tokens: of what the server has counted before as counted, of the
            rest as estimated.
        conversation_key: Stable over the turns of a conversation.
        first_id: The message that its history begins with.
        load: Which load of a model it was made for.
        remarks: Sentences for the person, each a line.
        participants: Names of the people in it, for cutting an invented continuation.
        bot_names: What the bot is called, for cutting a name in front of the answer.
    """

    turns: tuple[ChatTurn, ...]
    prompt_tokens: int
    conversation_key: str
    first_id: int | None = None
    load: str = ""
    remarks: tuple[str, ...] = ()
    participants: tuple[str, ...] = ()
    bot_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NextPrompt:
    """How the next prompt of a conversation begins.

    Attributes:
        turns: As of a prompt, but ending with the answer that was given last.
        prompt_tokens: Their size, in tokens.
        is_counted: The size rests on what the server counted.
        differs: It doesn't go on from what the server read for that answer, because a cut was due.
        conversation_key: As of a prompt.
        to_summarise: What may be summed up by then.
    """

    turns: tuple[ChatTurn, ...]
    prompt_tokens: int
    is_counted: bool
    differs: bool
    conversation_key: str
    to_summarise: ToSummarise | None = None


@dataclass(frozen=True, slots=True)
class _Written:
    """A conversation as turns that fit.

    Attributes:
        draft: Holds the turns.
        sizes: Tokens of each.
        newest: What was counted of its last prompt.
        reads: The asker may read what was said before.
        is_persona_cut: The persona was too long.
    """

    draft: Draft
    sizes: Sizes
    newest: PromptCount | None
    reads: bool
    is_persona_cut: bool

    @property
    def conversation_key(self) -> str:
        """Stable over the turns of the conversation."""
        return self.draft.talk.key or self.draft.anchor_key


class ContextBuilder:
    """Builds prompts. What a prompt depends on is kept with the answers: a restart changes no byte.

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
        withheld: Whether a message isn't to be read for the question of this person.
        may_read: Whether a question's asker may read what was said before.
        answers: The journal, for answers to slash commands and answers of several messages.
        place_names: Names of the guild and channel of a place, for the persona.
        summaries: What stands in for what fell out.
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
        withheld: Callable[[IncomingMessage, UserId], bool] = lambda *_: False,
        may_read: MayRead | None = None,
        answers: AnswerIndex | None = None,
        place_names: Callable[[Place], tuple[str, str]] = lambda _: ("", ""),
        summaries: SummaryIndex | None = None,
    ) -> None:
        self._reader = ConversationReader(source, bot_id, may_use, answers, withheld)
        self._source = source
        self._clock = clock
        self._files = FileReader(files, decoder, settings, clock)
        self._estimator = estimator
        self._settings = settings
        self._bot_id = bot_id
        self._bot_name = bot_name
        self._place_names = place_names
        self._may_read = may_read
        self._answers = answers
        self._summaries = summaries
        self._refused: Recent[str, PromptCount] = Recent(_REMEMBERED_REFUSALS)
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
        written = await self._write(question, chat, model)
        draft, bot_name = written.draft, self._bot_name()
        return Prompt(
            turns=draft.turns,
            prompt_tokens=written.sizes.total,
            conversation_key=written.conversation_key,
            first_id=draft.first_id,
            load=model.load if model else "",
            remarks=(
                *([PERSONA_CUT] if written.is_persona_cut else []),
                *([] if written.reads or not _wants_history(question) else [NO_HISTORY]),
                *self._remarks(draft, question),
            ),
            participants=tuple(draft.names.by_id.values()),
            bot_names=tuple(dict.fromkeys([safe_name(bot_name), bot_name])),
        )

    async def next_prompt(
        self, question: Question, answer_id: MessageId, chat: ChatSettings, model: ModelInfo | None
    ) -> NextPrompt | None:
        """Return how the prompt of the next question of a conversation will begin.

        Args:
            question: What was answered last.
            answer_id: The last message of its answer.
            chat: The settings in force at its place.
            model: What is known of the model that will answer.

        Returns:
            ``None`` where the conversation doesn't go on from there.
        """
        if question.since_id is not None:
            return None
        moment = self._summaries.moment if self._summaries is not None else 0
        written = await self._write(_following(question, answer_id, self._clock), chat, model)
        turns, sizes = written.draft.turns[:-1], written.sizes
        if sizes.answered != len(turns):
            return None
        return NextPrompt(
            turns=turns,
            prompt_tokens=round(sum(sizes.turns[: sizes.answered])),
            is_counted=sizes.counted == sizes.answered,
            differs=written.newest is None or prefixes(turns[:-1])[-1] != written.newest.prefix,
            conversation_key=written.conversation_key,
            to_summarise=self._to_summarise(written, chat, moment),
        )

    def _to_summarise(
        self, written: _Written, chat: ChatSettings, moment: int
    ) -> ToSummarise | None:
        if self._summaries is None or chat.summaries == "off":
            return None
        wanted = written.draft.to_summarise(written.sizes)
        return None if wanted is None else replace(wanted, moment=moment)

    def opening(
        self, place: Place, chat: ChatSettings, model: ModelInfo | None
    ) -> tuple[ChatTurn, ...]:
        """Return what every prompt at a place begins with: the system turn."""
        who, _ = self._persona(place, chat, model, safe_name(self._bot_name()))
        return (ChatTurn(Role.SYSTEM, who.text),) if who.text else ()

    def forget(self) -> None:
        """Forget what is remembered of people's words and files; it is read again when needed."""
        self._reader.forget()
        self._files.forget()

    def refused(self, event: Counted, load: str) -> None:
        """Take in the exact size of a prompt that was refused as too long.

        Args:
            event: What the server said.
            load: Which load of the model it was made for.
        """
        self._estimator.learn_limit(event.model, event.turns, event.prompt_tokens)
        if is_possible(event.turns, event.prompt_tokens):
            digest = prefixes(event.turns)[-1]
            self._refused[digest] = PromptCount(load, None, digest, event.prompt_tokens)

    def _plan(self, chat: ChatSettings, model: ModelInfo | None, system_tokens: int = 0) -> Budget:
        known = model.context_tokens if model else None
        return plan(
            known or self._settings.fallback_context_tokens,
            chat.max_tokens,
            system_tokens,
            self._estimator.scale(model.key if model else chat.model),
        )

    def _persona(
        self, place: Place, chat: ChatSettings, model: ModelInfo | None, name: str
    ) -> tuple[Persona, bool]:
        """Return the persona with what is always said behind it, and whether it was too long."""
        server, channel = self._place_names(place)
        who = fill(chat.system_prompt, bot=name, server=server, channel=channel)
        room = self._plan(chat, model).turn_tokens // 2
        text, missing = fit(who.text, max(0, room - static_tokens(frames.EXPLAINED)))
        return replace(who, text=f"{text}\n\n{frames.EXPLAINED}".strip()), missing > 0

    async def _write(
        self, question: Question, chat: ChatSettings, model: ModelInfo | None
    ) -> _Written:
        """Read a question's conversation and write it down within the model's budget."""
        name = safe_name(self._bot_name())
        who, is_persona_cut = self._persona(question.place, chat, model, name)
        room = self._plan(chat, model, static_tokens(who.text))
        reads = self._may_read is None or await self._may_read(question)
        if reads:
            talk = await self._reader.read(
                question, limit=self._settings.max_messages, enough_tokens=room.step_tokens * 2
            )
        else:
            talk = await self._reader.only(question)
        summaries: list[Summary] = []
        if self._summaries is not None and chat.summaries == "auto":
            summaries = await self._summaries.of(question.place.channel_id, question.asker.id)
        draft = Draft(
            talk,
            room,
            Style(self._bot_id(), name, who, room.turn_tokens, {}),
            sees_images=model is None or model.sees_images is not False,
            max_images=self._settings.max_images,
            summaries=summaries,
        )
        answers = await self._counts(draft, model)
        counts = {count.prefix: count for count in (*self._refused.values(), *answers)}
        measure = partial(
            Sizes,
            counts=counts if model is not None else {},
            estimator=self._estimator,
            model=model.key if model else chat.model,
        )
        newest = answers[-1] if answers else None
        first_id = newest.first_id if newest is not None else None
        sizes = await self._fill(draft, first_id, measure, question.counts_for)
        return _Written(draft, sizes, newest, reads, is_persona_cut)

    async def _counts(self, draft: Draft, model: ModelInfo | None) -> list[PromptCount]:
        """Return what this load of the model counted of a conversation, in its order."""
        answers = draft.answers
        if self._answers is None or model is None or not answers:
            return []
        known = await self._answers.counts_of([each for answer in answers for each in answer])
        found = [known[each] for answer in answers for each in answer if each in known]
        return [count for count in found if count.load == model.load]

    async def _fill(
        self, draft: Draft, first_id: int | None, measure: Measure, person_id: UserId
    ) -> Sizes:
        """Cut history, then the newest message, until the prompt fits.

        Args:
            draft: Is written.
            first_id: Where the conversation's last prompt began.
            measure: Returns the sizes of turns.
            person_id: Whose share of the time files are read in.
        """
        point = draft.start(first_id)
        answered_tokens: float | None = None
        while True:
            await self._load(draft, point, person_id)
            await _in_turns(draft.writing(point))
            sizes = measure(draft.turns, answered_tokens=answered_tokens)
            cut = draft.cut(sizes)
            if cut is None:
                break
            point, answered_tokens = cut
        for attempt in range(_SHRINK_TRIES):
            if draft.plan.fits(sizes):
                break
            await _in_turns(draft.shrinking(attempt))
            sizes = measure(draft.turns)
        return sizes

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
            quoted = await self._reader.quotable(place, message_id, draft.talk.newest.author.id)
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


def _following(question: Question, answer_id: MessageId, clock: Clock) -> Question:
    """Return a question like the one that may follow on an answer."""
    newest = IncomingMessage(
        id=MessageId(answer_id + 1),
        place=question.place,
        author=question.asker,
        text="",
        created_at=clock.now(),
        reference_id=answer_id,
    )
    return Question(
        id=QuestionId(newest.id),
        origin=Origin.REPLY,
        place=question.place,
        asker=question.asker,
        text="",
        asked_at=newest.created_at,
        message=newest,
    )


def _wants_history(question: Question) -> bool:
    is_linear = question.place.kind in LINEAR_KINDS
    return is_linear or question.about_id is not None or question.since_id is not None
