"""What a process does as one of several beside holding shards: it takes over, leaves, and hears of changes."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Final

from bot.cluster.membership import Membership
from bot.cluster.news import Newsroom
from bot.cluster.slots import SharedSlots
from bot.core.concerns import Subject
from bot.core.domain import GuildId, Question, UserId
from bot.core.errors import StoreError
from bot.core.recent import Recent
from bot.core.tasks import TaskOwner
from bot.gateway.client import Services, shard_of
from bot.lmstudio.roster import LOADS, SERVERS
from bot.storage.postgres import News
from bot.storage.shares import Deletion, deletions, end_deletion, tell_deletion

FORGET_S: Final = 4.0
"""Seconds that others get to end what they do for somebody whose data is deleted: longer than it takes
them to stop it (``bot.chat.privacy``)."""
KEEP_S: Final = 120.0
"""Seconds for which a deletion can be heard of later: who doesn't listen listens again before that, or has
begun anew."""
HEARD: Final = 1_000
"""Deletions that are remembered as heard."""


class Sharing:
    """Joins the parts of a process to what others do. What ``GatewayClient`` hands shards over to.

    Args:
        membership: This process among the others.
        services: What answers.
    """

    def __init__(self, membership: Membership, services: Services) -> None:
        self._membership = membership
        self._services = services
        self._shards: set[int] = set()
        self._count = 1
        line, clock = services.scheduler, services.clock
        self._slots = SharedSlots(
            membership, line, clock, lambda job: services.limiter.count(job.person_id)
        )
        line.share(self._slots)
        membership.on_look(self._slots.news)
        self._news = Newsroom(services.settings.store.database_url or "", clock, self._remark)
        membership.on_look(self._news.looked)
        for news, take in self._takers().items():
            self._news.on(news, take)
        self._heard: Recent[int, None] = Recent(HEARD)
        self._has_listened = False
        self._tasks = TaskOwner()
        services.privacy.tell_others(self._tell)
        services.backfill.share(())
        services.chat.only(self._serves)

    async def run(self) -> None:
        """Hear what others do, for ever."""
        try:
            await self._news.run()
        finally:
            await self._slots.close()
            await self._tasks.cancel()

    async def take(self, shards: Collection[int], count: int) -> None:
        """Take up what other processes have left of shards, before their first events."""
        services, self._count = self._services, count
        self._shards.update(shards)
        while True:
            try:
                await services.state.reload()
                await services.privacy.reload()
                await services.overrides.reload()
                await services.summary_store.reload()
                for shard in shards:
                    await services.journal.take_up(shard, count)
            except StoreError:
                await services.clock.sleep(1.0)
            else:
                break
        services.backfill.share(self._shards)
        await services.backfill.session_began()  # nothing is noted as received before it is

    async def leave(self, shard: int, count: int) -> None:
        """Leave everything of a shard to another process, after its last event."""

        def is_of(question: Question) -> bool:
            return shard_of(question.place.guild_id, count) == shard

        services = self._services
        if services.backfill.is_caught_up:
            await services.backfill.note_alive()
        self._shards.discard(shard)
        services.backfill.share(self._shards)
        services.summary_store.drop_unfinished()
        await services.chat.leave(is_of)
        services.journal.leave(is_of)

    def _remark(self, remark: str) -> None:
        self._services.storage.remark = remark

    def _serves(self, question: Question) -> bool:
        return shard_of(question.place.guild_id, self._count) in self._shards

    def _takers(self) -> dict[News, Callable[[str], Awaitable[None]]]:
        services = self._services

        async def settings(_about: str) -> None:
            await services.overrides.reload()
            services.scheduler.wake()
            services.idle.wake()

        async def people(_about: str) -> None:
            await services.privacy.reload()

        async def state(_about: str) -> None:
            await services.state.reload()
            roster = services.backend.roster
            roster.restore(services.state.get(SERVERS))
            roster.take_up_loads(services.state.get(LOADS), are_others=True)
            services.secrets.learn(roster.hosts)

        async def slots(_about: str) -> None:
            self._membership.hurry()

        return {
            News.SETTINGS: settings,
            News.PEOPLE: people,
            News.STATE: state,
            News.SLOTS: slots,
            News.FORGET: self._forget,
        }

    async def _forget(self, told: str) -> None:
        """Forget somebody; when the listening begins again, all of whom it wasn't heard.

        When it begins for the first time, what memory holds is younger than most of these deletions.
        """
        if told:
            number, _, about = told.partition(" ")
            found, oldest_s = [Deletion(int(number), about)], KEEP_S
        else:
            found = await self._services.storage.read(deletions)
            oldest_s = KEEP_S if self._has_listened else FORGET_S
            self._has_listened = True
        for each in found:
            if each.number not in self._heard:
                self._heard[each.number] = None
                if each.age_s <= oldest_s:
                    await self._services.privacy.forget_in_memory(_subject(each.about))

    async def _tell(self, who: Subject) -> None:
        """Have the others forget somebody, and give them the time for it."""
        if self._membership.is_alone:
            return
        kind, number = (
            ("guild", who.guild_id) if who.person_id is None else ("person", who.person_id)
        )
        deletion = Deletion(secrets.randbelow(2**31), f"{kind} {number}")
        self._heard[deletion.number] = None
        await self._services.storage.write(lambda c: tell_deletion(c, deletion))
        self._tasks.start(self._end(deletion), name="deletion")
        await self._services.clock.sleep(FORGET_S)

    async def _end(self, deletion: Deletion) -> None:
        await self._services.clock.sleep(KEEP_S)
        with suppress(StoreError):  # a process that comes later tidies it away
            await self._services.storage.write(lambda c: end_deletion(c, deletion))


def _subject(about: str) -> Subject:
    kind, _, number = about.partition(" ")
    if kind == "person":
        return Subject(person_id=UserId(int(number)))
    return Subject(guild_id=GuildId(int(number)))
