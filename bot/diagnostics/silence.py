"""Why somebody got no answer somewhere: a decision of the admission in words, with what to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.chat.admission import Judgement, Rule
from bot.core.permissions import listed
from bot.core.ports import JournalEntry, Outcome
from config.names import Target, preferred_name


def _setting(field: str) -> str:
    return f"`{preferred_name(Target('discord', field))}`"


_OPERATOR: Final = "Whoever runs me"
_OR_CONFIG: Final = "; a server's own list is changed with /config access."
_WHY: Final = {
    Rule.NO_PERSON: (
        "it is a bot's or an application's, and I answer people only",
        "Ask with an account of a person.",
    ),
    Rule.NOT_ORDINARY: (
        "it is a notice of Discord's, or a webhook posted it",
        "Write a message of your own.",
    ),
    Rule.NOT_ADDRESSED: (
        "it doesn't mention me, replies to nothing of mine, and isn't in a thread that I opened",
        "Mention me in the message, or reply to one of my answers without switching the ping off.",
    ),
    Rule.CANNOT_WRITE: ("I may not write there", ""),
    Rule.PERSON_BLOCKED: (
        "this person is blocked",
        f"{_OPERATOR} takes them out of {_setting('blocked_user_ids')}{_OR_CONFIG}",
    ),
    Rule.DIRECT_MESSAGES: (
        "I don't answer this person's direct messages",
        f"{_OPERATOR} sets {_setting('dm_policy')}.",
    ),
    Rule.GUILD_NOT_ALLOWED: (
        "I answer certain servers only, and this isn't one of them",
        f"{_OPERATOR} adds this server to {_setting('allowed_guild_ids')}.",
    ),
    Rule.CHANNEL_BLOCKED: (
        "this channel, its category, or the channel that the thread belongs to is blocked",
        f"{_OPERATOR} takes it out of {_setting('blocked_channel_ids')}{_OR_CONFIG}",
    ),
    Rule.CHANNEL_NOT_ALLOWED: (
        "I answer in certain channels only, and neither this one nor its category is one of them",
        f"{_OPERATOR} adds it to {_setting('allowed_channel_ids')}{_OR_CONFIG}",
    ),
    Rule.SWITCHED_OFF: (
        "I answer nobody in this channel",
        "Who manages the server sets `answer_to` there with /config chat.",
    ),
    Rule.ROLE_NEEDED: (
        "this person has none of the roles that may ask me",
        f"Give them such a role, or add one of theirs to {_setting('allowed_role_ids')}{_OR_CONFIG}",
    ),
}
"""Each rule as the reason why a message gets no answer, and what to change."""

_OUTCOMES: Final = {
    Outcome.DELIVERED: "I answered it.",
    Outcome.NOTIFIED: "I answered it with a notice, which says what went wrong.",
    Outcome.STOPPED: "I took it, and somebody stopped it.",
    Outcome.MERGED: "I answered it together with what this person wrote right after it.",
    Outcome.DROPPED: "I took it, but couldn't post the answer: Discord refused it, or the message was gone.",
    None: "I took it, and it waits or is being answered.",
}


@dataclass(frozen=True, slots=True)
class Lack:
    """A permission that the bot lacks.

    Attributes:
        title: Discord's name of it.
        because: What takes it away, as a clause; empty where no role gives it.
    """

    title: str
    because: str = ""

    def __str__(self) -> str:
        """Return it as it stands in a sentence."""
        return f"{self.title} ({self.because})" if self.because else self.title


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest message that somebody wrote in a channel.

    Attributes:
        link: Its address at Discord.
        judgement: What the admission says of it.
        entry: What the journal knows of it.
        is_empty: It mentions the bot and says nothing else.
    """

    link: str
    judgement: Judgement
    entry: JournalEntry | None
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """All that decides whether somebody is answered somewhere.

    Attributes:
        who: The person, as a mention.
        where: The channel, as a mention.
        judgement: What the admission says of a mention by this person, written there now.
        limit: What a limit or the queue would answer it with; empty if they would take it.
        needed: Permissions without which there is no answer.
        useful: Permissions without which an answer lacks something.
        may_ask: Whether the person can write there.
        sees_text: Whether Discord gives the bot the text of messages that don't mention it.
        newest: The person's newest message there, if one was found.
        is_model_away: None of the model's machines answers.
        needs_mention: Messages that don't mention the bot aren't answered there.
    """

    who: str
    where: str
    judgement: Judgement
    limit: str = ""
    needed: Sequence[Lack] = ()
    useful: Sequence[Lack] = ()
    may_ask: bool = True
    sees_text: bool = True
    newest: Newest | None = None
    is_model_away: bool = False
    needs_mention: bool = True


def silence_text(case: Case) -> str:
    """Return the report: the decision first, then the newest message, then what else is amiss."""
    parts = [_decision(case)]
    if case.is_model_away:
        parts.append(
            "⏳ The model's machine doesn't answer at the moment, so questions wait until it is back: "
            "/diag network says why."
        )
    if case.newest is not None:
        parts.append(_newest(case.newest, needs_mention=case.needs_mention))
    if case.needed and case.judgement.rule is not Rule.CANNOT_WRITE:
        parts.append(f"❌ There I lack {_lacks(case.needed)}. {_grant(case.needed)}")
    if case.useful and not case.needed:
        parts.append(f"⚠️ I can answer there, but lack {_lacks(case.useful)}.")
    if not case.needed and not case.useful:
        parts.append("✅ I have the permissions I need there.")
    if not case.may_ask:
        parts.append(f"⚠️ {case.who} can't write there: Discord's permissions of that channel.")
    if not case.sees_text:
        parts.append(
            "⚠️ Discord gives me no text of messages that don't mention me. Switch on Message Content "
            "Intent in the Developer Portal, under Bot, and restart me."
        )
    return "\n".join(parts)


def _decision(case: Case) -> str:
    rule = case.judgement.rule
    if rule is Rule.CANNOT_WRITE:
        lacking = f": I lack {_lacks(case.needed)}" if case.needed else ""
        return f"❌ I don't answer {case.who} in {case.where}{lacking}. {_grant(case.needed)}"
    if rule is not None:
        why, change = _WHY[rule]
        return f"❌ I don't answer {case.who} in {case.where}: {why}. {change}"
    if case.limit:
        return f"❌ I don't answer {case.who} in {case.where} at the moment: “{case.limit}”"
    when = "when I'm mentioned there" if case.needs_mention else "also without a mention"
    return f"✅ I answer {case.who} in {case.where} {when}: my settings allow it."


def _newest(newest: Newest, *, needs_mention: bool) -> str:
    head = f"Their newest message there ({newest.link}):"
    if newest.entry is not None:
        return f"{head} {_OUTCOMES[newest.entry.outcome]}"
    rule = newest.judgement.rule
    if newest.is_empty:
        return f"{head} it says nothing but my name. Write the question into the same message."
    if rule is None:
        return (
            f"{head} it is for me, but I never took it. I was away then, it was over a limit, or it "
            "was changed afterwards. Ask again."
        )
    why, change = _WHY[rule]
    if rule is Rule.NOT_ADDRESSED and not needs_mention:
        why = "it is for somebody else: it mentions or answers them"
    return f"{head} not answered, because {why}. {change}".rstrip()


def _lacks(lacks: Sequence[Lack]) -> str:
    return listed(str(lack) for lack in lacks)


def _grant(lacks: Sequence[Lack]) -> str:
    """Return where to give permissions: where something takes them away, a role's grant doesn't help."""
    if any(lack.because for lack in lacks):
        return "Allow it for my role in that channel's (or its category's) permissions."
    return "Give my role these permissions."
