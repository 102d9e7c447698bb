"""What a node keeps of a model over looks at its server, and what it forgets."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.domain import Usage
from bot.lmstudio.completion import CompletionDecoder
from bot.lmstudio.ending import CUT_BY_SERVER, findings
from bot.lmstudio.loading import LoadOptions, load
from bot.lmstudio.nodes import Node
from bot.lmstudio.recovery import Plan
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
    await load(node, "a/b", LoadOptions(context_length=4096))
    assert limit_of(node) == 8192


async def test_a_learned_limit_holds_where_loading_finds_the_model_loaded() -> None:
    node = await limited(ListedServer(8192))
    await load(node, "a/b", LoadOptions())
    assert limit_of(node) == 2048


@pytest.mark.parametrize(("counted", "notices"), [(1000, [CUT_BY_SERVER]), (4000, [])])
async def test_a_server_that_read_only_part_of_a_prompt_is_named_to_the_person(
    counted: int, notices: list[str]
) -> None:
    node = Node(0, ListedServer(4096), FakeClock(), lambda: None)
    await node.refresh()
    decoder = CompletionDecoder()
    decoder.usage = Usage(counted, 10)
    plan = Plan(model="a/b", turns=(), prompt_tokens=4000, max_tokens=512)
    assert findings(node, plan, decoder, "") == notices
