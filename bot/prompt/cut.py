"""How much of a conversation fits, where it is cut, and which summaries stand in for what falls out.

A model server reads only what differs from the prompt it saw last, from the first difference on.
Dropping the oldest message at every turn therefore means reading everything at every turn. Here
history is cut seldom and far. Where a prompt began is kept with its answer, and the next turn begins
there, too, on every branch and after any restart, until the room is used up.

The room is used up when the tokens that the server counted, and a question as long as the last few,
don't fit any more. That is known as soon as an answer is there, and rests on nothing but what is kept
with the answers: the next prompt can be read ahead, and turns out the same when the question comes.

A conversation without counts is cut at places that are a function of its messages alone: sizes are
added up from its beginning, and a cut lies where the sum passes a multiple of the step. These sizes
are measured with ``static_tokens``, which never changes; the learned estimate only decides whether
one more step has to go. Where such a conversation is longer than what is read of it, its beginning is
unknown and a stand-in is taken: of all messages in the older half, the one that crosses the roundest
moment of time, as the bits of Discord's snowflakes tell. It stays the same until it leaves the half
that it was chosen from.

A summary stands in only where exactly the messages that it was made of were left out, each still
saying what it said then: on a branch that goes another way, or once one of them was changed or
deleted, it doesn't.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bot.core import frames
from bot.core.domain import ChatTurn, IncomingMessage, Place, Role, Summary, UserId
from bot.prompt.cleaning import clean_text
from bot.prompt.render import MessageGroup
from bot.prompt.tokens import Sizes, longest_within, static_tokens

MARGIN = 0.10
"""Share of its room that estimated text leaves free, for what the estimate gets wrong."""

_STEP_SHARE = 0.5
"""Without counts, a cut drops this share of the budget: less is read again less often, more is
forgotten at once."""

_DROP_SHARE = 0.5
"""With counts, a cut drops this share of the room.

What stays is read again, ahead of the next question where the model has time. Half of 6,000 tokens
take it 8 s, at every sixth turn of 480 tokens, and few people answer sooner. Dropping 40 % would keep
7 % more of the conversation on average, but every fifth turn would need pauses of 10 s and more, which
is often enough to show in the 95th percentile of waits.
"""

KEPT_SHARE = 0.7
"""Of the room; so much may stay where a summary ends before the place of a cut: what is behind the
earliest summary once the room is used up, and a last answer that went beyond the room."""

LEAST_SHARE = 0.25
"""Of the room; so much stays where a summary ends behind it, and the cut is moved there."""

PERSONA_SHARE = 0.3
"""Of the room; under a longer persona the shares for summaries are of a room in which it takes so much: of the
whole room it would leave too little for any of them."""

_LOOK_BACK = 4
"""The next question is taken to be as long as the longest of so many ..."""
_QUESTION_RESERVE = 1.5
"""... and half as much again, since its estimate is a fifth too high at worst and has a margin ..."""
_QUESTION_SHARE = 0.1
"""... but no longer than this share of the room, so that the rest is used before anything is cut."""

_LEAST_QUESTION = 32
_SLACK_TOKENS = 32
"""Free beside counted text, for what a template puts around the newest turns."""

_LEAST_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Budget:
    """What a prompt may use, in tokens.

    Attributes:
        room_tokens: The whole prompt, as the server counts.
        step_tokens: One step of a cut, in static tokens.
        turn_tokens: Most that a single message may take, in static tokens.
    """

    room_tokens: int
    step_tokens: int
    turn_tokens: int

    def fits(self, sizes: Sizes) -> bool:
        """Return whether a prompt fits; where its sizes are estimated, with a margin."""
        slack = _SLACK_TOKENS if sizes.counted else 0
        estimated = sum(sizes.turns[sizes.counted :]) if sizes.counted else sizes.total
        counted = sum(sizes.turns[: sizes.counted])
        return counted + slack + estimated / (1 - MARGIN) <= self.room_tokens

    def is_used_up(self, sizes: Sizes, questions: Sequence[int]) -> bool:
        """Return whether a further question would have no room behind the last answer.

        Args:
            sizes: Of the prompt.
            questions: Which of its turns are people's, up to the last answer.
        """
        if not sizes.counted or not sizes.answered:
            return False
        answered = sum(sizes.turns[: sizes.answered])
        return answered > self.room_tokens - self._next(sizes, questions)

    def kept(self, sizes: Sizes, questions: Sequence[int], newest: float) -> tuple[float, float]:
        """Return how many tokens are to be left up to the last answer, and how many may be.

        Args:
            sizes: Of the prompt.
            questions: Which of its turns are people's, up to the last answer.
            newest: Tokens of the question, where its own length forces the cut.
        """
        left = max(0.0, self.room_tokens - newest)
        next_tokens = (
            newest / (1 - MARGIN) + _SLACK_TOKENS if newest else self._next(sizes, questions)
        )
        return (1 - _DROP_SHARE) * left, self.room_tokens - next_tokens

    def room_for_summaries(self, fixed_tokens: float) -> float:
        """Return the room of which summaries go by their shares: less than all of it under a long persona.

        Args:
            fixed_tokens: What stands before the conversation at any rate.
        """
        left = self.room_tokens - fixed_tokens
        return min(self.room_tokens, left / (1 - PERSONA_SHARE))

    def _next(self, sizes: Sizes, questions: Sequence[int]) -> float:
        """Return what has to be free behind the last answer."""
        longest = max((sizes.turns[index] for index in questions[-_LOOK_BACK:]), default=0.0)
        most = self.room_tokens * _QUESTION_SHARE
        return _SLACK_TOKENS + min(most, max(_LEAST_QUESTION, _QUESTION_RESERVE * longest))


def plan(context_tokens: int, max_tokens: int, system_tokens: int, scale: float) -> Budget:
    """Divide a model's context.

    Args:
        context_tokens: Context length of the loaded instance.
        max_tokens: Longest answer; at most half of the context is kept free for it.
        system_tokens: The system prompt, in static tokens.
        scale: Real tokens of a static token, for this model.
    """
    room = context_tokens - min(max_tokens, context_tokens // 2)
    prompt = max(_LEAST_TOKENS, int(room * (1 - MARGIN)))
    static = max(_LEAST_TOKENS, int(prompt / scale) - system_tokens)
    return Budget(
        room_tokens=max(room, math.ceil(_LEAST_TOKENS / (1 - MARGIN))),
        step_tokens=max(64, int(static * _STEP_SHARE)),
        turn_tokens=max(64, static - static // 16),
    )


def origin(ids: Sequence[int], sizes: Sequence[int], may_start: Sequence[bool]) -> int:
    """Return the index that stands in for the beginning of a conversation read only in part.

    Args:
        ids: Snowflakes, oldest first.
        sizes: Static tokens of each.
        may_start: Whether a prompt may begin there.
    """
    half = sum(sizes) / 2
    best, best_level, total = 0, -1, 0
    for index, size in enumerate(sizes):
        if total > half:
            break
        if index and may_start[index]:
            level = (ids[index - 1] ^ ids[index]).bit_length()
            if level > best_level:
                best, best_level = index, level
        total += size
    return best


def first_within(sizes: Sequence[float], may_start: Sequence[bool], most: float) -> int:
    """Return the first index but 0 from which on no more than so many tokens are left.

    Args:
        sizes: Tokens of each message, oldest first; the last index is returned where none will do.
        may_start: Whether a prompt may begin there.
        most: Tokens of what may stay.
    """
    left = sum(sizes)
    for index, size in enumerate(sizes[:-1]):
        if index and may_start[index] and left <= most:
            return index
        left -= size
    return len(sizes) - 1


def cut_points(
    sizes: Sequence[int], may_start: Sequence[bool], start: int, step_tokens: int
) -> list[int]:
    """Return the indexes where history may begin, from keeping most to keeping only the newest.

    Args:
        sizes: Static tokens of each message, oldest first; the last one is the newest.
        may_start: Whether a prompt may begin there.
        start: The first index to keep at all.
        step_tokens: Tokens between two cuts.
    """
    points = [start]
    total, due = 0, step_tokens
    last = len(sizes) - 1
    for index in range(start, last):
        if total >= due and may_start[index]:
            points.append(index)
            due = (total // step_tokens + 1) * step_tokens
        total += sizes[index]
    if points[-1] != last:
        points.append(last)
    return points


MOST_TOKENS: Final = 300
LEAST_TOKENS: Final = 96
ROOM_SHARE: Final = 0.05
"""A summary takes at most this share of the room, within these bounds, in static tokens."""

EARLY_SHARE: Final = 0.43
"""History has to take this share of the room before it is summed up: most are never cut. Behind a summary
that ends earlier, more would be left than may stay (``KEPT_SHARE``)."""

LATE_SHARE: Final = 0.65
"""Of the room; a summary covers so much at most: what is said later stays at the next cut. From
``EARLY_SHARE`` on there is place for a turn of a fifth of the room, which would else be passed over."""

_LEAST_CHARS: Final = 24
_ENDS: Final = (". ", ".\n", "。", "! ", "? ", "\n")
_MARK_BYTES: Final = 4
_WORDS_PER_TOKEN: Final = 0.6
_SUM_UP: Final = (
    "The messages above will be taken away. Sum them up in at most {words} words, for yourself, so that "
    "you can go on without them: who asked for what, what was answered and decided, names, numbers, and "
    "what is still open. What an earlier summary says still counts. Write only the summary, in plain "
    "sentences, in the language of the conversation."
)


class SummaryIndex(Protocol):
    """What is known of summaries."""

    @property
    def moment(self) -> int:
        """Tells what was forgotten since."""
        ...

    @property
    def channels(self) -> Collection[int]:
        """Those that have summaries."""
        ...

    async def of(self, channel_id: int, asker_id: int) -> list[Summary]:
        """Return the summaries of a channel that somebody's question may read, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class ToSummarise:
    """A summary that may be made while nobody waits.

    Attributes:
        turns: What to ask: the beginning of the conversation's prompt, and the instruction.
        prompt_tokens: Their size, in tokens.
        summary: What will be kept, without its text.
        most_tokens: Its longest text, in static tokens.
        moment: When the messages were read, as ``SummaryIndex`` counts.
    """

    turns: tuple[ChatTurn, ...]
    prompt_tokens: int
    summary: Summary
    most_tokens: int
    moment: int = 0


class Standing:
    """What stands in for the messages of one conversation, by where it ends.

    Args:
        groups: The conversation, oldest first.
        summaries: May be of others, too.
        is_complete: The groups begin where the conversation began.
    """

    def __init__(
        self, groups: Sequence[MessageGroup], summaries: Sequence[Summary], *, is_complete: bool
    ) -> None:
        self._groups = groups
        self._by_end: dict[int, Summary] = {}
        if not summaries:
            return
        said = covers([message for group in groups for message in group.messages])
        ends, count = {}, 0
        for index, group in enumerate(groups, 1):
            count += len(group.messages)
            ends[count] = index
        for summary in summaries:
            count = stands_in(summary, said, is_complete=is_complete) or 0
            if count in ends:
                self._by_end[ends[count]] = summary

    def at(self, point: int) -> Summary | None:
        """Return what stands in for the groups before a point: what reaches furthest."""
        end = self._end(point)
        return None if end is None else self._by_end[end]

    def _end(self, point: int) -> int | None:
        return max((end for end in self._by_end if end <= point), default=None)

    def cut(
        self, point: int, index: int, answered: Sequence[float], least: float, most: float
    ) -> int:
        """Return where the furthest summary ends that a cut may be moved to; else the cut.

        Args:
            point: Where history begins.
            index: Where it is to be cut, counted from there.
            answered: Tokens of each group from there on, up to the last answer.
            least: How many have to be kept where it is moved to a later place.
            most: How many may be kept.
        """
        ends = [end - point for end in self._by_end if 0 < end - point < len(answered)]
        kept = {end: sum(answered[end:]) for end in ends}
        may_be = [e for e in ends if kept[e] <= most and (e <= index or kept[e] >= least)]
        return max(may_be, default=index)

    def due(self, point: int, answered: Sequence[float], room_tokens: float) -> int | None:
        """Return where the summary ends that the next cut will want; ``None`` for none as yet.

        It covers all that there is, so that the model has read it already and loses nothing after it:
        whoever asks next would wait for that.

        Args:
            point: Where history begins.
            answered: As for ``cut``.
            room_tokens: Of the prompt, as ``Budget.room_for_summaries`` has it.
        """
        end, total = point + len(answered), sum(answered)
        if not room_tokens * EARLY_SHARE <= total <= room_tokens * LATE_SHARE:
            return None
        is_whole = self._groups[end - 1].is_answer
        return end if is_whole and max(self._by_end, default=0) <= point else None

    def made_of(
        self,
        point: int,
        end: int,
        place: Place,
        bot_id: UserId,
        quoted: Iterable[IncomingMessage],
    ) -> Summary:
        """Return what a summary covers, still without its text.

        Args:
            point: Where history begins; what stands in for earlier messages is part of it.
            end: Where it ends.
            place: Of the conversation.
            bot_id: Whose words don't count as a person's.
            quoted: The messages beside the conversation's own that are quoted in it.
        """
        said = [m for group in self._groups[point:end] for m in group.messages]
        also = list(quoted)
        people = {int(m.author.id) for m in (*said, *also)} - {int(bot_id)}
        people.update(int(each) for m in said for each in m.names if each != bot_id)
        ids = {int(m.id) for m in also}
        start, before = self._end(point), self.at(point)
        earlier: tuple[tuple[int, str], ...] = ()
        if start is not None and before is not None:
            # What lies between its end and what is kept fell out unseen.
            between = [m for group in self._groups[start:point] for m in group.messages]
            earlier = (*before.covers, *covers(between))
            people |= before.people
            ids |= before.quoted
        return Summary(
            place.guild_id or 0,
            place.channel_id,
            (*earlier, *covers(said)),
            frozenset(people),
            quoted=frozenset(ids),
        )


def mark(message: IncomingMessage) -> str:
    """Return what tells whether a message still says the same."""
    said = (
        message.author.id,
        message.text,
        message.forwarded_texts,
        message.poll,
        [file.id for file in message.attachments],
    )
    raw = repr(said).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(raw, digest_size=_MARK_BYTES).hexdigest()


def covers(messages: Sequence[IncomingMessage]) -> tuple[tuple[int, str], ...]:
    """Return the messages as a summary names them."""
    return tuple((int(message.id), mark(message)) for message in messages)


def stands_in(
    summary: Summary, said: Sequence[tuple[int, str]], *, is_complete: bool
) -> int | None:
    """Return how many messages of a conversation end where a summary of it ends.

    Args:
        summary: May be of another conversation.
        said: All messages of this one, oldest first, as ``covers`` returns them.
        is_complete: Said begins where the conversation began.

    Returns:
        ``None`` where it isn't a summary of these.
    """
    last = summary.covers[-1]
    count = next((number for number, each in enumerate(said, 1) if each == last), 0)
    seen = min(count, len(summary.covers))
    if not seen or (is_complete and seen < len(summary.covers)):
        return None
    return count if tuple(said[count - seen : count]) == summary.covers[-seen:] else None


def most_tokens(room_tokens: int) -> int:
    """Return how long a summary may be, in static tokens.

    Args:
        room_tokens: Of the prompts that it will stand in.
    """
    return round(min(MOST_TOKENS, max(LEAST_TOKENS, room_tokens * ROOM_SHARE)))


def instruction(most: int) -> ChatTurn:
    """Return what a model is told to sum up what stands before.

    Args:
        most: Tokens that there are for it; a little less is asked for.
    """
    return ChatTurn(Role.USER, frames.note(_SUM_UP.format(words=round(most * _WORDS_PER_TOKEN))))


def kept_text(text: str, most: int) -> str:
    """Return a model's summary as it may stand in a prompt; empty where it is none.

    Args:
        text: Without thinking.
        most: Its longest, in static tokens; a longer one ends after a whole sentence.
    """
    text = clean_text(text).strip()
    if static_tokens(text) > most:
        text = text[: longest_within(text, most)]
        text = text[: max(text.rfind(end) + 1 for end in _ENDS)].strip()
    return text if len(text) >= _LEAST_CHARS else ""


def framed(summary: Summary) -> str:
    """Return a summary as it stands in a prompt."""
    return f"{frames.opening(frames.SUMMARY)}{summary.text}{frames.ending(frames.SUMMARY)}"
