"""The line of questions over several processes: each tells its own, and has the others' in its own queue.

So place, order and fairness are worked out by the same code as in one process, and all come to the same
as soon as they have the news. For whoever was served elsewhere the tag that their own process tells counts, so
that this one never thinks that somebody's turn is earlier than their own process does: of two processes,
one at least knows that it is its turn.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bot.core.domain import ChannelId, GuildId, QuestionId, UserId
from bot.core.recent import Recent
from bot.queue.fair_queue import Tags
from bot.queue.scheduler import Elsewhere, Job, Scheduler, entry_of

OWN: Final = 0
"""This process, among numbers of members."""
SEEN: Final = 2_000
"""Others' questions that are remembered as seen."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a process tells the others of its line.

    Attributes:
        room: How many it could run at this moment, if the slots were for it alone.
        waiting: Who waits there.
        running: Whose questions are answered there.
        tags: How far its queue is, and the people and channels of these questions.
    """

    room: int = 0
    waiting: tuple[Job, ...] = ()
    running: tuple[Job, ...] = ()
    tags: Tags = field(default_factory=Tags)


def dump(line: Scheduler) -> str:
    """Return what is told of a line; empty where nobody waits or is answered."""
    waiting, running = line.jobs()
    if not waiting and not running:
        return ""
    jobs = [*waiting, *running]
    tags = line.queue.tags({job.person_id for job in jobs}, {job.channel_id for job in jobs})
    told = {
        "room": line.room,
        "waiting": [_dumped(job) for job in waiting],
        "running": [_dumped(job) for job in running],
        "tags": asdict(tags),
    }
    return json.dumps(told, separators=(",", ":"))


def load(text: str) -> Told:
    """Return what another process has told; nothing where another version has other words for it."""
    try:
        return _read(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError):
        return Told()


def _read(told: Any) -> Told:  # noqa: ANN401 - as decoded
    tags = told["tags"]
    people, channels = (
        {int(key): tag for key, tag in tags[name].items()} for name in ("people", "channels")
    )
    return Told(
        told["room"],
        tuple(map(_loaded, told["waiting"])),
        tuple(map(_loaded, told["running"])),
        Tags(tags["line"], tags["channel_line"], people, channels),
    )


def _dumped(job: Job) -> list[Any]:
    where = [job.person_id, job.channel_id, job.guild_id]
    return [job.question_id, *where, job.prompt_tokens, job.cost_tokens, job.is_prepared]


def _loaded(values: list[Any]) -> Job:
    key, person, channel, guild, prompt_tokens, cost_tokens, is_prepared = values
    return Job(
        QuestionId(key),
        UserId(person),
        ChannelId(channel),
        None if guild is None else GuildId(guild),
        prompt_tokens,
        cost_tokens,
        is_prepared=is_prepared,
    )


class OtherLines:
    """What the others have told, in this process's queue.

    Args:
        line: This process's line.
        now_s: The monotonic clock, in seconds.
        on_new: Called with each question that is seen for the first time.

    Attributes:
        waiting: The others' questions that wait, by their keys.
        running: Those that are answered, by their keys.
        last: Whose question was the last to be answered, as far as known: a member, or ``OWN``.
    """

    def __init__(
        self, line: Scheduler, now_s: Callable[[], float], on_new: Callable[[Job], None]
    ) -> None:
        self.waiting: dict[int, Elsewhere] = {}
        self.running: dict[int, Elsewhere] = {}
        self.last: int | None = None
        self._line = line
        self._now_s = now_s
        self._on_new = on_new
        self._texts: dict[int, str] = {}
        self._told: dict[int, Told] = {}
        self._is_asked = False
        self._seen_keys: Recent[int, None] = Recent(SEEN)

    def note_own(self) -> None:
        """Take note that this process's questions have changed."""
        was_asked, self._is_asked = self._is_asked, any(self._line.jobs())
        if was_asked or self._is_asked:
            self.last = OWN

    def take(self, texts: Mapping[int, str]) -> bool:
        """Take over what each other member tells; return whether there is anything new."""
        news = {member: text for member, text in texts.items() if text}
        if news == self._texts:
            return False
        for member in {*news, *self._texts}:
            if news.get(member) != self._texts.get(member):
                self.last = member
        fresh = {m: t for m, t in news.items() if self._texts.get(m) != t}
        self._texts = news
        self._told = {m: load(t) if m in fresh else self._told[m] for m, t in news.items()}
        self._settle()
        return True

    def drop(self, key: int) -> None:
        """Take note that a question is this process's by now."""
        self.running.pop(key, None)
        if self.waiting.pop(key, None) is not None:
            self._line.queue.remove(key)

    def running_of(self, member: int) -> int:
        """Return how many questions are answered in another process, as far as it has told."""
        return len(self._told[member].running) if member in self._told else 0

    def turns(self, used: Mapping[int, int], free: int) -> Counter[int]:
        """Return for how many of its questions it is each process's turn; of this one under ``OWN``.

        Those whose prompt is being built come after all others: they get what is left.

        Args:
            used: How many slots each process uses.
            free: How many slots nobody uses.
        """
        found: Counter[int] = Counter()
        rooms = {OWN: self._line.room, **{m: told.room for m, told in self._told.items()}}
        late: list[int] = []
        own = {job.question_id: job for job in self._line.jobs()[0]}

        def add(member: int) -> None:
            found[member] += used.get(member, 0) + found[member] < rooms[member]

        for key in self._line.queue.ahead():
            if found.total() >= free:
                break
            there = self.waiting.get(key)
            job, member = (
                (own[QuestionId(key)], OWN) if there is None else (there.job, there.member)
            )
            if job.is_prepared:
                add(member)
            else:
                late.append(member)
        for member in late:
            if found.total() < free:
                add(member)
        return found

    def _settle(self) -> None:
        """Have in the queue what waits elsewhere, at the places that it has there."""
        queue, own = self._line.queue, self._line.jobs()
        ours = {job.question_id for jobs in own for job in jobs}
        waiting, running = (
            {
                job.question_id: (member, job)
                for member, told in self._told.items()
                for job in getattr(told, name)
                if job.question_id not in ours
            }
            for name in ("waiting", "running")
        )
        for key, (_, job) in (*waiting.items(), *running.items()):
            if key not in self._seen_keys:
                self._on_new(job)
            self._seen_keys[key] = None
        for key in self.waiting.keys() - waiting.keys():
            queue.remove(key)
        for key in sorted(waiting.keys() - self.waiting.keys()):
            queue.insert(entry_of(waiting[key][1]))
        for key in waiting.keys() & self.waiting.keys():
            queue.reprice(key, entry_of(waiting[key][1]).cost)
        for told in self._told.values():
            queue.learn(told.tags)
        self.waiting = self._seen(waiting, self.waiting)
        self.running = self._seen(running, self.running)
        if not self.waiting and not self.running and not any(own):
            queue.forget_people()

    def _seen(
        self, now: Mapping[QuestionId, tuple[int, Job]], before: Mapping[int, Elsewhere]
    ) -> dict[int, Elsewhere]:
        now_s = self._now_s()
        return {
            key: Elsewhere(job, member, before[key].since_s if key in before else now_s)
            for key, (member, job) in now.items()
        }
