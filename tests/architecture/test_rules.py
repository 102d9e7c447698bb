"""House rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import EVERYTHING, ROOT, Source, is_within, sources

OURS = sources("bot", "cogs", "config")
PRINTERS = ("bot.__main__", "bot.ops.check", "bot.ops.first_setup", "bot.demo", "config.describe")
CLOCKS = {"time.time", "time.monotonic", "time.sleep", "time.perf_counter", "asyncio.sleep"}
CLOCKS |= {"datetime.now", "datetime.utcnow", "datetime.today", "datetime.datetime.now"}


@pytest.mark.parametrize("source", OURS, ids=lambda source: source.module)
def test_time_comes_from_the_clock(source: Source) -> None:
    if source.module == "bot.core.clock":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CLOCKS:
            is_a_yield = ast.unparse(node) == "asyncio.sleep(0)"
            assert is_a_yield, f"{source.path}:{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("source", OURS, ids=lambda source: source.module)
def test_only_the_command_line_prints(source: Source) -> None:
    if is_within(source.module, PRINTERS):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "sys.stdout.write", "sys.stderr.write", "input"}


@pytest.mark.parametrize("source", OURS, ids=lambda source: source.module)
def test_the_loops_own_threads_are_left_to_the_resolving_of_names(source: Source) -> None:
    """Work that fills them cuts the bot off from every host: it has threads or processes of its own."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"asyncio.to_thread", "to_thread"}, source.path
            is_shared = called.endswith("run_in_executor") and ast.unparse(node.args[0]) == "None"
            assert not is_shared, f"{source.path}:{node.lineno}"


FORBIDDEN = {
    "a package registry": r"(pypi\.org|pythonhosted|registry\.npmjs|/simpl[e]/)",
    "a path of one machine": r"(?<![\w.])/(wor[k]|roo[t]|farm|home/\w+|Users/\w+|tmp/\w+)/",
    "something left to do": r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b|raise NotImplemente[d]",
    "a test that is left out": r"pytest\.ski[p]|mark\.(ski[p]|xfai[l])",
}
FILES = [
    path
    for pattern in ("*.md", "*.toml", "docs/**/*.md", ".env.example", "requirements.lock", ".ci/*")
    for path in sorted(ROOT.glob(pattern))
] + [ROOT / source.path for source in sources(*EVERYTHING)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_foreign_or_unfinished_is_left(path: Path) -> None:
    if path == Path(__file__):
        return
    text = path.read_text(encoding="utf-8")
    for what, pattern in FORBIDDEN.items():
        found = re.search(pattern, text)
        assert found is None, f"{what}: {found[0]}"


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
