"""Running a text through the pipeline, whole or cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bot.core.domain import FinishReason, TextDelta
from bot.output.pipeline import OutputPolicy, ReplyPipeline, SecretGuard

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0"
KEY = "sk-lm-a1b2c3d4:Zx9Yw8Vu7Ts6Rq5Po4Nm"
HOST = "192.168.178.50"
GUARD = SecretGuard([TOKEN, KEY, HOST])


def pipeline(
    *,
    names: Sequence[str] = (),
    bot_name: str = "",
    expect: bool = False,
    policy: OutputPolicy | None = None,
    guard: SecretGuard = GUARD,
) -> ReplyPipeline:
    """Return a fresh pipeline."""
    return ReplyPipeline(
        policy=policy or OutputPolicy(),
        secrets=guard,
        participants=names,
        bot_names=[bot_name] if bot_name else (),
        expect_missing_opening=expect,
    )


def versions(
    target: ReplyPipeline, pieces: Iterable[str], reason: FinishReason = FinishReason.STOP
) -> list[str]:
    """Feed pieces and close; return every version of the text, the final one last."""
    seen = []
    for piece in pieces:
        target.feed(TextDelta(piece))
        seen.append(target.text)
    target.close(reason)
    return [*seen, target.text]


def shown(text: str) -> str:
    """Return what a person reads of a text that arrives whole."""
    return versions(pipeline(), [text])[-1]
