"""Messages of a conversation as text for the model, each the same at every turn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bot.core import frames
from bot.core.domain import AttachmentInfo, IncomingMessage, UserId
from bot.core.notices import join_chunks
from bot.prompt.attachments.decoding import Decoded
from bot.prompt.attachments.kinds import FileKind, kind_of
from bot.prompt.cleaning import clean_text, neutralise, readable, safe_name, skeleton
from bot.prompt.tokens import longest_within, message_tokens, static_tokens, static_tokens_within
from config.defaults import SYSTEM_PROMPT

PRESETS: Final[dict[str, str]] = {
    "helper": SYSTEM_PROMPT,
    "brief": (
        "You are {bot}. Answer in the language of the question, in at most three sentences, "
        "without introduction or closing words."
    ),
    "coder": (
        "You are {bot}, an experienced software engineer. Give working code in fences with their "
        "language, name the assumptions you make, and explain only what isn't obvious. Say so when "
        "you aren't sure."
    ),
    "teacher": (
        "You are {bot}, a patient teacher. Explain step by step in the language of the question, "
        "with one small example, and end with a question that checks understanding."
    ),
    "translator": (
        "You are {bot}, a translator. Translate what you are given into the language asked for; "
        "into English if none is named, or from English into the server's language if you know it. "
        "Give the translation only."
    ),
    "storyteller": (
        "You are {bot}, a game master and storyteller in a Discord server. Stay in the story, "
        "describe vividly but in few words, and leave the players' decisions to the players."
    ),
}
"""Personas to start from, by name."""

_PLACEHOLDER = re.compile(r"\{([a-z]{2,16})\}")
_FIXED_PHRASES: Final = {
    "time": "the time that stands in brackets before the newest message",
    "date": "the date that stands in brackets before the newest message",
    "user": "the person who wrote the newest message",
}


@dataclass(frozen=True, slots=True)
class Persona:
    """A persona made ready for one place.

    Placeholders whose value stays the same for a place are filled in where they stand. Those that
    change (time, date, person) would make the model read everything again at each question; the
    system prompt gets a fixed phrase instead, and each message carries its own time or name.

    Attributes:
        text: The system prompt, cleaned; may be empty.
        shows_time: Each message is to carry the time it was sent at.
        shows_date: Each message is to carry its date.
        shows_names: Each message is to carry its writer's name.
    """

    text: str
    shows_time: bool = False
    shows_date: bool = False
    shows_names: bool = False


def fill(template: str, *, bot: str, server: str = "", channel: str = "") -> Persona:
    """Fill in a persona's placeholders.

    Args:
        template: The persona as set by an admin; untrusted text.
        bot: What the bot is called.
        server: Name of the guild; empty in a direct message.
        channel: Name of the channel; empty when unknown.
    """
    values = {
        "bot": safe_name(bot),
        "server": safe_name(server) if server else "this server",
        "channel": safe_name(channel) if channel else "this channel",
        **_FIXED_PHRASES,
    }
    used: set[str] = set()

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        used.add(name)
        return values.get(name, match.group())

    text = clean_text(_PLACEHOLDER.sub(value, template)).strip()
    return Persona(text, "time" in used, "date" in used, "user" in used)


PLACEHOLDERS: Final = ("bot", "server", "channel", "user", "date", "time")
"""What ``fill`` fills in."""
_IN_BRACES: Final = re.compile(r"(?<![{$])\{([^\W\d]\w{0,31})\}(?!\})")


def not_filled_in(template: str) -> list[str]:
    """Return what looks like a placeholder of a persona and isn't one, as it is written there."""
    found = dict.fromkeys(match[1] for match in _IN_BRACES.finditer(template))
    return [f"{{{name}}}" for name in found if name not in PLACEHOLDERS]


_IMAGE_TOKENS = 1100
_PDF_TOKENS = 1500
_EMBED_CHARS = 1500
_EMBEDS = 5
_WITH_TIME = "%A %Y-%m-%d %H:%M UTC"
_MESSAGE_TOKENS = 12
"""A message's header, and what a template puts around it."""

_LEAST_PIECE = 32
"""Least room for a further part of a message; what has less isn't begun."""


@dataclass(frozen=True, slots=True)
class MessageGroup:
    """What is kept or dropped as one: a person's message, or all messages of an answer.

    Attributes:
        messages: Oldest first.
        is_answer: The bot's own.
        size: Static tokens, from what Discord says: nothing is downloaded for it.
    """

    messages: tuple[IncomingMessage, ...]
    is_answer: bool
    size: int

    @property
    def id(self) -> int:
        """The snowflake of the first message."""
        return self.messages[0].id

    @property
    def attachments(self) -> Iterable[AttachmentInfo]:
        """All attachments, in order."""
        return (attachment for message in self.messages for attachment in message.attachments)


def groups_of(
    messages: Sequence[IncomingMessage], bot_id: UserId, *, most_tokens: int
) -> list[MessageGroup]:
    """Group messages: each of a person's by itself, an answer's messages together."""
    groups: list[MessageGroup] = []
    for message in messages:
        is_answer = message.author.id == bot_id
        if is_answer and not message.text.strip() and not message.attachments:
            continue
        size = min(_size(message), most_tokens)
        if is_answer and groups and groups[-1].is_answer:
            last = groups[-1]
            groups[-1] = MessageGroup((*last.messages, message), True, last.size + size)
        else:
            groups.append(MessageGroup((message,), is_answer, size))
    return groups


def _size(message: IncomingMessage) -> int:
    texts = [message.text, *message.forwarded_texts]
    texts += [message.poll, *message.stickers]
    texts += [text[:_EMBED_CHARS] for text in message.embed_texts[:_EMBEDS]]
    total = _MESSAGE_TOKENS + sum(map(message_tokens, texts))
    for attachment in message.attachments:
        kind = kind_of(attachment)
        if kind is FileKind.TEXT:
            total += attachment.size_bytes // 4
        elif kind is FileKind.IMAGE:
            total += _IMAGE_TOKENS
        elif kind is FileKind.PDF:
            total += _PDF_TOKENS
    return total


@dataclass(slots=True)
class Names:
    """Who is called what in one prompt: one name per person, and none that reads like another's.

    Attributes:
        bot_name: The bot's own, which no person has.
    """

    bot_name: str
    by_id: dict[UserId, str] = field(default_factory=dict)

    def of(self, message: IncomingMessage) -> str:
        """Return the name of a message's writer: the one of their first message in the prompt."""
        person = message.author
        known = self.by_id.get(person.id)
        if known is None:
            known = base = safe_name(person.name)
            taken = {skeleton(name) for name in (self.bot_name, *self.by_id.values())}
            number = 2
            while skeleton(known) in taken:
                known = f"{base} ({number})"
                number += 1
            self.by_id[person.id] = known
        return known


@dataclass(frozen=True, slots=True)
class Rendered:
    """A group as text.

    Attributes:
        left_out: Characters that didn't fit into one message's share.
    """

    text: str
    images: tuple[str, ...] = ()
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Style:
    """How messages are written down in one prompt.

    Attributes:
        bot_id: The bot's own user.
        bot_name: What the bot is called.
        persona: Says whether messages carry time and names.
        most_tokens: Most static tokens of one message with its files.
        files: Attachments that were read, by id.
        shown_images: Ids of the images that go along.
    """

    bot_id: UserId
    bot_name: str
    persona: Persona
    most_tokens: int
    files: Mapping[int, Decoded]
    shown_images: frozenset[int] = frozenset()

    def answer(self, group: MessageGroup) -> Rendered:
        """Write down one of the bot's answers, without anything that isn't the model's."""
        chunks = [self._words(message, message.text) for message in group.messages]
        whole = join_chunks([chunk for chunk in chunks if chunk])
        texts = [self.files[a.id].text for a in group.attachments if a.id in self.files]
        # An answer too long for messages is posted in part, with all of it in a file.
        whole = "\n\n".join(text for text in texts if text) or whole
        text, left_out = fit(whole, self.most_tokens)
        return Rendered(neutralise(text), left_out=left_out)

    def message(
        self,
        message: IncomingMessage,
        *,
        name: str | None,
        quoted: tuple[str, str] | None = None,
    ) -> Rendered:
        """Write down a person's message.

        Args:
            message: The message.
            name: The writer's name, where it is to be shown.
            quoted: Name and text of a message it refers to that isn't nearby.
        """
        if message.is_withheld:
            return Rendered(self._head(message, name) + frames.WITHHELD)
        pieces = [_Piece(self._words(message, message.text)), *self._attached(message)]
        pieces += [
            _file_piece(a, self.files[a.id]) for a in message.attachments if a.id in self.files
        ]
        empty = (
            frames.ONLY_MENTION if self.bot_id in message.mentioned_ids else frames.EMPTY_MESSAGE
        )
        body, left_out = _fitted(pieces, self.most_tokens - _MESSAGE_TOKENS)
        body = body or empty
        if quoted is not None:
            text, _ = fit(quoted[1], max(32, self.most_tokens // 4))
            body = frames.quote(quoted[0], text) + body
        body = self._head(message, name) + body
        images = tuple(
            self.files[a.id].image
            for a in message.attachments
            if a.id in self.shown_images and self.files[a.id].image
        )
        return Rendered(body, images, left_out)

    def plain(self, message: IncomingMessage) -> str:
        """Return only a message's own words, for quoting."""
        words = self._words(message, message.text)
        parts = [words, *(p.text or p.remark[1:-1] for p in self._attached(message))]
        return "\n".join(part for part in parts if part) or "no text"

    def _words(self, message: IncomingMessage, text: str) -> str:
        words = readable(text, message.names, bot_id=self.bot_id, bot_name=self.bot_name)
        return clean_text(words)

    def _attached(self, message: IncomingMessage) -> list[_Piece]:
        """Return what others wrote and the message carries."""
        pieces = [
            _Piece(self._words(message, text), frames.FORWARD) for text in message.forwarded_texts
        ]
        pieces += [
            _Piece(self._words(message, text)[:_EMBED_CHARS], frames.EMBED)
            for text in message.embed_texts[:_EMBEDS]
        ]
        pieces.append(_Piece(self._words(message, message.poll), frames.POLL))
        stickers = [
            _Piece("", remark=frames.note(f"sticker {safe_name(name)}"))
            for name in message.stickers
        ]
        return [*(piece for piece in pieces if piece.text.strip()), *stickers]

    def _head(self, message: IncomingMessage, name: str | None) -> str:
        """Return who wrote a message, and when, as far as either is to be shown."""
        form = "%A %Y-%m-%d" if self.persona.shows_date else ""
        stamp = message.created_at.strftime(_WITH_TIME if self.persona.shows_time else form)
        return frames.header(name, stamp) if name or stamp else ""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a message.

    Attributes:
        text: Cleaned; empty where there is only a remark.
        label: What it is, where it isn't the writer's own words.
        remark: Stands instead of a text.
    """

    text: str
    label: str = ""
    remark: str = ""

    @property
    def frame(self) -> str:
        """What is written around the text."""
        return self.around("")

    def around(self, text: str) -> str:
        """Return a text, of which some may have been cut, in its frame."""
        if not self.label:
            return f"{self.remark}{text}"
        return f"{frames.opening(self.label)}{text}{frames.ending(self.label)}"


def _file_piece(attachment: AttachmentInfo, content: Decoded) -> _Piece:
    name = safe_name(attachment.filename)
    if kind_of(attachment) is FileKind.IMAGE and not content.problem:
        return _Piece("", remark=frames.note(f"picture {name}"))
    if not content.text:
        problem = content.problem or "it is empty"
        return _Piece("", remark=frames.note(f"file {name}: {problem}"))
    return _Piece(content.text, f"file {name}")


def _fitted(pieces: Iterable[_Piece], room: int) -> tuple[str, int]:
    """Put the parts of a message together within a number of static tokens.

    The writer's own words come first. Whatever else there is shares the rest evenly: a long file doesn't
    take the room of the short ones beside it.

    Returns:
        The text, and how many characters didn't fit.
    """
    kept = [piece for piece in pieces if piece.text or piece.remark]
    room = max(0, room)
    needs = [static_tokens(piece.frame) + static_tokens_within(piece.text, room) for piece in kept]
    words = min(needs[0], room) if kept and not kept[0].frame else 0
    dropped = missing = 0
    while True:
        first = [words] if words else []
        shares = [*first, *_shares(needs[len(first) :], room - words)]
        short = [n for n, share in enumerate(shares) if share < min(needs[n], _LEAST_PIECE)]
        if len(kept) < 2 or not short:
            break
        dropped += len(kept.pop(short[-1]).text)
        needs.pop(short[-1])
    parts: list[str] = []
    for piece, share in zip(kept, shares, strict=True):
        text, lost = fit(piece.text, share - static_tokens(piece.frame))
        missing += lost
        parts.append(piece.around(text))
    if dropped:
        parts.append(frames.left_out(dropped))
    return "\n\n".join(parts), missing + dropped


def _shares(needs: Sequence[int], room: int) -> list[int]:
    """Divide room evenly; what one part doesn't need is the others'."""
    shares = [0] * len(needs)
    for done, index in enumerate(sorted(range(len(needs)), key=needs.__getitem__)):
        shares[index] = min(needs[index], room // (len(needs) - done))
        room -= shares[index]
    return shares


def fit(text: str, most_tokens: int) -> tuple[str, int]:
    """Cut a text so that it is at most so many static tokens, and say that it was cut.

    Returns:
        The text or its beginning, and how many characters are missing.
    """
    if longest_within(text, most_tokens) == len(text):
        return text, 0
    low = longest_within(text, most_tokens - 16)
    missing = len(text) - low
    return f"{text[:low].rstrip()}\n{frames.left_out(missing)}", missing
