"""Names in a list of ids: what people type for channels, roles and people becomes what is stored."""

from __future__ import annotations

import difflib
import re
from typing import Any, Final

from discord.http import Route

from bot.core.errors import DeliveryError
from bot.core.permissions import listed
from bot.gateway.client import Interaction
from bot.gateway.rest import Caller
from bot.storage.setting_types import SettingType
from cogs import _gate
from config import values

MOST_SEARCHED: Final = 10
"""People that one command may name; each takes a request to Discord. Mentions and ids take none."""
NAME_CHARS: Final = 100
"""Longest name of a channel or role (Discord: channel object, role object); people's are shorter."""
_MOST_FOUND: Final = 100
_MOST_NAMED: Final = 5

TOO_MANY: Final = f"At most {MOST_SEARCHED} people can be given by name at once. Mention the others, or give their ids."
NOT_TOLD: Final = (
    "Discord didn't tell me who has that name. Please try again, or give a mention or an id."
)

_EVERY: Final = frozenset({"all", "alle", "any", "every", "everybody", "everyone", "*"})
"""What people write into a list of those who are answered, so that all are."""
_PARTS: Final = re.compile(r"[,;]++")
_LINK: Final = re.compile(
    r"https://(?:(?:www|ptb|canary)\.)?discord(?:app)?\.com/channels/\d{1,20}/(\d{1,20})(?:/\d{0,20})?",
    re.ASCII,
)
"""What *Copy Link* gives for a channel, and for a message in it."""
_MENTION: Final = re.compile(r"[+-]?+(?:<[#@&!\d]{1,24}>|\d{1,20})|none", re.IGNORECASE | re.ASCII)

Names = dict[int, tuple[str, ...]]
"""What each is called, by id."""


async def with_ids(interaction: Interaction, kind: SettingType, text: str) -> str:
    """Put ids in the place of names; a name with spaces or commas in it may stand alone.

    Args:
        interaction: In the server whose channels, roles and members are meant.
        kind: A setting that is a list.
        text: As typed.

    Raises:
        GateError: A name is nobody's, or that of several; or Discord can't be asked.
    """
    whole = values.bare(text)
    whole = _LINK.sub(r"<#\1>", whole) if kind.of == "channel" else whole
    if all(map(_MENTION.fullmatch, _words(whole))):
        return whole
    directory = _Directory(interaction, kind)
    one = await directory.find(whole)
    if one is not None:
        return one
    if kind.name.startswith("allowed_") and whole.casefold() in _EVERY:
        return "none"
    found: list[str] = []
    for part in filter(None, map(str.strip, _PARTS.split(whole))):
        one = await directory.find(part)
        found += [one] if one is not None else [await directory.get(each) for each in part.split()]
    return " ".join(found)


def _words(text: str) -> list[str]:
    return _PARTS.sub(" ", text).split()


class _Directory:
    """The names in a server that a setting may be about.

    Args:
        interaction: In the server.
        kind: The setting.
    """

    def __init__(self, interaction: Interaction, kind: SettingType) -> None:
        self._interaction = interaction
        self._kind = kind
        self._searched: dict[str, Names] = {}

    async def find(self, typed: str) -> str | None:
        """Return what the one of that name is stored as, with its sign; ``None`` where it is nobody's.

        Raises:
            GateError: Several have that name, or Discord can't be asked.
        """
        if _MENTION.fullmatch(typed):
            return typed
        name, known = _bare(typed), await self._known(typed)
        found = [each for each, names in known.items() if name in map(str.casefold, names)]
        # A new server has #general and a voice General.
        if self._kind.of != "person" and len(found) > 1:
            as_typed = _without_sign(typed)
            found = [each for each in found if as_typed in known[each]] or found
        if len(found) > 1:
            raise _gate.GateError(self._several(typed, {each: known[each] for each in found}))
        sign = typed[:1] if typed[:1] in {"+", "-"} else ""
        return f"{sign}{found[0]}" if found else None

    async def get(self, typed: str) -> str:
        """Return as ``find`` does.

        Raises:
            GateError: As ``find``; or it is nobody's, with names that are near.
        """
        one = await self.find(typed)
        if one is None:
            raise self._unknown(typed, await self._known(typed))
        return one

    async def _known(self, typed: str) -> Names:
        """Return the names that may be meant: all of the server's, and of people those that begin so."""
        guild, of, name = self._interaction.guild, self._kind.of, _bare(typed)
        if guild is None or not 1 <= len(name) <= NAME_CHARS:
            return {}
        if of == "person":
            return await self._search(guild.id, _without_sign(typed))
        there = {"channel": guild.channels, "role": guild.roles[1:]}.get(of, ())
        return {each.id: (each.name,) for each in there}

    async def _search(self, guild_id: int, name: str) -> Names:
        """Return the members whose name begins with this (Discord: search guild members)."""
        if name not in self._searched:
            if len(self._searched) >= MOST_SEARCHED:
                raise _gate.GateError(TOO_MANY)
            client = self._interaction.client
            route = Route("GET", "/guilds/{guild_id}/members/search", guild_id=guild_id)
            asked = {"query": name.encode(errors="ignore").decode(), "limit": _MOST_FOUND}
            caller = Caller(client.services.clock)
            try:
                found = await caller.call(lambda: client.http.request(route, params=asked))
            except DeliveryError as exc:
                raise _gate.GateError(NOT_TOLD) from exc
            self._searched[name] = dict(map(_names_of, found))
        return self._searched[name]

    def _several(self, typed: str, found: Names) -> str:
        some = list(found)[:_MOST_NAMED]
        if self._kind.of == "person":  # a mention shows the name that they share
            shown = [f"<@{each}> (`@{_shown(found[each][0])}`, id {each})" for each in some]
        else:
            shown = [f"{self._mention(each)} (id {each})" for each in some]
        what = {"person": "people", "channel": "channels", "role": "roles"}[self._kind.of]
        return (
            f"Several {what} of this server are called that: {listed(shown)}. "
            f"Mention the one you mean, or give the id instead of `{_shown(typed)}`."
        )

    def _unknown(self, typed: str, known: Names) -> _gate.GateError:
        ids = {name.casefold(): each for each, names in known.items() for name in names}
        cutoff = 0.1 if self._kind.of == "person" else 0.4  # people's begin with what was typed
        near = difflib.get_close_matches(_bare(typed)[:NAME_CHARS], ids, 3, cutoff)
        offer = " or ".join(dict.fromkeys(self._mention(ids[each]) for each in near))
        must = f"`{self._kind.name}` must be {self._kind.allowed}."
        if self._kind.of == "guild":
            return _gate.GateError(must)
        ending = f"Did you mean {offer}?" if offer else must
        return _gate.GateError(f"This server has no {self._kind.of} of that name. {ending}")

    def _mention(self, entry: int) -> str:
        return {"channel": "<#{}>", "role": "<@&{}>"}.get(self._kind.of, "<@{}>").format(entry)


def _names_of(member: Any) -> tuple[int, tuple[str, ...]]:  # noqa: ANN401 - as parsed
    """Return a member's id and names, the one that nobody else has first."""
    user = member["user"]
    names = (user["username"], user.get("global_name"), member.get("nick"))
    return int(user["id"]), tuple(filter(None, names))


def _without_sign(typed: str) -> str:
    return typed.lstrip("+- ").lstrip("#@").strip()


def _bare(typed: str) -> str:
    return _without_sign(typed).casefold()


def _shown(typed: str) -> str:
    return _without_sign(typed).replace("`", "'")[:NAME_CHARS]
