"""What surrounds a marker in visible text, and the words and signs that tell what it is there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bot.output.markup import MARKER, TURN_ROLES, Kind

AFTER_CHARS: Final = 64
"""How much of what follows a marker is looked at."""

PAIRED: Final = frozenset({Kind.OPEN, Kind.CLOSE, Kind.TOOL, Kind.WRAP})
TURNS: Final = frozenset({Kind.TURN, Kind.HEADER})
TOKENS: Final = frozenset({Kind.END, Kind.DROP, *TURNS})
NICKNAMES: Final = frozenset({"<AI>", "<用户>"})
"""Tokens that are somebody's name in a log, where a blank follows."""

SENTENCE_END: Final = ".!?。！？…*_।॥؟۔"
PROSE_NEXT: Final = " \t,.;:)]\"'`/…，。；：）、،؛؟?!—–।॥۔།}”’»」』》】"
"""What may follow the name of a thing in a sentence."""

QUOTES: Final = dict(zip("`\"'“‘(«「[{『„（", "`\"'”’)»」]}』“）", strict=True))
BULLET: Final = re.compile(r"(?:[ \t]{0,8}+(?:[-*+•|>#]{1,6}+|\d{1,3}[.)])[ \t]{1,8}+){1,6}+")
TAG_WORDS: Final = (
    r"[Tt]ags?|[Tt]okens?|[Mm]arkers?|[Bb]alises?|[Ee]tiquetas?|[Ee]tichett[ae]|[Zz]naczniki?"
    r"|[Zz]načk[ay]|[Ee]tiketi?|[Bb]elirteci|[Tt]hẻ|[Тт]ег\w{0,3}|[Тт]окен\w{0,3}|(?:ال|بال)?وسم|תגית|תג"
    r"|टैग|टोकन|แท็ก|โทเคน|태그|토큰|标签|标记|令牌|標籤|タグ|トークン"
)
SAYS: Final = re.compile(
    r"[ \t](?:(?:is|are|was|were|has|have|had|does|did|appears?|works|serves|isn't|aren't|exists?|belongs?|comes|goes|tells?|contains?|holds)\b"
    r"|(?:marks?|means|opens|closes|begins|ends|starts|denotes|indicates|signals|wraps|stands for"
    r"|separates|frames|precedes|delimits|introduces|surrounds|divides)\b"
    r"|(?:can|could|should|must|will|would|may) be\b|(?:ist|sind|war|waren|gehört|heißt|kommt)\b"
    r"|(?:markiert|beendet|öffnet|schließt|steht für|bedeutet)\b"
    r"|(?:est|sont) (?:un|une|le|la|les)\b|(?:es|son) (?:un|una|el|la|los)\b|это |означает|обозначает"
    r"|(?:and|or|to|und|oder|bis|et|ou|y|o|и|или) [<`\[/◁&]|(?:[—–=:→]|::?=|[-=]>) |هو |هي |و ?[<`\[])"
    r"|[ \t]?(?:是[^\s，。,]{0,8}(?:标签|标记|令牌|符号|标志)|用于|用来|表示|标志|代表)"
    r"|[ \t]?(?:[和与及到とや와과] ?[<`\[◁]|から|부터)|は(?![いじっあぁてん])"
    r"|[는를을] |で(?:始ま|終わ|囲|挟|開|閉|区切)"
)
"""What is said of a thing after its name."""

COMES_AFTER: Final = re.compile(
    r"[ \t]?(?:之后|以后|后面|之前|以前|前面|之间|中间|里面|的(?:后面?|前面?|时候|位置|地方)"
    r"|の(?:後|前|直後|あと|間)|以降|まで|より|이후|까지|사이|뒤에|앞에|다음에 )"
    r"|[ \t](?:के (?:बाद|पहले)|से पहले|sonrası|sonra |öncesi|önce )"
)
"""Words of languages that put them behind a thing to say what comes before or after it."""

ELLIPSIS: Final = re.compile(r"[ \t]{0,4}+(?:\.{2,6}+|…{1,3}+)[ \t]{0,4}+")
EXPECTING: Final = frozenset("=([{+")
"""Signs that something belongs behind, so that no answer ends with them."""

WANTING: Final = re.compile(
    r"\b(?i:an?|the|of|to|by|with|and|or|as|like|in|for|from|at|on|after|before|until|only|called|named|neither|nor"
    r"|uses?|writes?|emits?|adds?|sees?|prints?|types?|finds?|inserts?|removes?|replaces?|contains?|forgot|missing|expected"
    r"|try|tries|means|namely|drops?|strips?|handles?|parses?|keeps?|skips?|ignores?|detects?|match|matches|expects?|appends?|escapes?|hides?"
    r"|mit|und|oder|das|der|die|dem|den|et|ou|avec|le|la|les|y|o|con|el|met|het|e|и|или|с|его|до"
    rf"|{TAG_WORDS})\Z"
    r"|[用到在以はがをでและ]\Z|بـ\Z"
)
"""Words that want a noun behind them: a marker there is that noun."""

COPULA: Final = re.compile(r"\b(?:is|are|was|were|ist|sind|est|sont|es|son|это)\Z")

_SHOWS: Final = re.compile(rf"{COPULA.pattern}|\b(?:like this|like so|as follows)\Z")
"""What an example stands below."""

GOES_ON: Final = re.compile(
    r"[ \t](?:[0-9a-zà-ÿα-ωа-яё]|[—–=:→] |[\u0590-\u06ff])|(?:是|和|与|或|用于|表示|标|代表|は|と|を|が|の)"
)
"""How a sentence goes on after its first word."""

PARTICLE: Final = re.compile(
    r"(?:[을를은는의]|으로|부터|까지|에서)(?=[ ,.])|[와과] ?[<`]|で(?:始ま|終わ|囲|挟|開|閉|区切)"
    r"|の(?:後|前|直後|あと|間)|は(?![いじっあぁてん])|的(?![确士])"
    r"|['’](?:[dt][ae]n?|n?[ıiuü]n?|y?[ıiuüae]|y?l[ae])(?!\w)"
)
"""What hangs on a noun and begins no sentence: what stands before it is that noun."""

SUFFIXED: Final = re.compile(
    rf"{PARTICLE.pattern}|(?:[이가도만로에와과]|이라는|라는)(?=[ ,.])|-[^\W\d_]"
)
"""What hangs on a noun in the middle of a sentence."""

PARTICLE_PARTIAL: Final = re.compile(
    r"[가-힣和与及到とや] ?|에서|으로|부터|까지|이?라는?|で.?|[のは的]|-|['’]\w{0,3}"
)
"""What more text may make a particle."""

UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3，、。：；]")
JOINS: Final = frozenset("/=+([{,&·–—-→~")
GLUES: Final = frozenset("^=+/\\&$#@%|")
"""Signs right before a tag that no model thinks, or calls, behind."""

LISTED: Final = re.compile(r"[,;]|[:/][\s<\[`]")
"""What stands behind the first of several things."""

CELL_END: Final = re.compile(r"[ \t]{0,8}+\|[^|]|\t\S")
"""What stands behind the first cell of a row."""

IN_ELEMENT: Final = re.compile(r"<(?:code|pre|kbd|tt|samp|p|td|th|li|b|i|em|strong|span|div)>\Z")
COLUMN: Final = re.compile(r"[ \t]{2,40}+\S")
OPTION: Final = re.compile(r"(?<!\S)--?[\w\-]{1,30}\Z")
ABBREVIATED: Final = re.compile(
    r"(?:\be\.g|\bi\.e|\bz\. ?B|\bd\. ?h|\bp\. ?ex|\bp\. ?ej|\bcf|\bvs|\bbzw|\betc|\bт\. ?е|\bнапр)\.\Z"
)
SIGN: Final = re.compile(r"[+\-<>|$#]")
"""What stands in front of a line that is shown: a change in a file, a quote."""

_PROMPT: Final = re.compile(
    r".{0,60}<<[~\-]?['\"]?[A-Z]{2,12}['\"]?.{0,8}\Z|(?:>>>|In \[\d{1,4}\]:|[\w@.~:/\\\-]{0,40}+\$|(?![>\s])[\w@.:/\\ \-]{1,40}+>) \S"
    r"|\s{0,20}+\\begin\{(?:verbatim|lstlisting|minted)"
)
"""Where somebody has typed something into a program, or where LaTeX begins to print what stands there."""

_ROLE_LABEL: Final = re.compile(rf"(?i:{'|'.join(TURN_ROLES)})[ \t]{{0,4}}+[:\n]")


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
        has_thought: Thinking has ended before it.
        previous: The line right before its own.
        has_example: The other half of this marker was text.
        above: The end of the lines before it, blanks and emphasis aside.
    """

    line: str
    before: str
    after: str
    is_started: bool
    follows_spoken: bool
    has_ended: bool
    is_habit: bool = False
    is_end_expected: bool = False
    has_thought: bool = False
    previous: str = ""
    has_example: bool = False
    above: str = ""

    @property
    def is_introduced(self) -> bool:
        """Whether a colon announces what stands here, or an example goes on here."""
        return self.is_started and (self.follows_spoken or self.before in set(":："))

    @property
    def is_shown_below(self) -> bool:
        """Whether the line before says without a colon that something is shown here."""
        return self.is_started and not self.line.strip() and _SHOWS.search(self.above) is not None

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

    @property
    def is_assigned(self) -> bool:
        """Whether it is the value of something: of a setting, a variable or an option."""
        words = self.words
        return (
            words[-1:] in EXPECTING
            or words.endswith(("->", "→", "=>"))
            or OPTION.search(words) is not None
        )

    @property
    def is_in_column(self) -> bool:
        """Whether it begins a row of a table that blanks make."""
        return self.is_started and self.line == "" and COLUMN.match(self.after) is not None

    @property
    def is_in_session(self) -> bool:
        """Whether it is the first line that a program printed at what was typed."""
        return _PROMPT.match(self.previous) is not None

    @property
    def is_in_outline(self) -> bool:
        """Whether the line before is an ellipsis: the form of something is told, not its words."""
        is_told = self.is_started and not (self.is_end_expected or self.line.strip())
        return is_told and ELLIPSIS.fullmatch(self.previous) is not None

    @property
    def words(self) -> str:
        """What stands before it on its line, without blanks at the end."""
        return self.line.rstrip(" \t")

    @property
    def is_unfinished(self) -> bool:
        """Whether its line ends with a word that no sentence ends with: the marker is the rest of it."""
        words = self.words
        return WANTING.search(words) is not None or COPULA.search(words) is not None

    @property
    def is_behind_sentence(self) -> bool:
        """Whether a finished sentence stands before it on its line."""
        words = self.words
        return words[-1:] in set(SENTENCE_END) and ABBREVIATED.search(words) is None
