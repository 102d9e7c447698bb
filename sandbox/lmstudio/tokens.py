"""The stand-in's tokeniser: simple, deterministic, and the only one it has.

Usage numbers, context overflow and the prefix cache all count with ``tokenize``, so they agree
with each other as they do on a real server.
"""

from __future__ import annotations

import re

_PIECE = re.compile(
    r"<\|[a-z_]{1,24}\|>"  # a template's special token
    r"| ?[A-Za-z]{1,6}"  # Latin letters, with the space before them
    r"|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"  # CJK: one each
    r"| ?[^\W\d_A-Za-z]{1,3}"  # other scripts
    r"| ?\d{1,3}"
    r"| (?=[^\w\s])[^\w\s]"  # punctuation, with the space before it
    r"|\n+"
    r"|[^\S\n]{1,8}"  # indentation
    r"|.",
    re.DOTALL,
)

IMAGE_TOKENS = 256
"""What one image costs, in tokens."""


def tokenize(text: str) -> list[str]:
    """Split text into tokens whose concatenation is the text.

    English costs about four characters a token, CJK one; digits go by threes; punctuation, as in
    code, is one token each.

    Args:
        text: Anything.
    """
    return _PIECE.findall(text)


def common_prefix(left: list[str], right: list[str]) -> int:
    """Return how many tokens two prompts have in common at their beginning."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
