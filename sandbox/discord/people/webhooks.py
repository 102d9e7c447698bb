"""Webhooks, and bots that post people's messages again through one, under other names."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.discord.people.not_offered import NotOfferedError
from sandbox.discord.state import message_actions
from sandbox.discord.state.guilds import Channel, Draft, Message
from sandbox.discord.state.world import World
from sandbox.discord.values.accounts import User
from sandbox.discord.values.content import AllowedMentions, Attachment
from sandbox.discord.values.json_objects import JsonObject

MAX_NAME_CHARS, MAX_TEXT_CHARS = 80, 2000


class Webhook:
    """An incoming webhook of a channel; it speaks in the channel's threads too.

    Args:
        world: Where it lives.
        channel: Its channel.
        name: Its name, unless a message brings another one.
        application_id: The application that made it; ``None`` for one that a person made.
    """

    def __init__(
        self, world: World, channel: Channel, name: str, application_id: int | None = None
    ) -> None:
        self.id = world.ids.next()
        self.channel = channel
        self.name = name
        self.application_id = application_id
        self._world = world

    async def say(
        self,
        text: str = "",
        *,
        name: str | None = None,
        thread: Channel | None = None,
        embeds: Iterable[JsonObject] = (),
        attachments: Iterable[Attachment] = (),
    ) -> Message:
        """Post a message under a name.

        Raises:
            NotOfferedError: It breaks Discord's limits, or the thread is another channel's.
        """
        spoken = self.name if name is None else name
        if not 1 <= len(spoken) <= MAX_NAME_CHARS or len(text) > MAX_TEXT_CHARS:
            raise NotOfferedError("a webhook's message has 2000 characters, its name 1 to 80")
        if thread is not None and thread.parent is not self.channel:
            raise NotOfferedError("that thread is another channel's")
        draft = Draft(
            content=text.replace("<@bot>", self._world.bot_user.mention).strip(),
            embeds=list(embeds),
            attachments=list(attachments),
            webhook_id=self.id,
            application_id=self.application_id,
        )
        if not (draft.content or draft.embeds or draft.attachments):
            raise NotOfferedError("there is nothing to post")
        author = User(self.id, spoken, is_bot=True, is_webhook=True)
        return message_actions.post(self._world, thread or self.channel, author, draft)

    async def edit(self, message: Message, text: str) -> None:
        """Edit a message of its own, as proxies do at their person's wish."""
        message.content = text.replace("<@bot>", self._world.bot_user.mention).strip()
        message_actions.record_edit(self._world, message, AllowedMentions(), by_author=True)


class Proxy:
    """A bot that posts people's messages again under their other names, as PluralKit does.

    Args:
        world: Where it lives.
        user: The account of its bot, whose id is its application's too.
    """

    def __init__(self, world: World, user: User) -> None:
        self._world = world
        self.user = user
        self._webhooks: dict[int, Webhook] = {}

    def webhook(self, channel: Channel) -> Webhook:
        """Return the webhook that it posts through in a channel."""
        webhook = self._webhooks.get(channel.id)
        if webhook is None:
            webhook = Webhook(self._world, channel, f"{self.user.username} webhook", self.user.id)
            self._webhooks[channel.id] = webhook
        return webhook

    async def copy(
        self,
        message: Message,
        name: str,
        text: str | None = None,
        *,
        delete_first: bool = False,
    ) -> Message:
        """Post a person's message again under another name, and delete theirs.

        Args:
            message: What the person said.
            name: The name to say it under.
            text: The text of the copy; the message's own when not given.
            delete_first: The deletion comes first; else the copy does.
        """
        place = message.channel
        channel = place.parent if place.is_thread and place.parent else place
        webhook = self.webhook(channel)
        if delete_first:
            message_actions.delete(self._world, message)
        files = [
            Attachment(self._world.ids.next(), each.filename, each.content_type, each.data)
            for each in message.attachments
        ]
        said = await webhook.say(
            message.content if text is None else text,
            name=name,
            thread=place if place is not channel else None,
            attachments=files,
        )
        if not delete_first:
            message_actions.delete(self._world, message)
        return said
