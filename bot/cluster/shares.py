"""Which shards each of several processes holds. Pure: everybody works it out from the same sight."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """What one member does next.

    Attributes:
        give_up: A shard that others are to have.
        take: Shards to take, as far as nobody else is faster.
    """

    give_up: int | None = None
    take: tuple[int, ...] = ()


def next_change(held: Mapping[int, Collection[int]], own: int, count: int) -> Change:
    """Return what a member does, so that in the end all have as many, or one more.

    Whoever holds most keeps most, so that as little as possible changes hands; the first shard, to which
    direct messages come, is given up last.

    Args:
        held: The shards of each member, by its number.
        own: The member's number.
        count: How many shards there are.
    """
    order = sorted(held, key=lambda member: (-len(held[member]), member))
    share, rest = divmod(count, len(order))
    target = share + (order.index(own) < rest)
    mine = held[own]
    if len(mine) > target:
        return Change(give_up=max(mine))
    taken = {shard for shards in held.values() for shard in shards}
    free = [shard for shard in range(count) if shard not in taken]
    return Change(take=tuple(free[: target - len(mine)]))
