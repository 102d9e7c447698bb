"""What can happen in a life: what people do, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable

from sandbox.discord import Channel, Fault, Message
from sandbox.discord.people.not_offered import NotOfferedError
from sandbox.lmstudio import Fault as ModelFault
from tests.support.lives.life import TAG, Life

BURST_IDS = 2_000 << 22
"""Ids of messages that may belong to one burst differ by less: 2 seconds."""
Action = Callable[[Life, random.Random], Awaitable[None]]

# People


async def mention(life: Life, chance: random.Random) -> None:
    """Somebody mentions the bot."""
    who, channel, tag = chance.choice(life.people), chance.choice(life.channels), life.tag()
    life.note(await who.mention(channel, f"Tell me about {tag}"), who, tag)


async def burst(life: Life, chance: random.Random) -> None:
    """Somebody asks two or three things in a breath."""
    who, channel = chance.choice(life.people), chance.choice(life.channels)
    for _ in range(chance.choice([2, 2, 3])):
        tag = life.tag()
        life.note(await who.mention(channel, f"Tell me about {tag}"), who, tag)
        await asyncio.sleep(chance.choice([0, 0.05]))


async def direct(life: Life, chance: random.Random) -> None:
    """Somebody writes in private."""
    who, tag = chance.choice(life.people), life.tag()
    life.note(await who.dm(f"Tell me about {tag}"), who, tag)


async def reply(life: Life, chance: random.Random) -> None:
    """Somebody replies to an answer."""
    there = _in_channels(life)
    if there:
        who, tag = chance.choice(life.people), life.tag()
        life.note(await who.reply(chance.choice(there), f"And about {tag}?"), who, tag)


async def command(life: Life, chance: random.Random) -> None:
    """Somebody uses a command; it counts once the bot has acknowledged it."""
    if life.sees:
        who, channel, tag = chance.choice(life.people), chance.choice(life.channels), life.tag()
        life.note(await who.slash(channel, "ask", prompt=f"Tell me about {tag}"), who, tag)


async def menu(life: Life, chance: random.Random) -> None:
    """Somebody asks about a message by its menu."""
    there = [m for c in life.channels for m in c.messages.values()]
    if there and life.sees:
        who, wanted = chance.choice(life.people), ["Ask about this", "Summarise from here"]
        used = await who.context_menu(chance.choice(there), chance.choice(wanted))
        life.note(used, who)


async def edit(life: Life, chance: random.Random) -> None:
    """Somebody edits what they asked; some leave the mention out."""
    standing = life.messages()
    if standing:
        one, tag = chance.choice(standing), life.tag()
        assert isinstance(one.where, Message)
        is_mention = one.where.channel.guild is not None and chance.random() < 0.7
        mention = life.discord.bot_user.mention if is_mention else ""
        one.tags.append(tag)
        one.may_be_old = one.may_be_old or not life.sees
        is_known = life.sees and life.has_taken(one.where)
        if not is_mention and one.where.channel.guild is not None and not is_known:
            one.may_be_silent = True  # it asks nothing any more when the bot reads it first
        await one.asker.edit(one.where, f"{mention} Tell me about {tag}".strip())


async def plain(life: Life, chance: random.Random) -> None:
    """Somebody who asks nothing else says something to nobody."""
    said = await life.discord.owner.say(chance.choice(life.channels), "Tell me about it")
    life.plain.append(said)


async def late_mention(life: Life, chance: random.Random) -> None:
    """Somebody adds the mention that they had forgotten."""
    if life.plain:
        said, tag = life.plain.pop(chance.randrange(len(life.plain))), life.tag()
        text = f"{life.discord.bot_user.mention} Tell me about {tag}"
        one = life.note(said, life.discord.owner, tag)
        one.may_be_silent = one.may_be_silent or not life.sees
        await life.discord.owner.edit(said, text)


async def proxied(life: Life, chance: random.Random) -> None:
    """A proxy bot says somebody's question again, and deletes the original."""
    who, channel, tag = chance.choice(life.people), chance.choice(life.channels), life.tag()
    said = await who.mention(channel, f"Tell me about {tag}")
    original = life.note(said, who, tag)
    await asyncio.sleep(chance.choice([0, 0.05, 0.3]))
    original.taken_back_at = time.time()
    original.may_be_late = not life.sees
    proxy = life.discord.add_proxy()
    copy = await proxy.copy(said, "Somebody else", delete_first=chance.random() < 0.3)
    # Nobody's, so that its answer isn't taken for the original's, which may have been answered.
    life.note(copy, life.discord.owner, tag).may_be_silent = True


async def take_back(life: Life, chance: random.Random) -> None:
    """Somebody deletes what they asked."""
    standing = life.messages()
    if standing:
        one = chance.choice(standing)
        assert isinstance(one.where, Message)
        one.taken_back_at = time.time()
        one.may_be_late = life.running is not None and not life.sees
        if one.may_be_late:  # it may be the one that the answer to its whole burst replies to
            for other in life.asked:
                is_near = abs(other.where.id - one.where.id) < BURST_IDS
                other.may_be_silent |= is_near and other.asker is one.asker
        await one.asker.delete(one.where)


async def delete_answer(life: Life, chance: random.Random) -> None:
    """A moderator deletes an answer."""
    there = _in_channels(life)
    if there:
        gone = chance.choice(there)
        said = set(TAG.findall(gone.content))
        answered = next((a.asker for a in life.asked if gone.reference is a.where), None)
        for one in life.asked:
            is_answer = gone.reference is one.where or getattr(one.where, "message", 0) is gone
            # A message without words may be about to answer all that its reader asked in a breath.
            is_theirs = not said and one.asker is answered
            if is_answer or is_theirs or set(one.tags) & said:
                one.may_be_silent = True
        await life.people[0].delete(gone)


async def press(life: Life, chance: random.Random) -> None:
    """Somebody presses a button below an answer, once or more often."""
    there = [m for m in life.answers() if m.buttons]
    if there and life.sees:
        on = chance.choice(there)
        wanted = chance.choice(["Stop", "Regenerate", "Continue", "Regenerate"])
        for _ in range(chance.choice([1, 1, 2, 3])):
            with contextlib.suppress(LookupError, NotOfferedError):
                await chance.choice(life.people).click(on, wanted)
            await asyncio.sleep(chance.choice([0, 0, 0.05]))


async def stop_all(life: Life, chance: random.Random) -> None:
    """Somebody stops all that they asked in a channel."""
    if life.sees:
        await chance.choice(life.people).slash(chance.choice(life.channels), "stop")


async def configure(life: Life, chance: random.Random) -> None:
    """A setting is changed."""
    if life.sees:
        value = str(chance.choice([0.2, 0.5, 0.9]))
        await life.people[0].slash(
            life.channels[0], "config set", setting="temperature", value=value
        )


# Discord


async def drop(life: Life, chance: random.Random) -> None:
    """The gateway's connection breaks."""
    how = chance.choice(["drop", "new session", "reconnect", "invalid", "close"])
    faults = life.discord.faults
    if how == "new session":
        faults.forget_sessions()
    match how:
        case "drop" | "new session":
            faults.drop()
        case "reconnect":
            faults.reconnect()
        case "invalid":
            faults.invalid_session()
        case _:
            faults.close(chance.choice([4000, 1001, 4009]))


async def cut_off(life: Life, chance: random.Random) -> None:
    """Discord's gateway can't be reached until it is mended; the session is lost, or not."""
    life.is_cut_off = True
    if chance.random() < 0.6:
        life.discord.faults.forget_sessions()
    life.discord.faults.refuse_connections = -1
    life.discord.faults.drop()


async def rest_fault(life: Life, chance: random.Random) -> None:
    """The bot's next writes go wrong, some after they were really done."""
    faults, method = life.discord.faults, chance.choice(["POST", "PATCH", "DELETE"])
    route, times = "/messages", chance.choice([1, 2])
    match chance.choice(["before", "after", "after", "reset", "429", "late"]):
        case "before":
            faults.fail(method, route, status=502, times=times)
        case "after":
            faults.fail(method, route, status=502, times=times, when="after")
        case "reset":
            faults.reset(method, route, after_commit=True, times=times)
        case "429":
            faults.rate_limit(method, route, retry_after_s=0.5)
        case _:
            faults.delay(method, route, delay_s=0.6, times=times)


BREAKS: list[tuple[str | None, str | None]] = [
    ("POST", "/messages"),
    ("PATCH", "/messages"),
    ("POST", "/callback"),
    (None, "/webhooks"),
    ("PUT", "/reactions"),
    ("DELETE", None),
    ("GET", None),
    (None, None),
]
"""Which requests may fail for a while: method and route; ``None`` for all."""


async def rest_breaks(life: Life, chance: random.Random) -> None:
    """Some or all of Discord's REST fails for a while."""
    method, route = chance.choice(BREAKS)
    if method in {"GET", None}:
        life.is_blind = True
        for one in life.asked:
            one.may_be_old = one.may_be_late = True
    match chance.choice(["status", "status", "reset", "hang", "429"]):
        case "status":
            fault = life.discord.faults.fail(method, route, status=chance.choice([500, 503]))
        case "reset":
            fault = life.discord.faults.reset(method, route, after_commit=chance.random() < 0.5)
        case "429":
            fault = life.discord.faults.rate_limit(method, route, retry_after_s=0.3)
        case _:
            fault = life.discord.faults.hang(method, route, after_commit=chance.random() < 0.5)
    await _lasts(life, chance, fault)


async def refuse(life: Life, chance: random.Random) -> None:
    """Discord refuses for a while what it allows, or says that what is there is gone."""
    life.is_refused = True
    life.excuse()
    code = chance.choice([50001, 50013, 10003, 40060])
    fault = life.discord.faults.refuse(code, "POST", chance.choice(["/messages", "/callback"]))
    fault.times = 1_000_000
    await asyncio.sleep(chance.choice([0.3, 1.0, 3.0]))
    life.excuse()
    life.discord.faults.rest.remove(fault)
    life.is_refused = False


async def _lasts(life: Life, chance: random.Random, fault: Fault) -> None:
    """Have a fault met again and again for a moment; or once, in which case it lasts until mended."""
    if chance.random() < 0.3:
        return
    fault.times = 1_000_000
    await asyncio.sleep(chance.choice([0.3, 1.0, 3.0]))
    if fault in life.discord.faults.rest:
        life.discord.faults.rest.remove(fault)


async def forbid(life: Life, chance: random.Random) -> None:
    """The bot may not write in a channel, until that is mended."""
    channel = chance.choice(life.channels)
    if channel.is_thread:
        channel.set_archived(locked=True)
        life.unwritable.add(channel.id)
        life.channels.remove(channel)
    else:
        channel.overwrite(life.discord.bot_user, deny="send_messages", is_member=True)
    life.silenced.add(channel.id)
    life.excuse(channel)


async def archive(life: Life, chance: random.Random) -> None:
    """A thread is archived; whoever writes there opens it again."""
    threads = [channel for channel in life.channels if channel.is_thread]
    if threads:
        thread = chance.choice(threads)
        if not life.sees and not life.knows(thread):  # nothing tells a new session of it
            life.excuse(thread)
        thread.set_archived()


async def remove_channel(life: Life, chance: random.Random) -> None:
    """A channel is deleted."""
    there = [channel for channel in life.channels if channel is not life.channels[0]]
    if there:
        gone = chance.choice(there)
        life.excuse(gone)
        guild = gone.guild
        assert guild is not None
        gone.delete()
        life.channels[:] = [c for c in life.channels if c.id in guild.channels]


# The model


async def model_fault(life: Life, chance: random.Random) -> None:
    """The model's next answers go wrong, before the first word or after some."""
    fault = chance.choice(
        [
            ModelFault.RESET_BEFORE_HEADERS,
            ModelFault.RESET_AFTER_TOKENS,
            ModelFault.UNKNOWN_ERROR,
            ModelFault.CRASHED,
            ModelFault.TRUNCATED_STREAM,
            ModelFault.CHUNKED_CUT,
            ModelFault.POOL_FULL,
            ModelFault.EMPTY_200,
            ModelFault.HTML_503,
            ModelFault.UNLOADED,
            ModelFault.HANG_AFTER_TOKENS,
        ]
    )
    late = {ModelFault.RESET_AFTER_TOKENS, ModelFault.TRUNCATED_STREAM, ModelFault.CRASHED}
    may_be_late = fault in late | {ModelFault.UNKNOWN_ERROR, ModelFault.HANG_AFTER_TOKENS}
    for _ in range(chance.choice([1, 1, 3])):
        after = chance.choice([0, 3, 6]) if may_be_late else None
        life.lm.faults.next(fault, after_tokens=after)


async def model_dies(life: Life, chance: random.Random) -> None:
    """The model's server ends, until it is mended or comes back."""
    await life.lm.stop()
    if chance.random() < 0.5:
        await asyncio.sleep(chance.choice([0.2, 1.5]))
        await life.lm.start()


async def go_on(life: Life, chance: random.Random) -> None:  # noqa: ARG001
    """Answers that had stopped in the middle go on."""
    life.lm.resume()


# The bot and its disk


async def lock_disk(life: Life, chance: random.Random) -> None:
    """Another program holds the database for a while."""
    if life.running is not None:
        life.lock_for(chance.choice([0.3, 1.2, 3.5]))


async def fill_disk(life: Life, chance: random.Random) -> None:
    """The disk is full for a while, or takes nothing at all."""
    if life.running is not None:
        most_bytes = chance.choice([0, 4096, 100_000, 200_000])
        life.fill_for(chance.choice([0.3, 1.2, 3.5]), most_bytes)


async def mend(life: Life, chance: random.Random) -> None:  # noqa: ARG001
    """Whatever was broken works again."""
    life.discord.faults.clear()
    life.lm.faults.clear()
    life.is_cut_off = life.is_blind = False
    for channel in life.discord.world.channels.values():
        if channel.id in life.silenced and not channel.is_thread:
            channel.overwrite(life.discord.bot_user, is_member=True)
    life.silenced.clear()
    with contextlib.suppress(OSError, RuntimeError):
        await life.lm.start()


async def restart(life: Life, chance: random.Random) -> None:
    """The bot is stopped in order and started again, at once or later."""
    await life.end()
    await _start_again(life, chance)


async def kill(life: Life, chance: random.Random) -> None:
    """The bot is killed and started again, at once or later."""
    await life.kill()
    await _start_again(life, chance)


async def block(life: Life, chance: random.Random) -> None:
    """The operator blocks somebody, which takes a new start."""
    await (life.end() if chance.random() < 0.5 else life.kill())
    life.is_blocking = True
    for one in life.asked:
        one.may_be_silent = one.may_be_silent or one.asker is life.people[-1]
    await _start_again(life, chance)


async def _start_again(life: Life, chance: random.Random) -> None:
    may_start = not life.is_cut_off and not life.is_blind
    if chance.random() < 0.5 and may_start:
        await life.start()


def _in_channels(life: Life) -> list[Message]:
    return [m for m in life.answers() if _is_open(life, m.channel)]


def _is_open(life: Life, channel: Channel) -> bool:
    return channel in life.channels


WEIGHTS: dict[Action, int] = {
    mention: 8,
    burst: 6,
    direct: 3,
    reply: 3,
    command: 5,
    menu: 3,
    edit: 7,
    plain: 1,
    late_mention: 2,
    proxied: 3,
    take_back: 6,
    delete_answer: 2,
    press: 9,
    stop_all: 1,
    configure: 1,
    drop: 3,
    cut_off: 2,
    rest_fault: 4,
    rest_breaks: 3,
    refuse: 1,
    forbid: 1,
    archive: 2,
    remove_channel: 1,
    model_fault: 4,
    model_dies: 2,
    go_on: 4,
    lock_disk: 3,
    fill_disk: 3,
    mend: 2,
    restart: 2,
    kill: 5,
    block: 2,
}
ACTIONS = {action.__name__: action for action in WEIGHTS}
