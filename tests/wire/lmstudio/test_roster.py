"""Servers that owners add, take out and remove while running: only where the operator allows it."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest

from bot.lmstudio import LMStudioBackend, errors, open_backend
from bot.lmstudio.networks import EndpointError, may_use
from bot.lmstudio.nodes import Fleet, Node
from bot.lmstudio.roster import merged_servers
from config.addresses import WakeTarget
from config.settings import LMStudioSettings
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox
from tests.support.clock import FakeClock
from tests.unit.lmstudio.test_nodes import copy_of, serving
from tests.wire.lmstudio.conftest import PARIS
from tests.wire.lmstudio.rig import a_request, ask, connected, nodes, passing
from tests.wire.lmstudio.test_nodes import hold_slot, until

HERE = ("127.0.0.1/32",)
"""The only network in which these tests allow a server; traps listen elsewhere on loopback."""

NAMES: dict[str, list[str]] = {
    "meta.example": ["169.254.169.254"],
    "link.example": ["169.254.7.7"],
    "half.example": ["127.0.0.1", "127.0.0.2"],
    "half6.example": ["127.0.0.1", "::1"],
    "mapped.example": ["::ffff:169.254.169.254"],
    "zone.example": ["fe80::1%lo"],
    "odd.example": ["127.1"],
    "empty.example": [],
}
BARE = (
    # other numbers for an address
    "2130706434", "2130706433", "0x7f000001", "0x7f000002", "0x7F.0.0.2", "0x7f.1", "017700000001",
    "0177.0.0.2", "0177.0.0.01", "127.1", "127.2", "127.0.2", "127.0.1", "127.0.0.02", "127.0.0.0x1",
    "00127.0.0.1", "127.0.0.1.", "127.0.0.2.", "127.0.0.2..", "127.0.0.256", "127.0.0.1.1", "0", "0.0.0.0",
    "1", "4294967295", "255.255.255.255", "256.1",
    # addresses that may not be used
    "127.0.0.2", "127.255.255.254", "10.0.0.1", "192.168.1.1", "169.254.169.254", "169.254.0.1",
    "100.100.100.200", "192.0.0.192", "224.0.0.1", "8.8.8.8", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376",
    "169.254.43518",
    # IPv6
    "[::1]", "[::]", "[::2]", "[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]", "[::127.0.0.2]", "[::169.254.169.254]", "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::]", "[fe80::1]", "[fe80::1%25lo]",
    "[fe80::1%lo]", "[::1%25lo]", "[fd00:ec2::254]", "[fd20:ce::254]", "[ff02::1]", "[::ffff:0:127.0.0.1]",
    "[0:0:0:0:0:ffff:7f00:0002]", "[v1.fe80::1]", "[127.0.0.1]",
    # letters that look like others, and encoded ones
    "127。0。0。1", "127．0．0．1", "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127%2e0%2e0%2e1", "%31%32%37.0.0.1",
    "127.0.0.1%00.example", "loc\u00adalhost", "ｌocalhost", "ⓛocalhost", "localhost\u3002", "127.0.0.1\u200b",
    # names
    "localhost", "localhost.", "127.0.0.2.nip.io", "7f000002.nip.io", "localtest.me", "meta.example",
    "link.example", "half.example", "half6.example", "mapped.example", "zone.example", "odd.example",
    "empty.example", "metadata.google.internal", "a" * 300,
)  # fmt: skip
WHOLE = (
    "http://127.0.0.1@127.0.0.2:{port}", "http://127.0.0.2:{port}@127.0.0.1", "http://user:pw@127.0.0.1:{port}",
    "http://127.0.0.1:{port}#@127.0.0.2", "http://127.0.0.1:{port}?x=127.0.0.2", "http://127.0.0.2:{port}#.127.0.0.1",
    "http://127.0.0.1:{port}\\@127.0.0.2", "http://127.0.0.2\\.127.0.0.1:{port}", "http://127.0.0.1:0",
    "http://127.0.0.1:65536", "http://127.0.0.1:-1", "http://127.0.0.1:{port}:80", "http://127.0.0.1 :{port}",
    "http://127.0.0.1\t:{port}", "http://127.0.0.1\r\nHost: x:{port}", "http://127.0.0.1:１２３４", "//127.0.0.2:{port}",
    "ftp://127.0.0.1:{port}", "file:///etc/passwd", "gopher://127.0.0.1:{port}", "ws://127.0.0.1:{port}",
    "http:127.0.0.2:{port}", "http:///127.0.0.2:{port}", "http://:{port}@127.0.0.2", "http://[::1", "", " ", "http://",
)  # fmt: skip

connections: list[Any] = []
is_counting = [False]


def _count(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and is_counting[0]:
        connections.append(args[1])


sys.addaudithook(_count)


@contextmanager
def counted() -> Iterator[list[Any]]:
    """Collect where any socket of this process connects to."""
    connections.clear()
    is_counting[0] = True
    try:
        yield connections
    finally:
        is_counting[0] = False


async def lookup(host: str) -> Sequence[str]:
    """Resolve as a resolver does that somebody else controls: anything leads to where a trap is."""
    return NAMES.get(host, ["127.0.0.2"])


@contextmanager
def traps(port: int) -> Iterator[list[socket.socket]]:
    """Listen where nobody may connect to."""
    made = []
    for family, host in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")):
        trap = socket.socket(family)
        trap.bind((host, port))
        trap.listen()
        trap.setblocking(False)
        made.append(trap)
    try:
        yield made
    finally:
        for trap in made:
            trap.close()


def visitors(made: list[socket.socket]) -> int:
    """Return at how many traps somebody has called."""
    count = 0
    for trap in made:
        try:
            trap.accept()[0].close()
            count += 1
        except BlockingIOError:
            pass
    return count


@asynccontextmanager
async def home(
    clock: FakeClock, url: str = "http://127.0.0.1:9", networks: tuple[str, ...] = HERE
) -> AsyncIterator[LMStudioBackend]:
    """Open a back end with one server, and the resolver that isn't to be trusted."""
    settings = LMStudioSettings(base_url=(url,), allowed_networks=networks)
    async with open_backend(settings, clock, lookup=lookup) as backend:
        yield backend


async def test_no_spelling_of_an_address_leads_out_of_the_allowed_networks(
    clock: FakeClock,
) -> None:
    async with LMStudioSandbox() as sandbox, home(clock, sandbox.base_url) as backend:
        await passing(clock, backend.probe_now())
        spellings = [f"http://{host}:{sandbox.port}" for host in BARE]
        spellings += [text.format(port=sandbox.port) for text in WHOLE]
        assert len(set(spellings)) >= 110
        with traps(sandbox.port) as made, counted() as went:
            for text in spellings:
                with pytest.raises(EndpointError):
                    await backend.roster.add(text)
            assert visitors(made) == 0
            assert went == []
        assert len(backend.roster.members) == 1


@pytest.mark.parametrize(
    ("address", "network", "may"),
    [
        ("192.168.1.20", "192.168.1.0/24", True),
        ("192.168.2.20", "192.168.1.0/24", False),
        ("169.254.169.254", "0.0.0.0/0", False),
        ("100.100.100.200", "0.0.0.0/0", False),
        ("fe80::1", "::/0", False),
        ("64:ff9b::a9fe:a9fe", "::/0", False),
        ("2002:a9fe:a9fe::1", "::/0", False),
        ("::169.254.169.254", "::/0", False),
        ("fd00::7", "fd00::/8", True),
        ("::1", "::1/128", True),
    ],
)
def test_metadata_and_link_local_addresses_are_never_used_whatever_is_allowed(
    address: str, network: str, may: bool
) -> None:
    assert may_use(address, (network,)) is may


async def test_without_named_networks_no_server_can_be_added(clock: FakeClock) -> None:
    async with LMStudioSandbox() as sandbox, home(clock, networks=()) as backend:
        with pytest.raises(EndpointError, match="Name one in CLAWBOT_LMSTUDIO__ALLOWED"):
            await backend.roster.add(sandbox.base_url)
        assert sandbox.requests == []


async def test_an_added_server_is_tried_used_without_a_token_and_kept_over_a_restart(
    clock: FakeClock,
) -> None:
    async with LMStudioSandbox() as one, LMStudioSandbox() as two:
        two.answer(PARIS)
        settings = LMStudioSettings.model_validate(
            {"base_url": [one.base_url], "api_token": "sk-lm-one", "allowed_networks": HERE}
        )
        async with open_backend(settings, clock) as backend:
            node = await passing(clock, backend.roster.add(f"127.0.0.1:{two.port}"))
            assert backend.capacity().slots == 8
            with pytest.raises(EndpointError):
                await backend.roster.add(two.base_url)
            assert backend.roster.hosts == frozenset()
            backend.roster.drain(0, is_drained=True)
            assert (await ask(clock, backend)).text == PARIS
            saved = backend.roster.saved()
            with pytest.raises(EndpointError):
                backend.roster.remove(0)
        async with open_backend(settings, clock) as backend:
            backend.roster.restore(saved)
            await passing(clock, backend.probe_now())
            assert [each.is_drained for each in nodes(backend)] == [True, False]
            assert (await ask(clock, backend)).text == PARIS
            backend.roster.remove(node.index)
            assert not backend.is_available()
        assert one.completions == []
        assert {each.headers.get("authorization") for each in two.requests} == {None}


async def test_a_server_that_another_process_removed_is_asked_no_more_and_one_that_is_tried_stays(
    clock: FakeClock,
) -> None:
    async with (
        LMStudioSandbox() as one,
        LMStudioSandbox() as two,
        home(clock, one.base_url) as backend,
    ):
        nothing = backend.roster.saved()
        await passing(clock, backend.roster.add(two.base_url))
        both = backend.roster.saved()
        backend.roster.restore(nothing)
        assert backend.roster.saved() == nothing
        await passing(clock, backend.probe_now())
        assert backend.capacity().slots == 4
        adding = asyncio.create_task(backend.roster.add(two.base_url))
        await asyncio.sleep(0)
        backend.roster.restore(nothing)
        await until(clock, adding.done)
        await adding
        assert backend.roster.saved() == both


def test_servers_that_another_process_has_added_or_taken_out_stay_so_with_a_change_here() -> None:
    stored = {"added": ["http://b", "http://theirs"], "drained": ["http://a", "http://out"]}
    before = {"added": ["http://b"], "drained": ["http://a"]}
    after = {"added": ["http://b", "http://c"], "drained": ["http://b"]}
    assert merged_servers(stored, before, after) == {
        "added": ["http://b", "http://theirs", "http://c"],
        "drained": ["http://out", "http://b"],
    }
    assert merged_servers(None, before, after) == {
        "added": ["http://b", "http://c"],
        "drained": ["http://b"],
    }


@pytest.mark.parametrize(
    "stored", [None, [], {"added": 5, "drained": [None]}, {"added": ["::", 3]}]
)
async def test_stored_servers_of_any_form_are_read(stored: object, clock: FakeClock) -> None:
    async with home(clock) as backend:
        backend.roster.restore(stored)
        assert len(backend.roster.members) == 1


async def test_what_does_not_answer_as_a_models_server_is_not_used(clock: FakeClock) -> None:
    async with LMStudioSandbox() as sandbox, LMStudioSandbox() as elsewhere, home(clock) as backend:
        for fault in (Fault.REDIRECT, Fault.HTML_503, Fault.RESET_BEFORE_HEADERS):
            sandbox.faults.clear()
            target = {"location": elsewhere.base_url} if fault is Fault.REDIRECT else {}
            target["route"] = "models"
            sandbox.faults.next(fault, times=None, **target)  # type: ignore[arg-type]
            with pytest.raises(EndpointError):
                await passing(clock, backend.roster.add(sandbox.base_url))
        await sandbox.stop()
        with pytest.raises(EndpointError, match="Start the server"):
            await passing(clock, backend.roster.add(sandbox.base_url))
        assert elsewhere.requests == []
        assert len(backend.roster.members) == 1


async def test_a_name_that_moves_between_the_try_and_its_use_leads_nowhere_else(
    clock: FakeClock,
) -> None:
    async with LMStudioSandbox() as sandbox, home(clock) as backend:
        NAMES["moves.example"] = ["127.0.0.1"]
        await passing(clock, backend.roster.add(f"moves.example:{sandbox.port}"))
        backend.roster.drain(0, is_drained=True)
        with traps(sandbox.port) as made, counted() as went:
            for there in (["127.0.0.2"], ["::1"], ["169.254.169.254"], ["::ffff:127.0.0.2"]):
                NAMES["moves.example"] = there
                sandbox.close_connections()
                assert (await ask(clock, backend)).text
                await sandbox.refuse()
                assert (await ask(clock, backend)).error is not None
                await clock.advance(40)
                await sandbox.start()
                NAMES["moves.example"] = ["127.0.0.1"]
                await passing(clock, backend.probe_now())
            assert visitors(made) == 0
            assert {address[0] for address in went} == {"127.0.0.1"}


async def test_answers_at_a_drained_server_end_and_new_ones_go_to_the_others(
    clock: FakeClock,
) -> None:
    async with (
        LMStudioSandbox() as one,
        LMStudioSandbox() as two,
        connected(clock, one.base_url, two.base_url) as backend,
    ):
        two.answer(PARIS)
        one.answer(Answer("A long answer.", pause_after=1))
        held = asyncio.create_task(ask(clock, backend, a_request(conversation="held")))
        await until(clock, lambda: one.completions and nodes(backend)[0].in_flight)
        backend.roster.drain(0, is_drained=True)
        assert backend.capacity().slots == 5
        assert backend.next_server(None) == 2
        for number in range(3):
            assert (await ask(clock, backend, a_request(conversation=f"c{number}"))).text == PARIS
        one.resume()
        assert (await held).text == "A long answer."
        assert len(one.completions) == 1
        assert backend.capacity().slots == 4
        assert [(each.number, each.is_drained) for each in backend.servers()] == [
            (1, True),
            (2, False),
        ]
        backend.roster.drain(0, is_drained=False)
        assert backend.capacity().slots == 8


async def test_edited_addresses_are_followed_while_answers_end(clock: FakeClock) -> None:
    async with LMStudioSandbox() as one, LMStudioSandbox() as two:
        two.answer(PARIS)
        settings = LMStudioSettings(base_url=(one.base_url,)).model_copy()
        object.__setattr__(settings, "base_url", (one.base_url,))
        async with open_backend(settings, clock) as backend:
            await passing(clock, backend.probe_now())
            hold = asyncio.create_task(hold_slot(backend, one))
            await until(clock, lambda: nodes(backend)[0].in_flight == 1)
            object.__setattr__(settings, "base_url", (two.base_url, "http://llm.example:1"))
            backend.roster.follow()
            assert backend.roster.hosts == {"llm.example"}
            object.__setattr__(settings, "base_url", (two.base_url,))
            backend.roster.follow()
            assert (await ask(clock, backend)).text == PARIS
            assert not hold.done()
            hold.cancel()
            await asyncio.gather(hold, return_exceptions=True)


async def test_an_edited_token_and_what_wakes_a_machine_are_followed(clock: FakeClock) -> None:
    async with LMStudioSandbox(token="sk-lm-right:one") as lm:
        lm.answer(PARIS)
        given = {"base_url": (lm.base_url,), "api_token": "sk-lm-wrong:one"}
        settings = LMStudioSettings.model_validate(given)
        async with open_backend(settings, clock) as backend:
            await passing(clock, backend.probe_now())
            assert isinstance((await ask(clock, backend)).error, errors.AuthenticationError)
            right = {"api_token": "sk-lm-right:one", "wake": ("02:00:00:00:00:01",)}
            edited = LMStudioSettings.model_validate({**given, **right})
            for name in right:
                object.__setattr__(settings, name, getattr(edited, name))
            backend.roster.follow()
            assert (await ask(clock, backend)).text == PARIS
            waker = backend.roster.members[0].waker
            assert waker is not None
            assert waker.target.mac == "02:00:00:00:00:01"
            assert backend.roster.can_wake.is_set()
            backend.roster.follow()
            assert backend.roster.members[0].waker is waker
            object.__setattr__(settings, "wake", ())
            backend.roster.follow()
            assert not backend.roster.can_wake.is_set()
            assert backend.roster.members[0].waker is None


def test_of_two_servers_with_room_each_gets_work_by_its_measured_speed() -> None:
    fast, slow = (serving(index, copy_of("a/b", parallel=8)) for index in range(2))
    fast.note_pace("a/b", 400, 10.0)
    slow.note_pace("a/b", 100, 10.0)
    fleet, counts = Fleet([slow, fast]), {0: 0, 1: 0}
    with ExitStack() as stack:
        for number in range(10):
            chosen = fleet.choose("a/b", f"c{number}", frozenset())
            assert isinstance(chosen, Node)
            counts[chosen.index] += 1
            stack.enter_context(chosen.running("a/b", None))
    assert counts == {0: 8, 1: 2}


def test_short_answers_say_nothing_of_a_servers_speed() -> None:
    node = serving(0, copy_of("a/b"))
    node.note_pace("a/b", 3, 0.01)
    node.note_pace("a/b", 100, 0.0)
    assert node.pace("a/b") is None


@pytest.mark.parametrize("stored", [None, [1], {"http://127.0.0.1:9": "soon"}, {"http://b:1": 3}])
async def test_how_long_a_machine_takes_to_wake_is_known_after_a_restart(
    stored: object, clock: FakeClock
) -> None:
    settings = LMStudioSettings(
        base_url=("http://127.0.0.1:9",), wake=(WakeTarget("00:11:22:aa:bb:cc"),)
    )
    async with open_backend(settings, clock) as backend:
        backend.roster.restore_wake_times(stored)
        assert backend.roster.wake_times() == {}
        backend.roster.restore_wake_times({"http://127.0.0.1:9": 41.5})
        assert backend.roster.wake_times() == {"http://127.0.0.1:9": 41.5}
