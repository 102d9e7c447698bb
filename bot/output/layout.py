"""Turns what Discord doesn't draw into what it does, while the text is still arriving.

Tables become an aligned block, or a list where they are too wide; headings of level four and deeper
become bold; formulas become readable text; fences of tildes become fences of backticks, and backticks
inside a longer fence are broken, so that they don't end it. Code is left alone.
Source: Discord "Markdown text 101", which knows none of these.
"""

from __future__ import annotations

import re
from typing import Final

from bot.core.fences import FENCE_SIGNS, TAIL_CHARS, Context
from bot.output.layout_math import is_formula, shown_formula, with_formulas
from bot.output.layout_table import is_rule, rules_off, shown_table

_SPECIAL: Final = re.compile(r"[`\\$\n]")
_LEAD: Final = re.compile(r"[ \t>]{0,40}+")
_ITEM: Final = re.compile(r"(?:[-*+]|\d{1,3}[.)])[ \t]{1,4}+(?=[#|]|\Z)")
_HASHES: Final = re.compile(r"#{1,8}+")
_CODED_TITLE: Final = re.compile(r"(?!`[^`]*`\Z)(?:[^`*]++|\*(?!\*)|`[^`*]++`)++")
"""A heading that can be made bold around its code, and is more than that."""

_IN_FENCE: Final = re.compile(r"[`\n]")
_TICKS_CHARS: Final = 80
"""Longest run of backticks that is read as one; what a longer one has beyond that is left out."""

_TICKS: Final = re.compile(r"`{1,80}+")
_MORE_TICKS: Final = re.compile(r"`*+")
_AROUND_SIGNS: Final = frozenset(["()", "[]", '""', "''", "“”", "„“", "‘’", "«»", "「」", "（）"])
"""What stands around backticks that a sentence speaks of."""

_BEFORE_TILDES: Final = frozenset("~ \t>-*+0123456789")
"""What a line of tildes begins with: itself, or a quote or a list that it is in."""

_CLOSERS: Final = {r"\(": r"\)", r"\[": r"\]", "$$": "$$"}
_BEFORE_GROUPS: Final = frozenset("/\\\"'])}^")
"""What stands in front of a group or a bracket of a search pattern, besides letters and digits."""

_DOCUMENT: Final = r"\documentclass"
_ENVIRONMENT: Final = re.compile(
    r"\\begin(\{(?:equation|align(?:ed|at)?|gather(?:ed)?|multline|eqnarray|split)\*?\})"
)
"""What begins a formula on lines of its own, without brackets or dollar signs around it."""

_BEGIN_CHARS: Final = 20
_BOXED: Final = r"\boxed{"
_BOXED_CHARS: Final = 400
_BRACE: Final = re.compile(r"\\.|[{}]|\n\n", re.DOTALL)
_FORMULA_CHARS: Final = {r"\(": 400, r"\[": 1200, "$$": 1200}
_DOLLAR_CHARS: Final = 120
_HEADING_CHARS: Final = 300
_HEADER_CHARS: Final = 300
_CELL_CHARS: Final = 32
"""How much of a line is held to see whether a bar ends its first cell."""

_NO_CELL: Final = re.compile(r"#|>|[-*+] |\d{1,3}[.)] |~~~|```|\$\$|\\[(\[]")
"""What no line of a table begins with."""

_RULE_SIGNS: Final = "|:- \t"
_TABLE_CHARS: Final = 3000
"""Longest part of a table that is laid out at once."""

_LEAST_LINES: Final = 3
"""A header, the rule below it and a row."""


class DiscordLayout:
    """Reads text that arrives in pieces; what it has given out stays as it is.

    Args:
        holds_first_line: Hold the first line until it is known whether it begins a table.
    """

    def __init__(self, *, holds_first_line: bool = False) -> None:
        self._holds_lines = holds_first_line
        self._is_barred = False
        self._buf = ""
        self._pos = 0
        self._ended = False
        self._out: list[str] = []
        self._line_start = True
        self._context = Context()
        self._header: str | None = None
        self._is_in_run = False
        self._is_document = False

    @property
    def has_rows(self) -> bool:
        """Whether a table is held that has rows already."""
        if not self._line_start or self._buf.count("\n") < _LEAST_LINES:
            return False
        return self._header is not None or is_rule(_bare(self._buf.split("\n", 2)[1]))

    def rows_so_far(self) -> str:
        """Return the whole rows of a table that is held, laid out; they may change with the next."""
        if not self.has_rows:
            return ""
        first, *lines = self._buf[: self._buf.rfind("\n")].split("\n")
        start = _row_start(first, 0)
        rows = [first[start:].strip(), *map(_bare, lines)]
        header = self._header if self._header is not None else rows.pop(0)
        return shown_table(header, rows, lead=_kept_lead(first[:start]))

    def feed(self, text: str, *, ended: bool = False) -> str:
        """Return what can be given out now."""
        self._buf += text
        self._ended = ended
        while self._pos < len(self._buf) and self._step():
            pass
        self._buf = self._buf[self._pos :]
        self._pos = 0
        out = "".join(self._out)
        self._out.clear()
        return out

    def _step(self) -> bool:
        """Read on; return whether it got anywhere."""
        if self._is_in_run:
            return self._skip_run()
        return self._begin_line() if self._line_start else self._text()

    def _emit(self, end: int, text: str | None = None) -> bool:
        source = self._buf[self._pos : end]
        self._out.append(source if text is None else text)
        first, newline, rest = source.partition("\n")
        if first:
            self._context.read(first)
        for line in rest.split("\n") if newline else ():
            self._context.read_newline()
            self._context.read(line)
        self._pos = end
        return True

    def _text(self) -> bool:
        found = (_IN_FENCE if self._context.in_fence else _SPECIAL).search(self._buf, self._pos)
        end = found.start() if found else len(self._buf)
        if end > self._pos:
            return self._emit(end)
        char = self._buf[end]
        if char == "\n":
            self._line_start = self._holds_lines = True
            return self._emit(end + 1)
        return self._ticks() if char == "`" else self._formula(char)

    # --- lines

    def _begin_line(self) -> bool:
        is_tildes = self._tildes()
        if is_tildes or is_tildes is None:
            return is_tildes is True
        if self._context.in_fence:
            self._line_start = False
            return True
        start = _row_start(self._buf, self._pos)
        char = self._buf[start : start + 1]
        if not char and not self._ended and start - self._pos < 40:
            return False
        if char == "|":
            self._is_barred = self._holds_lines = True
            return self._table(start)
        begins_table = self._begins_table(start)
        if begins_table is None:
            return False
        if begins_table:
            self._is_barred = False
            return self._table(start)
        self._header = None
        if char == "#":
            return self._heading(start)
        if char == "\\" and not self._is_document:
            return self._document(start)
        self._line_start = False
        return True

    def _document(self, start: int) -> bool:
        """Read on, and leave every formula as it is from the first line of a document in LaTeX on."""
        line, _ = self._line(start, len(_DOCUMENT))
        if (
            len(line) < len(_DOCUMENT)
            and _DOCUMENT.startswith(self._buf[start:])
            and not self._ended
        ):
            return False
        self._is_document = line == _DOCUMENT
        self._line_start = False
        return True

    def _begins_table(self, start: int) -> bool | None:
        """Return whether a line without a bar in front belongs to a table; ``None`` until known."""
        if not self._holds_lines:
            return False
        line, is_whole = self._line(start, _HEADER_CHARS)
        if _NO_CELL.match(line):
            return False
        is_open = not is_whole and len(line) < _HEADER_CHARS
        if "|" not in line[:_CELL_CHARS]:
            return None if is_open and len(line) < _CELL_CHARS else False
        if is_open:
            return None
        if self._header is not None:
            return not self._is_barred
        return self._is_ruled_off(line, start + len(line) + 1)

    def _is_ruled_off(self, header: str, start: int) -> bool | None:
        lead = _LEAD.match(self._buf, start)
        line, is_whole = self._line(lead.end() if lead else start, _HEADER_CHARS)
        if not is_whole and len(line) < _HEADER_CHARS and not line.strip(_RULE_SIGNS):
            return None
        return is_whole and rules_off(line, header)

    def _line(self, start: int, most: int) -> tuple[str, bool]:
        """Return a line as far as it has come, and whether it is whole."""
        end = self._buf.find("\n", start, start + most)
        line = self._buf[start:end] if end >= 0 else self._buf[start : start + most]
        return line, end >= 0 or (self._ended and len(line) < most)

    def _heading(self, start: int) -> bool:
        hashes = _HASHES.match(self._buf, start)
        after = hashes.end() if hashes else start
        if after == len(self._buf) and not self._ended:
            return False
        if not 4 <= after - start <= 6 or self._buf[after : after + 1] != " ":
            self._line_start = False
            return True
        end = self._buf.find("\n", after, after + _HEADING_CHARS)
        if end < 0 and len(self._buf) - after < _HEADING_CHARS and not self._ended:
            return False
        end = end if end >= 0 else min(len(self._buf), after + _HEADING_CHARS)
        title = _title(self._buf[after:end])
        lead = self._buf[self._pos : start]
        self._line_start = False
        if not title or "\\" in title or ("`" in title and not _CODED_TITLE.fullmatch(title)):
            return self._emit(after + 1, lead)
        return self._emit(end, f"{lead}**{title}**")

    def _tildes(self) -> bool | None:
        """Turn a line of tildes that opens or ends a block; ``None`` until it is known whole."""
        if self._buf[self._pos] not in _BEFORE_TILDES:
            return False
        line, is_whole = self._line(self._pos, TAIL_CHARS)
        if not is_whole and len(line) < TAIL_CHARS:
            return None if self._context.may_be_tildes(line) else False
        found = self._context.fence_of_tildes(line)
        if found is None:
            return False
        self._line_start = False
        return self._emit(self._pos + len(line), f"{found['lead']}```{found['info'].strip()}")

    def _table(self, start: int) -> bool:
        """Read a table from its header on, as far as it goes."""
        lines, end = self._rows(start)
        if lines is None:
            return False
        if self._header is None:
            if len(lines) < 2 or not (is_rule(lines[0]) or is_rule(lines[1])):
                self._line_start = False
                return True
            self._header, lines = lines[0], lines[1:]
        shown = shown_table(self._header, lines, lead=_kept_lead(self._buf[self._pos : start]))
        newline = "\n" if self._buf[end - 1] == "\n" else ""
        return self._emit(end, shown + newline)

    def _rows(self, start: int) -> tuple[list[str] | None, int]:
        """Return the lines that belong together and where they end; ``None`` until that is known."""
        lines: list[str] = []
        position, row = self._pos, start
        while True:
            newline = self._buf.find("\n", row)
            end = newline + 1 if newline >= 0 else len(self._buf)
            if newline < 0 and not self._ended and end - self._pos < _TABLE_CHARS:
                return None, 0
            if lines and end - self._pos > _TABLE_CHARS - (newline < 0 and not self._ended):
                return lines, position
            lines.append(self._buf[row:end].strip())
            position = end
            is_no_table = self._header is None and len(lines) == 2 and not any(map(is_rule, lines))
            if newline < 0 or is_no_table or position - self._pos >= _TABLE_CHARS:
                return lines, position
            lead = _LEAD.match(self._buf, position)
            row = lead.end() if lead else position
            if row == len(self._buf) and not self._ended:
                return None, 0
            line, is_whole = self._line(row, _HEADER_CHARS)
            if not (is_whole or self._is_barred or len(line) == _HEADER_CHARS):
                return None, 0
            if not (line.startswith("|") if self._is_barred else "|" in line):
                return lines, position

    # --- code

    def _skip_run(self) -> bool:
        """Leave out what remains of a run of backticks that is longer than any real one."""
        more = _MORE_TICKS.match(self._buf, self._pos)
        self._pos = more.end() if more else self._pos
        self._is_in_run = self._pos == len(self._buf)
        return True

    def _ticks(self) -> bool:
        """Read a run of backticks: those of a fence are three, and in its code they are broken."""
        run = _TICKS.match(self._buf, self._pos)
        end = run.end() if run else self._pos + 1
        count = end - self._pos
        self._is_in_run = count == _TICKS_CHARS
        if end == len(self._buf) and not (self._is_in_run or self._ended):
            return False
        if count >= FENCE_SIGNS and self._is_spoken_of(end):
            return self._emit(end, "\\`" * count)
        was_code, inline = self._context.in_fence, self._context.inline_ticks
        self._context.read_ticks(count, self._buf[end : end + 1])
        self._out.append(self._shown_ticks(count, was_code=was_code, inline=inline))
        self._pos = end
        return True

    def _is_spoken_of(self, end: int) -> bool:
        """Return whether a run of backticks up to a place is what a sentence tells of, not a fence."""
        around = self._context.tail[-1:] + self._buf[end : end + 1]
        return around in _AROUND_SIGNS and not self._context.is_code

    def _shown_ticks(self, count: int, *, was_code: bool, inline: int) -> str:
        if count < FENCE_SIGNS or 0 < inline < FENCE_SIGNS:
            return "`" * count
        is_inside = (was_code and self._context.in_fence) or inline not in {0, count}
        return _broken("`" * count) if is_inside else "```"

    # --- formulas

    def _formula(self, char: str) -> bool:
        buf, pos = self._buf, self._pos
        opener = buf[pos : pos + 2]
        if self._is_document:
            return self._emit(pos + 1)
        if len(opener) < 2 and not self._ended:
            return False
        if char == "$" and opener != "$$" and not self._context.in_inline:
            return self._dollar()
        if opener == r"\b" and (is_read := self._named()) is not None:
            return is_read
        if self._context.in_inline or opener not in _CLOSERS:
            return self._emit(pos + (1 if char == "$" else min(2, len(opener))))
        limit = pos + 2 + _FORMULA_CHARS[opener]
        blank = buf.find("\n\n", pos, limit)
        end = buf.find(_CLOSERS[opener], pos + 2, blank if blank >= 0 else limit)
        if end < 0:
            is_over = self._ended or blank >= 0 or len(buf) > limit
            return self._emit(pos + 2) if is_over else False
        if opener == "$$" and end + 2 == len(buf) and not self._ended:
            return False
        source = self._without_quote(buf[pos + 2 : end])
        is_code = _is_named(buf[end + 2 : end + 3]) if opener == "$$" else self._is_behind_code()
        if is_code or not is_formula(source, opener):
            return self._emit(pos + 2)
        return self._emit(end + 2, self._in_quote(shown_formula(source)))

    def _without_quote(self, text: str) -> str:
        """Return what stands from the place on without the signs of a quote before its further lines."""
        return "\n".join(map(_bare, text.split("\n"))) if self._quote() else text

    def _in_quote(self, text: str) -> str:
        quote = self._quote()
        return text.strip("\n").replace("\n", f"\n{quote}") if quote else text

    def _quote(self) -> str:
        """Return the signs of a quote that the line at the place begins with."""
        lead = _LEAD.match(self._context.line)
        return lead[0] if lead is not None and ">" in lead[0] else ""

    def _named(self) -> bool | None:
        """Read a result in a box, or an environment of its own; ``None`` where neither can begin."""
        begun = self._buf[self._pos : self._pos + len(_BOXED)]
        may_grow = _BOXED.startswith(begun) and not self._ended
        if (begun == _BOXED or may_grow) and not self._context.in_inline:
            return self._boxed()
        return None if self._context.line.strip() else self._environment()

    def _environment(self) -> bool:
        """Read a formula in an environment of its own, or the beginning of what is none."""
        found = _ENVIRONMENT.match(self._buf, self._pos)
        if found is None:
            begun, is_whole = self._line(self._pos, _BEGIN_CHARS)
            is_open = not (is_whole or "}" in begun or len(begun) == _BEGIN_CHARS)
            return False if is_open and not self._ended else self._emit(self._pos + 2)
        closer, limit = f"\\end{found[1]}", found.end() + _FORMULA_CHARS["$$"]
        blank = self._buf.find("\n\n", found.end(), limit)
        end = self._buf.find(closer, found.end(), blank if blank >= 0 else limit)
        if end < 0:
            is_over = self._ended or blank >= 0 or len(self._buf) > limit
            return self._emit(found.end()) if is_over else False
        if not is_formula(self._buf[found.end() : end], "$$"):
            return self._emit(found.end())
        source = self._buf[self._pos : end + len(closer)]
        return self._emit(self._pos + len(source), shown_formula(source))

    def _boxed(self) -> bool:
        """Read the result that a model has put into a box, as it does without dollar signs, too."""
        start = self._pos + len(_BOXED)
        depth, limit = 1, start + _BOXED_CHARS
        for found in _BRACE.finditer(self._buf, start, limit):
            depth += {"{": 1, "}": -1}.get(found[0], 0)
            if depth == 0 or found[0] == "\n\n":
                source = self._buf[start : found.start()]
                is_result = depth == 0 and "`" not in source and source.strip(".… \n")
                source = self._buf[self._pos : found.end()]
                return (
                    self._emit(found.end(), shown_formula(source))
                    if is_result
                    else self._emit(start)
                )
        is_over = self._ended or len(self._buf) >= limit
        return self._emit(min(start, len(self._buf))) if is_over else False

    def _is_behind_code(self) -> bool:
        """Return whether a group of a search pattern begins here, rather than a formula."""
        before = self._context.tail[-1:]
        return before in _BEFORE_GROUPS or (before.isascii() and before.isalnum())

    def _dollar(self) -> bool:
        """Read a formula between two single dollar signs on a line, or what is none: a price, a name."""
        start = self._pos + 1
        line, is_whole = self._line(start, _DOLLAR_CHARS)
        end = line.find("$")
        is_open = not self._ended and not is_whole and len(line) < _DOLLAR_CHARS
        if is_open and end in {-1, len(line) - 1}:
            return False
        source, after = line[:end], line[end + 1 : end + 2]
        before = self._context.tail[-2:]
        is_of_program = before[-1:].isalnum() or (before[-1:] == "/" and before != "$/")
        is_word = is_of_program or _is_named(after)
        if end < 0 or is_word or not is_formula(source, "$"):
            return self._emit(start)
        return self._emit(start + end + 1, shown_formula(source))


def _title(text: str) -> str:
    """Return the words of a heading: signs that close it stand behind a blank, those of C# don't."""
    title = text.strip()
    words = title.rstrip("#")
    title = with_formulas(words.rstrip() if words[-1:].isspace() or not words else title)
    return title if "`" in title else title.replace("**", "")


def _is_named(after: str) -> bool:
    """Return whether what follows a dollar sign makes it a variable's in a program."""
    return after.isalnum() or after in {"_", "{"}


class FirstLines:
    """Passes the first line of an answer on at once, although it may turn out to be a table's header.

    Attributes:
        are_table: It did: what is passed on now is the whole text once more.
    """

    def __init__(self) -> None:
        self._text = ""
        self._passed: int | None = 0
        self.are_table = False

    def add(self, text: str, *, ended: bool) -> str:
        """Return what of a text can be passed on; a second line that may rule off waits to be whole."""
        if self._passed is None:
            return text
        self._text += text
        begin, self._passed = self._passed, None
        header, newline, rest = self._text.partition("\n")
        may_be_header = "|" in header[:_CELL_CHARS] and len(header) < _HEADER_CHARS
        if not newline and (may_be_header or len(header) < _CELL_CHARS):
            self._passed = len(self._text)
        elif newline and may_be_header:
            rule, end, _ = rest.partition("\n")
            self.are_table = bool(end or ended) and rules_off(_bare(rule), header)
            if not (end or ended or rule.strip(f"{_RULE_SIGNS}>") or len(rule) > _HEADER_CHARS):
                self._passed = len(header) + 1
        return self._text[0 if self.are_table else begin : self._passed]


def _row_start(text: str, position: int) -> int:
    """Return where a line's own text begins, behind the signs of a quote and of a list."""
    lead = _LEAD.match(text, position)
    start = lead.end() if lead else position
    item = _ITEM.match(text, start)
    return item.end() if item else start


def _kept_lead(lead: str) -> str:
    """Return what of a line's beginning stays in front of a table: a quote's signs, and an item's."""
    return lead if lead.strip() else ""


def _bare(line: str) -> str:
    """Return a line without the blanks and the signs of a quote in front of it."""
    lead = _LEAD.match(line)
    return line[lead.end() if lead else 0 :].strip()


def _broken(ticks: str) -> str:
    """Return backticks that don't end a fence."""
    return " ".join(ticks[i : i + 2] for i in range(0, len(ticks), 2))
