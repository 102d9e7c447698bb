"""Messages: what was sent, every version a person saw, and what it would have set off."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.discord import permissions
from sandbox.discord.model import Channel, User
from sandbox.discord.permissions import Permission

JsonObject = dict[str, Any]

CROSSPOSTED, SUPPRESS_EMBEDS, EPHEMERAL, LOADING = 1 << 0, 1 << 2, 1 << 6, 1 << 7
HAS_THREAD, SUPPRESS_NOTIFICATIONS, COMPONENTS_V2 = 1 << 5, 1 << 12, 1 << 15

DEFAULT_TYPE, THREAD_CREATED, REPLY, CHAT_INPUT, THREAD_STARTER, CONTEXT_MENU = (
    0,
    18,
    19,
    20,
    21,
    23,
)

_TICKS = re.compile("`{1,3}")
_URL = re.compile(r"(?<!<)https?://[^\s<>|]+", re.IGNORECASE)
_USER = re.compile(r"<@!?(\d{15,20})>")
_ROLE = re.compile(r"<@&(\d{15,20})>")
_EVERYONE = re.compile(r"@(?:everyone|here)")


@dataclass(frozen=True)
class Attachment:
    """A file on a message; ``data`` is what its CDN address serves."""

    id: int
    filename: str
    content_type: str | None
    data: bytes = field(repr=False)
    description: str | None = None


@dataclass(frozen=True)
class Sticker:
    """A sticker on a message; ``format_type`` is 1 PNG, 2 APNG, 3 Lottie, 4 GIF."""

    id: int
    name: str
    format_type: int = 1


@dataclass(frozen=True)
class Poll:
    """A poll on a message."""

    question: str
    answers: tuple[str, ...]
    ends_unix_s: float
    multiselect: bool = False


@dataclass(frozen=True)
class AllowedMentions:
    """``allowed_mentions`` of a request; ``given`` is false where it was absent."""

    given: bool = False
    parse: frozenset[str] = frozenset({"users", "roles", "everyone"})
    users: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()
    replied_user: bool = True


@dataclass(frozen=True)
class Pings:
    """Who was notified by a message, by its text and ``allowed_mentions``."""

    users: frozenset[int] = frozenset()
    roles: frozenset[int] = frozenset()
    everyone: bool = False

    def __bool__(self) -> bool:
        return bool(self.users or self.roles or self.everyone)


@dataclass(frozen=True)
class Version:
    """What a person saw from a moment on.

    Attributes:
        at: ``World.monotonic`` time, in seconds.
    """

    at: float
    content: str
    flags: int = 0
    embeds: tuple[JsonObject, ...] = ()
    components: tuple[JsonObject, ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass
class Draft:
    """A message to be posted, already checked."""

    content: str = ""
    embeds: list[JsonObject] = field(default_factory=list)
    components: list[JsonObject] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: int = 0
    kind: int = DEFAULT_TYPE
    reference: Message | None = None
    forward: Message | None = None
    mentions: AllowedMentions = AllowedMentions()
    nonce: str | int | None = None
    tts: bool = False
    interaction: JsonObject | None = None
    webhook_id: int | None = None
    application_id: int | None = None
    seen_by: int | None = None
    stickers: tuple[Sticker, ...] = ()
    poll: Poll | None = None


@dataclass(eq=False, repr=False)
class Message:
    """A message as Discord keeps it.

    Attributes:
        previews: (time, address) of each link that Discord would have unfurled.
        pings: Who was notified when it was posted.
        versions: Every state, oldest first.
        deleted_at: ``World.monotonic`` time of its deletion.
        seen_by: The only person who sees it, for an ephemeral message.
        mention_ids: Discord's ``mentions`` list.
        oddities: Parts of another form than the documented one, sent in place of the right ones.
    """

    id: int
    channel: Channel
    author: User
    content: str
    embeds: list[JsonObject]
    components: list[JsonObject]
    attachments: list[Attachment]
    flags: int
    kind: int
    created_unix_s: float
    reference: Message | None = None
    forward: Message | None = None
    nonce: str | int | None = None
    tts: bool = False
    interaction: JsonObject | None = None
    webhook_id: int | None = None
    application_id: int | None = None
    seen_by: int | None = None
    stickers: tuple[Sticker, ...] = ()
    poll: Poll | None = None
    edited_unix_s: float | None = None
    deleted_at: float | None = None
    mention_ids: list[int] = field(default_factory=list)
    mention_role_ids: list[int] = field(default_factory=list)
    mention_everyone: bool = False
    pings: Pings = Pings()
    previews: list[tuple[float, str]] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    reactions: dict[str, list[int]] = field(default_factory=dict)
    pinned: bool = False
    thread: Channel | None = None
    oddities: JsonObject = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Message {self.id} by {self.author.username}: {self.content[:80]!r}>"

    @property
    def ephemeral(self) -> bool:
        """Only one person sees it."""
        return bool(self.flags & EPHEMERAL)

    @property
    def loading(self) -> bool:
        """It shows "… is thinking": a deferred interaction response."""
        return bool(self.flags & LOADING)

    @property
    def is_system(self) -> bool:
        """Not typed by anybody."""
        return self.kind not in {DEFAULT_TYPE, REPLY, CHAT_INPUT, CONTEXT_MENU}

    @property
    def buttons(self) -> list[JsonObject]:
        """All buttons on it, in order."""
        return [part for part in walk(self.components) if part.get("type") == 2]

    def component(self, wanted: str) -> JsonObject:
        """Return the component with this custom id or label.

        Raises:
            LookupError: There is none.
        """
        parts = list(walk(self.components))
        for key in ("custom_id", "label"):
            for part in parts:
                if part.get(key) == wanted:
                    return part
        offered = [part.get("label") or part.get("custom_id") for part in parts]
        raise LookupError(f"no component {wanted!r} on the message; there are {offered}")

    def snapshot(self, at: float) -> None:
        """Keep the present state as a version, and note links that would unfurl."""
        self.versions.append(
            Version(
                at,
                self.content,
                self.flags,
                tuple(self.embeds),
                tuple(self.components),
                tuple(self.attachments),
            )
        )
        if not self.flags & SUPPRESS_EMBEDS and self._may_embed():
            self.previews.extend((at, url) for url in links(self.content))

    def _may_embed(self) -> bool:
        if self.channel.guild is None or self.author.is_bot:
            return True
        allowed = permissions.in_channel(self.channel, self.author.id)
        return bool(allowed & Permission.EMBED_LINKS)


def walk(components: Iterable[JsonObject]) -> Iterable[JsonObject]:
    """Yield every component of a tree, parents first."""
    for part in components:
        yield part
        yield from walk(part.get("components", ()))
        for key in ("accessory", "component"):
            if isinstance(part.get(key), dict):
                yield from walk([part[key]])


def without_code(content: str) -> str:
    """Return text without code spans and blocks, where Discord reads no markup."""
    kept: list[str] = []
    position = 0
    while opening := _TICKS.search(content, position):
        end = _code_end(content, opening)
        kept.append(content[position : opening.end() if end is None else opening.start()])
        kept.append("" if end is None else " ")
        position = opening.end() if end is None else end
    return "".join([*kept, content[position:]])


def _code_end(content: str, opening: re.Match[str]) -> int | None:
    """Return where the code ends that a run of backticks opens; ``None`` when it opens none."""
    ticks, start = opening[0], opening.end()
    end = content.find(ticks, start if len(ticks) == 3 else start + 1)
    if end < 0 or (len(ticks) == 1 and "\n" in content[start:end]):
        return None
    return end + len(ticks)


def links(content: str) -> list[str]:
    """Return the addresses in a text that Discord would unfurl."""
    return [] if "://" not in content else _URL.findall(without_code(content))


def full_text(draft: Draft) -> str:
    """Return all text in which Discord looks for mentions: content and text displays."""
    texts = [part["content"] for part in walk(draft.components) if part.get("type") == 10]
    return "\n".join([draft.content, *texts]) if texts else draft.content


@dataclass(frozen=True)
class Named:
    """The mentions that a text holds and ``allowed_mentions`` lets through."""

    users: list[int]
    roles: list[int]
    everyone: bool


def parse_mentions(
    text: str, rules: AllowedMentions, channel: Channel, author: User, users: Mapping[int, User]
) -> Named:
    """Read a text's mentions as Discord does."""
    if "@" not in text:
        return Named([], [], everyone=False)
    plain = without_code(text)
    named_users = _unique(int(found) for found in _USER.findall(plain))
    named_roles = _unique(int(found) for found in _ROLE.findall(plain))
    everyone = bool(_EVERYONE.search(plain)) and "everyone" in rules.parse
    named_users = [
        user_id
        for user_id in named_users
        if user_id in users and ("users" in rules.parse or user_id in rules.users)
    ]
    guild = channel.guild
    if guild is None:
        return Named(named_users, [], everyone=False)
    mass = bool(permissions.in_channel(channel, author.id) & Permission.MENTION_EVERYONE)
    named_roles = [
        role_id
        for role_id in named_roles
        if role_id in guild.roles
        and ("roles" in rules.parse or role_id in rules.roles)
        and (mass or guild.roles[role_id].mentionable)
    ]
    return Named(named_users, named_roles, everyone and mass)


def _unique(values: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(values))
