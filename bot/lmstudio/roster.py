"""Which servers there are while the bot runs: those of the settings, and those that owners added."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from bot.core.clock import Clock
from bot.core.errors import BackendError
from bot.core.tasks import TaskOwner, end_tasks
from bot.lmstudio import networks
from bot.lmstudio.loading import LOAD_LIMIT_S
from bot.lmstudio.networks import EndpointError
from bot.lmstudio.nodes import Fleet, Node
from bot.lmstudio.transport import (
    Endpoint,
    Lookup,
    PinnedResolver,
    Tls,
    Transport,
    parse_endpoint,
    tokens_by_origin,
)
from bot.lmstudio.wake import Waker
from config.addresses import WakeTarget
from config.settings import LMStudioSettings

_log = logging.getLogger(__name__)

MOST_ADDED: Final = 16
SERVERS: Final = "lmstudio_servers"
"""State: the addresses of servers that owners added, and of those that were taken out."""

WAKE_TIMES: Final = "wake_times"
"""State: how long the machines took to wake, by their servers' addresses."""

LOADS: Final = "loads"
"""State: which models were being loaded where, since when, and how long each usually takes."""

LEAVING_S: Final = 7200.0
"""Longest time that answers go on at a server that was removed, in seconds."""

Saved = dict[str, list[str]]
"""The addresses of servers, ``added`` and ``drained``."""

Load = tuple[str, str, float, float | None]
"""A load that goes on: where, of which model, since when, and how long it usually takes, in seconds."""

_OWN_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

ALREADY: Final = "I use that server already."
FULL: Final = f"I use {MOST_ADDED} added servers already. Remove one with /model endpoint remove."
IN_SETTINGS: Final = (
    "That server stands in LMSTUDIO_BASE_URL, so only the settings file can remove it. "
    "/model drain takes it out until /model undrain."
)


@dataclass(frozen=True, slots=True)
class Member:
    """A server in use.

    Attributes:
        node: The server.
        endpoint: Its address.
        is_added: By command, not in the settings.
        waker: Wakes its machine, where the settings say how.
        stack: Closes what it has open.
    """

    node: Node
    endpoint: Endpoint
    is_added: bool
    waker: Waker | None
    stack: AsyncExitStack


class Roster:
    """Opens and closes servers; the fleet always lists those in use.

    Args:
        fleet: Who is asked.
        settings: As they are whenever they are looked at.
        clock: Time.
        tls: Trust for https.
        lookup: How names are resolved.
        on_change: Called when what the servers can do may have changed.

    Attributes:
        can_wake: Set while the settings say of a machine how it is woken.
    """

    def __init__(
        self,
        fleet: Fleet,
        settings: LMStudioSettings,
        clock: Clock,
        tls: Tls,
        lookup: Lookup,
        on_change: Callable[[], None],
    ) -> None:
        self._fleet = fleet
        self._settings = settings
        self._clock = clock
        self._tls = tls
        self._lookup = lookup
        self._on_change = on_change
        self._on_loading: Callable[[], None] = lambda: None
        self._members: dict[str, Member] = {}
        self._noted: frozenset[tuple[str, str]] = frozenset()
        self._taken_up: set[tuple[str, str, float]] = set()
        self._number = 0
        self._leaving = TaskOwner()
        self._left: list[Member] = []
        self._changing = asyncio.Lock()
        self.can_wake = asyncio.Event()

    @property
    def members(self) -> tuple[Member, ...]:
        """The servers in use, those of the settings first."""
        return tuple(sorted(self._members.values(), key=lambda one: one.is_added))

    @property
    def hosts(self) -> frozenset[str]:
        """Where the servers are: names and addresses of other machines."""
        return frozenset(one.endpoint.host for one in self._members.values()) - _OWN_HOSTS

    def follow(self) -> None:
        """Open what the settings name, and let go what they name no longer.

        Raises:
            ConfigurationError: An address isn't one.
        """
        settings = self._settings
        wanted = {parse_endpoint(each).origin: parse_endpoint(each) for each in settings.base_url}
        for origin, member in tuple(self._members.items()):
            if not member.is_added and origin not in wanted:
                self._let_go(origin)
        tokens = tokens_by_origin(settings.base_url, settings.api_tokens)
        wakes = dict(zip(wanted, settings.wake, strict=False))
        for origin, endpoint in wanted.items():
            if origin not in self._members:
                resolver = PinnedResolver(endpoint.host, self._lookup)
                self._enter(endpoint, self._transport(endpoint, resolver), is_added=False)
            member = self._woken_by(self._members[origin], wakes.get(origin))
            self._members[origin] = member
            if member.node.transport.use_token(tokens.get(origin)):
                member.node.look_again()
        if any(member.waker is not None for member in self._members.values()):
            self.can_wake.set()
        else:
            self.can_wake.clear()
        self._list()

    def _woken_by(self, member: Member, target: WakeTarget | None) -> Member:
        """Return a server with what wakes its machine by the settings of this moment."""
        wanted = target if target is not None and target.mac else None
        waker, node = member.waker, member.node
        if wanted == (None if waker is None else waker.target):
            return member
        if waker is not None:
            self._leaving.start(waker.close(), name="another wakes it")
        if wanted is None:
            return replace(member, waker=None)
        waker = Waker(wanted, self._clock, lambda: node.is_up is True, node.look_again)
        member.stack.push_async_callback(waker.close)
        return replace(member, waker=waker)

    async def add(self, text: str) -> Node:
        """Use one more server, after a look at it; what is found then is what it stays bound to.

        Raises:
            EndpointError: It may not be used, or doesn't answer.
        """
        endpoint = networks.read_endpoint(text)
        async with self._changing:
            if (member := self._members.get(endpoint.origin)) is not None:
                if not member.node.is_drained:
                    raise EndpointError(ALREADY)
                return self.drain(member.node.index, is_drained=False)
            if sum(each.is_added for each in self._members.values()) >= MOST_ADDED:
                raise EndpointError(FULL)
            allowed = self._settings.allowed_networks
            found = await networks.addresses_of(endpoint, allowed, self._lookup, self._clock)
            transport = self._transport(endpoint, self._bound(endpoint, found))
            node = self._enter(endpoint, transport, is_added=True)
            try:
                await node.look_strictly()
            except BackendError as exc:
                await self._drop(endpoint.origin)
                reason = "It doesn't answer as a model's server does."
                raise EndpointError(getattr(exc, "admin_hint", "") or reason) from exc
            except BaseException:
                await self._drop(endpoint.origin)
                raise
            self._list()
            return node

    def restore(self, stored: object) -> None:
        """Use the servers that an earlier run or another process added, and no others beside the settings'.

        Those that were drained are left.

        Args:
            stored: What ``saved`` returned there; anything else in it is ignored.
        """
        added, drained = saved_servers(stored)
        for origin, member in tuple(self._members.items()):
            # One that isn't listed yet is being tried by ``add``.
            if member.is_added and origin not in added and member.node in self._fleet.nodes:
                self._let_go(origin)
        for text in added[:MOST_ADDED]:
            try:
                endpoint = networks.read_endpoint(text)
            except EndpointError:
                continue
            if endpoint.origin not in self._members:
                transport = self._transport(endpoint, self._bound(endpoint, ()))
                self._enter(endpoint, transport, is_added=True)
        for member in self._members.values():
            member.node.is_drained = member.endpoint.origin in drained
        self._list()

    def drain(self, number: int, *, is_drained: bool) -> Node:
        """Take a server out while its answers end, or let it in again.

        Args:
            number: The server's.
            is_drained: Out.

        Raises:
            EndpointError: There is none of this number.
        """
        node = self._of(number).node
        node.is_drained = is_drained
        node.look_again()
        _log.info("server %d %s", number + 1, "is taken out" if is_drained else "is in use again")
        self._on_change()
        return node

    def remove(self, number: int) -> None:
        """Leave a server that was added by command; its answers end first.

        Raises:
            EndpointError: There is none of this number, or the settings name it.
        """
        member = self._of(number)
        if not member.is_added:
            raise EndpointError(IN_SETTINGS)
        self._let_go(member.endpoint.origin)
        self._list()

    def saved(self) -> Saved:
        """Return what ``restore`` takes after a restart."""
        return {
            "added": [one.endpoint.origin for one in self.members if one.is_added],
            "drained": [one.endpoint.origin for one in self.members if one.node.is_drained],
        }

    def wake_times(self) -> dict[str, float]:
        """Return how long each machine took to wake, in seconds, by its server's address."""
        wakers = {origin: member.waker for origin, member in self._members.items()}
        return {
            origin: waker.usual_s
            for origin, waker in wakers.items()
            if waker is not None and waker.usual_s is not None
        }

    def restore_wake_times(self, stored: object) -> None:
        """Take what an earlier run learned; anything else is ignored.

        Args:
            stored: What ``wake_times`` returned then.
        """
        for origin, seconds in stored.items() if isinstance(stored, dict) else ():
            member = self._members.get(origin)
            if member is not None and member.waker is not None and isinstance(seconds, int | float):
                member.waker.usual_s = float(seconds)

    def on_loading(self, callback: Callable[[], None]) -> None:
        """Call back when a load begins, and when it is over; ``note_loads`` tells of those that go on."""
        self._on_loading = callback

    def note_loads(self) -> Callable[[object], object]:
        """Return what puts the loads that go on, which a server doesn't list, in the place of this process's last."""
        loads: list[Load] = [
            (origin, key, began_at.timestamp(), member.node.learned(key).load_s)
            for origin, member in self._members.items()
            for key, began_at in member.node.began_at.items()
        ]
        before, self._noted = self._noted, frozenset(load[:2] for load in loads)
        own, oldest_s = before | self._noted, self._clock.now().timestamp() - LOAD_LIMIT_S

        def note(stored: object) -> object:
            others = [each for each in _saved_loads(stored) if each[:2] not in own]
            return [*(each for each in others if each[2] > oldest_s), *loads]

        return note

    def take_up_loads(self, stored: object, *, are_others: bool = False) -> None:
        """Count loads as going on that were begun lately, so that none is asked for again.

        Args:
            stored: What ``note_loads`` noted there; anything else in it is ignored.
            are_others: Those that this process doesn't know are other processes', each until it isn't noted
                any more; otherwise an earlier run's.
        """
        now, noted = self._clock.now(), set[tuple[str, str, float]]()
        for origin, key, began_s, usual_s in _saved_loads(stored):
            noted.add((origin, key, began_s))
            age_s, member = now.timestamp() - began_s, self._members.get(origin)
            is_known = (origin, key, began_s) in self._taken_up
            if member is None or key in member.node.loading or is_known:
                continue
            if 0 <= age_s < LOAD_LIMIT_S:
                if not are_others:
                    self._noted |= {(origin, key)}
                began_at = now - timedelta(seconds=age_s)
                member.node.take_up_load(key, began_at, usual_s, is_others=are_others)
                self._taken_up.add((origin, key, began_s))
        for origin, key, _ in self._taken_up - noted:
            if origin in self._members:
                self._members[origin].node.end_others_load(key)
        self._taken_up &= noted

    def _tell_loading(self) -> None:
        self._on_loading()

    async def close(self) -> None:
        """Close everything."""
        await self._leaving.cancel()
        for member in (*self._left, *self._members.values()):
            await member.stack.aclose()

    def _of(self, number: int) -> Member:
        found = next((each for each in self.members if each.node.index == number), None)
        if found is None:
            raise EndpointError("There is no server of that number. See /model endpoint list.")
        return found

    def _bound(self, endpoint: Endpoint, found: Sequence[str]) -> PinnedResolver:
        def allows(address: str) -> bool:
            return networks.may_use(address, self._settings.allowed_networks)

        return PinnedResolver(endpoint.host, self._lookup, allows=allows, pinned=found)

    def _transport(self, endpoint: Endpoint, resolver: PinnedResolver) -> Transport:
        return Transport(endpoint, self._clock, resolver, tls=self._tls)

    def _enter(self, endpoint: Endpoint, transport: Transport, *, is_added: bool) -> Node:
        node = Node(self._number, transport, self._clock, self._on_change, self._tell_loading)
        self._number += 1
        stack = AsyncExitStack()
        stack.push_async_callback(transport.aclose)
        self._members[endpoint.origin] = Member(node, endpoint, is_added, None, stack)
        return node

    def _list(self) -> None:
        """Let the fleet have those in use, and look at each from time to time."""
        for member in self.members:
            if member.node not in self._fleet.nodes:
                watch = member.node.watch(self._settings.health_interval_s)
                probing = asyncio.get_running_loop().create_task(watch)
                member.stack.push_async_callback(end_tasks, probing)
        self._fleet.nodes = tuple(member.node for member in self.members)
        self._on_change()

    def _let_go(self, origin: str) -> None:
        """Leave a server at once, and close it when its answers have ended."""
        member = self._members.pop(origin)
        member.node.is_drained = True
        self._left.append(member)
        self._leaving.start(self._close_later(member), name="server leaves")

    async def _close_later(self, member: Member) -> None:
        try:
            async with asyncio.timeout(LEAVING_S):
                await member.node.idle.wait()
        except TimeoutError:
            _log.warning("a removed server is closed although it still answers")
        await member.stack.aclose()
        self._left.remove(member)

    async def _drop(self, origin: str) -> None:
        await self._members.pop(origin).stack.aclose()


def saved_servers(stored: object) -> tuple[list[str], list[str]]:
    """Return what an earlier run saved: the servers that were added, and those that were drained."""
    return _texts(stored, "added"), _texts(stored, "drained")


def merged_servers(stored: object, before: Saved, after: Saved) -> Saved:
    """Return saved servers with a change by command, and whatever else another process has written.

    Args:
        stored: What is saved.
        before: What ``Roster.saved`` returned before the change.
        after: The same after it.
    """
    found = {name: _texts(stored, name) for name in after}
    return {
        name: [
            *(each for each in found[name] if each in new or each not in before[name]),
            *(each for each in new if each not in found[name]),
        ]
        for name, new in after.items()
    }


def _saved_loads(stored: object) -> Iterator[Load]:
    for entry in stored if isinstance(stored, list) else ():
        match entry:
            case [
                str(origin),
                str(key),
                int() | float() as began_s,
                int() | float() | None as usual_s,
            ]:
                yield origin, key, began_s, usual_s
            case _:
                continue


def _texts(stored: object, name: str) -> list[str]:
    values = stored.get(name) if isinstance(stored, dict) else None
    return [each for each in values if isinstance(each, str)] if isinstance(values, list) else []
