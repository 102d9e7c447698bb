"""What a message can hold besides text, and who is notified by it."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.discord.values.json_objects import JsonObject

SUPPRESS_EMBEDS, HAS_THREAD, EPHEMERAL, LOADING = 1 << 2, 1 << 5, 1 << 6, 1 << 7
SUPPRESS_NOTIFICATIONS, IS_VOICE_MESSAGE, COMPONENTS_V2 = 1 << 12, 1 << 13, 1 << 15
"""Message flags."""

DEFAULT_TYPE, REPLY, CHAT_INPUT_COMMAND = 0, 19, 20
THREAD_STARTER_MESSAGE, CONTEXT_MENU_COMMAND = 21, 23
"""Message types."""


@dataclass(frozen=True)
class Upload:
    """A file in a request."""

    filename: str
    data: bytes


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
    """``allowed_mentions`` of a request; the defaults hold where it is absent."""

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
        at: Monotonic time, in seconds.
    """

    at: float
    content: str
    flags: int = 0
    embeds: tuple[JsonObject, ...] = ()
    components: tuple[JsonObject, ...] = ()
    attachments: tuple[Attachment, ...] = ()
