"""Reasoning filter and sanitiser: deltas per second, and random compositions without a leak.

``python -m benchmarks filter [--deltas N] [--compositions N] [--seed N]``
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.table import print_table
from bot.core.domain import FinishReason, TextDelta
from bot.output.pipeline import OutputPolicy, ReplyPipeline, SecretGuard
from sandbox.lmstudio.markup import FAMILIES

CANARY: Final = "SECRETSTEP"
NAMES: Final = ("Maria", "Jörg K.", "小明")
GUARD: Final = SecretGuard(
    [
        "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0",
        "sk-lm-a1b2c3d4:Zx9Yw8Vu7Ts6Rq5Po4Nm",
        "192.168.178.50",
        "minipc.lan",
    ]
)
_WORDS: Final = [
    "rain",
    "river",
    "valley",
    "gravel",
    "sea",
    "mud",
    "water",
    "ground",
    "snow",
    "first",
    "slope",
    "wide",
    "delta",
    "bank",
    "plain",
    "stone",
    "course",
    "current",
    "bridge",
    "boat",
    "fish",
    "analysis",
    "thought",
    "final",
    "answer",
    "user",
    "human",
    "here",
    "is",
    "my",
    "plan",
]
_ANSWERS: Final = (
    "The capital of France is **Paris**.",
    "It's simple: 2 < 3, and a <- b, x << 3.",
    "Models write `<think>` and `</think>` around their thoughts.",
    "The <think> tag is used by several models.",
    "```xml\n<think>\nquoted\n</think>\n<|im_end|>\n```",
    "```python\nfor i in range(3):\n    print(a[i][0], '<b>')\n```",
    "- one\n- two: `x = [1, 2]`\n  - three",
    "巴黎是法国的首都。🇫🇷👩‍💻",
    "می‌خواهم برم. שלום עולם! क्‍ष",
    "> quoted\n\n1. See [THE DOCS] and [1], array[i][j].",
    "Mail a@b.example, or read https://example.com/a_(b)?c=d#e for more!",
    "Note: be careful.\nUsers: 5\nAnswer: 42",
)
_THOUGHTS: Final = (
    f"{CANARY} one.",
    f"The user wants {CANARY}, so I recall it.",
    f"I must not write `<think>` {CANARY}.",
    f"First:\n1. {CANARY}\n2. b\n\nThen `</think>` is quoted {CANARY}.",
    f"{CANARY} 巴黎。",
    f'{{"{CANARY}": [1, 2]}} < 3 {CANARY}?',
)
_TAILS: Final = (
    "",
    "",
    "",
    f"<|im_end|>\n<|im_start|>user\n{CANARY}?<|im_end|>",
    f"</s>[INST] {CANARY} [/INST]",
    f"\n⟦from Maria⟧ {CANARY}?\n⟦from Clawbot⟧ {CANARY}.",
    f'\n<tool_call>\n{{"name": "{CANARY}"}}\n</tool_call>',
    f"\n\n[TOOL_REQUEST]{CANARY}[END_TOOL_REQUEST]",
    "<pad>" * 9,
)


@dataclass(frozen=True, slots=True)
class Composition:
    """One made-up answer: what arrives, how it is cut, and what a reader must see.

    Attributes:
        pieces: The deltas, in order.
        answer: The text that must come out.
        is_opening_missing: The text starts inside the thinking.
    """

    family: str
    pieces: tuple[TextDelta, ...]
    answer: str
    is_opening_missing: bool


def compose(rng: random.Random) -> Composition:
    """Make up an answer in a random family, with a random thought, answer, tail and cuts."""
    family = rng.choice(sorted(FAMILIES))
    answer = "\n\n".join(rng.choices(_ANSWERS, k=rng.randint(1, 4)))
    thought = "\n".join(rng.choices(_THOUGHTS, k=rng.randint(1, 3)))
    if rng.random() < 0.2:
        answer = " ".join(rng.choices(_WORDS, k=8)).capitalize() + ".\n" + answer
    if rng.random() < 0.1:
        reasoning = [TextDelta(reasoning=piece) for piece in _cut(rng, thought)]
        content = rng.choice(("", "\n\n", "</think>\n\n")) + answer + rng.choice(_TAILS)
        pieces = (*reasoning, *map(TextDelta, _cut(rng, content)))
        return Composition("field", pieces, answer, is_opening_missing=False)
    raw = rng.choice(("", "\n", " \n")) + FAMILIES[family](thought, answer) + rng.choice(_TAILS)
    is_missing = family.endswith("_open_missing")
    return Composition(family, tuple(map(TextDelta, _cut(rng, raw))), answer, is_missing)


def _cut(rng: random.Random, text: str) -> list[str]:
    most = rng.choice((1, 2, 4, 8, 40, len(text) + 1))
    pieces = []
    while text:
        size = rng.randint(1, most)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def fault(case: Composition) -> str:
    """Run a composition through the pipeline; return what went wrong, or nothing."""
    pipeline = ReplyPipeline(
        policy=OutputPolicy(),
        secrets=GUARD,
        participants=NAMES,
        bot_names=("Clawbot",),
        expect_missing_opening=case.is_opening_missing,
    )
    for piece in case.pieces:
        pipeline.feed(piece)
        if not case.answer.startswith(pipeline.text):
            return f"showed {pipeline.text[-80:]!r}"
    pipeline.close(FinishReason.STOP)
    return "" if pipeline.text == case.answer else f"ended in {pipeline.text!r}"


def _tokens(count: int, rng: random.Random) -> list[TextDelta]:
    text = f"<think>\n{_THOUGHTS[1]}\n</think>\n\n"
    while len(text) < count * 4:
        sentence = " ".join(rng.choices(_WORDS, k=rng.randint(6, 12)))
        end = rng.choice((". ", ", ", ": ", "!\n\n", ".\n- ", f"\n\n{rng.choice(_ANSWERS)}\n\n"))
        text += sentence.capitalize() + end
    found = re.findall(r" ?\w+|\s+|[^\w\s]", text)
    return [TextDelta(piece) for piece in found[:count]]


def _rate(deltas: Sequence[TextDelta], *, read_every: int) -> float:
    pipeline = ReplyPipeline(
        policy=OutputPolicy(max_chars=10_000_000), secrets=GUARD, participants=NAMES
    )
    started_s = time.process_time()
    for number, delta in enumerate(deltas):
        pipeline.feed(delta)
        if read_every and number % read_every == 0:
            _ = pipeline.text
    pipeline.close(FinishReason.STOP)
    took_s = time.process_time() - started_s
    if pipeline.must_stop:
        raise RuntimeError("the benchmark's own text was cut")
    return len(deltas) / took_s


def _throughput(count: int, seed: int) -> None:
    answers = [_tokens(600, random.Random(seed + n)) for n in range(max(1, count // 600))]
    rows = []
    for name, size, read_every in (
        ("one token per delta", 1, 0),
        ("one token per delta, text read at each", 1, 1),
        ("8 tokens per delta, text read at each", 8, 1),
    ):
        rates = []
        for tokens in answers:
            joined = [
                TextDelta("".join(d.content for d in tokens[i : i + size]))
                for i in range(0, len(tokens), size)
            ]
            rates.append(_rate(joined, read_every=read_every) * size)
        rates.sort()
        rows.append((name, round(rates[len(rates) // 2]), round(rates[0])))
    print_table(
        "Filter and sanitiser, answers of 600 tokens, per second of CPU time",
        ("fed as", "tokens/s (median)", "tokens/s (worst answer)"),
        rows,
    )


def _compositions(count: int, seed: int) -> int:
    rng = random.Random(seed)
    deltas = faults = 0
    for number in range(count):
        case = compose(rng)
        deltas += len(case.pieces)
        wrong = fault(case)
        if wrong:
            faults += 1
            print(f"composition {number} ({case.family}): {wrong}")
    print_table(
        "Random compositions: nothing of the thinking shown, answer intact",
        ("compositions", "versions of the text looked at", "faults"),
        [(count, deltas, faults)],
    )
    return faults


def main(argv: list[str]) -> int:
    """Run both parts; returns 1 if any composition went wrong."""
    parser = argparse.ArgumentParser(prog="benchmarks filter")
    parser.add_argument("--deltas", type=int, default=60_000, help="tokens to feed")
    parser.add_argument("--compositions", type=int, default=1000, help="answers to make up")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    _throughput(options.deltas, options.seed)
    return 1 if _compositions(options.compositions, options.seed) else 0
