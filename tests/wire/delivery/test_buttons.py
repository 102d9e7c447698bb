"""Buttons: who may press them, and that every press is answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import discord
import pytest

from bot.core.clock import Clock, SystemClock
from bot.core.domain import QuestionId, UserId
from bot.core.errors import StoreError
from bot.core.ports import Controls
from cogs import _actions, _convert, _respond
from cogs._convert import Button
from sandbox.discord import Message
from tests.support.clock import FakeClock
from tests.wire.delivery.helpers import DiscordRig, discord_rig

QUESTION = QuestionId(2**64 - 1)
LABELS = ["Stop", "Continue", "Regenerate", "Show thinking", "Details"]
BUTTONS = [Button.STOP, Button.CONTINUE, Button.REGENERATE, Button.THINKING, Button.DETAILS]


@dataclass
class FakeActions:
    """Notes what was pressed, and answers or fails as told."""

    pressed: list[tuple[str, int]] = field(default_factory=list)
    failure: Exception | None = None
    answer: str = ""
    goes_on: asyncio.Event | None = None
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def _note(self, name: str, number: int, interaction: discord.Interaction[Any]) -> None:
        self.pressed.append((name, number))
        self.has_begun.set()
        if self.goes_on is not None:
            await self.goes_on.wait()
        if self.answer:
            await interaction.response.send_message(self.answer, ephemeral=True)
        if self.failure is not None:
            raise self.failure

    @property
    def presses(self) -> dict[Button, _actions.Press]:
        names = zip(BUTTONS, LABELS, strict=True)
        return {action: partial(self._note, name) for action, name in names}


def _install(here: DiscordRig, actions: FakeActions, clock: Clock) -> None:
    """Have presses reach these actions."""
    here.client.add_dynamic_items(_actions.answer_button(actions.presses, clock))


async def _answer(here: DiscordRig) -> Message:
    """Post an answer to Ada with all buttons."""
    controls = Controls(QUESTION, UserId(here.ada.id), True, True, True, True, True)
    await here.sink().send("Answer.", nonce="1-r-0", controls=controls)
    return here.bot_messages()[-1]


async def test_each_button_does_its_own_thing_and_is_acknowledged() -> None:
    async with discord_rig(online=True) as here:
        actions = FakeActions()
        _install(here, actions, SystemClock())
        message = await _answer(here)
        assert [button["label"] for button in message.buttons] == LABELS
        assert all(len(button["custom_id"]) <= 100 for button in message.buttons)
        for label in LABELS:
            await (await here.ada.click(message, label)).wait_response()
        assert actions.pressed == [(label, QUESTION) for label in LABELS]


async def test_buttons_of_an_earlier_process_still_work() -> None:
    async with discord_rig() as before:
        message = await _answer(before)
        ids = [button["custom_id"] for button in message.buttons]
    controls = Controls(QUESTION, UserId(int(ids[0].split(":")[-1])), stop=True)
    view = _convert.view_for(controls)
    assert view is not None
    assert [item.custom_id for item in view.children if isinstance(item, discord.ui.Button)] == ids[
        :1
    ]


async def test_others_are_told_why_they_may_not() -> None:
    async with discord_rig(online=True) as here:
        actions = FakeActions()
        _install(here, actions, SystemClock())
        eve = here.sandbox.add_user("Eve")
        here.guild.add_member(eve)
        pressed = await eve.click(await _answer(here), "Stop")
        await pressed.wait_content()
        assert pressed.ephemeral
        assert pressed.content == _actions.NOT_YOURS
        assert actions.pressed == []


async def test_moderators_may() -> None:
    async with discord_rig(online=True) as here:
        actions = FakeActions()
        _install(here, actions, SystemClock())
        message = await _answer(here)
        await (await here.sandbox.owner.click(message, "Stop")).wait_response()
        assert actions.pressed == [("Stop", QUESTION)]


async def test_a_press_that_waits_for_the_journal_is_acknowledged_in_time() -> None:
    clock = FakeClock()
    async with discord_rig(online=True) as here:
        goes_on = asyncio.Event()
        actions = FakeActions(goes_on=goes_on)
        _install(here, actions, clock)
        pressed = await here.ada.click(await _answer(here), "Details")
        await asyncio.wait_for(actions.has_begun.wait(), 10)
        assert not pressed.acknowledged
        await clock.advance(_respond.LATEST_S)
        await pressed.wait_response()
        assert pressed.deferred
        goes_on.set()


@pytest.mark.parametrize("answer", ["", "So far so good."])
async def test_a_failing_action_is_explained(answer: str) -> None:
    async with discord_rig(online=True) as here:
        _install(here, FakeActions(failure=StoreError(), answer=answer), SystemClock())
        pressed = await here.ada.click(await _answer(here), "Details")
        await here.sandbox.wait_until(lambda: pressed.messages[1 if answer else 0 :])
        assert pressed.messages[-1].content == StoreError.user_text
        assert pressed.messages[-1].ephemeral


async def test_no_buttons_without_a_wish() -> None:
    assert _convert.view_for(None) is None
    assert _convert.view_for(Controls(QUESTION, UserId(1))) is None
