"""Whether a marker in visible text is used, or only spoken of.

Markup stands where a template puts it: at the start of the answer, at the start of a line, right
after the end of a sentence. What stands inside a sentence, in quotes, in a list of such markers or
in an example that a colon introduces is text about markup.
"""

from __future__ import annotations

import re
from typing import Final

from bot.output.markup import (
    BOX,
    MARKER,
    MARKERS,
    ORDINARY_TAGS,
    SURE_TAGS,
    TURN_ROLES,
    Kind,
    Marker,
    may_become_marker,
)
from bot.output.reasoning.closing import (
    SUFFIX,
    ends_thinking,
    is_in_pattern,
    may_be_in_literal,
    may_tell_end,
)
from bot.output.reasoning.place import (
    AFTER_CHARS,
    BULLET,
    CELL_END,
    COMES_AFTER,
    ELLIPSIS,
    EXPECTING,
    GLUES,
    GOES_ON,
    IN_ELEMENT,
    JOINS,
    LISTED,
    NICKNAMES,
    PAIRED,
    PARTICLE,
    PARTICLE_PARTIAL,
    PROSE_NEXT,
    QUOTES,
    SAYS,
    SENTENCE_END,
    SIGN,
    SUFFIXED,
    TAG_WORDS,
    TOKENS,
    TURNS,
    UNSPACED,
    WANTING,
    Surroundings,
)

_COMPOUND: Final = re.compile(
    r"(?i)-(?:style|like|tags?|tokens?|blocks?|elements?|markers?|modus)\b"
)
_TAG_NOUN: Final = re.compile(r" (?:tags?|tokens?|blocks?|elements?|markers?)\b")
_MAY_GO_ON: Final = re.compile(
    r"[ \t](?:[a-zà-ÿα-ωа-яё\u0590-\u06ff]{0,12}+(?: [^\n]{0,2})?|[—–=:→][^\n]?)"
    rf"|{UNSPACED.pattern}[^\n]*|-[^\n]?|['’][^\n]?"
)
"""What may yet turn out to be the rest of a sentence about a tag."""
_ENOUGH_CHARS: Final = 24
_INSIDE_CHARS: Final = 80
_SIGNS_NEXT: Final = frozenset(PROSE_NEXT) - {" ", "\t"}
_OPENING: Final = frozenset({Kind.OPEN, Kind.TOOL, Kind.WRAP})
_NEXT_TO_NAME: Final = frozenset((*PROSE_NEXT, "\n", "<"))
_ROLE_COLON: Final = re.compile(r"(?<!\w)(?i:human|user|assistant|system):")
_ROLE_NEXT: Final = re.compile(rf"[ \t]{_ROLE_COLON.pattern} ")
_FIRST: Final = frozenset({"<s>", "<bos>", "<BOS_TOKEN>", "<sop>", "[gMASK]", "<|begin_of_text|>"})
"""Tokens that stand before everything else in a prompt."""

_ANGLED: Final = frozenset({"<s>", "<bos>", "<pad>", "<PAD>", "<unk>", "<sop>"})
_OPENS_QUOTE: Final = re.compile(r"(?:\A|[\s(\[{=+,:])[rfbRFB]?(?:\"{3}|'{3}|[\"'])\Z")
_NOUN: Final = re.compile(
    r"[ \t]?(?:标签|标记|令牌|標籤|タグ|トークン|태그|토큰)"
    rf"|[ \t](?:{TAG_WORDS}|[Bb]locks?|elements?|modes?|sections?|pairs?|delimiters?|syntax|format"
    r"|markup|Modus|mode d)\b"
)
_BEHIND_NOUN: Final = re.compile(rf"(?<!\w)(?:{TAG_WORDS})\Z|(?:标签|标记|令牌|標籤)\Z")
_CHANNEL: Final = re.compile(r"(?:analysis|commentary|final)(?:<\|message\|>)?(?= )")
_TEMPLATE: Final = re.compile(r"\{\{|\{%")
_NOUN_FIRST: Final = frozenset("标令记タト是用表代はか부")
"""What a word begins with that says of a tag what it is, in scripts without blanks."""

_AHEAD_CHARS: Final = 12
_STAMP: Final = r"\n(?:[\[(]?[\d:./\- ]{4,24}+[\])]?[ \t]{0,3}+)?+"
_KEY_NEXT: Final = re.compile(rf"{_STAMP}[^\n:：]{{1,32}}[:：][*_]{{0,3}}+[ \t]")
_KEY_PARTIAL: Final = re.compile(
    rf"{_STAMP}[^\n:：]{{0,32}}+(?:[:：][*_]{{0,3}}+)?|\n[\[(]?[\d:./\-]{{0,8}}"
)
_FIELD_NEXT: Final = re.compile(r"\s{0,4}+\{[{%]")
_LABEL_NEXT: Final = re.compile(
    rf"[ \t]{{0,4}}+\n{{1,2}}+(?i:{'|'.join(TURN_ROLES)})[ \t]{{0,4}}+:"
)
_LABEL_NEXT_PARTIAL: Final = re.compile(r"(?:[ \t]{0,4}+\n{1,2}+)?+[A-Za-z]{0,12}+[ \t]{0,4}+")
_INDENTED: Final = re.compile(r"\n{1,2}+[ \t]{1,20}+<")
_BREAKS_OFF: Final = re.compile(
    r"(?<!\w)(?:wait|hm{1,4}|hold on|actually|oh|ah|okay|ok|alright|well|let me (?:think|see|check|recheck)"
    r"|let's see|等等|等一下|嗯)[,.…:—–\-，]{0,3}\Z",
    re.IGNORECASE,
)
"""Words with which a model that answers begins to think again."""

_HIDES_NOTHING: Final = re.compile(
    r"\n[ \t]{0,20}+(?:\.{3}|…)[ \t]{0,20}+\n[ \t]{0,20}+(?:</|\[/|◁/|<\|)"
)
_FIELD: Final = re.compile(r"\s{0,4}+\{(?:[{%]|[a-z_][\w.]{0,40}\})")
_FIELD_ALONE: Final = re.compile(r"\s{0,4}+\{[{%]?\s?[a-z_][\w.]{0,40}\s?[%}]?\}[ \t]{0,4}+")
_EXAMPLE_PARTIAL: Final = re.compile(rf"-[A-Za-z]{{0,8}}+|{_FIELD_ALONE.pattern}")
_STRUCK: Final = re.compile(r"[^\s<>][^<>\n]{0,50}</s>(?:[ \t]+\w|[,.;:!?)]|[ \t]*<[a-z])")
_OWN_TURN: Final = re.compile(r"(?i:assistant|model)[|｜]?[>\]]\Z")
"""What the model's own turn begins with in a template that is shown: no thought ends with it."""

_POSSESSED: Final = re.compile(rf"(?:{SUFFIX.pattern})[ \t]")
_WIDE_SIGNS: Final = frozenset("：；，、")
_ELEMENT_OPEN: Final = re.compile(r"<[a-z][^<>\n]{0,70}>\Z")
"""The element of a file in several lines that a tag stands in."""

_OPEN_QUOTES: Final = frozenset("“‘«「『(（[{")
_ROLE_NAME: Final = re.compile(rf"(?:{'|'.join(TURN_ROLES)})(?= )")
_ROLE_LINE: Final = re.compile(rf"[ \t]?(?:{'|'.join(TURN_ROLES)})\b[^\n]{{0,30}}\n")


def is_spoken_of(text: str, marker: Marker, place: Surroundings) -> bool | None:
    """Return whether a marker is text; ``None`` until more of what follows is known.

    Args:
        text: The marker's canonical text.
        marker: What it would mean.
        place: Where it stands.
    """
    kind, words = marker.kind, place.words
    if _is_waiting(text, kind, place):
        return None
    if _is_boxed(text, place) or (kind is Kind.END and _begins_turn(place)):
        return False
    if _is_shown(text, marker, place):
        return True
    if kind is Kind.CLOSE:
        return not ends_thinking(text, place)
    if _breaks_off(text, words, marker, place):
        return False
    if not words:
        return _is_struck(text, place) or _begins_line(text, kind, place)
    if BULLET.fullmatch(place.line):
        return not place.turns_over
    if place.is_behind_sentence:
        return _begins_sentence(kind, place)
    judge = _is_glued if words == place.line else _stands_apart
    return judge(text, kind, place)


def _is_struck(text: str, place: Surroundings) -> bool:
    """Return whether a token is HTML's tag of what was struck out."""
    return text == "<s>" and _STRUCK.match(place.after) is not None


def _is_boxed(text: str, place: Surroundings) -> bool:
    """Return whether a mark stands right at a result, as one does that is used, or speaks of it."""
    if text == BOX[1]:
        is_told = place.has_example or QUOTES.get(place.line[-1:]) == place.after[:1]
        return not is_told and place.words == place.line != ""
    return text == BOX[0] and place.after[:1] not in _NEXT_TO_NAME


def _begins_turn(place: Surroundings) -> bool:
    """Return whether somebody's next message begins behind a token, in a line without one before it."""
    is_told = place.is_introduced or place.is_announced or _ROLE_COLON.search(place.line)
    return place.is_started and not is_told and _ROLE_NEXT.match(place.after) is not None


def _is_shown(text: str, marker: Marker, place: Surroundings) -> bool:
    """Return whether what surrounds a marker shows it as a thing, wherever it stands."""
    kind = marker.kind
    if place.is_in_outline or place.is_in_column:
        return True
    if _is_in_sample(text, kind, place):
        return True
    if kind in PAIRED and place.after[:1] in set("'’") and _POSSESSED.match(place.after):
        return True
    if text == "<s>" and place.after[:1].isalnum() and (place.is_started or place.line.strip()):
        return True
    if text in NICKNAMES and place.after[:1] in {" ", "\t"}:
        return True
    is_behind_spoken = place.line != "" and kind in _OPENING and not place.after.startswith("\n")
    if place.follows_spoken and (kind in TOKENS or is_behind_spoken):
        return True
    is_example = kind is Kind.OPEN and (
        _is_empty_example(marker, place) or _COMPOUND.match(place.after) is not None
    )
    if kind in PAIRED and place.is_announced:
        is_example |= place.has_example or _KEY_NEXT.match(place.after) is not None
    is_noun = _NOUN.match(place.after) is not None or IN_ELEMENT.search(place.line) is not None
    if not place.is_end_expected:
        is_noun |= _BEHIND_NOUN.search(place.words) is not None
    return is_example or is_noun or _is_quoted(kind, place) or _is_in_template(kind, place)


def _is_in_sample(text: str, kind: Kind, place: Surroundings) -> bool:
    """Return whether a marker ends something in a conversation, or an element, that is shown."""
    if kind is Kind.CLOSE:
        return place.is_started and _OWN_TURN.search(place.line) is not None
    if kind is not Kind.END:
        return False
    if _ROLE_COLON.match(place.after) and _ROLE_COLON.search(place.line):
        return True
    is_told = _LABEL_NEXT.match(place.after) is not None or "<s " in place.line
    return text == "</s>" and is_told


def _is_waiting(text: str, kind: Kind, place: Surroundings) -> bool:
    after = place.after
    if place.has_ended or len(after) >= AFTER_CHARS:
        return False
    if not after or (place.is_habit and kind is Kind.OPEN and place.line.strip() != ""):
        return True
    if after[0] in " \t" and "\n" not in after:
        return len(after) < _ENOUGH_CHARS
    if text == "<s>" and not place.is_started:
        return "\n" not in after
    if _may_be_named(kind, after):
        return True
    if len(after) < _ENOUGH_CHARS and (kind is Kind.HEADER or after.lstrip()[:1] == "{"):
        return not set(after) & (set("\n") if kind is Kind.HEADER else set("}"))
    if kind in PAIRED:
        is_key_next = place.is_announced and _KEY_PARTIAL.fullmatch(after) is not None
        is_told = kind is Kind.CLOSE and may_tell_end(after, place)
        is_told |= kind is Kind.CLOSE and may_be_in_literal(place.line, after)
        return is_key_next or is_told or (kind is Kind.OPEN and _may_tell(place))
    if kind is Kind.TURN and after[0].isalpha() and len(after) < _ENOUGH_CHARS:
        return "\n" not in after
    is_open = place.line.count('"') % 2 == 1 and '"' not in after and "\n" not in after
    may_be_sample = text == "</s>" or (kind is Kind.END and _ROLE_COLON.search(place.line))
    is_before_label = may_be_sample and _LABEL_NEXT_PARTIAL.fullmatch(after) is not None
    return is_open or is_before_label or _may_be_next(text, after)


def _may_be_named(kind: Kind, after: str) -> bool:
    """Return whether more of what follows a marker could tell that it is the name of a thing."""
    if after in {":", "/"} or (kind is Kind.OPEN and _EXAMPLE_PARTIAL.fullmatch(after)):
        return True
    may_hang = kind in TOKENS or kind is Kind.OPEN
    return may_hang and PARTICLE_PARTIAL.fullmatch(after) is not None


def _may_be_next(text: str, after: str) -> bool:
    """Return whether another marker may come right behind one and its copies."""
    rest = _behind_repeats(text, after).lstrip()
    if not rest:
        return True
    is_next = "\n" in after or after[0] in "<[◁"
    return is_next and rest[0] in "<[◁" and not MARKER.match(rest) and may_become_marker(rest)


def _may_tell(place: Surroundings) -> bool:
    """Return whether more of what follows an opening tag could tell that it is an example."""
    after = place.after
    if "\n" in after:
        return place.is_started and after.strip(" \t\n.…") in {"", "<", "[", "◁"}
    if after == "-" or (after[0] in _NOUN_FIRST and len(after) < _AHEAD_CHARS):
        return True
    ellipsis = ELLIPSIS.match(after)
    is_example = ellipsis is not None and after[ellipsis.end() : ellipsis.end() + 1] in set("<[◁")
    return after.strip(" \t.…") == "" or is_example


def _is_empty_example(marker: Marker, place: Surroundings) -> bool:
    """Return whether a tag holds only an ellipsis and its line goes on, as no thinking does."""
    ellipsis = ELLIPSIS.match(place.after)
    if ellipsis is None:
        return place.is_started and _HIDES_NOTHING.match(place.after) is not None
    closer = next((c for c in marker.closers if place.after.startswith(c, ellipsis.end())), "")
    return closer != "" and not place.after.startswith("\n", ellipsis.end() + len(closer))


def _breaks_off(text: str, words: str, marker: Marker, place: Surroundings) -> bool:
    """Return whether a model begins to think again in the middle of its sentence.

    Its own habit decides where both readings are possible, but an example is short.
    """
    if text not in SURE_TAGS or not words or marker.kind is not Kind.OPEN:
        return False
    if SAYS.match(place.after) or place.after[:1] in _SIGNS_NEXT:
        return False
    if _BREAKS_OFF.search(words):
        return True
    is_short = any(closer in place.after for closer in marker.closers)
    is_noun = is_short or place.is_announced or WANTING.search(words) is not None
    return place.is_habit and not (is_noun or place.has_ended)


def _behind_repeats(text: str, after: str) -> str:
    """Return what follows the further copies of a marker."""
    start = 0
    while after.startswith(text, start):
        start += len(text)
    return after[start:]


def _is_quoted(kind: Kind, place: Surroundings) -> bool:
    line, after = place.line, place.after
    if not line or not after:
        return False
    last = line[-1]
    if QUOTES.get(last) == after[0] or last in _OPEN_QUOTES:
        return True
    if last == "|" and line.lstrip()[0] == "|" and after.lstrip()[:1] == "|":
        return True
    if last in "*_~" and after[0] == last:
        opens_after = line.rstrip(last)[-1:]
        return opens_after in set(" \t([|-") or (kind is not Kind.CLOSE and not opens_after)
    if _OPENS_QUOTE.search(line, max(0, len(line) - 6)):
        return True
    is_open = line.count('"') % 2 == 1
    return is_open and '"' in (after[0] if kind is Kind.CLOSE else after.partition("\n")[0])


def _is_in_template(kind: Kind, place: Surroundings) -> bool:
    """Return whether a marker stands among the fields of a prompt template."""
    if kind in PAIRED:
        follows = place.has_example and _FIELD_NEXT.match(place.after) is not None
        field = _FIELD_ALONE.match(place.after) if kind is Kind.OPEN and place.is_started else None
        follows |= field is not None and place.after[field.end() :][:1] in {"", "\n", "<"}
        return follows or place.line.endswith(("}}", "%}"))
    if kind not in TOKENS:
        return False
    if kind is Kind.END and place.line.endswith(("}}", "%}")) and place.after.strip():
        return True
    if _FIELD.match(place.after):
        return True
    is_last = not place.after.strip() or place.turns_over
    return not is_last and _TEMPLATE.search(place.line) is not None


def _begins_sentence(kind: Kind, place: Surroundings) -> bool:
    """Judge a marker behind a finished sentence on its line."""
    if place.words == place.line:
        return place.words[-1] in "。！？" and _has_particle(kind, place)
    return _says(kind, place, SAYS if kind in PAIRED else GOES_ON)


def _begins_line(text: str, kind: Kind, place: Surroundings) -> bool:
    if place.is_introduced or place.is_in_session or LISTED.match(place.after):
        return True
    if kind in TOKENS and place.is_shown_below:
        return True
    if place.is_started and CELL_END.match(place.after):
        return True
    if place.is_started and kind in _OPENING:
        is_inner = place.line != "" or place.before == ">"
        if is_inner or (text[1:-1] in ORDINARY_TAGS and not place.after.startswith("\n")):
            return True
    if _has_particle(kind, place):
        return True
    role = _ROLE_NAME.match(place.after) if kind is Kind.TURN else None
    if role is not None and SAYS.match(place.after, role.end()):
        return True
    is_start = not place.is_started and kind is not Kind.END
    return _says(kind, place, SAYS if kind in PAIRED or is_start else GOES_ON)


def _has_particle(kind: Kind, place: Surroundings) -> bool:
    """Return whether a particle hangs on a token, as on any other noun."""
    return kind in TOKENS and PARTICLE.match(place.after) is not None


def _says(kind: Kind, place: Surroundings, said: re.Pattern[str]) -> bool:
    """Return whether a sentence goes on behind a marker, or behind the header that it begins."""
    channel = _CHANNEL.match(place.after) if kind is Kind.HEADER else None
    return said.match(place.after, channel.end() if channel else 0) is not None


def _stands_apart(text: str, kind: Kind, place: Surroundings) -> bool:
    """Judge a marker that a blank separates from an unfinished sentence."""
    following = place.after[:1]
    if (following and following in PROSE_NEXT) or (kind in TOKENS and place.is_announced):
        return True
    if kind in PAIRED:
        is_row = place.words.strip().isdigit()
        return following != "\n" or place.is_unfinished or place.is_assigned or is_row
    if (text in _FIRST and following in {"<", "["}) or SUFFIXED.match(place.after):
        return True
    behind = _behind_repeats(text, place.after)[:1]
    if following == "<" and behind and behind in PROSE_NEXT:
        return True
    if kind is Kind.TURN and _ROLE_LINE.match(place.after):
        return False
    if place.is_unfinished and following.isalnum():
        return True
    if not place.after.strip():
        is_unfinished = not place.words[-1].isalnum() or place.is_unfinished
        is_unfinished |= place.is_assigned
        return text != "<sep>" and is_unfinished
    if not following.strip():
        return text != "<sep>" and not place.turns_over
    return kind in {Kind.TURN, Kind.HEADER} or text not in MARKERS


def _is_glued(text: str, kind: Kind, place: Surroundings) -> bool:
    """Judge a marker that stands right behind an unfinished sentence."""
    last, following = place.line[-1], place.after[:1]
    if kind in PAIRED:
        is_said = SAYS.match(place.after) is not None
        is_said |= UNSPACED.match(last) is not None and UNSPACED.match(following) is not None
        is_said |= last == ">" and text.strip("</>") in ORDINARY_TAGS
        is_said |= last in _WIDE_SIGNS and following in {" ", "\t"}
        is_said |= place.before != "" and _ELEMENT_OPEN.search(place.line) is not None
        is_said |= following in _SIGNS_NEXT and (last.isalnum() or last in JOINS)
        return is_said or last in GLUES or SIGN.fullmatch(place.line) is not None
    if not following:
        return last in EXPECTING
    if kind is Kind.DROP and SAYS.match(place.after):
        return True
    if text not in MARKERS and following not in "\n<":
        return True
    if UNSPACED.match(last) and (UNSPACED.match(following) or kind in TURNS):
        return _ROLE_LINE.match(place.after) is None
    if text in _ANGLED and last.isalnum() and following not in "\n<":
        return True
    return last in JOINS and following != "<" and not place.turns_over


def holds_elements(inside: str, *, ended: bool, is_indented: bool = False) -> bool | None:
    """Return whether what a tag holds begins with another element, as in a file, not a thought.

    ``None`` until that is certain.

    Args:
        inside: What follows the tag.
        ended: Nothing more will come.
        is_indented: Such an element must be indented on a line of its own.
    """
    is_long = len(inside) >= _INSIDE_CHARS
    if is_indented and inside.strip() and not _INDENTED.match(inside):
        return False
    inside = inside.lstrip()
    if not inside or (inside[0] == "<" and (len(inside) == 1 or may_become_marker(inside))):
        return False if ended or is_long else None
    return inside[0] == "<" and inside[1].isalpha() and MARKER.match(inside) is None


def begins_anew(text: str, place: Surroundings) -> bool:
    """Return whether a tag of thinking stands at a line's start, behind a finished sentence."""
    return text in SURE_TAGS and place.line == "" and place.before in set(SENTENCE_END)


def is_named(line: str, after: str) -> bool:
    """Return whether a tag stands in quotes, or is called a tag; arguments as for ``is_prose``."""
    is_quoted = line != "" and QUOTES.get(line[-1]) == after[:1]
    return is_quoted or _TAG_NOUN.match(after) is not None


def is_prose(line: str, after: str, *, ended: bool) -> bool | None:
    """Return whether a tag in thinking is spoken of; ``None`` until more text tells.

    Args:
        line: What stands before the tag on its line.
        after: What follows it, as far as it has come; ten characters are enough.
        ended: Nothing more will come.
    """
    if not after:
        return False if ended else None
    may_tell = _MAY_GO_ON.fullmatch(after) is not None or may_be_in_literal(line, after)
    if not ended and len(after) < _AHEAD_CHARS and may_tell:
        return None
    if is_named(line, after) or BULLET.fullmatch(line) or is_in_pattern(line, after):
        return True
    if any(told.match(after) for told in (_NOUN, SUFFIX, SAYS, COMES_AFTER)):
        return True
    if _BEHIND_NOUN.search(line) and UNSPACED.match(after):
        return True
    words = line.rstrip(" \t")
    if not words or words == line or words[-1] in SENTENCE_END:
        return False
    return after[0] in PROSE_NEXT
