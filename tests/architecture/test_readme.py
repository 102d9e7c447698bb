"""What README promises is what there is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import discord
import pytest

from bot.cli import main
from cogs._options import GROUPS
from config.names import environment_names
from tests.architecture.sources import ROOT, sources

README = (ROOT / "README.md").read_text(encoding="utf-8")

PARENTS = {"endpoint": "model ", "server": "privacy "}
"""Groups inside a group, with what stands before their names."""


def commands() -> Iterator[str]:
    """Yield every slash command that the cogs define, as ``group command``."""
    yield from (f"config {name}" for name in GROUPS)
    for source in sources("cogs"):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from (
                    name for each in node.decorator_list if (name := _command(each, node.name))
                )


def _command(decorator: ast.expr, function: str) -> str | None:
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
        return None
    if decorator.func.attr != "command":
        return None
    given = [each.value for each in decorator.keywords if each.arg == "name"]
    own = ast.literal_eval(given[0]) if given else function.rstrip("_")
    group = ast.unparse(decorator.func.value).rpartition(".")[2]
    if group in {"app_commands", "commands"}:
        return own
    return f"{PARENTS.get(group, '')}{group} {own}"


def test_the_table_of_commands_is_complete() -> None:
    table = README.partition("## Commands")[2].partition("## Settings")[0]
    promised = set(re.findall(r"`/([a-z]+(?: [a-z-]+){0,2})`", table))
    assert promised == set(commands())


def test_the_invitation_asks_for_what_it_says() -> None:
    wanted = discord.Permissions(
        view_channel=True,
        send_messages=True,
        send_messages_in_threads=True,
        read_message_history=True,
        attach_files=True,
        add_reactions=True,
    )
    assert f"permissions={wanted.value}" in README


def texts() -> str:
    """Return every text of the product, each on lines of its own."""
    return "\n".join(
        node.value
        for package in ("bot", "cogs", "config")
        for source in sources(package)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_the_table_of_troubles_quotes_what_is_said_and_names_what_there_is() -> None:
    table = README.partition("## When something is wrong")[2].partition("\n## ")[0]
    said = texts()
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)[2:]
    quoted = [words for seen, _ in rows for words in re.findall(r'"(.+?)"', seen)]
    assert len(quoted) > 10
    assert [words for words in quoted if words not in said] == []
    names = [name for _, advice in rows for name in re.findall(r"`([A-Z_]{8,})[`=]", advice)]
    assert set(names) <= environment_names().keys()


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_commands_of_the_terminal_exist(capsys: pytest.CaptureFixture[str]) -> None:
    for command in set(re.findall(r"clawbot ([a-z]+)", README)):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0, command
    assert "usage: clawbot" in capsys.readouterr().out
