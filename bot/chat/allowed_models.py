"""Which models a guild may choose: memory is the owners', so only what is loaded or allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from bot.core.domain import GuildId, ModelInfo
from bot.core.ports import State
from bot.lmstudio.catalogue import name_to_send
from bot.lmstudio.names import meant

STATE: Final = "allowed_models"
"""State: model keys by guild, as the owners allowed them."""

MOST_PER_GUILD: Final = 32
MOST_GUILDS: Final = 200


@dataclass(frozen=True, slots=True)
class Permit:
    """A model that a guild may use.

    Attributes:
        key: What a request names.
        may_load: It may also be loaded for this; otherwise only used while it is in memory.
    """

    key: str
    may_load: bool


class AllowedModels:
    """The owners' lists, and what a guild's choice means under them.

    Args:
        for_all: Models that every guild may use, from the settings file.
        state: Where the lists of single guilds are kept.
        find: What is known of a model, without I/O.
    """

    def __init__(
        self,
        for_all: Iterable[str],
        state: State,
        find: Callable[[str | None], ModelInfo | None],
    ) -> None:
        self._for_all = tuple(for_all)
        self._state = state
        self._find = find

    def of(self, guild_id: GuildId) -> tuple[str, ...]:
        """Return the models that this guild may use whether or not they are loaded."""
        own = _lists(self._state.get(STATE)).get(str(guild_id), [])
        return tuple(dict.fromkeys((*self._for_all, *own)))

    def permit(self, guild_id: GuildId, name: str) -> Permit | None:
        """Return what may be sent for a guild's choice; ``None`` if nothing may.

        Args:
            guild_id: Whose choice it is.
            name: As it was chosen. A quantisation in it must be allowed by name, since asking for
                another one loads it.
        """
        info = self._find(name)
        allowed = self.of(guild_id)
        if name in allowed:
            return Permit(name, may_load=True)
        if info is None:
            return None
        key = name_to_send(info, name, info.key)
        asked = info.key if key in info.instance_ids else key
        if asked in map(self._as_listed, allowed):
            return Permit(key, may_load=True)
        is_in_memory = info.is_loaded and asked == info.key
        return Permit(key, may_load=False) if is_in_memory else None

    async def allow(self, guild_id: GuildId, key: str) -> bool:
        """Let a guild use a model; ``False`` if its list is full."""
        if key in self._for_all:
            return True

        def allow(stored: object) -> object:
            lists = _lists(stored)
            own = lists.get(str(guild_id), [])
            if key in own:
                return stored
            if len(own) >= MOST_PER_GUILD or (not own and len(lists) >= MOST_GUILDS):
                raise ValueError("full")
            return {**lists, str(guild_id): [*own, key]}

        try:
            await self._state.change(STATE, allow)
        except ValueError:  # or all lists together are longer than a value may be
            return False
        return True

    async def forbid(self, guild_id: GuildId, key: str) -> bool:
        """Take a model from a guild's own list; ``False`` if it isn't there."""
        named = meant(key, _lists(self._state.get(STATE)).get(str(guild_id), []))
        if len(named) != 1:
            return False
        await self._keep(guild_id, lambda name: name not in named)
        return True

    async def forget(self, guild_id: GuildId) -> None:
        """Forget a guild's own list."""
        if str(guild_id) in _lists(self._state.get(STATE)):
            await self._keep(guild_id, lambda _: False)

    async def _keep(self, guild_id: GuildId, is_kept: Callable[[str], bool]) -> None:
        """Keep some of a guild's own list."""

        def keep(stored: object) -> object:
            lists = _lists(stored)
            lists[str(guild_id)] = [*filter(is_kept, lists.get(str(guild_id), []))]
            return {guild: names for guild, names in lists.items() if names}

        await self._state.change(STATE, keep)

    def _as_listed(self, name: str) -> str:
        info = self._find(name)
        return name if info is None else name_to_send(info, name, info.key)


def _lists(stored: object) -> dict[str, list[str]]:
    if not isinstance(stored, dict):
        return {}
    return {
        str(guild): [str(name) for name in names]
        for guild, names in stored.items()
        if isinstance(names, list)
    }
