"""How it has been: a few figures of every question, over the last hour, day and week.

Each question is counted in three tables of buckets: those of its model while that is one of the few
used last, else those of all others. Each table is a value of the state, of a few kilobytes. A percentile
is read from a coarse histogram: each of its cells is half as wide again as the one before.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from bot.core.clock import Clock
from bot.core.ports import Outcome, State
from bot.core.record import QuestionRecord, Span

EDGES_S: Final = tuple(0.1 * 1.5**step for step in range(23))
"""Upper bounds of the histogram's cells, in seconds: 0.1 s to 12 minutes; one more cell holds the rest."""

MOST: Final = 999_999
"""What a count stops at, so that a table's size is bounded whatever happens."""

SAVE_EVERY_S: Final = 60.0
"""Least time between two writes; what a kill loses is at most that."""


MODELS: Final = 4
"""Models whose figures are kept apart."""

_NAME_CHARS: Final = 100

Buckets = dict[int, "Figures"]
Stored = Callable[[str], object]
"""Returns what the state holds under a key."""


@dataclass(frozen=True, slots=True)
class Table:
    """One resolution.

    Attributes:
        key: Its name in the state.
        width: Of a bucket.
        buckets: How many are kept.
    """

    key: str
    width: timedelta
    buckets: int

    def index(self, moment: datetime) -> int:
        """Return the number of the bucket that a moment falls into, counted from 1970."""
        return math.floor(moment.timestamp() / self.width.total_seconds())


HOUR: Final = Table("history.hour", timedelta(minutes=1), 60)
DAY: Final = Table("history.day", timedelta(minutes=15), 96)
WEEK: Final = Table("history.week", timedelta(hours=2), 96)
"""Eight days, so that today can be held against the seven days before."""

TABLES: Final = (HOUR, DAY, WEEK)


@dataclass(slots=True)
class Figures:
    """What is known of the questions that ended in some time; figures can be added up.

    Attributes:
        questions: How many ended.
        failed: Of these, how many with a failure.
        tokens: What the model wrote for those of which both figures are known.
        writing_s: How long it wrote that, thinking included, in seconds.
        first_words: How many had their first word within each of ``EDGES_S``, and the rest.
        waits: The same of their time in the queue.
    """

    questions: int = 0
    failed: int = 0
    tokens: int = 0
    writing_s: float = 0.0
    first_words: list[int] = field(default_factory=lambda: [0] * (len(EDGES_S) + 1))
    waits: list[int] = field(default_factory=lambda: [0] * (len(EDGES_S) + 1))

    @property
    def tokens_per_s(self) -> float | None:
        """How fast the model wrote; ``None`` where that isn't known."""
        return self.tokens / self.writing_s if self.writing_s > 0 else None

    def note(self, record: QuestionRecord) -> None:
        """Count a question."""
        self.questions = min(MOST, self.questions + 1)
        self.failed = min(MOST, self.failed + bool(record.failure))
        writing_s = record.spans.get(Span.THINK, 0.0) + record.spans.get(Span.WRITE, 0.0)
        if record.written_tokens and writing_s > 0:
            self.tokens = min(MOST * MOST, self.tokens + record.written_tokens)
            self.writing_s += writing_s
        _observe(self.waits, record.spans.get(Span.QUEUE, 0.0))
        if record.first_word_s is not None:
            _observe(self.first_words, record.first_word_s)

    def add(self, other: Figures) -> None:
        """Add other questions to these."""
        self.questions += other.questions
        self.failed += other.failed
        self.tokens += other.tokens
        self.writing_s += other.writing_s
        self.first_words = [a + b for a, b in zip(self.first_words, other.first_words, strict=True)]
        self.waits = [a + b for a, b in zip(self.waits, other.waits, strict=True)]

    def dump(self) -> list[object]:
        """Return them for the state; histograms as pairs of cell and count."""
        plain = [self.questions, self.failed, self.tokens, round(self.writing_s, 1)]
        return [*plain, _sparse(self.first_words), _sparse(self.waits)]


@dataclass(slots=True)
class _Share:
    """The tables of one model, or of all that have none of their own.

    Attributes:
        place: Among the shares; 0 is all others.
        model: Whose; empty for nobody's.
        tables: The buckets of each.
    """

    place: int
    model: str = ""
    tables: dict[Table, Buckets] = field(default_factory=lambda: {table: {} for table in TABLES})

    @classmethod
    def load(cls, place: int, stored: Stored) -> _Share:
        """Read what the state holds; what can't be read, or is another model's, is left out."""
        share = cls(place)
        for table in reversed(TABLES):
            value = stored(_key(table, place))
            model = ""
            if place and isinstance(value, dict):
                model, value = str(value.get("model"))[:_NAME_CHARS], value.get("rows")
            share.model = share.model or model
            if model == share.model:
                share.tables[table] = _load(value)
        return share

    @property
    def newest(self) -> int:
        """The newest bucket in which something was counted; -1 for none."""
        return max(self.tables[WEEK], default=-1)

    def add(self, other: _Share) -> None:
        """Add another share to this one."""
        for table, buckets in other.tables.items():
            for index, figures in buckets.items():
                self.tables[table].setdefault(index, Figures()).add(figures)

    def dump(self) -> Iterator[tuple[str, object]]:
        """Yield what the state is to hold, by its keys; ``None`` for nothing."""
        for table, buckets in self.tables.items():
            rows = [[index, *figures.dump()] for index, figures in sorted(buckets.items())]
            value = {"model": self.model, "rows": rows} if self.place else rows
            yield _key(table, self.place), value if self.model or rows else None


class _Shares:
    """The tables of the models used last, and of all others.

    Args:
        stored: Returns what the state holds under a key.

    Attributes:
        all: That of all others first.
    """

    def __init__(self, stored: Stored = lambda _key: None) -> None:
        self.all = [_Share.load(place, stored) for place in range(MODELS + 1)]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is counted in any."""
        return not any(buckets for share in self.all for buckets in share.tables.values())

    def of(self, model: str) -> _Share | None:
        """Return a model's own."""
        name = model[:_NAME_CHARS]
        return next((share for share in self.all[1:] if share.model == name), None)

    def note(self, record: QuestionRecord, now: datetime) -> None:
        """Count a question that has ended."""
        for table, buckets in self._share_for(record.model).tables.items():
            buckets.setdefault(table.index(record.ended_at), Figures()).note(record)
            _bound(buckets, table.index(now), table.buckets)

    def add(self, other: _Shares, now: datetime) -> None:
        """Add other questions to these; of models, those used last count most."""
        for share in sorted(other.all, key=lambda one: one.newest):
            if any(share.tables.values()):
                self._share_for(share.model).add(share)
        for share in self.all:
            for table, buckets in share.tables.items():
                _bound(buckets, table.index(now), table.buckets)

    def dump(self) -> dict[str, object]:
        """Return what the state is to hold, by its keys."""
        return dict(pair for share in self.all for pair in share.dump())

    def _share_for(self, model: str | None) -> _Share:
        """Return where to count a question; a new model takes the place of the one used longest ago."""
        others, *own = self.all
        if not model:
            return others
        if (share := self.of(model)) is not None:
            return share
        oldest = min(own, key=lambda one: one.newest)
        others.add(oldest)
        self.all[oldest.place] = share = _Share(oldest.place, model[:_NAME_CHARS])
        return share


class History:
    """The tables, in memory and in the state, to which several processes may add.

    Args:
        state: Where they are kept; what it holds already is gone on with.
    """

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._shares, self._unsaved = _Shares(state.get), _Shares()
        self._saved_s = clock.monotonic()

    def note(self, record: QuestionRecord) -> None:
        """Count a question that has ended, unless it goes on elsewhere."""
        if record.outcome in {None, Outcome.MERGED}:
            return
        now = self._clock.now()
        for shares in (self._shares, self._unsaved):
            shares.note(record, now)

    def over(self, table: Table, model: str | None = None) -> list[Figures]:
        """Return a table's buckets up to now, oldest first; empty ones where nothing was asked.

        Args:
            table: Which resolution.
            model: Of questions to this model only, by its key.
        """
        own = self._shares.all if model is None else filter(None, [self._shares.of(model)])
        tables = [share.tables[table] for share in own]
        newest = table.index(self._clock.now())
        return [
            total(buckets[index] for buckets in tables if index in buckets)
            for index in range(newest - table.buckets + 1, newest + 1)
        ]

    def today(self, model: str | None = None) -> Figures:
        """Return the last 24 hours."""
        return total(self.over(DAY, model))

    def week_before(self, model: str | None = None) -> Figures:
        """Return the seven days before the last 24 hours."""
        return total(self.over(WEEK, model)[: -round(timedelta(days=1) / WEEK.width)])

    async def save(self, *, at_once: bool = False) -> None:
        """Add what is new to what is stored, where other processes may have added theirs; once a minute at most.

        Args:
            at_once: Don't wait for the minute: the process ends.
        """
        now_s = self._clock.monotonic()
        if self._unsaved.is_empty or not (at_once or now_s - self._saved_s >= SAVE_EVERY_S):
            return
        self._saved_s = now_s
        new, self._unsaved = self._unsaved, _Shares()
        now = self._clock.now()

        def add(stored: Mapping[str, object]) -> dict[str, object]:
            shares = _Shares(stored.get)
            shares.add(new, now)
            return shares.dump()

        saved = await self._state.change_all(tuple(_Shares().dump()), add)
        self._shares = _Shares(saved.get)
        self._shares.add(self._unsaved, now)  # what has ended meanwhile


def _key(table: Table, place: int) -> str:
    """Return a table's name in the state."""
    return f"{table.key}.{place}" if place else table.key


def total(buckets: Iterable[Figures]) -> Figures:
    """Return several buckets as one."""
    whole = Figures()
    for each in buckets:
        whole.add(each)
    return whole


def percentile(cells: Sequence[int], share: float) -> float | None:
    """Return within how many seconds a share of a histogram's questions was; ``None`` for none.

    Args:
        cells: As ``Figures`` holds them.
        share: From 0 to 1.
    """
    left = share * sum(cells)
    if left <= 0:
        return None
    low_s = 0.0
    for count, high_s in zip(cells, EDGES_S, strict=False):
        if count and left <= count:
            return low_s + (high_s - low_s) * left / count
        left -= count
        low_s = high_s
    return low_s


def _observe(cells: list[int], seconds: float) -> None:
    cell = bisect_left(EDGES_S, seconds)
    cells[cell] = min(MOST, cells[cell] + 1)


def _bound(buckets: Buckets, newest: int, most: int) -> None:
    """Forget the buckets farthest from now: after a clock that ran wrong, those of the wrong time."""
    for index in sorted(buckets, key=lambda index: abs(newest - index))[most:]:
        del buckets[index]


_Count = Annotated[int, Field(strict=True, ge=0)]
_Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
_ROW: Final = TypeAdapter(
    tuple[_Count, _Count, _Count, _Count, _Seconds, list[_Count], list[_Count]]
)
"""A bucket in the state: its number, and what ``Figures.dump`` returns."""


def _load(stored: object) -> Buckets:
    """Read what the state holds; rows that can't be read are left out."""
    buckets: Buckets = {}
    for row in stored if isinstance(stored, list) else ():
        with suppress(IndexError, ValueError):
            index, questions, failed, tokens, writing_s, words, waits = _ROW.validate_python(row)
            buckets[index] = Figures(
                questions, failed, tokens, writing_s, _dense(words), _dense(waits)
            )
    return buckets


def _sparse(cells: Sequence[int]) -> list[int]:
    return [part for cell, count in enumerate(cells) if count for part in (cell, count)]


def _dense(pairs: Sequence[int]) -> list[int]:
    """Undo ``_sparse``.

    Raises:
        IndexError: There is no such cell.
        ValueError: A cell has no count.
    """
    cells = [0] * (len(EDGES_S) + 1)
    for cell, count in zip(pairs[::2], pairs[1::2], strict=True):
        cells[cell] = count
    return cells
