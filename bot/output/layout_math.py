"""Formulas in LaTeX as readable text, with what Unicode can say in Unicode.

What it can't say (an exponent of several signs, a matrix) is written on one line, as people do who
have only a keyboard: ``e^(iπ)``, ``(1 2; 3 4)``. A formula with a command that isn't known stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final


def _named(names: str, signs: str) -> dict[str, str]:
    return dict(zip(names.split(), signs, strict=True))


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


_GREEK: Final = _named(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon"
    " phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega varepsilon varphi vartheta"
    " partial",
    "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩεφϑ∂",
)
_SIGNS: Final = _named(
    "times cdot div pm mp le leq leqslant ge geq geqslant ne neq approx equiv sim simeq cong propto ll gg"
    " infty sum prod int oint nabla in notin ni subset subseteq supset supseteq cup cap setminus forall"
    " exists to rightarrow leftarrow longrightarrow leftrightarrow Rightarrow Leftarrow Leftrightarrow"
    " iff implies mapsto ldots dots cdots vdots circ degree angle perp parallel neg lnot land wedge lor"
    " vee emptyset varnothing hbar ell prime ast star bullet oplus otimes langle rangle lfloor rfloor"
    " lceil rceil mid vert Vert lvert rvert lVert rVert therefore because dagger triangle square Re Im"
    " colon backslash lbrace rbrace blacksquare Box qed nexists aleph hookrightarrow gets vdash models top bot"
    " lesssim gtrsim ddots checkmark uparrow downarrow bigcup bigcap iint Longrightarrow Longleftrightarrow"
    " complement prec succ preceq succeq sqsubseteq coloneqq lll ggg longmapsto rightleftharpoons",
    "×·÷±∓≤≤≤≥≥≥≠≠≈≡∼≃≅∝≪≫∞∑∏∫∮∇∈∉∋⊂⊆⊃⊇∪∩∖∀∃→→←→↔⇒⇐⇔⇔⇒↦……⋯⋮∘°∠⊥∥¬¬∧∧∨∨∅∅ℏℓ′∗⋆•⊕⊗⟨⟩⌊⌋⌈⌉||‖||‖‖∴∵†△□ℜℑ:\\{}■□∎∄ℵ↪←⊢⊨⊤⊥≲≳⋱✓↑↓⋃⋂∬⟹⟺∁≺≻⪯⪰⊑≔⋘⋙⟼⇌",
)
_NAMES: Final = _set(
    "sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan log ln lg exp lim max min sup inf det gcd"
    " mod bmod deg dim ker arg Pr limsup liminf argmax argmin hom lcm"
)
_NOTHING: Final = _set(
    "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr displaystyle textstyle limits"
    " nolimits hline notag nonumber"
)
_WRAPS: Final = _set(
    "text textbf textit textrm mathrm mathbf mathit mathsf mathcal mathscr mathfrak boldsymbol operatorname"
    " boxed mbox underbrace overbrace"
)
_SPACES: Final = frozenset(["quad", "qquad"])
_FRACTIONS: Final = frozenset(["frac", "dfrac", "tfrac", "cfrac"])
_CHOICES: Final = frozenset(["binom", "dbinom", "tbinom"])
_ACCENTS: Final = {
    "hat": "\u0302",
    "widehat": "\u0302",
    "bar": "\u0304",
    "overline": "\u0305",
    "vec": "\u20d7",
    "overrightarrow": "\u20d7",
    "dot": "\u0307",
    "ddot": "\u0308",
    "tilde": "\u0303",
    "widetilde": "\u0303",
}
_ROOTS: Final = {"2": "√", "3": "∛", "4": "∜"}
_LETTERS: Final = dict(
    zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ1", "𝔸𝔹ℂ𝔻𝔼𝔽𝔾ℍ𝕀𝕁𝕂𝕃𝕄ℕ𝕆ℙℚℝ𝕊𝕋𝕌𝕍𝕎𝕏𝕐ℤ𝟙", strict=True)
)
_UP: Final = dict(
    zip(
        "0123456789+-=()niabcdefghjklmoprstuvwxyzT∘°′∗",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵃᵇᶜᵈᵉᶠᵍʰʲᵏˡᵐᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀ°°′*",
        strict=True,
    )
)
_DOWN: Final = dict(
    zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True)
)
_MATRICES: Final = {
    "pmatrix": ("(", ")"),
    "bmatrix": ("[", "]"),
    "Bmatrix": ("{", "}"),
    "vmatrix": ("|", "|"),
    "Vmatrix": ("‖", "‖"),
    "matrix": ("(", ")"),
    "smallmatrix": ("", ""),
    "array": ("", ""),
}
_WITH_COLUMNS: Final = frozenset(["array", "alignat", "alignat*", "alignedat"])
"""Environments that say how many columns they have before their first row."""

_TOKEN: Final = re.compile(r"\\([A-Za-z]{1,24})\*?|\\(.)|([{}^_&])|([^\\{}^_&])", re.DOTALL)
_LIVE: Final = re.compile(r"[\\{}^_*~`@#\n]|\|\||//|\]\(|^[>|]|^[+-] |<(?! )")
"""What Discord would read as its own markup in a formula."""

_LINE_CHARS: Final = 60
_SURE: Final = re.compile(
    r"\\[A-Za-z{%]|[\^_=]|\A[A-Za-z]['!]?(?:\([\w, ]{1,20}\))?\Z|\A[-−+]?\d[\d.,/]{0,20}[A-Za-z!]?\Z"
)
"""What no price and no name of a variable holds."""

_OPERATED: Final = re.compile(r"\\[A-Za-z]|[\^_=<>+*/×·÷±−≤≥≠≈]")
"""What no escaped brackets of a text hold: a footnote, a box to tick, a remark."""

_WORD: Final = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3}")
_OF_PROGRAMS: Final = re.compile(
    r"\"|=~|&&| --\w|\.[*+]|\[[\^:]|\\[dwsDWS](?![A-Za-z])|(?<!\\);\s{0,80}+(?:[A-Za-z]{3}|\Z)"
    r"|\A[);,/]|\A\|[^|]*\Z|[=(\[{+<&^/]\Z|\A-[A-Za-z]{1,8} (?![-+=<>\\^*/·])|\A[A-Za-z]\d\d\Z"
)
"""What stands in a program between two dollar signs, and between two groups of a search pattern; a test of
a shell in escaped brackets; the name of an architecture."""

_IN_LINE: Final = re.compile(
    r"\\\((?P<round>[^`\n]{1,200}?)\\\)|\$\$(?P<double>[^`$\n]{1,200}+)\$\$"
    r"|(?<!\w)\$(?P<single>[^`$\n]{1,120}+)\$(?!\w)"
)
_AMOUNT: Final = re.compile(r"(?<=[A-Za-z)\]])[0-9]{1,4}")
_LONGEST_PART: Final = 80
_MOST_ACCENTED: Final = 3
_DEEPEST: Final = 12
_ROW_END: Final = "\n"


class _UnsayableError(Exception):
    """A command isn't known, or a part of the formula is missing."""


def readable_math(source: str) -> str | None:
    """Return a formula in readable text, its rows on lines of their own; ``None`` when it can't be told."""
    tokens = [found.groups() for found in _TOKEN.finditer(source.strip())]
    try:
        text, end = _group(tokens, 0, 0)
    except _UnsayableError:
        return None
    lines = [" ".join(line.split()) for line in text.split(_ROW_END)]
    shown = "\n".join(filter(None, lines))
    return shown if shown and end == len(tokens) else None


def is_formula(source: str, opener: str) -> bool:
    """Return whether what stands behind an opener of a formula, up to its end, is one beyond doubt.

    Dollar signs stand in prices and programs too, and escaped brackets in any text.
    """
    stripped = source.strip()
    if not stripped.strip(".… ") or "`" in stripped or _OF_PROGRAMS.search(stripped) is not None:
        return False
    if opener[0] == "$" and "$" in source:
        return False
    if opener == "$":
        return source == stripped and _SURE.search(source) is not None
    if opener == r"\[":
        return _OPERATED.search(stripped) is not None
    return _SURE.search(stripped) is not None or _WORD.search(stripped) is None


def shown_formula(source: str) -> str:
    """Return a formula as text or code."""
    stripped = source.strip()
    shown = readable_math(stripped)
    if shown is not None and not _LIVE.search(shown):
        return shown
    language = "tex" if shown is None else ""
    shown = shown or stripped
    if "\n" in shown or len(shown) > _LINE_CHARS:
        return f"\n```{language}\n{shown}\n```\n"
    return f"`{shown}`"


def with_formulas(cell: str) -> str:
    """Return the cell of a table with its formulas in readable text."""
    return _IN_LINE.sub(_in_cell, cell) if "$" in cell or "\\(" in cell else cell


def _in_cell(found: re.Match[str]) -> str:
    source = found["round"] or found["double"] or found["single"]
    opener = "$" if found["single"] else "$$" if found["double"] else r"\("
    if not is_formula(source, opener):
        return found[0]
    shown = (readable_math(source) or source.strip()).replace("\n", "; ")
    return f"`{shown}`" if _LIVE.search(shown) else shown


_Token = tuple[str | None, ...]


def _group(tokens: list[_Token], start: int, depth: int) -> tuple[str, int]:
    """Read up to the brace or the end of the environment that closes this group, or to the end."""
    if depth > _DEEPEST:
        raise _UnsayableError
    out: list[str] = []
    position = start
    while position < len(tokens) and tokens[position][2] != "}" and tokens[position][0] != "end":
        token = tokens[position]
        is_name = bool(out) and out[-1].rstrip() in _NAMES
        is_script = token[2] in {"^", "_"}
        if is_script and is_name:
            out[-1] = out[-1].rstrip()
        elif token[3] == " " and _is_letter_ahead(tokens, position):
            position += 1
            continue
        text, position = _piece(tokens, position, depth)
        out.append(f"{text} " if is_script and is_name else text)
    return "".join(out), position


def _is_letter_ahead(tokens: list[_Token], position: int) -> bool:
    """Return whether a blank only ends the name of a letter before another one."""
    following = tokens[position + 1][3] if position + 1 < len(tokens) else None
    return tokens[position - 1][0] in _GREEK and (following or " ").isalnum()


def _piece(tokens: list[_Token], position: int, depth: int) -> tuple[str, int]:
    name, sign, special, plain = tokens[position]
    position += 1
    if plain is not None:
        return plain.replace("\n", " "), position
    if sign is not None:
        return _sign(sign), position
    if special == "&":
        return " ", position
    if special == "{":
        text, position = _group(tokens, position, depth + 1)
        if position == len(tokens) or tokens[position][2] != "}":
            raise _UnsayableError
        return text, position + 1
    if special in {"^", "_"}:
        return _script(tokens, position, depth, special or "")
    return _command(name or "", tokens, position, depth)


def _sign(sign: str) -> str:
    if sign in ",;:! >":
        return "" if sign == "!" else " "
    if sign == "\\":
        return _ROW_END
    if sign in "%$&#|{}_":
        return "‖" if sign == "|" else sign
    raise _UnsayableError


def _argument(tokens: list[_Token], position: int, depth: int) -> tuple[str, int]:
    while position < len(tokens) and (tokens[position][3] or "x").isspace():
        position += 1
    if position == len(tokens) or tokens[position][2] in {"}", "^", "_", "&"}:
        raise _UnsayableError
    return _piece(tokens, position, depth + 1)


def _script(tokens: list[_Token], position: int, depth: int, mark: str) -> tuple[str, int]:
    text, position = _argument(tokens, position, depth)
    letters = _UP if mark == "^" else _DOWN
    bare = text.replace(" ", "")
    if bare and all(char in letters for char in bare):
        return "".join(letters[char] for char in bare), position
    return f"{mark}{text.strip()}" if len(bare) == 1 else f"{mark}({text.strip()})", position


def _command(name: str, tokens: list[_Token], position: int, depth: int) -> tuple[str, int]:
    simple = _simple(name)
    if simple is not None:
        is_bare = (
            name in {"left", "right"} and position < len(tokens) and tokens[position][3] == "."
        )
        return simple, position + is_bare  # a fence that isn't drawn
    if name == "begin":
        return _environment(tokens, position, depth)
    if name == "sqrt" and position < len(tokens) and tokens[position][3] == "[":
        return _root(tokens, position, depth)
    text, position = _argument(tokens, position, depth)
    if name in _FRACTIONS or name in _CHOICES:
        other, position = _argument(tokens, position, depth)
        is_choice = name in _CHOICES
        return f"C({text}, {other})" if is_choice else f"{_part(text)}/{_part(other)}", position
    if name in {"color", "textcolor"}:
        return _argument(tokens, position, depth)
    return f" (mod {text})" if name == "pmod" else _changed(name, text), position


def _simple(name: str) -> str | None:
    """Return what a command without an argument stands for; ``None`` for any other."""
    if name in _NAMES:
        return f"{name} "
    if name in _NOTHING or name in _SPACES:
        return " " if name in _SPACES else ""
    return _GREEK.get(name) or _SIGNS.get(name)


def _changed(name: str, text: str) -> str:
    """Return the argument of a command as that shows it."""
    if name in _WRAPS:
        return text
    if name == "not" and len(text) == 1:
        return unicodedata.normalize("NFC", f"{text}\u0338")
    if name == "tag":
        return f"  ({text})"
    if name == "ce":
        return _chemical(text)
    if name == "sqrt":
        return f"√{_part(text)}"
    if name == "mathbb" and text in _LETTERS:
        return _LETTERS[text]
    if name in _ACCENTS and len(text) <= _MOST_ACCENTED and text.isalnum():
        return "".join(char + _ACCENTS[name] for char in text)
    raise _UnsayableError


def _chemical(text: str) -> str:
    """Return a formula of chemistry: numbers behind an element or a group are low."""
    low = _AMOUNT.sub(lambda found: "".join(_DOWN[digit] for digit in found[0]), text)
    return low.replace("<=>", "⇌").replace("->", "→")


def _root(tokens: list[_Token], position: int, depth: int) -> tuple[str, int]:
    """Read a root with its degree in brackets."""
    degree = tokens[position + 1][3] if position + 1 < len(tokens) else None
    is_short = position + 2 < len(tokens) and tokens[position + 2][3] == "]"
    sign = _ROOTS.get(degree or "") or _UP.get(degree or "", "")
    if not (is_short and sign):
        raise _UnsayableError
    text, position = _argument(tokens, position + 3, depth)
    return f"{sign if sign in _ROOTS.values() else f'{sign}√'}{_part(text)}", position


def _environment(tokens: list[_Token], position: int, depth: int) -> tuple[str, int]:
    name, position = _argument(tokens, position, depth)
    if name in _WITH_COLUMNS:
        _, position = _argument(tokens, position, depth)
    text, position = _group(tokens, position, depth + 1)
    if position == len(tokens) or tokens[position][0] != "end":
        raise _UnsayableError
    _, position = _argument(tokens, position + 1, depth)
    rows = [" ".join(row.split()) for row in text.split(_ROW_END)]
    if name in {"cases", "dcases"}:
        return "{ " + "; ".join(filter(None, rows)), position
    if name in _MATRICES:
        left, right = _MATRICES[name]
        return f"{left}{'; '.join(filter(None, rows))}{right}", position
    return text, position


def _part(text: str) -> str:
    text = text.strip()
    if len(text) > _LONGEST_PART or not text or _ROW_END in text:
        raise _UnsayableError
    is_product = any(map(str.isdecimal, text)) and any(map(str.isalpha, text))
    return text if text.isalnum() and not is_product else f"({text})"
