"""What a person does on the page, done at the local Discord by the same person of the sandbox."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from bot.core.recent import Recent
from bot.demo.page.faults import Panel
from bot.demo.page.fields import ActionError, Fields
from bot.demo.page.files import Uploads
from bot.demo.page.view import Json, View
from bot.demo.world import Demo
from sandbox.discord import Channel, Interaction, Message, NotOfferedError, Person
from sandbox.discord.checks.messages import MAX_CONTENT_CHARS
from sandbox.discord.state.interactions import ACK_WITHIN_S
from sandbox.discord.values.interaction_types import (
    CHANNEL_MESSAGE,
    DEFERRED_CHANNEL_MESSAGE,
    MODAL,
)

_log = logging.getLogger(__name__)

MAX_HISTORY: Final = 100
MAX_MODALS: Final = 100

_RESPONSES: Final = {
    CHANNEL_MESSAGE: "message",
    DEFERRED_CHANNEL_MESSAGE: "deferred",
    MODAL: "modal",
}


class Actions:
    """Does what the page asks for.

    Args:
        view: Renders what comes of it.
        uploads: Files that wait for their message.
        panel: What can be made to go wrong.
    """

    def __init__(self, demo: Demo, view: View, uploads: Uploads, panel: Panel) -> None:
        self._demo = demo
        self._world = demo.discord.world
        self._view = view
        self._uploads = uploads
        self._panel = panel
        self._modals: Recent[str, Interaction] = Recent(MAX_MODALS)
        self._known: dict[str, Callable[[Fields, Person], Awaitable[Json | None]]] = {
            "say": self._say,
            "reply": self._reply,
            "edit": self._edit,
            "delete": self._delete,
            "react": self._react,
            "typing": self._type,
            "history": self._history,
            "slash": self._slash,
            "autocomplete": self._autocomplete,
            "menu": self._menu,
            "press": self._press,
            "choose": self._choose,
            "submit": self._submit,
            "thread": self._thread,
            "post": self._post,
        }

    async def do(self, raw: Json) -> Json:
        """Do one thing.

        Args:
            raw: The frame, parsed.

        Raises:
            ActionError: It isn't done.
        """
        try:
            return await self._do(Fields(raw)) or {}
        except ActionError:
            raise
        except NotOfferedError as exc:
            raise ActionError("not_offered", as_sentence(str(exc))) from None
        except LookupError as exc:
            raise ActionError("not_found", as_sentence(_words(exc))) from None
        except TimeoutError:
            raise ActionError("no_response", "The application did not respond.") from None
        except Exception as exc:  # the seam to the page: one action's failure ends nothing else
            _log.exception("an action of the demo's page failed")
            raise ActionError(
                "failed", "Something went wrong inside the demo. Try again, or start the demo anew."
            ) from exc

    async def _do(self, fields: Fields) -> Json | None:
        wanted = fields.text("do", most=50)
        if wanted == "fault":
            await self._panel.set(fields.text("control", most=50), fields.any("value"))
            return None
        act = self._known.get(wanted)
        if act is None:
            raise ActionError("bad_request", "The demo knows no such action.")
        return await act(fields, self._person(fields))

    # Who and where

    def _person(self, fields: Fields) -> Person:
        wanted = fields.key("person")
        for person in self._demo.places.people:
            if person.id == wanted:
                return person
        raise ActionError("not_found", "There is no such person.")

    def _channel(self, fields: Fields, person: Person) -> Channel:
        channel = self._world.channels.get(fields.key("channel"))
        if channel is None or not person.may_see(channel):
            raise ActionError("not_found", "There is no such channel.")
        return channel

    def _message(self, fields: Fields, person: Person) -> Message:
        wanted = fields.key("message")
        for channel in self._world.channels.values():
            message = channel.messages.get(wanted) or channel.hidden.get(wanted)
            if message is not None and person.sees(message):
                return message
        raise ActionError("not_found", "That message is no longer there.")

    def _files(self, fields: Fields) -> list[tuple[str, bytes]]:
        found = []
        for key in fields.texts("files"):
            upload = self._uploads.get(key)
            if upload is None:
                raise ActionError("not_found", "A file is no longer there: please add it again.")
            found.append(upload)
        return found

    # Messages

    async def _say(self, fields: Fields, person: Person) -> Json:
        channel, files = self._channel(fields, person), self._files(fields)
        said = await person.say(channel, _said(fields), files=files)
        return self._sent(said, fields)

    async def _reply(self, fields: Fields, person: Person) -> Json:
        message, files = self._message(fields, person), self._files(fields)
        ping = fields.flag("ping")
        said = await person.reply(message, _said(fields), ping=ping, files=files)
        return self._sent(said, fields)

    def _sent(self, said: Message, fields: Fields) -> Json:
        self._uploads.used(fields.texts("files"))
        return {"message": str(said.id)}

    async def _edit(self, fields: Fields, person: Person) -> None:
        await person.edit(self._message(fields, person), _said(fields))

    async def _delete(self, fields: Fields, person: Person) -> None:
        await person.delete(self._message(fields, person))

    async def _react(self, fields: Fields, person: Person) -> None:
        message, emoji = self._message(fields, person), fields.text("emoji", most=100)
        await person.react(message, emoji, add=fields.flag("add"))

    async def _type(self, fields: Fields, person: Person) -> None:
        await person.type_in(self._channel(fields, person))

    async def _history(self, fields: Fields, person: Person) -> Json:
        channel = self._channel(fields, person)
        limit = fields.number("limit", default=MAX_HISTORY, most=MAX_HISTORY)
        return self._view.window(channel, before=fields.key("before"), limit=limit, person=person)

    async def _thread(self, fields: Fields, person: Person) -> Json:
        on_message = fields.any("message") is not None
        where = self._message(fields, person) if on_message else self._channel(fields, person)
        thread = await person.start_thread(where, fields.text("name"))
        return {"channel": str(thread.id)}

    async def _post(self, fields: Fields, person: Person) -> Json:
        channel, files = self._channel(fields, person), self._files(fields)
        said = await person.post(channel, fields.text("title"), _said(fields), files=files)
        return self._sent(said, fields) | {"channel": str(said.channel.id)}

    # Commands, components, modals

    async def _slash(self, fields: Fields, person: Person) -> Json:
        channel, options = self._channel(fields, person), fields.values("options")
        command = fields.text("command", most=200)
        given = {name: self._given(each) for name, each in options.items()}
        used = await person.slash(channel, command, **given)
        self._uploads.used([each for each in options.values() if isinstance(each, str)])
        return await self._acknowledged(used)

    def _given(self, value: object) -> object:
        """Return an option's value, with the file in place of an upload's id."""
        upload = self._uploads.get(value) if isinstance(value, str) else None
        return value if upload is None else upload

    async def _autocomplete(self, fields: Fields, person: Person) -> Json:
        channel, typed = self._channel(fields, person), fields.text("typed", "")
        command, option = fields.text("command", most=200), fields.text("option", most=50)
        others = {name: each for name, each in fields.values("options").items() if name != option}
        choices = await person.autocomplete(channel, command, option, typed, **others)
        return {"choices": [{"name": each["name"], "value": each["value"]} for each in choices]}

    async def _menu(self, fields: Fields, person: Person) -> Json:
        command = fields.text("command", most=50)
        if fields.any("message") is not None:
            used = await person.context_menu(self._message(fields, person), command)
            return await self._acknowledged(used)
        channel, wanted = self._channel(fields, person), fields.key("user")
        user = self._world.users.get(wanted)
        if user is None:
            raise ActionError("not_found", "There is no such person.")
        target = Person(self._world, user)
        return await self._acknowledged(await person.context_menu(target, command, channel))

    async def _press(self, fields: Fields, person: Person) -> Json:
        message = self._message(fields, person)
        wanted = fields.text("custom_id", most=100)
        return await self._acknowledged(await person.click(message, wanted))

    async def _choose(self, fields: Fields, person: Person) -> Json:
        message, wanted = self._message(fields, person), fields.text("custom_id", most=100)
        used = await person.select(message, wanted, fields.texts("values"))
        return await self._acknowledged(used)

    async def _submit(self, fields: Fields, person: Person) -> Json:
        opened = self._modals.get(fields.text("interaction", most=20))
        if opened is None or opened.user is not person.user:
            raise ActionError("not_found", "That form is no longer open.")
        texts = {name: str(each) for name, each in fields.values("fields").items()}
        return await self._acknowledged(await person.submit(opened, texts))

    async def _acknowledged(self, used: Interaction) -> Json:
        """Wait for the bot's acknowledgement, as long as Discord does.

        Raises:
            TimeoutError: It doesn't come.
        """
        await used.wait_response(timeout_s=ACK_WITHIN_S)
        if used.modal is not None:
            self._modals[str(used.id)] = used
        return {
            "interaction": str(used.id),
            "response": _RESPONSES.get(used.response_type or 0, "update"),
            "message": str(used.message.id) if used.message is not None else None,
            "modal": used.modal,
        }


def _said(fields: Fields) -> str:
    text = fields.text("text", "")
    if len(text) > MAX_CONTENT_CHARS:
        raise ActionError(
            "too_large",
            f"Discord takes {MAX_CONTENT_CHARS:,} characters a message, and this has {len(text):,}.",
        )
    return text


def _words(exc: LookupError) -> str:
    return str(exc.args[0]) if exc.args and isinstance(exc.args[0], str) else "it is not there"


def as_sentence(words: str) -> str:
    """Return a refusal as a sentence: a capital at its beginning, a full stop at its end."""
    return words[:1].upper() + words[1:].rstrip(".") + "."
