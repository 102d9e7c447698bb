"""Who may import whom: the arrows of ``docs/contributing.md``."""

from __future__ import annotations

import pytest

from tests.architecture.sources import SHIPPED, Source, is_within, sources

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
        "cogs._calls",  # discord.py lets aiohttp's failures through
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

TOP = ("bot.app", "bot.__main__", "bot.ops.check", "bot.ops.first_setup", "bot.gateway", "bot.demo")
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

SOURCES = sources(*SHIPPED)
IDS = [source.module for source in SOURCES]


@pytest.mark.parametrize("source", SOURCES, ids=IDS)
def test_each_package_from_outside_has_its_place(source: Source) -> None:
    for imported in source.imports():
        for package, places in OUTSIDE.items():
            if is_within(imported, (package,)):
                assert is_within(source.module, places), f"{source.module} imports {imported}"


@pytest.mark.parametrize("source", SOURCES, ids=IDS)
def test_layers_point_one_way(source: Source) -> None:
    forbidden = _forbidden(source.module)
    for imported in source.imports():
        assert not is_within(imported, forbidden), f"{source.module} imports {imported}"


def _forbidden(module: str) -> tuple[str, ...]:
    """Return what a module must not import."""
    if is_within(module, ("config",)):
        return ("bot", "cogs", "sandbox", "tests", "benchmarks")
    if is_within(module, ("sandbox",)):
        return ("bot", "cogs", "config", "discord", "tests", "benchmarks")
    if is_within(module, ("bot.demo",)):
        return ("cogs", "tests", "benchmarks")
    if module == "bot.app":
        return ("bot.__main__", "bot.demo", "sandbox", "tests", "benchmarks")
    if is_within(module, ("cogs",)):
        return ("bot.app", "bot.__main__", "bot.demo", "sandbox", "tests", "benchmarks")
    if is_within(module, TOP):
        return ("cogs", "sandbox", "tests", "benchmarks")
    return (*TOP, "cogs", "sandbox", "tests", "benchmarks")


@pytest.mark.parametrize(
    "source",
    [source for source in SOURCES if is_within(source.module, PARTS)],
    ids=lambda source: source.module,
)
def test_the_parts_of_the_core_meet_in_the_ports(source: Source) -> None:
    own = next(part for part in PARTS if is_within(source.module, (part,)))
    others = tuple(part for part in PARTS if part != own)
    for imported in source.imports():
        assert not is_within(imported, others), f"{source.module} imports {imported}"


@pytest.mark.parametrize(
    "source",
    [source for source in SOURCES if source.package == "cogs"],
    ids=lambda source: source.module,
)
def test_a_cog_knows_no_other_cog(source: Source) -> None:
    for imported in source.imports():
        if is_within(imported, ("cogs",)) and imported != "cogs":
            name = imported.split(".")[1]
            assert name.startswith("_"), f"{source.module} imports {imported}"


def test_the_sandbox_has_no_two_way_traffic() -> None:
    """Only the demo starts it, and only when asked: nothing else of the bot pays for its import."""
    users = {
        source.module
        for source in SOURCES
        if source.package != "sandbox"
        and any(is_within(imported, ("sandbox",)) for imported in source.imports())
    }
    assert all(is_within(user, ("bot.demo",)) for user in users)


@pytest.mark.parametrize("part", LOCAL_DISCORD)
def test_the_parts_of_the_local_discord_import_only_those_before_them(part: str) -> None:
    later = LOCAL_DISCORD[LOCAL_DISCORD.index(part) + 1 :]
    forbidden = tuple(f"sandbox.discord.{each}" for each in later)
    for source in SOURCES:
        if is_within(source.module, (f"sandbox.discord.{part}",)):
            for imported in source.imports():
                assert not is_within(imported, forbidden), f"{source.module} imports {imported}"
