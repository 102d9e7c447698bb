"""Formulas in LaTeX as readable text: Unicode where it can say it, code where it can't."""

from __future__ import annotations

import re
from typing import Final

_SYMBOLS: Final = {
    **dict(zip(
        ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega", "varepsilon", "varphi"],
        "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩεφ", strict=True,
    )),
    **dict(zip(
        ["times", "cdot", "div", "pm", "mp", "le", "leq", "ge", "geq", "ne", "neq", "approx", "equiv", "sim", "propto", "infty", "sum", "prod", "int", "partial", "nabla", "in", "notin", "subset", "subseteq", "cup", "cap", "forall", "exists", "to", "rightarrow", "leftarrow", "Rightarrow", "Leftarrow", "iff", "implies", "mapsto", "ldots", "dots", "cdots", "circ", "degree", "angle", "perp", "parallel", "neg", "land", "lor", "emptyset", "hbar", "ell", "prime", "ast", "star", "bullet", "oplus", "otimes", "langle", "rangle", "therefore", "because"],
        "×·÷±∓≤≤≥≥≠≠≈≡∼∝∞∑∏∫∂∇∈∉⊂⊆∪∩∀∃→→←⇒⇐⇔⇒↦………⋯∘°∠⊥∥¬∧∨∅ℏℓ′∗⋆•⊕⊗⟨⟩∴∵".replace("………", "……"),
        strict=True,
    )),
}  # fmt: skip
_NAMES: Final = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "log",
        "ln",
        "exp",
        "lim",
        "max",
        "min",
        "sup",
        "inf",
        "det",
        "gcd",
        "mod",
        "bmod",
        "deg",
        "dim",
        "ker",
        "arg",
    ]
)
_NOTHING: Final = frozenset(
    ["left", "right", "big", "Big", "bigg", "displaystyle", "textstyle", "limits", "quad", "qquad"]
)
_WRAPS: Final = frozenset(
    [
        "text",
        "textbf",
        "textit",
        "textrm",
        "mathrm",
        "mathbf",
        "mathit",
        "mathsf",
        "operatorname",
        "boxed",
    ]
)
_SPACES: Final = frozenset(["quad", "qquad"])
_LETTERS: Final = {"R": "ℝ", "N": "ℕ", "Z": "ℤ", "Q": "ℚ", "C": "ℂ", "P": "ℙ"}
_UP: Final = dict(
    zip(
        "0123456789+-=()niabcdefghjklmoprstuvwxyzT",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵃᵇᶜᵈᵉᶠᵍʰʲᵏˡᵐᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀ",
        strict=True,
    )
)
_DOWN: Final = dict(
    zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True)
)
_TOKEN: Final = re.compile(r"\\([A-Za-z]{1,24})|\\(.)|([{}^_])|([^\\{}^_])", re.DOTALL)
_LIVE: Final = re.compile(r"[\\{}^_*~`@#]|\|\||//|\]\(|^[>|]|^[+-] |<(?! )")
_LONGEST_PART: Final = 40
_DEEPEST: Final = 12


class _UnsayableError(Exception):
    """Unicode can't say it."""


def readable_math(source: str) -> str | None:
    """Return a formula in Unicode; ``None`` when only its source says it."""
    tokens = [found.groups() for found in _TOKEN.finditer(source.strip())]
    try:
        text, end = _group(tokens, 0, 0)
    except _UnsayableError:
        return None
    shown = " ".join(text.split())
    return shown if shown and end == len(tokens) and not _LIVE.search(shown) else None


_Token = tuple[str | None, ...]


def _group(tokens: list[_Token], start: int, depth: int) -> tuple[str, int]:
    """Read up to the brace that closes this group, or to the end."""
    if depth > _DEEPEST:
        raise _UnsayableError
    out: list[str] = []
    position = start
    while position < len(tokens) and tokens[position][2] != "}":
        text, position = _piece(tokens, position, depth)
        out.append(text)
    return "".join(out), position


def _piece(tokens: list[_Token], position: int, depth: int) -> tuple[str, int]:
    name, sign, special, plain = tokens[position]
    position += 1
    if plain is not None:
        return plain, position
    if sign is not None:
        if sign in ",;: !":
            return "" if sign == "!" else " ", position
        if sign in "%$&#|":
            return "‖" if sign == "|" else sign, position
        raise _UnsayableError
    if special == "{":
        text, position = _group(tokens, position, depth + 1)
        if position == len(tokens):
            raise _UnsayableError
        return text, position + 1
    if special in {"^", "_"}:
        return _script(tokens, position, depth, _UP if special == "^" else _DOWN)
    return _command(name or "", tokens, position, depth)


def _argument(tokens: list[_Token], position: int, depth: int) -> tuple[str, int]:
    while position < len(tokens) and (tokens[position][3] or "x").isspace():
        position += 1
    if position == len(tokens) or tokens[position][2] in {"}", "^", "_"}:
        raise _UnsayableError
    return _piece(tokens, position, depth)


def _script(
    tokens: list[_Token], position: int, depth: int, letters: dict[str, str]
) -> tuple[str, int]:
    text, position = _argument(tokens, position, depth)
    text = text.replace(" ", "")
    if text in {"∘", "°"} and letters is _UP:
        return "°", position
    if text == "′":
        return text, position
    if not text or any(char not in letters for char in text):
        raise _UnsayableError
    return "".join(letters[char] for char in text), position


def _command(name: str, tokens: list[_Token], position: int, depth: int) -> tuple[str, int]:
    if name in _SYMBOLS:
        return _SYMBOLS[name], position
    if name in _NAMES:
        return f"{name} ", position
    if name in _NOTHING:
        return " " if name in _SPACES else "", position
    if name in _WRAPS:
        return _argument(tokens, position, depth)
    if name == "mathbb":
        text, position = _argument(tokens, position, depth)
        if text not in _LETTERS:
            raise _UnsayableError
        return _LETTERS[text], position
    if name in {"frac", "dfrac", "tfrac"}:
        top, position = _argument(tokens, position, depth)
        bottom, position = _argument(tokens, position, depth)
        return f"{_part(top)}/{_part(bottom)}", position
    if name == "sqrt":
        text, position = _argument(tokens, position, depth)
        return f"√{_part(text)}", position
    raise _UnsayableError


def _part(text: str) -> str:
    text = text.strip()
    if len(text) > _LONGEST_PART or not text:
        raise _UnsayableError
    return text if text.isalnum() else f"({text})"
