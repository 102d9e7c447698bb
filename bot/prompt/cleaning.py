"""Make text from people harmless for a model's chat template, and readable without Discord.

A chat template puts roles between special tokens, and most servers turn the same letters in a
person's text into the very same tokens. Every such literal is broken by one visible space after its
first character, also when it is disguised by invisible characters or full-width forms.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from bot.core import frames
from bot.core.domain import UserId

NAME_CHARS: Final = 32
"""Longest name shown to the model; Discord's own limit for nicknames."""

_WORDS = (
    # Llama 2, Mistral, Gemma, Reka, GLM, InternLM and the like
    "s", "/s", "bos", "eos", "pad", "unk", "sep", "sop", "eop", "eod", "eoh", "eoa",
    "bos_token", "eos_token", "mask_token", "eop_token", "image_soft_token", "image", "__media__", "audio_soft_token",
    # Ling, MiniCPM, SmolVLM, InternVL, StarCoder
    "role", "/role", "用户", "AI", "image_id", "/image", "slice", "/slice",
    "fake_token_around_image", "IMG_CONTEXT", "im_start", "im_end", "im_patch", "mask", "cls",
    # GLM's calls, FunctionGemma, InternVL, StarCoder and SmolLM
    "arg_key", "/arg_key", "arg_value", "/arg_value", "escape", "img", "/img", "repo_name",
    "reponame", "file_sep",
    # Nemotron
    "toolcall", "/toolcall", "available_tools", "/available_tools",
    # MiniMax, LongCat
    "longcat_s", "/longcat_s", "longcat_user", "longcat_system",
    "longcat_assistant", "longcat_think", "/longcat_think", "longcat_tool_call", "/longcat_tool_call", "fim_prefix", "fim_middle", "fim_suffix", "fim_pad",
    # reasoning and tools, single tokens in most vocabularies
    "think", "/think", "thinking", "/thinking", "thought", "/thought",
    "tool_call", "/tool_call", "tool_calls", "/tool_calls", "tool_response", "/tool_response",
    "function_calls", "/function_calls", "seed:think", "/seed:think", "seed:bos", "seed:eos",
    "seed:pad", "seed:tool_call", "/seed:tool_call", "seed:cot_budget_reflect",
    "/seed:cot_budget_reflect", "mm:think", "/mm:think", "minimax:tool_call",
    "/minimax:tool_call", "atem:function_calls", "/atem:function_calls",
)  # fmt: skip

_BRACKETED = (
    "INST", "/INST", "THINK", "/THINK", "SYSTEM_PROMPT", "/SYSTEM_PROMPT", "AVAILABLE_TOOLS",
    "/AVAILABLE_TOOLS", "TOOL_CALLS", "/TOOL_CALLS", "TOOL_RESULTS", "/TOOL_RESULTS", "TOOL_RESULT",
    "TOOL_CONTENT", "TOOL_REQUEST", "END_TOOL_REQUEST", "END_TOOL_RESULT", "CALL_ID", "ARGS",
    "REASONING", "/REASONING", "IMG", "IMG_BREAK", "IMG_END", "PREFIX", "MIDDLE", "SUFFIX",
    "gMASK", "sMASK", "MASK", "CLS", "SEP", "PAD", "UNK", "BOS", "EOS", "EOT",
    "BEGIN FINAL RESPONSE", "END FINAL RESPONSE", "MODEL_SETTINGS", "/MODEL_SETTINGS", "AUDIO",
    "BEGIN_AUDIO", "TRANSCRIBE", "STREAMING_PAD",
)  # fmt: skip

_TOKENS = re.compile(
    r"<(?="
    r"/?[|｜](?:[^\s<>]{1,48}[|｜]>"  # <|im_start|>, <｜User｜>
    r"|/?[\w▁\"]{1,32}>|dsml[|｜])"  # <|turn>
    r"|(?=[\w/▁\"<])(?:/?[\w▁\"]{1,32}[|｜]>"  # <channel|>
    r"|/?\w{1,16}(?:▁\w{1,16}){1,6}>"  # <begin▁of▁sentence>
    rf"|(?:{'|'.join(re.escape(word.lower()) for word in _WORDS)})>"
    r"|</?sys>>|(?:start|end|begin|beginning)_(?:of_\w{2,24}|function_\w{4,12})>"  # <end_of_turn>
    r"|0x[0-9a-f]{2}>|unused\d{1,5}>|extra_id_\d{1,5}>|reserved_\w{1,24}>|special_\d{1,5}>"
    r"|ctrl\d{1,4}>|dummy\d{1,5}>|_\w{1,16}>"  # the last is TeleChat's: <_user>
    r"))"
    rf"|\[(?=(?:{'|'.join(re.escape(word.lower()) for word in _BRACKETED)})\]"
    r"|[|｜][^\s\[\]|｜]{1,48}[|｜]\]"  # [|assistant|], [|begin▁of▁sentence|]
    r"|/?\w{1,16}(?:▁\w{1,16}){1,6}\]|unused(?:_token_)?\d{1,5}\])"
    r"|◁(?=/?think▷)"
    r"|\](?=~!?b[\]\[])|\[(?=e~\[)"
)
"""The first character of each literal in small letters; the rest is looked at only."""

_KEY = "<Escape>"
"""A key's name in programs with Tk; the token is written small."""

_MAY_HOLD_TOKEN = re.compile(r"[<\[◁\]＜﹤［﹇］﹈]")
_DISGUISE = re.compile(r"[\u200c\u200d\ufe00-\ufe0f\u034f\u115f\u1160\u3164\uffa0\u17b4\u17b5]")
_COMPATIBLE = re.compile(
    r"[\u00aa-\u00be\u02b0-\u02e4\u1d2c-\u1dbf\u2002-\u2024\u2070-\u209c\u2100-\u218b\u2460-\u24ff"
    r"\u2c7c\u2c7d\u3000-\u33ff\uf900-\ufb06\ufe30-\ufe6f\uff01-\uffee"
    r"\U0001d400-\U0001d7ff\U0001f100-\U0001f1ff]"
)
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_BLANKS = re.compile(r"\s*+")
_AFTER_MENTION = re.compile(r"[\s,:]*+")
_LINE_BREAKS = re.compile(r"\r\n?|\u2028|\u2029|\x85|\x0b|\x0c")

_MARKUP = re.compile(
    r"<(?:@!?(?P<user>\d{15,20})|@&(?P<role>\d{15,20})|\#(?P<channel>\d{15,20})"
    r"|a?:(?P<emoji>\w{2,32}):\d{15,20}"
    r"|t:(?P<time>-?\d{1,13})(?::[tTdDfFsSR])?"
    r"|(?P<command>/[^<>\n:]{1,100}):\d{15,20}"
    r"|id:(?P<guide>customize|browse|guide|linked-roles)(?::\d{15,20})?)>"
)


def neutralise(text: str) -> str:
    """Break every chat template token in a text; everything else stays as it is.

    Idempotent: what comes out holds no token, however it is looked at.
    """
    if not _MAY_HOLD_TOKEN.search(text):
        return text
    seen = text if text.isascii() else _COMPATIBLE.sub(_plain, text)
    starts = _undisguised(seen) if _DISGUISE.search(seen) else _starts(seen)
    if not starts:
        return text
    ends = [start + 1 for start in starts]
    return " ".join(text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True))


def _undisguised(text: str) -> list[int]:
    """Return where tokens begin in a text when one doesn't look at the disguise."""
    gone = [match.start() for match in _DISGUISE.finditer(text)]
    passed = 0
    starts: list[int] = []
    for start in _starts(_DISGUISE.sub("", text)):
        while passed < len(gone) and gone[passed] - passed <= start:
            passed += 1
        starts.append(start + passed)
    return starts


def _starts(text: str) -> list[int]:
    """Return where tokens begin, in small letters or capitals."""
    found = (match.start() for match in _TOKENS.finditer(_lowered(text)))
    return [start for start in found if not text.startswith(_KEY, start)]


def _lowered(text: str) -> str:
    """Return a text in small letters, character for character.

    A pattern of many words is several times as fast on these as one that ignores the case.
    """
    if text.isascii():
        return text.lower()
    return text.replace("\u0130", "i").lower().replace("\u0131", "i").replace("\u017f", "s")


def clean_text(text: str) -> str:
    r"""Return text without control and invisible characters, template tokens and frames' marks.

    Line breaks become ``\n``; joiners that scripts and emoji need are kept.
    """
    if not text.isascii() or not text.isprintable():
        text = frames.plain(_INVISIBLE.sub("", _LINE_BREAKS.sub("\n", text)))
    return neutralise(text)


@lru_cache(maxsize=2048)
def safe_name(name: str) -> str:
    """Reduce a display name to one harmless line of at most 32 characters; never empty.

    Names that read like a role of the chat protocol, and colons that would end a name early, are
    changed visibly.
    """
    line = _INVISIBLE.sub("", _LINE_BREAKS.sub(" ", name)).replace("\n", " ").replace("\t", " ")
    line = " ".join(line.replace(":", "·").replace("：", "·").split())
    line = _cut(neutralise(frames.plain(line)), NAME_CHARS)
    if skeleton(line) in _ROLE_NAMES:
        line = _cut(f"{line} (name)", NAME_CHARS)
    return line if skeleton(line) else "someone"


_ROLE_NAMES = frozenset(
    {"system", "user", "assistant", "developer", "tool", "human", "ai", "model", "bot"}
)


def readable(text: str, names: Mapping[int, str], *, bot_id: UserId, bot_name: str) -> str:
    """Turn Discord's markup into words, and take out the bot's own mention.

    Args:
        text: Content as typed.
        names: Display names of the ids in the text; untrusted.
        bot_id: The bot; its mention at the ends disappears, elsewhere it becomes its name.
        bot_name: What the bot is called.
    """
    if "<" not in text:
        return text.strip()
    text = without_mention(text, bot_id)

    def word(match: re.Match[str]) -> str:
        return _word(match, names, bot_id, bot_name)

    return _MARKUP.sub(word, text).strip()


def without_mention(text: str, me: UserId) -> str:
    """Return text without a person's own mentions, and without blanks, at its ends."""
    own = (f"<@{me}>", f"<@!{me}>")
    start = _BLANKS.match(text)
    begin, end = start.end() if start else 0, len(text.rstrip())
    while form := next((form for form in own if text.startswith(form, begin, end)), ""):
        after = _AFTER_MENTION.match(text, begin + len(form), end)
        begin = after.end() if after else end
    while form := next((form for form in own if text.endswith(form, begin, end)), ""):
        end -= len(form)
        while end > begin and text[end - 1].isspace():
            end -= 1
    return text[begin:end]


def _word(match: re.Match[str], names: Mapping[int, str], bot_id: UserId, bot_name: str) -> str:
    kind = match.lastgroup
    value = match.group(kind) if kind else ""
    if kind == "user" and int(value) == bot_id:
        return f"@{bot_name}"
    if kind in {"user", "role"}:
        return "@" + safe_name(names.get(int(value), "someone"))
    if kind == "channel":
        return "#" + safe_name(names.get(int(value), "channel"))
    if kind == "emoji":
        return f":{value}:"
    if kind == "time":
        return _time(int(value))
    return value


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "(a time)"


@lru_cache(maxsize=4096)
def _plain_char(char: str) -> str:
    plain = unicodedata.normalize("NFKC", char)
    return plain if len(plain) == 1 else char


def _plain(match: re.Match[str]) -> str:
    return _plain_char(match.group())


def _cut(text: str, chars: int) -> str:
    return text[:chars].rstrip()


_LATIN = str.maketrans(
    "авеікмнорсстухјѕһԁԛԝαβεικνορτυχγıɑɡ",
    "abeikmhopcctyxjshdqwabeikvoptuxyiag",
)
"""Small letters of other alphabets that are read as Latin ones."""


@lru_cache(maxsize=2048)
def skeleton(name: str) -> str:
    """Return what a name is read as: two names with one skeleton can't be told apart."""
    bare = unicodedata.normalize("NFKD", _DISGUISE.sub("", name)).casefold()
    kept = "".join(char for char in bare if not unicodedata.combining(char))
    return " ".join(kept.translate(_LATIN).split())
