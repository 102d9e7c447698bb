"""The terminal as a full screen: the conversation, a line that says what is going on, and the input."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Point
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.layout import (
    BufferControl,
    CompletionsMenu,
    Dimension,
    Float,
    FloatContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    UIContent,
    UIControl,
    Window,
)
from prompt_toolkit.mouse_events import MouseEvent, MouseEventType
from prompt_toolkit.widgets import Dialog

from bot.core.tasks import TaskOwner
from bot.demo.terminal.chat import GOODBYE, Chat
from bot.demo.terminal.commands import CommandCompleter, read
from bot.demo.terminal.drawing import STYLE, rows_of
from bot.demo.terminal.forms import Values, form, menu
from bot.demo.terminal.markdown import safe
from sandbox.discord import Interaction, Message
from sandbox.discord.values.components import BUTTON
from sandbox.discord.values.json_objects import JsonObject

INPUT_ROWS: Final = 8
MENU_ROWS: Final = 8
WHEEL_ROWS: Final = 3
REDRAW_S: Final = 1.0
"""Seconds between drawings while nothing happens, for times such as "3 seconds ago"."""
RELATIVE: Final = ":R>"


class _View(UIControl):
    """The conversation, of which the window shows the end unless it was scrolled back."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        self._drawn: dict[int, tuple[object, list[StyleAndTextTuples]]] = {}
        self._top: int | None = None
        self._last_top = 0
        self._height = 1
        self.chosen = ""

    def rows(self, width: int) -> list[StyleAndTextTuples]:
        """Return the whole conversation at a width in columns."""
        rows: list[StyleAndTextTuples] = []
        kept = {}
        for item in self._chat.view():
            key = width, self.chosen, _state(item, self._chat)
            found = self._drawn.get(item.id)
            if found is None or found[0] != key:
                found = key, rows_of(item, self._chat, width, self.chosen)
            kept[item.id] = found
            rows += found[1]
        self._drawn = kept
        return rows

    def create_content(self, width: int, height: int) -> UIContent:
        """Return the rows that are in sight."""
        rows = self.rows(width)
        self._height = height
        self._last_top = max(0, len(rows) - height)
        top = self._last_top if self._top is None else min(self._top, self._last_top)
        seen = rows[top : top + height]
        return UIContent(seen.__getitem__, len(seen), Point(0, 0), show_cursor=False)

    def follow(self) -> None:
        """Go to the end, and stay there."""
        self._top = None

    def scroll(self, rows: int) -> None:
        """Go down, or with a negative number up."""
        top = (self._last_top if self._top is None else self._top) + rows
        self._top = max(0, top) if top < self._last_top else None

    def page(self, pages: int) -> None:
        """Go down by screens, or with a negative number up."""
        self.scroll(pages * max(1, self._height - 2))

    def mouse_handler(self, mouse_event: MouseEvent) -> None:
        """Scroll with the wheel."""
        if mouse_event.event_type is MouseEventType.SCROLL_UP:
            self.scroll(-WHEEL_ROWS)
        elif mouse_event.event_type is MouseEventType.SCROLL_DOWN:
            self.scroll(WHEEL_ROWS)


def _state(item: object, chat: Chat) -> object:
    if not isinstance(item, Message):
        return None
    second = int(chat.discord.world.now()) if RELATIVE in item.content else 0
    return len(item.versions), sum(map(len, item.reactions.values())), second


class Screen:
    """A full screen in front of a chat.

    Args:
        chat: What is shown and acted on.
        online: Returns when the bot is online; until then what is typed waits.
    """

    def __init__(self, chat: Chat, online: Coroutine[Any, Any, None]) -> None:
        self._chat = chat
        self._online = asyncio.get_running_loop().create_task(online, name="online")
        self._tasks = TaskOwner()
        self._view = _View(chat)
        self._hint = ""
        self._input = Buffer(
            completer=CommandCompleter(chat.commands, chat.suggest),
            complete_while_typing=Condition(lambda: self._input.text.startswith("/")),
            multiline=True,
            on_text_changed=lambda _: self._edited(),
        )
        self._floats: list[Float] = []
        self._app: Application[None] = Application(
            layout=Layout(self._container()),
            key_bindings=self._keys(),
            style=STYLE,
            include_default_pygments_style=False,
            full_screen=True,
            mouse_support=True,
            refresh_interval=REDRAW_S,
        )
        chat.on_change = self._app.invalidate
        chat.on_form = self._show_form
        chat.discord.world.subscribe(lambda _: self._app.invalidate())

    async def run(self) -> None:
        """Show it until the person leaves.

        Raises:
            DependencyError: The bot didn't come online.
        """
        self._online.add_done_callback(self._came_online)
        try:
            with _logged(self._chat.note):
                await self._app.run_async(handle_sigint=False, set_exception_handler=False)
        finally:
            self._online.cancel()
            await self._tasks.cancel()

    def _came_online(self, online: asyncio.Future[None]) -> None:
        if not online.cancelled() and (failed := online.exception()) is not None:
            self._leave(failed)
        self._app.invalidate()

    def _leave(self, failed: BaseException | None = None) -> None:
        if self._app.future is None or self._app.future.done():
            return
        if failed is None:
            self._app.exit()
        else:
            self._app.exit(exception=failed)

    def _container(self) -> FloatContainer:
        typed = Window(
            BufferControl(self._input),
            height=Dimension(min=1, max=INPUT_ROWS),
            dont_extend_height=True,
            wrap_lines=True,
            get_line_prefix=lambda number, wraps: "  " if number or wraps else "> ",
        )
        status = Window(FormattedTextControl(self._status), height=1, style="class:status")
        suggested = Float(CompletionsMenu(MENU_ROWS, scroll_offset=1), xcursor=True, bottom=2)
        self._floats.append(suggested)
        return FloatContainer(HSplit([Window(self._view), typed, status]), self._floats)

    def _status(self) -> str:
        if not self._app.layout.has_focus(self._input):
            return " Esc: back to the conversation"
        if self._hint:
            return f" {self._hint}"
        if not self._online.done():
            return " Clawbot is starting …"
        if self._chat.is_busy():
            return " Clawbot is busy with your question.   Ctrl-C: stop it"
        return " Enter: send   /: commands   Tab: buttons   PgUp, PgDn: scroll   Ctrl-D: leave"

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        is_typing = has_focus(self._input)
        is_empty = is_typing & Condition(lambda: not self._input.text)
        has_text = is_typing & ~is_empty
        keys.add("enter", filter=is_typing)(lambda _: self._enter())
        keys.add("escape", "enter", filter=is_typing)(lambda _: self._input.insert_text("\n"))
        keys.add("c-c", filter=is_typing)(lambda _: self._interrupt())
        keys.add("c-d", filter=is_empty)(lambda _: self._leave())
        keys.add("tab", filter=is_empty)(lambda _: self._choose(1))
        keys.add("s-tab", filter=is_empty)(lambda _: self._choose(-1))
        keys.add("tab", filter=has_text)(lambda _: self._complete(self._input.complete_next))
        keys.add("s-tab", filter=has_text)(lambda _: self._complete(self._input.complete_previous))
        keys.add("escape", filter=~is_typing, eager=True)(lambda _: self._close())
        keys.add("c-c", filter=~is_typing)(lambda _: self._close())
        keys.add("pageup")(lambda _: self._view.page(-1))
        keys.add("pagedown")(lambda _: self._view.page(1))
        return keys

    # What keys do

    def _enter(self) -> None:
        text = self._input.text
        chosen = self._view.chosen
        if not text.strip():
            if control := next(
                (each for each in self._chat.controls() if each[1]["custom_id"] == chosen), None
            ):
                self._use(*control)
            self._input.reset()
            self._edited()
        elif text.strip() in GOODBYE:
            self._leave()
        elif missing := self._missing(text):
            self._ask_for(missing)
        else:
            self._input.append_to_history()
            self._input.reset()
            self._view.follow()
            self._start(lambda: self._chat.take(text))

    def _use(self, message: Message, part: JsonObject) -> None:
        """Press a button, or open a menu."""
        if part["type"] == BUTTON:
            self._start(lambda: self._chat.press(message, part))
            return

        def choose(values: list[str]) -> None:
            self._close()
            self._start(lambda: self._chat.choose(message, part, values))

        sizes = part.get("min_values", 1), part.get("max_values", 1)
        title = str(part.get("placeholder") or "Options")
        self._open(menu(title, self._chat.options(part), sizes, choose))

    def _show_form(self, opened: Interaction) -> None:
        def submit(values: Values) -> None:
            self._close()
            self._start(lambda: self._chat.submit(opened, values))

        self._open(form(opened.modal or {}, self._chat.options, submit, self._close))

    def _open(self, over: Dialog) -> None:
        """Put something over the conversation, with the keys' focus in it."""
        self._close()
        self._floats.append(Float(over))
        self._app.layout.focus(over)
        self._app.invalidate()

    def _close(self) -> None:
        del self._floats[1:]
        self._app.layout.focus(self._input)

    def _missing(self, text: str) -> JsonObject | None:
        return read(text, self._chat.commands()).missing if text.startswith("/") else None

    def _ask_for(self, option: JsonObject) -> None:
        """Let the person fill in an option that the command needs."""
        name, text = f"{option['name']}:", self._input.text.rstrip()
        self._input.text = text if text.endswith(name) else f"{text} {name}"
        self._input.cursor_position = len(self._input.text)
        self._input.start_completion()
        self._hint = safe(f"{name} {option['description']} (required)").replace("\n", " ")

    def _interrupt(self) -> None:
        if self._input.text:
            self._input.reset()
            self._edited()
        elif self._chat.is_busy():
            self._start(self._chat.stop)
        else:
            self._leave()

    def _complete(self, go_on: Callable[[], None]) -> None:
        state = self._input.complete_state
        if state is not None and state.completions:
            go_on()
        else:
            self._input.start_completion(select_first=True)

    def _choose(self, step: int) -> None:
        """Choose a button or menu of the newest message that has some."""
        controls = self._chat.controls()
        ids = [part["custom_id"] for message, part in controls if message is controls[0][0]]
        if ids:
            at = ids.index(self._view.chosen) + step if self._view.chosen in ids else min(step, 0)
            self._view.chosen = ids[at % len(ids)]
            kind = next(
                part["type"] for _, part in controls if part["custom_id"] == ids[at % len(ids)]
            )
            use = "press the button" if kind == BUTTON else "open the menu"
            self._hint = f"Enter: {use}   Tab: the next one"

    def _edited(self) -> None:
        self._view.chosen = self._hint = ""

    def _start(self, act: Callable[[], Awaitable[None]]) -> None:
        async def when_online() -> None:
            await asyncio.shield(self._online)
            await act()

        self._tasks.start(when_online(), name="typed")


@contextmanager
def _logged(note: Callable[[str], None]) -> Iterator[None]:
    """Show the log's lines as notes: on standard error they would run over the screen."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, [_Notes(note)]
    try:
        yield
    finally:
        root.handlers = before


class _Notes(logging.Handler):
    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        self._note(f"The bot's log says: {record.getMessage()}")
