"""Who waits, for how long, and what holds them up: what ``/diag queue`` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from bot.core.ports import LoadedModel, ServerState
from bot.core.wording import counted
from bot.diagnostics.values import one_line
from bot.lmstudio.names import shown
from bot.queue.fair_queue import in_words
from bot.queue.scheduler import Job, QueueEntry, Scheduler

NAMED: Final = 10
"""Most questions that are listed one by one, of those that run and of those that wait."""

AT_ONCE_S: Final = 1.0

_CIRCUITS: Final = {
    "open": "left alone for a while, because questions of several people failed there",
    "half-open": "tried again with one question, after several failed there",
}


def queue_text(
    scheduler: Scheduler,
    servers: Sequence[ServerState],
    *,
    is_available: bool,
    may_name: Callable[[Job], bool],
    next_server: int | None = None,
    names_models: bool = False,
    kept_warm: int = 0,
) -> str:
    """Return the report.

    Args:
        scheduler: The queue.
        servers: The model's machines.
        is_available: Whether any of them is believed to answer.
        may_name: Whether a question's person may be named to whoever asks for the report.
        next_server: The number of the server that a new conversation here would go to.
        names_models: Name what each server has in memory.
        kept_warm: Conversations whose next prompt is read ahead.
    """
    running = [each for each in scheduler.entries if each.place is None]
    waiting = [each for each in scheduler.entries if each.place is not None]
    parts = [
        _capacity(scheduler, len(running), len(waiting), is_available=is_available),
        _pool(scheduler),
        f"Kept warm: {counted(kept_warm, 'conversation')}, whose next answer begins sooner for it."
        if kept_warm
        else "",
        _listed("Being answered", running, may_name),
        _listed("Waiting", waiting, may_name),
        *(_server(server, names_models=names_models) for server in servers),
        f"A new conversation here goes to server {next_server}."
        if next_server is not None and len(servers) > 1
        else "",
    ]
    return "\n".join(filter(None, parts))


def _capacity(scheduler: Scheduler, running: int, waiting: int, *, is_available: bool) -> str:
    text = f"{running} being answered on {counted(scheduler.slots, 'slot')}, {waiting} waiting."
    if not is_available:
        return f"{text} No model's machine answers, so nothing begins until one is back."
    wait_s = scheduler.newcomer_wait_s
    begins = "at once" if wait_s < AT_ONCE_S else f"in about {in_words(wait_s)}"
    text += f" A question asked now begins {begins}."
    if scheduler.mean_answer_s >= 1:
        text += f" An answer takes about {in_words(scheduler.mean_answer_s)}."
    return text


def _pool(scheduler: Scheduler) -> str:
    pool = scheduler.pool_tokens
    if pool is None:
        return ""
    return f"All answers share {pool:,} tokens of context, of which {scheduler.used_tokens:,} are taken."


def _listed(title: str, entries: Sequence[QueueEntry], may_name: Callable[[Job], bool]) -> str:
    if not entries:
        return ""
    named = [each for each in entries if may_name(each.job)][:NAMED]
    lines = [f"{title}: {counted(len(entries), 'question')}"]
    lines += [f"- {_entry(each)}" for each in named]
    if others := len(entries) - len(named):
        longest_s = max(each.for_s for each in entries if each not in named)
        whose = "of other people" if named else "of people who aren't named here"
        lines.append(f"- {counted(others, 'question')} {whose}, the longest for {longest_s:.0f} s")
    return "\n".join(lines)


def _entry(entry: QueueEntry) -> str:
    text = f"<@{entry.job.person_id}> for {entry.for_s:.0f} s"
    if entry.is_elsewhere:
        text += ", by another process"
    if entry.place is None:
        return text
    if entry.expected_s is None:
        return f"{text}, place {entry.place}, held until the model's machine is back"
    return f"{text}, place {entry.place}, about {in_words(entry.expected_s)} more"


def _server(server: ServerState, *, names_models: bool) -> str:
    if server.is_drained:
        state = "taken out by an owner"
    elif server.is_up is None:
        state = "not reached yet"
    elif not server.is_up:
        state = "doesn't answer"
    else:
        state = _CIRCUITS.get(server.circuit, "answers")
    busy = f"{server.in_flight} of {counted(server.slots, 'slot')} busy"
    told = [_model(one, is_named=names_models) for one in server.models]
    return f"Server {server.number}: {'; '.join([state, busy, *filter(None, told)])}."


def _model(model: LoadedModel, *, is_named: bool) -> str:
    """Say how fast a model writes, and how many copies of it there are; nothing where neither is known."""
    name = f"`{one_line(shown(model.key))}` " if is_named else ""
    words = [] if model.copies == 1 else [f"is loaded {model.copies} times"]
    words += [] if model.pace is None else [f"writes {model.pace:.0f} tokens/s"]
    return f"{name}{' and '.join(words)}" if words else ""
