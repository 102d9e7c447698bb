"""A conversation as one person has it: what they see, and what they do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bot.demo.terminal.commands import Command, Typed, flattened, read
from bot.demo.terminal.forms import Option, Values
from bot.demo.terminal.own_files import file_named, files_like, read_file
from bot.demo.world import Demo
from sandbox.discord import (
    Interaction,
    Message,
    NotOfferedError,
)
from sandbox.discord.checks.messages import MAX_CONTENT_CHARS
from sandbox.discord.values.command_types import BOOLEAN, CHANNEL, MESSAGE_COMMAND, USER
from sandbox.discord.values.components import BUTTON, SELECTS, walk
from sandbox.discord.values.json_objects import JsonObject

ACK_S: Final = 4.0
"""Longest wait for the bot to acknowledge a command, in seconds; Discord gives it 3."""
ANSWER_S: Final = 900.0
"""Longest wait for an answer, in seconds; a real model may be loading."""
QUIET_S: Final = 6.0
"""An answer without buttons is over when it hasn't changed for this long, in seconds: longer than
the pacing of edits ever pauses."""
REPORT_S: Final = 2.0
"""The same for what only one person sees, in seconds; ``/diag network`` grows every 1.5."""
WAITING_S: Final = 10.0
"""How long a question without a sign of an answer counts as being worked on, in seconds."""
USERS, ROLES, MENTIONABLES, CHANNELS = 5, 6, 7, 8
"""Types of select menus (Discord: "Component reference")."""
STOP: Final = "clawbot:stop:"
"""How the Stop button's id begins."""
NO_FORM: Final = (
    "This opens a form, which needs a full screen: run the demo in a terminal or as a page."
)

GOODBYE: Final = ("/quit", "/exit")

LOCAL: Final = (
    Command("new", "Begin a new conversation"),
    Command(
        "press",
        "Press a button of the newest answer",
        ({"name": "button", "description": "Its name", "type": 3, "required": True},),
    ),
    Command(
        "attach",
        "Send a file of yours, with a question about it",
        (
            {"name": "file", "description": "Its path", "type": 3, "required": True},
            {"name": "question", "description": "What you ask about it", "type": 3},
        ),
    ),
    Command(
        "menu",
        "Use a command of a message's menu",
        (
            {"name": "command", "description": "Which one", "type": 3, "required": True},
            {"name": "message", "description": "Its words; the newest one if left out", "type": 3},
        ),
    ),
    Command("quit", "End the demo"),
)
"""The demo's own commands."""
HELP: Final = """\
Type a question and press Enter. The next line goes on with the conversation; `/new` begins another.
`/` shows the commands, which work as in Discord: `/diag network`, `/config set setting:temperature value:0.31`.
Tab goes through the newest answer's buttons and menus, and Enter presses one; `/press Regenerate` does so by name.
`/menu` uses what the bot adds to a message's menu.
`/attach` sends a file, and so does its path alone, pasted or dropped here. `/quit` ends the demo."""
MOST_SHOWN_CHARS: Final = 60
"""Of a message's words, to tell it from others."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that stands in the conversation but isn't in Discord.

    Attributes:
        id: A snowflake, for its place among the messages.
        text: Markdown.
        is_own: Typed by the person; else the demo says it.
    """

    id: int
    text: str
    is_own: bool = False


class RefusedError(Exception):
    """What was typed can't be done; the text is a sentence for the person."""


class Chat:
    """The bot's owner, who sits at this terminal, in the channel that the talk begins in.

    Attributes:
        notes: What stands in the conversation besides messages.
        on_change: Called after each new note.
        on_form: Called with what opened a form.
    """

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self.discord = demo.discord
        self.guild, self.channel = demo.places.guild, demo.places.general
        self.person = demo.places.owner
        self.notes: list[Note] = []
        self.on_change: Callable[[], None] = lambda: None
        self.on_form: Callable[[Interaction], None] = lambda _: self.note(NO_FORM)
        self._begun = 0
        self._opened = self.moment()

    # What they see

    def view(self) -> list[Message | Note]:
        """Return messages and notes, oldest first."""
        return sorted([*self.person.view(self.channel), *self.notes], key=lambda each: each.id)

    def name_of(self, kind: str, target: int) -> str | None:
        """Return what a mention shows."""
        world = self.discord.world
        if kind == "@":
            user = world.users.get(target)
            return user.display_name if user else None
        named = (world.channels if kind == "#" else self.guild.roles).get(target)
        return named.name if named else None

    def is_own(self, item: Message | Note) -> bool:
        """Tell whether the person said it."""
        return item.is_own if isinstance(item, Note) else item.author is self.person.user

    def moment(self) -> int:
        """Return a snowflake of now."""
        return self.discord.world.ids.next()

    def state(self) -> object:
        """Return a value that changes with whatever is seen."""
        seen = self.person.view(self.channel)
        return len(self.notes), [(each.id, len(each.versions)) for each in seen]

    def note(self, text: str, *, is_own: bool = False) -> None:
        """Put a note at the end of the conversation."""
        self.notes.append(Note(self.moment(), text, is_own))
        self.on_change()

    def controls(self) -> list[tuple[Message, JsonObject]]:
        """Return buttons and menus that can be used, those of the newest message first."""
        seen = reversed(self.person.view(self.channel))
        return [
            (message, part)
            for message in seen
            for part in walk(message.components)
            if (part["type"] == BUTTON or part["type"] in SELECTS)
            and "custom_id" in part
            and not part.get("disabled")
        ]

    def buttons(self) -> list[tuple[Message, JsonObject]]:
        """Return the buttons among the controls."""
        return [each for each in self.controls() if each[1]["type"] == BUTTON]

    def options(self, part: JsonObject) -> list[Option]:
        """Return what a select menu offers: its own options, or who and what is here."""
        world = self.discord.world
        people = [(u.id, u.display_name) for u in world.users.values()]
        roles = [(each.id, each.name) for each in self.guild.roles.values()]
        channels = [
            (each.id, f"#{each.name}")
            for each in self.guild.channels.values()
            if self.person.may_see(each)
        ]
        offered = {USERS: people, ROLES: roles, MENTIONABLES: people + roles, CHANNELS: channels}
        if part["type"] not in offered:
            return [
                Option(
                    each["value"],
                    each["label"],
                    each.get("description") or "",
                    each.get("default", False),
                )
                for each in part["options"]
            ]
        chosen = {int(each["id"]) for each in part.get("default_values") or ()}
        return [
            Option(str(key), name, is_chosen=key in chosen) for key, name in offered[part["type"]]
        ]

    def running(self) -> tuple[Message, JsonObject] | None:
        """Return the Stop button of an answer that is being written."""
        return next(
            (each for each in self.buttons() if each[1]["custom_id"].startswith(STOP)), None
        )

    def is_busy(self) -> bool:
        """Tell whether a question is being answered, or was asked just now and has no answer."""
        if self.running():
            return True
        seen = self.person.view(self.channel)
        if not seen or not self.is_own(seen[-1]) or seen[-1].id < self._opened:
            return False
        return self.discord.world.now() - seen[-1].created_unix_s < WAITING_S

    def commands(self) -> list[Command]:
        """Return the commands that there are, the bot's and the demo's."""
        return [*flattened(self._demo.registered()), *LOCAL]

    # What they do

    async def take(self, text: str) -> None:
        """Do what a person typed; what can't be done is noted."""
        text = text.strip()
        if (path := file_named(text)) is not None:
            self.note(text, is_own=True)
            await self._tried(self._attach(path, ""))
        elif text.startswith("/"):
            self.note(text, is_own=True)
            await self._tried(self._command(text))
        elif text:
            await self._tried(self._say(text))

    async def press(self, message: Message, part: JsonObject) -> None:
        """Press a button; what can't be done is noted."""
        await self._tried(self._press(message, part))

    async def choose(self, message: Message, part: JsonObject, values: Sequence[str]) -> None:
        """Choose in a select menu; what can't be done is noted."""
        await self._tried(self._used(self.person.select(message, part["custom_id"], values)))

    async def submit(self, opened: Interaction, values: Values) -> None:
        """Send a form off; what can't be done is noted."""
        await self._tried(self._used(self.person.submit(opened, values)))

    async def stop(self) -> None:
        """Stop the answer that is being written, or that is waited for."""
        if running := self.running():
            await self.press(*running)
        else:
            await self.take("/stop")

    async def _tried(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except RefusedError as exc:
            self.note(str(exc))
        except (NotOfferedError, LookupError) as exc:
            self.note(f"Discord doesn't take that: {str(exc).strip(chr(34))}.")

    async def _attach(self, path: Path, question: str) -> None:
        try:
            content = read_file(path)
        except OSError as exc:
            raise RefusedError(f"{path.name} can't be sent: {exc.strerror or exc}.") from None
        await self._send(question, [(path.name, content)])

    async def _say(self, text: str) -> None:
        room = MAX_CONTENT_CHARS - len(f"{self.discord.bot_user.mention} ")
        # Discord's client sends a longer text as a file.
        is_long = len(text.encode("utf-16-le", "replace")) // 2 > room
        files = [("message.txt", text.encode("utf-8", "replace"))] if is_long else []
        await self._send("" if files else text, files)

    async def _send(self, said: str, files: list[tuple[str, bytes]]) -> None:
        last = self._last_answer()
        if last is None:
            await self.person.mention(self.channel, said, files=files)
        else:
            await self.person.reply(last, said, files=files)

    def _last_answer(self) -> Message | None:
        bot = self.discord.bot_user
        own = (m for m in self.channel.messages.values() if m.author is bot and m.id > self._begun)
        return max(own, key=lambda each: each.id, default=None)

    async def _command(self, line: str) -> None:
        typed = read(line, self.commands())
        if typed.command is None:
            raise RefusedError(self._unknown(line))
        if typed.missing is not None:
            raise RefusedError(
                f"`{typed.missing['name']}` is missing. Write it as `{typed.command.usage}`."
            )
        if typed.surplus:
            raise RefusedError(
                f"“{typed.surplus}” belongs to no option. Write it as `{typed.command.usage}`."
            )
        if typed.command in LOCAL:
            await self._local(typed.command.name, typed.options)
            return
        if typed.command.name == "help":
            self.note(HELP)
        options = {
            o["name"]: self._value(o, typed.options[o["name"]])
            for o in typed.command.options
            if o["name"] in typed.options
        }
        await self._used(self.person.slash(self.channel, typed.command.name, **options))

    def _unknown(self, line: str) -> str:
        if line != "/":
            return f"There is no command {line.split(None, 1)[0]}. `/` shows those that there are."
        listed = (f"- `{each.usage}` {each.description}" for each in self.commands())
        return "\n".join(("These are the commands:", *listed))

    async def _local(self, name: str, options: Mapping[str, str]) -> None:
        if name == "new":
            self._begun = self.moment()
            self.note("A new conversation begins.")
        elif name == "press":
            await self._press_named(options["button"])
        elif name == "attach":
            await self._attach(Path(options["file"]), options.get("question", ""))
        elif name == "menu":
            await self._menu(options["command"], options.get("message", ""))

    async def _press_named(self, name: str) -> None:
        labels = [part.get("label", "") for _, part in self.buttons()]
        at = next((i for i, each in enumerate(labels) if each.casefold() == name.casefold()), None)
        if at is None:
            there = ", ".join(dict.fromkeys(labels)) or "none"
            raise RefusedError(f"There is no such button. There are: {there}.")
        await self._press(*self.buttons()[at])

    async def _menu(self, command: str, words: str) -> None:
        names = self._menu_commands()
        name = next((each for each in names if each.casefold() == command.casefold()), None)
        if name is None:
            raise RefusedError(
                f"There is no such command. There are: {', '.join(names) or 'none'}."
            )
        message = next((each for each in self._newest_first() if words in _words(each)), None)
        if message is None:
            raise RefusedError("No message here has these words.")
        await self._used(self.person.context_menu(message, name))

    def _menu_commands(self) -> list[str]:
        return [each["name"] for each in self._demo.registered() if each["type"] == MESSAGE_COMMAND]

    def _newest_first(self) -> list[Message]:
        return [each for each in reversed(self.person.view(self.channel)) if not each.ephemeral]

    async def _press(self, message: Message, part: JsonObject) -> None:
        await self._used(self.person.click(message, part["custom_id"]))

    async def _used(self, use: Coroutine[Any, Any, Interaction]) -> None:
        """Use something of the bot's and wait for its acknowledgement."""
        used = await use
        try:
            await used.wait_response(timeout_s=ACK_S)
        except TimeoutError:
            raise RefusedError("The application did not respond.") from None
        if used.modal is not None:
            self.on_form(used)

    def _value(self, option: JsonObject, text: str) -> object:
        """Return an option's value as the sandbox takes it.

        Raises:
            RefusedError: There is no such person or channel.
        """
        kind, world = option["type"], self.discord.world
        if kind == BOOLEAN:
            return text.casefold() in {"true", "yes", "on", "1"}
        places: dict[int, dict[str, int]] = {
            USER: {
                name: u.id for u in world.users.values() for name in (u.username, u.display_name)
            },
            CHANNEL: {each.name or "": each.id for each in world.channels.values()},
        }
        if kind not in places:
            return text
        found = places[kind].get(text.lstrip("@#"))
        if found is None:
            raise RefusedError(f"There is no “{text}” here.")
        return found

    async def suggest(self, typed: Typed, option: JsonObject, text: str) -> list[tuple[str, str]]:
        """Return what an option may be: names and values."""
        if option.get("choices"):
            offered = [(each["name"], str(each["name"])) for each in option["choices"]]
        elif option["type"] == BOOLEAN:
            offered = [("true", "true"), ("false", "false")]
        elif typed.command in LOCAL:
            offered = [(each, each) for each in self._offered_here(option["name"], text)]
        elif option.get("autocomplete") and typed.command:
            return await self._asked(typed, option["name"], text)
        else:
            return []
        return [each for each in offered if each[0].casefold().startswith(text.casefold())]

    def _offered_here(self, option: str, text: str) -> Iterable[str]:
        """Return what an option of the demo's own commands may be."""
        match option:
            case "button":
                return dict.fromkeys(part.get("label", "") for _, part in self.buttons())
            case "command":
                return self._menu_commands()
            case "message":
                return filter(None, dict.fromkeys(map(_words, self._newest_first())))
            case "file":
                return files_like(text)
            case _:
                return ()

    async def _asked(self, typed: Typed, name: str, text: str) -> list[tuple[str, str]]:
        assert typed.command is not None  # noqa: S101
        others = {key: value for key, value in typed.options.items() if key != name and value}
        with contextlib.suppress(TimeoutError, NotOfferedError, LookupError):
            given = await self.person.autocomplete(
                self.channel, typed.command.name, name, text, **others
            )
            return [(each["name"], str(each["value"])) for each in given]
        return []

    async def answered(self, since: int) -> None:
        """Wait until what the bot says to something is complete.

        Args:
            since: The moment before it was asked.
        """
        while (limit_s := self._patience_s(since)) > 0:
            try:
                await self._change(limit_s)
            except TimeoutError:
                return

    async def _change(self, limit_s: float) -> None:
        before = self.state()
        await self.discord.wait_until(lambda: self.state() != before, timeout_s=limit_s)

    def _patience_s(self, since: int) -> float:
        """Return how long something more may come, in seconds."""
        new = [each for each in self.person.view(self.channel) if each.id > since]
        said = [each for each in new if each.author is self.discord.bot_user]
        used = any(each.id > since for each in self.discord.world.interactions.values())
        if self.running() or any(each.loading for each in said) or (new and not said):
            return ANSWER_S
        if any(each.buttons for each in said) or not (said or used):
            return 0.0
        return REPORT_S if all(each.ephemeral for each in said) else QUIET_S


def _words(message: Message) -> str:
    """Return the beginning of a message's first line."""
    return message.content.partition("\n")[0][:MOST_SHOWN_CHARS].strip()
