"""What opens over the conversation: a menu to choose from, and a bot's form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.layout import (
    Container,
    Dimension,
    FormattedTextControl,
    HSplit,
    ScrollbarMargin,
    Window,
)
from prompt_toolkit.layout.containers import AnyContainer
from prompt_toolkit.widgets import Button, Dialog, Label, TextArea

from bot.demo.terminal.markdown import safe
from sandbox.discord.values.components import LABEL, TEXT_INPUT
from sandbox.discord.values.json_objects import JsonObject

Values = dict[str, str | list[str]]
"""What was filled in, by custom id."""
PARAGRAPH: Final = 2
"""The style of a long text input (Discord: "Component reference")."""
COLUMNS: Final = 64
LIST_ROWS: Final = 8
TEXT_ROWS: Final = 6


@dataclass(frozen=True, slots=True)
class Option:
    """One of those to choose from.

    Attributes:
        value: What the bot gets.
        label: What the person reads.
        detail: More about it.
        is_chosen: Chosen from the beginning.
    """

    value: str
    label: str
    detail: str = ""
    is_chosen: bool = False


class _Field(Protocol):
    """A part of a form that is filled in."""

    def read(self) -> str | list[str]: ...

    def __pt_container__(self) -> Container: ...


class Picker:
    """A list of options: arrow keys go through it, the space bar chooses.

    Args:
        options: All of them.
        least: How many must be chosen.
        most: How many may be; the only one moves with the arrow keys.
        done: Called by Enter.
    """

    def __init__(
        self, options: Sequence[Option], *, least: int, most: int, done: Callable[[], None]
    ) -> None:
        self._options = options
        self._least, self._most, self._done = least, most, done
        self._chosen = {at for at, each in enumerate(options) if each.is_chosen}
        self._at = min(self._chosen, default=0)
        rows = max(1, min(len(options), LIST_ROWS))
        self._window = Window(
            FormattedTextControl(
                self._rows, focusable=True, key_bindings=self._keys(), show_cursor=False
            ),
            height=Dimension(min=1, preferred=rows, max=rows),
            dont_extend_height=True,
            right_margins=[ScrollbarMargin(display_arrows=True)],
        )

    def __pt_container__(self) -> Container:
        return self._window

    def read(self) -> list[str]:
        """Return the values that are chosen."""
        return [each.value for at, each in enumerate(self._options) if at in self._chosen]

    def _rows(self) -> StyleAndTextTuples:
        rows: StyleAndTextTuples = []
        for at, each in enumerate(self._options):
            mark = "x" if at in self._chosen else " "
            box = f"[{mark}]" if self._most > 1 else f"({mark})"
            style = "class:button.chosen" if at == self._at else ""
            if at == self._at:
                rows.append(("[SetCursorPosition]", ""))
            rows += [
                (style, f"{box} {_line(each.label)}"),
                ("class:small", f" {_line(each.detail)}\n"),
            ]
        return rows or [("class:small", "There is nothing to choose from.")]

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        keys.add("up")(lambda _: self._move(-1))
        keys.add("down")(lambda _: self._move(1))
        keys.add(" ")(lambda _: self._toggle())
        keys.add("enter")(lambda _: self._enter())
        return keys

    def _move(self, step: int) -> None:
        self._at = max(0, min(self._at + step, len(self._options) - 1))

    def _toggle(self) -> None:
        if self._at in self._chosen and len(self._chosen) > self._least:
            self._chosen.remove(self._at)
        elif self._most == 1:
            self._chosen = {self._at}
        elif len(self._chosen) < self._most:
            self._chosen.add(self._at)

    def _enter(self) -> None:
        if self._most == 1 and self._options:
            self._chosen = {self._at}
        if len(self._chosen) >= self._least:
            self._done()


class _Text:
    """A text that is typed."""

    def __init__(self, part: JsonObject) -> None:
        is_long = part.get("style") == PARAGRAPH
        self._area = TextArea(
            str(part.get("value") or ""),
            multiline=is_long,
            height=TEXT_ROWS if is_long else 1,
            scrollbar=is_long,
        )

    def __pt_container__(self) -> Container:
        return self._area.__pt_container__()

    def read(self) -> str:
        """Return the text."""
        return self._area.text


def menu(
    title: str,
    options: Sequence[Option],
    sizes: tuple[int, int],
    done: Callable[[list[str]], None],
) -> Dialog:
    """Return a select menu that is open.

    Args:
        title: Above it.
        options: What it offers.
        sizes: How many must and may be chosen.
        done: Called with the values that were chosen.
    """
    least, most = sizes
    picker = Picker(options, least=least, most=most, done=lambda: done(picker.read()))
    keys = "↑↓: move   Enter: choose" if most == 1 else "↑↓: move   Space: mark   Enter: done"
    hint = Label([("class:small", f"{keys}   Esc: close")])
    return _window(title, [picker, hint])


def form(
    modal: JsonObject,
    options_of: Callable[[JsonObject], Sequence[Option]],
    done: Callable[[Values], None],
    cancel: Callable[[], None],
) -> Dialog:
    """Return a bot's form.

    Args:
        modal: As the bot sent it.
        options_of: What a select menu in it offers.
        done: Called with what was filled in.
        cancel: Called by its button.
    """
    body: list[AnyContainer] = []
    fields: dict[str, _Field] = {}
    for label, part in _parts(modal):
        needed = part.get("required", True)
        field: _Field = (
            _Text(part)
            if part["type"] == TEXT_INPUT
            else Picker(
                options_of(part),
                least=part.get("min_values", 1) if needed else 0,
                most=part.get("max_values", 1),
                done=lambda: None,
            )
        )
        fields[part["custom_id"]] = field
        body += [Label(f"{_line(label)}{' *' if needed else ''}", style="bold"), field]
    body.append(Label([("class:small", "Tab: go on   Enter: press   Esc: close")]))

    def submit() -> None:
        done({name: field.read() for name, field in fields.items()})

    buttons = [Button("Submit", submit), Button("Cancel", cancel)]
    return _window(str(modal["title"]), body, buttons)


def _parts(modal: JsonObject) -> list[tuple[str, JsonObject]]:
    """Return what is filled in, each with its label."""
    found = []
    for part in modal["components"]:
        inner = [part["component"]] if part["type"] == LABEL else part.get("components", ())
        found += [(str(part.get("label") or each.get("label") or ""), each) for each in inner]
    return found


def _window(title: str, body: Sequence[AnyContainer], buttons: Sequence[Button] = ()) -> Dialog:
    return Dialog(
        HSplit(list(body)),
        title=_line(title),
        buttons=list(buttons),
        width=Dimension(max=COLUMNS, preferred=COLUMNS),
    )


def _line(text: str) -> str:
    return safe(text).replace("\n", " ")
