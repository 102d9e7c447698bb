"""Which handler answers a method and path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from sandbox.discord.api.request import Handler
from sandbox.discord.values.errors import ApiError


@dataclass(frozen=True)
class Route:
    """A method and template, and who answers it.

    Attributes:
        limit: Route class of ``buckets.DEFAULT_LIMITS``.
        status: Status of a success with a body; without one it is 204.
        token: False: no Authorization is asked (interaction callbacks, webhooks).
    """

    method: str
    template: str
    handler: Handler
    limit: str = "other"
    status: int = 200
    token: bool = True
    parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.template.strip("/").split("/")))

    def match(self, parts: tuple[str, ...]) -> dict[str, str] | None:
        """Return the path's parameters if it fits the template."""
        found: dict[str, str] = {}
        for mine, given in zip(self.parts, parts, strict=True):
            if mine[0] == "{":
                found[mine[1:-1]] = given
            elif mine != given:
                return None
        return found


class Router:
    """Finds routes by number of parts."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[int, list[Route]] = {}
        for route in sorted(routes, key=lambda each: each.template.count("{")):
            self._routes.setdefault(len(route.parts), []).append(route)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Return the route and its parameters.

        Raises:
            ApiError: 405, the path exists with other methods only.
        """
        parts = tuple(unquote(part) for part in path.strip("/").split("/"))
        other = False
        for route in self._routes.get(len(parts), ()):
            params = route.match(parts)
            if params is None:
                continue
            if route.method == method:
                return route, params
            other = True
        if other:
            raise ApiError(0, status=405, message="405: Method Not Allowed")
        return None
