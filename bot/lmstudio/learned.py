"""What experience taught of the servers: the circuit breaker, a model's ways, and what caches hold.

The breaker tells one question's failure from the server's.

What each slot has in its cache is known as far as one can tell from what it was sent. A slot keeps
the prompt and the answer that it worked on last. A new prompt goes to the slot that holds the most of
its beginning, if that is a tenth of it; otherwise to the one that was used longest ago (llama.cpp's
server, which LM Studio runs). So a new conversation takes the slot of another that begins with the
same persona, although others are free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import ChatTurn, Role, UserId
from bot.core.errors import BackendError
from bot.core.recent import Recent
from bot.lmstudio.completion import REASONING_FIELDS

FAILURES_TO_OPEN: Final = 3
"""Failures in a row, of as many different questions in as many conversations, that open a circuit."""

PERSONS_TO_OPEN: Final = 2
"""Whose questions they are, at least: nobody can shut the model for all the others."""

TOGETHER_S: Final = 1.0
"""Failures within so many seconds are one: a model that crashes takes all its answers with it."""

FORGET_AFTER_S: Final = 120.0
"""Seconds after which a failure says nothing about the next one."""

FIRST_PAUSE_S: Final = 15.0
LONGEST_PAUSE_S: Final = 300.0
_MOST_CAUSES: Final = 16


@dataclass(frozen=True, slots=True)
class Cause:
    """Whose request failed, as far as a circuit must tell requests apart.

    Attributes:
        conversation: Key of the conversation.
        question: Stands for the words of its last turn.
        person_id: Whom it counts for.
    """

    conversation: str
    question: int
    person_id: UserId | None


class Circuit:
    """Stop asking what keeps failing; after a pause, let one trial through.

    What one question does to the server is its own matter, however often it is asked: only a
    failure that several different questions share opens the circuit.
    """

    def __init__(self, clock: Clock, first_pause_s: float = FIRST_PAUSE_S) -> None:
        """Start closed.

        Args:
            clock: Time.
            first_pause_s: Pause after the first opening, in seconds; each further one doubles it.
        """
        self.open_until_s: float | None = None
        """Monotonic time from which on a trial may go; ``None`` while closed."""
        self._clock = clock
        self._first_pause_s = first_pause_s
        self._pause_s = first_pause_s
        self._trial = False
        self._causes: list[Cause] = []
        self._last_at_s = clock.monotonic()
        self._times = 0

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        if self.open_until_s is None:
            return "closed"
        return "open" if self._clock.monotonic() < self.open_until_s else "half-open"

    @property
    def allows(self) -> bool:
        """Whether a request may go: always when closed, one at a time when half-open."""
        return self.state == "closed" or (self.state == "half-open" and not self._trial)

    def begin(self) -> None:
        """Note that a request goes; when half-open, it is the trial."""
        self._trial = self.state == "half-open"

    def end(self) -> None:
        """Note that a request ended without a verdict, for example cancelled."""
        self._trial = False

    def succeed(self) -> None:
        """Close."""
        self._causes.clear()
        self._times = 0
        self._pause_s = self._first_pause_s
        self.open_until_s = None
        self._trial = False

    def fail(self, cause: Cause) -> None:
        """Count a failure; open when enough different questions share it, or on a failed trial.

        A trial of somebody who has failed before says nothing new: whoever opened the circuit can't
        keep it open for the others.
        """
        now_s = self._clock.monotonic()
        if now_s - self._last_at_s > FORGET_AFTER_S:
            self._causes.clear()
            self._times = 0
        if not self._times or now_s - self._last_at_s > TOGETHER_S:
            self._times += 1
            self._last_at_s = now_s
        is_known = cause.person_id in {each.person_id for each in self._causes}
        if cause not in self._causes:
            self._causes = [*self._causes[-_MOST_CAUSES:], cause]
        conversations = len({each.conversation for each in self._causes})
        questions = len({each.question for each in self._causes})
        persons = len({each.person_id for each in self._causes})
        is_shared = min(self._times, conversations, questions) >= FAILURES_TO_OPEN
        if self.open_until_s is None:
            is_proof = is_shared and persons >= PERSONS_TO_OPEN
        else:
            is_proof = self._trial and not is_known
        if is_proof:
            self.open()

    def open(self) -> None:
        """Open at once, for longer each time."""
        self._trial = False
        self.open_until_s = self._clock.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)


_FIRST_SPEED: Final = 150.0
"""Prompt tokens per second before one was measured: a slow mini PC's."""

_FASTEST: Final = 100_000.0
_SLOWER: Final = 0.7
_FASTER: Final = 0.1
_FIRST: Final = 0.5
_LONGEST_LOAD_S: Final = 3600.0
_MOST_FIELDS: Final = 8
LEAST_MEASURED: Final = 64
"""Fewer tokens than this say nothing of a speed."""

SHORTEST_S: Final = 0.15
"""Seconds that reading a piece should take: a question waits for half of it on average, and with pieces of
0.1 s their requests take so much of a short pause that a cut's next turn isn't read in time."""

_MOST_DOUBLINGS: Final = 3
_EFFICIENT: Final = 0.5
_MUCH_FASTER: Final = 1.5
_LATEST: Final = 0.3


class ReadingSpeed:
    """How fast a model reads prompts, learned from what it did.

    Slower than expected counts at once, faster only little by little: a warm cache reads a prompt
    in no time, which says nothing about the next cold one.

    Attributes:
        tokens_per_s: Tokens a second.
        is_known: It was measured.
    """

    __slots__ = ("is_known", "tokens_per_s")

    def __init__(self, tokens_per_s: float = 0.0) -> None:
        """Start with a slow machine's speed, or with one that was measured earlier.

        Args:
            tokens_per_s: Measured earlier; 0 for never.
        """
        self.is_known = tokens_per_s > 0
        self.tokens_per_s = tokens_per_s or _FIRST_SPEED

    def learn(self, tokens: int, first_token_s: float, *, is_certain: bool = False) -> None:
        """Take a measurement.

        Args:
            tokens: How many were read.
            first_token_s: The time to the first written one.
            is_certain: None of them can have been in a cache.
        """
        if tokens < LEAST_MEASURED or first_token_s <= 0:
            return
        measured = min(max(1.0, tokens / first_token_s), _FASTEST)
        weight = _SLOWER if measured < self.tokens_per_s else _FASTER
        if not self.is_known:
            weight = 1.0 if is_certain else max(weight, _FIRST)
        self.tokens_per_s += (measured - self.tokens_per_s) * weight
        self.is_known = True

    def expected_s(self, tokens: int) -> float:
        """Return how long so many tokens that aren't in the cache should take, in seconds."""
        return max(0, tokens) / self.tokens_per_s


class PieceLength:
    """How long the pieces are that a prompt is read ahead in: as short as serves.

    A question waits for the piece that is being read. But each piece is a request, and some machines
    read few tokens hardly faster than many. So pieces are as long as ``SHORTEST_S`` of reading, and longer
    only where such short ones are read at less than half of the model's speed and longer ones much faster.
    """

    __slots__ = ("_rates",)

    def __init__(self) -> None:
        self._rates: dict[int, float] = {}

    def doublings(self, tokens_per_s: float) -> int:
        """Return how often the shortest length is doubled.

        Args:
            tokens_per_s: How fast the model reads long prompts.
        """
        for level in range(_MOST_DOUBLINGS):
            here, longer = self._rates.get(level), self._rates.get(level + 1)
            if here is None or (longer is None and here >= tokens_per_s * _EFFICIENT):
                return level
            if longer is not None and longer < here * _MUCH_FASTER:
                return level
        return _MOST_DOUBLINGS

    def learn(self, doublings: int, tokens: int, took_s: float) -> None:
        """Take the measurement of a piece, the whole request counted.

        Args:
            doublings: How often the shortest length was doubled for it.
            tokens: How many were read.
            took_s: Seconds.
        """
        rate = tokens / max(took_s, 1e-6)
        known = self._rates.get(doublings, rate)
        self._rates[doublings] = known + (rate - known) * _LATEST


@dataclass(frozen=True, slots=True)
class Experience:
    """What holds of a model as long as it stays loaded as it is, to be kept over a restart.

    Attributes:
        reads: Tokens it reads a second; 0 where unknown.
        load_s: How long loading it took, in seconds; 0 where unknown.
        folds_system: Its template takes no system role.
        refused: Optional fields that it refused.
        takes_effort: It took the setting for how much it thinks.
        reasoning_field: Where its thinking comes apart from the text; empty where that isn't known.
    """

    reads: float = 0.0
    load_s: float = 0.0
    folds_system: bool = False
    refused: tuple[str, ...] = ()
    takes_effort: bool = False
    reasoning_field: str = ""


@dataclass(slots=True)
class LearnedCapabilities:
    """What experience taught of one model on one server.

    Attributes:
        load: Pauses a model that can't be loaded.
        speed: How fast it reads prompts.
        pieces: How long the pieces are that it reads prompts ahead in.
        load_error: Why it couldn't be loaded.
        load_s: How long its last load took, in seconds; ``None`` before one was seen.
        context_tokens: The limit that an overflow named, below what the list says.
        is_blind: It refused an image.
        folds_system: Its template takes no system role.
        refused_fields: Optional fields that it refused.
        takes_effort: It took the setting for how much it thinks.
        reasoning_field: Where its thinking comes apart from the text; empty before that was seen.
        cache_misses: Prompts in a row that went on from what it had read and were read whole.
        missed_at_s: When that was looked at last, in seconds of the monotonic clock.
    """

    load: Circuit
    speed: ReadingSpeed = field(default_factory=ReadingSpeed)
    pieces: PieceLength = field(default_factory=PieceLength)
    load_error: BackendError | None = None
    load_s: float | None = None
    context_tokens: int | None = None
    is_blind: bool = False
    folds_system: bool = False
    refused_fields: set[str] = field(default_factory=set)
    takes_effort: bool = False
    reasoning_field: str = ""
    cache_misses: int = 0
    missed_at_s: float = 0.0

    def dump(self) -> Experience:
        """Return what is to be kept over a restart."""
        return Experience(
            self.speed.tokens_per_s if self.speed.is_known else 0.0,
            self.load_s or 0.0,
            self.folds_system,
            tuple(sorted(self.refused_fields)),
            self.takes_effort,
            self.reasoning_field,
        )

    def restore(self, saved: Experience) -> None:
        """Take what ``dump`` returned in an earlier run; what can't be so is ignored."""
        if 0 < saved.reads <= _FASTEST and not self.speed.is_known:
            self.speed = ReadingSpeed(saved.reads)
        if 0 < saved.load_s <= _LONGEST_LOAD_S and self.load_s is None:
            self.load_s = saved.load_s
        self.folds_system = self.folds_system or saved.folds_system
        self.takes_effort = self.takes_effort or saved.takes_effort
        if saved.reasoning_field in REASONING_FIELDS:
            self.reasoning_field = self.reasoning_field or saved.reasoning_field
        for name in saved.refused:
            if len(self.refused_fields) < _MOST_FIELDS:
                self.refused_fields.add(name)


_MAX_CONVERSATIONS: Final = 256
_MAX_COPIES: Final = 64
_TURN_CHARS: Final = 16
_IMAGE_CHARS: Final = 3200

SIMILARITY: Final = 0.1
"""The part of a prompt that a slot must hold to be chosen for it."""


def weight(turn: ChatTurn) -> int:
    """Return a turn's share of a prompt in characters; an image counts as about 800 tokens."""
    return len(turn.text) + _TURN_CHARS + _IMAGE_CHARS * len(turn.images)


@dataclass(frozen=True, slots=True)
class Read:
    """What a model read of a prompt.

    Attributes:
        turns: The turns that it read whole.
        part: The beginning of the turn after them, where it read only that.
        has_answer: What it wrote then stands in the next prompt as it was written.
    """

    turns: tuple[ChatTurn, ...]
    part: ChatTurn | None = None
    has_answer: bool = False


@dataclass(frozen=True, slots=True)
class _Slot:
    """A slot's cache: whose it is, a number for each whole turn, and what else it holds."""

    conversation: str
    seen: tuple[int, ...]
    part: ChatTurn | None
    has_answer: bool

    @property
    def size(self) -> int:
        """How many turns it holds, whole or in part."""
        return len(self.seen) + self.has_answer + (self.part is not None)

    def known(self, turns: Sequence[ChatTurn]) -> int:
        """Return how much of a prompt's beginning is in it, as the sum of the turns' weights."""
        count = 0
        while count < min(len(turns), len(self.seen)) and hash(turns[count]) == self.seen[count]:
            count += 1
        known = sum(map(weight, turns[:count]))
        if count < len(self.seen) or count == len(turns):
            return known
        follower, part = turns[count], self.part
        if self.has_answer and follower.role is Role.ASSISTANT:
            return known + weight(follower)
        if part is not None and follower.role is part.role and follower.text.startswith(part.text):
            return known + len(part.text)
        return known


class Warmth:
    """Remembers what the slots of each copy of a model hold; of conversations, the newest."""

    def __init__(self) -> None:
        self._homes: Recent[str, tuple[int, str]] = Recent(_MAX_CONVERSATIONS)
        self._slots: Recent[tuple[int, str, int], list[_Slot]] = Recent(_MAX_COPIES)

    def home(self, conversation_key: str) -> tuple[int, str] | None:
        """Return the server's index and the copy that answered a conversation last."""
        return self._homes.get(conversation_key)

    def fresh_share(self, copy: tuple[int, str, int], turns: Sequence[ChatTurn]) -> float:
        """Return the part of a prompt that a copy must read, from 0 to 1.

        Args:
            copy: The server's index, the copy's name, and the number of its load.
            turns: The prompt.
        """
        whole = sum(map(weight, turns))
        known = max((slot.known(turns) for slot in self._slots.get(copy, ())), default=0)
        return 1.0 if known < SIMILARITY * whole or not whole else 1.0 - known / whole

    def ahead(
        self, conversation_key: str, copy: tuple[int, str, int], turns: Sequence[ChatTurn]
    ) -> tuple[int, int]:
        """Return how much of a prompt a first piece of it would find, and how long that must be.

        A piece that begins like what another conversation's slot holds would take that slot, unless
        it is so long that this is less than ``SIMILARITY`` of it.

        Args:
            conversation_key: Whose prompt it is.
            copy: As ``fresh_share`` takes it.
            turns: The prompt.

        Returns:
            Both as the sum of turns' weights; 0 where any length will do.
        """
        slots = self._slots.get(copy, ())
        known = max((slot.known(turns) for slot in slots), default=0)
        is_taken = any(
            slot.conversation != conversation_key
            and slot.known(turns) == known
            and slot.size > _turns_in(turns, known)
            for slot in slots
        )
        return (0, math.ceil(known / SIMILARITY)) if known and is_taken else (known, 0)

    def note(
        self, conversation_key: str, copy: tuple[int, str, int], read: Read, parallel: int
    ) -> None:
        """Remember that a copy has worked on a conversation.

        Args:
            conversation_key: Which one.
            copy: As ``fresh_share`` takes it.
            read: What it read.
            parallel: Its slots, the fewest being 1.
        """
        self._homes[conversation_key] = copy[:2]
        slots = self._slots.get(copy, [])
        sent = (*read.turns, *([] if read.part is None else [read.part]))
        whole = sum(map(weight, sent))
        best = max(
            slots,
            key=lambda slot: (slot.known(sent), slot.conversation == conversation_key),
            default=None,
        )
        if best is not None and best.known(sent) >= SIMILARITY * whole:
            slots.remove(best)
        del slots[: max(0, len(slots) - parallel + 1)]
        seen = tuple(map(hash, read.turns))
        slots.append(_Slot(conversation_key, seen, read.part, read.has_answer))
        self._slots[copy] = slots

    def forget_words(self) -> None:
        """Forget the words that slots hold in part; numbers of whole turns stay, which say none."""
        for slots in self._slots.values():
            slots[:] = [replace(slot, part=None) for slot in slots]


def _turns_in(turns: Sequence[ChatTurn], most: int) -> int:
    """Return how many turns, the last perhaps in part, have this weight together."""
    count = 0
    while most > 0 and count < len(turns):
        most -= weight(turns[count])
        count += 1
    return count
