"""The servers: what each has loaded, how busy it is, what was learned of its models, and which to ask."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final

from bot.core.clock import Clock, within
from bot.core.domain import ChatTurn, ModelInfo
from bot.core.errors import BackendError
from bot.core.ports import Capacity
from bot.core.recent import Recent
from bot.lmstudio import errors
from bot.lmstudio.catalogue import Catalogue, Instance, fetch_catalogue, name_to_send, works_now
from bot.lmstudio.learned import Cause, Circuit, LearnedCapabilities, Read, Warmth
from bot.lmstudio.transport import Transport

_log = logging.getLogger(__name__)

FIRST_BACKOFF_S: Final = 1.0
LONGEST_BACKOFF_S: Final = 30.0
_JITTER: Final = 0.2


async def watch_server(
    probe: Callable[[], Awaitable[bool]], clock: Clock, interval_s: float, look_again: asyncio.Event
) -> None:
    """Probe for ever: at the interval while it answers, backed off from 1 s to 30 s while not.

    Args:
        probe: Returns whether the server answers; bounds itself.
        clock: Time.
        interval_s: Seconds between probes of a server that answers.
        look_again: Set by whoever waits for the server: begins the backing off anew.
    """
    backoff_s = FIRST_BACKOFF_S
    while True:
        delay_s = interval_s
        if await _answers(probe):
            backoff_s = FIRST_BACKOFF_S
        else:
            delay_s = backoff_s * (1 + _JITTER * random.random())  # noqa: S311 - jitter
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)
        look_again.clear()
        with contextlib.suppress(TimeoutError):
            await within(clock, look_again.wait(), delay_s)
            backoff_s = FIRST_BACKOFF_S


async def _answers(probe: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await probe()
    except Exception:  # noqa: BLE001 - the seam of the loop: without it a server is lost for good
        _log.exception("looking at a server failed")
        return False


_MAX_LEARNED: Final = 64
_LEAST_WRITTEN: Final = 16
_FASTEST: Final = 100_000.0
_NEWEST_COUNTS: Final = 0.3
LEFT_LOAD_S: Final = 60.0
"""Seconds that a load which nobody waits for any more counts as going on, or twice as long as it took last."""
LOAD_PAUSE_S: Final = 60.0
"""Seconds that a model which can't be loaded is left alone; doubled each time."""

_MAY_BE_SHARED: Final = (
    errors.ModelCrashedError,
    errors.ComputeError,
    errors.ServerFaultError,
    errors.FirstTokenTimeoutError,
    errors.StalledError,
    errors.ChannelError,
)
"""Failures that are the server's where several different questions meet them."""


def load_of(model: ModelInfo) -> tuple[object, ...]:
    """Return what tells one load of a model from another, as the list has it."""
    return model.size_bytes, model.context_tokens, model.parallel, model.reasoning_options


class Node:
    """One server.

    Attributes:
        index: Its place in the settings, from 0.
        transport: Its connections.
        circuit: Pauses a server that keeps failing.
        is_up: It answered the last time; ``None`` before the first probe ended.
        failure: Why it couldn't be reached the last time; ``None`` while it answers.
        catalogue: Its models as last read; ``None`` before.
        read_at: When that was.
        loading: Models being loaded; the event is set when that is over.
        began_at: When their loads began.
        idle: Set while nothing runs here.
        alone: Held by a question that needs the shared context for itself.
        refused_names: Names with a quantisation that isn't there.
        is_drained: Taken out by an owner: what runs there ends, and nothing begins.
    """

    def __init__(
        self,
        index: int,
        transport: Transport,
        clock: Clock,
        on_change: Callable[[], None],
        on_loading: Callable[[], None] = lambda: None,
    ) -> None:
        """Start unknown.

        Args:
            index: Its place in the settings.
            transport: Its connections.
            clock: Time.
            on_change: Called when availability may have changed.
            on_loading: Called when a load begins, and when it is over.
        """
        self.index = index
        self.transport = transport
        self.circuit = Circuit(clock)
        self.is_up: bool | None = None
        self.failure: type[errors.BackendUnavailableError] | None = None
        self.list_failure: type[BackendError] | None = None
        self.catalogue: Catalogue | None = None
        self.read_at: datetime | None = None
        self.loading: dict[str, asyncio.Event] = {}
        self.began_at: dict[str, datetime] = {}
        self.idle = asyncio.Event()
        self.idle.set()
        self._clock = clock
        self._on_change = on_change
        self._on_loading = on_loading
        self._left_loads: dict[str, tuple[float, Callable[[], None]]] = {}
        self._learned: Recent[str, LearnedCapabilities] = Recent(_MAX_LEARNED)
        self._in_flight: Counter[str] = Counter()
        self.alone = asyncio.Lock()
        self._refreshing = asyncio.Lock()
        self._looked_at_s = -math.inf
        self._times_read = 0
        self._look_again = asyncio.Event()
        self._told_near: set[str] = set()
        self._loads: Counter[str] = Counter()
        self._loaded_as: Recent[str, tuple[object, ...]] = Recent(_MAX_LEARNED)
        self.refused_names: set[str] = set()
        self.is_drained = False
        self._pace: Recent[str, float] = Recent(_MAX_LEARNED)

    @property
    def is_loading(self) -> bool:
        """Whether it said at its last look that it can't answer until its model is loaded."""
        return self.failure is not None and issubclass(self.failure, errors.StillLoadingError)

    @property
    def in_flight(self) -> int:
        """Requests running here."""
        return self._in_flight.total()

    def runs(self, name: str) -> int:
        """Return how many requests run that named a copy so."""
        return self._in_flight[name]

    @property
    def is_usable(self) -> bool:
        """Whether asking makes sense: not taken out or known to be down, and the circuit allows it."""
        is_there = not self.is_drained and self.is_up is not False
        return is_there and (self.circuit.open_until_s is None or self.circuit.state != "open")

    @property
    def slots(self) -> int:
        """Predictions that its loaded models run at once; 1 where not said."""
        parallel = [one.parallel for one in self.instances]
        if len(parallel) > 1 and self.catalogue is not None and not self.catalogue.tells_loaded:
            return max(parallel)  # names of one engine, or of what may be loaded
        return max(1, sum(parallel))

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Its loaded copies of models."""
        return self.catalogue.instances if self.catalogue else ()

    @property
    def loaded(self) -> list[ModelInfo]:
        """Its models in memory, where the server says which these are."""
        if self.catalogue is None or not self.catalogue.tells_loaded:
            return []
        return [model for model in self.catalogue.models if model.is_loaded]

    @property
    def is_asleep(self) -> bool:
        """Whether its machine may have to be woken: it is wanted, and doesn't answer."""
        return not self.is_drained and not self.is_usable

    @property
    def can_load(self) -> bool:
        """Whether it has the native API that loads models."""
        return self.catalogue is not None and self.catalogue.is_native

    def learned(self, key: str | None) -> LearnedCapabilities:
        """Return what is known of a model by experience."""
        name = key or ""
        known = self._learned.get(name)
        learned = known or LearnedCapabilities(Circuit(self._clock, LOAD_PAUSE_S))
        self._learned[name] = learned  # the latest one now
        return learned

    def model(self, name: str | None) -> ModelInfo | None:
        """Return a model as listed, with the context limit that experience taught."""
        listed = self.catalogue
        info = (listed.by_name.get(name) or listed.find(name)) if listed else None
        if info is None:
            return None
        learned = self._learned.get(info.key)
        if learned is None:
            return info
        if learned.is_blind:
            info = replace(info, sees_images=False)
        limit = learned.context_tokens
        if limit is not None and limit < (info.context_tokens or limit + 1):
            info = replace(info, context_tokens=limit)
        return info

    def key_of(self, name: str | None) -> str | None:
        """Return the key that a model is listed by, or else the name itself."""
        info = self.model(name)
        return name if info is None else info.key

    def has_loaded(self, name: str | None) -> bool:
        """Return whether a model is loaded, as far as the server says so at all."""
        info = self.model(name)
        return info is None or info.is_loaded

    def is_first_near(self, name: str) -> bool:
        """Return whether this name was matched to a model that is listed a little otherwise.

        Only once for each name, so that it can be said once.
        """
        info = self.catalogue.find(name) if self.catalogue else None
        if info is None or name in self._told_near or len(self._told_near) >= _MAX_LEARNED:
            return False
        sent = name_to_send(info, None if name in self.refused_names else name, None)
        is_listed_so = name.startswith((info.key, *info.instance_ids))
        if is_listed_so and name.casefold() == sent.casefold():
            return False
        self._told_near.add(name)
        return True

    def fitting(self, name: str | None) -> list[ModelInfo]:
        """Return the models that a name may mean; none where no name is given."""
        return self.catalogue.fitting(name) if self.catalogue and name is not None else []

    def refuse_name(self, name: str) -> None:
        """Name a model otherwise from here on: this name was refused though the model is listed."""
        if len(self.refused_names) < _MAX_LEARNED:
            self.refused_names.add(name)

    def instance(self, key: str, preferred: str | None) -> Instance | None:
        """Return the copy of a model to use: the preferred if it has room, or the least busy."""
        copies = [one for one in self.instances if one.key == key]
        for copy in copies:
            if copy.id == preferred and self._in_flight[copy.id] < copy.parallel:
                return copy
        return min(copies, key=lambda c: self._in_flight[c.id] / c.parallel, default=None)

    def begin_loading(
        self, key: str, before: datetime | None = None, *, is_others: bool = False
    ) -> Callable[[], None]:
        """Note that a model is being loaded; what is returned is to be called when that is over.

        Args:
            key: The model.
            before: When an earlier run began it: then it tells nothing of how long a load takes.
            is_others: Another process is at it, and says itself when that is over.
        """
        over = self.loading[key] = asyncio.Event()
        began_s = self._clock.monotonic()
        if not is_others:
            self.began_at[key] = before or self._clock.now()
        self._on_loading()

        def end() -> None:
            if over.is_set():
                return
            if self.loading.get(key) is over:
                del self.loading[key]
                self.began_at.pop(key, None)
            over.set()
            self._on_loading()
            info = self.model(key)
            if before is None and info is not None and info.is_loaded:
                self.learned(key).load_s = self._clock.monotonic() - began_s

        return end

    def take_up_load(
        self, key: str, began_at: datetime, usual_s: float | None, *, is_others: bool
    ) -> None:
        """Count a load as going on that an earlier run or another process began, as one that nobody waits for any more."""
        self._leave_load(key, self.begin_loading(key, began_at, is_others=is_others), usual_s)

    def end_others_load(self, key: str) -> None:
        """Believe a load that was taken up to be over as soon as the list has been read again."""
        if key in self._left_loads:
            self._left_loads[key] = self._clock.monotonic(), self._left_loads[key][1]
            self.look_again()

    def _leave_load(self, key: str, end: Callable[[], None], usual_s: float | None) -> None:
        lasts_s = max(LEFT_LOAD_S, 2 * (usual_s or 0.0))
        self._left_loads[key] = self._clock.monotonic() + lasts_s, end
        self.look_again()

    @contextmanager
    def while_loading(self, key: str) -> Iterator[Callable[[], None]]:
        """Count a model as being loaded until the block ends, or what it gets is called.

        A server may go on loading after its client has left, and a second request would then make a second
        copy. So a load that nobody waits for any more counts as going on until the list shows the model; one
        that did stop shows nothing, and is believed after a while.
        """
        end = self.begin_loading(key)
        try:
            yield end
        except (asyncio.CancelledError, GeneratorExit):
            self._leave_load(key, end, self.learned(key).load_s)
            raise
        except BaseException:
            end()
            raise
        end()

    def _end_left_loads(self) -> None:
        now_s = self._clock.monotonic()
        for key, (until_s, end) in tuple(self._left_loads.items()):
            if self.has_loaded(key) or self.is_up is False or now_s >= until_s:
                del self._left_loads[key]
                end()

    def copy(self, instance: str) -> tuple[int, str, int]:
        """Return what stands for a copy of a model, as long as it stays loaded."""
        key = next((one.key for one in self.instances if one.id == instance), instance)
        return self.index, instance, self._loads[key]

    @contextmanager
    def running(self, name: str, cause: Cause | None) -> Iterator[None]:
        """Count a request while it runs, and note how it failed; ``None`` for no question's."""
        self._in_flight[name] += 1
        self.idle.clear()
        self.circuit.begin()
        try:
            yield
        except BackendError as exc:
            self.note_failure(exc, cause)
            raise
        finally:
            self._in_flight[name] -= 1
            if not self._in_flight[name]:
                del self._in_flight[name]
            if not self._in_flight:
                self.idle.set()
            self.circuit.end()

    def note_pace(self, key: str | None, tokens: int, took_s: float) -> None:
        """Note how fast a model wrote an answer; short ones say nothing.

        Args:
            key: The model.
            tokens: Written.
            took_s: From the first of them to the end, in seconds.
        """
        if tokens < _LEAST_WRITTEN or took_s <= 0:
            return
        name, measured = key or "", min(tokens / took_s, _FASTEST)
        before = self._pace.get(name, measured)
        self._pace[name] = before + (measured - before) * _NEWEST_COUNTS

    def pace(self, key: str | None) -> float | None:
        """Return how many tokens a second an answer of a model has lately; ``None`` if unknown."""
        return self._pace.get(key or "")

    def note_success(self, key: str | None) -> None:
        """Note an answer."""
        self.circuit.succeed()
        learned = self.learned(key)
        learned.load.succeed()
        learned.load_error = None
        self._set_up(is_up=True)

    def note_failure(self, error: BackendError, cause: Cause | None = None) -> None:
        """Note a failure of a request.

        Args:
            error: What happened.
            cause: The question whose request it was, if one was.
        """
        if isinstance(error, errors.BackendUnavailableError):
            self.failure = type(error)
            self._set_up(is_up=False)
        elif cause is not None and isinstance(error, _MAY_BE_SHARED):
            self.circuit.fail(cause)
            self._on_change()

    async def refresh(self, max_age_s: float = 0.0) -> bool:
        """Read the list of models again; one at a time.

        Args:
            max_age_s: A look that ended so few seconds ago counts as this one.

        Returns:
            Whether the server answers.
        """
        async with self._refreshing:
            if self._clock.monotonic() - self._looked_at_s < max_age_s:
                return self.is_up is not False
            answers = await self._look()
            self._looked_at_s = self._clock.monotonic()
            self._end_left_loads()
            return answers

    async def look_strictly(self) -> None:
        """Read the list of models of a server that isn't in use yet.

        Raises:
            BackendError: It can't be had.
        """
        self._learn(await fetch_catalogue(self.transport))
        self._set_up(is_up=True)

    async def lists_as_loaded(self, name: str | None) -> bool:
        """Return whether the server says that a model is in memory; not what it said before."""
        before = self._times_read
        await self.refresh()
        info = self.model(name)
        return self._times_read > before and info is not None and info.is_loaded

    async def _look(self) -> bool:
        try:
            source = self.catalogue.source if self.catalogue and self.is_up else 0
            catalogue = await fetch_catalogue(self.transport, source)
        except errors.BackendUnavailableError as exc:
            self.failure = type(exc)
            self._set_up(is_up=False)
            return False
        except BackendError as exc:
            self.list_failure = type(exc)
            self._set_up(is_up=True)
            return True
        self._learn(catalogue)
        self._times_read += 1
        self._set_up(is_up=True)
        return True

    async def is_working(self, max_age_s: float) -> bool:
        """Return whether it is out of reach, or says that it works for somebody at this moment.

        Args:
            max_age_s: How old the list of what is loaded may be.
        """
        if not await self.refresh(max_age_s):
            return True
        tells = self.catalogue is not None and self.catalogue.tells_work
        return tells and await works_now(self.transport)

    async def watch(self, interval_s: float) -> None:
        """Probe for ever."""
        await watch_server(self.refresh, self._clock, interval_s, self._look_again)

    def look_again(self) -> None:
        """Probe soon, and often again, because somebody waits."""
        self._look_again.set()

    def _learn(self, catalogue: Catalogue) -> None:
        """Take a new list; a model loaded anew makes void what was learned of its last load."""
        for model in catalogue.models:
            self._forget_other_load(model)
            before = self.catalogue.find(model.key) if self.catalogue else None
            if before is None or not model.is_loaded:
                continue
            if before.is_loaded and load_of(before) == load_of(model):
                continue
            self._loads[model.key] += 1
            learned = self.learned(model.key)
            learned.cache_misses = 0
            if before.context_tokens != model.context_tokens:
                learned.context_tokens = None
            if not before.is_loaded:
                learned.load.succeed()
        if self.catalogue is None or self.catalogue.models != catalogue.models:
            self.refused_names.clear()
        self.catalogue, self.read_at = catalogue, self._clock.now()

    def _forget_other_load(self, model: ModelInfo) -> None:
        """Forget what was learned of a model that is loaded otherwise than when it was last."""
        if not model.is_loaded:
            return
        load = load_of(model)
        learned = self._learned.get(model.key)
        if learned is not None and self._loaded_as.get(model.key, load) != load:
            self._learned[model.key] = LearnedCapabilities(learned.load, load_s=learned.load_s)
        self._loaded_as[model.key] = load

    def _set_up(self, *, is_up: bool) -> None:
        if is_up:
            self.failure = None
        if self.is_up is not is_up:
            away = "doesn't answer; clawbot check and /diag network say why"
            if self.is_loading:
                away = "is still loading its model"
            level, state = (logging.INFO, "answers") if is_up else (logging.WARNING, away)
            _log.log(level, "LM Studio (address %d) %s", self.index + 1, state)
            self.is_up = is_up
            self._loads.update(self._learned.keys())  # whatever its slots held may be gone
        self._on_change()


class Fleet:
    """All servers, and which of them keeps which conversation warm."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Take the servers in the order of the settings."""
        self.nodes = tuple(nodes)
        """In the order of the settings, then those added while running."""
        self._warmth = Warmth()

    def choose(
        self,
        model: str | None,
        conversation_key: str,
        excluded: frozenset[int],
        *,
        include_down: bool = False,
    ) -> Node | None:
        """Return the best server for a request; ``None`` if none may be asked.

        First those that have the model loaded, then those that list it; among these the one that
        has the conversation warm, if it has a free slot, then one with a free slot, and the one that does
        the least for its measured speed.

        Args:
            model: Model key; ``None`` for whichever is loaded.
            conversation_key: Prefers the server that answered it last.
            excluded: Servers that failed already.
            include_down: Where no server looks usable, take one that was found down.
        """
        candidates = self._candidates(excluded)
        if not candidates and include_down:
            candidates = self._candidates(excluded, include_down=True)
        home = self._warmth.home(conversation_key)

        infos = {node.index: node.model(model) for node in candidates}
        paces = {n.index: n.pace(i.key if (i := infos[n.index]) else model) for n in candidates}
        known = [pace for pace in paces.values() if pace is not None]
        usual = sum(known) / len(known) if known else 1.0
        itself = 1 if known else 0  # with a measured speed, how fast it would be there counts

        def rank(node: Node) -> tuple[int, bool, bool, float, int]:
            info = infos[node.index]
            fit = 2 if info is None else int(not info.is_loaded)
            if info is not None and not node.learned(info.key).load.allows:
                fit = 3
            is_home = home is not None and node.index == home[0]
            is_warm = is_home and node.in_flight < node.slots
            share = (node.in_flight + itself) / (node.slots * (paces[node.index] or usual))
            return fit, not is_warm, node.in_flight >= node.slots, share, node.index

        return min(candidates, key=rank, default=None)

    def has_others(self, excluded: frozenset[int]) -> bool:
        """Return whether a server may be asked that hasn't failed already."""
        return bool(self._candidates(excluded))

    def _candidates(self, excluded: frozenset[int], *, include_down: bool = False) -> list[Node]:
        return [
            node
            for node in self.nodes
            if node.index not in excluded
            and not node.is_drained
            and (node.is_usable or include_down)
            and node.circuit.allows
        ]

    def home(self, conversation_key: str, node: Node) -> str | None:
        """Return the copy on this server that a conversation was answered by last."""
        home = self._warmth.home(conversation_key)
        return home[1] if home is not None and home[0] == node.index else None

    def fresh_share(self, node: Node, instance: str, turns: Sequence[ChatTurn]) -> float:
        """Return the part of a prompt that a copy must read, from 0 to 1."""
        return self._warmth.fresh_share(node.copy(instance), turns)

    def ahead(
        self, conversation_key: str, node: Node, instance: str, turns: Sequence[ChatTurn]
    ) -> tuple[int, int]:
        """Return how much of a prompt its first piece would find, and how long that must be."""
        return self._warmth.ahead(conversation_key, node.copy(instance), turns)

    def note_warm(self, conversation_key: str, node: Node, instance: str, read: Read) -> None:
        """Remember where a conversation was answered, and what its model read of it."""
        parallel = next((one.parallel for one in node.instances if one.id == instance), 1)
        self._warmth.note(conversation_key, node.copy(instance), read, parallel)

    def forget_words(self) -> None:
        """Forget what of people's words the servers' slots hold."""
        self._warmth.forget_words()

    def loads(self) -> dict[str, str]:
        """Return the models in memory, each with what tells its load from another."""
        found: dict[str, str] = {}
        for node in self._available():
            for info in node.catalogue.models if node.catalogue else ():
                if info.is_loaded and info.context_tokens is not None:
                    found.setdefault(info.key, repr(load_of(info)))
        return found

    def model(self, key: str | None) -> ModelInfo | None:
        """Return what is known of a model: where it is loaded, if it is anywhere."""
        found = [info for node in self._available() if (info := node.model(key)) is not None]
        return next((info for info in found if info.is_loaded), found[0] if found else None)

    def capacity(self) -> Capacity:
        """Return slots and shared tokens over all available servers."""
        nodes = self._available()
        slots = sum(node.slots for node in nodes)
        slots += sum(node.in_flight for node in self.nodes if node.is_drained)
        pools = [instance.pool_tokens for node in nodes for instance in node.instances]
        known = [tokens for tokens in pools if tokens is not None]
        return Capacity(max(1, slots), sum(known) if known and len(known) == len(pools) else None)

    def is_available(self) -> bool:
        """Return whether any server is believed to answer."""
        return any(node.is_usable for node in self.nodes)

    def is_loading(self) -> bool:
        """Return whether no server answers, but one will once its model is loaded."""
        return not self.is_available() and any(
            node.is_up is False and node.is_loading for node in self.nodes
        )

    def look_again(self) -> None:
        """Probe all servers soon, because somebody waits."""
        for node in self.nodes:
            node.look_again()

    def _available(self) -> list[Node]:
        return [node for node in self.nodes if node.is_usable]
