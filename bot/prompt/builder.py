"""Build the prompt for a question: the conversation, cleaned, cut to fit, the same at every turn.

``Draft`` is one prompt in the making: which messages are kept, and the turns they become.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
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
from bot.core.notices import SUMMED_UP
from bot.core.ports import ChatSettings, FileSource, MessageSource
from bot.core.recent import Recent
from bot.core.wording import counted
from bot.prompt.attachments.decoder import Decoder
from bot.prompt.attachments.decoding import Decoded
from bot.prompt.attachments.fair_gate import Share
from bot.prompt.attachments.files import FileReader, has_expired
from bot.prompt.attachments.kinds import FileKind, kind_of
from bot.prompt.chain import LINEAR_KINDS, Access, AnswerIndex, Conversation, ConversationReader
from bot.prompt.cleaning import safe_name
from bot.prompt.cut import (
    KEPT_SHARE,
    LEAST_SHARE,
    Budget,
    Standing,
    SummaryIndex,
    ToSummarise,
    cut_points,
    first_within,
    framed,
    instruction,
    most_tokens,
    origin,
    plan,
)
from bot.prompt.render import MessageGroup, Names, Persona, Rendered, Style, fill, fit, groups_of
from bot.prompt.tokens import (
    Sizes,
    TokenEstimator,
    is_possible,
    prefixes,
    static_size,
    static_tokens,
)
from config.settings import ContextSettings

NO_SIGHT = "This model can't see pictures."

MOST_FILES = 40
"""Most files that are read for one question; the newest."""

TOO_MANY = "there are more files here than I read at once"

_STARTER_SHARE = 4
"""A thread's first message, which always stays, gets at most this part of the budget."""

_SHRINK = 0.8
_QUOTE_CHARS = 300
_ABOUT_CHARS = 4000
"""Longest quote of the message that a menu's question is about."""


class Draft:
    """Chooses and writes down what is kept of a conversation.

    Args:
        talk: The conversation as read.
        plan: What there is room for.
        style: How messages are written down.
        sees_images: Whether the model may be able to see.
        max_images: Most images to send along.
        summaries: What may stand in for what falls out.
    """

    def __init__(
        self,
        talk: Conversation,
        plan: Budget,
        style: Style,
        *,
        sees_images: bool,
        max_images: int,
        summaries: Sequence[Summary] = (),
    ) -> None:
        self.talk = talk
        self.plan = plan
        self.sees_images = sees_images
        self.files: dict[int, Decoded] = {}
        self.referred: dict[int, IncomingMessage] = {}
        self.names = Names(style.bot_name)
        self.turns: tuple[ChatTurn, ...] = ()
        self._max_images = max_images
        self._style = replace(style, files=self.files)
        self._most_tokens = plan.turn_tokens
        self._groups = groups_of(talk.messages, style.bot_id, most_tokens=plan.turn_tokens)
        self._known = {message.id: message for message in talk.messages}
        self._starter = talk.starter
        self._point = 0
        self._left_out_chars = 0
        self._left_out_span = 0
        self._left_out_images = 0
        sizes = [group.size for group in self._groups]
        may_start = [not group.is_answer for group in self._groups]
        ids = [group.id for group in self._groups]
        start = 0 if talk.is_complete else origin(ids, sizes, may_start)
        self._points = self._fitting(cut_points(sizes, may_start, start, plan.step_tokens), sizes)
        self._pieces: list[tuple[int, int, ChatTurn]] = []
        self.anchor_key = f"{talk.place_key}:{ids[start]}"
        self._standing = Standing(self._groups, summaries, is_complete=talk.is_complete)

    def _fitting(self, points: list[int], sizes: list[int]) -> list[int]:
        """Drop the points that keep more than there is room for, by what Discord says of sizes."""
        room = 2 * self.plan.step_tokens
        if self._starter is not None:
            room -= min(static_tokens(self._starter.text), self.plan.turn_tokens // _STARTER_SHARE)
        fitting = [point for point in points if sum(sizes[point:]) <= room]
        return fitting or points[-1:]

    @property
    def answers(self) -> list[list[MessageId]]:
        """The messages of each of the bot's answers, oldest first."""
        return [[m.id for m in group.messages] for group in self._groups if group.is_answer]

    @property
    def first_id(self) -> int:
        """The message that the kept history begins with."""
        return self._groups[self._point].id

    def start(self, first_id: int | None) -> int:
        """Return the point to begin with.

        Args:
            first_id: Where an earlier prompt of this conversation began, if one is known.
        """
        ids = [group.id for group in self._groups]
        began_with_starter = self._starter is not None and first_id == self._starter.id
        is_before = not self.talk.is_complete and first_id is not None and ids[0] > first_id
        if first_id is None or began_with_starter or is_before:
            return self._points[0]
        if first_id in ids:
            return ids.index(first_id)
        # The message is gone: with the next one after it.
        later = (i for i, g in enumerate(self._groups) if g.id > first_id and not g.is_answer)
        return next(later, self._points[0])

    def cut(self, sizes: Sizes) -> tuple[int, float | None] | None:
        """Return where history has to begin instead of where it does; ``None`` where it may stay.

        Args:
            sizes: Of the turns as written.

        Returns:
            The point, and how many tokens it leaves up to the last answer, where that is counted.
        """
        people = [i for i, turn in enumerate(self.turns) if turn.role is Role.USER]
        asked = [index for index in people if index < sizes.answered]
        is_used_up = self.plan.is_used_up(sizes, asked)
        if self._point == len(self._groups) - 1 or (self.plan.fits(sizes) and not is_used_up):
            return None
        answered = self._answered(sizes)
        if not sizes.counted or not answered:
            return next(point for point in self._points if point > self._point), None
        fixed = sum(sizes.turns[: sizes.answered]) - sum(answered)
        # Where the room is used up, what is asked next doesn't count: it isn't known yet when the
        # next prompt is read ahead.
        newest = 0.0 if is_used_up else sum(sizes.turns[sizes.answered :])
        may_start = [not group.is_answer for group in self._groups[self._point :]]
        wanted, most = self.plan.kept(sizes, asked, newest)
        index = first_within([*answered, 0.0], may_start, wanted - fixed)
        if index == len(answered):
            # The last exchange alone is longer than that, and stays if it can.
            last = max((i for i in range(1, index) if may_start[i]), default=index)
            index = last if fixed + sum(answered[last:]) <= most else index
        room = self.plan.room_for_summaries(fixed)
        before = fixed + room - self.plan.room_tokens
        least, may_keep = room * LEAST_SHARE - before, room * KEPT_SHARE - before
        index = self._standing.cut(self._point, index, answered, least, may_keep)
        fixed += self._grown(sizes, self._point + index)
        left = fixed + sum(answered[index:]) if index < len(answered) else None
        return self._point + index, left

    def _grown(self, sizes: Sizes, point: int) -> float:
        """Return how many tokens longer the summary is that stands before another point."""
        was, will = self._standing.at(self._point), self._standing.at(point)
        if was is will:
            return 0.0
        static = [
            static_size(ChatTurn(Role.USER, framed(each))) if each else 0.0 for each in (was, will)
        ]
        counted_static = sum(map(static_size, self.turns[: sizes.answered]))
        rate = sum(sizes.turns[: sizes.answered]) / max(1.0, counted_static)
        return (static[1] - static[0]) * rate

    def to_summarise(self, sizes: Sizes, moment: int) -> ToSummarise | None:
        """Return the summary that the next cut will want; ``None`` where it is there, or too early.

        Args:
            sizes: Of the turns as written.
            moment: When the messages were read.
        """
        if sizes.counted != sizes.answered:
            return None
        room, answered = self.plan.room_tokens, self._answered(sizes)
        fixed = sum(sizes.turns[: sizes.answered]) - sum(answered)
        end = self._standing.due(self._point, answered, self.plan.room_for_summaries(fixed))
        if end is None:
            return None
        count = 1 + max(turn for index, turn, _ in self._pieces if index < end)
        summary = self._standing.made_of(
            self._point,
            end,
            self.talk.newest.place,
            self._style.bot_id,
            self.referred.values(),
        )
        ask = instruction(most_tokens(room))
        tokens = round(sum(sizes.turns[:count]) + static_size(ask))
        return ToSummarise((*self.turns[:count], ask), tokens, summary, most_tokens(room), moment)

    def _answered(self, sizes: Sizes) -> list[float]:
        """Return the tokens of each group that is kept, up to the last answer."""
        static = [static_size(piece) for _, _, piece in self._pieces]
        of_turn: dict[int, float] = {}
        for (_, turn, _), size in zip(self._pieces, static, strict=True):
            of_turn[turn] = of_turn.get(turn, 0.0) + size
        groups = len(self._groups) - self._point
        found, count = [0.0] * groups, 0
        for (index, turn, _), size in zip(self._pieces, static, strict=True):
            if turn < sizes.answered and index >= self._point:
                found[index - self._point] = sizes.turns[turn] * size / of_turn[turn]
                count = index - self._point + 1
        return found[:count]

    def kept(self, point: int) -> list[MessageGroup]:
        """Return what is kept when history begins at a point, the thread's first message included."""
        groups = self._groups[point:]
        if self._starter is not None:
            groups = [MessageGroup((self._starter,), is_answer=False, size=0), *groups]
        return groups

    def wanted(self, point: int) -> list[tuple[IncomingMessage, list[AttachmentInfo]]]:
        """Return the attachments still to be read, by message: of pictures those that will be sent."""
        kept = self.kept(point)
        shown = self._shown_images(kept)
        found: list[tuple[IncomingMessage, list[AttachmentInfo]]] = []
        room = MOST_FILES
        for group in reversed(kept):
            for message in reversed(group.messages):
                files = [
                    a
                    for a in message.attachments
                    if a.id not in self.files and self._is_used(a, shown, group)
                ][:room]
                room -= len(files)
                found.append((message, files))
        return [(message, files) for message, files in reversed(found) if files]

    @staticmethod
    def _is_used(attachment: AttachmentInfo, shown: frozenset[int], group: MessageGroup) -> bool:
        kind = kind_of(attachment)
        if group.is_answer:
            return kind is FileKind.TEXT
        return attachment.id in shown or kind is not FileKind.IMAGE

    def unknown_quotes(self, point: int) -> list[MessageId]:
        """Return the messages that kept ones refer to and that aren't part of the conversation."""
        if not self.talk.is_linear:
            return []
        return [
            message.reference_id
            for group in self._groups[point:]
            for message in group.messages
            if message.reference_id is not None
            and not group.is_answer
            and message.reference_id not in self._known
            and message.reference_id not in self.referred
        ]

    def writing(self, point: int) -> Iterator[None]:
        """Write the turns of what is kept from a point on, pausing after each message."""
        self._point = point
        self.names = Names(self._style.bot_name)
        kept = self.kept(point)
        style = replace(
            self._style,
            shown_images=self._shown_images(kept),
            files={**self._unread(kept), **self.files},
            most_tokens=self._most_tokens,
        )
        system = style.persona.text
        head = [ChatTurn(Role.SYSTEM, system)] if system else []
        writer = _Writer(head)
        self._pieces = []
        if (summary := self._standing.at(point)) is not None:
            self._add(writer, -1, Role.USER, Rendered(framed(summary)))
        speaker: UserId | None = None
        is_named = style.persona.shows_names or bool(self.talk.span)
        offset = point - (len(kept) - len(self._groups[point:]))
        for index, group in enumerate(kept, start=offset):
            if group.is_answer:
                self._add(writer, index, Role.ASSISTANT, style.answer(group))
                yield
                continue
            message = group.messages[0]
            author = message.author.id
            is_named = is_named or (speaker is not None and speaker != author)
            is_new = writer.begins_turn or speaker != author
            name = self._name(message)
            is_own = author == style.bot_id
            is_starter = self._starter is not None and message is self._starter
            rendered = style.message(
                message,
                name=name if (is_named and is_new) or is_own else None,
                quoted=None if is_starter else self._quote(message, index, style),
            )
            if message is self.talk.newest:
                self._left_out_chars = rendered.left_out
                rendered = self._with_span(rendered, style)
            self._add(writer, index, Role.USER, rendered)
            speaker = author
            yield
        self.turns = tuple(writer.turns())

    def _add(self, writer: _Writer, index: int, role: Role, rendered: Rendered) -> None:
        turn = writer.add(role, rendered)
        if turn is not None:
            self._pieces.append((index, turn, ChatTurn(role, rendered.text, rendered.images)))

    def shrinking(self, attempt: int) -> Iterator[None]:
        """Keep the newest message only, and less of it at each attempt; pauses as ``writing``."""
        self._starter = None
        if attempt:
            self._most_tokens = max(32, int(self._most_tokens * _SHRINK))
        if self._most_tokens <= self.plan.turn_tokens // 4:
            self._max_images = 0
        yield from self.writing(len(self._groups) - 1)

    def _quote(self, message: IncomingMessage, index: int, style: Style) -> tuple[str, str] | None:
        """Return name and text of what a message replies to, unless that stands right before it."""
        reference = message.reference_id
        if not self.talk.is_linear or reference is None:
            return None
        before = self._groups[index - 1].messages if index > 0 else ()
        if reference in {other.id for other in before}:
            return None
        target = self._known.get(reference) or self.referred.get(reference)
        if target is None or (self._starter is not None and target.id == self._starter.id):
            return None
        name = self._name(target)
        text = style.plain(target)
        if message is self.talk.newest and self.talk.is_made:
            return name, text[:_ABOUT_CHARS]
        text = " ".join(text.split())
        return name, text if len(text) <= _QUOTE_CHARS else f"{text[:_QUOTE_CHARS]}…"

    def _name(self, message: IncomingMessage) -> str:
        style = self._style
        return style.bot_name if message.author.id == style.bot_id else self.names.of(message)

    def _with_span(self, rendered: Rendered, style: Style) -> Rendered:
        """Put the transcript of a span in front of the question about it."""
        if not self.talk.span:
            return rendered
        room = self._most_tokens - static_tokens(rendered.text)
        lines: list[str] = []
        for message in reversed(self.talk.span):
            line = self._transcript_line(message, style)
            room -= static_tokens(line) + 1
            if room < 0:
                break
            lines.append(line)
        self._left_out_span = len(self.talk.span) - len(lines)
        body = "\n".join(reversed(lines))
        body = f"{frames.opening(frames.TRANSCRIPT)}{body}{frames.ending(frames.TRANSCRIPT)}"
        return replace(rendered, text=f"{body}\n\n{rendered.text}")

    def _transcript_line(self, message: IncomingMessage, style: Style) -> str:
        if message.author.id == style.bot_id:
            text, _ = fit(style.plain(message), self.plan.turn_tokens)
            return frames.header(style.bot_name, "") + text
        return style.message(message, name=self.names.of(message)).text

    def _shown_images(self, kept: Sequence[MessageGroup]) -> frozenset[int]:
        """Choose the images that go along; older ones are dropped in steps, not one by one."""
        if not self.sees_images or self._max_images == 0:
            return frozenset()
        ids = [
            a.id
            for group in kept
            if not group.is_answer
            for a in group.attachments
            if kind_of(a) is FileKind.IMAGE
        ]
        over = len(ids) - self._max_images
        self._left_out_images = max(0, over)
        if over <= 0:
            return frozenset(ids)
        step = max(1, self._max_images // 2)
        shown = len(ids) - -(-over // step) * step
        newest = sum(kind_of(a) is FileKind.IMAGE for a in self.talk.newest.attachments)
        return frozenset(ids[-max(1, shown, min(self._max_images, newest)) :])

    def _unread(self, kept: Sequence[MessageGroup]) -> dict[int, Decoded]:
        """Return what to say of files that weren't read; of a picture its name will do."""
        return {
            a.id: Decoded(problem="" if kind is FileKind.IMAGE else TOO_MANY)
            for group in kept
            if not group.is_answer
            for a in group.attachments
            if (kind := kind_of(a)) is not FileKind.IMAGE or self.sees_images
        }

    def remarks(self) -> list[str]:
        """Return what the person should know about what was left out, a sentence each."""
        found: list[str] = []
        kept = sum(len(group.messages) for group in self._groups[self._point :])
        total = sum(len(group.messages) for group in self._groups)
        summary = SUMMED_UP if self._standing.at(self._point) is not None else ""
        if not self.talk.is_complete and not self.talk.span:
            kept_messages = counted(kept, "message")
            found.append(f"Using the last {kept_messages} of this long conversation{summary}.")
        elif kept < total:
            found.append(f"Using the last {kept} of {total} messages{summary}.")
        if self._left_out_span or (self.talk.span and not self.talk.is_complete):
            read = len(self.talk.span) - self._left_out_span
            found.append(
                f"Only {counted(read, 'message')} {'fits' if read == 1 else 'fit'} into what this model can read."
            )
        if self._left_out_chars:
            found.append(
                f"What you sent is longer than this model can read: "
                f"{counted(self._left_out_chars, 'character')} left out."
            )
        return [*found, *self._file_remarks()]

    def _file_remarks(self) -> list[str]:
        found: list[str] = []
        newest = self.talk.newest.attachments
        read = [(safe_name(a.filename), self.files[a.id]) for a in newest if a.id in self.files]
        unused = [f"{name} ({content.problem})" for name, content in read if content.problem]
        if unused:
            found.append(f"Not used: {', '.join(unused)}.")
        if not self.sees_images and any(kind_of(a) is FileKind.IMAGE for a in newest):
            found.append(NO_SIGHT)
        if self._left_out_images:
            all_of_them = self._left_out_images + self._max_images
            used = "picture is" if self._max_images == 1 else f"{self._max_images} pictures are"
            found.append(f"Only the newest {used} used, of {all_of_them}.")
        cut = [name for name, content in read if content.is_cut]
        if cut:
            found.append(f"Only the first part of {', '.join(cut)} was read.")
        return found

    @property
    def has_blank_messages(self) -> bool:
        """Whether a kept message of a person is empty in a way that a missing intent makes it."""
        return any(
            not group.is_answer and _is_blank(group.messages[0], self._style.bot_id)
            for group in self._groups[self._point :]
        )


def _is_blank(message: IncomingMessage, bot_id: UserId) -> bool:
    return (
        not message.text
        and not message.is_withheld
        and not message.carries_something
        and message.is_ordinary
        and not message.is_forward
        and not message.author.is_bot
        and bot_id not in message.mentioned_ids
    )


class _Writer:
    """Turns that alternate, begin with the user behind a head and are never empty."""

    def __init__(self, head: Sequence[ChatTurn]) -> None:
        self._head = head
        self._turns: list[tuple[Role, list[str], list[str]]] = []

    @property
    def begins_turn(self) -> bool:
        """Whether a person's message would begin a new turn."""
        return not self._turns or self._turns[-1][0] is not Role.USER

    def add(self, role: Role, rendered: Rendered) -> int | None:
        """Add a message, to the last turn if it is of the same role.

        Returns:
            The number of its turn; ``None`` if there was nothing to add.
        """
        if not rendered.text.strip():
            return None
        if not self._turns and role is Role.ASSISTANT:
            self._turns.append((Role.USER, [frames.MISSING_START], []))
        if not self._turns or self._turns[-1][0] is not role:
            self._turns.append((role, [], []))
        self._turns[-1][1].append(rendered.text)
        self._turns[-1][2].extend(rendered.images)
        return len(self._head) + len(self._turns) - 1

    def turns(self) -> list[ChatTurn]:
        """Return the turns."""
        talk = [
            ChatTurn(role, "\n".join(texts), tuple(images)) for role, texts, images in self._turns
        ]
        return [*self._head, *talk]


NO_CONTENT = (
    "I can't read messages here that don't mention me or reply to me: "
    "Discord's Message Content intent is off."
)
NO_HISTORY = "You may not read the history of this channel, so I used only what you sent yourself."
_NUMBERS = 100_000
"""Channels are told apart by so many numbers: the last digits of their ids."""
_APART_TOKENS = 1000
"""Longest persona, in static tokens, before which a number stands. A longer one costs more to read anew in
each channel than conversations lose by sharing what a slot holds of it."""

PERSONA_CUT = "My persona is too long for this model's context, so I use only its beginning."

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
        conversation_key: As of a prompt.
        to_summarise: What may be summed up by then.
    """

    turns: tuple[ChatTurn, ...]
    prompt_tokens: int
    conversation_key: str
    to_summarise: ToSummarise | None = None


@dataclass(frozen=True, slots=True)
class _Written:
    """A conversation as turns that fit.

    Attributes:
        draft: Holds the turns.
        sizes: Tokens of each.
        reads: The asker may read what was said before.
        is_persona_cut: The persona was too long.
    """

    draft: Draft
    sizes: Sizes
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
        access: Who the bot is, and what may be read.
        clock: Bounds the reading of files.
        answers: The journal, for answers to slash commands and answers of several messages.
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
        access: Access,
        clock: Clock,
        answers: AnswerIndex,
        summaries: SummaryIndex,
    ) -> None:
        self._reader = ConversationReader(source, access, answers)
        self._source = source
        self._clock = clock
        self._files = FileReader(files, decoder, settings, clock)
        self._estimator = estimator
        self._settings = settings
        self._access = access
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
        draft, bot_name = written.draft, self._access.bot_name()
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
        moment = self._summaries.moment
        written = await self._write(_following(question, answer_id, self._clock), chat, model)
        turns, sizes = written.draft.turns[:-1], written.sizes
        if sizes.answered != len(turns):
            return None
        return NextPrompt(
            turns=turns,
            prompt_tokens=round(sum(sizes.turns[: sizes.answered])),
            conversation_key=written.conversation_key,
            to_summarise=None
            if chat.summaries == "off"
            else written.draft.to_summarise(sizes, moment),
        )

    def opening(
        self, place: Place, chat: ChatSettings, model: ModelInfo | None
    ) -> tuple[ChatTurn, ...]:
        """Return what every prompt at a place begins with: the system turn."""
        who, _ = self._persona(place, chat, model, safe_name(self._access.bot_name()))
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
        """Return the persona with what always stands around it, and whether it was too long.

        A server gives a prompt to the slot that holds the most of its beginning. So the first words are
        another in each channel: prompts of two channels, with one persona, take no slot from each other.
        Not so with a long persona, of which a slot then keeps what all channels share.
        """
        server, channel = self._access.names_of(place)
        who = fill(chat.system_prompt, bot=name, server=server, channel=channel)
        said = frames.EXPLAINED
        if chat.language is not None:
            said = f"{frames.ANSWER_IN.format(language=chat.language)}\n\n{said}"
        room = self._plan(chat, model).turn_tokens // 2
        is_short = static_tokens(who.text) <= _APART_TOKENS
        head = f"Channel {place.channel_id % _NUMBERS}.\n" if is_short else ""
        text, missing = fit(who.text, max(0, room - static_tokens(head + said)))
        around = f"{text}\n\n{said}".strip()
        return replace(who, text=f"{head}{around}"), missing > 0

    async def _write(
        self, question: Question, chat: ChatSettings, model: ModelInfo | None
    ) -> _Written:
        """Read a question's conversation and write it down within the model's budget."""
        name = safe_name(self._access.bot_name())
        who, is_persona_cut = self._persona(question.place, chat, model, name)
        room = self._plan(chat, model, static_tokens(who.text))
        reads = await self._access.may_read(question)
        if reads:
            talk = await self._reader.read(
                question, limit=self._settings.max_messages, enough_tokens=room.step_tokens * 2
            )
        else:
            talk = await self._reader.only(question)
        channel_id = question.place.channel_id
        has_some = chat.summaries == "auto" and channel_id in self._summaries.channels
        summaries = await self._summaries.of(channel_id, question.asker.id) if has_some else []
        draft = Draft(
            talk,
            room,
            Style(self._access.bot_id(), name, who, room.turn_tokens, {}),
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
        first_id = answers[-1].first_id if answers else None
        sizes = await self._fill(draft, first_id, measure, question.counts_for)
        return _Written(draft, sizes, reads, is_persona_cut)

    async def _counts(self, draft: Draft, model: ModelInfo | None) -> list[PromptCount]:
        """Return what this load of the model counted of a conversation, in its order."""
        answers = draft.answers
        if model is None or not answers:
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
