"""Interactions: what a person set off, and what came back of it (Discord: "Interactions")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.discord.state.changes import PATIENCE_S, Changes
from sandbox.discord.state.guilds import Channel, Message
from sandbox.discord.values.accounts import User
from sandbox.discord.values.interaction_types import (
    DEFERRED_CHANNEL_MESSAGE,
    DEFERRED_UPDATE_MESSAGE,
)
from sandbox.discord.values.json_objects import JsonObject

ACK_WITHIN_S = 3.0
"""Seconds that a bot has for its first response (Discord: "Receiving and Responding")."""

TOKEN_LIVES_S = 900.0


@dataclass(eq=False)
class Interaction:
    """One use of a command, component, autocomplete field or modal.

    Attributes:
        changes: Wakes those who wait for the answer.
        monotonic: Time in seconds.
        kind: 2 command, 3 component, 4 autocomplete, 5 modal.
        at: When it was sent, in seconds of ``monotonic``.
        ack_within_s: How long the bot has for its first response.
        responded_at: When the bot acknowledged it.
        response_type: The callback type that came.
        message: The response's message, once there is one.
        source: The message whose component was used.
        is_edited: The response's message was edited by way of this interaction.
        followups: Further messages, oldest first.
        modal: The modal that was opened.
        choices: What autocomplete offered.
        option_kind: Type of the option being completed.
        opened_by: The interaction whose modal was sent off.
    """

    changes: Changes = field(repr=False)
    monotonic: Callable[[], float] = field(repr=False)
    id: int
    token: str
    kind: int
    user: User
    channel: Channel
    data: JsonObject
    at: float
    ack_within_s: float
    source: Message | None = None
    responded_at: float | None = None
    response_type: int | None = None
    message: Message | None = None
    is_edited: bool = False
    followups: list[Message] = field(default_factory=list)
    modal: JsonObject | None = None
    choices: list[JsonObject] | None = None
    option_kind: int = 3
    opened_by: Interaction | None = None

    @property
    def acknowledged(self) -> bool:
        """The bot has answered in any form."""
        return self.responded_at is not None

    @property
    def failed(self) -> bool:
        """The person reads "The application did not respond"."""
        return not self.acknowledged and self.is_late

    @property
    def is_late(self) -> bool:
        """The time for a first response is over."""
        return self.monotonic() - self.at > self.ack_within_s

    @property
    def deferred(self) -> bool:
        """The first response was a deferral."""
        return self.response_type in {DEFERRED_CHANNEL_MESSAGE, DEFERRED_UPDATE_MESSAGE}

    @property
    def ephemeral(self) -> bool:
        """Only the person sees the response."""
        return self.message is not None and self.message.ephemeral

    @property
    def content(self) -> str:
        """The response's text now; empty while there is none."""
        return self.message.content if self.message is not None else ""

    @property
    def messages(self) -> list[Message]:
        """The response and all follow-ups."""
        first = [self.message] if self.message is not None else []
        return first + [each for each in self.followups if each is not self.message]

    @property
    def ack_delay_s(self) -> float | None:
        """Seconds from the person's action to the acknowledgement."""
        return None if self.responded_at is None else self.responded_at - self.at

    def expired(self) -> bool:
        """Tell whether the token's 15 minutes are over."""
        return self.monotonic() - self.at > TOKEN_LIVES_S

    async def wait_response(self, *, timeout_s: float = PATIENCE_S) -> Interaction:
        """Wait until the bot has acknowledged it, and return this interaction.

        Raises:
            TimeoutError: It hasn't.
        """
        await self.changes.wait_until(lambda: self.acknowledged, timeout_s=timeout_s)
        return self

    async def wait_answer(self, *, timeout_s: float = PATIENCE_S) -> Interaction:
        """Wait until there is more than a deferral, and return this interaction.

        Raises:
            TimeoutError: There isn't.
        """

        def is_there() -> bool:
            is_more = self.is_edited or bool(self.followups)
            return self.acknowledged and (is_more or not self.deferred)

        await self.changes.wait_until(is_there, timeout_s=timeout_s)
        return self

    async def wait_content(self, *, timeout_s: float = PATIENCE_S) -> Message:
        """Wait until there is a response to read: no longer "thinking".

        Raises:
            TimeoutError: There is none.
        """

        def ready() -> Message | None:
            message = self.message
            return None if message is None or message.loading else message

        found = await self.changes.wait_until(ready, timeout_s=timeout_s)
        if found is None:
            raise TimeoutError("the response was taken back")
        return found
