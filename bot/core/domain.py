"""Plain values that travel between the parts: no Discord, no sockets, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NewType


@dataclass(frozen=True, slots=True)
class Response:
    """The response to a command, which its token fills in for 15 minutes.

    Attributes:
        application_id: Whose webhook the response is.
        token: A secret: never logged, and forgotten with the question's end.
        may_post: The bot may write to the channel, too.
    """

    application_id: int
    token: str = field(repr=False)
    may_post: bool = True


GuildId = NewType("GuildId", int)
ChannelId = NewType("ChannelId", int)
MessageId = NewType("MessageId", int)
UserId = NewType("UserId", int)
RoleId = NewType("RoleId", int)
QuestionId = NewType("QuestionId", int)
"""The snowflake of the message or interaction that asked; unique over all of Discord."""


class PlaceKind(StrEnum):
    """The kind of channel a conversation is held in."""

    GUILD_TEXT = "guild_text"
    THREAD = "thread"
    FORUM_POST = "forum_post"
    VOICE_TEXT = "voice_text"
    DM = "dm"
    GROUP_DM = "group_dm"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is said. ``(guild_id, channel_id)`` is the isolation key of all context.

    Attributes:
        kind: The kind of channel.
        channel_id: The channel, thread or DM itself.
        guild_id: The guild; ``None`` in a DM.
        parent_id: A thread's or forum post's parent channel.
        category_id: The category of the channel (of the parent, for a thread).
    """

    kind: PlaceKind
    channel_id: ChannelId
    guild_id: GuildId | None = None
    parent_id: ChannelId | None = None
    category_id: ChannelId | None = None

    def is_same(self, other: Place) -> bool:
        """Whether it is this very channel, whatever else is known of it."""
        return self.channel_id == other.channel_id and self.guild_id == other.guild_id


@dataclass(frozen=True, slots=True)
class Person:
    """Who wrote something.

    Attributes:
        id: The user's snowflake.
        name: Display name as Discord shows it: untrusted text.
        is_bot: True for bots and webhooks.
        role_ids: Roles in the guild of the message; empty in a DM.
    """

    id: UserId
    name: str
    is_bot: bool = False
    role_ids: frozenset[RoleId] = frozenset()


@dataclass(frozen=True, slots=True)
class AttachmentInfo:
    """A file on a message, as Discord describes it (not its bytes).

    Attributes:
        filename: Untrusted.
        content_type: Discord's MIME type, if it gave one: untrusted, like ``size_bytes``.
        url: Address on Discord's CDN, signed and expiring.
    """

    id: int
    filename: str
    content_type: str | None
    size_bytes: int
    url: str


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """One Discord message as a plain value.

    Attributes:
        text: Content as typed, with Discord's markup (``<@id>``); empty where Discord empties it.
            The bot's own managed role stands there as the bot itself.
        reference_id: The message this one replies to, in the same channel; otherwise ``None``.
        mentioned_ids: Users in Discord's ``mentions`` list; the bot, too, by its managed role.
        names: Display names for the user, role and channel ids that occur in ``text``.
        embed_texts: Text of embeds and of text components, one entry each.
        forwarded_texts: Text of forwarded messages (snapshots), untrusted.
        webhook_id: The webhook that posted it, if one did.
        application_id: The application that posted it, where Discord says so.
        stickers: Names of stickers, untrusted.
        poll: Question and options of a poll, a line each, untrusted.
        is_ordinary: A message or a reply typed by somebody: not a system message or a webhook.
        is_forward: A forward, whose own content is empty.
        forward_of: The message that it forwards, wherever that is.
        is_withheld: Its writer doesn't want others' questions to read it, so nothing of it is here.
        replied_user_id: Author of the referenced message where Discord sent it along.
        unfinished: The question that it answers, where a Stop button says it is being written.
    """

    id: MessageId
    place: Place
    author: Person
    text: str
    created_at: datetime
    reference_id: MessageId | None = None
    replied_user_id: UserId | None = None
    mentioned_ids: frozenset[UserId] = frozenset()
    names: Mapping[int, str] = field(default_factory=dict)
    attachments: tuple[AttachmentInfo, ...] = ()
    embed_texts: tuple[str, ...] = ()
    forwarded_texts: tuple[str, ...] = ()
    is_ordinary: bool = True
    is_forward: bool = False
    edited_at: datetime | None = None
    webhook_id: int | None = None
    application_id: int | None = None
    stickers: tuple[str, ...] = ()
    poll: str = ""
    forward_of: MessageId | None = None
    is_withheld: bool = False
    unfinished: QuestionId | None = None

    @property
    def carries_something(self) -> bool:
        """Whether there is anything beside its text to read."""
        shown = self.embed_texts or self.forwarded_texts
        return bool(shown or self.attachments or self.stickers or self.poll)


class Origin(StrEnum):
    """Where a question came from; all go to the same service."""

    MENTION = "mention"
    REPLY = "reply"
    DM = "dm"
    THREAD = "thread"
    CHANNEL = "channel"
    """A message of a channel where every message is answered."""
    SLASH = "slash"
    CONTEXT_MENU = "context_menu"
    REGENERATE = "regenerate"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class Question:
    """Something to answer.

    Attributes:
        id: Snowflake of the asking message or interaction; the key of journal, queue and nonces.
        text: What was asked, as typed, without the bot's own mention.
        message: The asking message; ``None`` when asked by interaction without one.
        about_id: A message the question is about (reply target, context menu target).
        fresh: Start afresh, without the conversation before.
        asked_at: When it was asked, UTC.
        joined: Earlier messages of the same burst, oldest first; ``text`` holds theirs too.
        since_id: Give the model everything said here from this message on, as a transcript.
        response: Where the answer begins, when asked by command.
        pressed_by: Who had it answered again, where that isn't the asker.
        continues: With CONTINUE, the question whose answer is gone on with.
        rests_on: With CONTINUE, the messages that asked that question.
    """

    id: QuestionId
    origin: Origin
    place: Place
    asker: Person
    text: str
    asked_at: datetime
    message: IncomingMessage | None = None
    about_id: MessageId | None = None
    fresh: bool = False
    joined: tuple[IncomingMessage, ...] = ()
    since_id: MessageId | None = None
    response: Response | None = None
    pressed_by: UserId | None = None
    continues: QuestionId | None = None
    rests_on: tuple[IncomingMessage, ...] = ()

    @property
    def messages(self) -> tuple[IncomingMessage, ...]:
        """The messages that ask it, oldest first; none when asked by interaction."""
        return (*self.joined, *([self.message] if self.message else []))

    @property
    def has_content(self) -> bool:
        """Whether there is anything to answer: words, a file, or a message it is about."""
        is_worded = bool(self.text.strip()) or self.about_id is not None
        return is_worded or any(each.carries_something for each in self.messages)

    @property
    def asked_in(self) -> tuple[MessageId, ...]:
        """Where it was asked: its messages, or the answer below which Continue was pressed."""
        if self.continues is not None and self.about_id is not None:
            return (self.about_id,)
        return tuple(message.id for message in self.messages)

    @property
    def counts_for(self) -> UserId:
        """Whose share of everything that is shared out it takes."""
        return self.asker.id if self.pressed_by is None else self.pressed_by

    def merge(self, earlier: Question) -> Question:
        """Return this question with an earlier one of the same burst put before it."""
        text = "\n".join(part for part in (earlier.text, self.text) if part)
        return replace(
            self,
            text=text,
            joined=(*earlier.messages, *self.joined),
            about_id=self.about_id or earlier.about_id,
            fresh=self.fresh or earlier.fresh,
        )


class Role(StrEnum):
    """Roles of the chat completions protocol."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message of a prompt.

    Attributes:
        text: Cleaned text; never empty when sent.
        images: ``data:`` URLs of images, in order; only on user turns.
    """

    role: Role
    text: str
    images: tuple[str, ...] = ()


class Reasoning(StrEnum):
    """How much a model may think before it answers (setting ``reasoning``)."""

    AUTO = "auto"
    OFF = "off"
    ON = "on"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters; always sent, since LM Studio's defaults differ by model.

    Attributes:
        temperature: 0 to 2.
        top_p: Greater than 0, up to 1.
        max_tokens: Longest answer in tokens, thinking included; at least 1.
    """

    temperature: float
    top_p: float
    max_tokens: int


@dataclass(eq=False, slots=True)
class Pace:
    """How soon text is wanted; whoever reads an answer sets it while the answer comes.

    Attributes:
        gather_s: Seconds that text may gather between two reads; 0 for each as it comes.
    """

    gather_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One completion to ask of a model.

    Attributes:
        question_id: For logs and for the caller's own bookkeeping.
        conversation_key: Stable over the turns of one conversation; prefers the warm node.
        model: Model key; ``None`` for whichever chat model is loaded.
        turns: At most one system turn, first; then user and assistant, ending with user.
        prompt_tokens: The builder's estimate of the prompt's size, in tokens.
        may_load: The model may be loaded for this; otherwise it is only used while it is in memory.
        limit_s: What is left of the question's time, in seconds; ``None`` for all of it.
        pace: How soon its text is wanted.
        person_id: Whom the question counts for.
    """

    question_id: QuestionId
    conversation_key: str
    model: str | None
    turns: tuple[ChatTurn, ...]
    sampling: Sampling
    reasoning: Reasoning = Reasoning.AUTO
    prompt_tokens: int = 0
    may_load: bool = True
    limit_s: float | None = None
    pace: Pace = field(default_factory=Pace)
    person_id: UserId | None = None


class StageKind(StrEnum):
    """What a question is waiting for, before its first visible word."""

    QUEUED = "queued"
    HELD = "held"
    WAKING = "waking"
    CONNECTING = "connecting"
    LOADING = "loading"
    READING = "reading"
    THINKING = "thinking"
    RETRYING = "retrying"


@dataclass(frozen=True, slots=True)
class Stage:
    """A question's stage, for the stage line.

    Attributes:
        position: Place in the queue, 1 is next; with QUEUED.
        expected_wait_s: Seconds until the answer should start; with HELD, how long it is kept; with
            WAKING, READING and LOADING, how long that takes in all, where it is known from earlier times.
        tokens: Prompt tokens being read; with READING.
    """

    kind: StageKind
    position: int | None = None
    expected_wait_s: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text as it arrived, raw: whatever one network read brought, joined.

    Attributes:
        content: From ``delta.content``; may hold inline reasoning markup.
        reasoning: From ``delta.reasoning_content`` or ``delta.reasoning``; never shown.
    """

    content: str = ""
    reasoning: str = ""


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    INTERRUPTED = "interrupted"
    """The stream was cut after text had arrived: what came is what there is."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts that the server reported."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int = 0
    cached_tokens: int | None = None
    """Prompt tokens found in the server's cache; ``None`` where it doesn't say (LM Studio doesn't)."""


@dataclass(frozen=True, slots=True)
class PromptCount:
    """What a server counted for one prompt and its answer; kept with the answer.

    Attributes:
        load: Which load of which model counted (``ModelInfo.load``).
        first_id: The message that the history in the prompt began with; ``None`` where that was
            chosen for another load.
        prefix: A digest of the turns that were sent.
        prompt_tokens: Tokens of those turns; 0 where the server said nothing that can be believed.
        answer_tokens: Tokens of the answer's text alone; 0 where they aren't known.
        answer_chars: Characters of the answer's text.
    """

    load: str
    first_id: int | None
    prefix: str
    prompt_tokens: int = 0
    answer_tokens: int = 0
    answer_chars: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands in for the messages that fell out of a conversation.

    Attributes:
        guild_id: Of the place; 0 for a direct message.
        channel_id: Of the place.
        covers: The messages that it was made of, oldest first, each with a mark of what it said.
        people: Who wrote them or a message that they quote, or is named in them.
        text: The model's words, made harmless.
        quoted: The messages beside these that they quote.
    """

    guild_id: int
    channel_id: int
    covers: tuple[tuple[int, str], ...]
    people: frozenset[int]
    text: str = ""
    quoted: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Completed:
    """The last event of a completion.

    Attributes:
        model: The model that the server says answered.
        remarks: Sentences for the person (trimmed history, images left out, other model).
        first_token_s: From the request to the first content or reasoning, in seconds.
        total_s: From the request to the end, in seconds.
        context_tokens: The context length of the instance that answered, where known.
        sent: The turns that were sent, after what had to be changed about them.
        interruption: With INTERRUPTED, one sentence on what happened.
        may_go_on: With INTERRUPTED, asking again at once may bring the rest.
        prompt_was_cut: The server left out a part of the prompt, so that ``usage`` counts less
            than was sent.
    """

    reason: FinishReason
    model: str | None = None
    usage: Usage | None = None
    remarks: tuple[str, ...] = ()
    first_token_s: float | None = None
    total_s: float | None = None
    context_tokens: int | None = None
    sent: tuple[ChatTurn, ...] = ()
    interruption: str = ""
    may_go_on: bool = False
    prompt_was_cut: bool = False


@dataclass(frozen=True, slots=True)
class Restarted:
    """What came so far (only reasoning, nothing visible) is void: the request was sent again."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The server counted a prompt that it refused as too long.

    Attributes:
        model: The key of the model.
        turns: What was sent.
        prompt_tokens: How many tokens that is, exactly; the fewest it can be where the server gave no number.
    """

    model: str
    turns: tuple[ChatTurn, ...]
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Retried:
    """A request failed, and is about to be made again, here or elsewhere.

    Attributes:
        cause: The kind of failure, as ``error_kind`` names it.
    """

    cause: str


ChatEvent = Stage | TextDelta | Restarted | Retried | Counted | Completed


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a model is loaded; ``None`` leaves a choice to the server, or isn't known of a loaded one.

    Attributes:
        context_length: Tokens.
        eval_batch_size: Prompt tokens computed at once.
        flash_attention: Use it.
        parallel: Predictions at once.
        offload_kv_cache_to_gpu: Keep the context's cache in the graphics memory.
    """

    context_length: int | None = None
    eval_batch_size: int | None = None
    flash_attention: bool | None = None
    parallel: int | None = None
    offload_kv_cache_to_gpu: bool | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as the server lists it.

    Attributes:
        key: What a request names.
        is_loaded: At least one instance is in memory.
        context_tokens: Context length of the loaded instance; ``None`` when not loaded or unknown.
        max_context_tokens: The most that the model supports, where known.
        parallel: Concurrent predictions of the loaded instance, where known.
        sees_images: Accepts images; ``None`` when the server doesn't say.
        reasoning_options: What the server accepts for ``reasoning``; ``None`` when not said.
        instance_ids: Loaded instances (``key``, ``key:2``, …).
        size_bytes: On disk, where known.
        variants: Its quantisations (``key@q4_k_m``), where the server lists them.
        selected_variant: The one of these that a request for the key means.
        uses_tools: Was trained to call tools; ``None`` when the server doesn't say.
        quantisation: As the server calls it (``Q4_K_M``); empty where it doesn't.
        parameters: How many, as the server writes it (``80B``); empty where it doesn't.
        loaded_as: How the loaded instance was loaded, as far as the server says.
    """

    key: str
    is_loaded: bool
    context_tokens: int | None = None
    max_context_tokens: int | None = None
    parallel: int | None = None
    sees_images: bool | None = None
    reasoning_options: tuple[str, ...] | None = None
    instance_ids: tuple[str, ...] = ()
    size_bytes: int | None = None
    variants: tuple[str, ...] = ()
    selected_variant: str = ""
    uses_tools: bool | None = None
    quantisation: str = ""
    parameters: str = ""
    loaded_as: LoadOptions = LoadOptions()

    @property
    def load(self) -> str:
        """Tells apart what this model is loaded as: counts of one load say nothing of another."""
        return f"{self.key[:200]} {self.context_tokens} {self.parallel} {self.size_bytes}"
