"""Whatever happens in a channel, the cache says what Discord would say."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.domain import IncomingMessage, MessageId
from bot.prompt.cache import MessageCache
from tests.support.builders import HOME, message
from tests.support.clock import FakeClock
from tests.unit.prompt.test_cache import Discord, ids

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("post", "post", "edit", "delete", "read", "read", "after"),
                *("miss", "edit in a gap", "delete in a gap"),
            ]
        ),
        st.integers(1, 400),
        st.integers(1, 100),
    ),
    max_size=60,
)


def change(discord: Discord, cache: MessageCache, name: str, edited: IncomingMessage) -> None:
    """Let a message be edited or deleted; in a gap, nobody tells of it."""
    if name.startswith("edit"):
        discord.messages[edited.id] = edited
    else:
        del discord.messages[edited.id]
    if name.endswith("in a gap"):
        cache.session_lost()
    elif name == "edit":
        cache.edited(edited)
    else:
        cache.deleted(HOME.channel_id, [edited.id])


async def play(steps: list[tuple[str, int, int]], start: int, most: int) -> None:
    discord = Discord(start)
    cache = MessageCache(discord, most, FakeClock())
    newest = start
    for name, number, limit in steps:
        if name in {"post", "miss"}:
            newest += 1
            discord.messages[newest] = message(newest, f"m{newest}")
            if name == "miss":
                cache.session_lost()
            else:
                cache.observe(discord.messages[newest])
        elif number in discord.messages and name.startswith(("edit", "delete")):
            change(discord, cache, name, message(number, f"edited {limit}"))
        elif name == "read":
            there = [n for n in sorted(discord.messages) if n < number][-limit:]
            page = await cache.history(HOME, before=MessageId(number), limit=limit)
            assert ids(page) == there
            assert [m.text for m in page] == [discord.messages[n].text for n in there]
        elif name == "after":
            there = [n for n in sorted(discord.messages) if n > number][:limit]
            assert ids(await cache.history(HOME, after=MessageId(number), limit=limit)) == there
        assert len(cache) <= most


@given(STEPS, st.integers(0, 350), st.sampled_from([200, 250, 1000]))
@settings(max_examples=150, deadline=None)
def test_the_cache_never_differs_from_discord(
    steps: list[tuple[str, int, int]], start: int, most: int
) -> None:
    asyncio.run(play(steps, start, most))
