"""Several processes in one: their lines, the model's slots, and what each has told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from bot.cluster.membership import Membership
from bot.cluster.slots import SharedSlots
from bot.core.domain import ChannelId, GuildId, QuestionId, UserId
from bot.core.errors import StoreError
from bot.core.ports import Capacity
from bot.queue.scheduler import Job, Scheduler, Ticket
from bot.storage.shares import Member, Sight
from config.settings import QueueSettings
from tests.support.clock import FakeClock, settle

ROOMY = QueueSettings(max_waiting=500, max_waiting_channel=500, max_waiting_person=500)


def job(key: int, person: int, channel: int = 1, *, is_prepared: bool = True) -> Job:
    """Return a question of a usual size."""
    return Job(
        QuestionId(key),
        UserId(person),
        ChannelId(channel),
        GuildId(1),
        10,
        20,
        is_prepared=is_prepared,
    )


class Pool:
    """All slots, and who holds them."""

    def __init__(
        self,
        most: int,
        processes: int,
        clock: FakeClock,
        settings: QueueSettings = ROOMY,
        tokens: int | None = None,
    ) -> None:
        self.most = most
        self.tokens = tokens
        self.settings = settings
        self.clock = clock
        self.processes: list[Process] = []
        self.began: list[int] = []
        for _ in range(processes):
            self.join()

    def join(self) -> Process:
        """Start one more process."""
        one = Process(self, len(self.processes) + 1)
        self.processes.append(one)
        return one

    @property
    def running(self) -> int:
        """How many run in all."""
        return sum(each.line.running for each in self.processes)

    @property
    def waiting(self) -> int:
        """How many wait in all."""
        return sum(each.line.waiting for each in self.processes)

    async def settle(self) -> None:
        """Let every process look until nothing changes."""
        for _ in range(2 + len(self.processes)):
            for each in self.processes:
                if not each.is_away:
                    each.shared.news()
                    await settle()
                assert self.running <= self.most
            await self.clock.advance(0.2)

    async def end(self, ticket: Ticket) -> None:
        """Have an answer come to its end."""
        ticket.first_token()
        ticket.release()
        await self.settle()


@dataclass
class Process:
    """One process: its line, and its part."""

    pool: Pool
    number: int
    slots: frozenset[int] = frozenset()
    blocked: frozenset[int] = frozenset()
    is_away: bool = False
    is_reached: bool = True
    is_idling: bool = False
    knows: int = 0
    told: str = ""
    tells: int = 0
    tickets: dict[int, Ticket] = field(default_factory=dict)
    seen: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        clock = self.pool.clock
        self.line = Scheduler(
            self.pool.settings,
            clock,
            lambda: Capacity(self.knows or self.pool.most, self.pool.tokens),
            lambda: self.is_reached,
        )
        self.shared = SharedSlots(
            cast("Membership", self),
            self.line,
            clock,
            lambda each: self.seen.append(each.question_id),
        )
        self.line.share(self.shared)

    @property
    def sight(self) -> Sight:
        """What it sees of the others."""
        return Sight(self._member, tuple(each._member for each in self._others))

    @property
    def _member(self) -> Member:
        return Member(self.number, slots=self.slots, is_idling=self.is_idling, line=self.told)

    @property
    def _others(self) -> list[Process]:
        return [each for each in self.pool.processes if each is not self]

    @property
    def is_alone(self) -> bool:
        """Whether it never saw another."""
        return not self._others

    async def take_slot(self, most: int) -> bool:
        """Take one that nobody holds."""
        self._ask()
        taken = {slot for each in self.pool.processes for slot in each.slots} | self.blocked
        free = set(range(most)) - taken
        self.slots |= frozenset(sorted(free)[:1])
        return bool(free)

    async def tell(self, line: str, freed: frozenset[int]) -> None:
        """Tell the others."""
        self._ask()
        self.slots -= freed
        self.told = line
        self.tells += 1

    async def idle(self, *, is_wanted: bool) -> None:
        """Take the idle time, or leave it."""
        self._ask()
        self.is_idling = is_wanted and not any(each.is_idling for each in self._others)

    def _ask(self) -> None:
        if self.is_away:
            raise StoreError("away")

    def ask(self, key: int, person: int, channel: int = 1) -> Ticket:
        """Ask a question."""
        self.tickets[key] = self.line.submit(job(key, person, channel))
        return self.tickets[key]

    def ask_many(self, people: int) -> list[Ticket]:
        """Have so many people ask one question each."""
        numbers = range(len(self.tickets), len(self.tickets) + people)
        return [self.ask(1_000 * self.number + n, 1_000 * self.number + n) for n in numbers]


def running(tickets: list[Ticket]) -> list[Ticket]:
    """Return those that run."""
    return [each for each in tickets if each.state.value == "running"]
