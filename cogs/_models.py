"""What the commands about models and servers say, at a phone's width, and waiting with words for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeVar

import discord

from bot.chat.reply import model_name
from bot.core.clock import Clock, within
from bot.core.domain import GuildId, ModelInfo, Question
from bot.core.ports import ServerState
from bot.core.tasks import end_tasks
from bot.core.wording import counted
from bot.gateway.client import ClawbotClient, Interaction
from bot.lmstudio import LMStudioBackend
from bot.lmstudio.backend import Away
from bot.lmstudio.downloads import Download
from bot.lmstudio.errors import BackendUnavailableError, StillLoadingError
from bot.lmstudio.memory import Fit
from bot.lmstudio.names import quantisation
from bot.queue.fair_queue import in_words
from cogs import _gate, _respond, _settings

T = TypeVar("T")

STEP_S: Final = 3.0
"""Seconds between two edits of an answer that tells how far something is."""

MOST_CHARS: Final = 1900
OFFERED: Final = 3
"""How many smaller models are offered where one doesn't fit."""

_OPTIONS: Final = {
    "context_length": "context",
    "eval_batch_size": "evaluation batch size",
    "flash_attention": "flash attention",
    "parallel": "answers at once",
    "offload_kv_cache_to_gpu": "KV cache on the GPU",
}


async def watched(
    interaction: Interaction,
    clock: Clock,
    work: Coroutine[Any, Any, T],
    words: Callable[[float], str],
) -> T:
    """Do work whose answer is deferred, and say from time to time how far it is.

    Args:
        interaction: Deferred.
        clock: Time.
        work: What is done.
        words: Returns what to say after so many seconds.
    """
    began_s = clock.monotonic()
    task = asyncio.get_running_loop().create_task(work)
    try:
        while not task.done():
            await _respond.say(interaction, words(clock.monotonic() - began_s))
            with contextlib.suppress(TimeoutError):
                await within(clock, asyncio.wait({task}), STEP_S)
        return task.result()
    finally:
        await end_tasks(task)


@contextlib.asynccontextmanager
async def reaching(interaction: Interaction) -> AsyncGenerator[None, None]:
    """Work for a command about models, its answer deferred.

    Raises:
        GateError: No server can be reached: with why, and what to do.
    """
    try:
        async with _respond.deferred(interaction):
            yield
    except BackendUnavailableError as exc:
        lines = _away_lines(interaction) or [f"⚠️ {exc.user_text}"]
        raise _gate.GateError("\n".join(lines)) from exc


def _away_lines(interaction: Interaction) -> list[str]:
    """Say of each server that isn't asked why that is, and what to do; addresses are for owners elsewhere."""
    client = interaction.client
    is_owner = _gate.is_owner(interaction)
    backend = client.services.backend
    return [
        f"⚠️ {_named(one, backend)} {_why_away(one, is_owner=is_owner)}" for one in backend.away()
    ]


def _named(server: Away, backend: LMStudioBackend) -> str:
    return f"Server {server.number}" if len(backend.servers()) > 1 else "The model's machine"


def _why_away(server: Away, *, is_owner: bool) -> str:
    if server.is_drained:
        return "is taken out. /model undrain lets it in again."
    if server.failure is None:
        return "failed several times in a row. I try it again in a moment."
    is_loading = issubclass(server.failure, StillLoadingError)
    said = "is still loading its model." if is_loading else "doesn't answer."
    hint = server.failure.admin_hint if is_owner else ""
    return " ".join(filter(None, [said, hint, "/diag network shows where it breaks off."]))


async def list_answer(interaction: Interaction) -> str:
    """Return the models there are; of servers that don't answer, what they had when they last did."""
    services, found = interaction.client.services, []
    backend = services.backend
    allowed = set(services.allowed.of(GuildId(interaction.guild_id or 0)))
    try:
        models = await backend.list_models()
        found = [list_text(models, backend, allowed) or _settings.no_models(interaction.client)]
    except BackendUnavailableError:
        found = [
            f"{_named(one, backend)} had these models {discord.utils.format_dt(one.read_at, 'R')}:\n"
            f"{list_text(one.models, backend, allowed) or 'none that can chat'}"
            for one in backend.away()
            if one.read_at is not None
        ] or ["I have seen no list of models since I started."]
    return "\n".join([*_away_lines(interaction), *found])


def loading_text(key: str, usual_s: float | None, elapsed_s: float) -> str:
    """Say how long a model is being loaded; LM Studio tells no more until it is there."""
    text = f"Loading `{model_name(key)}`…"
    if elapsed_s >= 1:
        text += f" {elapsed_s:.0f} s so far."
    if usual_s:
        text += f" The last time it took {usual_s:.0f} s."
    return text


def list_text(models: Sequence[ModelInfo], backend: LMStudioBackend, allowed: set[str]) -> str:
    """Return the models, two lines each, as many as a message holds; nothing for none."""
    lines: list[str] = []
    for number, model in enumerate(models):
        block = row(model, backend.fit(model.key), is_allowed=model.key in allowed)
        if sum(map(len, lines)) + len(lines) + len(block) > MOST_CHARS:
            lines.append(f"And {len(models) - number} more: type a name in /model info.")
            break
        lines.append(block)
    return "\n".join(lines)


def row(model: ModelInfo, fits: Fit, *, is_allowed: bool = False) -> str:
    """Return two lines on a model: what it is, and what it can."""
    head = [f"{'🟢' if model.is_loaded else '⚪'} `{model_name(model.key)}`", *_size(model)]
    below = [_context(model), *_abilities(model), _fit_words(fits, model)]
    below += ["allowed here"] if is_allowed else []
    tail = " · ".join(filter(None, below))
    return " · ".join(head) + (f"\n-# {tail}" if tail else "")


def info_text(model: ModelInfo, backend: LMStudioBackend) -> str:
    """Return all that is known of a model."""
    lines = [row(model, backend.fit(model.key))]
    if model.parameters:
        lines.append(f"Parameters: {model.parameters}")
    if model.variants:
        others = backend.variants(model.key)
        named = (_variant(model, name, others.get(name)) for name in model.variants)
        lines.append(f"Quantisations: {' · '.join(named)}")
    if model.reasoning_options:
        lines.append(f"Thinking: {', '.join(model.reasoning_options)}")
    if len(model.instance_ids) > 1:
        lines.append(f"It is in memory {len(model.instance_ids)} times.")
    how = [
        f"{_OPTIONS[name]} {_option(value)}"
        for name, value in asdict(model.loaded_as).items()
        if value is not None
    ]
    if how:
        lines.append(f"Loaded with {', '.join(how)}.")
    if backend.fit(model.key) is Fit.TOO_LARGE:
        lines.append(would_fit_text(model.key, backend))
    return "\n".join(filter(None, lines))


def _variant(model: ModelInfo, name: str, known: tuple[ModelInfo, Fit] | None) -> str:
    """Return a quantisation of a model: the one in use is bold, and others' sizes are reckoned by their bits."""
    words = [f"`{quantisation(name) or model_name(name)}`"]
    if name == model.selected_variant:
        words = [f"**{words[0]}**"]
    elif known is not None:
        variant, fits = known
        fitting = _fit_words(fits, variant)
        words.append(f"about {(variant.size_bytes or 0) / 1e9:.1f} GB")
        words += [f"({fitting})"] if fitting else []
    return " ".join(words)


def would_fit_text(
    key: str | None, backend: LMStudioBackend, may_use: Callable[[str], bool] = lambda _: True
) -> str:
    """Say which smaller models or quantisations would fit; empty where none is there."""
    found = [one for one in backend.would_fit(key) if may_use(one.key)][:OFFERED]
    named = [" · ".join([f"`{model_name(one.key)}`", *_size(one)]) for one in found]
    head = "These would fit" if backend.memory_bytes is not None else "These need less memory"
    return f"{head}: {'; '.join(named)}." if named else ""


class Adviser:
    """Tells who can change it what would fit, where a model can't be loaded or runs out of memory.

    Args:
        client: Knows the server's people.
        clock: Time.
    """

    def __init__(self, client: ClawbotClient, clock: Clock) -> None:
        self._client = client
        self._rights = _gate.Rights(client, clock)

    async def advice(self, question: Question, key: str | None) -> str:
        """Return the models that a question's asker can choose instead; empty for other people."""
        if not await self._rights.may_manage(question):
            return ""
        services, guild_id = self._client.services, question.place.guild_id
        is_owner = question.asker.id in _gate.owner_ids(self._client)

        def may_use(name: str) -> bool:
            permits = services.allowed.permit
            return is_owner or (guild_id is not None and permits(guild_id, name) is not None)

        text = would_fit_text(key, services.backend, may_use)
        return f"{text} /model use chooses one." if text else ""


def download_text(name: str, found: Download) -> str:
    """Say how far a download is."""
    whole = f" of {found.total_bytes / 1e9:.1f} GB" if found.total_bytes else ""
    done = f"{found.done_bytes / 1e9:.1f}{whole or ' GB'}"
    if found.state == "already_downloaded":
        return f"`{name}` is on the model's machine already."
    if found.state == "completed":
        return f"`{name}` is downloaded. /model load loads it."
    if found.state == "failed":
        return f"LM Studio couldn't download `{name}`. Its log says why; use the command again to try again."
    if found.state == "paused":
        return f"The download of `{name}` is paused in LM Studio, at {done}. Go on with it there."
    pace = f" at {found.bytes_per_s / 1e6:.0f} MB/s" if found.bytes_per_s else ""
    left = f", about {in_words(found.left_s)} more" if found.left_s else ""
    return f"Downloading `{name}`: {done}{pace}{left}. It can be stopped in LM Studio only."


def servers_text(servers: Sequence[tuple[str, bool, ServerState]]) -> str:
    """Return the servers for an owner: address, state, what they have in memory.

    Args:
        servers: The address of each, whether it was added by command, and how it does.
    """
    lines = []
    for address, is_added, state in servers:
        mark = "⏸️" if state.is_drained else "🟢" if state.is_up else "🔴"
        words = ["taken out"] if state.is_drained else [] if state.is_up else ["doesn't answer"]
        words += [f"{state.in_flight} of {counted(state.slots, 'slot')} busy"]
        words += [
            f"`{model_name(one.key)}`" + (f" × {one.copies}" if one.copies > 1 else "")
            for one in state.models
        ]
        words += ["added by command"] if is_added else []
        lines.append(f"{mark} **{state.number}** `{address}`\n-# {' · '.join(words)}")
    return "\n".join(lines)


def _size(model: ModelInfo) -> list[str]:
    size = f"{model.size_bytes / 1e9:.1f} GB" if model.size_bytes else ""
    return [part for part in (model.quantisation, size) if part]


def _context(model: ModelInfo) -> str:
    has, most = model.context_tokens, model.max_context_tokens
    if has and most and most != has:
        return f"{has:,} of {most:,} tokens"
    return counted(has or most or 0, "token") if has or most else ""


def _abilities(model: ModelInfo) -> list[str]:
    can = [
        ("images", model.sees_images),
        ("tools", model.uses_tools),
        ("thinking", bool(model.reasoning_options)),
    ]
    return [word for word, is_able in can if is_able]


def _fit_words(fits: Fit, model: ModelInfo) -> str:
    if model.is_loaded:
        return "loaded"
    words = {
        Fit.FITS: "fits",
        Fit.CROWDED: "fits once another is unloaded",
        Fit.TOO_LARGE: "too large for the memory",
    }
    return words.get(fits, "")


def _option(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}"
