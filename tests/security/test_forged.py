"""Presses, forms and commands that no client makes: made up, replayed, cut short, far too large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.discord import Channel, Interaction, Message, Person, rendering
from sandbox.discord.values import interaction_types
from sandbox.lmstudio import Answer
from tests.security.deployment import Deployment

THOUGHT = "Nobody else is to read this."
ANSWER = "The answer."
Body = dict[str, Any]


def press(custom_id: str, **more: Any) -> Body:
    """Return a press's data."""
    return {"component_type": 2, "custom_id": custom_id, "id": 1, **more}


def send(
    deployment: Deployment,
    person: Person,
    room: Channel,
    data: Body,
    *,
    kind: int = interaction_types.COMPONENT,
    on: Message | None = None,
    bend: Callable[[Body], Any] | None = None,
) -> Interaction:
    """Send what a changed client, or a broken Discord, might."""
    world = deployment.discord.world
    made = world.new_interaction(kind, person.user, room, data, source=on)
    body = rendering.interaction_object(world, made)
    if kind == interaction_types.COMPONENT:  # discord.py looks for the button on the message
        button = {**data, "type": data["component_type"], "style": 1, "label": "x"}
        body["message"]["components"] = [{"type": 1, "id": 1, "components": [button]}]
    if bend is not None:
        bend(body)
    deployment.discord.gateway.dispatch("INTERACTION_CREATE", body)
    return made


async def answered(deployment: Deployment, person: Person, room: Channel) -> Message:
    """Ask, and return the whole answer."""
    asked = await person.mention(room, "Hello")
    await deployment.until_answered([asked])
    return deployment.discord.replies(asked)[0]


def question_of(reply: Message) -> int:
    """Return the question that an answer's buttons name."""
    return int(str(reply.buttons[0]["custom_id"]).split(":")[2])


@pytest.mark.parametrize("is_elsewhere", [False, True], ids=["same channel", "another server"])
async def test_a_made_up_button_reaches_nobody_elses_answer(
    deployment: Deployment, *, is_elsewhere: bool
) -> None:
    eve = deployment.discord.add_user("Eve")
    room = deployment.channels(1)[0]
    theirs = deployment.discord.add_guild("Theirs", owner=eve).add_channel("den")
    deployment.guild.add_member(eve)
    deployment.lm.answer(Answer(ANSWER, reasoning=THOUGHT, finish="length"))
    async with deployment.bot():
        reply = await answered(deployment, deployment.ada, room)
        before = len(deployment.lm.completions), reply.content
        where = theirs if is_elsewhere else room
        own = await answered(deployment, eve, where)
        for action in ("think", "info", "again", "more", "stop"):
            custom_id = f"clawbot:{action}:{question_of(reply)}:{eve.id}"
            made = send(deployment, eve, where, press(custom_id), on=own)
            await made.wait_content()
            assert THOUGHT not in made.content
            assert "context" not in made.content
            assert made.ephemeral
        assert (len(deployment.lm.completions), reply.content) == (before[0] + 1, before[1])


async def test_a_made_up_stop_ends_nobody_elses_answer(deployment: Deployment) -> None:
    eve = deployment.discord.add_user("Eve")
    room = deployment.channels(1)[0]
    den = deployment.discord.add_guild("Theirs", owner=eve).add_channel("den")
    async with deployment.bot():
        own = await answered(deployment, eve, den)
        deployment.lm.answer(Answer(ANSWER, pause_after=1))
        asked = await deployment.ada.mention(room, "Hello")
        begun = await deployment.discord.wait_reply(asked)
        stop = f"clawbot:stop:{question_of(begun)}:{eve.id}"
        await send(deployment, eve, den, press(stop), on=own).wait_content()
        deployment.lm.resume()
        await deployment.until_answered([asked])
    assert begun.content == ANSWER


ODD_IDS = (
    "clawbot:think:99999999999999999999:{me}",
    "clawbot:again:99999999999999999999:{me}",
    "clawbot:stop:99999999999999999999:{me}",
    "clawbot:more:9223372036854775808:{me}",
    "clawbot:info:00000000000000000001:{me}",
    "clawbot:info:-1:{me}",
    "clawbot:think:١٢٣:{me}",
    "clawbot:think::{me}",
    "clawbot:think",
    "clawbot:nothing:1:{me}",
    "clawbot:think:1:{me}:" + "x" * 60_000,
    "\x00" * 100,
    "",
)


def without(*names: str) -> Callable[[Body], Any]:
    """Return a change that leaves parts out."""
    return lambda body: [body.pop(name, None) for name in names]


def with_parts(**parts: Any) -> Callable[[Body], Any]:
    """Return a change that puts other parts in."""
    return lambda body: body.update(parts)


ODD_FORMS: tuple[Callable[[Body], Any], ...] = (
    without("message"),
    without("member", "user"),
    without("channel", "channel_id"),
    without("data"),
    without("token"),
    without("guild_id"),
    with_parts(message=None),
    with_parts(message={"id": "1"}),
    with_parts(data=None),
    with_parts(data=[]),
    with_parts(type=99),
    with_parts(id="x"),
    with_parts(member={"user": {}}),
    with_parts(channel={"id": "1", "type": 999}),
    with_parts(app_permissions="x" * 10_000),
)


async def test_presses_of_any_form_cost_nothing_else(deployment: Deployment) -> None:
    deployment.may_fail = True  # that one form or another can't be read is said in the log
    eve = deployment.discord.add_user("Eve")
    den = deployment.discord.add_guild("Theirs", owner=eve).add_channel("den")
    room = deployment.channels(1)[0]
    deployment.lm.answer(Answer(ANSWER, reasoning=THOUGHT))
    async with deployment.bot():
        own = await answered(deployment, eve, den)
        for custom_id in ODD_IDS:
            send(deployment, eve, den, press(custom_id.format(me=eve.id)), on=own)
            more = {"values": ["x"] * 1000, "component_type": 3}
            send(deployment, eve, den, press(custom_id.format(me=eve.id), **more), on=own)
        genuine = str(own.buttons[0]["custom_id"])
        for bend in ODD_FORMS:
            send(deployment, eve, den, press(genuine), on=own, bend=bend)
        form = {"custom_id": genuine, "components": [{"type": 1, "components": [None, {}]}]}
        for data in ({}, form, {"custom_id": "x" * 100_000, "components": "y" * 100_000}):
            send(deployment, eve, den, data, kind=interaction_types.MODAL_SUBMIT, on=own)
        assert (await answered(deployment, deployment.ada, room)).content == ANSWER
    log = deployment.log.getvalue()
    assert "database" not in log
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]
