"""The seams of the core: what it asks of the outside, as protocols over plain values."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

from bot.core.domain import (
    AttachmentInfo,
    ChannelId,
    ChatEvent,
    ChatRequest,
    IncomingMessage,
    MessageId,
    ModelInfo,
    Person,
    Place,
    PromptCount,
    Question,
    QuestionId,
    Reasoning,
    Stage,
    UserId,
)


class ChatBackend(Protocol):
    """A model that answers."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Answer one request; ends with ``Completed`` or raises ``BackendError``.

        ``aclose()`` on the generator closes the connection at once, which stops the model.
        """
        ...

    def model(self, key: str | None) -> ModelInfo | None:
        """Return what is known of a model (of the one that ``None`` would use) without I/O."""
        ...

    def capacity(self) -> Capacity:
        """Return how much can run at once, as last read from the server, without I/O."""
        ...

    def is_available(self) -> bool:
        """Return whether a server is believed to answer, without I/O."""
        ...

    def is_loading(self) -> bool:
        """Return whether none answers only because its model is still being loaded, without I/O."""
        ...

    def wake(self) -> Stage | None:
        """Have machines that sleep woken, because a question waits; the stage where one can be."""
        ...


class LoadedModel(NamedTuple):
    """A model in a server's memory.

    Attributes:
        key: Its key.
        pace: The tokens a second that an answer of it has lately; ``None`` where that isn't known.
        copies: How often it is in memory.
    """

    key: str
    pace: float | None
    copies: int


@dataclass(frozen=True, slots=True)
class ServerState:
    """How one of the model's servers does.

    Attributes:
        is_up: It answered the last time; ``None`` before the first look at it ended.
        circuit: ``closed``, ``half-open`` or ``open``.
        in_flight: Requests running there.
        slots: How many it answers at once.
        number: By which people name it.
        is_drained: Nothing begins there, because an owner took it out.
        models: What it has in memory.
    """

    is_up: bool | None
    circuit: str
    in_flight: int = 0
    slots: int = 1
    number: int = 1
    is_drained: bool = False
    models: tuple[LoadedModel, ...] = ()


class Lead(Protocol):
    """This process's part among several that share a database, of which one answers."""

    @property
    def is_sure(self) -> bool:
        """Whether no other process answers."""
        ...

    @property
    def waiting(self) -> int:
        """How many others wait to take over, or share."""
        ...

    @property
    def remark(self) -> str:
        """What this process does among the others, and what they do."""
        ...

    async def may_post(self) -> None:
        """Wait while another process may answer.

        Raises:
            ConnectionError: One does, as far as this one knows.
        """
        ...

    def doubt(self) -> None:
        """Take note that the database failed, or lets somebody wait for long."""
        ...

    @property
    def guard(self) -> Callable[..., None]:
        """What a transaction that writes begins with: a ``StoreError`` where another one answers."""
        ...


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the servers can do at once.

    Attributes:
        slots: Predictions that may run at the same time, over all nodes; at least 1.
        pool_tokens: Tokens that prompt and answer of all running predictions share; ``None`` when
            unknown.
    """

    slots: int
    pool_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Controls:
    """Buttons below an answer; all false means none.

    Attributes:
        question_id: Whose answer it is; part of the buttons' identity.
        asker_id: Who may press them, besides moderators.
    """

    question_id: QuestionId
    asker_id: UserId
    stop: bool = False
    regenerate: bool = False
    continue_: bool = False
    thinking: bool = False
    details: bool = False


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text file to attach, UTF-8."""

    filename: str
    content: str


class ReplySink(Protocol):
    """One answer's way to its reader. Each call is one request (its retries share one nonce).

    Every call raises a ``DeliveryError``: ``TargetGoneError`` when the work is pointless,
    ``EditExhaustedError`` when a new message must take over, ``DeliveryRejectedError`` when this
    content must not be sent again.
    """

    async def send(
        self,
        content: str,
        *,
        nonce: str,
        controls: Controls | None = None,
        file: TextFile | None = None,
        is_reply: bool = False,
    ) -> MessageId:
        """Post a message.

        Args:
            content: 1 to 2000 characters, already made harmless.
            nonce: At most 25 characters; the same nonce never makes a second message.
            controls: Buttons to attach.
            file: A file to attach.
            is_reply: It replies to the question, as the first message of an answer does.
        """
        ...

    async def edit(
        self, message_id: MessageId, content: str, *, controls: Controls | None = None
    ) -> None:
        """Replace a posted message's text; ``controls=None`` leaves the buttons as they are."""
        ...

    async def delete(self, message_id: MessageId) -> None:
        """Remove a posted message; one that is gone already is no error."""
        ...

    async def typing(self) -> None:
        """Show the typing indicator, which Discord lets expire after 10 seconds."""
        ...

    async def mark(self, emoji: str) -> None:
        """React to the question's message, where there is one."""
        ...

    async def begin_waiting(self) -> None:
        """Mark the question's message as waiting, where that is set; a failure is none of the answer's."""
        ...

    async def end_waiting(self) -> None:
        """Take away what marks the question's message as waiting; never raises for Discord."""
        ...

    def is_barred(self) -> bool:
        """Return whether the bot may not write there at present, by what the gateway told of it."""
        ...


class MessageSource(Protocol):
    """Messages of Discord as plain values, from a cache or by request.

    Only messages of the given place are ever returned; ``None`` or fewer where the bot may not read.
    """

    async def fetch(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        """Return one message of this place; ``None`` if it is gone or unreadable."""
        ...

    async def history(
        self,
        place: Place,
        *,
        before: MessageId | None = None,
        after: MessageId | None = None,
        limit: int = 50,
    ) -> Sequence[IncomingMessage]:
        """Return up to ``limit`` (1 to 100) messages of this place, oldest first."""
        ...

    async def starter(self, place: Place) -> IncomingMessage | None:
        """Return the message that a thread or forum post began with."""
        ...


class FileSource(Protocol):
    """Bytes of attachments, from Discord's own hosts only."""

    async def read(self, attachment: AttachmentInfo, *, limit_bytes: int) -> bytes | None:
        """Return at most ``limit_bytes`` of the file; ``None`` if it can't be had."""
        ...


AnswerTo = Literal["mention", "every_message", "never"]


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """The settings in force for one place, after guild and channel overrides.

    Attributes:
        model: Model key; ``None`` for whichever is loaded.
        temperature: 0 to 2.
        top_p: Greater than 0, up to 1.
        max_tokens: Longest answer, in tokens.
        system_prompt: The persona's text, with its placeholders still in it.
        reasoning: How much the model may think.
        language: What it answers in; ``None`` for the question's own.
        show_footer: Add the quiet line with model and speed below each answer.
        answer_to: Which messages are answered.
        answer_in: Whether a mention is answered in place or in a thread of its own.
        waiting_mark: Mark a question until its answer begins.
        summaries: Whether what falls out of a conversation is summed up.
        may_load: The model may be loaded for this place.
        model_remark: A sentence for the person, where another model than the chosen one is used.
    """

    model: str | None
    temperature: float
    top_p: float
    max_tokens: int
    system_prompt: str
    reasoning: Reasoning
    language: str | None = None
    show_footer: bool = False
    answer_to: AnswerTo = "mention"
    answer_in: Literal["here", "thread"] = "here"
    waiting_mark: bool = False
    summaries: Literal["off", "auto"] = "auto"
    may_load: bool = True
    model_remark: str = ""


@dataclass(frozen=True, slots=True)
class PlaceRules:
    """Whom a server's own people let the bot answer at a place; an empty rule lets everybody in.

    Attributes:
        allowed_channel_ids: Only there, their threads, and in their categories.
        blocked_channel_ids: Never there.
        allowed_role_ids: Only people with one of these.
        blocked_user_ids: Never these people.
        admin_role_ids: Who may change the server's settings without Manage Server.
        answer_to: Which messages are answered there.
    """

    allowed_channel_ids: tuple[int, ...] = ()
    blocked_channel_ids: tuple[int, ...] = ()
    allowed_role_ids: tuple[int, ...] = ()
    blocked_user_ids: tuple[int, ...] = ()
    admin_role_ids: tuple[int, ...] = ()
    answer_to: AnswerTo = "mention"


class State(Protocol):
    """Small values that are kept over a restart, by name."""

    def get(self, key: str) -> object:
        """Return a value; ``None`` if there is none."""
        ...

    async def set(self, key: str, value: object) -> None:
        """Remember a value.

        Raises:
            ValueError: It is too long.
        """
        ...

    async def change(self, key: str, change: Callable[[object], object]) -> object:
        """Return a value as it is after a change, which begins at what other processes have written.

        Raises:
            ValueError: It is too long, or ``change`` has raised it.
        """
        ...

    async def change_all(
        self,
        keys: Collection[str],
        change: Callable[[Mapping[str, object]], Mapping[str, object]],
    ) -> Mapping[str, object]:
        """Return several values as they are after a change of them together."""
        ...


class SettingsReader(Protocol):
    """The settings in force, from memory."""

    def effective(self, place: Place) -> ChatSettings:
        """Return what holds at this place now: channel over guild over global over file."""
        ...


class QuestionState(StrEnum):
    """Where a journaled question stands."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    ANSWERED = "answered"
    """The final text is stored; its delivery may be incomplete."""
    CLOSED = "closed"


class Outcome(StrEnum):
    """How a question ended; exactly one each."""

    DELIVERED = "delivered"
    NOTIFIED = "notified"
    """A sentence instead of an answer: refused, failed, expired, set aside."""
    STOPPED = "stopped"
    MERGED = "merged"
    """Answered together with a later message of the same burst."""
    DROPPED = "dropped"
    """Its reader is gone: message or channel deleted, bot removed."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An accepted question as stored.

    Attributes:
        attempts: How many runs of the bot worked on it and did not end in order.
        posted: Message ids of the answer so far, by chunk; with RUNNING the first may be missing.
        chunks: The final texts, by message; empty before ANSWERED.
        thinking: The model's thinking, bounded, for "Show thinking".
        details: One line about model and speed, for "Details".
        own_lines: The bot's own lines below the answer, or the notice instead of one; ``None`` where
            that wasn't recorded.
        count: How long prompt and answer are, as the server counted.
    """

    question: Question
    state: QuestionState
    attempts: int = 0
    posted: tuple[MessageId, ...] = ()
    chunks: tuple[str, ...] = ()
    thinking: str = ""
    details: str = ""
    own_lines: str | None = None
    outcome: Outcome | None = None
    updated_at: datetime | None = None
    count: PromptCount | None = None


class Journal(Protocol):
    """Accepted questions, kept over a crash. Each method commits before it returns.

    When the database fails, methods log once and go on in memory: answering matters more.
    """

    async def accept(self, question: Question, posted: Sequence[MessageId] = ()) -> bool:
        """Store a question before any work; ``False`` if it is known already (a duplicate).

        Args:
            question: What was asked.
            posted: Messages of an earlier answer that this one takes the place of.
        """
        ...

    async def start(self, question_id: QuestionId) -> int:
        """Mark work as begun, before anything is done; returns the number of this attempt."""
        ...

    async def give_back(self, question_id: QuestionId) -> None:
        """Take back the newest attempt: the process is alive, and works on it no longer."""
        ...

    async def posted(self, question_id: QuestionId, message_ids: Sequence[MessageId]) -> None:
        """Record the messages posted so far, in order."""
        ...

    async def answered(
        self,
        question_id: QuestionId,
        chunks: Sequence[str],
        *,
        thinking: str = "",
        details: str = "",
        own_lines: str | None = None,
        count: PromptCount | None = None,
    ) -> None:
        """Store the final texts, which lines of them are the bot's own, and their count, before delivery."""
        ...

    async def own_lines(self, question_id: QuestionId, own_lines: str) -> None:
        """Record the bot's own lines in what is about to be posted."""
        ...

    async def revise(self, question: Question) -> None:
        """Record that an open question is asked in other words now; an answer to the old is dropped."""
        ...

    async def close(self, question_id: QuestionId, outcome: Outcome) -> None:
        """Record the outcome; a second call changes nothing."""
        ...

    async def entry(self, question_id: QuestionId) -> JournalEntry | None:
        """Return one question as stored."""
        ...

    async def entry_of_message(self, message_id: MessageId) -> JournalEntry | None:
        """Return the question that a posted message answers."""
        ...

    async def newest_asked_in(self, message_id: MessageId) -> JournalEntry | None:
        """Return the question that was asked last in a message (see ``Question.asked_in``)."""
        ...

    async def own_lines_of(self, message_ids: Sequence[MessageId]) -> dict[MessageId, str | None]:
        """Return the recorded own lines of the answers that posted messages belong to."""
        ...

    async def note_notice(self, message_id: MessageId) -> None:
        """Record a message that was posted outside of any question."""
        ...

    async def notices_of(self, message_ids: Sequence[MessageId]) -> set[MessageId]:
        """Return which of these messages were posted outside of any question."""
        ...

    async def counts_of(self, message_ids: Sequence[MessageId]) -> dict[MessageId, PromptCount]:
        """Return the counts of the answers that posted messages belong to, where there are any."""
        ...

    async def askers(self, message_ids: Sequence[MessageId]) -> dict[MessageId, Person]:
        """Return who asked in messages; those that asked nothing are left out."""
        ...

    async def pending(self) -> Sequence[JournalEntry]:
        """Return all questions without an outcome, oldest first."""
        ...

    async def seen(self, channel_id: ChannelId, message_id: MessageId) -> None:
        """Note the newest message received in a channel; may be written with delay."""
        ...

    async def last_seen(self) -> dict[ChannelId, MessageId]:
        """Return the newest noted message of every channel."""
        ...
