"""Summaries are kept over a restart, and forgotten with what they were made of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from bot.core.concerns import Subject
from bot.core.domain import GuildId, Summary, UserId
from bot.storage.database import Database, open_database
from bot.storage.journal import SqlJournal
from bot.storage.summaries import MOST_OF_A_CHANNEL, MOST_UNSAVED, SummaryStore
from tests.support.clock import FakeClock, settle
from tests.unit.storage.questions import question
from tests.unit.storage.recovery import drain

DAYS = 30
QUOTED = 0
SUMMARY = Summary(
    40,
    50,
    ((1, "aa"), (2, "bb")),
    frozenset({11, 12}),
    "They spoke of \ud800 bread.",
    frozenset({QUOTED}),
)
OTHER = replace(SUMMARY, channel_id=51, covers=((7, "cc"),), people=frozenset({12}))


async def test_a_summary_comes_back_after_a_restart(location: str | Path, clock: FakeClock) -> None:
    async with open_database(location, clock) as database:
        store = await SummaryStore.open(database, clock, DAYS)
        assert await store.keep(SUMMARY, store.moment)
    async with open_database(location, clock) as database:
        store = await SummaryStore.open(database, clock, DAYS)
        assert await store.of(50, 11) == [SUMMARY]
        assert await store.of(51, 11) == []


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        ({"channel_id": 50, "message_ids": [2]}, [OTHER]),
        ({"channel_id": 50, "message_ids": [3]}, [SUMMARY, OTHER]),
        ({"channel_id": 51, "message_ids": [2]}, [SUMMARY, OTHER]),
        ({"channel_id": 50, "message_ids": [QUOTED]}, [OTHER]),
        ({"channel_id": 9, "message_ids": [50]}, [OTHER]),
        ({"channel_id": 50}, [OTHER]),
        (Subject(guild_id=GuildId(40)), []),
        (Subject(guild_id=GuildId(41)), [SUMMARY, OTHER]),
        (Subject(UserId(11)), [OTHER]),
        (Subject(UserId(12), GuildId(40)), []),
        (Subject(UserId(12), GuildId(0)), [SUMMARY, OTHER]),
    ],
)
async def test_a_summary_goes_with_its_messages_people_and_place(
    database: Database, clock: FakeClock, gone: dict[str, Any] | Subject, left: list[Summary]
) -> None:
    store = await SummaryStore.open(database, clock, DAYS)
    for summary in (SUMMARY, OTHER):
        await store.keep(summary, store.moment)
    moment = store.moment
    await (store.delete(gone) if isinstance(gone, Subject) else store.forget(**gone))
    assert [*await store.of(50, 11), *await store.of(51, 11)] == left
    # One that was in the making meanwhile isn't kept either.
    for summary in (SUMMARY, OTHER):
        assert await store.keep(summary, moment) is (summary in left)


async def test_what_another_process_has_kept_is_forgotten_too_and_known_after_a_look(
    database: Database, clock: FakeClock
) -> None:
    ours, other = [await SummaryStore.open(database, clock, DAYS) for _ in range(2)]
    for summary in (SUMMARY, OTHER):
        assert await other.keep(summary, other.moment)
    await ours.forget(channel_id=50, message_ids=[2])
    assert [*await other.of(50, 11), *await other.of(51, 11)] == [OTHER]
    await ours.reload()
    assert ours.channels == {51}


async def test_what_is_in_the_making_for_a_place_that_others_serve_now_is_not_kept(
    database: Database, clock: FakeClock
) -> None:
    store = await SummaryStore.open(database, clock, DAYS)
    moment = store.moment
    store.drop_unfinished()
    assert not await store.keep(SUMMARY, moment)
    assert await store.keep(SUMMARY, store.moment)


async def test_after_more_than_memory_notes_all_summaries_go(
    database: Database, clock: FakeClock
) -> None:
    store = await SummaryStore.open(database, clock, DAYS)
    for summary in (SUMMARY, OTHER):
        await store.keep(summary, store.moment)
    database.is_degraded = True
    for message_id in range(MOST_UNSAVED + 1):
        await store.forget(channel_id=9, message_ids=[message_id + 100])
    database.is_degraded = False
    await store.forget(channel_id=9, message_ids=[100])
    assert not await store.held(Subject(UserId(12)))


async def test_no_more_are_kept_of_a_channel_than_there_is_use_for(
    database: Database, clock: FakeClock
) -> None:
    store = await SummaryStore.open(database, clock, DAYS)
    await store.keep(OTHER, store.moment)
    for number in range(1, MOST_OF_A_CHANNEL + 3):
        await clock.advance(1)
        await store.keep(replace(SUMMARY, covers=((number, "aa"),)), store.moment)
    assert len(await store.of(50, 11)) == MOST_OF_A_CHANNEL
    await clock.advance(DAYS * 86_400 + 1)
    await store.keep(SUMMARY, store.moment)
    assert [len(await store.of(channel, 11)) for channel in (50, 51)] == [1, 0]


async def test_a_summary_goes_when_it_is_old_also_where_no_other_is_made(
    database: Database, clock: FakeClock
) -> None:
    store = await SummaryStore.open(database, clock, DAYS)
    journal = await SqlJournal.open(database, clock, DAYS)
    await store.keep(SUMMARY, store.moment)
    await clock.advance(DAYS * 86_400 + 1)
    await journal.accept(question(1))
    await drain(database)
    assert await store.of(50, 11) == []


class Slow:
    """A database that writes when the test says so, and never changes what is read."""

    is_degraded = False

    def __init__(self) -> None:
        self.writes: list[asyncio.Future[None]] = []

    async def write(self, _work: object) -> None:
        """Wait for the test."""
        self.writes.append(asyncio.get_running_loop().create_future())
        await self.writes[-1]

    async def read(self, _work: object) -> list[Summary]:
        """Return what was there before."""
        return [SUMMARY]


async def test_what_is_forgotten_while_others_are_is_shown_to_nobody_before_it_is_written(
    clock: FakeClock,
) -> None:
    slow = Slow()
    store = SummaryStore(cast("Database", slow), clock, DAYS, lambda _: False)
    forgetting: list[asyncio.Task[Any]] = [asyncio.create_task(store.keep(SUMMARY, store.moment))]
    await settle()
    slow.writes[0].set_result(None)
    await settle()
    assert await store.of(50, 11) == [SUMMARY]
    for written, message_id in enumerate((-1, -2, 1)):
        forgetting.append(
            asyncio.create_task(store.forget(channel_id=50, message_ids=[message_id]))
        )
        await settle()
        if written:
            slow.writes[written].set_result(None)
            await settle()
    assert await store.of(50, 11) == []
    slow.writes[-1].set_result(None)
    await asyncio.gather(*forgetting)


@pytest.mark.parametrize(
    ("who", "left"),
    [
        (Subject(UserId(11)), [OTHER]),
        (Subject(UserId(13)), [SUMMARY, OTHER]),
        (Subject(guild_id=GuildId(40)), []),
        (Subject(guild_id=GuildId(41)), [SUMMARY, OTHER]),
    ],
)
async def test_what_is_shown_of_somebody_is_what_is_deleted(
    database: Database, clock: FakeClock, who: Subject, left: list[Summary]
) -> None:
    store = await SummaryStore.open(database, clock, DAYS)
    for summary in (SUMMARY, OTHER):
        assert await store.keep(summary, store.moment)
        await clock.advance(1)
    assert await store.held(who) == [each for each in (SUMMARY, OTHER) if each not in left]
    await store.delete(who)
    assert [*await store.of(50, 11), *await store.of(51, 11)] == left
    assert not await store.held(who)


async def test_who_opted_out_is_in_no_summary_that_others_get(
    database: Database, clock: FakeClock
) -> None:
    store = await SummaryStore.open(database, clock, DAYS, lambda person_id: person_id == 11)
    assert await store.keep(SUMMARY, store.moment)
    assert await store.of(50, 11) == [SUMMARY]
    assert await store.of(50, 12) == []
