"""The cache answers like Discord would, with fewer requests."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import timedelta

from bot.core.domain import AttachmentInfo, ChannelId, IncomingMessage, MessageId, Place, PlaceKind
from bot.prompt.cache import MessageCache
from tests.support.builders import HOME, message
from tests.support.clock import FakeClock

THREAD = Place(PlaceKind.THREAD, ChannelId(70), HOME.guild_id, HOME.channel_id)


class Discord:
    """What is really there, and how often it was asked for."""

    def __init__(self, count: int = 0) -> None:
        self.messages = {n: message(n, f"m{n}") for n in range(1, count + 1)}
        self.starters: dict[Place, IncomingMessage] = {}
        self.calls = 0
        self.is_readable = True

    async def fetch_message(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        self.calls += 1
        await asyncio.sleep(0)
        found = self.messages.get(message_id)
        return found if found is not None and found.place == place else None

    async def fetch_history(
        self, place: Place, *, before: MessageId | None, after: MessageId | None, limit: int
    ) -> Sequence[IncomingMessage] | None:
        self.calls += 1
        await asyncio.sleep(0)
        if not self.is_readable or place.channel_id != HOME.channel_id:
            return None
        found = [self.messages[n] for n in sorted(self.messages)]
        found = [m for m in found if before is None or m.id < before]
        if after is not None:
            return [m for m in found if m.id > after][:limit]
        return found[-limit:]

    async def fetch_starter(self, place: Place) -> IncomingMessage | None:
        self.calls += 1
        return self.starters.get(place)


def ids(messages: Sequence[IncomingMessage]) -> list[int]:
    return [int(m.id) for m in messages]


async def test_pages_lying_together_are_fetched_a_hundred_at_a_time() -> None:
    discord = Discord(250)
    cache = MessageCache(discord, 2000, FakeClock())
    for before in range(250, 1, -10):
        page = await cache.history(HOME, before=MessageId(before), limit=10)
        assert ids(page) == list(range(max(1, before - 10), before))
    assert discord.calls == 3


async def test_new_messages_need_no_request() -> None:
    discord = Discord(10)
    cache = MessageCache(discord, 2000, FakeClock())
    await cache.history(HOME, limit=5)
    cache.observe(message(11, "new"))
    assert ids(await cache.history(HOME, before=MessageId(12), limit=3)) == [9, 10, 11]
    assert discord.calls == 1


async def test_messages_arriving_while_a_page_is_on_its_way_are_not_lost() -> None:
    discord = Discord(10)
    cache = MessageCache(discord, 2000, FakeClock())
    reading = asyncio.create_task(cache.history(HOME, limit=5))
    await asyncio.sleep(0)
    cache.observe(message(11, "meanwhile"))
    await reading
    assert ids(await cache.history(HOME, limit=2)) == [10, 11]


async def test_after_a_lost_session_the_gap_is_read_again() -> None:
    discord = Discord(10)
    cache = MessageCache(discord, 2000, FakeClock())
    await cache.history(HOME, limit=5)
    cache.session_lost()
    for number in (11, 12, 13):
        discord.messages[number] = message(number)
    cache.observe(discord.messages[13])
    assert ids(await cache.history(HOME, limit=4)) == [10, 11, 12, 13]


async def test_what_was_deleted_or_edited_in_a_gap_is_not_known_any_more() -> None:
    discord = Discord(10)
    cache = MessageCache(discord, 2000, FakeClock())
    await cache.history(HOME, limit=5)
    del discord.messages[8]
    discord.messages[9] = message(9, "edited")
    cache.session_lost()
    assert await cache.fetch(HOME, MessageId(8)) is None
    page = await cache.history(HOME, limit=3)
    assert [m.text for m in page] == ["m7", "edited", "m10"]


async def test_edits_and_deletions_show_at_once() -> None:
    discord = Discord(10)
    cache = MessageCache(discord, 2000, FakeClock())
    await cache.history(HOME, limit=5)
    cache.edited(message(9, "edited"))
    cache.deleted(HOME.channel_id, [MessageId(8)])
    page = await cache.history(HOME, limit=3)
    assert [m.text for m in page] == ["m7", "edited", "m10"]
    assert discord.calls == 1


async def test_an_own_message_is_known_before_discord_tells_and_no_late_event_takes_it_back() -> (
    None
):
    discord = Discord(10)
    cache = MessageCache(discord, 2000, FakeClock())
    await cache.history(HOME, limit=5)
    begun = message(11, "Begun")
    later = [
        dataclasses.replace(
            begun, text=text, edited_at=begun.created_at + timedelta(seconds=second)
        )
        for second, text in enumerate(("Half", "Whole"), 1)
    ]
    for each in (begun, *later):
        cache.posted(each)
    cache.observe(begun)
    for each in (begun, *later):
        cache.edited(each)
        page = await cache.history(HOME, limit=2)
        assert [m.text for m in page] == ["m10", "Whole"]
    assert discord.calls == 1


async def test_memory_is_bounded_and_what_was_dropped_is_read_again() -> None:
    discord = Discord(1000)
    cache = MessageCache(discord, 300, FakeClock())
    for before in range(1001, 200, -100):
        await cache.history(HOME, before=MessageId(before), limit=100)
        assert len(cache) <= 300
    assert ids(await cache.history(HOME, before=MessageId(300), limit=5)) == list(range(295, 300))


async def test_large_messages_count_by_their_size() -> None:
    discord = Discord(0)
    for number in range(1, 101):
        discord.messages[number] = message(number, "x" * 200_000)
    cache = MessageCache(discord, 2000, FakeClock())
    await cache.history(HOME, limit=100)
    assert len(cache) < 60


async def test_what_may_not_be_read_is_empty_and_asked_again_later() -> None:
    discord = Discord(10)
    discord.is_readable = False
    cache = MessageCache(discord, 2000, FakeClock())
    assert not await cache.history(HOME, limit=5)
    discord.is_readable = True
    assert len(await cache.history(HOME, limit=5)) == 5


async def test_another_place_of_the_same_id_sees_nothing() -> None:
    discord = Discord(10)
    cache = MessageCache(discord, 2000, FakeClock())
    await cache.history(HOME, limit=5)
    foreign = dataclasses.replace(HOME, guild_id=None)
    assert not await cache.history(foreign, limit=5)
    assert await cache.fetch(foreign, MessageId(9)) is None


async def test_a_threads_start_is_asked_for_once() -> None:
    discord = Discord()
    discord.starters[THREAD] = message(70, "start")
    cache = MessageCache(discord, 2000, FakeClock())
    for _ in range(3):
        starter = await cache.starter(THREAD)
        assert starter is not None
    cache.edited(message(70, "edited start"))
    starter = await cache.starter(THREAD)
    assert starter is not None
    assert starter.text == "edited start"
    assert discord.calls == 1


async def test_that_a_thread_has_no_start_is_remembered_for_a_while() -> None:
    discord, clock = Discord(), FakeClock()
    cache = MessageCache(discord, 2000, clock)
    for _ in range(3):
        assert await cache.starter(THREAD) is None
    assert discord.calls == 1
    await clock.advance(700)
    await cache.starter(THREAD)
    assert discord.calls == 2


async def test_an_expired_attachment_is_fetched_afresh() -> None:
    discord, clock = Discord(), FakeClock()
    world_url = "https://cdn.discordapp.com/a.png?ex={:x}"

    def with_file(expires_at: float) -> IncomingMessage:
        url = world_url.format(int(expires_at))
        return message(5, "file", attachments=(AttachmentInfo(1, "a.png", None, 1, url),))

    discord.messages[5] = with_file(clock.now().timestamp() - 10)
    cache = MessageCache(discord, 2000, clock)
    await cache.history(HOME, limit=5)
    discord.messages[5] = with_file(clock.now().timestamp() + 864_000)
    calls = discord.calls
    assert await cache.fetch(HOME, MessageId(5)) == discord.messages[5]
    assert await cache.fetch(HOME, MessageId(5)) == discord.messages[5]
    assert discord.calls == calls + 1


async def test_nothing_is_kept_when_caching_is_off() -> None:
    discord = Discord(10)
    cache = MessageCache(discord, 0, FakeClock())
    assert ids(await cache.history(HOME, limit=2)) == [9, 10]
    assert len(cache) == 0


async def test_messages_of_channels_nobody_asks_about_are_not_kept() -> None:
    cache = MessageCache(Discord(), 2000, FakeClock())
    cache.observe(message(5))
    assert len(cache) == 0
    assert HOME.channel_id not in cache._channels


async def test_what_came_after_a_message_is_known_while_live() -> None:
    discord = Discord(10)
    cache = MessageCache(discord, 2000, FakeClock())
    await cache.history(HOME, limit=5)
    assert ids(await cache.history(HOME, after=MessageId(7), limit=2)) == [8, 9]
    assert discord.calls == 1
    cache.channel_gone(HOME.channel_id)
    assert len(cache) == 0
    assert ids(await cache.history(HOME, after=MessageId(7), limit=2)) == [8, 9]
    assert discord.calls == 2
