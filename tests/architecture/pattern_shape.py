"""Finds the shapes in a regular expression that make Python's matcher slower than linear.

Python's ``re`` backtracks. Three shapes make that cost more than a constant number of steps for each
character, and all three can be read off the parsed pattern:

- two repeats, one after the other or one inside the other, that can both take the same characters:
  every way of dividing a run between them is tried before the match fails;
- alternatives inside a repeat that can begin with the same character;
- a long repeat whose match can still fail behind it, where the match could also have begun at any
  later place of the same run: a search scans the run once for each of them.

Possessive repeats and atomic groups give nothing back, which cures the first two; a bound, an anchor
or a look behind cures the third. The check leans to the strict side: a pattern it refuses is written
another way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any

LONG = 4096
"""Most characters that one attempt may scan and still count as a constant."""

SHARED = 1024
"""Most ways of dividing a run between two bounded repeats."""

_ALPHABET = (
    "".join(map(chr, range(256)))
    + "ĠĊ▁｜▷◁“”’…。：！Ａ．／٣中😀\u0301\u200b\u200d\u2028\ufe0f\u2044Ⓐ"
)
_REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}
_LEAVES = {_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN}
_STARTS = {_constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING}

Chars = frozenset[str]
Items = tuple["Item", ...]


@dataclass(frozen=True)
class Item:
    """One piece of a pattern.

    Attributes:
        kind: ``chars``, ``loop``, ``alt``, ``atomic``, ``look``, ``start`` or ``check``.
        chars: What a single character may be; for ``look``, what stands right before.
        branches: What is inside; one branch for all but ``alt``.
        least: Fewest times, of a loop.
        most: Most times, of a loop.
        is_atomic: Gives nothing back.
        is_again: A loop's further rounds, seen from inside one round.
        is_behind: A look behind.
        is_negative: A look that must fail.
    """

    kind: str
    chars: Chars = frozenset()
    branches: tuple[Items, ...] = ()
    least: int = 1
    most: int = 1
    is_atomic: bool = False
    is_again: bool = field(default=False, compare=False)
    is_behind: bool = False
    is_negative: bool = False

    @property
    def body(self) -> Items:
        return self.branches[0]

    @property
    def is_variable(self) -> bool:
        return self.kind == "loop" and self.most > self.least


def faults(pattern: re.Pattern[str] | re.Pattern[bytes]) -> list[str]:
    """Return what makes a pattern slower than linear, in words; empty when nothing does."""
    source: str = (
        pattern.pattern.decode("latin-1") if isinstance(pattern.pattern, bytes) else pattern.pattern
    )
    flags = pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    parsed = _parser.parse(source, flags)
    items = _items(parsed, parsed.state, flags, is_multiline=bool(flags & re.MULTILINE))
    return sorted(set(_walk((), items, (), in_loop=False)))


def _items(parsed: Any, state: Any, flags: int, *, is_multiline: bool) -> Items:
    return tuple(
        item for op, av in parsed for item in _item(op, av, state, flags, is_multiline=is_multiline)
    )


def _item(op: Any, av: Any, state: Any, flags: int, *, is_multiline: bool) -> Iterator[Item]:
    def inner(parsed: Any, more: int = 0, less: int = 0) -> Items:
        return _items(parsed, state, (flags | more) & ~less, is_multiline=is_multiline)

    if op in _LEAVES:
        yield Item("chars", _chars(op, av, state, flags))
    elif op in _REPEATS:
        is_atomic = op is _constants.POSSESSIVE_REPEAT
        yield Item("loop", frozenset(), (inner(av[2]),), av[0], int(av[1]), is_atomic)
    elif op is _constants.BRANCH:
        yield Item("alt", branches=tuple(inner(branch) for branch in av[1]))
    elif op is _constants.SUBPATTERN:
        yield from inner(av[3], av[1], av[2])
    elif op is _constants.ATOMIC_GROUP:
        yield Item("atomic", branches=(inner(av),), is_atomic=True)
    elif op in {_constants.ASSERT, _constants.ASSERT_NOT}:
        yield _look(inner(av[1]), is_behind=av[0] < 0, is_negative=op is _constants.ASSERT_NOT)
    elif op is _constants.AT:
        yield _at(av, is_multiline=is_multiline)
    else:
        raise AssertionError(f"no back references: {op}")


def _at(av: Any, *, is_multiline: bool) -> Item:
    if av in _STARTS and is_multiline:
        return Item("look", frozenset("\n"), ((),), is_behind=True)
    return Item("start" if av in _STARTS else "check")


def _look(body: Items, *, is_behind: bool, is_negative: bool) -> Item:
    nearest = body[-1:] if is_behind else ()
    chars = _all_chars(nearest) if len(body) == 1 or not is_negative else frozenset()
    return Item("look", chars, (body,), is_behind=is_behind, is_negative=is_negative)


_known: dict[tuple[str, int], Chars] = {}


def _chars(op: Any, av: Any, state: Any, flags: int) -> Chars:
    key = (repr((op, av)), flags)
    if key not in _known:
        single = _compiler.compile(_parser.SubPattern(state, [(op, av)]), flags)
        _known[key] = frozenset(char for char in _ALPHABET if single.match(char))
        if op is _constants.LITERAL:
            _known[key] |= {chr(av)}
    return _known[key]


def _all_chars(items: Items) -> Chars:
    found: Chars = frozenset()
    for item in items:
        if item.kind == "chars":
            found |= item.chars
        elif item.kind != "look":
            for branch in item.branches:
                found |= _all_chars(branch)
    return found


def _fits(items: Sequence[Item], within: Chars) -> bool:
    """Return whether some text of only these characters matches."""
    return all(_item_fits(item, within) for item in items)


def _item_fits(item: Item, within: Chars) -> bool:
    if item.kind == "chars":
        return bool(item.chars & within)
    if item.kind == "loop" and item.least == 0:
        return True
    if item.kind in {"loop", "alt", "atomic"}:
        return any(_fits(branch, within) for branch in item.branches)
    return True


def _first(items: Items) -> Chars:
    found: Chars = frozenset()
    for item in items:
        if item.kind == "chars":
            return found | item.chars
        if item.kind in {"loop", "alt", "atomic"}:
            for branch in item.branches:
                found |= _first(branch)
            if not _item_fits(item, frozenset()):
                return found
    return found


def _can_fail(items: Items) -> bool:
    return any(
        item.kind in {"look", "check"} or not _item_fits(item, frozenset()) for item in items
    )


def _walk(before: Items, items: Items, after: Items, *, in_loop: bool) -> Iterator[str]:
    """Check all loops of a sequence, given what stands before it and after it."""
    for index, item in enumerate(items):
        pre = (*before, *items[:index])
        post = (*items[index + 1 :], *after)
        if item.kind == "loop":
            yield from _check_loop(pre, item, post)
        elif item.kind == "alt":
            if in_loop and not _are_distinct(item.branches):
                yield "alternatives in a repeat begin alike"
            for branch in item.branches:
                yield from _walk(pre, branch, post, in_loop=in_loop)
        elif item.kind in {"atomic", "look"}:
            failing = (Item("check"),) if _can_fail(post) and item.kind == "atomic" else ()
            yield from _walk(pre, item.body, failing, in_loop=False)


def _are_distinct(branches: Sequence[Items]) -> bool:
    seen: Chars = frozenset()
    for branch in branches:
        first = _first(branch)
        if seen & first:
            return False
        seen |= first
    return True


def _check_loop(pre: Items, loop: Item, post: Items) -> Iterator[str]:
    chars = _all_chars(loop.body)
    if loop.is_variable:
        if loop.most > 1 and _fits(loop.body, frozenset()):
            yield "a repeat of what may be empty"
        if not loop.is_atomic and _collides(post, chars, loop.most):
            yield f"adjacent repeats share {_shown(chars)}"
        if loop.most > LONG and _may_begin_within(pre, chars) and _can_fail(post):
            yield f"a search tries the same run of {_shown(chars)} from each of its places"
    again = Item("loop", branches=loop.branches, least=0, most=loop.most, is_again=True)
    if loop.is_atomic:
        rest: Items = (Item("check"),) if _can_fail(post) else ()
    else:
        rest = (again, *post) if loop.most > 1 else post
    is_repeated = loop.most > 1 and not loop.is_atomic
    yield from _walk(pre, loop.body, rest, in_loop=is_repeated)


def _collides(items: Sequence[Item], chars: Chars, most: int) -> bool:
    """Return whether a later loop can take what a loop of ``most`` times these characters took."""
    for item in items:
        if item.kind == "loop" and _loop_collides(item, chars, most):
            return True
        if item.kind in {"alt", "atomic"} and any(
            _collides(branch, chars, most) for branch in item.branches
        ):
            return True
        if not _item_fits(item, chars):
            return False
    return False


def _loop_collides(loop: Item, chars: Chars, most: int) -> bool:
    if loop.is_again:
        return _fits(loop.body, chars) or _collides(loop.body, chars, SHARED + 1)
    starts_within = bool(_first(loop.body) & chars)
    if loop.is_variable and starts_within and most * loop.most > SHARED:
        return True
    return _collides(loop.body, chars, most)


def _may_begin_within(pre: Items, chars: Chars) -> bool:
    """Return whether the pattern could begin at any place of a run of these characters."""
    if any(item.kind == "start" for item in pre) or not _fits(pre, chars):
        return False
    for item in pre:
        if item.kind != "look" or not item.is_behind:
            break
        if item.is_negative and chars <= item.chars:
            return False
        if not item.is_negative and item.chars and not (chars & item.chars):
            return False
    return True


def _shown(chars: Chars) -> str:
    return repr("".join(sorted(chars))[:12])
