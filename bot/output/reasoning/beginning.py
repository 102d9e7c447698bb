"""How a text begins where no known tag opens thinking: phrases, glued words, and forms of no list.

Fine-tunes make up tags (``<ponder>``), labels (``**Thinking:**``) and folded blocks. So a pair is
taken for thinking where its name says so, or what stands in it reads like a model's thoughts about
the person who asks. Both are weak evidence: without an end, or without an answer behind it, it is
text, like everything that begins with another element, as a file does.
"""

from __future__ import annotations

import re
from typing import Final

from bot.output.markup import (
    STEPS_PHRASES,
    SURE_TAGS,
    TAG_NAMES,
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


CONTENT_CHARS: Final = 64
"""How much of what stands in a pair is read, in characters."""

VALUE_CHARS: Final = 20
"""What is shorter, in a pair that is named like thinking, is a value of a file: ``<reason>none</reason>``."""

_STEMS: Final = re.compile(
    r"(?<![^\W\d_])(?:think|thought|ponder|reflect|reason|monolog|deliberat|contemplat|cogitat|cognition|musing"
    r"|introspect|brainstorm|scratch_?pad|rationale|inner_|internal_|hidden_|pre_?(?:answer|response)"
    r"|denken|gedanken|überleg|raisonnement|réflexion|pensée|pensamiento|razonamiento|raciocínio"
    r"|размышлени|рассуждени|мысли|思考|思维|思維|推理|考え|생각|추론|تفكير)"
)
_TAG: Final = re.compile(r"<([^\W\d][\w:\-]{0,39}+)>")
_TAG_PARTIAL: Final = re.compile(r"<(?:[^\W\d][\w:\-]{0,39}+)?+\Z")
_ELEMENTS: Final = frozenset(
    [
        *("div", "span", "code", "body", "html", "head", "main", "section", "article", "details"),
        *("summary", "blockquote", "table", "script", "style", "title", "label", "strong", "form"),
        *("message", "user", "system", "text", "assistant"),
    ]
)
"""Names that markup of people's has: what stands in such a pair is theirs."""

_SHORT_CHARS: Final = 3
"""So short a name is an element of HTML, or a type of a program."""

_ALOUD: Final = (
    r"(?:(?:okay|ok|alright|all right|right|so|hm{1,4}|well|now|first|got it|wait|good"
    r"|好的|好|嗯|首先|はい|まず|итак|хорошо|так|gut|bien|bueno|vale)[,.!…:，。、 ]{1,4}+)"
)
_OF_THE_USER: Final = (
    r"(?:"
    r"(?:the|this) user(?:'s|’s)? (?:is|wants?|ask|has|needs?|sa(?:id|ys)|just|seems|may|might|would|greet"
    r"|quer|quest|request|message|input|provided|sent|gave|didn|hasn)"
    r"|\d\. {1,3}(?:\*\*)?(?:analy[sz]e|understand|deconstruct|identify) the (?:user|request|input|query)"
    r"|用户|ユーザー|사용자|المستخدم|пользовател|der (?:nutzer|benutzer|user) |l['’]utilisat"
    r"|el usuario |o usuário )"
)
_THOUGHTS: Final = re.compile(rf"[\s*_>#\-]{{0,8}}+{_ALOUD}{{0,2}}+{_OF_THE_USER}")
_THOUGHT_ALOUD: Final = re.compile(rf"[\s*_>#\-]{{0,8}}+{_ALOUD}{{1,2}}+{_OF_THE_USER}")
"""Files and stories tell of a user as well; they don't begin with "Okay," or "Hmm."."""

_LABEL: Final = re.compile(
    r"(?:#{1,6} )?[*_]{0,3}(?:my |the )?(?:thinking(?: process)?|thought process|reasoning(?: process)?"
    r"|internal monologue|inner monologue)[*_]{0,3}:?[*_]{0,3}:?[ \t]{0,3}(?:\n{1,3}|(?<=[:*_ ]))"
)
_LABEL_CHARS: Final = 48
_LABEL_STARTS: Final = frozenset("#*_tmri")
_ANSWERS: Final = tuple(
    f"\n{before}{name}{after}"
    for name in ("answer", "final answer", "response", "final response")
    for before, after in (
        *(("**", ":**"), ("**", "**:"), ("**", "**\n"), ("", ":")),
        *(("### ", "\n"), ("## ", "\n"), ("# ", "\n"), ("### ", ":")),
    )
)
_FOLDED: Final = (
    (
        re.compile(
            r"<details>\s{0,3}+<summary>[^<\w]{0,8}(?:thinking|thought|reasoning)[^<\n]{0,40}</summary>"
        ),
        ("</details>",),
    ),
    (re.compile(r"```(?:think|thinking|thoughts?)[ \t]{0,3}+\n"), ("\n```",)),
    (re.compile(r"thinking\.\.\.[ \t]{0,3}+\n"), ("\n...done thinking.",)),
)
_FOLDED_PARTIAL: Final = re.compile(
    r"<d(?:e(?:t(?:a(?:i(?:l(?:s(?:>(?:\s{0,3}+(?:<[^<\n]{0,60}(?:<(?:/[a-z]{0,7})?)?)?)?)?)?)?)?)?)?)?\Z"
    r"|`{1,3}\Z|```[a-z]{0,9}[ \t]{0,3}\Z|thinking\.{0,3}[ \t]{0,3}\Z"
)


def read_unlisted(text: str, *, ended: bool) -> Beginning | None:
    """Read what an answer begins with.

    Args:
        text: Its beginning.
        ended: Nothing more will come.

    Returns:
        What opens, if anything; ``None`` until that is known.
    """
    lowered = text.lower()
    for pattern, closers in _FOLDED:
        if found := pattern.match(lowered):
            return Beginning(found.end(), Block(closers, is_restorable=True))
    if not ended and _FOLDED_PARTIAL.match(lowered):
        return None
    if lowered[0] == "<":
        return _read_tag(text, ended=ended)
    return _read_label(lowered, ended=ended) if lowered[0] in _LABEL_STARTS else PLAIN


def _read_tag(text: str, *, ended: bool) -> Beginning | None:
    tag = _TAG.match(text)
    if tag is None:
        return None if not ended and _TAG_PARTIAL.match(text) else PLAIN
    name, content = tag[1].lower(), text[tag.end() :]
    if name in TAG_NAMES:
        return PLAIN
    if not content and not ended:
        return None
    inside = content.lstrip()
    if content[:1] in {" ", "\t"} or inside[:1] == "<":
        return PLAIN
    block = Block((f"</{tag[1]}>",), (tag[0],), is_restorable=True)
    if _STEMS.search(name):
        end = content.lower().find(block.closers[0].lower())
        if 0 <= end < VALUE_CHARS and not _THOUGHTS.match(content.lower()):
            return PLAIN
        is_known = end > 0 or ended or len(content) > VALUE_CHARS + len(block.closers[0])
        return Beginning(tag.end(), block) if is_known else None
    if len(name) <= _SHORT_CHARS or name in _ELEMENTS or name.endswith("prompt"):
        return PLAIN
    return _by_content(tag.end(), content, block, _THOUGHT_ALOUD, ended=ended)


def _read_label(text: str, *, ended: bool) -> Beginning | None:
    label = _LABEL.match(text)
    if label is None:
        is_open = not ended and len(text) < _LABEL_CHARS and "\n" not in text
        return None if is_open and _may_be_label(text) else PLAIN
    block = Block(_ANSWERS, is_restorable=True)
    return _by_content(label.end(), text[label.end() :], block, _THOUGHTS, ended=ended)


def _by_content(
    chars: int, content: str, block: Block, thoughts: re.Pattern[str], *, ended: bool
) -> Beginning | None:
    if thoughts.match(content.lower()):
        return Beginning(chars, block)
    return PLAIN if ended or len(content) >= CONTENT_CHARS else None


_LABEL_WORDS: Final = ("thinking process", "thought process", "reasoning process", "internal monologue", "inner monologue")  # fmt: skip
_LABEL_LEAD: Final = re.compile(r"[#*_ ]{0,10}+(?:my |the )?")
_BEHIND_LABEL: Final = re.compile(r"[:*_ \t]{0,8}+\Z")


def _may_be_label(text: str) -> bool:
    lead = _LABEL_LEAD.match(text)
    words = text[lead.end() if lead else 0 :]
    if any(known.startswith(words) for known in (*_LABEL_WORDS, "my ", "the ")):
        return True
    return any(
        words.startswith(known) and _BEHIND_LABEL.match(words, len(known)) is not None
        for known in (*_LABEL_WORDS, "thinking", "reasoning")
    )
