"""Who may import whom: the arrows of ``docs/contributing.md``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from tests.architecture.sources import SHIPPED, is_within, sources

OUTSIDE = {
    "discord": ("bot.app", "bot.ops.check", "bot.gateway", "cogs"),
    "aiohttp": (
        "bot.app",
        "bot.ops.check",
        "bot.gateway",
        "bot.demo.page",
        "bot.diagnostics",
        "bot.lmstudio",
        "bot.ops.metrics",
        "bot.ops.status_server",
        "bot.prompt.attachments.cdn",
        "bot.core.wording",
        "sandbox",
    ),
    "sqlalchemy": ("bot.storage",),
    "alembic": ("bot.storage",),
    "aiohttp_socks": ("bot.gateway.proxy",),
    "prometheus_client": ("bot.ops.metrics", "bot.ops.status_server"),
    "tenacity": ("bot.lmstudio",),
    "dotenv": ("config.environment",),
    "matplotlib": ("bot.diagnostics.chart_process",),
    "PIL": ("bot.prompt.attachments",),
    "pypdf": ("bot.prompt.attachments",),
    "prompt_toolkit": ("bot.demo.terminal",),
    "markdown_it": ("bot.demo.terminal",),
    "pygments": ("bot.demo.terminal",),
}
"""Packages from outside, and the only modules that know them."""

TOP = (
    "bot.app",
    "bot.__main__",
    "bot.cli",
    "bot.ops.check",
    "bot.ops.first_setup",
    "bot.gateway",
    "bot.demo",
)
"""What stands above the core, together with the cogs."""

PARTS = (
    "bot.prompt",
    "bot.lmstudio",
    "bot.output",
    "bot.delivery",
    "bot.queue",
    "bot.storage",
)
"""Parts of the core that know each other through ``bot.core.ports`` only."""

LOCAL_DISCORD = (
    "values",
    "options",
    "records",
    "faults",
    "checks",
    "state",
    "rendering",
    "gateway",
    "api",
    "people",
    "server",
)
"""The parts of ``sandbox.discord``: each imports only those before it."""


def _imports(*places: str) -> Iterator[tuple[str, str]]:
    """Yield each module inside these places with each module that it imports."""
    for source in sources(*SHIPPED):
        if is_within(source.module, places):
            yield from ((source.module, imported) for imported in source.imports)


def _told(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{module} imports {imported}" for module, imported in pairs]


def test_each_package_from_outside_has_its_place() -> None:
    assert not _told(
        (module, imported)
        for module, imported in _imports(*SHIPPED)
        for package, places in OUTSIDE.items()
        if is_within(imported, (package,)) and not is_within(module, places)
    )


def test_layers_point_one_way() -> None:
    assert not _told(
        (module, imported)
        for module, imported in _imports(*SHIPPED)
        if is_within(imported, _forbidden(module))
    )


def _forbidden(module: str) -> tuple[str, ...]:
    """Return what a module must not import."""
    if is_within(module, ("config",)):
        return ("bot", "cogs", "sandbox", "tests", "benchmarks")
    if is_within(module, ("sandbox",)):
        return ("bot", "cogs", "config", "discord", "tests", "benchmarks")
    if is_within(module, ("bot.demo",)):
        return ("cogs", "tests", "benchmarks")
    if module == "bot.app":
        return ("bot.cli", "bot.demo", "sandbox", "tests", "benchmarks")
    if is_within(module, ("cogs",)):
        return ("bot.app", "bot.cli", "bot.demo", "sandbox", "tests", "benchmarks")
    if is_within(module, TOP):
        return ("cogs", "sandbox", "tests", "benchmarks")
    return (*TOP, "cogs", "sandbox", "tests", "benchmarks")


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_of_the_core_meet_in_the_ports(part: str) -> None:
    others = tuple(other for other in PARTS if other != part)
    assert not _told(pair for pair in _imports(part) if is_within(pair[1], others))


def test_a_cog_knows_no_other_cog() -> None:
    assert not _told(
        (module, imported)
        for module, imported in _imports("cogs")
        if imported.startswith("cogs.") and not imported.startswith("cogs._")
    )


def test_the_sandbox_has_no_two_way_traffic() -> None:
    """Only the demo starts it, and only when asked: nothing else of the bot pays for its import."""
    assert not _told(
        (module, imported)
        for module, imported in _imports("bot", "cogs", "config")
        if is_within(imported, ("sandbox",)) and not is_within(module, ("bot.demo",))
    )


@pytest.mark.parametrize("part", LOCAL_DISCORD)
def test_the_parts_of_the_local_discord_import_only_those_before_them(part: str) -> None:
    later = LOCAL_DISCORD[LOCAL_DISCORD.index(part) + 1 :]
    forbidden = tuple(f"sandbox.discord.{each}" for each in later)
    assert not _told(
        pair for pair in _imports(f"sandbox.discord.{part}") if is_within(pair[1], forbidden)
    )
