"""Markup that models write around thinking, answers, turns and tool calls, as data.

Sources: the models' own chat templates and cards, the reasoning parsers of vLLM, SGLang and
llama.cpp, Open WebUI's tag list, and reports on lmstudio-bug-tracker (#378, #699, #1569, #1592).
LM Studio itself separates one pair of tags per model, so any of the others can arrive inline.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """What a marker means where it stands in visible text."""

    OPEN = "open"
    """Thinking begins."""
    CLOSE = "close"
    """Thinking ends; in visible text: everything before was thinking."""
    TOOL = "tool"
    """A tool call begins: hidden up to its end, and not kept."""
    WRAP = "wrap"
    """Around the answer: the marker goes, the text inside stays."""
    END = "end"
    """End of the turn: whatever follows is made up."""
    TURN = "turn"
    """Beginning of a turn: harmless before any text, the end after it."""
    HEADER = "header"
    """A harmony header, up to ``<|message|>``."""
    DROP = "drop"
    """A token that means nothing to a reader."""


@dataclass(frozen=True, slots=True)
class Marker:
    """One piece of markup.

    Attributes:
        closers: What ends the block; empty when nothing but the end of the stream does.
        openers: What opens the same block again inside it.
        is_tag: Written like HTML, so prose may well speak of it.
        is_weak: An ordinary word too: after visible text only at the start of a line.
    """

    kind: Kind
    closers: tuple[str, ...] = ()
    openers: tuple[str, ...] = ()
    is_tag: bool = False
    is_weak: bool = False


THINK_TAGS: Final = (
    "think", "thinking", "thought", "thoughts", "reasoning", "inner_monologue", "antthinking",
    "scratchpad", "seed:think", "mm:think", "longcat_think", "thinking_process", "thought_process",
    "internal_monologue", "internal_thoughts", "inner_thoughts", "antml:thinking", "ant_thinking",
    "chain_of_thought", "internal_reasoning", "reasoning_content", "thinking_content", "think_slow",
    "cot",
)  # fmt: skip
ORDINARY_TAGS: Final = frozenset({"thought", "thoughts", "reasoning", "scratchpad"})
"""Tags of thinking that are words of other markup too: inside a line they are text."""
SURE_TAGS: Final = frozenset(f"<{name}>" for name in THINK_TAGS) - frozenset(
    f"<{name}>" for name in ORDINARY_TAGS
)
WEAK_TAGS: Final = ("plan", "reason", "reflection", "brainstorm", "justification", "analysis")
WRAP_TAGS: Final = ("answer", "response", "output", "solution", "final_answer")
TOOL_TAGS: Final = (
    "tool_call", "tool_calls", "tool_response", "function_call", "function_calls",
    "longcat_tool_call", "seed:tool_call", "seed:cot_budget_reflect", "minimax:tool_call",
    "atem:function_calls", "system-reminder", "toolcall", "tool_output", "tool_result", "tool_code",
)  # fmt: skip


def closers_of(name: str) -> tuple[str, ...]:
    """Return what ends thinking between two tokens, as fine-tunes call them."""
    ends = (f"<|/{name}|>", f"<|end_{name}|>", f"<|end_of_{name}|>", f"<|{name}_end|>")
    return (*ends, "<|answer|>")


THINK_PAIRS: Final = (
    (("◁think▷",), ("◁/think▷",)), (("[THINK]",), ("[/THINK]",)),
    (("[REASONING]",), ("[/REASONING]",)), (("<|channel>",), ("<channel|>",)),
    (("<|think|>",), ("<channel|>", "<|end|>", "<|content|>", *closers_of("think"))),
    (("<start_working_out>",), ("<end_working_out>",)), (("<unused94>",), ("<unused95>",)), (("[unused16]",), ("[unused17]",)),
    *(((f"<|{name}|>",), closers_of(name)) for name in ("thought", "thinking", "reasoning")),
)  # fmt: skip
WEAK_PAIRS: Final = tuple(
    (f"[{form}]", f"[/{form}]")
    for name in ("think", "thinking", "reasoning", "thought")
    for form in (name, name.capitalize(), name.upper())
    if form not in {"THINK", "REASONING"}
)
"""As some fine-tunes write them; in brackets these are words of plays and logs, too."""

DETAILS: Final = "<details>"
"""The canonical text of Open WebUI's folded thinking, which models copy from a conversation."""

TOOL_PAIRS: Final = (
    ("[TOOL_REQUEST]", "[END_TOOL_REQUEST]"), ("[TOOL_RESULT]", "[END_TOOL_RESULT]"),
    *((f"[{name}]", f"[/{name}]") for name in ("TOOL_RESULTS", "AVAILABLE_TOOLS", "SYSTEM_PROMPT", "MODEL_SETTINGS")),
    ("[TOOL_CALLS]", ""), ("<|python_tag|>", ""), ("<|tool_call|>", "<|/tool_call|>"),
    ("<|tool_response|>", "<|/tool_response|>"), ("<start_function_call>", "<end_function_call>"),
    ("<|tool_call>", "<tool_call|>"), ("<|tool_response>", "<tool_response|>"),
    ("<|open|>", "<|sep|>"),
    ("<｜DSML｜function_calls>", "</｜DSML｜function_calls>"),
)  # fmt: skip
HARMONY_CLOSERS: Final = (
    "<|end|>", "<|return|>", "<|call|>", "<|eom|>", "<|eot|>", "<|start|>", "<|channel|>",
)  # fmt: skip
FUNCTION: Final = "<function=>"
"""The canonical text of Qwen's and Llama's call without a wrapper, whatever its name."""

BOX: Final = ("<|begin_of_box|>", "<|end_of_box|>")
"""What GLM puts around the result in its answer, in the middle of a sentence, too."""

FINAL_OPENER: Final = "[BEGIN FINAL RESPONSE]"
END_TOKENS: Final = (
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<|eom_id|>", "<|eom|>",
    "<|eot|>", "<|end|>", "<|return|>", "<|call|>", "<|endofturn|>", "<|END_OF_TURN_TOKEN|>",
    "<｜end▁of▁sentence｜>", "<turn|>", "<seed:eos>", "</s>", "<eos>", "<end_of_turn>", "<sep>",
    "<eoa>", "<EOS_TOKEN>", "<SPECIAL_12>", "<end_of_utterance>", "<|eos|>", "<|EOT|>",
    "<|separator|>", "<|endofresponse|>", "<|end_of_turn|>", "<|end_of_sentence|>",
    "<end_of_sentence>", "<|assistant_end|>", "<|role_end|>", "[|endofturn|]", "[unused10]", "[e~[",
    "[END FINAL RESPONSE]",
)  # fmt: skip
ROLE_TOKENS: Final = (
    "<|user|>", "<|system|>", "<|assistant|>", "<|observation|>", "<|user_start|>",
    "<|assistant_start|>", "<|developer_start|>", "<|system_start|>", "[|tool|]", "<｜User｜>", "<｜Assistant｜>", "<｜hy_User｜>", "<｜hy_Assistant｜>",
    "[|user|]", "[|assistant|]", "[|system|]", "<role>HUMAN</role>", "<role>ASSISTANT</role>",
    "<role>SYSTEM</role>", "<用户>", "<AI>", "<<SYS>>", "[INST]",
)  # fmt: skip
"""Tokens that begin a turn and say themselves whose it is."""
TURN_TOKENS: Final = (
    *ROLE_TOKENS, "<|im_start|>", "<|start_header_id|>", "<|header_start|>", "<|start_of_role|>",
    "<start_of_turn>", "<|turn>", "<|begin|>", "<|START_OF_TURN_TOKEN|>", "<SPECIAL_11>",
    "[unused9]", "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<seed:bos>",
    "<beginning_of_sentence>", "<extra_id_1>",
)  # fmt: skip
"""Tokens that begin a turn; but for ``ROLE_TOKENS``, a role may follow."""
HEADER_TOKENS: Final = ("<|start|>", "<|channel|>")
DROP_TOKENS: Final = (
    "<s>", "<bos>", "<BOS_TOKEN>", "<pad>", "<PAD>", "<unk>", "<｜begin▁of▁sentence｜>", "[/INST]", "<</SYS>>",
    "[ARGS]", "[gMASK]", "<sop>", "<|begin_of_text|>", "<|begin_of_sentence|>", "<|end_header_id|>",
    "<|header_end|>", "<|end_of_role|>", "<|im_sep|>", "<|message|>", "<|content|>",
    "<|constrain|>", *BOX, "<|begin_of_solution|>",
    "<|end_of_solution|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>",
    "<|END_TEXT|>",
)  # fmt: skip

THOUGHT_PHRASES: Final = (
    "here is my thought process:",
    "here's my thought process:",
    "here’s my thought process:",
)
RESPONSE_PHRASES: Final = (
    "here is my response:",
    "here's my response:",
    "here’s my response:",
)
STEPS_PHRASES: Final = ("here are my reasoning steps:",)
ROLE_LABELS: Final = ("assistant", "ai", "bot")
TURN_ROLES: Final = (
    "assistant", "model", "user", "system", "human", "tool", "developer", "environment",
    "observation", "ipython",
)  # fmt: skip


def _tag_markers() -> dict[str, Marker]:
    found: dict[str, Marker] = {}
    for names, kind, weak in (
        (THINK_TAGS, Kind.OPEN, False),
        (WEAK_TAGS, Kind.OPEN, True),
        (TOOL_TAGS, Kind.TOOL, False),
        (WRAP_TAGS, Kind.WRAP, True),
    ):
        for name in names:
            opener, closer = f"<{name}>", f"</{name}>"
            found[opener] = Marker(kind, (closer,), (opener,), is_tag=True, is_weak=weak)
            closing = {Kind.OPEN: Kind.CLOSE, Kind.TOOL: Kind.DROP}.get(kind, Kind.WRAP)
            found[closer] = Marker(closing, is_tag=True, is_weak=weak)
    return found


def _markers() -> dict[str, Marker]:
    found = _tag_markers()
    for openers, closers in THINK_PAIRS:
        found |= {text: Marker(Kind.OPEN, closers, openers) for text in openers}
        found |= {text: Marker(Kind.CLOSE) for text in closers}
    for opener, closer in WEAK_PAIRS:
        found[opener] = Marker(Kind.OPEN, (closer,), (opener,), is_weak=True)
        found[closer] = Marker(Kind.CLOSE, is_weak=True)
    found[DETAILS] = Marker(Kind.OPEN, ("</details>",), (DETAILS,))
    for opener, closer in TOOL_PAIRS:
        found[opener] = Marker(Kind.TOOL, (closer,) if closer else ())
        if closer:
            found[closer] = Marker(Kind.DROP)
    found[FUNCTION] = Marker(Kind.TOOL, ("</function>",))
    for tokens, kind in (
        (END_TOKENS, Kind.END),
        (TURN_TOKENS, Kind.TURN),
        (HEADER_TOKENS, Kind.HEADER),
        (DROP_TOKENS, Kind.DROP),
        ((FINAL_OPENER,), Kind.CLOSE),
    ):
        found |= {text: Marker(kind) for text in tokens}
    found[BOX[0]] = Marker(Kind.DROP, BOX[1:])
    return found


MARKERS: Final = _markers()
"""Every known marker by its canonical text: tags in lower case and without attributes."""

_UNKNOWN: Final = Marker(Kind.DROP)
_SIDES: Final = re.compile(r"(?i)(?<![a-z])(?:(begin|start|prefix)|end|suffix)(?:(?=of)|(?![a-z]))")
_ENDS: Final = {"begin": "end", "start": "end", "prefix": "suffix"}
_OF_THOUGHT: Final = re.compile(
    r"(?i)(?:(?<![a-z])|(?<=of))(?:think(?:ing)?|thoughts?|reason(?:ing)?|inner|cot)(?![a-z])"
)
_OF_CALLS: Final = re.compile(
    r"(?i)(?<![a-z])(?:tool|function|action|python)(?:s|calls?)?(?![a-z])"
)


@functools.lru_cache(256)
def marker_of(name: str) -> Marker:
    """Return what a marker means by its canonical text.

    Any ``<|name|>`` or ``<｜name｜>`` that isn't listed is a special token of a model we don't know: it
    begins or ends thinking, or a call, where its name says so.
    """
    listed = MARKERS.get(name)
    if listed is None and name[1] in "|｜" and name.strip("<>|｜/").lower() in THINK_TAGS:
        end = f"{name[:2]}/{name[2:]}"
        return (
            Marker(Kind.CLOSE) if name[2] == "/" else Marker(Kind.OPEN, (end, "<|end|>"), (name,))
        )
    side = _SIDES.search(name) if listed is None and name[1] in "|｜" else None
    is_thought = _OF_THOUGHT.search(name) is not None
    if listed is not None or side is None or not (is_thought or _OF_CALLS.search(name)):
        return listed or _UNKNOWN
    if side[1] is None or name[2] == "/":
        return Marker(Kind.CLOSE) if is_thought and side[1] is None else _UNKNOWN
    end = _ENDS[side[1].lower()]
    end = end.upper() if side[1].isupper() else end.capitalize() if side[1].istitle() else end
    before, after = name[: side.start()], name[side.end() :]
    closer = before + end + after
    if not is_thought:
        return Marker(Kind.TOOL, (closer,), (name,))
    what = (before[2:] + after[:-2]).strip("_").removeprefix("of_")
    return Marker(Kind.OPEN, (closer, *closers_of(what)), (name,))


TAG_NAMES: Final = THINK_TAGS + WEAK_TAGS + WRAP_TAGS + TOOL_TAGS
_TAG_CHARS: Final = 160
"""Longest tag with attributes, in characters."""
_NAMES: Final = "|".join(re.escape(name) for name in sorted(TAG_NAMES, key=len, reverse=True))
_LITERALS: Final = tuple(
    text for text, marker in MARKERS.items() if not marker.is_tag and text != DETAILS
)
_THINK_NAMES: Final = "|".join(map(re.escape, THINK_TAGS))
_BLANK: Final = rf"(?: (?=/? ?(?i:{_THINK_NAMES})[ >]))?+"
"""The blank that some models put into a tag of thinking."""
_TAG: Final = (
    rf"<{_BLANK}(?P<slash>/?){_BLANK}(?P<name>(?i:{_NAMES}))(?:\s[^<>\n]{{0,{_TAG_CHARS}}})?/?>"
)

MARKER: Final = re.compile(
    "|".join(
        [
            _TAG,
            *(re.escape(text) for text in sorted(_LITERALS, key=len, reverse=True)),
            r"<\|/?[A-Za-z][\w▁:.\-]{0,47}\|>",
            r"</?｜[^<>｜\n]{1,60}(?:｜[\w ]{0,40})?>",
            r"<0x[0-9A-F]{2}>|<function=[\w.\-]{0,64}>",
            r"<(?:unused|SPECIAL_|reserved_)\d{1,5}>|\[unused\d{1,5}\]",
            r"<details type=[\"']reasoning[\"'][^<>\n]{0,120}>",
        ]
    )
)
"""A whole marker at a position."""

_TAG_START: Final = re.compile("< ?(/?) ?")
_PARTIAL_TAG: Final = re.compile(rf"</?(?i:{_NAMES})\s[^<>\n]{{0,{_TAG_CHARS}}}\Z")
_PARTIAL_THINK: Final = re.compile(rf"</?(?:{_THINK_NAMES})\s[^<>\n]{{0,{_TAG_CHARS}}}\Z")
_PARTIAL_TOKEN: Final = re.compile(
    r"<\|/?(?:[A-Za-z][\w▁:.\-]{0,47}\|?)?\Z|</?｜[^<>｜\n]{0,60}(?:｜[\w ]{0,40})?\Z|<0?x?[0-9A-F]{0,2}\Z"
    r"|<function=[\w.\-]{0,64}\Z|<details type=[\"']reasoning[\"'][^<>\n]{0,120}\Z|<(?:unused|SPECIAL_|reserved_)\d{0,5}\Z|\[unused\d{0,5}\Z"
)


def prefixes(texts: Iterable[str]) -> frozenset[str]:
    """Return every proper, non-empty beginning of every text."""
    return frozenset(text[:end] for text in texts for end in range(1, len(text)))


_LITERAL_PREFIXES: Final = prefixes(
    (
        *_LITERALS,
        "<unused9",
        "<SPECIAL_9",
        "<reserved_9",
        '<details type="reasoning">',
        "<details type='reasoning'>",
    )
)
_THINK_PREFIXES: Final = prefixes(f"<{slash}{name}>" for name in THINK_TAGS for slash in ("", "/"))
_TAG_PREFIXES: Final = prefixes(
    f"<{slash}{name}{end}>" for name in TAG_NAMES for slash in ("", "/") for end in ("", "/")
)


def may_become_marker(text: str) -> bool:
    """Return whether more characters could turn this whole text into one marker."""
    if text in _LITERAL_PREFIXES:
        return True
    start = _TAG_START.match(text)
    if start is not None and " " in start[0]:
        rest = f"<{start[1]}{text[start.end() :]}".lower()
        return rest in _THINK_PREFIXES or _PARTIAL_THINK.match(rest) is not None
    if text.lower() in _TAG_PREFIXES:
        return True
    return bool(_PARTIAL_TOKEN.match(text) or _PARTIAL_TAG.match(text))


def canonical(match: re.Match[str]) -> str:
    """Return the key in ``MARKERS`` of a match of ``MARKER``."""
    name = match["name"]
    if match[0].startswith("<function="):
        return FUNCTION
    if match[0].startswith("<details "):
        return DETAILS
    return match[0] if name is None else f"<{match['slash']}{name.lower()}>"


def block_pattern(texts: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds any of these markers, tags also with attributes and in any case."""
    parts = []
    for text in sorted(texts, key=len, reverse=True):
        marker = MARKERS.get(text)
        if marker is not None and marker.is_tag:
            name = text[:-1].lstrip("</")
            slash = "/" if text[1] == "/" else ""
            start = f"<{_BLANK}{slash}{_BLANK}" if name in THINK_TAGS else f"<{slash}"
            name = re.escape(name)
            parts.append(rf"{start}(?i:{name})(?:\s[^<>\n]{{0,{_TAG_CHARS}}})?>")
        else:
            parts.append(f"(?i:{re.escape(text)})" if text[0] not in "<[" else re.escape(text))
    return re.compile("|".join(parts))
