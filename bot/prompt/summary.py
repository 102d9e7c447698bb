"""Summaries of what fell out of a conversation: which may stand in, and what a new one is made of.

A summary stands in only where exactly the messages that it was made of were left out, each still
saying what it said then: on a branch that goes another way, or once one of them was changed or
deleted, it doesn't.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bot.core import frames
from bot.core.domain import ChatTurn, IncomingMessage, Place, Role, Summary, UserId
from bot.prompt.cleaning import clean_text
from bot.prompt.render import MessageGroup
from bot.prompt.tokens import longest_within, static_tokens

MOST_TOKENS: Final = 300
LEAST_TOKENS: Final = 96
ROOM_SHARE: Final = 0.05
"""A summary takes at most this share of the room, within these bounds, in static tokens."""

EARLY_SHARE: Final = 0.32
"""History has to take this share of the room before it is summed up: most are never cut."""

LATE_SHARE: Final = 0.6
"""Of the room; a summary covers so much at most: what is said later stays at the next cut."""

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

    def due(self, point: int, answered: Sequence[float], room_tokens: int) -> int | None:
        """Return where the summary ends that the next cut will want; ``None`` for none as yet.

        It covers all that there is, so that the model has read it already and loses nothing after it:
        whoever asks next would wait for that.

        Args:
            point: Where history begins.
            answered: As for ``cut``.
            room_tokens: Of the prompt.
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
