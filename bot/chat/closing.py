"""How an answer ends: its text, the quiet lines below it, and what to say when there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from bot.core.domain import Completed, FinishReason
from bot.core.ports import ChatSettings
from bot.core.wording import counted
from bot.lmstudio.names import shown
from bot.output.pipeline import ReplyPipeline, Verdict
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.sanitiser import make_harmless
from bot.output.sanitise.secret_guard import SecretGuard
from bot.prompt.builder import Prompt


class Ending(StrEnum):
    """Why a reply ends before its answer is whole."""

    STOPPED = "stopped"
    GONE = "gone"
    MERGED = "merged"
    SUPERSEDED = "superseded"
    RESTART = "restart"


ONLY_THINKING = (
    "The model thought about it but wrote no answer. Press Regenerate, or ask more briefly."
)
EMPTY = "The model returned nothing. Press Regenerate to try again."
_PRESS = "Press Continue"
CUT_BY_LENGTH = f"Cut at the length limit. {_PRESS} for the rest."
BROKE = "The connection to the model broke here."
PRESS_CONTINUE = f"{_PRESS}, or Regenerate."
TOO_LONG = "Stopped here: this answer was getting too long."
REPEATED = "Stopped here: the model had begun to repeat itself."
CONTINUED = "Stopped here: the model had begun to write other people's messages."
_NAME_CHARS = 100
_NAMES = 64


@dataclass(frozen=True, slots=True)
class Closing:
    """The end of an answer.

    Attributes:
        text: The whole visible answer; empty when there is none.
        remarks: Quiet lines for below the text, in order.
        notice: What to say instead when there is no text.
        details: One line on model, speed and context, for the Details button.
        can_continue: The answer is incomplete in a way that asking on can mend.
    """

    text: str
    remarks: tuple[str, ...]
    notice: str
    details: str
    can_continue: bool


def close_answer(
    pipeline: ReplyPipeline, prompt: Prompt, done: Completed, chat: ChatSettings, took_s: float
) -> Closing:
    """Put together the end of an answer from what the pipeline and the server reported.

    Args:
        pipeline: Closed.
        prompt: What the model was given.
        done: The server's last word.
        chat: The settings in force.
        took_s: The whole answer, in seconds.
    """
    verdict = pipeline.verdict
    details = describe_run(prompt, done, took_s)
    lines = [*([chat.model_remark] if chat.model_remark else []), *prompt.remarks, *done.remarks]
    can_continue = False
    if verdict is Verdict.CUT:
        lines.append(TOO_LONG)
    elif verdict is Verdict.REPEATED:
        lines.append(REPEATED)
    elif verdict is Verdict.CONTINUED:
        lines.append(CONTINUED)
    elif pipeline.has_ended:
        pass
    elif done.reason is FinishReason.LENGTH:
        lines.append(CUT_BY_LENGTH)
        can_continue = True
    elif done.reason is FinishReason.INTERRUPTED:
        lines.append(f"{done.interruption or BROKE} {PRESS_CONTINUE}")
        can_continue = True
    if chat.show_footer:
        lines.append(details)
    notice = EMPTY if verdict is Verdict.EMPTY else ONLY_THINKING
    return Closing(pipeline.text, tuple(lines), notice, details, can_continue)


def offers_continuation(own_lines: str | None) -> bool:
    """Return whether the bot's own lines below a stored answer ask the reader to press Continue."""
    return own_lines is not None and _PRESS in own_lines


def describe_run(prompt: Prompt, done: Completed, took_s: float) -> str:
    """Return one line on an answer: model, time to first word, speed, context used.

    Args:
        prompt: What the model was given.
        done: The server's last word.
        took_s: The whole answer, in seconds.
    """
    parts = [model_name(done.model)]
    if done.first_token_s is not None:
        parts.append(f"first word after {done.first_token_s:.1f} s")
    if done.usage is not None:
        writing_s = (done.total_s or took_s) - (done.first_token_s or 0.0)
        if writing_s > 0 and done.usage.completion_tokens > 1:
            speed = done.usage.completion_tokens / writing_s
            parts.append(f"{speed:{'.0f' if speed >= 10 else '.2g'}} tokens/s")
        used = done.usage.prompt_tokens + done.usage.completion_tokens
        if done.context_tokens:
            parts.append(f"{used:,} of {done.context_tokens:,} tokens of context")
        else:
            parts.append(counted(used, "token"))
    else:
        parts.append(f"about {prompt.prompt_tokens:,} tokens of prompt")
    return " · ".join(parts)


@lru_cache(_NAMES)
def model_name(reported: str | None) -> str:
    """Return the name that a server gave its model as one short, harmless line."""
    line = shown(reported or "")
    policy = OutputPolicy(max_chars=_NAME_CHARS)
    return make_harmless(line, policy=policy, secrets=SecretGuard()) or "model unknown"
