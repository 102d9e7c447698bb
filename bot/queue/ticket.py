"""A question's place in the line, as the one who asks sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from bot.core.domain import ChannelId, GuildId, QuestionId, UserId
from bot.core.errors import QueueError


@dataclass(frozen=True, slots=True)
class Job:
    """What the line must know of a question.

    Attributes:
        prompt_tokens: Estimated size of the prompt.
        cost_tokens: Prompt and longest answer together: what it would like of the shared pool.
        least_tokens: What it needs of the pool to begin at all; ``None`` for all of it.
        model: The model it asks for; ``None`` for whichever is loaded.
        is_prepared: Its prompt is built, so that it can begin; until then the sizes are guesses.
    """

    question_id: QuestionId
    person_id: UserId
    channel_id: ChannelId
    guild_id: GuildId | None
    prompt_tokens: int
    cost_tokens: int
    model: str | None = None
    least_tokens: int | None = None
    is_prepared: bool = True


class TicketState(Enum):
    """Where a ticket is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


class StoppedError(QueueError):
    """The question was taken out of the line by ``Ticket.cancel``."""

    can_retry = False


class HoldExpiredError(QueueError):
    """The model's machine stayed away for longer than questions are held."""


class Line(Protocol):
    """What a ticket asks of its scheduler."""

    def position_of(self, ticket: Ticket) -> int | None:
        """Return the place in line, 1 is next; ``None`` when not waiting."""
        ...

    def wait_of(self, ticket: Ticket) -> float | None:
        """Return the expected wait in seconds; ``None`` when not waiting or held."""
        ...

    def is_held(self, ticket: Ticket) -> bool:
        """Return whether it waits for the model's machine to come back."""
        ...

    def prepared(self, ticket: Ticket, job: Job) -> None:
        """Take note of what is known of a question once its prompt is built."""
        ...

    def leave(self, ticket: Ticket) -> bool:
        """Take it out, waiting or running; return whether it was waiting."""
        ...

    def put_back(self, ticket: Ticket) -> bool:
        """Put a running one back to the front of its person's line; False if it is held no longer."""
        ...

    def report(self, ticket: Ticket, feedback: Feedback) -> None:
        """Take note of how the work goes."""
        ...


@dataclass(frozen=True, slots=True)
class Feedback:
    """How running work goes.

    Attributes:
        first_token: The answer's first token came.
        overloaded: The server was full, or fell over.
        is_resting: It begins to wait between two tries, or goes on after that; ``None``: neither.
    """

    first_token: bool = False
    overloaded: bool = False
    is_resting: bool | None = None


class Ticket:
    """A place in the line. Made by ``Scheduler.submit``.

    Attributes:
        job: What was handed in.
        state: Waiting, running, or done.
        on_change: Called when place, expected wait or being held changed, at most once a second.
        requeues: How often it was put back.
        away_since_s: When the model's machine first went away under it, in seconds of the monotonic
            clock; ``None`` if it never did.
        losses: How often the machine went away while it read this question.
        has_first_token: The answer's first token came; its duration then teaches expected waits.
    """

    def __init__(self, job: Job, line: Line, on_change: Callable[[Ticket], None] | None) -> None:
        self.job = job
        self.state = TicketState.WAITING
        self.on_change = on_change
        self.requeues = 0
        self.away_since_s: float | None = None
        self.losses = 0
        self.granted_tokens = job.cost_tokens
        self.has_first_token = False
        self._is_resting = False
        self._is_read = False
        self._line = line
        loop = asyncio.get_running_loop()
        self._turn: asyncio.Future[None] = loop.create_future()
        self._near: asyncio.Future[None] = loop.create_future()

    @property
    def position(self) -> int | None:
        """Place in line, 1 is next; ``None`` when not waiting."""
        return self._line.position_of(self)

    @property
    def expected_wait_s(self) -> float | None:
        """Expected seconds until it begins; ``None`` when not waiting, or held."""
        return self._line.wait_of(self)

    @property
    def is_held(self) -> bool:
        """It waits for the model's machine to come back."""
        return self._line.is_held(self)

    @property
    def is_near(self) -> bool:
        """It is, or was, so near the front that its prompt is wanted."""
        return self._near.done()

    async def near(self) -> None:
        """Wait until the prompt is wanted; ``prepared`` tells that it is built.

        Cancelling the waiting task leaves the line.

        Raises:
            QueueError: As ``wait`` does.
        """
        await self._until(self._near)

    def prepared(self, job: Job) -> None:
        """Tell what the question is like, its prompt being built; it may begin from now on."""
        self._line.prepared(self, job)

    async def wait(self) -> None:
        """Wait for the turn; then the slot is held until ``release`` or ``requeue``.

        Cancelling the waiting task leaves the line.

        Raises:
            StoppedError: ``cancel`` was called.
            HoldExpiredError: The model's machine stayed away too long.
            QueueError: The line was closed.
        """
        await self._until(self._turn)

    async def _until(self, moment: asyncio.Future[None]) -> None:
        try:
            await asyncio.shield(moment)
        except asyncio.CancelledError:
            self._line.leave(self)
            raise

    def release(self) -> None:
        """Give the slot back; without a slot it changes nothing."""
        if self.state is TicketState.RUNNING:
            self._line.leave(self)

    def cancel(self) -> bool:
        """Leave at any stage. A waiting ``wait`` raises ``StoppedError``; a slot is given back.

        Returns:
            Whether it was still waiting: then nothing was begun. Running work is its owner's to
            end.
        """
        was_waiting = self._line.leave(self)
        if was_waiting:
            self.fail(StoppedError("Stopped, before I began."))
        return was_waiting

    def requeue(self) -> bool:
        """Give the slot back while the model's machine is away, and wait again; ``wait`` anew.

        It goes first of the person's questions.

        Returns:
            False where the machine was away for too long, or went away under it too often: then the
            question still has its slot, and should end.
        """
        self.losses += self._is_read
        self._is_read = False
        return self.state is TicketState.RUNNING and self._line.put_back(self)

    def begin_again(self) -> None:
        """Wait for another turn; for the scheduler."""
        self.state = TicketState.WAITING
        self.requeues += 1
        self.has_first_token = self._is_resting = False
        self._turn = asyncio.get_running_loop().create_future()

    def reads(self) -> None:
        """Tell that the model has begun to read the question."""
        self._is_read = True

    def first_token(self) -> None:
        """Tell that the answer's first token came: more may begin. Only the first call counts."""
        if not self.has_first_token:
            self.has_first_token = True
            self._line.report(self, Feedback(first_token=True))

    def overloaded(self) -> None:
        """Tell that the server was full or fell over: the second work in a row narrows the line."""
        self._line.report(self, Feedback(overloaded=True))

    def rest(self) -> None:
        """Lend the slot to others while the work only waits between two tries."""
        if not self._is_resting:
            self._is_resting = True
            self._line.report(self, Feedback(is_resting=True))

    def resume(self) -> None:
        """Take the slot again, at once: for a moment one more may run than there are slots."""
        if self._is_resting:
            self._is_resting = False
            self._line.report(self, Feedback(is_resting=False))

    def call_up(self) -> None:
        """Have the prompt built; for the scheduler."""
        if not self._near.done():
            self._near.set_result(None)

    def grant(self, tokens: int) -> None:
        """Let it run with so many tokens of the pool; for the scheduler."""
        self.state = TicketState.RUNNING
        self.granted_tokens = tokens
        if not self._turn.done():
            self._turn.set_result(None)

    def fail(self, error: QueueError) -> None:
        """End the waiting with an error; for the scheduler."""
        self.state = TicketState.DONE
        for moment in (self._near, self._turn):
            if not moment.done():
                moment.set_exception(error)
                # Nobody may be waiting yet; asyncio must not complain when nobody ever does.
                moment.exception()
