"""Whom a message's text mentions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox.discord.state import access
from sandbox.discord.state.guilds import Channel, Draft
from sandbox.discord.values.accounts import User
from sandbox.discord.values.components import TEXT_DISPLAY, walk
from sandbox.discord.values.content import AllowedMentions
from sandbox.discord.values.markup import without_code
from sandbox.discord.values.permissions import Permission

_USER = re.compile(r"<@!?(\d{15,20})>")
_ROLE = re.compile(r"<@&(\d{15,20})>")
_EVERYONE = re.compile(r"@(?:everyone|here)")


def full_text(draft: Draft) -> str:
    """Return all text in which Discord looks for mentions: content and text displays."""
    texts = [part["content"] for part in walk(draft.components) if part.get("type") == TEXT_DISPLAY]
    return "\n".join([draft.content, *texts]) if texts else draft.content


@dataclass(frozen=True)
class Mentions:
    """The mentions that a text holds and ``allowed_mentions`` lets through."""

    users: list[int]
    roles: list[int]
    everyone: bool


def parse_mentions(
    text: str, rules: AllowedMentions, channel: Channel, author: User, users: Mapping[int, User]
) -> Mentions:
    """Read a text's mentions as Discord does."""
    if "@" not in text:
        return Mentions([], [], everyone=False)
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
        return Mentions(named_users, [], everyone=False)
    mass = bool(access.in_channel(channel, author.id) & Permission.MENTION_EVERYONE)
    named_roles = [
        role_id
        for role_id in named_roles
        if role_id in guild.roles
        and ("roles" in rules.parse or role_id in rules.roles)
        and (mass or guild.roles[role_id].mentionable)
    ]
    return Mentions(named_users, named_roles, everyone and mass)


def _unique(values: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(values))
