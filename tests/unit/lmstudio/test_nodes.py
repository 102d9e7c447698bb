"""What a node keeps of a model over looks at its server, and what it forgets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from bot.core.domain import LoadOptions, ModelInfo, Usage, UserId
from bot.lmstudio import errors
from bot.lmstudio.catalogue import NAMES_ONLY, Catalogue, Instance
from bot.lmstudio.completion import CompletionDecoder, Plan
from bot.lmstudio.learned import Cause, Read
from bot.lmstudio.loading import load
from bot.lmstudio.nodes import Fleet, Node
from bot.lmstudio.run import CUT_BY_SERVER, findings, name_for
from bot.lmstudio.transport import Transport
from tests.support.clock import FakeClock


class ListedServer(Transport):
    """A server's connections with nothing behind them: it lists one model and loads it.

    Attributes:
        context_tokens: The context that it has loaded the model with; ``None`` while it hasn't.
    """

    def __init__(self, context_tokens: int | None) -> None:
        self.context_tokens = context_tokens

    async def fetch_json(
        self,
        method: str,
        path: str,
        body: bytes | None = None,  # noqa: ARG002 - as the base has it
        *,
        limit_s: float,  # noqa: ARG002
    ) -> object:
        """Answer, as LM Studio does."""
        if method == "POST":
            self.context_tokens = None if path.endswith("unload") else 8192
            return {}
        copy = {"id": "a/b", "config": {"context_length": self.context_tokens}}
        copies = [copy] if self.context_tokens else []
        model: dict[str, Any] = {"type": "llm", "key": "a/b", "loaded_instances": copies}
        return {"models": [model]}


async def limited(server: ListedServer) -> Node:
    """Return a node of this server that learned a smaller limit than the list tells."""
    node = Node(0, server, FakeClock(), lambda: None)
    await node.refresh()
    node.learned("a/b").context_tokens = 2048
    assert limit_of(node) == 2048
    return node


def limit_of(node: Node) -> int | None:
    """Return the context that prompts are made for."""
    model = node.model("a/b")
    return None if model is None else model.context_tokens


async def test_a_learned_limit_holds_while_the_same_model_stays_loaded() -> None:
    node = await limited(ListedServer(8192))
    await node.refresh()
    assert limit_of(node) == 2048


@pytest.mark.parametrize("between", [[16_384], [None, 8192]], ids=["at once", "seen unloaded"])
async def test_a_learned_limit_ends_with_the_load_that_it_was_learned_of(
    between: list[int | None],
) -> None:
    server = ListedServer(8192)
    node = await limited(server)
    for context_tokens in between:
        server.context_tokens = context_tokens
        await node.refresh()
    assert limit_of(node) == between[-1]


async def test_a_learned_limit_ends_when_the_bot_itself_loads_the_model_anew() -> None:
    """The list looks the same before and after: this server takes no wish for a context."""
    node = await limited(ListedServer(8192))
    await load(node, "a/b", LoadOptions(context_length=4096), FakeClock())
    assert limit_of(node) == 8192


async def test_a_learned_limit_holds_where_loading_finds_the_model_loaded() -> None:
    node = await limited(ListedServer(8192))
    await load(node, "a/b", LoadOptions(), FakeClock())
    assert limit_of(node) == 2048


@pytest.mark.parametrize(
    ("between", "is_kept"),
    [([8192], True), ([None, 8192], True), ([16_384], False), ([None, 16_384], False)],
    ids=["as it was", "again as it was", "otherwise", "again but otherwise"],
)
async def test_what_a_model_taught_is_forgotten_once_it_is_loaded_otherwise(
    between: list[int | None], is_kept: bool
) -> None:
    server = ListedServer(8192)
    node = Node(0, server, FakeClock(), lambda: None)
    await node.refresh()
    learned = node.learned("a/b")
    learned.refused_fields.add("reasoning_effort")
    learned.folds_system = learned.is_blind = True
    learned.speed.learn(4000, 10.0, is_certain=True)
    learned.load_s = 30.0
    for context_tokens in between:
        server.context_tokens = context_tokens
        await node.refresh()
    after = node.learned("a/b")
    assert bool(after.refused_fields) is after.folds_system is after.is_blind is is_kept
    assert after.speed.is_known is is_kept
    assert after.load_s == 30.0, "another load takes about as long"


@pytest.mark.parametrize(("counted", "remarks"), [(1000, [CUT_BY_SERVER]), (4000, [])])
async def test_a_server_that_read_only_part_of_a_prompt_is_named_to_the_person(
    counted: int, remarks: list[str]
) -> None:
    node = Node(0, ListedServer(4096), FakeClock(), lambda: None)
    await node.refresh()
    decoder = CompletionDecoder()
    decoder.usage = Usage(counted, 10)
    plan = Plan(model="a/b", turns=(), prompt_tokens=4000, max_tokens=512)
    assert findings(node, node.model("a/b"), plan, decoder, "") == remarks


CAUSE = Cause("c", 1, UserId(1))


def serving(index: int, *copies: Instance, unloaded: str = "", source: int = 0) -> Node:
    """Return a server with these copies in memory, and perhaps a model that isn't."""
    node = Node(index, ListedServer(None), FakeClock(), lambda: None)
    keys = dict.fromkeys(copy.key for copy in copies)
    loaded = [
        ModelInfo(
            key,
            is_loaded=True,
            context_tokens=8192,
            instance_ids=tuple(copy.id for copy in copies if copy.key == key),
        )
        for key in keys
    ]
    rest = [ModelInfo(unloaded, is_loaded=False)] if unloaded else []
    node.catalogue = Catalogue(source, (*loaded, *rest), copies)
    return node


def copy_of(key: str, instance_id: str = "", parallel: int = 1) -> Instance:
    """Return a loaded copy of a model."""
    return Instance(instance_id or key, key, 8192, parallel, 8192)


@contextmanager
def busy(node: Node, *names: str) -> Iterator[None]:
    """Have requests to these copies run."""
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(node.running(name, CAUSE))
        yield


@pytest.mark.parametrize(
    ("running", "preferred", "chosen"),
    [
        ([], None, "one"),
        ([], "two", "two"),
        (["one"], None, "two"),
        (["one"], "one", "two"),
        (["two", "two"], "two", "two"),
        (["two", "two", "two", "two"], "two", "one"),
        (["one", "two", "two"], None, "two"),
        (["one", "two", "two", "two", "two"], "gone", "one"),
        (["other"], "other", "one"),
    ],
)
def test_of_several_copies_the_preferred_one_with_room_or_the_least_busy_is_asked(
    running: list[str], preferred: str | None, chosen: str
) -> None:
    copies = (copy_of("a/b", "one"), copy_of("a/b", "two", 4), copy_of("c/d", "other"))
    node = serving(0, *copies)
    with busy(node, *running):
        found = node.instance("a/b", preferred)
        assert found is not None
        assert found.id == chosen
        assert node.in_flight == len(running)
        assert node.idle.is_set() is not bool(running)
    assert node.in_flight == 0
    assert node.idle.is_set()
    assert node.instance("no/such", preferred) is None


@pytest.mark.parametrize(
    ("name", "is_near"),
    [
        ("a/b", False),
        ("a/b@q4", False),
        ("copy", False),
        ("b", True),
        ("A/B", True),
        ("b@q4", True),
        ("no/such", False),
    ],
)
def test_a_name_that_is_listed_a_little_otherwise_is_told_once(name: str, is_near: bool) -> None:
    node = serving(0, copy_of("a/b", "copy"))
    assert node.is_first_near(name) is is_near
    assert not node.is_first_near(name)
    assert not Node(0, ListedServer(None), FakeClock(), lambda: None).is_first_near(name)


def test_what_was_learned_of_a_model_is_in_what_is_told_of_it() -> None:
    node = serving(0, copy_of("a/b"), copy_of("c/d"))
    node.learned("a/b").is_blind = True
    node.learned("a/b").context_tokens = 9000
    seen, other = node.model("a/b"), node.model("c/d")
    assert seen is not None
    assert other is not None
    assert (seen.key, seen.sees_images, seen.context_tokens) == ("a/b", False, 8192)
    assert (other.key, other.sees_images) == ("c/d", None)
    assert node.model("no/such") is None
    assert node.key_of("no/such") == "no/such"


@pytest.mark.parametrize(
    ("copies", "source", "slots"),
    [
        ((), 0, 1),
        ((copy_of("a/b", "one", 4), copy_of("a/b", "two", 2)), 0, 6),
        ((copy_of("a/b", "one", 4), copy_of("c/d", "two", 2)), NAMES_ONLY, 4),
        ((), NAMES_ONLY, 1),
    ],
)
def test_a_server_has_the_slots_of_its_loaded_copies(
    copies: tuple[Instance, ...], source: int, slots: int
) -> None:
    node = serving(0, *copies, source=source)
    assert node.slots == slots
    assert node.can_load is (source == 0)


@pytest.mark.parametrize(
    ("model", "running", "warm", "excluded", "chosen"),
    [
        ("a/b", {}, None, set(), 0),
        ("a/b", {}, 1, set(), 1),
        ("a/b", {0: 1}, None, set(), 1),
        ("a/b", {0: 1, 1: 1}, None, set(), 1),
        ("a/b", {0: 1, 1: 2}, None, set(), 0),
        ("a/b", {0: 2, 1: 3}, None, set(), 1),
        ("a/b", {1: 4}, 1, set(), 0),
        ("a/b", {}, 2, set(), 0),
        ("a/b", {0: 2, 1: 4}, None, {0, 1}, 2),
        ("a/b", {}, None, {0, 1, 2, 3}, None),
        ("c/d", {}, None, set(), 3),
        (None, {}, None, set(), 0),
        ("no/such", {1: 1}, 3, set(), 3),
    ],
)
def test_the_server_asked_has_the_model_then_the_conversation_then_the_most_room(
    model: str | None,
    running: dict[int, int],
    warm: int | None,
    excluded: set[int],
    chosen: int | None,
) -> None:
    fleet = Fleet(
        [
            serving(0, copy_of("a/b", parallel=2)),
            serving(1, copy_of("a/b", parallel=4)),
            serving(2, unloaded="a/b"),
            serving(3, copy_of("c/d")),
        ]
    )
    if warm is not None:
        fleet.note_warm("here", fleet.nodes[warm], "a/b", Read(()))
    with ExitStack() as stack:
        for index, count in running.items():
            stack.enter_context(busy(fleet.nodes[index], *["a/b"] * count))
        node = fleet.choose(model, "here", frozenset(excluded))
    assert (None if node is None else node.index) == chosen


def test_a_server_that_failed_to_load_the_model_is_asked_last() -> None:
    fleet = Fleet([serving(0, unloaded="a/b"), serving(1, copy_of("c/d"))])
    assert fleet.choose("a/b", "here", frozenset()) is fleet.nodes[0]
    fleet.nodes[0].learned("a/b").load.open()
    assert fleet.choose("a/b", "here", frozenset()) is fleet.nodes[1]


def test_a_server_that_is_down_is_asked_only_where_there_is_no_other() -> None:
    fleet = Fleet([serving(0, copy_of("a/b", parallel=4)), serving(1, unloaded="a/b")])
    down, up = fleet.nodes
    assert (fleet.capacity().slots, fleet.capacity().pool_tokens) == (5, 8192)
    down.is_up = False
    assert fleet.choose("a/b", "here", frozenset(), include_down=True) is up
    assert (fleet.capacity().slots, fleet.capacity().pool_tokens) == (1, None)
    found = fleet.model("a/b")
    assert found is not None
    assert not found.is_loaded
    assert fleet.is_available()
    up.is_up = False
    assert not fleet.is_available()
    assert fleet.choose("a/b", "here", frozenset()) is None
    assert fleet.choose("a/b", "here", frozenset(), include_down=True) is down
    down.circuit.open()
    assert fleet.choose("a/b", "here", frozenset(), include_down=True) is up


async def test_what_is_learned_of_each_model_ends_with_its_own_load() -> None:
    node = serving(0, copy_of("a/b"), copy_of("c/d"), unloaded="e/f")
    for key in ("a/b", "c/d", "e/f"):
        node.learned(key).context_tokens = 2048
    node.learned("e/f").load.open()
    changed = [
        ModelInfo("new", is_loaded=True, context_tokens=8192),
        ModelInfo("a/b", is_loaded=True, context_tokens=8192),
        ModelInfo("c/d", is_loaded=True, context_tokens=4096),
        ModelInfo("e/f", is_loaded=True, context_tokens=4096),
    ]
    node._learn(Catalogue(0, tuple(changed)))
    assert [node.learned(m.key).context_tokens for m in changed] == [None, 2048, None, None]
    assert node.learned("e/f").load.allows


async def test_how_long_a_load_took_is_known_the_next_time() -> None:
    clock = FakeClock()
    node = Node(0, ListedServer(None), clock, lambda: None)
    await node.refresh()
    end_loading = node.begin_loading("a/b")
    await clock.advance(40)
    end_loading()
    assert node.learned("a/b").load_s is None  # it isn't loaded: that took nothing
    await load(node, "a/b", LoadOptions(context_length=8192), clock)
    end_loading = node.begin_loading("a/b")
    await clock.advance(40)
    end_loading()
    assert node.learned("a/b").load_s == 40


async def test_a_copy_that_was_loaded_anew_is_another() -> None:
    server = ListedServer(8192)
    node = Node(0, server, FakeClock(), lambda: None)
    await node.refresh()
    before = node.copy("a/b")
    await node.refresh()
    assert node.copy("a/b") == before
    server.context_tokens = 4096
    await node.refresh()
    assert node.copy("a/b") != before


LOADING, AWAY = errors.StillLoadingError, errors.BackendUnavailableError


@pytest.mark.parametrize(
    ("failures", "is_loading"),
    [
        ([LOADING], True),
        ([LOADING, AWAY], True),
        ([AWAY], False),
        ([None, LOADING], False),
        ([], False),
    ],
)
def test_a_model_is_being_loaded_where_no_server_answers_and_one_will(
    failures: list[type[errors.BackendUnavailableError] | None], is_loading: bool
) -> None:
    nodes = [serving(index, copy_of("a/b")) for index in range(len(failures))]
    for node, failure in zip(nodes, failures, strict=True):
        if failure is not None:
            node.note_failure(failure())
    assert Fleet(nodes).is_loading() is is_loading
    for node in nodes:
        node.note_success("a/b")
        node.circuit.open()
    assert not Fleet(nodes).is_loading(), "one that is paused has its model"


def test_what_is_loaded_is_told_with_what_tells_one_load_from_another() -> None:
    first, second = serving(0, copy_of("a/b"), unloaded="c/d"), serving(1, copy_of("a/b"))
    loads = Fleet([first, second]).loads()
    assert set(loads) == {"a/b"}
    assert "8192" in loads["a/b"]
    names_only = Catalogue(0, (ModelInfo("e/f", is_loaded=True),))
    second.catalogue = names_only
    assert Fleet([first, second]).loads() == loads
    first.is_up = False
    assert Fleet([first, second]).loads() == {}


async def test_a_load_that_was_left_midway_ends_with_its_own_model_only() -> None:
    clock = FakeClock()
    server = ListedServer(8192)
    node = Node(0, server, clock, lambda: None)
    await node.refresh()
    with pytest.raises(asyncio.CancelledError), node.while_loading("c/d"):
        raise asyncio.CancelledError
    await node.refresh()
    assert set(node.loading) == set(), "it isn't listed, so it counts as loaded"
    server.context_tokens = None
    await node.refresh()
    with pytest.raises(asyncio.CancelledError), node.while_loading("a/b"):
        raise asyncio.CancelledError
    await node.refresh()
    assert set(node.loading) == {"a/b"}
    server.context_tokens = 8192
    await node.refresh()
    assert set(node.loading) == set()


@pytest.mark.parametrize(
    ("asked", "home", "sent"),
    [
        (None, "two", "two"),
        ("a/b", "two", "two"),
        (None, None, "one"),
        ("gone", "two", "two"),
    ],
)
def test_a_question_names_the_copy_that_has_its_conversation(
    asked: str | None, home: str | None, sent: str
) -> None:
    node = serving(0, copy_of("a/b", "one"), copy_of("a/b", "two"), copy_of("c/d", "other"))
    node.refuse_name("gone")
    with busy(node, "other"):
        assert name_for(node, node.model("a/b"), asked, home) == sent
    with busy(node, "one"):
        assert name_for(node, node.model("a/b"), None, None) == "two"
    assert name_for(node, None, asked, home) == asked
