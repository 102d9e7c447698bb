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
    direct messages come, is given up last. No two that see the same take the same shards: whoever came too
    late for one would wait once more for the next.

    Args:
        held: The shards of each member, by its number.
        own: The member's number.
        count: How many shards there are.
    """
    order = sorted(held, key=lambda member: (-len(held[member]), member))
    share, rest = divmod(count, len(order))
    lacking = [share + (place < rest) - len(held[member]) for place, member in enumerate(order)]
    place = order.index(own)
    if lacking[place] < 0:
        return Change(give_up=max(held[own]))
    taken = {shard for shards in held.values() for shard in shards}
    free = [shard for shard in range(count) if shard not in taken]
    first = sum(max(0, each) for each in lacking[:place])
    return Change(take=tuple(free[first : first + lacking[place]]))
