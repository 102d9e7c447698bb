"""The buttons below an answer. All they need stands in their ids, so they survive restarts."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Any, Protocol, Self

import discord

from bot.core.clock import Clock
from bot.core.domain import QuestionId, UserId
from bot.core.ports import Controls
from cogs import _respond


class Action(StrEnum):
    """What a button does; the value is part of its id, so it never changes."""

    STOP = "stop"
    REGENERATE = "again"
    CONTINUE = "more"
    THINKING = "think"
    DETAILS = "info"


_LABELS: dict[Action, tuple[str, discord.ButtonStyle]] = {
    Action.STOP: ("Stop", discord.ButtonStyle.danger),
    Action.CONTINUE: ("Continue", discord.ButtonStyle.primary),
    Action.REGENERATE: ("Regenerate", discord.ButtonStyle.secondary),
    Action.THINKING: ("Show thinking", discord.ButtonStyle.secondary),
    Action.DETAILS: ("Details", discord.ButtonStyle.secondary),
}

_ID = re.compile(
    r"clawbot:(?P<action>stop|again|more|think|info):(?P<question>\d{1,20}):(?P<asker>\d{1,20})"
)
"""At most 55 characters; Discord allows 100 (Discord: component reference, custom_id)."""

NOT_YOURS = "Only the person who asked, or a moderator, can use this button."


MOST_ID = 2**63 - 1
"""Snowflakes stay below it for centuries, and databases take no larger number."""


class ButtonActions(Protocol):
    """What the buttons do. Each method answers the interaction; what it raises is explained."""

    async def stop(self, question_id: QuestionId, interaction: discord.Interaction[Any]) -> None:
        """Stop writing."""
        ...

    async def regenerate(
        self, question_id: QuestionId, interaction: discord.Interaction[Any]
    ) -> None:
        """Answer again."""
        ...

    async def continue_(
        self, question_id: QuestionId, interaction: discord.Interaction[Any]
    ) -> None:
        """Go on where the answer was cut."""
        ...

    async def thinking(
        self, question_id: QuestionId, interaction: discord.Interaction[Any]
    ) -> None:
        """Show the model's thinking to the presser."""
        ...

    async def details(self, question_id: QuestionId, interaction: discord.Interaction[Any]) -> None:
        """Show model and speed to the presser."""
        ...


ErrorHandler = Callable[[discord.Interaction[Any], Exception], Awaitable[None]]
"""The bot's one helper that answers an interaction with a failure's sentence."""


def view_for(controls: Controls | None) -> discord.ui.View | None:
    """Return the buttons to send along; ``None`` for none.

    The view is only a description: presses reach the class of ``answer_button``, also after a
    restart, and nothing is kept in memory per message.
    """
    actions = _actions_of(controls) if controls is not None else []
    if controls is None or not actions:
        return None
    view = discord.ui.View(timeout=None)
    for action in actions:
        view.add_item(_button(action, controls.question_id, controls.asker_id))
    return view


AnswerItem = discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]]


def answer_button(
    actions: ButtonActions, clock: Clock, on_error: ErrorHandler | None = None
) -> type[AnswerItem]:
    """Return the class to give to ``Client.add_dynamic_items``, bound to what its buttons do.

    Args:
        actions: What the buttons do.
        clock: Tells when a press has to be acknowledged.
        on_error: Answers an interaction whose action failed; a sentence from the table when unset.
    """
    explain = on_error if on_error is not None else _respond.failure

    class AnswerButton(AnswerItem, template=_ID):
        """One button of an answer, rebuilt from its id at every press."""

        def __init__(self, action: Action, question_id: QuestionId, asker_id: UserId) -> None:
            super().__init__(_button(action, question_id, asker_id))
            self._action = action
            self._question_id = question_id
            self._asker_id = asker_id

        @classmethod
        async def from_custom_id(
            cls,
            interaction: discord.Interaction[Any],  # noqa: ARG003 - discord.py's signature
            item: discord.ui.Item[Any],  # noqa: ARG003
            match: re.Match[str],
            /,
        ) -> Self:
            """Read the id back."""
            question_id = QuestionId(int(match["question"]))
            return cls(Action(match["action"]), question_id, UserId(int(match["asker"])))

        async def callback(self, interaction: discord.Interaction[Any]) -> None:
            """Do what the button says, or say why not."""
            try:
                if not may_press(interaction, self._asker_id):
                    await _respond.say(interaction, NOT_YOURS)
                    return
                async with _respond.in_time(interaction, clock):
                    await _perform(actions, self._action, self._question_id, interaction)
                if not interaction.response.is_done():
                    await interaction.response.defer()
            except Exception as exc:  # noqa: BLE001 - the seam to Discord's components
                await explain(interaction, exc)

    return AnswerButton


def stops(custom_ids: Iterable[str]) -> QuestionId | None:
    """Return the question that a Stop button among some belongs to."""
    found = (_ID.fullmatch(each) for each in custom_ids)
    ids = (int(each["question"]) for each in found if each and each["action"] == Action.STOP)
    return next((QuestionId(each) for each in ids if each <= MOST_ID), None)


def install(
    client: discord.Client,
    actions: ButtonActions,
    clock: Clock,
    on_error: ErrorHandler | None = None,
) -> None:
    """Let presses of all answers' buttons, old and new, reach these actions."""
    client.add_dynamic_items(answer_button(actions, clock, on_error))


def may_press(interaction: discord.Interaction[Any], asker_id: UserId) -> bool:
    """Return whether somebody may use an answer's buttons: its asker, or a moderator there."""
    if interaction.user.id == asker_id:
        return True
    return interaction.guild_id is not None and interaction.permissions.manage_messages


async def _perform(
    actions: ButtonActions,
    action: Action,
    question_id: QuestionId,
    interaction: discord.Interaction[Any],
) -> None:
    match action:
        case Action.STOP:
            await actions.stop(question_id, interaction)
        case Action.REGENERATE:
            await actions.regenerate(question_id, interaction)
        case Action.CONTINUE:
            await actions.continue_(question_id, interaction)
        case Action.THINKING:
            await actions.thinking(question_id, interaction)
        case Action.DETAILS:
            await actions.details(question_id, interaction)


def _actions_of(controls: Controls) -> list[Action]:
    """Return the wanted buttons in the order in which they stand."""
    wanted = {
        Action.STOP: controls.stop,
        Action.CONTINUE: controls.continue_,
        Action.REGENERATE: controls.regenerate,
        Action.THINKING: controls.thinking,
        Action.DETAILS: controls.details,
    }
    return [action for action, is_wanted in wanted.items() if is_wanted]


def _button(
    action: Action, question_id: QuestionId, asker_id: UserId
) -> discord.ui.Button[discord.ui.View]:
    label, style = _LABELS[action]
    custom_id = f"clawbot:{action}:{question_id}:{asker_id}"
    return discord.ui.Button(label=label, style=style, custom_id=custom_id)
