"""LM Studio as the application sees it: one back end, whatever stands behind it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.core.clock import Clock, within
from bot.core.domain import ChatEvent, ChatRequest, LoadOptions, ModelInfo, Stage, StageKind
from bot.core.errors import BackendError, ConfigurationError
from bot.core.ports import Capacity, LoadedModel, ServerState
from bot.lmstudio import downloads, errors, loading, memory
from bot.lmstudio.ahead import Piece, Reader
from bot.lmstudio.copies import Copies
from bot.lmstudio.downloads import Download
from bot.lmstudio.learned import Experience
from bot.lmstudio.memory import Fit
from bot.lmstudio.nodes import Fleet, Node
from bot.lmstudio.roster import Roster
from bot.lmstudio.run import Run
from bot.lmstudio.transport import (
    Lookup,
    Tls,
    make_tls,
    parse_endpoint,
    system_lookup,
    tokens_by_origin,
)
from config.settings import LMStudioSettings

_log = logging.getLogger(__name__)

WAKE_LOOK_S: Final = 5.0
"""Seconds for a new look at machines before they are woken by command; a local network knows in 3 that one is off."""

_AS_IT_LIKES: Final = LoadOptions()
LOOK_S: Final = 5.0
"""Seconds that a list of models is shown to everybody who asks for one."""


@dataclass(frozen=True, slots=True)
class Away:
    """A server that isn't asked at the moment, and what it had when it last answered.

    Attributes:
        number: Its number, from 1.
        is_drained: An owner has taken it out.
        failure: Why it can't be reached; ``None`` where it answers, but its answers have failed.
        models: As last read.
        read_at: When that was; ``None``: never since the start.
    """

    number: int
    is_drained: bool
    failure: type[errors.BackendUnavailableError] | None
    models: tuple[ModelInfo, ...]
    read_at: datetime | None


class LMStudioBackend:
    """A ``ChatBackend`` over one or more LM Studio servers. Made by ``open_backend``."""

    def __init__(self, clock: Clock, settings: LMStudioSettings, tls: Tls, lookup: Lookup) -> None:
        """Start without servers; ``open_backend`` adds them.

        Args:
            clock: Time.
            settings: Timeouts, retries, fallback model, as each request begins.
            tls: Trust for https.
            lookup: How names are resolved.
        """
        self._clock = clock
        self._settings = settings
        self._callbacks: list[Callable[[bool], None]] = []
        self._was_available: bool | None = None
        self._on_loads: list[Callable[[], None]] = []
        self._loads: dict[str, str] = {}
        self._fleet = Fleet(())
        self._downloading: Node | None = None
        self.roster = Roster(self._fleet, settings, clock, tls, lookup, self.note_change)

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

    def forget_words(self) -> None:
        """Forget what of people's words is remembered of the servers' caches."""
        self._fleet.forget_words()

    def loads(self) -> dict[str, str]:
        """Return the models in memory, each with what tells its load from another, without I/O."""
        return dict(self._loads)

    def on_loads(self, callback: Callable[[], None]) -> None:
        """Call back when ``loads`` changes, as ``on_availability`` does."""
        self._on_loads.append(callback)

    def experience(self, key: str) -> Experience:
        """Return what was learned of a model where it would be asked, to be kept over a restart."""
        node = self._fleet.choose(key, "", frozenset(), include_down=True)
        return Experience() if node is None else node.learned(node.key_of(key)).dump()

    def restore(self, key: str, saved: Experience) -> None:
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
            ServerState(
                is_up=node.is_up,
                circuit=node.circuit.state,
                in_flight=node.in_flight,
                slots=node.slots,
                number=node.index + 1,
                is_drained=node.is_drained,
                models=tuple(
                    LoadedModel(one.key, node.pace(one.key), len(one.instance_ids))
                    for one in node.loaded
                ),
            )
            for node in self._fleet.nodes
        )

    def away(self) -> tuple[Away, ...]:
        """Return the servers that aren't asked at the moment, without I/O."""
        return tuple(
            Away(
                number=node.index + 1,
                is_drained=node.is_drained,
                failure=node.failure,
                models=node.catalogue.models if node.catalogue is not None else (),
                read_at=node.read_at,
            )
            for node in self._fleet.nodes
            if not node.is_usable
        )

    def unlisted(self) -> type[BackendError] | None:
        """Return why no server that answers has told its models; ``None`` if one has, or none answers."""
        nodes = [node for node in self._fleet.nodes if node.is_usable]
        if any(node.catalogue is not None for node in nodes):
            return None
        return next(filter(None, (node.list_failure for node in nodes)), None)

    def next_server(self, key: str | None) -> int | None:
        """Return the number of the server that would answer a new conversation, without I/O."""
        node = self._fleet.choose(key, "", frozenset())
        return None if node is None else node.index + 1

    def is_available(self) -> bool:
        """Return whether a server is believed to answer, without I/O."""
        return self._fleet.is_available()

    def is_loading(self) -> bool:
        """Return whether no server answers only because the model is still being loaded."""
        return self._fleet.is_loading()

    async def wake_now(self) -> Stage | None:
        """As ``wake``, after a new look at those that answered: one may have fallen asleep since."""
        wakeable = [m.node for m in self.roster.members if m.waker is not None]
        looks = [node.refresh() for node in wakeable if not node.is_asleep]
        with suppress(TimeoutError):
            await within(self._clock, asyncio.gather(*looks), WAKE_LOOK_S)
        return self.wake()

    def wake(self) -> Stage | None:
        """Have the machines woken that don't answer; returns the stage where one can be woken."""
        members = self.roster.members
        asleep = [m.waker for m in members if m.waker is not None and m.node.is_asleep]
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

    async def load_model(self, key: str, options: LoadOptions = _AS_IT_LIKES) -> ModelInfo:
        """Load a model where it fits best; what is loaded as asked stays as it is.

        Args:
            key: Model key.
            options: How; a model that is loaded otherwise is loaded anew.

        Raises:
            BackendError: No server can load it.
        """
        return await loading.load(self._best(key), key, options, self._clock)

    def usual_load_s(self, key: str) -> float | None:
        """Return how long a model took to load the last time, in seconds, without I/O."""
        node = self._fleet.choose(key, "", frozenset())
        return None if node is None else node.learned(node.key_of(key)).load_s

    async def begin_download(self, model: str, quantisation: str | None) -> Download:
        """Have a model downloaded to the server that has the least to do.

        Raises:
            BackendError: It can't be.
        """
        self._downloading = self._best(None)
        return await downloads.begin(self._downloading, model, quantisation)

    async def look_at_download(self, job: str) -> Download:
        """Return how far a download is that was begun last.

        Raises:
            BackendError: That can't be told.
        """
        node = self._downloading or self._best(None)
        found = await downloads.look(node, job)
        if found.is_over:
            await node.refresh()
        return found

    def _best(self, key: str | None) -> Node:
        node = self._fleet.choose(key, "", frozenset())
        if node is None:
            raise errors.BackendUnavailableError
        return node

    def fit(self, key: str) -> Fit:
        """Return how a model stands to the memory of the machine where it fits best, without I/O."""
        found = [
            memory.fit(info, node.catalogue.models, self.memory_bytes)
            for node in self._fleet.nodes
            if node.catalogue is not None and (info := node.model(key)) is not None
        ]
        return next((one for one in (Fit.FITS, Fit.CROWDED) if one in found), None) or next(
            iter(found), Fit.UNKNOWN
        )

    def would_fit(self, key: str | None) -> tuple[ModelInfo, ...]:
        """Return models that take clearly less memory than another and fit, the largest first."""
        info = self.model(key)
        if info is None:
            return ()
        return tuple(memory.smaller(info, self.known_models(), self.memory_bytes))

    def variants(self, key: str) -> dict[str, tuple[ModelInfo, Fit]]:
        """Return a model's other quantisations by name, and whether they fit, as far as their sizes are known."""
        info, known = self.model(key), self.known_models()
        if info is None or not info.size_bytes:
            return {}
        found = memory.variants(info)
        return {one.key: (one, memory.fit(one, known, self.memory_bytes)) for one in found}

    @property
    def memory_bytes(self) -> int | None:
        """What a machine has for models, as the operator stated it."""
        stated = self._settings.memory_gib
        return None if stated is None else round(stated * 2**30)

    async def unload_model(self, key: str) -> None:
        """Unload a model from every server that has it loaded.

        Raises:
            NothingToUnloadError: None has.
            BackendError: A server can't.
        """
        if not await self.probe_now():
            raise errors.BackendUnavailableError
        holders = [n for n in self._fleet.nodes if (m := n.model(key)) is not None and m.is_loaded]
        if not holders:
            raise errors.NothingToUnloadError
        for node in holders:
            await loading.unload(node, key)

    def copies(self, stored: object) -> Copies:
        """Return what loads further copies of a model, with those of an earlier run."""
        copies = Copies(
            self._fleet, self._clock, self._settings.extra_copies, lambda: self.memory_bytes
        )
        copies.restore(stored)
        return copies

    async def unload_all(self) -> None:
        """Unload whatever is loaded on servers that do nothing; what fails is left."""
        for node in self._fleet.nodes:
            if node.is_drained or not node.is_usable or not node.idle.is_set():
                continue
            for info in node.catalogue.models if node.catalogue is not None else ():
                if info.is_loaded:
                    _log.info("nobody has asked for long: unloading %s", info.key)
                    with suppress(BackendError):
                        await loading.unload(node, info.key)

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
    if not any(text.strip() for text in settings.base_url):
        raise ConfigurationError("LMSTUDIO_BASE_URL is empty.")
    tls = make_tls(settings.ca_file, settings.certificate_sha256)
    origins = {parse_endpoint(text).origin for text in settings.base_url}
    tokens = tokens_by_origin(settings.base_url, settings.api_tokens)
    if len(settings.api_tokens) == 1 and origins - set(tokens):
        _log.warning(
            "LMSTUDIO_API_TOKEN holds one token, which goes to the first address only; "
            "write one for each address, separated by commas"
        )
    backend = LMStudioBackend(clock, settings, tls, lookup)
    try:
        backend.roster.follow()
        yield backend
    finally:
        await backend.roster.close()
