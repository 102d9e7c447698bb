"""What is wrong after a life, looked at from Discord's side and from the journal's."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from pathlib import Path

from sandbox.discord import Interaction, Message
from tests.support.lives.life import TAG, Asked, Life

SEEN_S = 0.5
"""How long after an event the bot may not know of it yet."""


def faults_of(life: Life) -> list[str]:
    """Return a sentence on everything that is wrong now."""
    found = [f"the journal has {count} open" for count in _open(life.folder) if count]
    found += [fault for message in life.answers() for fault in _unfinished(life, message)]
    found += [fault for one in life.asked for fault in _faults_of(life, one)]
    return found + _continued_twice(life)


def _unfinished(life: Life, message: Message) -> list[str]:
    if message.channel.id in life.unwritable:
        return []
    labels = [button.get("label") for button in message.buttons]
    if "Stop" in labels or "-# ⏳" in message.content or message.loading:
        return [f"left unfinished: {message.content[:60]!r} {labels}"]
    if "being restarted" in message.content:
        return [f"left waiting: {message.content[:60]!r}"]
    return []


def _open(folder: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(folder / "clawbot.db")) as database:
        query = "SELECT count(*) FROM questions WHERE state != 'closed'"
        return [row[0] for row in database.execute(query)]


def _continued_twice(life: Life) -> list[str]:
    own = life.discord.bot_user
    after = Counter(
        m.reference.id for m in life.answers() if m.reference and m.reference.author is own
    )
    return [f"answer {of} is continued {count} times" for of, count in after.items() if count > 1]


def _faults_of(life: Life, one: Asked) -> list[str]:
    outcomes = _outcomes(life, one)
    words = [m.content[:70] for m in outcomes]
    if one.taken_back_at is not None and not one.may_be_late:
        late = [m for m in outcomes if _said_after(m, one.taken_back_at + SEEN_S)]
        if late:
            return [f"{one.tags} was taken back and is answered: {words}"]
    if len(outcomes) > 1:
        return [f"{one.tags} has {len(outcomes)} outcomes: {words}"]
    if one.taken_back_at is not None:
        return []
    if life.blocked_at is not None and one.asker is life.people[-1]:
        return _answered_the_blocked(life.blocked_at, one, outcomes)
    if not outcomes:
        return [] if _may_be_silent(one) else [f"{one.tags} has no outcome"]
    said = set(TAG.findall(outcomes[0].content))
    is_old = not one.may_be_old and one.tags[-1:] and one.tags[-1] not in said
    if is_old and set(one.tags) & said:
        return [f"{one.tags} is answered in old words: {words}"]
    return []


def _answered_the_blocked(blocked_at: float, one: Asked, outcomes: list[Message]) -> list[str]:
    answered = [
        m.content[:70]
        for m in outcomes
        if _said_after(m, blocked_at) and set(one.tags) & set(TAG.findall(m.content))
    ]
    return [f"{one.tags} of somebody blocked is answered: {answered}"] if answered else []


def _may_be_silent(one: Asked) -> bool:
    """A use of a command that the bot didn't acknowledge failed before its user's eyes."""
    return one.may_be_silent or (isinstance(one.where, Interaction) and not one.where.acknowledged)


def _outcomes(life: Life, one: Asked) -> list[Message]:
    """Return the messages that answer a question: below it, or below its author's next one."""
    if isinstance(one.where, Interaction):
        return _outcomes_of_use(life, one, one.where)
    direct = [m for m in life.answers() if m.reference is one.where]
    if one.taken_back_at is not None:  # what is left of its burst is answered in the same place
        direct = [m for m in direct if not _tags_of(m) or set(one.tags) & _tags_of(m)]
    is_joined = any(life.discord.bot_user.id in who for who in one.where.reactions.values())
    if direct and not is_joined:
        return direct
    there = [a for a in life.asked if a.where.channel is one.where.channel and a is not one]
    theirs = [a.where for a in there if a.asker is one.asker]
    together = [m for m in life.answers() if m.reference in theirs and _is_about(m, one)]
    if one.taken_back_at is not None:
        # A sentence without words is about the others, and replies quote what went before.
        together = [m for m in together if is_joined and set(one.tags) & _tags_of(m)]
    if direct and not _is_asked_with_others(life.folder, one.where.id):
        return direct
    # More of them only quote: what went before stands in the same turn of a prompt.
    together.sort(key=lambda m: one.tags[-1] not in TAG.findall(m.content))
    return [*direct, *together[:1]]


def _is_asked_with_others(folder: Path, message_id: int) -> bool:
    """Return whether the newest question of a message has other messages too."""
    with contextlib.closing(sqlite3.connect(folder / "clawbot.db")) as database:
        same = "SELECT question_id FROM asking_messages WHERE message_id = ?"
        query = f"SELECT count(*) FROM asking_messages WHERE question_id = ({same})"  # noqa: S608
        return bool(database.execute(query, (message_id,)).fetchone()[0] > 1)


def _outcomes_of_use(life: Life, one: Asked, used: Interaction) -> list[Message]:
    """Return a command's answers: its response, or a message of its own in the channel."""
    there = life.answers()
    response = [m for m in used.messages if m in there and not m.loading]
    uses = [a.where for a in life.asked if isinstance(a.where, Interaction)]
    taken = [m for each in uses for m in each.messages]
    others = [m for m in there if m.reference is None and m not in taken]
    return response + [m for m in others if set(one.tags) & set(TAG.findall(m.content))]


def _tags_of(message: Message) -> set[str]:
    return set(TAG.findall(message.content))


def _is_about(message: Message, one: Asked) -> bool:
    """Return whether a message repeats a question's words, or says why there are none."""
    said = TAG.findall(message.content)
    return bool(set(one.tags) & set(said)) or (not said and message.id > one.where.id)


def _said_after(message: Message, moment_s: float) -> bool:
    return max(message.created_unix_s, message.edited_unix_s or 0.0) > moment_s
