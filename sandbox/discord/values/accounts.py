"""Accounts, and the team that owns the application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class HasId(Protocol):
    """Anything with an id: a user, a person, a role."""

    @property
    def id(self) -> int:
        """The snowflake."""
        ...


@dataclass(eq=False)
class User:
    """An account.

    Attributes:
        accepts_dms: False: messages to this person are refused with 50007.
        blocks_bot: The bot may not react to this person's messages (90001), nor write to them.
        is_system: Discord's own account.
        is_webhook: The name under which a webhook spoke, which is no account.
    """

    id: int
    username: str
    global_name: str | None = None
    is_bot: bool = False
    accepts_dms: bool = True
    blocks_bot: bool = False
    is_system: bool = False
    is_webhook: bool = False
    flags: int = 0

    @property
    def display_name(self) -> str:
        """What people see of this user."""
        return self.global_name or self.username

    @property
    def mention(self) -> str:
        """The markup that mentions this user."""
        return f"<@{self.id}>"


@dataclass(frozen=True)
class TeamMember:
    """Somebody in a team; ``role`` is admin, developer or read_only."""

    user: User
    role: str = "admin"
    accepted: bool = True


@dataclass(eq=False)
class Team:
    """The team that owns the application.

    Attributes:
        user: The pseudo-account that stands as the application's owner.
    """

    user: User
    owner_id: int
    members: list[TeamMember] = field(default_factory=list)
