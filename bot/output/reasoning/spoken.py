"""Whether a marker in visible text is used, or only spoken of.

Markup stands where a template puts it: at the start of the answer, at the start of a line, right
after the end of a sentence. What stands inside a sentence, in quotes, in a list of such markers or
in an example that a colon introduces is text about markup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bot.output.markup import (
    MARKER,
    MARKERS,
    SURE_TAGS,
    TURN_ROLES,
    Kind,
    Marker,
    may_become_marker,
    prefixes,
)

AFTER_CHARS: Final = 64
"""How much of what follows a marker is looked at."""

SENTENCE_END: Final = ".!?。！？…*_"
_PROSE_NEXT: Final = " \t,.;:)]\"'`/…，。；：）、،؛؟?!—–"
_QUOTES: Final = {
    **{quote: quote for quote in "`\"'"},
    **{
        pair[0]: pair[1]
        for pair in ("“”", "‘’", "()", "«»", "「」", "[]", "{}", "『』", "„“", "（）")
    },
}
_TAG_NOUN: Final = re.compile(r" (?:tags?|tokens?|blocks?|elements?|markers?)\b")
_TAG_NOUN_STARTS: Final = prefixes(
    [f" {noun}s " for noun in ("tag", "token", "block", "element", "marker")]
)
_ENOUGH_CHARS: Final = 24
_INSIDE_CHARS: Final = 80
_PAIRED: Final = frozenset({Kind.OPEN, Kind.CLOSE, Kind.TOOL, Kind.WRAP})
_OPENING: Final = frozenset({Kind.OPEN, Kind.TOOL, Kind.WRAP})
_ANGLED: Final = frozenset({"<s>", "<bos>", "<pad>", "<PAD>", "<unk>", "<sop>"})
_TURNS: Final = frozenset({Kind.TURN, Kind.HEADER})
_TOKENS: Final = frozenset({Kind.END, Kind.DROP, *_TURNS})
_MOST_CLOSERS: Final = 8
_BULLET: Final = re.compile(r"(?:[ \t]{0,8}+(?:[-*+•|>#]{1,6}+|\d{1,3}[.)])[ \t]{1,8}+){1,6}+")
_OPENS_QUOTE: Final = re.compile(r"(?:\A|[\s(\[{=+,:])[rfbRFB]?(?:\"{3}|'{3}|[\"'])\Z")
_TAG_WORDS: Final = (
    r"[Tt]ags?|[Tt]okens?|[Mm]arkers?|[Bb]alises?|[Ee]tiquetas?|[Ee]tichett[ae]|[Zz]naczniki?"
    r"|[Zz]načk[ay]|[Ee]tiketi?|[Bb]elirteci|[Tt]hẻ|[Тт]ег\w{0,3}|[Тт]окен\w{0,3}|(?:ال|بال)?وسم|תגית|תג"
    r"|टैग|टोकन|แท็ก|โทเคน|태그|토큰|标签|标记|令牌|標籤|タグ|トークン"
)
_NOUN: Final = re.compile(
    r"[ \t]?(?:标签|标记|令牌|標籤|タグ|トークン|태그|토큰)"
    rf"|[ \t](?:{_TAG_WORDS}|[Bb]locks?|elements?|modes?|sections?|pairs?|delimiters?|syntax|format"
    r"|markup|Modus|mode d)\b"
)
_BEHIND_NOUN: Final = re.compile(rf"(?<!\w)(?:{_TAG_WORDS})\Z|(?:标签|标记|令牌|標籤)\Z")
_TAG_WORD: Final = re.compile(rf"(?<!\w)(?:{_TAG_WORDS})(?!\w)")
_SAYS: Final = re.compile(
    r"[ \t](?:(?:is|are|was|were|has|have|had|does|did|appears?|works|serves|isn't|aren't|exists?|belongs?|comes|goes|tells?|contains?|holds)\b"
    r"|(?:marks?|means|opens|closes|begins|ends|starts|denotes|indicates|signals|wraps|stands for)\b"
    r"|(?:can|could|should|must|will|would|may) be\b|(?:ist|sind|war|waren|gehört|heißt|kommt)\b"
    r"|(?:markiert|beendet|öffnet|schließt|steht für|bedeutet)\b"
    r"|(?:est|sont) (?:un|une|le|la|les)\b|(?:es|son) (?:un|una|el|la|los)\b|это |означает|обозначает"
    r"|(?:and|or|to|und|oder|bis|et|ou|y|o|и|или) [<`\[/◁&]|(?:[—–=:→]|::?=|[-=]>) |هو |هي |و ?[<`\[])"
    r"|[ \t]?(?:是[^\s，。,]{0,8}(?:标签|标记|令牌|符号|标志)|用于|用来|表示|标志|代表)"
    r"|(?:是一|和 ?[<`\[]|与 ?[<`\[]|は|と ?[<`\[])"
)
"""What is said of a thing after its name."""

_CHANNEL: Final = re.compile("(?:analysis|commentary|final)(?= )")
_TEMPLATE: Final = re.compile(r"\{\{|\{%")
_NOUN_FIRST: Final = frozenset("标令记タト是用表代")
"""What a word begins with that says of a tag what it is, in scripts without blanks."""

_AHEAD_CHARS: Final = 12
_KEY_NEXT: Final = re.compile(r"\n[^\n:：]{1,32}[:：][*_]{0,3}+[ \t]")
_KEY_PARTIAL: Final = re.compile(r"\n[^\n:：]{0,32}+(?:[:：][*_]{0,3}+)?")
_FIELD_NEXT: Final = re.compile(r"\s{0,4}+\{[{%]")
_LABEL_NEXT: Final = re.compile(
    rf"[ \t]{{0,4}}+\n{{1,2}}+(?i:{'|'.join(TURN_ROLES)})[ \t]{{0,4}}+:"
)
_LABEL_NEXT_PARTIAL: Final = re.compile(r"[ \t]{0,4}+\n{1,2}+[A-Za-z]{0,12}+[ \t]{0,4}+")
_INDENTED: Final = re.compile(r"\n{1,2}+[ \t]{1,20}+<")
_ELLIPSIS: Final = re.compile(r"[ \t]{0,4}+(?:\.{2,6}+|…{1,3}+)[ \t]{0,4}+")
_BREAKS_OFF: Final = re.compile(
    r"(?<!\w)(?:wait|hm{1,4}|hold on|actually|oh|ah|okay|ok|alright|well|let me (?:think|see|check|recheck)"
    r"|let's see|等等|等一下|嗯)[,.…:—–\-，]{0,3}\Z",
    re.IGNORECASE,
)
"""Words with which a model that answers begins to think again."""

_OPTION: Final = re.compile(r"(?<!\S)--?[\w\-]{1,30}\Z")
_EXPECTING: Final = frozenset("=([{+")
"""Signs that something belongs behind, so that no answer ends with them."""

_FIELD: Final = re.compile(r"\s{0,4}+\{(?:[{%]|[a-z_][\w.]{0,40}\})")
_STRUCK: Final = re.compile(r"[^\s<>][^<>\n]{0,50}</s>(?:[ \t]+\w|[,.;:!?)]|[ \t]*<[a-z])")
_UNFINISHED: Final = re.compile(
    r"\b(?:is|are|was|were|an?|the|of|to|by|with|and|or|as|like|in|for|from|after|before|called|named"
    r"|uses?|writes?|emits?|adds?|sees?|prints?|tokens?|tags?|markers?|ist|sind|und|oder|mit|das|der|die"
    r"|Tokens?|Tags?|est|sont|et|ou|avec|le|la|les|es|son|y|o|con|el|это|и|или|с|токен|тег)\Z"
)
"""Words that no sentence ends with: a marker behind them is the rest of it."""

_GOES_ON: Final = re.compile(
    r"[ \t](?:[0-9a-zà-ÿα-ωа-яё]|[—–=:→] |[\u0590-\u06ff])|(?:是|和|与|或|用于|表示|标|代表|は|と|を|が|の)"
)
"""How a sentence goes on after its first word."""

_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3，、。：；]")
_JOINS: Final = frozenset("/=+([{,&·–—-→~")
_GLUES: Final = frozenset("^=+/\\&$#@%|")
"""Signs right before a tag that no model thinks, or calls, behind."""

_NICKNAMES: Final = frozenset({"<AI>", "<用户>"})
"""Tokens that are somebody's name in a log, where a blank follows."""

_LISTED: Final = re.compile(r"[,;]|[:/][\s<\[`]")
_ABBREVIATED: Final = re.compile(
    r"(?:\be\.g|\bi\.e|\bz\. ?B|\bd\. ?h|\bp\. ?ex|\bp\. ?ej|\bcf|\bvs|\bbzw|\betc|\bт\. ?е|\bнапр)\.\Z"
)
_OPEN_QUOTES: Final = frozenset("“‘«「『(（[{")
_ROLE_LABEL: Final = re.compile(rf"(?i:{'|'.join(TURN_ROLES)})[ \t]{{0,4}}+[:\n]")
_ROLE_NAME: Final = re.compile(rf"(?:{'|'.join(TURN_ROLES)})(?= )")
_ROLE_LINE: Final = re.compile(rf"[ \t]?(?:{'|'.join(TURN_ROLES)})\b[^\n]{{0,30}}\n")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What surrounds a marker in visible text.

    Attributes:
        line: What stands before it on its line.
        before: The last character on the lines before, blanks and emphasis aside.
        after: What follows, as far as it has come.
        is_started: Something of the answer stands before it.
        follows_spoken: Only blanks stand between it and a marker that was spoken of.
        has_ended: Nothing more will come.
        is_habit: The model has used this marker in this answer.
        is_end_expected: The model's thinking has no opening tag, and its end hasn't come.
        has_example: The other half of this marker was text.
    """

    line: str
    before: str
    after: str
    is_started: bool
    follows_spoken: bool
    has_ended: bool
    is_habit: bool = False
    is_end_expected: bool = False
    has_example: bool = False

    @property
    def is_introduced(self) -> bool:
        """Whether a colon announces what stands here, or an example goes on here."""
        return self.is_started and (self.follows_spoken or self.before in set(":："))

    @property
    def is_announced(self) -> bool:
        """Whether a colon on the same line announces what stands here."""
        return self.line.rstrip(" \t*_")[-1:] in set(":：") and self.line.strip() != ""

    @property
    def turns_over(self) -> bool:
        """Whether a template goes on after the marker, on another line."""
        rest = self.after.lstrip()
        gap = self.after[: len(self.after) - len(rest)]
        if "\n" not in gap:
            return False
        return _ROLE_LABEL.match(rest) is not None or MARKER.match(rest) is not None


def is_spoken_of(text: str, marker: Marker, place: Surroundings) -> bool | None:
    """Return whether a marker is text; ``None`` until more of what follows is known.

    Args:
        text: The marker's canonical text.
        marker: What it would mean.
        place: Where it stands.
    """
    kind, words = marker.kind, place.line.rstrip(" \t")
    if _is_waiting(text, kind, place):
        return None
    if _is_shown(text, marker, place):
        return True
    if _breaks_off(text, words, marker, place) or _ends_thought(words, kind, place):
        return False
    if not words:
        is_struck = text == "<s>" and _STRUCK.match(place.after) is not None
        return is_struck or _begins_line(kind, place)
    if _BULLET.fullmatch(place.line):
        return not place.turns_over
    if words[-1] in SENTENCE_END and _ABBREVIATED.search(words) is None:
        said = _SAYS if kind in _PAIRED else _GOES_ON
        return words != place.line and bool(said.match(place.after))
    if words != place.line:
        return _stands_apart(text, kind, place)
    return _is_glued(text, kind, place)


def _is_shown(text: str, marker: Marker, place: Surroundings) -> bool:
    """Return whether what surrounds a marker shows it as a thing, wherever it stands."""
    kind = marker.kind
    if text == "</s>" and (_LABEL_NEXT.match(place.after) or "<s " in place.line):
        return True
    if text == "<s>" and place.after[:1].isalnum() and (place.is_started or place.line.strip()):
        return True
    if text in _NICKNAMES and place.after[:1] in {" ", "\t"}:
        return True
    if place.follows_spoken and kind in _TOKENS:
        return True
    is_example = kind is Kind.OPEN and _is_empty_example(marker, place)
    if kind in _PAIRED and place.is_announced:
        is_example |= place.has_example or _KEY_NEXT.match(place.after) is not None
    is_noun = _NOUN.match(place.after) is not None
    if not place.is_end_expected:
        is_noun |= _BEHIND_NOUN.search(place.line.rstrip(" \t")) is not None
    return is_example or is_noun or _is_quoted(kind, place) or _is_in_template(kind, place)


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
    if len(after) < _ENOUGH_CHARS and (kind is Kind.HEADER or after[0] == "{"):
        return not set(after) & (set("<\n") if kind is Kind.HEADER else set("}"))
    if after in {":", "/"}:
        return True
    if kind in _PAIRED:
        return kind is Kind.OPEN and _may_tell(after, place)
    if kind is Kind.TURN and after[0].isalpha() and len(after) < _ENOUGH_CHARS:
        return "\n" not in after
    is_open = place.line.count('"') % 2 == 1 and '"' not in after and "\n" not in after
    is_before_label = text == "</s>" and _LABEL_NEXT_PARTIAL.fullmatch(after) is not None
    return is_open or is_before_label or _may_be_next(text, after)


def _may_be_next(text: str, after: str) -> bool:
    """Return whether another marker may come right behind one and its copies."""
    rest = _behind_repeats(text, after).lstrip()
    if not rest:
        return True
    is_next = "\n" in after or after[0] in "<[◁"
    return is_next and rest[0] in "<[◁" and not MARKER.match(rest) and may_become_marker(rest)


def _may_tell(after: str, place: Surroundings) -> bool:
    """Return whether more of what follows an opening tag could tell that it is an example."""
    if "\n" in after:
        return place.is_announced and _KEY_PARTIAL.fullmatch(after) is not None
    if after[0] in _NOUN_FIRST and len(after) < _AHEAD_CHARS:
        return True
    ellipsis = _ELLIPSIS.match(after)
    is_example = ellipsis is not None and after[ellipsis.end() : ellipsis.end() + 1] in set("<[◁")
    return after.strip(" \t.…") == "" or is_example


def _is_empty_example(marker: Marker, place: Surroundings) -> bool:
    """Return whether a tag holds only an ellipsis and its line goes on, as no thinking does."""
    ellipsis = _ELLIPSIS.match(place.after)
    if ellipsis is None:
        return False
    closer = next((c for c in marker.closers if place.after.startswith(c, ellipsis.end())), "")
    return closer != "" and not place.after.startswith("\n", ellipsis.end() + len(closer))


def _breaks_off(text: str, words: str, marker: Marker, place: Surroundings) -> bool:
    """Return whether a model begins to think again in the middle of its sentence.

    Its own habit decides where both readings are possible, but an example is short.
    """
    if text not in SURE_TAGS or not words or marker.kind is not Kind.OPEN:
        return False
    if _SAYS.match(place.after) or place.after[:1] in set(_PROSE_NEXT) - {" ", "\t"}:
        return False
    if _BREAKS_OFF.search(words):
        return True
    is_short = any(closer in place.after for closer in marker.closers)
    return place.is_habit and not (is_short or place.is_announced or place.has_ended)


def _ends_thought(words: str, kind: Kind, place: Surroundings) -> bool:
    """Return whether a closing tag ends thinking in the middle of its sentence.

    What follows is the beginning of a sentence, and nothing was said of the opening tag before.
    """
    if kind is not Kind.CLOSE or not words or words[-1] in SENTENCE_END:
        return False
    following = place.after.lstrip(" \t")[:1]
    if place.after[:1] not in {" ", "\t"} or place.has_example or _SAYS.match(place.after):
        return False
    if place.is_end_expected:
        return True
    begins = following.isupper() or (following != "" and following in "*#\n")
    return begins and _UNFINISHED.search(words) is None and words[-1] not in _JOINS


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
    if _QUOTES.get(last) == after[0] or last in _OPEN_QUOTES:
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
    if kind in _PAIRED:
        follows = place.has_example and _FIELD_NEXT.match(place.after) is not None
        return follows or place.line.endswith(("}}", "%}"))
    if kind not in _TOKENS:
        return False
    if kind is Kind.END and place.line.endswith(("}}", "%}")) and place.after.strip():
        return True
    if _FIELD.match(place.after):
        return True
    is_last = not place.after.strip() or place.turns_over
    return not is_last and _TEMPLATE.search(place.line) is not None


def _begins_line(kind: Kind, place: Surroundings) -> bool:
    if place.is_introduced and kind is not Kind.CLOSE:
        return True
    if place.is_started and place.line and kind in _OPENING:
        return True
    if place.is_started and kind in _OPENING and place.before == ">":
        return True
    if (kind is not Kind.CLOSE or place.has_example) and _LISTED.match(place.after):
        return True
    role = _ROLE_NAME.match(place.after) if kind is Kind.TURN else None
    if role is not None and _SAYS.match(place.after, role.end()):
        return True
    is_start = not place.is_started and kind is not Kind.END
    said = _SAYS if kind in _PAIRED or is_start else _GOES_ON
    channel = _CHANNEL.match(place.after) if kind is Kind.HEADER else None
    return bool(said.match(place.after, channel.end() if channel else 0))


def _stands_apart(text: str, kind: Kind, place: Surroundings) -> bool:
    """Judge a marker that a blank separates from an unfinished sentence."""
    following = place.after[:1]
    if (following and following in _PROSE_NEXT) or (kind in _TOKENS and place.is_announced):
        return True
    if kind in _PAIRED:
        return following == "" or _is_half_of_pair(kind, place)
    behind = _behind_repeats(text, place.after)[:1]
    if following == "<" and behind and behind in _PROSE_NEXT:
        return True
    if kind is Kind.TURN and _ROLE_LINE.match(place.after):
        return False
    if not place.after.strip():
        words = place.line.rstrip(" \t")
        is_unfinished = not words[-1].isalnum() or _UNFINISHED.search(words) is not None
        is_unfinished |= _OPTION.search(words) is not None
        return text != "<sep>" and is_unfinished
    if not following.strip():
        return text != "<sep>" and not place.turns_over
    return kind in {Kind.TURN, Kind.HEADER} or text not in MARKERS


def _is_half_of_pair(kind: Kind, place: Surroundings) -> bool:
    """Judge a tag that a blank separates from an unfinished sentence, and no sign ends."""
    if kind is not Kind.CLOSE:
        return not place.after.startswith("\n")
    words = place.line.rstrip(" \t")
    is_said = _UNFINISHED.search(words) is not None and _TAG_WORD.search(words) is not None
    return not place.is_end_expected and (is_said or (place.has_example and words[-1] == "|"))


def _is_glued(text: str, kind: Kind, place: Surroundings) -> bool:
    """Judge a marker that stands right behind an unfinished sentence."""
    last, following = place.line[-1], place.after[:1]
    if kind in _PAIRED:
        is_said = _SAYS.match(place.after) is not None
        is_said |= _UNSPACED.match(last) is not None and _UNSPACED.match(following) is not None
        is_said |= kind is Kind.CLOSE and last in _JOINS and following == " "
        is_said &= kind is not Kind.CLOSE or place.has_example
        return (is_said and following != "\n") or (kind in _OPENING and last in _GLUES)
    if not following:
        return last in _EXPECTING
    if text not in MARKERS and following not in "\n<":
        return True
    if _UNSPACED.match(last) and (_UNSPACED.match(following) or kind in _TURNS):
        return _ROLE_LINE.match(place.after) is None
    if text in _ANGLED and last.isalnum() and following not in "\n<":
        return True
    return last in _JOINS and following != "<" and not place.turns_over


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


class Examples:
    """Markers that were text, and the other halves of theirs that are still to come."""

    def __init__(self) -> None:
        self._closers: list[tuple[str, str]] = []
        self._mentioned: set[str] = set()
        self._shown: set[str] = set()
        self._in_turn = False
        self._on_line = ""

    def holds(self, text: str, kind: Kind, line: str) -> bool:
        """Return whether a marker belongs to an example that has begun.

        Args:
            text: The marker's canonical text.
            kind: What it would mean.
            line: What stands before it on its line.
        """
        if any(text == closer and opener in line for closer, opener in self._closers):
            return True
        is_near = self._in_turn or (self._on_line != "" and self._on_line in line)
        return is_near and kind in _TOKENS

    def ends_answer(self, text: str, place: Surroundings) -> bool:
        """Return whether a token ends the whole answer, whatever example stands before it.

        It is the last thing there is, stands right behind a word, and none like it was text before.
        """
        is_behind = place.line == "" or not (
            place.line[-1].isspace() or place.line[-1] in _EXPECTING
        )
        return is_behind and not place.after.strip() and text not in self._shown

    def has_opened(self, text: str) -> bool:
        """Return whether the other half of a closing marker was text, on whatever line."""
        return text in self._mentioned

    def note(self, text: str, marker: Marker, place: Surroundings, *, same_line: bool) -> None:
        """Take note of a marker that is text.

        Args:
            text: Its canonical text.
            marker: What it would mean.
            place: Where it stands.
            same_line: What belongs to it counts on its own line only.
        """
        is_item = _BULLET.fullmatch(place.line) is not None and place.after.startswith("\n")
        is_in_line = place.line.strip(" \t>") != "" and not (place.follows_spoken or is_item)
        is_in_line = is_in_line and not (marker.kind in _TOKENS and place.is_announced)
        is_in_line = is_in_line and not place.line.endswith(('"""', "'''"))
        is_mentioned = is_in_line and place.after[:1] in set(_PROSE_NEXT)
        is_mentioned = is_mentioned and place.line[-1] not in _GLUES
        is_mentioned = is_mentioned and _ELLIPSIS.match(place.after) is None
        self._mentioned.update(marker.closers)
        self._shown.add(text)
        open_since = [i for i, (closer, _) in enumerate(self._closers) if closer == text]
        if open_since:
            del self._closers[open_since[-1]]
        elif text == "<s>" or (marker.closers and not is_mentioned):
            closer = "</s>" if text == "<s>" else marker.closers[0]
            opener = text.rstrip(">") if is_in_line or same_line else ""
            self._closers = [*self._closers[-_MOST_CLOSERS:], (closer, opener)]
        if marker.kind in _TURNS and text not in _NICKNAMES:
            self._in_turn = not same_line and (self._in_turn or not is_in_line)
            self._on_line = text
        elif marker.kind is Kind.END:
            self._in_turn = False


def is_named(line: str, after: str) -> bool:
    """Return whether a tag stands in quotes, or is called a tag; arguments as for ``is_prose``."""
    is_quoted = line != "" and _QUOTES.get(line[-1]) == after[:1]
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
    if after in _TAG_NOUN_STARTS and not ended:
        return None
    if is_named(line, after):
        return True
    words = line.rstrip(" \t")
    if not words or words == line or words[-1] in SENTENCE_END:
        return False
    return after[0] in _PROSE_NEXT
