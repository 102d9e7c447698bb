"""Missed mentions are found once, whatever arrives meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bot.chat.admission import MENTION_BY_EDIT
from bot.chat.backfill import (
    ALIVE,
    ALIVE_MARGIN_S,
    MOST_DM_CHANNELS,
    MOST_LIVES,
    SPACING_S,
    Backfill,
    Candidate,
    snowflake_at,
)
from bot.core.domain import (
    ChannelId,
    GuildId,
    IncomingMessage,
    MessageId,
    Person,
    Place,
    PlaceKind,
    QuestionId,
    UserId,
)
from bot.core.errors import DeliveryError, MovedError
from bot.core.tasks import end_tasks
from bot.storage.database import open_database
from bot.storage.journal import SqlJournal
from tests.support.builders import HOME, message
from tests.support.clock import FakeClock, settle
from tests.support.state import FakeState

T = TypeVar("T")

HOUR = timedelta(hours=1)
ME = UserId(999)


class DeathError(BaseException):
    """The process ends here, as far as the code can tell."""


class FakeSource:
    """A ``MessageSource`` of one channel.

    Attributes:
        messages: What stands there.
        gate: Awaited before each answer.
        poison: A channel whose history ends the process.
        away: Channels that can't be read at the moment.
        deaths: How often it did.
    """

    def __init__(self) -> None:
        self.poison: Place | None = None
        self.away: set[Place] = set()
        self.deaths = 0
        self.messages: list[IncomingMessage] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        """Return one message."""
        return next((m for m in self.messages if (m.place, m.id) == (place, message_id)), None)

    async def history(
        self,
        place: Place,
        *,
        before: MessageId | None = None,
        after: MessageId | None = None,
        limit: int = 50,
    ) -> Sequence[IncomingMessage]:
        """Return what came after."""
        await self.gate.wait()
        if place == self.poison:
            self.deaths += 1
            raise DeathError
        found = [m for m in self.messages if m.place == place and m.id > (after or 0)]
        found.sort(key=lambda each: each.id)
        return [m for m in found if before is None or m.id < before][:limit]

    async def read_after(
        self, place: Place, after: MessageId | None, limit: int
    ) -> Sequence[IncomingMessage]:
        """Return what came after, unless Discord can't say."""
        if place in self.away:
            raise DeliveryError("500")
        return await self.history(place, after=after, limit=limit)

    async def starter(self, place: Place) -> IncomingMessage | None:
        """Return nothing: this is no thread."""
        return None if place == HOME else self.messages[0]


class BackfillHarness:
    """A backfill over one channel, with a real journal."""

    def __init__(self, journal: SqlJournal, clock: FakeClock) -> None:
        self.journal = journal
        self.clock = clock
        self.source = FakeSource()
        self.found: list[MessageId] = []
        self.state = FakeState({ALIVE: (clock.now() - HOUR / 2).timestamp()})
        self.backfill = Backfill(self.source, journal, self.state, clock, HOUR)

    async def note(self, incoming: IncomingMessage) -> None:
        self.found.append(incoming.id)

    def post(self, minutes_ago: float, place: Place = HOME) -> MessageId:
        """Let a message stand in the channel."""
        written = self.clock.now() - timedelta(minutes=minutes_ago)
        message_id = MessageId(snowflake_at(written) + len(self.source.messages))
        self.source.messages.append(message(message_id, place=place))
        return message_id

    async def receive(self, message_id: MessageId) -> None:
        """Let the gateway bring a message."""
        if self.backfill.is_caught_up:
            await self.journal.seen(HOME.channel_id, message_id)
        else:
            self.backfill.keep_back(HOME.channel_id, message_id)

    async def session_began(self) -> None:
        """Lose the session, having received messages up to now."""
        await self.state.set(ALIVE, self.clock.now().timestamp())
        await self.backfill.session_began()

    async def scan(self, *candidates: Candidate) -> None:
        """Scan these channels, or the one."""
        places = candidates or (Candidate(HOME, None),)
        await self.ended(self.backfill.run(places, self.note, ME))

    async def ended(self, work: Coroutine[Any, Any, T]) -> T:
        """Let time pass, but only while somebody sleeps: the database has its own time."""
        task = asyncio.create_task(work)
        while not task.done():
            await self.clock.advance(0 if self.clock.is_idle else SPACING_S)
        return await task


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncGenerator[BackfillHarness, None]:
    clock = FakeClock()
    async with open_database(tmp_path / "clawbot.db", clock) as database:
        yield BackfillHarness(await SqlJournal.open(database, clock, 30), clock)


async def test_a_message_that_arrives_before_the_scan_hides_nothing_that_was_missed(
    harness: BackfillHarness,
) -> None:
    await harness.journal.seen(HOME.channel_id, snowflake_at(harness.clock.now() - HOUR / 2))
    missed, live = harness.post(10), harness.post(0)
    await harness.session_began()
    await harness.receive(live)
    await harness.scan()
    assert harness.found == [missed]
    assert (await harness.journal.last_seen())[HOME.channel_id] == live


async def test_messages_of_the_session_itself_are_not_handed_on_again(
    harness: BackfillHarness,
) -> None:
    missed = harness.post(10)
    harness.source.gate.clear()
    scanning = asyncio.create_task(harness.scan())
    await settle()
    await harness.receive(harness.post(0))
    harness.source.gate.set()
    await scanning
    assert harness.found == [missed]


async def test_after_the_scan_each_message_moves_the_mark_at_once(harness: BackfillHarness) -> None:
    await harness.scan()
    newest = harness.post(0)
    await harness.receive(newest)
    assert (await harness.journal.last_seen())[HOME.channel_id] == newest


async def test_a_session_that_is_lost_during_the_scan_is_scanned_for_too(
    harness: BackfillHarness,
) -> None:
    harness.source.gate.clear()
    first = asyncio.create_task(harness.scan())
    await settle()
    missed = harness.post(1)
    await harness.session_began()
    await harness.receive(harness.post(0))
    second = asyncio.create_task(harness.scan())
    harness.source.gate.set()
    await first
    await second
    assert missed in harness.found
    assert len(set(harness.found)) == len(harness.found)


async def test_what_was_missed_in_a_channel_that_cannot_be_read_at_the_moment_is_found_later(
    harness: BackfillHarness,
) -> None:
    other = replace(HOME, channel_id=ChannelId(HOME.channel_id + 1))
    missed, elsewhere = harness.post(10), harness.post(9, other)
    harness.source.away = {HOME}
    for _ in range(5):  # a failure is no death of the process
        await harness.session_began()
        await harness.scan(Candidate(HOME, missed), Candidate(other, elsewhere))
        assert not harness.backfill.is_caught_up
    assert harness.found == [elsewhere]
    harness.source.away = set()
    await harness.scan(Candidate(HOME, missed), Candidate(other, elsewhere))
    assert harness.found == [elsewhere, missed]
    assert harness.backfill.is_caught_up


async def test_channels_known_to_have_news_come_first(harness: BackfillHarness) -> None:
    other = replace(HOME, channel_id=ChannelId(HOME.channel_id + 1))
    unstated = harness.post(2)
    stated = harness.post(1)
    harness.source.messages[-1] = replace(harness.source.messages[-1], place=other)
    scanning = asyncio.create_task(
        harness.backfill.run([Candidate(HOME, None), Candidate(other, stated)], harness.note, ME)
    )
    await harness.clock.advance(5.0)
    await scanning
    assert harness.found == [stated, unstated]


async def test_many_who_write_directly_push_nobody_out_and_wait_as_one_group(
    harness: BackfillHarness,
) -> None:
    dms = [ChannelId(7000 + number) for number in range(400)]
    for channel_id in dms:
        await harness.backfill.remember_dms(channel_id)
    assert harness.backfill.dm_channels == dms
    places = [Place(PlaceKind.DM, channel_id) for channel_id in dms]
    theirs = [harness.post(1, place) for place in places]
    ours = harness.post(5)
    candidates = [Candidate(place, None) for place in (*places, HOME)]
    scanning = asyncio.create_task(harness.backfill.run(candidates, harness.note, ME))
    while not scanning.done():
        await harness.clock.advance(SPACING_S)
    assert sorted(harness.found) == sorted([*theirs, ours])
    assert harness.found.index(ours) <= 1


async def test_a_missed_message_that_ends_the_process_each_time_is_set_aside(
    harness: BackfillHarness,
) -> None:
    may_take = []
    for _ in range(4):
        with contextlib.suppress(KeyboardInterrupt):
            async with harness.backfill.taking(MessageId(5)) as may:
                may_take.append(may)
                raise KeyboardInterrupt
    assert may_take == [True, True, False, False]
    for _ in range(3):
        async with harness.backfill.taking(MessageId(6)) as may:
            assert may


async def test_what_others_ask_meanwhile_hides_no_message_that_ends_the_process(
    harness: BackfillHarness,
) -> None:
    may_take = []
    for life in range(4):
        async with harness.backfill.taking(MessageId(100 + life)) as may:
            assert may
        with contextlib.suppress(KeyboardInterrupt):
            async with harness.backfill.taking(MessageId(5)) as may:
                may_take.append(may)
                raise KeyboardInterrupt
    assert may_take == [True, True, False, False]


async def test_a_missed_message_whose_taking_is_cut_off_in_order_is_taken_later(
    harness: BackfillHarness,
) -> None:
    for _ in range(4):
        with contextlib.suppress(asyncio.CancelledError):
            async with harness.backfill.taking(MessageId(5)) as may:
                assert may
                raise asyncio.CancelledError


async def test_a_missed_message_whose_taking_is_cut_off_while_it_is_counted_is_taken_later(
    harness: BackfillHarness,
) -> None:
    counted, takes = asyncio.Event(), 0

    class SlowState(FakeState):
        async def set(self, key: str, value: object) -> None:
            await super().set(key, value)
            counted.set()
            await asyncio.sleep(0)

    async def take(backfill: Backfill) -> None:
        nonlocal takes
        async with backfill.taking(MessageId(5)) as may:
            takes += may

    state = SlowState(harness.state.values)
    for _ in range(4):
        counted.clear()
        backfill = Backfill(harness.source, harness.journal, state, harness.clock, HOUR)
        taking = asyncio.create_task(take(backfill))
        await counted.wait()
        await end_tasks(taking)
    assert takes == 0
    await take(Backfill(harness.source, harness.journal, state, harness.clock, HOUR))
    assert takes == 1


async def test_a_scan_that_is_cut_off_between_two_pages_finds_everything_later(
    harness: BackfillHarness,
) -> None:
    other = replace(HOME, channel_id=ChannelId(HOME.channel_id + 1))
    places = [Candidate(HOME, None), Candidate(other, MessageId(2**62))]
    for _ in range(4):
        scanning = asyncio.create_task(harness.backfill.run(places, harness.note, ME))
        await settle()
        await end_tasks(scanning)
        harness.backfill = Backfill(
            harness.source, harness.journal, harness.state, harness.clock, HOUR
        )
    missed = [harness.post(2), harness.post(1, other)]
    await harness.scan(*places)
    assert sorted(harness.found) == sorted(missed)


async def test_a_page_of_history_that_ends_the_process_each_time_is_left_out(
    harness: BackfillHarness,
) -> None:
    poison = replace(HOME, channel_id=ChannelId(666))
    harness.source.poison = poison
    missed = []
    for minutes_ago in (4, 3, 2):
        missed.append(harness.post(minutes_ago))
        harness.post(minutes_ago, poison)
        candidates = [Candidate(HOME, None), Candidate(poison, MessageId(2**62))]
        with contextlib.suppress(DeathError):
            await harness.scan(*candidates)
        harness.backfill = Backfill(
            harness.source, harness.journal, harness.state, harness.clock, HOUR
        )
    assert harness.source.deaths == MOST_LIVES
    assert harness.found == missed


async def test_a_channel_active_lately_is_looked_at_although_discord_states_no_news(
    harness: BackfillHarness,
) -> None:
    before = harness.post(20)
    await harness.journal.seen(HOME.channel_id, before)
    missed = harness.post(10)
    await harness.scan(Candidate(HOME, before))
    assert harness.found == [missed]


async def test_a_channel_that_was_silent_for_long_costs_no_request(
    harness: BackfillHarness,
) -> None:
    harness.post(10)
    await harness.scan(Candidate(HOME, snowflake_at(harness.clock.now() - 2 * HOUR)))
    assert harness.found == []


async def test_nothing_is_lost_because_of_a_strangers_busy_guild(harness: BackfillHarness) -> None:
    def channel_of(guild: int, number: int) -> Place:
        channel_id = ChannelId(guild * 1000 + number)
        return replace(HOME, channel_id=channel_id, guild_id=GuildId(guild))

    busy = [channel_of(1, number) for number in range(60)]
    theirs = [Candidate(place, harness.post(1, place)) for place in busy]
    for _ in range(1200):
        harness.post(2, busy[0])
    quiet = [channel_of(2, number) for number in range(60)]
    ours = [Candidate(place, harness.post(5, place)) for place in quiet]
    scanning = asyncio.create_task(harness.backfill.run([*theirs, *ours], harness.note, ME))
    while not scanning.done():
        await harness.clock.advance(SPACING_S)
    assert sorted(harness.found) == sorted(each.id for each in harness.source.messages)
    ours_end = max(
        harness.found.index(each.last_message_id) for each in ours if each.last_message_id
    )
    assert ours_end < len(harness.found) - 1000


async def test_of_what_was_seen_before_a_gap_only_what_was_edited_in_it_is_handed_on(
    harness: BackfillHarness,
) -> None:
    seen = [harness.post(minutes_ago) for minutes_ago in (31.5, 31, 30.5)]
    alive_at = harness.clock.now() - HOUR / 2
    for at, edited_at in ((0, alive_at - HOUR), (1, alive_at), (2, alive_at + HOUR / 4)):
        before = harness.source.messages[at]
        written = alive_at - timedelta(minutes=1.5 - at / 2)
        harness.source.messages[at] = replace(before, created_at=written, edited_at=edited_at)
    await harness.journal.seen(HOME.channel_id, seen[-1])
    missed = harness.post(10)
    await harness.scan()
    assert harness.found == [seen[1], missed]


async def a_first_start(harness: BackfillHarness) -> BackfillHarness:
    """Begin a session of a bot that remembers nothing."""
    first = BackfillHarness(harness.journal, harness.clock)
    first.state = FakeState({})
    first.backfill = Backfill(first.source, first.journal, first.state, first.clock, HOUR)
    await first.backfill.session_began()
    return first


async def test_a_first_start_looks_only_for_answers_that_were_being_written(
    harness: BackfillHarness,
) -> None:
    first = await a_first_start(harness)
    quiet = replace(HOME, channel_id=ChannelId(HOME.channel_id + 1))
    old = first.post(90, quiet)
    *_, newest = [first.post(minutes_ago) for minutes_ago in (50, 20, 10)]
    for at in (0, 2):
        unfinished = replace(first.source.messages[at], unfinished=QuestionId(at + 1))
        first.source.messages[at] = unfinished
    await first.scan(Candidate(HOME, newest), Candidate(quiet, old))
    assert first.found == [first.source.messages[2].id]


async def test_answers_that_were_being_written_are_looked_for_again_where_discord_fails(
    harness: BackfillHarness,
) -> None:
    first = await a_first_start(harness)
    written = first.post(10)
    first.source.messages[0] = replace(first.source.messages[0], unfinished=QuestionId(1))
    first.source.away.add(HOME)
    is_caught_up = []
    for _ in range(2):
        await first.scan(Candidate(HOME, written))
        is_caught_up.append(first.backfill.is_caught_up)
        first.source.away.clear()
    assert is_caught_up == [False, True]
    assert first.found == [written]


async def test_an_unfinished_answer_is_ended_before_its_question_is_asked_anew(
    harness: BackfillHarness,
) -> None:
    asked, answer = harness.post(10), harness.post(9)
    last = replace(harness.source.messages[-1], unfinished=QuestionId(asked))
    harness.source.messages[-1] = last
    await harness.scan()
    assert harness.found == [answer, asked]


async def test_a_clock_that_was_ahead_hides_no_missed_message(harness: BackfillHarness) -> None:
    await harness.state.set(ALIVE, (harness.clock.now() + 48 * HOUR).timestamp())
    harness.backfill = Backfill(harness.source, harness.journal, harness.state, harness.clock, HOUR)
    await harness.backfill.session_began()
    missed = harness.post(10)
    await harness.scan()
    assert harness.found == [missed]


async def test_what_was_answered_is_not_asked_again_after_an_older_database_was_put_back(
    harness: BackfillHarness,
) -> None:
    answered, other_bots, unanswered = [harness.post(minutes_ago) for minutes_ago in (20, 15, 10)]
    for asked, replier in ((answered, ME), (other_bots, UserId(5)), (unanswered, ME)):
        harness.post(5)
        reply = replace(
            harness.source.messages[-1],
            author=Person(replier, "Bot", is_bot=True),
            reference_id=asked,
            unfinished=QuestionId(asked) if asked == unanswered else None,
        )
        harness.source.messages[-1] = reply
    await harness.scan()
    assert answered not in harness.found
    assert [i for i in harness.found if i in {other_bots, unanswered}] == [other_bots, unanswered]


async def test_of_several_shards_the_one_that_was_silent_longest_says_how_far_to_look_back(
    harness: BackfillHarness,
) -> None:
    harness.state.values.clear()
    now_s = harness.clock.now().timestamp()
    await harness.state.set(f"{ALIVE}:0", now_s)
    await harness.state.set(f"{ALIVE}:3", now_s - 1_200)
    old, missed = harness.post(minutes_ago=25), harness.post(minutes_ago=10)
    harness.backfill.share({0, 3})
    await harness.backfill.session_began()
    await harness.scan()
    assert harness.found == [missed]
    assert old not in harness.found
    await harness.backfill.note_alive()
    noted = [harness.state.get(f"{ALIVE}:{shard}") for shard in (0, 3)]
    assert noted == [pytest.approx(now_s - 10, abs=5)] * 2
    assert harness.state.get(ALIVE) is None


async def test_the_first_start_with_several_processes_looks_back_to_the_last_of_one(
    harness: BackfillHarness,
) -> None:
    missed = harness.post(minutes_ago=10)
    harness.backfill.share({0})
    await harness.backfill.session_began()
    await harness.scan()
    assert harness.found == [missed]


async def test_shards_that_come_before_the_scan_leave_those_before_them_their_gap(
    harness: BackfillHarness,
) -> None:
    harness.state.values.clear()
    await harness.state.set(f"{ALIVE}:0", harness.clock.now().timestamp() - 1_200)
    missed = harness.post(minutes_ago=10)
    harness.backfill.share({0})
    await harness.backfill.note_alive()
    harness.backfill.share({0, 3})
    await harness.scan()
    assert harness.found == [missed]


async def test_shards_that_come_after_the_scan_begin_with_what_is_noted_of_them(
    harness: BackfillHarness,
) -> None:
    harness.state.values.clear()
    await harness.state.set(f"{ALIVE}:0", harness.clock.now().timestamp() - 1_200)
    harness.backfill.share({0})
    await harness.scan()
    harness.post(minutes_ago=10)
    await harness.state.set(f"{ALIVE}:3", harness.clock.now().timestamp())
    harness.backfill.share({0, 3})
    await harness.session_began()
    await harness.scan()
    assert harness.found == []


async def test_what_another_process_finds_is_not_noted_as_seen(harness: BackfillHarness) -> None:
    seen, moved, _ = (harness.post(minutes_ago=10) for _ in range(3))

    async def handle(incoming: IncomingMessage) -> None:
        if incoming.id >= moved:
            raise MovedError
        await harness.note(incoming)

    await harness.ended(harness.backfill.run([Candidate(HOME, None)], handle, ME))
    assert harness.found == [seen]
    assert (await harness.journal.last_seen())[HOME.channel_id] == seen


@pytest.mark.parametrize("is_listed", [True, False])
async def test_a_scan_is_given_up_where_a_shard_comes_whose_scan_looks_at_everything(
    harness: BackfillHarness, is_listed: bool
) -> None:
    harness.backfill.share({0})
    places = [replace(HOME, channel_id=ChannelId(60 + n)) for n in range(3)]
    for place in places:
        await harness.journal.seen(place.channel_id, MessageId(harness.post(20, place) - 1))
        harness.post(minutes_ago=10, place=place)

    async def handle(incoming: IncomingMessage) -> None:
        await harness.note(incoming)
        harness.backfill.share({0, 3})
        await harness.session_began()

    async def look_up(channel_id: ChannelId) -> Candidate:
        harness.backfill.share({0, 3})
        return Candidate(replace(HOME, channel_id=channel_id), None)

    listed = [Candidate(place, None) for place in places] if is_listed else []
    await harness.ended(harness.backfill.run(listed, handle, ME, look_up))
    assert len(harness.found) == (2 if is_listed else 0)
    assert not harness.backfill.is_caught_up
    harness.found.clear()
    await harness.ended(
        harness.backfill.run([Candidate(place, None) for place in places], harness.note, ME)
    )
    assert len(harness.found) == (4 if is_listed else 6)


async def test_what_was_missed_is_counted_over_all_channels(harness: BackfillHarness) -> None:
    other = replace(HOME, channel_id=ChannelId(51), guild_id=GuildId(41))
    for place in (HOME, other, HOME):
        harness.post(10, place)
    places = [Candidate(HOME, None), Candidate(other, None)]
    assert await harness.ended(harness.backfill.run(places, harness.note, ME)) == 3


async def test_channels_that_are_not_listed_are_looked_up_the_latest_first(
    harness: BackfillHarness,
) -> None:
    minutes = {50: 20, 70: 30, 71: 59, 72: 61, 73: 25}
    for channel_id, ago in minutes.items():
        at = snowflake_at(harness.clock.now() - timedelta(minutes=ago))
        await harness.journal.seen(ChannelId(channel_id), at)
    thread = replace(HOME, channel_id=ChannelId(73), kind=PlaceKind.THREAD)
    answered, missed = harness.post(15, thread), harness.post(10, thread)
    harness.source.messages.append(
        message(missed + 1, place=thread, author=Person(ME, "Me"), reference_id=answered)
    )
    listed, asked = harness.post(12), list[ChannelId]()

    async def look_up(channel_id: ChannelId) -> Candidate | None:
        asked.append(channel_id)
        return Candidate(thread, None) if channel_id == thread.channel_id else None

    scan = harness.backfill.run([Candidate(HOME, None)], harness.note, ME, look_up)
    assert await harness.ended(scan) == 4
    assert asked == [73, 70, 71]
    assert harness.found == [listed, missed, missed + 1]


async def test_a_server_that_was_away_is_scanned_for_and_no_mark_moves_before(
    harness: BackfillHarness,
) -> None:
    await harness.scan()
    before = await harness.journal.last_seen()
    missed = harness.post(1)
    harness.backfill.server_returned()
    assert not harness.backfill.is_caught_up
    await harness.receive(harness.post(0))
    assert await harness.journal.last_seen() == before
    harness.backfill.server_returned()
    await harness.scan()
    assert harness.found == [missed], "what the session itself brought is kept in mind"


@pytest.mark.parametrize("sessions", [0, 1, 2])
async def test_a_server_or_session_that_comes_during_a_scan_leaves_one_due(
    harness: BackfillHarness, sessions: int
) -> None:
    for _ in range(sessions):
        await harness.session_began()
    for begin in (harness.session_began, None):
        harness.source.gate.clear()
        scanning = asyncio.create_task(harness.scan())
        await settle()
        if begin is None:
            harness.backfill.server_returned()
        else:
            await begin()
        harness.source.gate.set()
        await scanning
        assert not harness.backfill.is_caught_up
    await harness.scan()
    assert harness.backfill.is_caught_up


async def test_the_direct_channels_of_the_latest_people_are_remembered(
    harness: BackfillHarness,
) -> None:
    remember = harness.backfill.remember_dms
    assert harness.backfill.dm_channels == []
    for number in range(1, MOST_DM_CHANNELS + 2):
        await remember(ChannelId(number))
    assert harness.backfill.dm_channels[0] == 2
    assert len(harness.backfill.dm_channels) == MOST_DM_CHANNELS
    await remember(ChannelId(5), ChannelId(3))
    assert harness.backfill.dm_channels[-3:] == [MOST_DM_CHANNELS + 1, 5, 3]
    assert len(set(harness.backfill.dm_channels)) == MOST_DM_CHANNELS
    await harness.backfill.forget_dms({ChannelId(3), ChannelId(4), ChannelId(9999)})
    assert harness.backfill.dm_channels[:2] == [2, 6]
    assert harness.backfill.dm_channels[-1] == 5


async def test_the_direct_channels_are_kept_by_the_process_that_is_told_of_them_alone(
    harness: BackfillHarness,
) -> None:
    await harness.backfill.remember_dms(ChannelId(1))
    for shards, kept in (({3}, [1]), ({0, 3}, [2])):
        harness.backfill.share(shards)
        await harness.backfill.forget_dms({ChannelId(1)})
        await harness.backfill.remember_dms(ChannelId(2))
        assert harness.backfill.dm_channels == kept


async def test_a_first_start_notes_when_it_began_to_receive_messages(
    harness: BackfillHarness,
) -> None:
    now_s = harness.clock.now().timestamp()
    await harness.backfill.session_began()
    assert harness.state.get(ALIVE) == now_s - 1800, "what is noted stays until the scan"
    harness.state.values.clear()
    await harness.backfill.session_began()
    assert harness.state.get(ALIVE) == now_s - ALIVE_MARGIN_S


async def test_servers_take_turns_with_their_pages(harness: BackfillHarness) -> None:
    busy = [replace(HOME, channel_id=ChannelId(number)) for number in (70, 71, 72)]
    quiet = replace(HOME, channel_id=ChannelId(80), guild_id=GuildId(41))
    places = [*busy, quiet]
    stated = [harness.post(10 + number, place) for number, place in enumerate(places)]
    await harness.scan(
        *(Candidate(place, last) for place, last in zip(places, stated, strict=True))
    )
    assert harness.found == [stated[0], stated[3], stated[1], stated[2]]


async def test_messages_that_arrive_in_any_order_before_the_scan_are_not_missed_ones(
    harness: BackfillHarness,
) -> None:
    await harness.session_began()
    missed, first, second = harness.post(10), harness.post(5), harness.post(1)
    for each in (first, second, first):
        await harness.receive(each)
    await harness.scan()
    assert harness.found == [missed]
    assert (await harness.journal.last_seen())[HOME.channel_id] == second


async def test_an_edit_asks_up_to_its_time_and_only_what_nobody_heard(
    harness: BackfillHarness,
) -> None:
    seen = [harness.post(31) for _ in range(3)]
    await harness.journal.seen(HOME.channel_id, seen[-1])
    alive = harness.clock.now() - HOUR / 2
    for index, edited_at in enumerate((alive, alive - timedelta(seconds=1), None)):
        messages = harness.source.messages
        messages[index] = replace(
            messages[index], created_at=alive - MENTION_BY_EDIT, edited_at=edited_at
        )
    await harness.scan()
    assert harness.found == [seen[0]]
