"""One prompt in the making: which messages are kept, and the turns they become."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from bot.core import frames
from bot.core.domain import (
    AttachmentInfo,
    ChatTurn,
    IncomingMessage,
    MessageId,
    Role,
    Summary,
    UserId,
)
from bot.core.notices import SUMMED_UP
from bot.core.wording import counted
from bot.prompt.attachments.decoding import Decoded
from bot.prompt.attachments.kinds import FileKind, kind_of
from bot.prompt.budget import KEPT_SHARE, Budget, cut_points, first_within, origin
from bot.prompt.chain import Conversation
from bot.prompt.cleaning import safe_name
from bot.prompt.counts import Sizes
from bot.prompt.render import MessageGroup, Names, Rendered, Style, fit, groups_of
from bot.prompt.summary import Standing, ToSummarise, framed, instruction, most_tokens
from bot.prompt.tokens import static_size, static_tokens

NO_SIGHT = "This model can't see pictures."

MOST_FILES = 40
"""Most files that are read for one question; the newest."""

TOO_MANY = "there are more files here than I read at once"

_STARTER_SHARE = 4
"""A thread's first message, which always stays, gets at most this part of the budget."""

_SHRINK = 0.8
_QUOTE_CHARS = 300
_ABOUT_CHARS = 4000
"""Longest quote of the message that a menu's question is about."""


class Draft:
    """Chooses and writes down what is kept of a conversation.

    Args:
        talk: The conversation as read.
        plan: What there is room for.
        style: How messages are written down.
        sees_images: Whether the model may be able to see.
        max_images: Most images to send along.
        summaries: What may stand in for what falls out.
    """

    def __init__(
        self,
        talk: Conversation,
        plan: Budget,
        style: Style,
        *,
        sees_images: bool,
        max_images: int,
        summaries: Sequence[Summary] = (),
    ) -> None:
        self.talk = talk
        self.plan = plan
        self.sees_images = sees_images
        self.files: dict[int, Decoded] = {}
        self.referred: dict[int, IncomingMessage] = {}
        self.names = Names(style.bot_name)
        self.turns: tuple[ChatTurn, ...] = ()
        self._max_images = max_images
        self._style = dataclasses.replace(style, files=self.files)
        self._most_tokens = plan.turn_tokens
        self._groups = groups_of(talk.messages, style.bot_id, most_tokens=plan.turn_tokens)
        self._known = {message.id: message for message in talk.messages}
        self._starter = talk.starter
        self._point = 0
        self._left_out_chars = 0
        self._left_out_span = 0
        self._left_out_images = 0
        sizes = [group.size for group in self._groups]
        may_start = [not group.is_answer for group in self._groups]
        ids = [group.id for group in self._groups]
        start = 0 if talk.is_complete else origin(ids, sizes, may_start)
        self._points = self._fitting(cut_points(sizes, may_start, start, plan.step_tokens), sizes)
        self._pieces: list[tuple[int, int, ChatTurn]] = []
        self.anchor_key = f"{talk.place_key}:{ids[start]}"
        self._standing = Standing(self._groups, summaries, is_complete=talk.is_complete)

    def _fitting(self, points: list[int], sizes: list[int]) -> list[int]:
        """Drop the points that keep more than there is room for, by what Discord says of sizes."""
        room = 2 * self.plan.step_tokens
        if self._starter is not None:
            room -= min(static_tokens(self._starter.text), self.plan.turn_tokens // _STARTER_SHARE)
        fitting = [point for point in points if sum(sizes[point:]) <= room]
        return fitting or points[-1:]

    @property
    def answers(self) -> list[list[MessageId]]:
        """The messages of each of the bot's answers, oldest first."""
        return [[m.id for m in group.messages] for group in self._groups if group.is_answer]

    @property
    def first_id(self) -> int:
        """The message that the kept history begins with."""
        return self._groups[self._point].id

    def start(self, first_id: int | None) -> int:
        """Return the point to begin with.

        Args:
            first_id: Where an earlier prompt of this conversation began, if one is known.
        """
        ids = [group.id for group in self._groups]
        if first_id is None or (not self.talk.is_complete and ids[0] > first_id):
            return self._points[0]
        if first_id in ids:
            return ids.index(first_id)
        # The message is gone: with the next one after it.
        later = (i for i, g in enumerate(self._groups) if g.id > first_id and not g.is_answer)
        return next(later, self._points[0])

    def cut(self, sizes: Sizes) -> tuple[int, float | None] | None:
        """Return where history has to begin instead of where it does; ``None`` where it may stay.

        Args:
            sizes: Of the turns as written.

        Returns:
            The point, and how many tokens it leaves up to the last answer, where that is counted.
        """
        people = [i for i, turn in enumerate(self.turns) if turn.role is Role.USER]
        asked = [index for index in people if index < sizes.answered]
        is_used_up = self.plan.is_used_up(sizes, asked)
        if self._point == len(self._groups) - 1 or (self.plan.fits(sizes) and not is_used_up):
            return None
        answered = self._answered(sizes)
        if not sizes.counted or not answered:
            return next(point for point in self._points if point > self._point), None
        fixed = sum(sizes.turns[: sizes.answered]) - sum(answered)
        # Where the room is used up, what is asked next doesn't count: it isn't known yet when the
        # next prompt is read ahead.
        newest = 0.0 if is_used_up else sum(sizes.turns[sizes.answered :])
        may_start = [not group.is_answer for group in self._groups[self._point :]]
        wanted, most = self.plan.kept(sizes, asked, newest)
        index = first_within([*answered, 0.0], may_start, wanted - fixed)
        if index == len(answered):
            # The last exchange alone is longer than that, and stays if it can.
            last = max((i for i in range(1, index) if may_start[i]), default=index)
            index = last if fixed + sum(answered[last:]) <= most else index
        may_keep = self.plan.room_tokens * KEPT_SHARE - fixed
        index = self._standing.cut(self._point, index, answered, may_keep)
        fixed += self._grown(sizes, self._point + index)
        left = fixed + sum(answered[index:]) if index < len(answered) else None
        return self._point + index, left

    def _grown(self, sizes: Sizes, point: int) -> float:
        """Return how many tokens longer the summary is that stands before another point."""
        was, will = self._standing.at(self._point), self._standing.at(point)
        if was is will:
            return 0.0
        static = [
            static_size(ChatTurn(Role.USER, framed(each))) if each else 0.0 for each in (was, will)
        ]
        counted_static = sum(map(static_size, self.turns[: sizes.answered]))
        rate = sum(sizes.turns[: sizes.answered]) / max(1.0, counted_static)
        return (static[1] - static[0]) * rate

    def to_summarise(self, sizes: Sizes) -> ToSummarise | None:
        """Return the summary that the next cut will want; ``None`` where it is there, or too early."""
        if sizes.counted != sizes.answered:
            return None
        room = self.plan.room_tokens
        end = self._standing.due(self._point, self._answered(sizes), room)
        if end is None:
            return None
        count = 1 + max(turn for index, turn, _ in self._pieces if index < end)
        summary = self._standing.made_of(
            self._point,
            end,
            self.talk.newest.place,
            self._style.bot_id,
            self.referred.values(),
        )
        ask = instruction(most_tokens(room))
        tokens = round(sum(sizes.turns[:count]) + static_size(ask))
        return ToSummarise((*self.turns[:count], ask), tokens, summary, most_tokens(room))

    def _answered(self, sizes: Sizes) -> list[float]:
        """Return the tokens of each group that is kept, up to the last answer."""
        static = [static_size(piece) for _, _, piece in self._pieces]
        of_turn: dict[int, float] = {}
        for (_, turn, _), size in zip(self._pieces, static, strict=True):
            of_turn[turn] = of_turn.get(turn, 0.0) + size
        groups = len(self._groups) - self._point
        found, count = [0.0] * groups, 0
        for (index, turn, _), size in zip(self._pieces, static, strict=True):
            if turn < sizes.answered and index >= self._point:
                found[index - self._point] = sizes.turns[turn] * size / of_turn[turn]
                count = index - self._point + 1
        return found[:count]

    def kept(self, point: int) -> list[MessageGroup]:
        """Return what is kept when history begins at a point, the thread's first message included."""
        groups = self._groups[point:]
        if self._starter is not None:
            groups = [MessageGroup((self._starter,), is_answer=False, size=0), *groups]
        return groups

    def wanted(self, point: int) -> list[tuple[IncomingMessage, list[AttachmentInfo]]]:
        """Return the attachments still to be read, by message: of pictures those that will be sent."""
        kept = self.kept(point)
        shown = self._shown_images(kept)
        found: list[tuple[IncomingMessage, list[AttachmentInfo]]] = []
        room = MOST_FILES
        for group in reversed(kept):
            for message in reversed(group.messages):
                files = [
                    a
                    for a in message.attachments
                    if a.id not in self.files and self._is_used(a, shown, group)
                ][:room]
                room -= len(files)
                found.append((message, files))
        return [(message, files) for message, files in reversed(found) if files]

    @staticmethod
    def _is_used(attachment: AttachmentInfo, shown: frozenset[int], group: MessageGroup) -> bool:
        kind = kind_of(attachment)
        if group.is_answer:
            return kind is FileKind.TEXT
        return attachment.id in shown or kind is not FileKind.IMAGE

    def unknown_quotes(self, point: int) -> list[MessageId]:
        """Return the messages that kept ones refer to and that aren't part of the conversation."""
        if not self.talk.is_linear:
            return []
        return [
            message.reference_id
            for group in self._groups[point:]
            for message in group.messages
            if message.reference_id is not None
            and not group.is_answer
            and message.reference_id not in self._known
            and message.reference_id not in self.referred
        ]

    def writing(self, point: int) -> Iterator[None]:
        """Write the turns of what is kept from a point on, pausing after each message."""
        self._point = point
        self.names = Names(self._style.bot_name)
        kept = self.kept(point)
        style = dataclasses.replace(
            self._style,
            shown_images=self._shown_images(kept),
            files={**self._unread(kept), **self.files},
            most_tokens=self._most_tokens,
        )
        system = style.persona.text
        head = [ChatTurn(Role.SYSTEM, system)] if system else []
        writer = _Writer(head)
        self._pieces = []
        if (summary := self._standing.at(point)) is not None:
            self._add(writer, -1, Role.USER, Rendered(framed(summary)))
        speaker: UserId | None = None
        is_named = style.persona.shows_names or bool(self.talk.span)
        offset = point - (len(kept) - len(self._groups[point:]))
        for index, group in enumerate(kept, start=offset):
            if group.is_answer:
                self._add(writer, index, Role.ASSISTANT, style.answer(group))
                yield
                continue
            message = group.messages[0]
            author = message.author.id
            is_named = is_named or (speaker is not None and speaker != author)
            is_new = writer.begins_turn or speaker != author
            name = self._name(message)
            is_own = author == style.bot_id
            is_starter = self._starter is not None and message is self._starter
            rendered = style.message(
                message,
                name=name if (is_named and is_new) or is_own else None,
                quoted=None if is_starter else self._quote(message, index, style),
            )
            if message is self.talk.newest:
                self._left_out_chars = rendered.left_out
                rendered = self._with_span(rendered, style)
            self._add(writer, index, Role.USER, rendered)
            speaker = author
            yield
        self.turns = tuple(writer.turns())

    def _add(self, writer: _Writer, index: int, role: Role, rendered: Rendered) -> None:
        turn = writer.add(role, rendered)
        if turn is not None:
            self._pieces.append((index, turn, ChatTurn(role, rendered.text, rendered.images)))

    def shrinking(self, attempt: int) -> Iterator[None]:
        """Keep the newest message only, and less of it at each attempt; pauses as ``writing``."""
        self._starter = None
        if attempt:
            self._most_tokens = max(32, int(self._most_tokens * _SHRINK))
        if self._most_tokens <= self.plan.turn_tokens // 4:
            self._max_images = 0
        yield from self.writing(len(self._groups) - 1)

    def _quote(self, message: IncomingMessage, index: int, style: Style) -> tuple[str, str] | None:
        """Return name and text of what a message replies to, unless that stands right before it."""
        reference = message.reference_id
        if not self.talk.is_linear or reference is None:
            return None
        before = self._groups[index - 1].messages if index > 0 else ()
        if reference in {other.id for other in before}:
            return None
        target = self._known.get(reference) or self.referred.get(reference)
        if target is None or (self._starter is not None and target.id == self._starter.id):
            return None
        name = self._name(target)
        text = style.plain(target)
        if message is self.talk.newest and self.talk.is_made:
            return name, text[:_ABOUT_CHARS]
        text = " ".join(text.split())
        return name, text if len(text) <= _QUOTE_CHARS else f"{text[:_QUOTE_CHARS]}…"

    def _name(self, message: IncomingMessage) -> str:
        style = self._style
        return style.bot_name if message.author.id == style.bot_id else self.names.of(message)

    def _with_span(self, rendered: Rendered, style: Style) -> Rendered:
        """Put the transcript of a span in front of the question about it."""
        if not self.talk.span:
            return rendered
        room = self._most_tokens - static_tokens(rendered.text)
        lines: list[str] = []
        for message in reversed(self.talk.span):
            line = self._transcript_line(message, style)
            room -= static_tokens(line) + 1
            if room < 0:
                break
            lines.append(line)
        self._left_out_span = len(self.talk.span) - len(lines)
        body = "\n".join(reversed(lines))
        body = f"{frames.opening(frames.TRANSCRIPT)}{body}{frames.ending(frames.TRANSCRIPT)}"
        return dataclasses.replace(rendered, text=f"{body}\n\n{rendered.text}")

    def _transcript_line(self, message: IncomingMessage, style: Style) -> str:
        if message.author.id == style.bot_id:
            text, _ = fit(style.plain(message), self.plan.turn_tokens)
            return frames.header(style.bot_name, "") + text
        return style.message(message, name=self.names.of(message)).text

    def _shown_images(self, kept: Sequence[MessageGroup]) -> frozenset[int]:
        """Choose the images that go along; older ones are dropped in steps, not one by one."""
        if not self.sees_images or self._max_images == 0:
            return frozenset()
        ids = [
            a.id
            for group in kept
            if not group.is_answer
            for a in group.attachments
            if kind_of(a) is FileKind.IMAGE
        ]
        over = len(ids) - self._max_images
        self._left_out_images = max(0, over)
        if over <= 0:
            return frozenset(ids)
        step = max(1, self._max_images // 2)
        shown = len(ids) - -(-over // step) * step
        newest = sum(kind_of(a) is FileKind.IMAGE for a in self.talk.newest.attachments)
        return frozenset(ids[-max(1, shown, min(self._max_images, newest)) :])

    def _unread(self, kept: Sequence[MessageGroup]) -> dict[int, Decoded]:
        """Return what to say of files that weren't read; of a picture its name will do."""
        return {
            a.id: Decoded(problem="" if kind is FileKind.IMAGE else TOO_MANY)
            for group in kept
            if not group.is_answer
            for a in group.attachments
            if (kind := kind_of(a)) is not FileKind.IMAGE or self.sees_images
        }

    def remarks(self) -> list[str]:
        """Return what the person should know about what was left out, a sentence each."""
        found: list[str] = []
        kept = sum(len(group.messages) for group in self._groups[self._point :])
        total = sum(len(group.messages) for group in self._groups)
        summary = SUMMED_UP if self._standing.at(self._point) is not None else ""
        if not self.talk.is_complete and not self.talk.span:
            kept_messages = counted(kept, "message")
            found.append(f"Using the last {kept_messages} of this long conversation{summary}.")
        elif kept < total:
            found.append(f"Using the last {kept} of {total} messages{summary}.")
        if self._left_out_span or (self.talk.span and not self.talk.is_complete):
            read = len(self.talk.span) - self._left_out_span
            found.append(
                f"Only {counted(read, 'message')} {'fits' if read == 1 else 'fit'} into what this model can read."
            )
        if self._left_out_chars:
            found.append(
                f"What you sent is longer than this model can read: "
                f"{counted(self._left_out_chars, 'character')} left out."
            )
        return [*found, *self._file_remarks()]

    def _file_remarks(self) -> list[str]:
        found: list[str] = []
        newest = self.talk.newest.attachments
        read = [(safe_name(a.filename), self.files[a.id]) for a in newest if a.id in self.files]
        unused = [f"{name} ({content.problem})" for name, content in read if content.problem]
        if unused:
            found.append(f"Not used: {', '.join(unused)}.")
        if not self.sees_images and any(kind_of(a) is FileKind.IMAGE for a in newest):
            found.append(NO_SIGHT)
        if self._left_out_images:
            all_of_them = self._left_out_images + self._max_images
            used = "picture is" if self._max_images == 1 else f"{self._max_images} pictures are"
            found.append(f"Only the newest {used} used, of {all_of_them}.")
        cut = [name for name, content in read if content.is_cut]
        if cut:
            found.append(f"Only the first part of {', '.join(cut)} was read.")
        return found

    @property
    def has_blank_messages(self) -> bool:
        """Whether a kept message of a person is empty in a way that a missing intent makes it."""
        return any(
            not group.is_answer and _is_blank(group.messages[0], self._style.bot_id)
            for group in self._groups[self._point :]
        )


def _is_blank(message: IncomingMessage, bot_id: UserId) -> bool:
    return (
        not message.text
        and not message.is_withheld
        and not message.carries_something
        and message.is_ordinary
        and not message.is_forward
        and not message.author.is_bot
        and bot_id not in message.mentioned_ids
    )


class _Writer:
    """Turns that alternate, begin with the user behind a head and are never empty."""

    def __init__(self, head: Sequence[ChatTurn]) -> None:
        self._head = head
        self._turns: list[tuple[Role, list[str], list[str]]] = []

    @property
    def begins_turn(self) -> bool:
        """Whether a person's message would begin a new turn."""
        return not self._turns or self._turns[-1][0] is not Role.USER

    def add(self, role: Role, rendered: Rendered) -> int | None:
        """Add a message, to the last turn if it is of the same role.

        Returns:
            The number of its turn; ``None`` if there was nothing to add.
        """
        if not rendered.text.strip():
            return None
        if not self._turns and role is Role.ASSISTANT:
            self._turns.append((Role.USER, [frames.MISSING_START], []))
        if not self._turns or self._turns[-1][0] is not role:
            self._turns.append((role, [], []))
        self._turns[-1][1].append(rendered.text)
        self._turns[-1][2].extend(rendered.images)
        return len(self._head) + len(self._turns) - 1

    def turns(self) -> list[ChatTurn]:
        """Return the turns."""
        talk = [
            ChatTurn(role, "\n".join(texts), tuple(images)) for role, texts, images in self._turns
        ]
        return [*self._head, *talk]
