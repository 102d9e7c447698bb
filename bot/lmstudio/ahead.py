"""Reading a prompt's beginning ahead: one piece of it, while nobody waits for the model.

A server drops a client's request between two batches only, and may read a prompt to its end although
the client has left (both seen). So a prompt is read in pieces of 0.15 s, each a completion of one token
that goes a little further than the one before, and a question waits for one at most.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import ChatRequest, ChatTurn, Pace, Role, Usage
from bot.core.errors import BackendError
from bot.lmstudio.completion import REASONING_EFFORTS, encode_body, fitting, normalise
from bot.lmstudio.learned import SHORTEST_S, LearnedCapabilities, Read, weight
from bot.lmstudio.nodes import Fleet, Node
from bot.lmstudio.run import name_for
from bot.lmstudio.transport import CONNECT_LIMIT_S, Exchange, TimeLimits

LONGEST_S: Final = 2 * SHORTEST_S
"""Seconds that a first piece may take where it must be longer, so as to take no other's slot: a question
that comes meanwhile waits for it, and what would take longer is left."""

LEAST_PIECE: Final = 32
"""Tokens of the shortest piece: fewer are read no faster, as a rule, and a rest of fewer isn't worth one."""

_MEASURED_S: Final = 0.5
"""Shorter pieces say little of how fast a model reads: too much of their time is the request's."""

MOST_MISSES: Final = 3
"""After so many pieces in a row that went on from nothing, a server counts as one without a cache."""

MISSES_HOLD_S: Final = 1800.0
"""Seconds until such a server is tried again: it may only have been busy with somebody else's work."""

_LIST_AGE_S: Final = 2.0
"""Seconds that a list of what is loaded holds: a request for a model that isn't would load it."""

_LIMIT_S: Final = 60.0
_NEXT: Final = ChatTurn(Role.USER, ".")
"""Stands for the person's next message, since templates end with one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece that was read.

    Attributes:
        tokens: How many.
        took_s: Seconds.
        expected_s: Seconds that so many should have taken.
    """

    tokens: int
    took_s: float
    expected_s: float


@dataclass(frozen=True, slots=True)
class _Next:
    """What is to be read next: by which copy, and how many tokens are new, and known, to it.

    Attributes:
        doublings: Of the shortest length; ``None`` where the piece has another than that.
    """

    name: str
    read: Read
    new: int
    known: int
    doublings: int | None = None


def cut(turns: Sequence[ChatTurn], most: float, known: float = 0.0) -> Read:
    """Return the beginning of a prompt: whole turns, and the beginning of one if it is long.

    Args:
        turns: The prompt.
        most: How much of it, in the turns' weights; at least one turn or a part of it is returned.
        known: How much of it was read before: more is returned, where need be to the middle of a word.
    """
    left = most
    for count, turn in enumerate(turns):
        size = weight(turn)
        if size <= left or turn.images:
            left -= size
            if left > 0:
                continue
            return Read(tuple(turns[: count + 1]))
        end = max(1, int(left))
        space = turn.text.rfind(" ", max(0, math.ceil(left - (most - known))), end)
        part = replace(turn, text=turn.text[: end if space < 0 else space + 1])
        return Read(tuple(turns[:count]), part)
    return Read(tuple(turns))


class Reader:
    """Reads prompts ahead on the servers that would answer them.

    Args:
        fleet: The servers.
        clock: Time.
    """

    def __init__(self, fleet: Fleet, clock: Clock) -> None:
        self._fleet = fleet
        self._clock = clock

    async def read(self, request: ChatRequest) -> Piece | None:
        """Read the next piece of a prompt.

        Args:
            request: The prompt, ending with an answer, or the persona alone.

        Returns:
            ``None`` where nothing is to be done: it is in the cache already, its model isn't loaded,
            the server works for somebody else, or keeps no cache.

        Raises:
            BackendError: It failed.
        """
        node = self._fleet.choose(request.model, request.conversation_key, frozenset())
        if node is None or node.in_flight or node.circuit.state != "closed":
            return None
        if self._next_piece(node, request) is None or await node.is_working(_LIST_AGE_S):
            return None
        piece = self._next_piece(node, request)  # the list of what is loaded is a fresh one now
        return None if piece is None else await self._send(node, request, piece)

    def _next_piece(self, node: Node, request: ChatRequest) -> _Next | None:
        info = node.model(request.model)
        if info is None or not info.is_loaded or info.context_tokens is None:
            return None
        learned = node.learned(info.key)
        home = self._fleet.home(request.conversation_key, node)
        name = name_for(node, info, request.model, home)
        turns = normalise((*request.turns, _NEXT), fold_system=learned.folds_system)[:-1]
        if not name or not turns or self._has_no_cache(learned):
            return None
        fresh = request.prompt_tokens * self._fleet.fresh_share(node, name, turns)
        if fresh < LEAST_PIECE:
            return None
        per_token = sum(map(weight, turns)) / request.prompt_tokens
        known, least = self._fleet.ahead(request.conversation_key, node, name, turns)
        if node.catalogue is not None and node.catalogue.tells_work:
            least = 0  # llama.cpp's server keeps in its memory what a slot loses
        speed = learned.speed.tokens_per_s
        known_tokens = round(known / per_token)
        left = request.prompt_tokens - known_tokens
        doublings = learned.pieces.doublings(speed)
        piece = usual = max(LEAST_PIECE, round(speed * SHORTEST_S * 2**doublings))
        if least:
            needed = round(least / per_token) + 1
            if needed >= left or needed > speed * LONGEST_S:
                return None
            piece = max(piece, needed)
        if left <= piece * 1.25:
            return _Next(name, Read(turns), left, known_tokens)
        read = cut(turns, known + piece * per_token, known)
        return _Next(
            name, read, piece, known_tokens, doublings=doublings if piece == usual else None
        )

    def _has_no_cache(self, learned: LearnedCapabilities) -> bool:
        is_recent = self._clock.monotonic() - learned.missed_at_s < MISSES_HOLD_S
        return learned.cache_misses >= MOST_MISSES and is_recent

    async def _send(self, node: Node, request: ChatRequest, piece: _Next) -> Piece:
        began_s = self._clock.monotonic()
        limits = TimeLimits(CONNECT_LIMIT_S, _LIMIT_S, _LIMIT_S, began_s + _LIMIT_S)
        exchange = Exchange(node.transport, self._clock, limits, max_tokens=1, pace=Pace())
        try:
            with node.running(piece.name, None):
                events = exchange.events(self._body(node, request, piece))
                async with contextlib.aclosing(events) as progress:
                    async for _ in progress:
                        pass
        except BackendError:
            if not exchange.decoder.has_ended:  # a token that shows nothing is no failure here
                raise
        self._fleet.note_warm(request.conversation_key, node, piece.name, piece.read)
        took_s = self._clock.monotonic() - began_s
        learned = node.learned(node.key_of(request.model))
        return self._judged(learned, piece, exchange.decoder.usage, took_s)

    def _judged(
        self, learned: LearnedCapabilities, piece: _Next, usage: Usage | None, took_s: float
    ) -> Piece:
        """Learn from a piece: how fast it was, and whether it went on from the one before."""
        speed, tokens = learned.speed, piece.new
        expected_s = speed.expected_s(piece.new)
        cached = None if usage is None else usage.cached_tokens
        if usage is not None and cached is not None:
            tokens = min(max(0, usage.prompt_tokens - cached), piece.known + piece.new)
            is_shown = piece.known >= 2 * LEAST_PIECE
            is_missed = is_shown and cached < piece.known / 2
        else:
            as_if_cold_s = speed.expected_s(piece.known + piece.new)
            is_shown = piece.known >= 2 * piece.new
            is_missed = is_shown and took_s > max(2 * expected_s + 0.5, 0.6 * as_if_cold_s)
        if is_shown:
            learned.cache_misses = learned.cache_misses + 1 if is_missed else 0
            learned.missed_at_s = self._clock.monotonic()
        if (cached is not None or not is_missed) and took_s >= _MEASURED_S:
            speed.learn(tokens, took_s, is_certain=cached is not None)
        if piece.doublings is not None and not is_missed:
            learned.pieces.learn(piece.doublings, piece.new, took_s)
        return Piece(tokens, took_s, expected_s)

    def _body(self, node: Node, request: ChatRequest, piece: _Next) -> bytes:
        info = node.model(request.model)
        learned = node.learned(node.key_of(request.model))
        effort = fitting(
            REASONING_EFFORTS.get(request.reasoning), info.reasoning_options if info else ()
        )
        read = piece.read
        turns = (*read.turns, *([] if read.part is None else [read.part]))
        if turns[-1].role is not Role.USER:
            turns = (*turns, _NEXT)
        refused = learned.refused_fields
        return encode_body(
            model=piece.name,
            turns=turns,
            temperature=request.sampling.temperature,
            top_p=request.sampling.top_p,
            max_tokens=1,
            reasoning_effort=None if "reasoning_effort" in refused else effort,
            include_usage="stream_options" not in refused,
        )
