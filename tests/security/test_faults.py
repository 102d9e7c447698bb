"""A failing Discord: every answer arrives once, or its work stops at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sandbox.discord import Channel, Fault, Message
from sandbox.lmstudio import Answer, RecordedRequest, Timing
from tests.security.deployment import Deployment, OpenDeployment, is_content, last_text

WORDS = "One lighthouse after another answered the call across the dark water. " * 6
LONG = " ".join(f"Lighthouse {n} answered call {n * 7} of ship {n * 13}." for n in range(60))
SLOW = Timing(prefill_tokens_s=1e9, generation_tokens_s=60, speed=10)

FAILURES = ("500", "502", "503", "504", "520", "reset", "cloudflare", "user", "shared", "global")
LIMITS = ("user", "shared", "global")


def arm(
    deployment: Deployment, failure: str, method: str, path: str, *, after: bool, times: int
) -> Fault:
    """Arm one failure for one path."""
    faults = deployment.discord.faults
    if failure == "reset":
        return faults.reset(method, path, after_commit=after, times=times)
    if failure == "cloudflare":
        return faults.cloudflare(method, path, times=times)
    if failure in LIMITS:
        return faults.rate_limit(method, path, retry_after_s=0.2, scope=failure, times=times)  # type: ignore[arg-type]
    when = "after" if after else "before"
    return faults.fail(method, path, status=int(failure), when=when, times=times)  # type: ignore[arg-type]


def visible(room: Channel, deployment: Deployment) -> str:
    """Return what stands of the bot's in a channel, all messages together."""
    own = [m.content for m in room.messages.values() if m.author is deployment.discord.bot_user]
    return " ".join(" ".join(own).split())


@pytest.mark.parametrize("text", [WORDS, LONG], ids=["one message", "two messages"])
async def test_a_stumbling_discord_shows_every_answer_once(
    opened: OpenDeployment, text: str
) -> None:
    cells = [
        (failure, method, after, times)
        for failure in FAILURES
        for method in ("POST", "PATCH")
        for after in (False, True)
        for times in (1, 2)
        if not (after and failure in {"cloudflare", *LIMITS})
    ]
    async with opened(timing=SLOW) as deployment:
        deployment.lm.answer(text)
        rooms = deployment.channels(len(cells))
        faults: list[Fault] = []
        for room, (failure, method, after, times) in zip(rooms, cells, strict=True):
            path = f"/channels/{room.id}/messages"
            faults.append(arm(deployment, failure, method, path, after=after, times=times))
        async with deployment.bot():
            asked = [await deployment.ada.mention(room, "Go") for room in rooms]
            await deployment.until_answered(asked)
            await deployment.lm.wait_until(lambda: settled(deployment))
        for room, cell, fault in zip(rooms, cells, faults, strict=True):
            assert fault.played, cell
            assert visible(room, deployment) == " ".join(text.split()), cell
        assert {outcome for _, _, outcome in deployment.states()} == {"delivered"}


def settled(deployment: Deployment) -> bool:
    """Tell whether every question has its end."""
    return all(state == "closed" for _, state, _ in deployment.states())


GONE = (10003, 10004, 10008)
FORBIDDEN = (50001, 50007, 50013)
LOCKED = (160005,)
"""What is asked in a thread that is locked is kept until it is open again: here at the next try."""
PASSING = (10062, 20028, 30046, 40060, 40062, 50006, 50035, 50083, 160002, 200000, 240000)
STEPS = ("typing", "first", "interim", "final", "extra")


@dataclass
class Cell:
    """One code at one step, in a channel of its own."""

    code: int
    room: Channel
    asked: Message | None = None
    fault: Fault | None = None
    before: int = 0


def refuse(deployment: Deployment, cell: Cell, step: str) -> None:
    """Arm the refusal of a step."""
    method = "PATCH" if step in {"interim", "final"} else "POST"
    path = f"/channels/{cell.room.id}/{'typing' if step == 'typing' else 'messages'}"
    cell.fault = deployment.discord.faults.refuse(cell.code, method, path)


def writes_in(deployment: Deployment, room: Channel) -> int:
    """Return how many posts and edits there were in a channel."""
    return sum(
        is_content(r) and f"/channels/{room.id}/" in r.path for r in deployment.discord.requests
    )


def request_for(deployment: Deployment, room: Channel) -> RecordedRequest | None:
    """Return what the model was asked for a channel, if it was."""
    marked = [r for r in deployment.lm.completions if f"room {room.id}" in last_text(r)]
    return marked[-1] if marked else None


def has_stopped(deployment: Deployment, room: Channel) -> bool:
    """Tell whether the model works for this channel no more."""
    request = request_for(deployment, room)
    return request is None or request.cancelled_at is not None or request.finished


def stopped(deployment: Deployment, room: Channel) -> Callable[[], bool]:
    """Return ``has_stopped`` of one channel."""
    return lambda: has_stopped(deployment, room)


def was_struck(cell: Cell) -> Callable[[], bool]:
    """Return whether a cell's refusal has been given."""
    return lambda: cell.fault is not None and cell.fault.played > 0


@pytest.mark.parametrize("step", STEPS)
async def test_every_refusal_at_every_step(opened: OpenDeployment, step: str) -> None:
    early = step in {"typing", "first", "interim"}
    text = LONG if step == "extra" else WORDS
    async with opened(CLAWBOT_QUEUE__SLOTS="32") as deployment:
        deployment.lm.engine.instances["qwen/qwen3-next-80b"].slots *= 2
        deployment.lm.answer(Answer(text, pause_after=20))
        cells = [
            Cell(code, room) for code, room in zip(ALL_CODES, deployment.channels(18), strict=True)
        ]
        async with deployment.bot():
            for cell in cells:
                if early:
                    refuse(deployment, cell, step)
                cell.asked = await deployment.ada.mention(cell.room, f"Go, room {cell.room.id}")
            if early:
                for cell in cells:
                    await deployment.discord.wait_until(was_struck(cell))
                    if cell.code in GONE + FORBIDDEN + LOCKED:
                        await deployment.lm.wait_until(stopped(deployment, cell.room))
                        cell.before = writes_in(deployment, cell.room)
            else:
                for cell in cells:
                    assert cell.asked is not None
                    await deployment.discord.wait_reply(cell.asked)
                    refuse(deployment, cell, step)
            deployment.lm.answer(text)
            deployment.lm.resume()
            await deployment.lm.wait_until(lambda: settled(deployment))
        for cell in cells:
            check_cell(deployment, cell, step, text)


def check_cell(deployment: Deployment, cell: Cell, step: str, text: str) -> None:
    """Check what came of one code at one step."""
    assert was_struck(cell)(), (cell.code, step)
    shown = visible(cell.room, deployment)
    whole = " ".join(text.split())
    name = (cell.code, step, shown[:200])
    if cell.code in GONE + FORBIDDEN:
        assert has_stopped(deployment, cell.room), name
        if cell.before:
            assert writes_in(deployment, cell.room) <= cell.before + 1, name
        return
    if cell.code in LOCKED:
        assert shown == whole, name
        return
    assert shown == whole or (shown.count("⚠️") == 1), name
    assert shown.count(whole) <= 1, name


ALL_CODES = GONE + FORBIDDEN + LOCKED + PASSING


async def test_what_is_gone_ends_the_models_work(opened: OpenDeployment) -> None:
    async with opened() as deployment:
        deployment.lm.answer(Answer(WORDS, pause_after=20))
        rooms = deployment.channels(3)
        away = deployment.discord.add_guild("Away", owner=deployment.ada)
        gone = deployment.discord.add_guild("Gone", owner=deployment.ada)
        thread = rooms[2].add_thread("thread", owner=deployment.ada)
        places = [*rooms, thread, away.add_channel("a"), gone.add_channel("b")]
        async with deployment.bot():
            asked = [await deployment.ada.mention(p, f"Go, room {p.id}") for p in places]
            replies = [await deployment.discord.wait_reply(message) for message in asked]
            await deployment.ada.delete(asked[0])
            rooms[1].delete()
            await deployment.ada.delete(replies[2])
            thread.delete()
            away.remove_member(deployment.discord.bot_user)
            places[5].delete()
            for place in places:
                await deployment.lm.wait_until(stopped(deployment, place))
            before = len([r for r in deployment.discord.requests if is_content(r)])
            deployment.lm.resume()
            await deployment.lm.wait_until(
                lambda: (
                    [i for i, state, _ in deployment.states() if state != "closed"] == [asked[4].id]
                )  # is kept until the bot returns
            )
            after = len([r for r in deployment.discord.requests if is_content(r)])
            ended = list(deployment.lm.completions)
            deployment.lm.answer(WORDS)
            away.add_bot(deployment.discord.bot_user)
            await deployment.lm.wait_until(lambda: settled(deployment))
        assert after <= before + len(places)
        left = [m for m in deployment.discord.bot_messages if m.channel is not places[4]]
        assert not left
        assert all(request.cancelled_at is not None for request in ended)
        assert visible(places[4], deployment) == " ".join(WORDS.split())


async def test_a_permission_taken_away_ends_the_models_work(opened: OpenDeployment) -> None:
    slow = Timing(prefill_tokens_s=1e9, generation_tokens_s=10, speed=10)
    async with opened(timing=slow) as deployment:
        deployment.lm.answer(LONG)
        room = deployment.channels(1)[0]
        async with deployment.bot():
            asked = await deployment.ada.mention(room, f"Go, room {room.id}")
            await deployment.discord.wait_reply(asked)
            deployment.discord.faults.refuse(50013, None, f"/channels/{room.id}/", times=1)
            await deployment.lm.wait_until(lambda: has_stopped(deployment, room))
            before = len(deployment.discord.requests)
            await deployment.lm.wait_until(lambda: settled(deployment))
        assert len(deployment.discord.requests) <= before + 1
        request = request_for(deployment, room)
        assert request is not None
        assert request.cancelled_at is not None


async def test_a_command_whose_15_minutes_are_over_is_still_answered(
    opened: OpenDeployment,
) -> None:
    patient = {
        "CLAWBOT_LMSTUDIO__TOTAL_TIMEOUT_S": "7200",
        "CLAWBOT_LMSTUDIO__FIRST_TOKEN_TIMEOUT_S": "3600",
        "CLAWBOT_LMSTUDIO__NETWORK_TIMEOUT_MS": "600000",
    }
    async with opened(**patient) as deployment:
        whole = " ".join(WORDS.split())
        deployment.lm.answer(Answer(WORDS, pause_after=0))
        rooms = deployment.channels(2)

        def goes_on() -> bool:
            deployment.lm.resume()
            return settled(deployment)

        async with deployment.bot():
            for room, is_seen in zip(rooms, (False, True), strict=True):
                used = await deployment.ada.slash(room, "ask", prompt=f"Go, room {room.id}")
                await used.wait_response()
                assert used.ack_delay_s is not None
                assert used.ack_delay_s < used.ack_within_s
                if is_seen:
                    await used.wait_content()
                await deployment.lm.wait_until(asked_for(deployment, room))
                deployment.clock.skip(901)
                await deployment.lm.wait_until(goes_on)
        for room in rooms:
            assert visible(room, deployment).count(whole) == 1


def asked_for(deployment: Deployment, room: Channel) -> Callable[[], bool]:
    """Return whether the model has been asked for a channel."""
    return lambda: request_for(deployment, room) is not None


@pytest.mark.parametrize("failure", ["500", "503", "reset", "10062", "40060"])
async def test_an_answer_to_a_command_that_is_lost_harms_nothing_else(
    opened: OpenDeployment, failure: str
) -> None:
    async with opened() as deployment:
        first, second = deployment.channels(2)
        path = "/callback"
        async with deployment.bot():
            if failure.isdigit() and len(failure) == 5:
                deployment.discord.faults.refuse(int(failure), "POST", path, times=9)
            else:
                arm(deployment, failure, "POST", path, after=False, times=9)
            for name, options in (("help", {}), ("ask", {"prompt": "Hi"}), ("config show", {})):
                await deployment.ada.slash(first, name, **options)
            asked = await deployment.ada.mention(second, "Still there?")
            await deployment.until_answered([asked])
            await deployment.discord.wait_until(lambda: bool(visible(first, deployment)))
            deployment.discord.faults.clear()
