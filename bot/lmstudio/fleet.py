"""All servers, and which of them a conversation goes to."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.domain import ChatTurn, ModelInfo
from bot.core.ports import Capacity
from bot.lmstudio.nodes import Node
from bot.lmstudio.warmth import Copy, Warmth


class Fleet:
    """All servers, and which of them keeps which conversation warm."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Take the servers in the order of the settings."""
        self.nodes = tuple(nodes)
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
        has the conversation warm, if it has a free slot, then the least loaded.

        Args:
            model: Model key; ``None`` for whichever is loaded.
            conversation_key: Prefers the server that answered it last.
            excluded: Servers that failed already.
            include_down: Where no server looks usable, take one that was found down.
        """
        left = [node for node in self.nodes if node.index not in excluded]
        candidates = [node for node in left if node.is_usable and node.circuit.allows]
        if not candidates and include_down:
            candidates = [node for node in left if node.circuit.allows]
        warm_index = self._warmth.node_of(conversation_key)

        def rank(node: Node) -> tuple[int, bool, float, int]:
            info = node.model(model)
            fit = 2 if info is None else int(not info.is_loaded)
            if info is not None and not node.learned(info.key).load.allows:
                fit = 3
            is_warm = node.index == warm_index and node.in_flight < node.slots
            return fit, not is_warm, node.in_flight / node.slots, node.index

        return min(candidates, key=rank, default=None)

    def warm_copy(self, conversation_key: str, node: Node) -> Copy | None:
        """Return the copy that has a conversation in its cache on this server."""
        return self._warmth.copy(conversation_key, node.index)

    def note_warm(
        self, conversation_key: str, node: Node, instance: str, turns: Sequence[ChatTurn]
    ) -> None:
        """Remember where a conversation was answered, and what its model read of it."""
        parallel = next((one.parallel for one in node.instances if one.id == instance), 1)
        self._warmth.note(conversation_key, node.index, instance, turns, parallel)

    def model(self, key: str | None) -> ModelInfo | None:
        """Return what is known of a model: where it is loaded, if it is anywhere."""
        found = [info for node in self._available() if (info := node.model(key)) is not None]
        return next((info for info in found if info.is_loaded), found[0] if found else None)

    def capacity(self) -> Capacity:
        """Return slots and shared tokens over all available servers."""
        nodes = self._available()
        slots = sum(node.slots for node in nodes)
        pools = [instance.pool_tokens for node in nodes for instance in node.instances]
        known = [tokens for tokens in pools if tokens is not None]
        return Capacity(max(1, slots), sum(known) if known and len(known) == len(pools) else None)

    def is_available(self) -> bool:
        """Return whether any server is believed to answer."""
        return any(node.is_usable for node in self.nodes)

    def look_again(self) -> None:
        """Probe all servers soon, because somebody waits."""
        for node in self.nodes:
            node.look_again()

    def _available(self) -> list[Node]:
        return [node for node in self.nodes if node.is_usable]
