"""Which listed model a name means, however it is written.

People copy names from LM Studio, Hugging Face, Ollama and other programs: with a publisher, a file's path and
ending, a quantisation or a tag, in any case, with blanks for dashes. LM Studio itself answers a name
that it doesn't know with whatever is loaded, so a model that isn't found here would be used without
its context length being known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Final

_SHOWN_CHARS: Final = 100
_REMEMBERED: Final = 2048
_SEPARATORS: Final = re.compile(r"[\s_:@-]+")
_PRECISION: Final = re.compile(
    r"[it]?q\d|b?f16|fp?\d{1,2}|int\d|\d{1,2}bit|(?:mx|nv)fp\d|w\da\d{1,2}", re.ASCII
)
_GRADES: Final = frozenset({"k", "s", "m", "l", "xl", "xs", "xxs", "nl", "0", "1", "ud"})
"""What stands beside a precision: ``q4_k_m``, ``iq3_xxs``, ``UD-Q4_K_XL``."""

_PACKAGES: Final = frozenset(
    {"gguf", "mlx", "awq", "gptq", "onnx", "i1", "latest", "free", "default"}
)
_PART: Final = re.compile(r"-\d{5}-of-\d{5}$", re.ASCII)
_COPY: Final = re.compile(r":\d{1,4}$", re.ASCII)
_TUNED: Final = frozenset({"instruct", "it", "chat"})
_ACTIVE: Final = re.compile(r"a\d{1,3}b", re.ASCII)
"""How many parameters are used for a token."""

_PIECES: Final = re.compile(r"[^\W\d_]+|\d+")
_CATALOGUED: Final = re.compile(r"[\w.\-]{1,99}/[\w.@\-]{1,200}(?<!\.gguf)")
_PATH: Final = re.compile(r"[/~\\]|[A-Za-z]:[/\\]|\.\.?[/\\]")


def meant(name: str, keys: Collection[str]) -> tuple[str, ...]:
    """Return the listed names that a name may mean: all those that are most like it.

    Args:
        name: As somebody wrote it.
        keys: The names that there are.
    """
    for form in _FORMS:
        wanted = form(name)
        found = tuple(key for key in keys if wanted and form(key) == wanted)
        if found:
            return _of_publisher(_publisher(name), found)
    return tuple(key for key in keys if is_same_model(name, key) and _is_tuned_alike(name, key))


def is_same_model(name: str, other: str) -> bool:
    """Return whether two names mean one model, whatever publisher, copy or quantisation they say."""
    return _usual(name) == _usual(other) if _usual(name) else _plain(name) == _plain(other)


def quantisation(name: str) -> str:
    """Return the quantisation that a name ends with behind an ``@``, in lower case; empty without one."""
    tag = name.strip().casefold().rpartition("@")[2] if "@" in name else ""
    words = _words(tag)
    is_precision = any(_PRECISION.fullmatch(word) for word in words)
    return tag if is_precision and not _without_precision(words) else ""


def shown(name: str) -> str:
    """Return a name for people: one short line, and of a file's path only the file.

    A path tells how the owner's folders and accounts are called, and nobody needs it: the file's name is
    found as the model's.
    """
    line = "".join(c for c in " ".join(name.replace("`", "").split()) if c.isprintable())
    if _PATH.match(line) or line.casefold().endswith(".gguf"):
        line = line.replace("\\", "/").rstrip("/").rpartition("/")[2]
        line = line[: -len(".gguf")] if line.casefold().endswith(".gguf") else line
    return line[:_SHOWN_CHARS]


def _of_publisher(publisher: str, found: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of this publisher, else those without one, else all of them."""
    for wanted in (publisher, ""):
        if of_it := tuple(name for name in found if _publisher(name) == wanted):
            return of_it
    return found


def _publisher(name: str) -> str:
    folders = _path(name).rpartition("/")[0]
    return folders.partition("/")[0]


def _path(name: str) -> str:
    return name.strip().casefold().replace("\\", "/").rstrip("/")


def _same_letters(name: str) -> str:
    return name.strip().casefold()


@lru_cache(_REMEMBERED)
def _tail(name: str) -> str:
    """Return a name without publisher and folders, in one case and with dashes only."""
    file = _path(name).rpartition("/")[2].removesuffix(".gguf")
    return _SEPARATORS.sub("-", file).strip("-")


@lru_cache(_REMEMBERED)
def _unquantised(name: str) -> str:
    return _tail(_path(name).partition("@")[0])


@lru_cache(_REMEMBERED)
def _plain(name: str) -> str:
    """Return a name without all that doesn't tell one model from another."""
    name = _COPY.sub("", _path(name).partition("@")[0])
    words = _without_precision(_words(_PART.sub("", _tail(name))))
    return "-".join(words) or _tail(name)


@lru_cache(_REMEMBERED)
def _usual(name: str) -> str:
    """Return a name without what goes without saying, its letters and numbers apart.

    That is what Hugging Face's names say more than LM Studio's (``Qwen3-30B-A3B-Instruct`` is
    ``qwen/qwen3-30b``), and the dashes that Ollama's lack (``gemma3:27b`` is ``gemma-3-27b``).
    """
    words = _plain(name).split("-")
    words = words[1:] if words[0] == "meta" else words
    told = [word for word in words if word not in _TUNED and not _ACTIVE.fullmatch(word)]
    return "-".join(_PIECES.findall("-".join(told)))


def _is_tuned_alike(name: str, key: str) -> bool:
    """Return whether a listed model is no base model where the name is of one tuned for conversations.

    Keys with a publisher are of LM Studio's catalogue, those with a tag are Ollama's: both mean the tuned
    model without saying so.
    """
    is_of_catalogue = _CATALOGUED.fullmatch(key) is not None or ":" in key
    tuned = _TUNED.intersection
    return is_of_catalogue or not tuned(_words(_path(name))) or bool(tuned(_words(key)))


def _words(name: str) -> list[str]:
    return _SEPARATORS.sub("-", name.casefold().replace(".", "-")).strip("-").split("-")


def _without_precision(words: list[str]) -> list[str]:
    """Leave out what ends a name: precision, its grade, how it is packed."""
    end = len(words)
    while end:
        first = end - 1
        while first and words[first] in _GRADES:
            first -= 1
        if words[end - 1] in _PACKAGES:
            end -= 1
        elif _PRECISION.fullmatch(words[first]):
            end = first
            while end and words[end - 1] == "ud":
                end -= 1
        else:
            break
    return words[:end]


_FORMS: Final[tuple[Callable[[str], str], ...]] = (
    str,  # as it is
    _same_letters,
    _tail,
    _unquantised,
    _plain,
)
"""From the closest likeness to the loosest; the first by which anything is found counts."""
