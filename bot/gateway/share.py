"""Which of a bot's shards a process serves, where several processes share them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Share(Protocol):
    """Says which shards this process serves, where several share them."""

    @property
    def members(self) -> int:
        """How many processes share."""
        ...

    async def agree(self, count: int) -> int:
        """Be ready to take shards; return how many there are for all processes."""
        ...

    def held(self, count: int) -> AsyncGenerator[frozenset[int], None]:
        """Yield the shards to serve, each time that these change; as ``Membership.held``."""
        ...

    def turn(self, number: int) -> AbstractAsyncContextManager[None]:
        """Log in within the block, when no other process does under the same number."""
        ...


class Handover(Protocol):
    """What is done for a shard besides its connection."""

    async def take(self, shard: int, count: int) -> None:
        """Take up what another process has left, before the first event."""
        ...

    async def leave(self, shard: int, count: int) -> None:
        """Leave everything to another process, after the last event."""
        ...


def shard_of(guild_id: int | None, count: int) -> int:
    """Return the shard of a server; direct messages come to the first (Discord: gateway, sharding)."""
    return ((guild_id or 0) >> 22) % count


async def all_of(count: int) -> AsyncGenerator[frozenset[int], None]:
    """Yield all shards, once and for all: of a process that shares them with nobody."""
    yield frozenset(range(count))
    await asyncio.Event().wait()
