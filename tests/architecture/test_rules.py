"""Rules of this tree that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.sources import EVERYTHING, ROOT, is_within, sources

PRINTERS = ("bot.cli", "bot.ops.check", "bot.ops.first_setup", "bot.demo", "config.describe")
CLOCKS = {"time.time", "time.monotonic", "time.sleep", "time.perf_counter", "asyncio.sleep"}
CLOCKS |= {"datetime.now", "datetime.utcnow", "datetime.today", "datetime.datetime.now"}


def _calls(*except_in: str) -> Iterator[tuple[str, ast.Call, str]]:
    """Yield the place, the node and the called name of each call of the product."""
    for source in sources("bot", "cogs", "config"):
        if not is_within(source.module, except_in):
            for node, called in source.calls():
                yield f"{source.path}:{node.lineno}: {called}", node, called


def test_time_comes_from_the_clock() -> None:
    assert not [
        place
        for place, node, called in _calls("bot.core.clock")
        if called in CLOCKS and ast.unparse(node) != "asyncio.sleep(0)"
    ]


def test_only_the_command_line_prints() -> None:
    printing = {"print", "sys.stdout.write", "sys.stderr.write", "input"}
    assert not [place for place, _, called in _calls(*PRINTERS) if called in printing]


def test_the_loops_own_threads_are_left_to_the_resolving_of_names() -> None:
    """Work that fills them cuts the bot off from every host: it has threads or processes of its own."""
    assert not [
        place
        for place, node, called in _calls()
        if called in {"asyncio.to_thread", "to_thread"}
        or (called.endswith("run_in_executor") and ast.unparse(node.args[0]) == "None")
    ]


FORBIDDEN = {
    "a package registry": r"(pypi\.org|pythonhosted|registry\.npmjs|/simpl[e]/)",
    "a path of one machine": r"(?<![\w.])/(wor[k]|roo[t]|farm|home/\w+|Users/\w+|tmp/\w+)/",
    "something left to do": r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b|raise NotImplemente[d]",
    "a test that is left out": r"pytest\.ski[p]|mark\.(ski[p]|xfai[l])",
}
PAPERS = ("*.md", "*.toml", "docs/**/*.md", ".env.example", "requirements.lock", ".ci/*")


def test_nothing_foreign_or_unfinished_is_left() -> None:
    texts = {source.path: source.text for source in sources(*EVERYTHING)}
    for pattern in PAPERS:
        for path in ROOT.glob(pattern):
            texts[path.relative_to(ROOT)] = path.read_text(encoding="utf-8")
    del texts[Path(__file__).relative_to(ROOT)]
    assert not [
        f"{path}: {what}: {found[0]}"
        for path, text in texts.items()
        for what, pattern in FORBIDDEN.items()
        if (found := re.search(pattern, text))
    ]


WATCHED_IMPORT = """
import importlib, logging, sys, threading

def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if writes or event in {"socket.bind", "socket.connect", "subprocess.Popen", "os.mkdir"}:
        raise RuntimeError(f"{event} {arguments} while importing")

sys.dont_write_bytecode = True
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
assert threading.active_count() == 1, threading.enumerate()
assert not logging.getLogger().handlers
"""


def test_nothing_runs_at_import() -> None:
    """Every module can be imported: no socket, file, process, thread or log handler comes of it."""
    modules = [
        source.module
        for source in sources("bot", "cogs", "config", "sandbox")
        if "migrations.versions" not in source.module
        and not source.module.endswith("migrations.env")
    ]
    ended = subprocess.run(  # noqa: S603 - our own interpreter, our own modules
        [sys.executable, "-W", "ignore", "-c", WATCHED_IMPORT, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
