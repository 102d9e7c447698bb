"""A conversation's messages as rows of a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.styles import Style

from bot.core.wording import counted
from bot.demo.terminal.chat import Chat, Note
from bot.demo.terminal.markdown import Line, drawn, safe, wrapped
from sandbox.discord import Message
from sandbox.discord.values.components import SELECTS, walk
from sandbox.discord.values.json_objects import JsonObject

STYLE: Final = Style.from_dict(
    {
        "you": "bold ansigreen",
        "bot": "bold ansiblue",
        "small": "ansibrightblack",
        "note": "italic",
        "code": "ansimagenta",
        "spoiler": "reverse",
        "button": "reverse",
        "button.chosen": "reverse bold ansigreen",
        "status": "reverse",
        "dialog": "",
        "dialog.body": "noinherit",
        "dialog.body text-area": "noinherit underline",
        "dialog shadow": "",
        "dialog frame.label": "bold",
        "button.arrow": "",
        "button.focused": "reverse bold ansigreen",
        "pygments.keyword": "ansiblue",
        "pygments.name.function": "bold",
        "pygments.name.class": "bold",
        "pygments.literal.string": "ansigreen",
        "pygments.literal.number": "ansicyan",
        "pygments.comment": "italic ansibrightblack",
    }
)
"""The terminal's own palette: readable where it is dark and where it is light."""
ONLY_YOU: Final = Line([("class:small", "Only you can see this message.")])


def rows_of(
    item: Message | Note, chat: Chat, width: int, chosen: str = ""
) -> list[StyleAndTextTuples]:
    """Return a message or note as rows, and an empty one after it.

    Args:
        item: What is drawn.
        chat: Whose view it is.
        width: Columns.
        chosen: The id of the button or menu that Enter would use.
    """
    lines = [*_head(item, chat), *content(item, chat)]
    if isinstance(item, Message) and item.ephemeral:
        lines.append(ONLY_YOU)
    if isinstance(item, Message):
        lines += [
            _menu(part, chat, chosen) for part in walk(item.components) if part["type"] in SELECTS
        ]
        lines += [_buttons(item, chosen)] if item.buttons else []
    return [row for line in lines for row in wrapped(line, width)] + [[]]


def content(item: Message | Note, chat: Chat) -> list[Line]:
    """Return what a message says, with its files."""
    now = chat.discord.world.now()
    if isinstance(item, Note):
        lines = drawn(item.text, chat.name_of, now)
        return lines if item.is_own else [line.styled("class:note") for line in lines]
    if item.loading:
        return [_small(f"{item.author.display_name} is thinking …")]
    lines = drawn(item.content, chat.name_of, now) if item.content else []
    lines += [
        _small(f"[file] {each.filename}, {_size(len(each.data))}") for each in item.attachments
    ]
    if item.reactions:
        lines.append(
            _small("  ".join(f"{each} {len(who)}" for each, who in item.reactions.items()))
        )
    return lines


def _head(item: Message | Note, chat: Chat) -> list[Line]:
    if isinstance(item, Note):
        return [Line([("class:you", "You")])] if item.is_own else []
    at = datetime.fromtimestamp(item.created_unix_s, UTC).astimezone()
    is_own = item.author is chat.person.user
    who = ("class:you", "You") if is_own else ("class:bot", safe(item.author.display_name))
    return [Line([who, ("class:small", f"  {at:%H:%M}")])]


def _buttons(item: Message, chosen: str) -> Line:
    shown: StyleAndTextTuples = []
    for part in item.buttons:
        style = "class:button.chosen" if part.get("custom_id") == chosen else "class:button"
        label = safe(str(part.get("label") or "?")).replace(" ", "\xa0")
        shown += [(style, f"\xa0{label}\xa0"), ("", " ")]
    return Line(shown)


def _menu(part: JsonObject, chat: Chat, chosen: str) -> Line:
    named = [each.label for each in chat.options(part) if each.is_chosen]
    label = ", ".join(named) or str(part.get("placeholder") or "Make a selection")
    style = "class:button.chosen" if part.get("custom_id") == chosen else "class:button"
    return Line([(style, f" {safe(label)} ▾ ".replace("\n", " "))])


def _small(text: str) -> Line:
    return Line([("class:small", safe(text).replace("\n", " "))])


def _size(count: int) -> str:
    return counted(count, "byte") if count < 1000 else f"{count / 1000:,.0f} kB"
