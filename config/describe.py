"""The settings in words, for people: ``.env.example`` and the tables of the documentation.

``python -m config.describe`` writes them anew in the current folder; a test fails when they are
stale.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import SecretStr

from config import names
from config.names import Target

ENV_EXAMPLE: Final = Path(".env.example")
DOCUMENTS: Final = (Path("README.md"), Path("docs/configuration.md"))
"""Files with tables between ``<!-- settings:NAME -->`` and ``<!-- /settings -->``."""

_TABLE_START: Final = re.compile(r"<!-- settings:(\w{1,32}) -->\n")
_TABLE_END: Final = "<!-- /settings -->"


def env_example() -> str:
    """Return the text of ``.env.example``: every setting, commented out, with its default."""
    lines = [
        "# Copy this file to .env and fill in what you need; only DISCORD_TOKEN is required.",
        "# The environment wins over .env, .env over clawbot.json, clawbot.json over the defaults.",
        "# Made by `python -m config.describe`; what each setting may be is in docs/configuration.md.",
        "",
        "# Bot token, from https://discord.com/developers/applications",
        "DISCORD_TOKEN=",
    ]
    token = Target("discord", "token")
    section = ""
    for target in names.targets():
        if target.section != section:
            section = target.section
            lines += ["", f"# --- {section} ---"]
        if target != token:
            lines += [
                f"# {_meaning(target)}: {names.allowed(target)}",
                f"#{names.preferred_name(target)}={_default(target)}",
            ]
    lines += ["", "# Path of the settings file", f"#{names.CONFIG_PATH}={names.CONFIG_FILE}"]
    return "\n".join(lines) + "\n"


def with_tables(document: str) -> str:
    """Return a Markdown document with its tables of settings made anew."""
    done: list[str] = []
    while found := _TABLE_START.search(document):
        before, after = document[: found.end()], document[found.end() :]
        done += (before, _TABLES[found[1]]())
        document = after[after.index(_TABLE_END) :]
    return "".join([*done, document])


def _short_table() -> str:
    rows = [
        (f"`{name}`", _meaning(target), _shown_default(target))
        for name, target in names.CONTRACT_NAMES.items()
    ]
    rows.append((f"`{names.CONFIG_PATH}`", "Path of the settings file", f"`{names.CONFIG_FILE}`"))
    return _markdown(("name", "meaning", "default"), rows)


def _flat_table() -> str:
    rows = [
        (f"`{key}`", _meaning(target), names.allowed(target), _shown_default(target))
        for key, target in names.FLAT_KEYS.items()
    ]
    return _markdown(("key", "meaning", "may be", "default"), rows)


def _full_table() -> str:
    rows = [
        (
            f"`{names.preferred_name(target)}`",
            f"`{target.path}`",
            _meaning(target),
            names.allowed(target),
            _shown_default(target),
            _by_command(target),
        )
        for target in names.targets()
    ]
    return _markdown(("environment", "file", "meaning", "may be", "default", "/config"), rows)


def _by_command(target: Target) -> str:
    """Return what a setting is called in ``/config`` and the narrowest scope; nothing if it isn't."""
    name = next((name for name, live in names.live_targets().items() if live == target), None)
    return "" if name is None else f"`{name}`: {names.mark(target).reach}"


_TABLES: Final[MappingProxyType[str, Callable[[], str]]] = MappingProxyType(
    {"short": _short_table, "flat": _flat_table, "full": _full_table}
)


def _markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _meaning(target: Target) -> str:
    return target.info.description or ""


def _shown_default(target: Target) -> str:
    text = _default(target)
    if len(text) > 60:
        return "the built-in one"
    return f"`{text}`" if text else "none"


def _default(target: Target) -> str:
    value: object = target.info.default
    if value is None or isinstance(value, SecretStr):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)


def main() -> None:
    """Write every generated file anew."""
    ENV_EXAMPLE.write_text(env_example(), encoding="utf-8", newline="\n")
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        path.write_text(with_tables(text), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
