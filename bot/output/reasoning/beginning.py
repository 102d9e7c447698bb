"""How a text begins: phrases and glued words that open thinking without any tag."""

from __future__ import annotations

import re
from typing import Final

from bot.output.markup import (
    STEPS_PHRASES,
    SURE_TAGS,
    THOUGHT_PHRASES,
    TURN_ROLES,
    prefixes,
)
from bot.output.reasoning.block import (
    APRIEL,
    BARE_THOUGHT,
    GRANITE,
    HARMONY,
    HYPERCLOVA,
    PLAIN,
    STRIPPED,
    STRIPPED_LINE,
    Beginning,
    Block,
)
from bot.output.reasoning.unlisted import read_unlisted

_PHRASES: Final = (
    *((phrase, GRANITE) for phrase in THOUGHT_PHRASES),
    *((phrase, APRIEL) for phrase in STEPS_PHRASES),
)
_FORMS: Final = ("&lt;{}&gt;", "\\<{}\\>", "\\<{}>")
_ESCAPED: Final = {
    form.format(tag[1:-1]): Block(
        tuple(each.format(f"/{tag[1:-1]}") for each in _FORMS),
        is_restorable=True,
        loose=(f"</{tag[1:]}",),
    )
    for tag in sorted(SURE_TAGS)
    for form in _FORMS
}
"""Tags of thinking whose angle brackets were escaped, as in HTML or in Markdown."""

_ESCAPED_TAG: Final = re.compile(r"(?:&lt;|\\<)[a-z_:]{1,24}+(?:&gt;|\\?>)")
_STRIPPED: Final = re.compile(
    r"(?:assistant)?analysis(?!<(?:\||\Z))(?=[^\s.,:;!?()\[/\-–—_'’=]|-\s)"
)
_COMPOUND: Final = re.compile(
    r"analysis(?!(?:This|That|It|Here|There|He|She|We|You|They|What|Which|User|Who|One)\b)[A-Z][a-z]{1,30}+"
    r"(?: (?:is|are|was|were|means|has|can|occurs|refers|happens|describes)\b| ?=|[(\[_]|\.[a-z])"
)
_COMPOUND_PARTIAL: Final = re.compile(r"analysis[A-Z][a-z]{0,30}+(?: [a-z]{0,9}+|\.)?+\Z")
"""A word that begins like the channel's name with its marks taken off."""

_UNDECIDED: Final = prefixes(
    [
        *(phrase for phrase, _ in _PHRASES),
        *("thought\n", "/think\n", "assistant\n", "analysis.", "analysis\n", "assistantanalysis."),
        *("assistantfinal.", "analysis<|message|>", "final<|message|>"),
        *(f"{tag} " for tag in _ESCAPED),
    ]
)
_ROLE: Final = re.compile(
    rf"\s{{0,220}}+((?i:{'|'.join(TURN_ROLES)}))\b(?:<\|end_header_id\|>|\[/INST\]|>)?[ \t]*\n?"
)
_ROLE_STARTS: Final = prefixes(f"{role}\n" for role in TURN_ROLES)
_OWN_ROLES: Final = frozenset({"assistant", "model"})


_PATTERNS: Final = (
    (re.compile(r"thought[ \t]*\n"), BARE_THOUGHT),
    (re.compile(r"analysis<\|message\|>"), HARMONY),  # its first token was removed
    (_STRIPPED, STRIPPED),
    (re.compile(r"analysis[ \t]{0,4}+\n"), STRIPPED_LINE),
    (re.compile(r"assistantfinal(?=\S)|assistant[ \t]*\n|final<\|message\|>"), None),
    (re.compile(r"/think[ \t]*\n"), HYPERCLOVA),
)


def read_beginning(text: str, *, ended: bool) -> Beginning | None:
    """Read the first characters of an answer; ``None`` until they are certain."""
    head = text[:40]
    lowered = head.lower()
    for phrase, block in _PHRASES:
        if lowered.startswith(phrase):
            return Beginning(len(phrase), block)
    escaped = _read_escaped(lowered, ended=ended)
    if escaped is not None:
        return escaped
    if _COMPOUND.match(head):
        return PLAIN
    if not ended and _COMPOUND_PARTIAL.match(head):
        return None
    for pattern, opened in _PATTERNS:
        found = pattern.match(head)
        if found:
            return Beginning(found.end(), opened)
    if not ended and (head if head[0].islower() else lowered) in _UNDECIDED:
        return None
    return read_unlisted(text, ended=ended)


def _read_escaped(head: str, *, ended: bool) -> Beginning | None:
    """Read a tag with escaped brackets; one that a blank follows is spoken of."""
    found = _ESCAPED_TAG.match(head)
    block = _ESCAPED.get(found[0]) if found else None
    if found is None or block is None:
        return None
    following = head[found.end() : found.end() + 1]
    if following in {" ", "\t"} or not (following or ended):
        return None
    return Beginning(found.end(), block)


def read_role(text: str, *, ended: bool) -> tuple[int, bool] | None:
    """Read the role after a token that begins a turn; ``None`` until it is certain.

    Returns:
        How many characters the role takes, and whether it is the model's own.
    """
    found = _ROLE.match(text)
    if found and (ended or found.end() < len(text) or found[0].endswith("\n")):
        return found.end(), found[1].lower() in _OWN_ROLES
    if not ended and (found or text.lstrip().lower() in _ROLE_STARTS or not text.strip()):
        return None
    return 0, True
