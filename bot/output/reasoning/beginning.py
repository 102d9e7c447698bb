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
    closers_of,
    prefixes,
)
from bot.output.reasoning.block import (
    APRIEL,
    BARE_THOUGHT,
    GRANITE,
    HARMONY,
    HARMONY_REMARK,
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

_OWN_ROLES: Final = ("assistant", "model")
_HEADER_ENDS: Final = ("header_end", "end_header_id", "end_of_role", "im_middle", "im_sep")
_UNDECIDED: Final = prefixes(
    [
        *(phrase for phrase, _ in _PHRASES),
        *("thought\n", "/think\n", "assistant\n", "analysis.", "analysis\n", "assistantanalysis."),
        *("analysis- ", "assistantanalysis- "),
        *("assistantfinal.", "analysis<|message|>", "final<|message|>"),
        "commentary<|message|>",
        *(f"{role}<|{token}|>\n" for role in _OWN_ROLES for token in _HEADER_ENDS),
        *(f"{tag} " for tag in _ESCAPED),
    ]
)
_ROLE: Final = re.compile(
    rf"\s{{0,220}}+((?i:{'|'.join(TURN_ROLES)}))\b(?:<\|end_header_id\|>|\[/INST\]|>)?[ \t]*\n?"
)
_ROLE_STARTS: Final = prefixes(f"{role}\n" for role in TURN_ROLES)

_PATTERNS: Final = (
    (re.compile(r"thought[ \t]*\n"), BARE_THOUGHT),
    (re.compile(r"analysis<\|message\|>"), HARMONY),  # its first token was removed
    (re.compile(r"commentary<\|message\|>"), HARMONY_REMARK),
    (_STRIPPED, STRIPPED),
    (re.compile(r"analysis[ \t]{0,4}+\n"), STRIPPED_LINE),
    (re.compile(r"assistantfinal(?=[\S\n])|assistant[ \t]*\n|final<\|message\|>"), None),
    (re.compile(rf"(?:{'|'.join(_OWN_ROLES)})<\|(?:{'|'.join(_HEADER_ENDS)})\|>\n"), None),
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


_THINK_ROLE: Final = re.compile(r"think(?:\n|(?=[A-Z*]))")


def read_thinking_turn(token: str, text: str) -> Beginning | None:
    """Read a turn whose role is ``think``, as s1 writes it; its answer is a turn of its own.

    Args:
        token: What begins a turn.
        text: What follows it.
    """
    found = _THINK_ROLE.match(text)
    if found is None:
        return None
    closers = (f"{token}answer\n", f"{token}answer", "<|im_end|>")
    return Beginning(found.end(), Block(closers, is_restorable=True))


CONTENT_CHARS: Final = 64
"""How much of what stands in a pair is read, in characters."""

VALUE_CHARS: Final = 20
"""What is shorter, in a pair that is named like thinking, is a value of a file: ``<reason>none</reason>``."""

PAIR_CHARS: Final = 200
"""Longest line between two tags that may be a file's, in characters."""

_STEMS: Final = re.compile(
    r"(?<![^\W\d_])(?:think|thought|ponder|reflect|reason|monolog|deliberat|contemplat|cogitat|cognition|musing"
    r"|introspect|brainstorm|scratch_?pad|rationale|inner_|internal_|hidden_|pre_?(?:answer|response)"
    r"|denken|gedanken|überleg|raisonnement|réflexion|pensée|pensamiento|razonamiento|raciocínio"
    r"|размышлени|рассуждени|мысли|思考|思维|思維|推理|考え|생각|추론|تفكير)"
)
_TAG: Final = re.compile(r"<([^\W\d][\w:\-]{0,39}+)>")
_BEGINS: Final = re.compile(r"\A(?:begin|start)(?=_)")
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

_LEAD: Final = r"[\s*_>#(\-]{0,8}+"
_SIGHS: Final = (
    r"(?:okay|ok|alright|all right|right|so|hm{1,4}|well|now|first|got it|wait|good"
    r"|好的|好|嗯|首先|はい|まず|итак|хорошо|так|gut|bien|bueno|vale)"
)
_ALOUD: Final = rf"(?:{_SIGHS}[,.!…:，。、 ]{{1,4}}+)"
_ELSEWHERE: Final = (
    r"用户|ユーザー|사용자|المستخدم|пользовател|der (?:nutzer|benutzer|user) |l['’]utilisat"
    r"|el usuario |o usuário |l['’]utente |de gebruiker |użytkownik|kullanıcı|người dùng"
)
_ASKS_ELSEWHERE: Final = (
    r"用户(?:想|要|问|说|请|希望|提|询|在问|需要|发|让|打招呼)"
    r"|ユーザー[はが]|사용자[는가]|kullanıcı "
    r"|المستخدم (?:يسأل|يريد|يطلب|سأل|طلب)|пользователь (?:спрашива|спросил|хочет|прос|пишет|задал|здорова)"
    r"|der (?:nutzer|benutzer|user) (?:fragt|möchte|will|bittet|hat gefragt|sagt|schreibt|sucht|grüßt)"
    r"|l['’]utilisat(?:eur|rice) (?:veut|demande|souhaite|a demandé|pose|cherche|dit|salue)"
    r"|el usuario (?:quiere|pide|pregunta|desea|ha pedido|dice|busca|saluda)"
    r"|o usuário (?:quer|pede|pergunta|deseja|disse|busca)|l['’]utente (?:vuole|chiede|desidera|dice|cerca)"
    r"|de gebruiker (?:vraagt|wil|zegt|zoekt)|użytkownik (?:chce|pyta|prosi|napisał)"
    r"|người dùng (?:muốn|hỏi|yêu cầu)"
)
"""The verb comes last in Japanese, Korean and Turkish: an answer may be cut before it."""

_USER_WHO: Final = (
    r"(?:the|this) user(?:'s|’s)? (?:is|wants?|ask|has|needs?|sa(?:id|ys)|just|seems|may|might|would|greet"
    r"|quer|quest|request|message|input|provided|sent|gave|didn|hasn)"
    r"|\d\. {1,3}(?:\*\*)?(?:analy[sz]e|understand|deconstruct|identify) the (?:user|request|input|query)"
)
_OF_THE_USER: Final = rf"(?:{_USER_WHO}|{_ELSEWHERE})"
_OF_THEIR_WISH: Final = rf"(?:{_USER_WHO}|{_ASKS_ELSEWHERE})"
_OF_A_QUESTION: Final = (
    r"(?:(?:the|this) user(?:'s|’s)? (?:is (?:asking|greeting|looking for|requesting|saying|trying)"
    r"|wants? |ask|sa(?:id|ys)|has (?:asked|given|provided|sent)|quest|request|message)"
    rf"|{_ASKS_ELSEWHERE})"
)
"""Reasons that were asked for tell of a user, too, but not of what that one asks."""

_TO_ANSWER: Final = (
    r"(?:(?:(?:\bi|\bwe)(?:['’]ll| will| should| need to| must| can| have to| want to| could)"
    r"|\blet me|\blet['’]s)(?: (?:just|also|now|probably|first|simply|not))?"
    r" (?:answer|respond|reply|greet|give|provide|explain|say|tell|think|recall|check|consider|see|keep|be\b"
    r"|ask|confirm|mention|note|write|make sure|verify|start)"
    r"|我们?(?:应该|需要|要|得|会|可以|来)|\bich (?:sollte|muss|werde)\b"
    r"|\bje (?:dois|vais|devrais)\b|\b(?:debo|debería|voy a|tengo que|devo|vou)\b"
    r"|(?:нужно|надо|следует|должен) ответить)"
)
"""What a model tells itself to do."""

_THOUGHT_ALOUD: Final = re.compile(rf"{_LEAD}{_ALOUD}{{1,2}}+{_OF_THE_USER}")
"""Files and stories tell of a user as well; they don't begin with "Okay," or "Hmm."."""

_SPEAKS: Final = re.compile(
    rf"{_LEAD}(?:{_SIGHS}[,.!…:，。、]|(?:answer|respond|reply|greet|first|recall|simple|then)\b)"
    rf"|(?<![a-z])(?:{_OF_A_QUESTION}|{_TO_ANSWER}|we need\b|the (?:question|query|prompt)\b)"
)
"""What no value of a file says, nor a sentence in one."""

_FOLDED: Final = (
    (
        re.compile(
            r"<details(?: open)?>\s{0,3}+<summary>[^<\w]{0,8}(?:(?:show|view|the|internal|m(?:y|odel['’]s)) ){0,2}"
            r"(?:thinking|thoughts?|reasoning)(?: (?:process|for|time|steps?)\b[^<\n]{0,30})?"
            r"(?: ?\([^<\n]{0,30}\))?[^\w<\n]{0,8}</summary>"
            r"|<details(?: open)?>\s{0,3}+<summary>[^<\w]{0,8}(?:思考(?:过程)?|推理过程|思考プロセス)[^\w<\n]{0,8}</summary>"
        ),
        ("</details>",),
    ),
    (
        re.compile(r"thinking(?:\.\.\.|…)[ \t]{0,3}+\n"),
        ("\n...done thinking.", "\n…done thinking."),
    ),
)
_FOLDED_PARTIAL: Final = re.compile(
    r"<d(?:e(?:t(?:a(?:i(?:l(?:s(?: (?:o(?:p(?:en?)?)?)?\Z|(?: open)?>(?:\s{0,3}+(?:<[^<\n]{0,60}(?:<(?:/[a-z]{0,7})?)?)?)?)?)?)?)?)?)?)?\Z"
    r"|`{1,6}\Z|~{1,6}\Z|(?:`{3,6}|~{3,6}) ?[a-z]{0,9}[ \t]{0,3}\Z|thinking(?:\.{0,3}|…)[ \t]{0,3}\Z"
)
_FENCED: Final = re.compile(
    r"(?P<fence>`{3,6}|~{3,6}) ?(?P<name>think(?:ing)?|thoughts?|reasoning)[ \t]{0,3}+\n"
)
_REACT: Final = re.compile(
    r"[*_]{0,3}thought:[*_]{0,3} (?P<thought>[^\n]{1,200})\n{1,2}[*_]{0,3}final answer:"
)
_REACT_PARTIAL: Final = re.compile(
    r"[*_]{0,3}thought(?::[^\n]{0,200}(?:\n{1,2}[*_]{0,3}[a-z ]{0,12})?)?\Z"
)
_NEEDS_TOOL: Final = "do i need to use a tool?"
"""Where agents are told to think in one line, and to answer in the next one."""


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
    if fenced := _FENCED.match(lowered):
        return _read_fenced(fenced, lowered, ended=ended)
    if react := _REACT.match(lowered):
        return _read_react(react)
    if not ended and _REACT_PARTIAL.match(lowered):
        return None
    if lowered[0] == "<":
        return _read_tag(text, ended=ended)
    return _read_label(lowered, ended=ended) if lowered[0] in _LABEL_STARTS else PLAIN


def _read_fenced(fenced: re.Match[str], text: str, *, ended: bool) -> Beginning | None:
    """Read a fence that holds thoughts: a model's, or those that somebody asked it to write down."""
    chars, closer = fenced.end(), f"\n{fenced['fence']}"
    content, end, _ = text[chars : chars + PAIR_CHARS].partition(closer)
    if fenced["name"].startswith("think") or _SPEAKS.search(content):
        return Beginning(chars, Block((closer,), is_restorable=True))
    return PLAIN if ended or end or len(content) >= PAIR_CHARS - chars else None


def _read_react(react: re.Match[str]) -> Beginning:
    """Read one line of thoughts that the answer's label follows."""
    thought = react["thought"]
    if not (_AFTER_LABEL.match(thought) or thought.startswith(_NEEDS_TOOL)):
        return PLAIN
    return Beginning(react.start("thought"), Block(_ANSWERS, is_restorable=True))


def read_token(token: str, content: str, *, ended: bool) -> Beginning | None:
    """Read what a token that no list holds begins with: thoughts, where they read like that.

    Args:
        token: As it is written.
        content: What follows it.
        ended: Nothing more will come.
    """
    name = token.strip("<>|｜")
    block = Block(closers_of(name), (token,), is_restorable=True)
    return _by_content(0, content, block, _AFTER_LABEL, ended=ended)


_BEHIND_CHARS: Final = 3
_GOES_ON: Final = re.compile(r" [a-zà-ÿα-ωа-яё]{2}")
_ELEMENT_NEXT: Final = re.compile(r"\n[ \t]{0,8}+<([a-z][\w:\-]{0,39}+)[ >]")
_ELEMENT_PARTIAL: Final = re.compile(r"\n[ \t]{0,8}+(?:<[\w:\-]{0,39}+)?+\Z")
_SENTENCE: Final = re.compile(r"[.!?。！？…]['\"”’)]?\Z|[ \t`]\Z|`|\A\s*\Z")
"""What a thought ends with, or holds, and no value of a file does."""


def holds_text(inside: str, closer: str, *, ended: bool, is_named: bool = True) -> bool | None:
    """Return whether a pair at the beginning holds what a file or a sentence says, not a thought.

    That is a value, or a line with another one below, or in a sentence that goes on behind it, which no
    model says to itself. ``None`` until it is known.

    Args:
        inside: What follows the opening tag.
        closer: The closing tag, in lower case.
        ended: Nothing more will come.
        is_named: The pair is named like thinking; otherwise only a sentence around it tells.
    """
    content, end, behind = inside.lower().partition(closer)
    if "\n" in content or len(content) > (PAIR_CHARS if is_named else VALUE_CHARS):
        return False
    is_short = len(behind) < _BEHIND_CHARS and "\n" not in behind
    if not ended and (not end or is_short or _ELEMENT_PARTIAL.match(behind)):
        return None
    if not end or content[-1:] in {"", " "} or (is_named and _SPEAKS.search(content)):
        return False
    element = _ELEMENT_NEXT.match(behind)
    if _GOES_ON.match(behind) or (element is not None and element[1] not in TAG_NAMES):
        return True
    return is_named and _SENTENCE.search(content) is None


def _read_tag(text: str, *, ended: bool) -> Beginning | None:
    tag = _TAG.match(text)
    if tag is None:
        return None if not ended and _TAG_PARTIAL.match(text) else PLAIN
    name, content = tag[1].lower(), text[tag.end() :]
    if name in TAG_NAMES:
        return PLAIN
    inside = content.lstrip()
    if not (inside or ended or len(content) > VALUE_CHARS):
        return None
    if content[:1] in {" ", "\t"} or inside[:1] == "<":
        return PLAIN
    end = _BEGINS.sub("end", tag[1])
    closers = (f"</{tag[1]}>",) if end == tag[1] else (f"</{tag[1]}>", f"<{end}>")
    block = Block(closers, (tag[0],), is_restorable=True)
    if _STEMS.search(name):
        is_text = holds_text(content, block.closers[0].lower(), ended=ended)
        return None if is_text is None else PLAIN if is_text else Beginning(tag.end(), block)
    if len(name) <= _SHORT_CHARS or name in _ELEMENTS or name.endswith("prompt"):
        return PLAIN
    return _by_content(tag.end(), content, block, _THOUGHT_ALOUD, ended=ended)


def _by_content(
    chars: int, content: str, block: Block, thoughts: re.Pattern[str], *, ended: bool
) -> Beginning | None:
    if thoughts.match(content.lower()):
        return Beginning(chars, block)
    return PLAIN if ended or len(content) >= CONTENT_CHARS else None


_NAMES: Final = (
    *("thinking process", "thought process", "internal monologue", "inner monologue", "thinking"),
    *("internal thoughts", "internal thought", "inner thoughts", "internal reasoning"),
    *("thoughts", "gedankengang", "gedanken", "überlegungen", "überlegung", "denkprozess"),
    *("réflexions", "réflexion", "pensées", "pensée", "pensamientos", "pensamiento", "pensando"),
    *("pensamento", "pensieri", "pensiero", "denken", "gedachten", "размышления", "размышление"),
    *("мысли", "рассуждения", "рассуждение", "思考过程", "思考プロセス", "思考", "思维", "思維"),
    *("考え", "생각", "사고 과정", "التفكير", "تفكير", "düşünce", "myśli", "suy nghĩ"),
)
_REASONS: Final = (
    *("chain of thought", "chain-of-thought", "step-by-step reasoning"),
    *("reasoning process", "reasoning", "raisonnement", "razonamiento", "raciocínio"),
    *("ragionamento", "begründung", "推理过程", "推理", "추론"),
)
_LABELS: Final = (*_NAMES, *_REASONS)
_BEFORE_LABEL: Final = re.compile(
    r"(?P<mark>(?:(?:>|-#)[ \t]?){0,3})(?:#{1,6} )?(?:[💭🤔🧠]\ufe0f?[ \t]?)?"
    r"(?P<wrap>[*_]{0,3}+[(\[【（]?)(?:(?:my|the) )?"
)
_LABEL_PARTIALS: Final = prefixes((*_LABELS, "my ", "the "))
_BEHIND_LABEL: Final = re.compile(
    r"[\])】）]?[*_]{0,3}+(?:[ \t]?[:：][*_]{0,3}+)?[ \t]{0,3}+(?P<line>\n{1,3}+(?:>[ \t]?)?)?"
)
_LEAD_PARTIAL: Final = re.compile(r"[>\-#*_(\[【（💭🤔🧠\ufe0f \t]{1,16}+\Z")
_LABEL_STARTS: Final = frozenset("#*_>-([【（💭🤔🧠" + "mt" + "".join(name[0] for name in _LABELS))
_ANSWERS: Final = tuple(
    f"\n{before}{name}{after}"
    for name in ("answer", "final answer", "response", "final response")
    for before, after in (
        *(("**", ":**"), ("**", "**:"), ("**", "**\n"), ("", ":")),
        *(("### ", "\n"), ("## ", "\n"), ("# ", "\n"), ("### ", ":")),
    )
)
_RULES: Final = ("\n---\n", "\n***\n", "\n___\n")
_AFTER_LABEL: Final = re.compile(
    rf"{_LEAD}(?:1[.)] )?(?:{_ALOUD}{{1,2}}+{_OF_THE_USER}|{_ALOUD}{{0,2}}+(?:{_OF_THEIR_WISH}|{_TO_ANSWER}))"
)
_AFTER_REASONING: Final = re.compile(
    rf"{_LEAD}(?:{_ALOUD}{{1,2}}+{_OF_THE_USER}|{_ALOUD}{{0,2}}+(?:{_OF_A_QUESTION}|{_TO_ANSWER}))"
)
_NEXT: Final = (
    rf"\n{{1,2}}+(?:{_LEAD}{_ALOUD}{{0,2}}+(?:{_OF_THE_USER}|{_TO_ANSWER}))"
    rf"|\n(?:{'|'.join(re.escape(text[1:]) for text in (*_ANSWERS, *_RULES))})"
)
_PARAGRAPH_GOES_ON: Final = re.compile(rf"[^\n]|{_NEXT}")
_LINE_GOES_ON: Final = re.compile(_NEXT)
_MARKS_GO_ON: Final = {">": re.compile(r"[ \t]?>"), "-": re.compile("-#[ \t]")}
_CLOSING: Final = {"(": ")", "[": "]", "【": "】", "（": "）"}


def _read_label(text: str, *, ended: bool) -> Beginning | None:
    """Read a label in front of a model's thoughts."""
    if not ended and _LEAD_PARTIAL.match(text):
        return None
    lead = _BEFORE_LABEL.match(text)
    start = lead.end() if lead else 0
    words = text[start : start + CONTENT_CHARS]
    name = next((name for name in _LABELS if words.startswith(name)), "")
    if not ended and (not words or words in _LABEL_PARTIALS):
        return None
    behind = _BEHIND_LABEL.match(text, start + len(name))
    if lead is None or behind is None or not name:
        return PLAIN
    if behind.end() == len(text) and not ended:
        return None
    if not behind[0].strip(" \t"):
        return PLAIN
    wrap = "" if behind["line"] or _is_closed(lead["wrap"], behind[0]) else lead["wrap"]
    block = _labelled(lead["mark"], wrap, is_line=behind["line"] is not None)
    thoughts = _AFTER_REASONING if name in _REASONS else _AFTER_LABEL
    return _by_content(behind.end(), text[behind.end() :], block, thoughts, ended=ended)


def _is_closed(wrap: str, behind: str) -> bool:
    """Return whether what was opened before a label is closed right behind it."""
    return wrap == "" or _CLOSING.get(wrap[-1], wrap) in behind


def _labelled(mark: str, wrap: str, *, is_line: bool) -> Block:
    """Return the block behind a label: a line, what is emphasised, a quote, a paragraph, or what has an answer."""
    if wrap and not mark:
        end = wrap.translate(str.maketrans("([【（", ")]】）"))[::-1] + "\n"
        return Block((*_ANSWERS, end), is_restorable=True, breaks=(end,), goes_on=_LINE_GOES_ON)
    goes_on = _MARKS_GO_ON.get(mark[:1], _PARAGRAPH_GOES_ON)
    closers = (*_ANSWERS, *_RULES, "</think>", "\n")
    return Block(
        closers, is_restorable=True, breaks=("\n",), goes_on=goes_on, is_open=is_line and not mark
    )
