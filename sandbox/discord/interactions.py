"""Interactions: what a person set off, and what came back of it (Discord: "Interactions")."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.discord import permissions, render, render_message
from sandbox.discord.messages import JsonObject, Message
from sandbox.discord.model import Channel, User

if TYPE_CHECKING:
    from sandbox.discord.world import World

PING, COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 1, 2, 3, 4, 5
ACK_WITHIN_S = 3.0
TOKEN_LIVES_S = 900.0

PONG, REPLY, DEFER_REPLY, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 1, 4, 5, 6, 7, 8, 9


@dataclass(eq=False)
class Interaction:
    """One use of a command, component, autocomplete field or modal.

    Attributes:
        kind: 2 command, 3 component, 4 autocomplete, 5 modal.
        at: When it was sent (``World.monotonic``).
        responded_at: When the bot acknowledged it.
        response_type: The callback type that came.
        message: The response's message, once there is one.
        source: The message whose component was used.
        followups: Further messages, oldest first.
        modal: The modal that was opened.
        choices: What autocomplete offered.
        option_kind: Type of the option being completed.
        opened_by: The interaction whose modal was sent off.
    """

    world: World = field(repr=False)
    id: int
    token: str
    kind: int
    user: User
    channel: Channel
    data: JsonObject
    at: float
    source: Message | None = None
    responded_at: float | None = None
    response_type: int | None = None
    message: Message | None = None
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
        return not self.acknowledged and self.world.monotonic() - self.at > ACK_WITHIN_S

    @property
    def deferred(self) -> bool:
        """The first response was a deferral."""
        return self.response_type in {DEFER_REPLY, DEFER_UPDATE}

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
        return self.world.monotonic() - self.at > TOKEN_LIVES_S

    async def wait_response(self, *, timeout_s: float = 5.0) -> Interaction:
        """Wait until the bot has acknowledged it, and return this interaction.

        Raises:
            TimeoutError: It hasn't.
        """
        await self.world.wait_until(lambda: self.acknowledged, timeout_s=timeout_s)
        return self

    async def wait_content(self, *, timeout_s: float = 10.0) -> Message:
        """Wait until there is a response to read: no longer "thinking".

        Raises:
            TimeoutError: There is none.
        """

        def ready() -> Message | None:
            message = self.message
            return None if message is None or message.loading else message

        found = await self.world.wait_until(ready, timeout_s=timeout_s)
        if found is None:
            raise TimeoutError("the response was taken back")
        return found


def make(
    world: World,
    *,
    kind: int,
    user: User,
    channel: Channel,
    data: JsonObject,
    source: Message | None = None,
) -> Interaction:
    """Create an interaction that the bot doesn't know of yet."""
    made = Interaction(
        world,
        world.ids.next(),
        f"aW50ZXJhY3Rpb24{secrets.token_hex(24)}",
        kind,
        user,
        channel,
        data,
        world.monotonic(),
        source,
    )
    world.interactions[made.token] = made
    return made


def dispatch(made: Interaction) -> None:
    """Send INTERACTION_CREATE, which needs no intent."""
    made.world.emit("INTERACTION_CREATE", payload(made))


def begin(
    world: World,
    *,
    kind: int,
    user: User,
    channel: Channel,
    data: JsonObject,
    source: Message | None = None,
    opened_by: Interaction | None = None,
) -> Interaction:
    """Create an interaction and send INTERACTION_CREATE."""
    made = make(world, kind=kind, user=user, channel=channel, data=data, source=source)
    made.opened_by = opened_by
    dispatch(made)
    return made


def payload(made: Interaction) -> JsonObject:
    """Return INTERACTION_CREATE's data."""
    world, channel, guild = made.world, made.channel, made.channel.guild
    mine = permissions.in_channel(channel, made.user.id)
    body: JsonObject = {
        "id": str(made.id),
        "application_id": str(world.bot_user.id),
        "type": made.kind,
        "token": made.token,
        "version": 1,
        "data": made.data,
        "channel_id": str(channel.id),
        "channel": render.channel(channel) | {"permissions": str(mine)},
        "locale": "en-US",
        "entitlements": [],
        "entitlement_sku_ids": [],
        "app_permissions": str(permissions.in_channel(channel, world.bot_user.id)),
        "attachment_size_limit": 10 * 1024 * 1024,
    }
    if guild is not None:
        member = guild.members[made.user.id]
        body |= {
            "guild_id": str(guild.id),
            "guild_locale": guild.locale,
            "guild": {"id": str(guild.id), "locale": guild.locale, "features": []},
            "member": render.member(member) | {"permissions": str(mine)},
            "context": 0,
            "authorizing_integration_owners": {"0": str(guild.id)},
        }
    else:
        body |= {
            "user": render.user(made.user),
            "context": 1,
            "authorizing_integration_owners": {"0": "0"},
        }
    if made.source is not None:
        body["message"] = render_message.message(made.source, lambda _: True)
    return body


def metadata(made: Interaction, *, follows: Message | None = None) -> JsonObject:
    """Return ``interaction_metadata`` of a response's message.

    Args:
        made: What a person set off.
        follows: The response that the message is a follow-up of.
    """
    guild = made.channel.guild
    body: JsonObject = {
        "id": str(made.id),
        "type": made.kind,
        "user": render.user(made.user),
        "authorizing_integration_owners": {"0": str(guild.id) if guild else "0"},
    }
    if follows is not None:
        body["original_response_message_id"] = str(follows.id)
    if made.kind == COMPONENT and made.source is not None:
        body["interacted_message_id"] = str(made.source.id)
    if made.kind == MODAL_SUBMIT and made.opened_by is not None:
        body["triggering_interaction_metadata"] = metadata(made.opened_by)
    return body | _target(made)


def _target(made: Interaction) -> JsonObject:
    """Return what a context menu was opened on."""
    target = made.data.get("target_id")
    if target is None:
        return {}
    user = made.world.users.get(int(target))
    return {"target_user": render.user(user)} if user else {"target_message_id": target}
