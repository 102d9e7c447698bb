"""What Discord knows of a channel and a person, for the report on why there was no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import discord

from bot.chat.admission import Rule
from bot.core.domain import ChannelId, IncomingMessage, MessageId, Person, Place, QuestionId, UserId
from bot.core.permissions import (
    NEEDED,
    NEEDED_IN_THREADS,
    NEEDED_TO_READ_VOICE,
    USEFUL,
    missing,
)
from bot.diagnostics.silence import Case, Lack, Newest
from bot.gateway.client import ClawbotClient
from bot.gateway.rest import VOICE
from bot.queue.scheduler import Job
from cogs import _convert, _gate

Channel = discord.abc.GuildChannel | discord.Thread

LOOKED_AT: Final = 50
"""Newest messages of a channel among which the person's is looked for; one page."""

_TITLES: Final = NEEDED | NEEDED_IN_THREADS | NEEDED_TO_READ_VOICE | USEFUL
_NAMES: Final = {title: name for name, title in _TITLES.items()}


async def case_of(client: ClawbotClient, channel: Channel, member: discord.Member) -> Case:
    """Gather what decides whether somebody is answered in a channel.

    Args:
        client: Online.
        channel: Of a guild that the client is a member of.
        member: Of the same guild.
    """
    person, place = _convert.person(member), _convert.place(channel)
    is_own_thread = _convert.is_own_thread(channel, UserId(client.user.id))
    mention = _mention(client, person, place)
    judgement = _gate.judge(client, mention, is_own_thread=is_own_thread)
    plain = replace(mention, mentioned_ids=frozenset())
    needed, useful = _lacks(channel)
    is_thread = isinstance(channel, discord.Thread)
    is_voice = isinstance(channel, VOICE)
    granted = channel.permissions_for(member)
    may_write = granted.send_messages_in_threads if is_thread else granted.send_messages
    newest = await _newest(client, person, place, is_own_thread=is_own_thread)
    return Case(
        who=member.mention,
        where=channel.mention,
        judgement=judgement,
        limit=_limit(client, person, place) if judgement.rule is None else "",
        needed=needed,
        useful=useful,
        may_ask=granted.view_channel and may_write and (granted.connect or not is_voice),
        sees_text=client.intents.message_content,
        newest=newest,
        is_model_away=not client.services.backend.is_available(),
        needs_mention=not client.intents.message_content
        or _gate.judge(client, plain, is_own_thread=is_own_thread).rule is Rule.NOT_ADDRESSED,
    )


def held(granted: discord.Permissions) -> frozenset[str]:
    """Return the names of granted permissions; iterating would leave out View Channel's."""
    return frozenset(name for name in granted.VALID_FLAGS if getattr(granted, name))


def _mention(client: ClawbotClient, person: Person, place: Place) -> IncomingMessage:
    """Return what this person would write there to ask something now."""
    now = client.services.clock.now()
    return IncomingMessage(
        id=MessageId(discord.utils.time_snowflake(now)),
        place=place,
        author=person,
        text="?",
        created_at=now,
        mentioned_ids=frozenset({UserId(client.user.id)}),
    )


def _limit(client: ClawbotClient, person: Person, place: Place) -> str:
    """Return what a limit or the queue would say to a question at the moment."""
    services = client.services
    job = Job(QuestionId(0), person.id, place.channel_id, place.guild_id, 1, 1)
    return services.limiter.look(person.id, place.guild_id) or services.scheduler.refusal(job)


async def _newest(
    client: ClawbotClient, person: Person, place: Place, *, is_own_thread: bool
) -> Newest | None:
    services = client.services
    found = await services.source.history(place, limit=LOOKED_AT)
    message = next((each for each in reversed(found) if each.author.id == person.id), None)
    if message is None:
        return None
    judgement = _gate.judge(client, message, is_own_thread=is_own_thread)
    entry = await services.journal.newest_asked_in(message.id)
    says_something = _convert.says_something(message, UserId(client.user.id))
    return Newest(
        f"https://discord.com/channels/{place.guild_id}/{place.channel_id}/{message.id}",
        judgement,
        entry,
        is_empty=judgement.rule is None and entry is None and not says_something,
    )


def _lacks(channel: Channel) -> tuple[list[Lack], list[Lack]]:
    granted = held(channel.permissions_for(channel.guild.me))
    if "view_channel" not in granted:  # without it Discord counts none of the others either
        return [_lack(channel, NEEDED["view_channel"])], []
    needed, useful = missing(
        granted, is_thread=isinstance(channel, discord.Thread), is_voice=isinstance(channel, VOICE)
    )
    return [_lack(channel, title) for title in needed], [_lack(channel, title) for title in useful]


def _lack(channel: Channel, title: str) -> Lack:
    """Return a missing permission with the override that takes it away, if one does."""
    holder = channel.parent if isinstance(channel, discord.Thread) else channel
    me = channel.guild.me
    if holder is None or (
        me.is_timed_out() and title not in {"View Channel", "Read Message History"}
    ):
        return Lack(title, "I'm timed out" if holder is not None else "")
    targets: list[discord.Member | discord.Role] = [me, *reversed(me.roles)]
    for target in targets:
        if getattr(holder.overwrites_for(target), _NAMES[title]) is False:
            return Lack(title, f"denied {_to(target, me)} {_by(holder)}")
    return Lack(title)


def _to(target: discord.Member | discord.Role, me: discord.Member) -> str:
    if target == me:
        return "to me"
    if isinstance(target, discord.Role) and target.is_default():
        return "to everyone"
    return f"to {target.mention}"


def _by(holder: discord.abc.GuildChannel) -> str:
    if holder.category is not None and holder.permissions_synced:
        return f"by the category <#{ChannelId(holder.category.id)}>"
    return f"in the permissions of <#{ChannelId(holder.id)}>"
