"""A setting's value as people write it and read it. Pure; the field itself says what is allowed."""

from __future__ import annotations

import contextlib
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal, cast, get_args, get_origin

from pydantic import TypeAdapter

from config import names, units
from config.names import Target

NUMBER_CHARS: Final = 32
"""Longer input is no number that anyone means; it also keeps parsing cheap."""

MOST_ENTRIES: Final = 50
"""Channels, roles or people that one list may name by command."""

_NUMBER: Final = re.compile(r"([+-]?+)([\d.,' ]++)(\D*+)", re.ASCII)
_PLAIN: Final = re.compile(r"(\d*+)(?:[.,](\d*+))?+", re.ASCII)
_GROUPED: Final = tuple(
    re.compile(rf"([1-9]\d{{0,2}}+(?:{mark}\d{{3}})++)(?:[{point}](\d++))?+", re.ASCII)
    for mark, point in ((r"\.", ","), (",", "."), ("'", ".,"), (" ", ".,"))
)
_FRACTION: Final = re.compile(
    r"(?<![\d.,'])(\d{0,9}+) ?([\u00bc-\u00be\u2155-\u2158\u215b-\u215e])", re.ASCII
)
"""A number that ends with a part for which there is a character: those that have few decimals."""
_MARKS: Final = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2013\uff0d", "-"),
        **dict.fromkeys("\u2019\u066c", "'"),
        **dict.fromkeys("\u00a0\u2009\u202f", " "),
        **dict.fromkeys("`\u200b\u200e\u200f\u061c\u2066\u2067\u2068\u2069\ufeff"),
        "\uff0b": "+",
        "\uff0e": ".",
        "\uff0c": ",",
        "\u066b": ".",
        "\u066a": "%",
        "\uff05": "%",
    }
)
"""What stands for a sign of ASCII in a number, or isn't seen in it."""
_UNSEEN: Final = " \t\r\n\u00a0\u200b\u200e\u200f\u2060\u3000\ufeff"
_QUOTES: Final = frozenset(
    ["``", '""', "''", "“”", "‘’", "„“", "„”", "‚‘", "«»", "‹›", "「」", "『』", "””", "’’"]
)
"""Pairs that stand around a whole value, as keyboards of phones and copied text have them."""
_MOST_QUOTES: Final = 4
"""A fence's three, and one inside; more of them are no quotes, and taking each off costs a copy."""
_FENCE: Final = re.compile(r"`{3,}+")
_LANGUAGE: Final = re.compile(r"[\w+#.-]{0,32}+", re.ASCII)
"""What may stand behind a code block's fence, where the line ends with it."""
_SEPARATOR: Final = re.compile(r"[\s,;]++")
_ENTRY: Final = re.compile(r"([+-]?)(?:<(#|@&|@!?)(\d{1,20})>|(\d{1,20}))", re.ASCII)
_SIGNS: Final = MappingProxyType({"channel": ("#",), "role": ("@&",), "person": ("@", "@!")})
_MENTIONS: Final = MappingProxyType({"channel": "<#{}>", "role": "<@&{}>", "person": "<@{}>"})
_MANY: Final = MappingProxyType(
    {"guild": "servers", "channel": "channels", "role": "roles", "person": "people"}
)
_NONE: Final = MappingProxyType(
    {"guild": " for every server", "channel": " for every channel", "role": " for everybody"}
)
"""What no entry means, in a list of what is let in."""
_SHORT: Final = MappingProxyType({"_ms": " ms", "_s": " s", "_bytes": " bytes"})


class SeveralMeaningsError(ValueError):
    """A text may mean several values that are allowed; its arguments are these."""


def read(target: Target, text: str, current: Sequence[int] = ()) -> object:
    """Turn what a person typed into a setting's value.

    Args:
        target: The setting.
        text: As typed; spaces around it are ignored, and quotes, or a persona's code block. Numbers may
            have a comma, a unit of time or size, or a ``k``; ids may be mentions, with a ``+`` or ``-``
            before each to add or remove.
        current: The ids that such signs change.

    Raises:
        SeveralMeaningsError: It may mean several values (``1,800``, ``70 %`` of 2).
        ValueError: It isn't allowed; pydantic's own are for programmers, ``words`` for people.
    """
    check, allowed = adapter(target), []
    typed = unfenced(text) if target.field == "system_prompt" else bare(text)
    for reading in _reader(target)(typed, current):
        with contextlib.suppress(ValueError):
            allowed.append(check.validate_python(reading))
    if len(allowed) > 1:
        raise SeveralMeaningsError(*allowed)
    if not allowed:
        raise ValueError
    return allowed[0]


def bare(text: str) -> str:
    """Return a value without what isn't seen at its ends, and without quotes or code around all of it."""
    inner = text.strip(_UNSEEN)
    for _ in range(_MOST_QUOTES):
        if len(inner) > 1 and inner[0] + inner[-1] in _QUOTES:
            inner = inner[1:-1].strip(_UNSEEN)
    return inner


def unfenced(text: str) -> str:
    """Return a text without spaces around it, and without a code block around all of it."""
    text = text.strip()
    found = _FENCE.match(text)
    if found is None or not text[found.end() :].endswith(found[0]):
        return text
    inner = text[found.end() : -len(found[0])]
    if found[0] in inner:
        return text
    first, is_over, rest = inner.partition("\n")
    return (rest if is_over and _LANGUAGE.fullmatch(first.strip()) else inner).strip()


def adapter(target: Target) -> TypeAdapter[Any]:
    """Return what checks and serialises a setting's values by its field."""
    info = target.info
    return TypeAdapter(cast("Any", info.rebuild_annotation()))


def written(target: Target, value: object) -> str:
    """Return a value as people read it; ``None`` is what the field means by no value."""
    if value is None:
        return {"model": "the loaded one"}.get(target.field, "automatic")
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        mention = _MENTIONS.get(names.mark(target).of, "{}")
        return ", ".join(mention.format(each) for each in value) or "none"
    if isinstance(value, float):
        value = format(Decimal(repr(value)).normalize(), "f")
        value += "0" if _grouped(value) else ""  # never to be read as thousands
    unit = next((unit for end, unit in _SHORT.items() if target.field.endswith(end)), "")
    return f"{value}{unit}"


def words(target: Target) -> str:
    """Say what a setting may be, with an example."""
    kind, of = names.kind(target), names.mark(target).of
    if kind is bool:
        return "on or off"
    if names.is_list(target):
        return (
            f"at most {MOST_ENTRIES} {_MANY[of]}, by {'name, mention or id' if of in _MENTIONS else 'id'}, or none"
            f"{_NONE[of] if target.field.startswith('allowed_') else ''}; + or - before each adds or removes it"
        )
    allowed = names.allowed(target) + names.unit(target) + units.in_words(target)
    if target.field == "system_prompt":
        allowed += " without control characters"
    if get_origin(kind) is Literal:
        return allowed
    example = (target.info.examples or [target.info.default])[0]
    if example is None:
        example = names.bounds(target.info.metadata).get("ge")
    return f"{allowed}, for example {written(target, example)}" if example is not None else allowed


def _reader(target: Target) -> Callable[[str, Sequence[int]], Iterable[object]]:
    """Return what yields the values that a text may mean, whether they are allowed or not."""
    kind = names.kind(target)
    if names.is_list(target):
        signs = _SIGNS.get(names.mark(target).of, ())
        return lambda text, current: [_ids(text, current, signs)]
    if kind is bool:
        return lambda text, _: [_switch(text)]
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return lambda text, _: [_choice(text, choices)]
    if kind in {int, float}:
        known = units.of(target)
        return lambda text, _: _numbers(text, known, is_whole=kind is int)
    return lambda text, _: [_words_only(text)]


def _numbers(
    text: str, known: dict[str, tuple[Decimal, ...]], *, is_whole: bool
) -> Iterator[int | float]:
    """Yield the numbers that a text may mean: ``1,800`` is two, by whose language it is."""
    found = _NUMBER.fullmatch(_in_ascii(text)) if len(text) <= NUMBER_CHARS else None
    if found is None:
        raise ValueError
    sign, digits, unit = found[1], found[2].strip(), _unit(found[3])
    if unit and unit not in known:
        raise ValueError
    factors = known.get(unit, (Decimal(1),))
    plain, grouped = _PLAIN.fullmatch(digits), _grouped(digits)
    parts = [(plain[1], plain[2])] if plain and any(plain.groups()) else []
    parts += [(grouped[1], grouped[2])] if grouped else []
    for (before, fraction), factor in itertools.product(parts, factors):
        whole = "".join(filter(str.isdigit, before)) or "0"
        value = Decimal(f"{sign}{whole}.{fraction or 0}") * factor
        if not is_whole:
            yield float(value) + 0.0  # never -0.0
        elif value == int(value) and (fraction is None or factor > 1):
            yield int(value)


def _grouped(text: str) -> re.Match[str] | None:
    """Return the parts of a number whose thousands are set apart; ``None`` where it is none."""
    return next(filter(None, (pattern.fullmatch(text) for pattern in _GROUPED)), None)


def _unit(text: str) -> str:
    """Return what stands behind a number as the tables of units have it: ``Std.`` is ``std``."""
    return unicodedata.normalize("NFC", text.strip().rstrip(".")).casefold().replace("/ ", "/")


def _in_ascii(text: str) -> str:
    """Return a number with the digits and signs of ASCII, whichever script it is written in."""
    digits = (unicodedata.decimal(ch, None) for ch in text)
    plain = (ch if digit is None else str(digit) for ch, digit in zip(text, digits, strict=True))
    return _FRACTION.sub(_decimals, "".join(plain).translate(_MARKS).strip())


def _decimals(found: re.Match[str]) -> str:
    """Return ``1½`` as ``1.5``, and ``½`` as ``0.5``."""
    part = unicodedata.numeric(found[2])
    return f"{found[1] or 0}{str(part).removeprefix('0')}"


def _switch(text: str) -> bool:
    meant = units.switch(text)
    if meant is None:
        raise ValueError
    return meant


def _choice(text: str, choices: Sequence[str]) -> str:
    """Return the choice that a text names; off and on may be said in other languages, too."""
    word, meant = "_".join(text.lower().split()), units.switch(text)
    if word in choices or meant is None or text.isdigit():
        return word
    return "on" if meant else "off"


def _words_only(text: str) -> str:
    if not bare(text):
        raise ValueError
    return text


def _ids(text: str, current: Sequence[int], signs: tuple[str, ...]) -> tuple[int, ...]:
    if text.lower() == "none":
        return ()
    parts = [_ENTRY.fullmatch(part) for part in _SEPARATOR.split(text) if part]
    entries = [_entry(part, signs) for part in parts]
    changes = {sign for sign, _ in entries}
    if not entries or ("" in changes and len(changes) > 1):
        raise ValueError
    removed = {each for sign, each in entries if sign == "-"}
    kept = [each for each in current if each not in removed] if "" not in changes else []
    ids = tuple(dict.fromkeys([*kept, *(each for sign, each in entries if sign != "-")]))
    if len(ids) > MOST_ENTRIES:
        raise ValueError
    return ids


def _entry(part: re.Match[str] | None, signs: tuple[str, ...]) -> tuple[str, int]:
    if part is None or (part[2] is not None and part[2] not in signs):
        raise ValueError
    return part[1], int(part[3] or part[4])
