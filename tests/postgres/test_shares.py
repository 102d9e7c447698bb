"""What several processes hold of one database, and what they hear of each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from bot.chat.allowed_models import AllowedModels
from bot.chat.backfill import Backfill
from bot.cluster.hold import SETTLE_S
from bot.cluster.membership import Membership
from bot.cluster.news import Newsroom
from bot.core.clock import SystemClock, elapsed_s
from bot.core.domain import ChannelId, GuildId, MessageId, Place, PlaceKind, UserId
from bot.core.errors import StoreError
from bot.core.tasks import end_tasks
from bot.storage.database import Database, open_database
from bot.storage.journal import SqlJournal
from bot.storage.kept import KeptData
from bot.storage.lease import Leader, LeaseSession, Mode, SupersededError, check_term
from bot.storage.postgres import News
from bot.storage.setting_types import Scope
from bot.storage.settings_store import SettingsStore
from bot.storage.shares import ShareSession, check_member
from bot.storage.state import StateStore
from config.settings import LiveSettings, Settings
from tests.postgres.server import PostgresServer
from tests.support.chat import FakeJournal
from tests.support.clock import FakeClock, settle
from tests.support.conversation import FakeSources
from tests.support.links import Loses, proxy
from tests.unit.storage.questions import question

Connect = Callable[[], ShareSession]
WHEN = datetime(2025, 6, 1, tzinfo=UTC)
GUILD = GuildId(7)
SOMEBODY = UserId(5)


class LostReply:
    """A commit of which its writer never hears, since the connection breaks behind it; once.

    Attributes:
        about: The transaction has these bytes in it; empty for none.
        is_lost: That has happened.
    """

    about = b""
    is_lost = False

    def connected(self) -> Loses:
        """Begin one connection."""
        is_about = False

        def loses(sent: bytes) -> bool:
            nonlocal is_about
            is_about = is_about or bool(self.about and self.about in sent)
            if not sent.endswith(b"COMMIT\0"):
                return False
            was_about, is_about = is_about, False
            is_last, self.is_lost = was_about and not self.is_lost, was_about or self.is_lost
            return is_last

        return loses


@pytest.fixture
def connect(location: str) -> Iterator[Connect]:
    """Makes open sessions, which are closed however the test ends."""
    made: list[ShareSession] = []

    def make() -> ShareSession:
        made.append(ShareSession(location))
        made[-1].open()
        return made[-1]

    yield make
    for session in made:
        session.close()


def test_a_shard_is_one_members_until_it_gives_it_up_or_ends(connect: Connect) -> None:
    one, two = connect(), connect()
    assert one.join(1) is True
    assert two.join(2) is True
    assert one.agree(1, 4) == 4
    assert two.agree(2, 8) == 4
    assert one.take_shard(3, 1) is True
    assert two.take_shard(3, 2) is None
    one.note_left(3, 1)
    one.free_shard(3)
    assert two.take_shard(3, 2) is True
    own, others = two.look().own, two.look().others
    assert own is not None
    assert own.shards == {3}
    assert [(each.number, each.is_ready, each.shards) for each in others] == [
        (1, True, frozenset())
    ]
    two.close()
    while len(one.look().others):
        pass  # the server needs a moment to see that the session has ended
    assert one.take_shard(3, 1, only_left=True) is None
    while (was_left := one.take_shard(3, 1)) is None:
        pass  # until it doesn't come back any more
    assert was_left is False


def test_a_shard_that_is_left_twice_is_its_new_holders_all_the_same(connect: Connect) -> None:
    """Whoever never heard that it was noted says so again, in a new session."""
    one, two, three = connect(), connect(), connect()
    for number, session in enumerate((one, two, three), 1):
        session.join(number)
    assert one.take_shard(0, 1) is True
    one.note_left(0, 1)
    one.free_shard(0)
    assert two.take_shard(0, 2) is True
    one.note_left(0, 1)
    two.close()
    while (was_left := three.take_shard(0, 3)) is None:
        pass  # until the second one doesn't come back any more
    assert was_left is False


async def test_who_was_taken_over_from_writes_nothing_any_more_and_takes_nothing_back(
    location: str, connect: Connect, clock: FakeClock
) -> None:
    one, two = connect(), connect()
    one.join(1)
    two.join(2)
    one.take_shard(0, 1)
    async with open_database(location, clock, guard=lambda c: check_member(c, 1)) as database:
        await database.write(lambda _: None)
        one.close()
        while two.take_shard(0, 2) is None:
            pass  # the server needs a moment to see that the session has ended
        with pytest.raises(StoreError) as refused:
            await database.write(lambda _: None)
        assert isinstance(refused.value, SupersededError)
    again = connect()
    assert again.is_superseded(1)
    assert not again.return_(1, {0}, (), is_ready=True)


def test_all_who_join_wait_for_a_process_that_led_until_it_has_surely_ended(
    connect: Connect,
) -> None:
    """The first one's reply may be lost, so that it joins again; another may join while it waits."""
    connect().join(1)
    connect().run(lambda c: check_term(c, Leader(7, Mode.SHARED)))
    two, three, four = connect(), connect(), connect()
    assert two.join(2) is False
    assert three.join(3) is False
    two.settled()
    assert four.join(4) is True


def test_a_process_that_leads_alone_and_those_that_share_exclude_each_other(
    location: str, connect: Connect
) -> None:
    leader = LeaseSession(location)
    leader.open()
    assert leader.take()
    member = connect()
    assert member.join(1) is None
    leader.close()
    while member.join(1) is None:
        pass  # the server needs a moment to see that the session has ended
    other = LeaseSession(location)
    other.open()
    assert not other.take()
    other.close()


def test_slots_are_nobodys_twice_and_come_free_with_the_session(connect: Connect) -> None:
    one, two = connect(), connect()
    one.join(1)
    two.join(2)
    assert [one.take_slot(3, ()) for _ in range(2)] == [0, 1]
    assert two.take_slot(3, {2}) is None
    assert two.take_slot(3, ()) == 2
    assert two.take_slot(3, ()) is None
    (other,) = one.look().others
    assert other.slots == {2}
    one.tell(1, "", (0,))
    assert two.take_slot(3, ()) == 0
    (other,) = one.look().others
    assert other.slots == {0, 2}
    two.close()
    while one.take_slot(3, ()) is None:
        pass  # the server needs a moment to see that the session has ended


def test_what_a_member_tells_is_seen_by_the_others_until_it_ends(connect: Connect) -> None:
    one, two = connect(), connect()
    one.join(1)
    two.join(2)
    two.tell(2, "a question", ())
    assert [each.line for each in one.look().others] == ["a question"]
    assert [each.line for each in two.look().others] == [""]
    two.tell(2, "", ())
    assert [each.line for each in one.look().others] == [""]
    two.tell(2, "another", ())
    two.close()
    while one.look().others:
        pass  # the server needs a moment to see that the session has ended


def test_the_idle_time_is_one_members_until_it_leaves_it_or_ends(connect: Connect) -> None:
    one, two = connect(), connect()
    one.join(1)
    two.join(2)
    assert one.try_idle()
    assert not two.try_idle()
    assert [each.is_idling for each in two.look().others] == [True]
    one.end_idle()
    assert two.try_idle()
    two.close()
    while not one.try_idle():
        pass  # the server needs a moment to see that the session has ended


async def test_members_share_the_shards_out_and_take_those_of_one_that_is_gone(
    location: str,
) -> None:
    clock = SystemClock()
    held: dict[int, frozenset[int]] = {}

    async def serve(number: int, membership: Membership) -> None:
        async for shards in membership.held(await membership.agree(4)):
            held[number] = shards

    async with AsyncExitStack() as stack:
        tasks = []
        members = [Membership.over(location, clock) for _ in range(3)]
        for number, membership in enumerate(members):
            assert await membership.take()
            working = asyncio.create_task(membership.hold(serve(number, membership)))
            stack.push_async_callback(end_tasks, working)
            tasks.append(working)
        await _until(lambda: _sizes(held) == [1, 1, 2])
        assert "2 other processes" in members[0].remark
        assert sorted(shard for shards in held.values() for shard in shards) == [0, 1, 2, 3]
        await end_tasks(tasks[0])
        del held[0]
        await _until(lambda: _sizes(held) == [2, 2])
        assert sorted(shard for shards in held.values() for shard in shards) == [0, 1, 2, 3]


async def test_a_member_whose_session_is_lost_while_it_leaves_a_shard_keeps_its_part(
    server: PostgresServer, location: str
) -> None:
    clock = SystemClock()
    one, two = (Membership.over(location, clock) for _ in range(2))
    served: dict[Membership, frozenset[int]] = {one: frozenset(), two: frozenset()}

    async def serve(membership: Membership) -> None:
        async for shards in membership.held(await membership.agree(4)):
            if len(shards) < len(served[membership]) == 4:
                _end_session(server, location, membership)
                membership.doubt()
                await _until(lambda: membership.is_sure)
            served[membership] = shards

    async with AsyncExitStack() as stack:
        working = []
        for membership in (one, two):
            assert await membership.take()
            task = asyncio.create_task(membership.hold(serve(membership)))
            stack.push_async_callback(end_tasks, task)
            working.append(task)
            await _until(lambda: bool(served[one]))
        await _until(lambda: _sizes(dict(enumerate(served.values()))) == [2, 2])
        assert served[one] == {0, 1}
        assert not any(task.done() for task in working)


async def test_a_member_that_never_hears_that_a_shard_is_left_keeps_the_rest(
    server: PostgresServer, location: str
) -> None:
    clock = SystemClock()
    lost = LostReply()
    async with proxy(server.port, loses=lost.connected) as port, AsyncExitStack() as stack:
        one = Membership.over(location.replace(f":{server.port}/", f":{port}/"), clock)
        two = Membership.over(location, clock)
        served: dict[Membership, frozenset[int]] = {one: frozenset(), two: frozenset()}

        async def serve(membership: Membership) -> None:
            async for shards in membership.held(await membership.agree(4)):
                served[membership] = shards

        working = []
        for membership in (one, two):
            assert await membership.take()
            task = asyncio.create_task(membership.hold(serve(membership)))
            stack.push_async_callback(end_tasks, task)
            working.append(task)
            await _until(lambda: bool(served[one]))
            lost.about = b'"left": true'
        await _until(lambda: lost.is_lost and len(served[two]) > 0)
        await _until(lambda: served == {one: {0, 1}, two: {2, 3}})
        assert not any(task.done() for task in working)


async def test_a_session_takes_nothing_before_it_has_what_the_lost_one_had(
    server: PostgresServer, location: str
) -> None:
    """All sessions end where the server is started again; another may be about to take its slots again."""
    returning, may_return = threading.Event(), threading.Event()

    class Late(ShareSession):
        def return_(self, *part: Any, is_ready: bool) -> bool:
            returning.set()
            assert may_return.wait(20)
            return super().return_(*part, is_ready=is_ready)

    one = Membership(partial(Late, location), SystemClock())
    assert await one.take()

    async def come_back() -> None:
        _end_session(server, location, one)
        one.doubt()
        await _until(returning.is_set)
        with pytest.raises(StoreError):
            await one.take_slot(1)
        may_return.set()

    assert await one.hold(come_back())


async def test_a_process_that_ends_does_not_wait_for_the_end_of_its_turn_to_log_in(
    location: str,
) -> None:
    membership = Membership.over(location, SystemClock())
    assert await membership.take()
    async with membership.turn(0):
        pass
    await membership.close()
    assert "turn" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_process_that_never_saw_another_logs_in_without_the_database(
    server: PostgresServer, location: str
) -> None:
    membership = Membership.over(location, SystemClock())
    assert await membership.take()

    async def log_in() -> None:
        server.stop()
        async with asyncio.timeout(20), membership.turn(0):
            pass

    assert await membership.hold(log_in())


async def test_slots_of_a_process_that_is_gone_are_left_alone_until_it_has_surely_ended(
    location: str,
) -> None:
    later_s = 0.0
    one = Membership(partial(ShareSession, location), SystemClock(), lambda: elapsed_s() + later_s)
    two = Membership.over(location, SystemClock())
    assert await two.take()
    assert await two.take_slot(1)
    assert await one.take()

    async def see_it_go() -> None:
        nonlocal later_s
        await _until(lambda: any(each.slots for each in one.sight.others))
        later_s = SETTLE_S
        await two.close()
        await _until(lambda: not one.sight.others)
        assert not await one.take_slot(1)
        later_s = 2 * SETTLE_S
        assert await one.take_slot(1)
        assert one.slots == {0}

    assert await one.hold(see_it_go())


async def test_a_process_that_comes_back_takes_no_slot_before_others_have_come_back(
    location: str,
) -> None:
    """They may run what they had slots for; a server that was started again knows of none."""
    later_s = 0.0
    one = Membership.over(location, SystemClock())
    two = Membership(partial(ShareSession, location), SystemClock(), lambda: elapsed_s() + later_s)
    assert await one.take()
    assert await two.take()
    assert not await two.take_slot(1)
    later_s = SETTLE_S
    assert await two.take_slot(1)
    await one.close()
    await two.close()


async def test_of_two_processes_one_logs_in_at_a_time(location: str) -> None:
    one, two = (Membership.over(location, SystemClock()) for _ in range(2))
    assert await one.take()
    assert await two.take()
    entered: list[int] = []

    async def log_in(number: int, membership: Membership) -> None:
        async with membership.turn(0):
            entered.append(number)

    async with one.turn(0):
        waiting = asyncio.create_task(log_in(2, two))
        await log_in(1, one)
        assert entered == [1]
    await end_tasks(waiting)
    await one.close()
    await two.close()


async def test_a_shard_that_is_left_while_it_asks_for_its_turn_leaves_the_rest_and_the_turn(
    location: str,
) -> None:
    one, two = (Membership.over(location, SystemClock()) for _ in range(2))
    assert await one.take()
    assert await two.take()

    async def log_in() -> None:
        async with one.turn(0):
            pass

    logging_in = asyncio.create_task(log_in())
    await settle()  # it has asked, and has no answer
    await end_tasks(logging_in)
    assert await one.take_slot(1), "the session that holds everything has ended"
    async with asyncio.timeout(30), two.turn(0):
        pass
    await one.close()
    await two.close()


def _end_session(server: PostgresServer, location: str, membership: Membership) -> None:
    with server.connection(location) as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s",
            (membership.number,),
        )


def _sizes(held: dict[int, frozenset[int]]) -> list[int]:
    return sorted(map(len, held.values()))


async def _until(condition: Callable[[], bool]) -> None:
    """Look again and again at what other sessions do, which announces nothing."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing here can set an event
            await asyncio.sleep(0.02)


async def test_open_questions_are_taken_up_by_whoever_takes_their_shard(
    location: str, clock: FakeClock, database: Database
) -> None:
    """Servers belong to shards by their ids without the lower 22 bits; direct messages to the first."""
    places = [
        Place(PlaceKind.GUILD_TEXT, ChannelId(70), GuildId(2 << 22)),
        Place(PlaceKind.GUILD_TEXT, ChannelId(80), GuildId(3 << 22)),
        Place(PlaceKind.DM, ChannelId(90)),
    ]
    ours = await SqlJournal.open(database, clock, 30, is_shared=True)
    for number, place in enumerate(places, 1):
        await ours.accept(replace(question(number), place=place))
    async with open_database(location, clock) as other:
        theirs = await SqlJournal.open(other, clock, 30, is_shared=True)
        assert await theirs.pending() == []
        await theirs.take_up(1, 2)
        assert [each.question.id for each in await theirs.pending()] == [2]
        await theirs.take_up(0, 2)
        assert [each.question.id for each in await theirs.pending()] == [1, 2, 3]
        theirs.leave(lambda each: each.place.guild_id is None)
        assert [each.question.id for each in await theirs.pending()] == [1, 2]


@asynccontextmanager
async def _listening(room: Newsroom) -> AsyncGenerator[None, None]:
    hearing = asyncio.create_task(room.run())
    try:
        yield
    finally:
        await end_tasks(hearing)


async def test_a_setting_changed_by_one_process_holds_in_another_at_once_and_after_a_gap(
    server: PostgresServer, location: str, database: Database
) -> None:
    place = Place(PlaceKind.GUILD_TEXT, ChannelId(70), GUILD)
    scope = Scope.in_guild(GUILD)
    ours = await SettingsStore.open(database, LiveSettings(Settings()))
    room = Newsroom(location, SystemClock())

    async def reload(_about: str) -> None:
        await ours.reload()

    room.on(News.SETTINGS, reload)
    async with open_database(location, FakeClock()) as other, _listening(room):
        theirs = await SettingsStore.open(other, LiveSettings(Settings()))
        await theirs.set(scope, "system_prompt", "Speak like a sailor.", SOMEBODY, WHEN)
        await _until(lambda: "sailor" in ours.effective(place).system_prompt)
        with server.connection() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
            )
        await theirs.reset(scope, "system_prompt", SOMEBODY, WHEN)
        await _until(lambda: "sailor" not in ours.effective(place).system_prompt)
        await theirs.set(scope, "system_prompt", "Speak like a poet.", SOMEBODY, WHEN)
        await theirs.forget_guild(GUILD)
        await _until(lambda: not ours.set_in(GUILD))


async def test_who_opts_out_in_one_process_is_read_in_none(
    location: str, database: Database, clock: FakeClock
) -> None:
    kept = await KeptData.open(database, await SqlJournal.open(database, clock, 30), clock)
    room = Newsroom(location, SystemClock())

    async def reload(_about: str) -> None:
        await kept.reload()

    room.on(News.PEOPLE, reload)
    async with open_database(location, clock) as other, _listening(room):
        journal = await SqlJournal.open(other, clock, 30)
        theirs = await KeptData.open(other, journal, clock)
        await theirs.opt_out(SOMEBODY)
        await _until(lambda: kept.is_withheld(SOMEBODY))
        await theirs.opt_in(SOMEBODY)
        await _until(lambda: not kept.is_withheld(SOMEBODY))


async def test_a_database_that_was_away_is_not_told_as_one_without_a_connection_to_hear(
    server: PostgresServer, location: str
) -> None:
    """It is heard again a moment after the first look that it answers, which may come sooner."""
    clock, told = FakeClock(), list[str]()
    room = Newsroom(location, clock, told.append)
    room.looked()
    server.stop()
    async with _listening(room):
        await _until(lambda: not clock.is_idle)  # it was tried, and is tried again after a pause
        await clock.advance(10.0)
        await _until(lambda: not clock.is_idle)
        for _ in range(4):
            room.looked()
            assert not told
            await clock.advance(0.5)
            await _until(lambda: not clock.is_idle)
        room.looked()
        assert "no connection to hear" in told[0]


@asynccontextmanager
async def _states(location: str, clock: FakeClock) -> AsyncGenerator[list[StateStore], None]:
    """Give what two processes remember, neither of which has heard of the other's changes."""
    async with open_database(location, clock) as one, open_database(location, clock) as two:
        yield [await StateStore.open(database, clock) for database in (one, two)]


async def test_values_that_two_processes_change_at_once_hold_what_both_have_added(
    location: str, clock: FakeClock
) -> None:
    def adding(number: int) -> Callable[[object], object]:
        return lambda stored: sorted([*(stored if isinstance(stored, list) else ()), number])

    async with _states(location, clock) as states:
        changes = [states[n % 2].change(f"key {n // 4}", adding(n)) for n in range(40)]
        await asyncio.gather(*changes)
        for key in range(10):
            expected = list(range(4 * key, 4 * key + 4))
            stored = [await one.change(f"key {key}", lambda stored: stored) for one in states]
            assert stored == [expected, expected]
            assert states[0].get(f"key {key}") == expected


async def test_models_that_two_processes_allow_are_allowed_in_both_servers(
    location: str, clock: FakeClock
) -> None:
    elsewhere = GuildId(8)
    async with _states(location, clock) as states:
        ours, theirs = (AllowedModels((), state, lambda _: None) for state in states)
        assert await ours.allow(GUILD, "a/one")
        assert await theirs.allow(elsewhere, "a/two")
        await states[0].reload()
        assert (ours.of(GUILD), ours.of(elsewhere)) == (("a/one",), ("a/two",))
        await ours.forget(elsewhere)
        assert await theirs.forbid(GUILD, "a/one")
        assert (theirs.of(GUILD), theirs.of(elsewhere)) == ((), ())


async def test_a_missed_message_that_ends_a_process_counts_also_where_another_takes_messages(
    location: str, clock: FakeClock
) -> None:
    async with _states(location, clock) as states:

        def begun(state: StateStore) -> Backfill:
            return Backfill(FakeSources(), FakeJournal(), state, clock, timedelta(hours=1))

        theirs = begun(states[1])
        lives = []
        for number in range(2):
            lives.append(begun(states[0]).taking(MessageId(5)))
            assert await lives[-1].__aenter__()  # and is killed in the middle of it
            async with theirs.taking(MessageId(6 + number)) as may_take:
                assert may_take
            await states[0].reload()  # as a start does
        async with begun(states[0]).taking(MessageId(5)) as may_take:
            assert not may_take
