"""People at their clients: they talk, click and type, and see what Discord shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sandbox.discord.checks.defaults import complete_embeds
from sandbox.discord.checks.messages import content_type_of
from sandbox.discord.people.command_options import (
    OptionReader,
    check_offered,
    command_data,
)
from sandbox.discord.people.limits import (
    PICKED,
    Files,
    check_files,
    check_name,
    check_reaction,
    check_selected,
    check_text,
)
from sandbox.discord.people.modal_form import ModalForm
from sandbox.discord.people.not_offered import NotOfferedError, in_words
from sandbox.discord.state import access, message_actions
from sandbox.discord.state.commands import leaf_options
from sandbox.discord.state.events import InteractionCreated
from sandbox.discord.state.guilds import Channel, Draft, Message
from sandbox.discord.state.interactions import ACK_WITHIN_S, Interaction
from sandbox.discord.state.world import World
from sandbox.discord.values import command_types, interaction_types
from sandbox.discord.values.accounts import User
from sandbox.discord.values.channel_types import FORUMS, WITH_MESSAGES, WITH_THREADS
from sandbox.discord.values.content import (
    REPLY,
    SUPPRESS_EMBEDS,
    AllowedMentions,
    Attachment,
    Poll,
    Sticker,
)
from sandbox.discord.values.json_objects import JsonObject
from sandbox.discord.values.permissions import Permission


class Person:
    """Somebody with a Discord client.

    Args:
        world: Where they live.
        user: Their account.
    """

    def __init__(self, world: World, user: User) -> None:
        self.world = world
        self.user = user
        self._client_since = 0

    @property
    def id(self) -> int:
        """The account's snowflake."""
        return self.user.id

    @property
    def tag(self) -> str:
        """The markup that mentions this person."""
        return self.user.mention

    # Messages

    async def say(
        self,
        channel: Channel,
        text: str = "",
        *,
        files: Files = (),
        embeds: Sequence[JsonObject] = (),
        forward: Message | None = None,
    ) -> Message:
        """Post a message; ``<@bot>`` in the text mentions the bot.

        Raises:
            NotOfferedError: The person may not post there, or there is nothing or too much to post.
        """
        self._check_may_post(channel, text, files)
        draft = self._draft(text, files)
        draft.embeds, draft.forward = complete_embeds(embeds), forward
        if forward is not None and (text or files or not self.sees(forward)):
            raise NotOfferedError("a forward is one message that the person sees, without a text")
        if not (draft.content or draft.attachments or draft.embeds or forward):
            raise NotOfferedError("there is nothing to post")
        return message_actions.post(self.world, channel, self.user, draft)

    async def poll(
        self,
        channel: Channel,
        question: str,
        answers: Sequence[str],
        *,
        hours: float = 24,
        multiselect: bool = False,
        text: str = "",
    ) -> Message:
        """Post a poll.

        Raises:
            NotOfferedError: The person may not, or it breaks Discord's limits: 300 characters, 1
                to 10 answers of 55, and 32 days.
        """
        self._check_may_post(channel, text)
        if not self._may(channel, Permission.SEND_POLLS):
            raise NotOfferedError("polls take Create Polls")
        sizes_fit = 1 <= len(question) <= 300 and all(1 <= len(each) <= 55 for each in answers)
        if not sizes_fit or not 1 <= len(answers) <= 10 or not 1 <= hours <= 32 * 24:
            raise NotOfferedError("no such poll")
        draft = self._draft(text, ())
        ends = self.world.now() + hours * 3600
        draft.poll = Poll(question, tuple(answers), ends, multiselect)
        return message_actions.post(self.world, channel, self.user, draft)

    async def sticker(self, channel: Channel, *names: str, text: str = "") -> Message:
        """Post one to three stickers."""
        self._check_may_post(channel, text)
        if not 1 <= len(names) <= 3:
            raise NotOfferedError("a message takes 1 to 3 stickers")
        draft = self._draft(text, ())
        draft.stickers = tuple(Sticker(self.world.ids.next(), name) for name in names)
        return message_actions.post(self.world, channel, self.user, draft)

    async def mention(self, channel: Channel, text: str = "", *, files: Files = ()) -> Message:
        """Post a message that mentions the bot."""
        return await self.say(channel, f"{self.world.bot_user.mention} {text}".strip(), files=files)

    async def reply(
        self, message: Message, text: str = "", *, ping: bool = True, files: Files = ()
    ) -> Message:
        """Reply to a message; ``ping`` is the client's @ switch.

        Raises:
            NotOfferedError: The person may not post there, or may not read the history.
        """
        self._check_may_post(message.channel, text, files)
        if not self.sees(message) or not self._may(
            message.channel, Permission.READ_MESSAGE_HISTORY
        ):
            raise NotOfferedError("replies take Read Message History")
        draft = self._draft(text, files)
        if not (draft.content or draft.attachments):
            raise NotOfferedError("there is nothing to post")
        draft.kind, draft.reference = REPLY, message
        draft.mentions = AllowedMentions(replied_user=ping)
        return message_actions.post(self.world, message.channel, self.user, draft)

    async def dm(self, text: str = "", *, files: Files = ()) -> Message:
        """Write to the bot in private."""
        return await self.say(self.world.dm_channel(self.user), text, files=files)

    @property
    def dm_channel(self) -> Channel:
        """The person's DM channel with the bot."""
        return self.world.dm_channel(self.user)

    async def edit(self, message: Message, text: str) -> None:
        """Edit one's own message.

        Raises:
            NotOfferedError: It is somebody else's, or gone, or nothing of it would stay.
        """
        if message.author is not self.user or message.deleted_at is not None:
            raise NotOfferedError("only one's own messages can be edited")
        check_text(text)
        content = self._with_bot_mention(text)
        if not (content or message.attachments):
            raise NotOfferedError("an edit must leave something; delete the message instead")
        message.content = content
        message_actions.record_edit(self.world, message, AllowedMentions(), by_author=True)

    async def delete(self, message: Message) -> None:
        """Delete one's own message, or with Manage Messages anybody's; dismiss an ephemeral one.

        Raises:
            NotOfferedError: The person doesn't see it, or may not delete it.
        """
        if not self.sees(message):
            raise NotOfferedError("that message is not in this person's view")
        own = message.author is self.user or message.seen_by == self.id
        if not own and not self._may(message.channel, Permission.MANAGE_MESSAGES):
            raise NotOfferedError("deleting others' messages takes Manage Messages")
        message_actions.delete(self.world, message)

    async def suppress_embeds(self, message: Message) -> None:
        """Remove a message's previews by the little cross."""
        message.flags |= SUPPRESS_EMBEDS
        message_actions.record_edit(self.world, message, AllowedMentions(), by_author=False)

    async def react(self, message: Message, emoji: str, *, add: bool = True) -> None:
        """Add or take back a reaction.

        Raises:
            NotOfferedError: The person doesn't see the message, or may not react so.
        """
        if not self.sees(message) or message.ephemeral:
            raise NotOfferedError("that message takes no reactions")
        if add:
            may_begin = self._may(message.channel, Permission.ADD_REACTIONS)
            check_reaction(message, emoji, may_begin=may_begin)
        message_actions.react(self.world, message, self.user, emoji, add=add)

    async def type_in(self, channel: Channel) -> None:
        """Show typing.

        Raises:
            NotOfferedError: The person may not post there.
        """
        self._check_may_post(channel, "")
        message_actions.start_typing(self.world, channel, self.user)

    async def start_thread(
        self, where: Message | Channel, name: str, *, private: bool = False
    ) -> Channel:
        """Start a thread, on a message or on its own.

        Raises:
            NotOfferedError: The person may not, or there can be none.
        """
        check_name(name)
        channel = where.channel if isinstance(where, Message) else where
        needed = Permission.CREATE_PRIVATE_THREADS if private else Permission.CREATE_PUBLIC_THREADS
        if not self._may(channel, needed):
            raise NotOfferedError(f"{self.user.username} may not start threads there")
        if channel.kind not in WITH_THREADS:
            raise NotOfferedError("there are no threads in this kind of channel")
        if isinstance(where, Message):
            if where.thread is not None or not self.sees(where):
                raise NotOfferedError("no thread can be started on that message")
            return message_actions.start_thread_on(self.world, where, name, self.user)
        return channel.add_thread(name, private=private, owner=self)

    async def post(self, forum: Channel, title: str, text: str, *, files: Files = ()) -> Message:
        """Open a post in a forum and return its first message; its channel is the thread.

        Raises:
            NotOfferedError: The person may not, or it lacks a title or a text.
        """
        if forum.kind not in FORUMS or not self._may(forum, Permission.SEND_MESSAGES):
            raise NotOfferedError(f"{self.user.username} may not post there")
        check_name(title)
        self._check_content(forum, text, files)
        if not (text.strip() or files):
            raise NotOfferedError("there is nothing to post")
        thread = forum.add_thread(title, owner=self)
        return message_actions.post(
            self.world, thread, self.user, self._draft(text, files), message_id=thread.id
        )

    # Commands

    async def slash(self, channel: Channel, name: str, /, **options: object) -> Interaction:
        """Use a slash command.

        Args:
            channel: Where.
            name: Command and subcommands, as ``config set``.
            **options: Values; people, roles, channels and (name, bytes) files as they are.

        Raises:
            NotOfferedError: Discord's client or server would not have let it through.
        """
        command, words = self._command(channel, name)
        chain, declared = leaf_options(command, words)
        reader = OptionReader(self.world, channel)
        given = reader.read(declared, options)
        data = command_data(command, chain, given, reader.resolved)
        return self._start_interaction(interaction_types.COMMAND, channel, data)

    async def autocomplete(
        self, channel: Channel, name: str, option: str, typed: str = "", /, **others: object
    ) -> list[JsonObject]:
        """Type into an option and return what is offered.

        Raises:
            TimeoutError: Nothing was offered within Discord's 3 seconds.
        """
        command, words = self._command(channel, name)
        chain, declared = leaf_options(command, words)
        focused = next((each for each in declared if each["name"] == option), None)
        if focused is None or not focused.get("autocomplete"):
            raise NotOfferedError(f"/{name} {option} has no autocomplete")
        reader = OptionReader(self.world, channel)
        given = reader.read(declared, others, partly=True)
        given.append({"name": option, "type": focused["type"], "value": typed, "focused": True})
        data = command_data(command, chain, given, reader.resolved)
        interaction = self.world.new_interaction(
            interaction_types.AUTOCOMPLETE, self.user, channel, data
        )
        interaction.option_kind = focused["type"]
        self.world.announce(InteractionCreated(interaction))
        await interaction.wait_response(timeout_s=ACK_WITHIN_S)
        return interaction.choices or []

    async def context_menu(
        self, target: Message | Person, name: str, channel: Channel | None = None
    ) -> Interaction:
        """Use a command of a message's or a person's context menu.

        Raises:
            NotOfferedError: Discord's client or server would not have let it through.
        """
        if isinstance(target, Message) and not self.sees(target):
            raise NotOfferedError("that message is not in this person's view")
        where = target.channel if isinstance(target, Message) else channel
        if where is None:
            raise NotOfferedError("a user command needs a channel")
        kind = (
            command_types.MESSAGE_COMMAND
            if isinstance(target, Message)
            else command_types.USER_COMMAND
        )
        command, _ = self._command(where, name, kind)
        reader = OptionReader(self.world, where)
        if isinstance(target, Message):
            reader.add_message(target)
        else:
            reader.add_user(target.id)
        data = command_data(command, [], [], reader.resolved)
        data["target_id"] = str(target.id)
        return self._start_interaction(interaction_types.COMMAND, where, data)

    def _command(
        self, channel: Channel, name: str, kind: int = command_types.CHAT_INPUT
    ) -> tuple[JsonObject, list[str]]:
        guild_id = channel.guild.id if channel.guild else None
        words = (name.split() or [""]) if kind == command_types.CHAT_INPUT else [name]
        command = self.world.commands.find(words[0], guild_id, kind)
        if command is None:
            known = self.world.commands.names(guild_id)
            raise NotOfferedError(f"no command {words[0]} here; there are: {in_words(known)}")
        check_offered(channel, self.user, command)
        return command, words[1:]

    # Components and modals

    async def click(self, message: Message, wanted: str) -> Interaction:
        """Click the button with this custom id or label.

        Raises:
            NotOfferedError: The person doesn't see it, or it is disabled.
            LookupError: There is no such button.
        """
        return self._use_component(message, message.component(wanted), {})

    async def select(self, message: Message, wanted: str, values: Sequence[str]) -> Interaction:
        """Choose in a select menu.

        Raises:
            NotOfferedError: The person doesn't see it, it is disabled, or doesn't offer the values.
            LookupError: There is no such menu.
        """
        part = message.component(wanted)
        check_selected(part, values)
        more: JsonObject = {"values": list(values)}
        kind = PICKED.get(part["type"])
        if kind is not None:
            reader = OptionReader(self.world, message.channel)
            more["values"] = [reader.refer(kind, wanted, each) for each in values]
            more["resolved"] = reader.resolved
        return self._use_component(message, part, more)

    def _use_component(self, message: Message, part: JsonObject, more: JsonObject) -> Interaction:
        if not self.sees(message):
            raise NotOfferedError("that message is not in this person's view")
        if part.get("disabled"):
            raise NotOfferedError(f"{part.get('label') or part.get('custom_id')} is disabled")
        if "custom_id" not in part:
            raise NotOfferedError("a link button opens a page and tells the bot nothing")
        data = {"component_type": part["type"], "custom_id": part["custom_id"], **more}
        data["id"] = part["id"]
        return self._start_interaction(
            interaction_types.COMPONENT, message.channel, data, source=message
        )

    async def submit(
        self, opened: Interaction, fields: Mapping[str, str | Sequence[str]]
    ) -> Interaction:
        """Send a modal off, with text by custom id or label; other fields keep their value.

        Raises:
            NotOfferedError: There is no modal, or a text breaks its limits.
        """
        if opened.modal is None:
            raise NotOfferedError("no modal was opened")
        reader = ModalForm(fields)
        data = {
            "custom_id": opened.modal["custom_id"],
            "components": [reader.fill(part) for part in opened.modal["components"]],
        }
        reader.finish()
        return self._start_interaction(
            interaction_types.MODAL_SUBMIT,
            opened.channel,
            data,
            source=opened.source,
            opened_by=opened,
        )

    # View

    def may_see(self, channel: Channel) -> bool:
        """Tell whether the person's client shows a channel."""
        return self._may(channel, Permission.VIEW_CHANNEL)

    def sees(self, message: Message) -> bool:
        """Tell whether a message is in the person's view now.

        Without Read Message History that is what came since their client was started.
        """
        if message.deleted_at is not None or not self.may_see(message.channel):
            return False
        if message.id < self._client_since and not self._may(
            message.channel, Permission.READ_MESSAGE_HISTORY
        ):
            return False
        return message.seen_by in {None, self.id}

    def restart_client(self) -> None:
        """Start the client anew: older messages are seen only with Read Message History."""
        self._client_since = self.world.ids.next()

    def view(self, channel: Channel) -> list[Message]:
        """Return what the person sees in a channel, oldest first, ephemeral messages included."""
        everything = [*channel.messages.values(), *channel.hidden.values()]
        return sorted(filter(self.sees, everything), key=lambda each: each.id)

    # Helpers

    def _may(self, channel: Channel, wanted: int) -> bool:
        return access.in_channel(channel, self.id) & wanted == wanted

    def _check_may_post(self, channel: Channel, text: str, files: Files = ()) -> None:
        if channel.kind not in WITH_MESSAGES or not self._may(channel, Permission.SEND_MESSAGES):
            raise NotOfferedError(f"{self.user.username} may not post in {channel.name}")
        if (
            channel.is_thread
            and channel.locked
            and not self._may(channel, Permission.MANAGE_THREADS)
        ):
            raise NotOfferedError("the thread is locked")
        self._check_slowmode(channel)
        self._check_content(channel, text, files)

    def _check_slowmode(self, channel: Channel) -> None:
        exempt = Permission.MANAGE_MESSAGES, Permission.MANAGE_CHANNELS
        if not channel.slowmode_s or any(self._may(channel, each) for each in exempt):
            return
        now = self.world.now()
        own = (m.created_unix_s for m in channel.messages.values() if m.author is self.user)
        if any(now - at < channel.slowmode_s for at in own):
            raise NotOfferedError("slow mode is on")

    def _check_content(self, channel: Channel, text: str, files: Files) -> None:
        check_text(text)
        if files and not self._may(channel, Permission.ATTACH_FILES):
            raise NotOfferedError("files take Attach Files")
        check_files(files)

    def _with_bot_mention(self, text: str) -> str:
        return text.replace("<@bot>", self.world.bot_user.mention).strip()

    def _draft(self, text: str, files: Files) -> Draft:
        attachments = [
            Attachment(self.world.ids.next(), name, content_type_of(name), data)
            for name, data in files
        ]
        return Draft(content=self._with_bot_mention(text), attachments=attachments)

    def _start_interaction(
        self,
        kind: int,
        channel: Channel,
        data: JsonObject,
        *,
        source: Message | None = None,
        opened_by: Interaction | None = None,
    ) -> Interaction:
        interaction = self.world.new_interaction(
            kind, self.user, channel, data, source=source, opened_by=opened_by
        )
        self.world.announce(InteractionCreated(interaction))
        return interaction
