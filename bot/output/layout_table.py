"""Tables as Discord can show them: aligned in a block, or as a list where that is too wide."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from bot.output.layout_math import with_formulas

WIDTH: Final = 60
"""Widest block, in columns; phones wrap what is wider."""

_RULE: Final = re.compile(r"\|?[ \t]{0,20}+(?::?-{1,99}+:?[ \t|]{0,20}+){1,40}+\Z")
_CODE: Final = re.compile(r"``(?!`)(?:[^`]|`(?!`)|`{3,9}+){1,300}+``|`[^`]{1,300}+`")
_SPOILER: Final = r"(?<![^\s|])\|\|(?=[^\s|])[^|]{1,200}+(?<=\S)\|\|(?!\S)"
_CELL: Final = re.compile(
    rf"{_CODE.pattern}|(?<=\s){_SPOILER}|<[|｜][^|｜\s<>]{{1,48}}[|｜]>|\\.|[^|]|\|", re.DOTALL
)
_SLANTED: Final = re.compile(
    r"(?<![\w*_`\\])(?:\*([^\s*_`][^*_`]{0,200}+)(?<=\S)\*|_([^\s*_`][^*_`]{0,200}+)(?<=\S)_)(?![\w*_`])"
)
_LIVE: Final = re.compile(rf"\]\(|<(?:[@#:]|[at]:)|{_SPOILER}")
"""What a reader wants drawn, or hidden: links, mentions, emoji, times and spoilers stay out of code."""

_JOINER: Final = "\u200d"
_EMOJI_FORM: Final = "\ufe0f"
_SKIN_TONES: Final = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_BREAK: Final = re.compile(r"<br ?/?>", re.IGNORECASE)


def is_rule(line: str) -> bool:
    """Return whether a line is the one below a table's header."""
    return "-" in line and _RULE.match(line) is not None


def rules_off(rule: str, header: str) -> bool:
    """Return whether a line is the one below a header without a bar in front of it."""
    return "|" in rule and is_rule(rule) and len(_cells(rule)) == len(_cells(header))


def shown_table(header: str, lines: Sequence[str], *, lead: str) -> str:
    """Return a table as a block or a list, without a line's end.

    Args:
        header: The first line, or that of the part before; a rule where there is no header.
        lines: The lines below it.
        lead: What stands before each line, if it is in a quote, and before the first, if it is in a list.
    """
    head = [] if is_rule(header) else _cells(header)
    rows = [_cells(line) for line in lines if not is_rule(line)]
    columns = max(map(len, [head, *rows]))
    table = [[*cells, *[""] * (columns - len(cells))] for cells in (head, *rows)]
    plain = [[_plain(cell) for cell in row] for row in table]
    widths = [max(map(width, column)) for column in zip(*plain, strict=True)]
    is_live = any(_LIVE.search(cell) for row in plain for cell in row)
    if not any(map(any, plain)):
        return "\n".join(lead + line for line in (header, *lines))
    if lead or is_live or sum(widths) + 3 * (columns - 1) > WIDTH:
        first, *others = _list(table[0], table[1:])
        quote = lead[: lead.rfind(">") + 1]
        further = lead if lead.endswith(" ") and quote == lead.rstrip() else quote.ljust(len(lead))
        return "\n".join([lead + first, *(further + line for line in others)])
    rule = "-+-".join("-" * size for size in widths)
    body = [_aligned(row, widths) for row in plain]
    shown = [body[0], rule, *body[1:]] if any(plain[0]) else body[1:]
    return "\n".join(["```", *shown, "```"])


def width(text: str) -> int:
    """Return how many columns a text takes: wide characters two, those that join another one none."""
    columns, before = 0, ""
    for char in text:
        if char == _EMOJI_FORM:
            columns += 1 if unicodedata.east_asian_width(before or "W") not in "WF" else 0
        elif before != _JOINER and not _is_joined(char):
            columns += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        before = char
    return columns


def _is_joined(char: str) -> bool:
    """Return whether a character is drawn into the one before it."""
    return unicodedata.category(char) in {"Mn", "Me", "Cf"} or char in _SKIN_TONES


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True)]
    return " | ".join(cells).rstrip()


def _list(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    title = " · ".join(filter(None, (cell.replace("**", "") for cell in head)))
    lines = [f"**{title}**"] if title else []
    for row in rows:
        cells = [
            f"{name.replace('**', '')}: {cell}" if index and name else cell
            for index, (name, cell) in enumerate(zip(head, row, strict=True))
            if cell
        ]
        lines.append("- " + " · ".join(cells))
    return lines


def _cells(line: str) -> list[str]:
    line = line.strip()
    cells = [""]
    for piece in _CELL.findall(line.removeprefix("|")):
        if piece == "|":
            cells.append("")
        else:
            cells[-1] += piece.replace(r"\|", "|")
    if len(cells) > 1 and not cells[-1].strip():
        cells.pop()
    return [with_formulas(_BREAK.sub(" ", cell)).strip() for cell in cells]


def _plain(cell: str) -> str:
    """Return a cell as a block shows it: without marks of emphasis and code, but for those in code."""
    shown, position = "", 0
    for code in _CODE.finditer(cell):
        signs = 2 if code[0].startswith("``") else 1
        shown += _unmarked(cell[position : code.start()])
        shown += code[0][signs:-signs].replace("```", "`` `")
        position = code.end()
    return " ".join((shown + _unmarked(cell[position:])).split())


def _unmarked(text: str) -> str:
    bold = text.replace("**", "").replace("~~", "")
    shown = _SLANTED.sub(lambda found: found[1] or found[2], bold)
    return shown.replace("`", "")
