"""LM Studio as the application sees it: one back end, whatever stands behind it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import ChatEvent, ChatRequest, ModelInfo, Stage, StageKind
from bot.core.errors import ConfigurationError
from bot.core.ports import Capacity, ServerState
from bot.core.tasks import end_tasks
from bot.lmstudio import errors, loading
from bot.lmstudio.ahead import Piece, Reader
from bot.lmstudio.nodes import Fleet, Node
from bot.lmstudio.run import Run
from bot.lmstudio.transport import (
    Lookup,
    PinnedResolver,
    Transport,
    make_tls,
    parse_endpoint,
    system_lookup,
    tokens_by_origin,
)
from bot.lmstudio.wake import Waker
from config.addresses import wake_target
from config.settings import LMStudioSettings

_log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""Seconds that a list of models is shown to everybody who asks for one."""


class LMStudioBackend:
    """A ``ChatBackend`` over one or more LM Studio servers. Made by ``open_backend``."""

    def __init__(self, clock: Clock, settings: LMStudioSettings) -> None:
        """Start without servers; ``open_backend`` adds them.

        Args:
            clock: Time.
            settings: Timeouts, retries, fallback model, as each request begins.
        """
        self._clock = clock
        self._settings = settings
        self._callbacks: list[Callable[[bool], None]] = []
        self._was_available: bool | None = None
        self._on_loads: list[Callable[[], None]] = []
        self._loads: dict[str, str] = {}
        self._fleet = Fleet(())
        self._wakers: Sequence[tuple[Node, Waker]] = ()

    def attach(self, nodes: list[Node], wakers: Sequence[tuple[Node, Waker]] = ()) -> None:
        """Take the servers, and what wakes those that sleep."""
        self._fleet = Fleet(nodes)
        self._wakers = wakers

    def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        """Answer one request; ends with ``Completed``.

        ``aclose()`` closes the connection at once, which stops the model.

        Raises:
            BackendError: There is no answer to be had; ``BackendUnavailableError`` when no server
                can be reached.
        """
        return Run(self._fleet, self._clock, self._settings, request).events()

    async def read_ahead(self, request: ChatRequest) -> Piece | None:
        """Read a piece of a prompt that will be asked, where its model is loaded and has nothing to do.

        Args:
            request: The prompt as it will begin, ending with an answer, or the persona alone.

        Returns:
            ``None`` where there is nothing to read, or nobody to read it.

        Raises:
            BackendError: It failed.
        """
        return await Reader(self._fleet, self._clock).read(request)

    def loads(self) -> dict[str, str]:
        """Return the models in memory, each with what tells its load from another, without I/O."""
        return dict(self._loads)

    def on_loads(self, callback: Callable[[], None]) -> None:
        """Call back when ``loads`` changes, as ``on_availability`` does."""
        self._on_loads.append(callback)

    def experience(self, key: str) -> dict[str, object]:
        """Return what was learned of a model where it would be asked, to be kept over a restart."""
        node = self._fleet.choose(key, "", frozenset(), include_down=True)
        return {} if node is None else node.learned(node.key_of(key)).dump()

    def restore(self, key: str, saved: dict[str, object]) -> None:
        """Take what ``experience`` returned in an earlier run, for a model that is loaded as it was."""
        for node in self._fleet.nodes:
            if node.catalogue is not None and node.has_loaded(key):
                node.learned(node.key_of(key)).restore(saved)

    def model(self, key: str | None) -> ModelInfo | None:
        """Return what is known of a model (of the one that ``None`` would use) without I/O."""
        return self._fleet.model(key)

    def fitting(self, name: str) -> tuple[str, ...]:
        """Return the keys of the listed models that a name may mean, without I/O."""
        found = (info for node in self._fleet.nodes for info in node.fitting(name))
        return tuple(dict.fromkeys(info.key for info in found))

    def capacity(self) -> Capacity:
        """Return how much can run at once, as last read from the servers, without I/O."""
        return self._fleet.capacity()

    def servers(self) -> tuple[ServerState, ...]:
        """Return how each server does, in the order of the settings, without I/O."""
        return tuple(
            ServerState(node.is_up, node.circuit.state, node.in_flight, node.slots)
            for node in self._fleet.nodes
        )

    def is_available(self) -> bool:
        """Return whether a server is believed to answer, without I/O."""
        return self._fleet.is_available()

    def is_loading(self) -> bool:
        """Return whether no server answers only because the model is still being loaded."""
        return self._fleet.is_loading()

    def wake(self) -> Stage | None:
        """Have the machines woken that don't answer; returns the stage where one can be woken."""
        asleep = [waker for node, waker in self._wakers if not node.is_usable]
        for waker in asleep:
            waker.wake()
        times = [waker.usual_s for waker in asleep if waker.usual_s is not None]
        return Stage(StageKind.WAKING, expected_wait_s=min(times, default=None)) if asleep else None

    def on_availability(self, callback: Callable[[bool], None]) -> None:
        """Call back with the new value whenever ``is_available`` changes.

        The callback runs on the event loop, must not block and must not raise.
        """
        self._callbacks.append(callback)

    async def probe_now(self, max_age_s: float = 0.0) -> bool:
        """Ask every server now; return whether any answers.

        Args:
            max_age_s: A server that was asked so few seconds ago isn't asked again.
        """
        await asyncio.gather(*(node.refresh(max_age_s) for node in self._fleet.nodes))
        return self.is_available()

    async def list_models(self) -> tuple[ModelInfo, ...]:
        """Read all servers' chat models again; each model once, loaded ones first.

        Whoever asks within ``LOOK_S`` gets what the others saw.

        Raises:
            BackendUnavailableError: No server answers.
        """
        if not await self.probe_now(LOOK_S):
            raise errors.BackendUnavailableError
        return self.known_models()

    def known_models(self) -> tuple[ModelInfo, ...]:
        """Return the chat models as last read, without I/O; each once, loaded ones first."""
        found: dict[str, ModelInfo] = {}
        for node in self._fleet.nodes:
            for listed in node.catalogue.models if node.is_usable and node.catalogue else ():
                model = node.model(listed.key) or listed
                if listed.key not in found or (model.is_loaded and not found[listed.key].is_loaded):
                    found[listed.key] = model
        return tuple(sorted(found.values(), key=lambda model: (not model.is_loaded, model.key)))

    async def load_model(
        self,
        key: str,
        context_length: int | None = None,
        eval_batch_size: int | None = None,
        flash_attention: bool | None = None,
    ) -> ModelInfo:
        """Load a model where it fits best; what is loaded as asked stays as it is.

        Args:
            key: Model key.
            context_length: Tokens; a loaded model with another length is loaded anew.
            eval_batch_size: Prompt tokens computed at once.
            flash_attention: Use it.

        Raises:
            BackendError: No server can load it.
        """
        node = self._fleet.choose(key, "", frozenset())
        if node is None:
            raise errors.BackendUnavailableError
        options = loading.LoadOptions(context_length, eval_batch_size, flash_attention)
        return await loading.load(node, key, options)

    async def unload_model(self, key: str) -> None:
        """Unload a model from every server that has it loaded.

        Raises:
            ModelNotFoundError: None has.
            BackendError: A server can't.
        """
        if not await self.probe_now():
            raise errors.BackendUnavailableError
        holders = [n for n in self._fleet.nodes if (m := n.model(key)) is not None and m.is_loaded]
        if not holders:
            raise errors.ModelNotFoundError
        for node in holders:
            await loading.unload(node, key)

    def note_change(self) -> None:
        """Tell the callbacks when availability, or what is loaded, has changed; called by the servers."""
        if (loads := self._fleet.loads()) != self._loads:
            self._loads = loads
            for tell in tuple(self._on_loads):
                tell()
        available = self._fleet.is_available()
        if available is self._was_available:
            return
        self._was_available = available
        for callback in tuple(self._callbacks):
            callback(available)


@asynccontextmanager
async def open_backend(
    settings: LMStudioSettings, clock: Clock, *, lookup: Lookup = system_lookup
) -> AsyncIterator[LMStudioBackend]:
    """Open the back end; needs no server that answers, but starts to look for one.

    Args:
        settings: Addresses, token, trust, timeouts.
        clock: Time.
        lookup: How names are resolved.

    Raises:
        ConfigurationError: An address, the CA file or the fingerprint is wrong.
    """
    endpoints = [parse_endpoint(text) for text in settings.base_url if text.strip()]
    if not endpoints:
        raise ConfigurationError("LMSTUDIO_BASE_URL is empty.")
    tls = make_tls(settings.ca_file, settings.certificate_sha256)
    tokens = tokens_by_origin(settings.base_url, settings.api_tokens)
    if len(settings.api_tokens) == 1 and len({each.origin for each in endpoints} - set(tokens)):
        _log.warning(
            "LMSTUDIO_API_TOKEN holds one token, which goes to the first address only; "
            "write one for each address, separated by commas"
        )
    backend = LMStudioBackend(clock, settings)
    async with AsyncExitStack() as stack:
        nodes = []
        for index, endpoint in enumerate(dict.fromkeys(endpoints)):
            resolver = PinnedResolver(endpoint.host, lookup)
            transport = Transport(
                endpoint, clock, resolver, token=tokens.get(endpoint.origin), tls=tls
            )
            stack.push_async_callback(transport.aclose)
            nodes.append(Node(index, transport, clock, backend.note_change))
        wakers = _wakers(nodes, settings, clock)
        for _, waker in wakers:
            stack.push_async_callback(waker.close)
        backend.attach(nodes, wakers)
        probes = [asyncio.create_task(n.watch(settings.health_interval_s)) for n in nodes]
        stack.push_async_callback(end_tasks, *probes)
        yield backend


def _wakers(
    nodes: Sequence[Node], settings: LMStudioSettings, clock: Clock
) -> list[tuple[Node, Waker]]:
    """Make what wakes the machines that have a network card's address in the settings."""
    wakers = []
    for node, text in zip(nodes, settings.wake, strict=False):
        target = wake_target(text)
        if target.mac:
            wakers.append((node, Waker(target, clock, partial(_is_up, node), node.look_again)))
    return wakers


def _is_up(node: Node) -> bool:
    return node.is_up is True
