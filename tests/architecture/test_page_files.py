"""The demo's page: small, without a build step, its libraries as they were released."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "bot" / "demo" / "page" / "static"
VENDOR = STATIC / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))
LIBRARIES = MANIFEST["libraries"]
LISTED = {name: file for library in LIBRARIES for name, file in library["files"].items()}

LOADED = sorted(p for p in STATIC.rglob("*") if p.suffix in {".html", ".css", ".js", ".svg"})
OURS = [path for path in LOADED if VENDOR not in path.parents]
SCRIPTS = [path for path in OURS if path.suffix == ".js"]

MOST_BYTES = 300 * 1024
MOST_COMPRESSED_BYTES = 100 * 1024

HTML_SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|createContextualFragment"
    r"|\beval\(|new Function|srcdoc|javascript:"
)
IMPORT = re.compile(r'^(?:import|export)\b[^;]*?from\s+"([^"]+)"|^import "([^"]+)"', re.MULTILINE)
ADDRESS = re.compile(r"(?:https?|wss?)://[\w.]+")


@pytest.mark.parametrize("name", sorted(LISTED))
def test_a_vendored_file_is_the_one_that_was_released(name: str) -> None:
    digest = hashlib.sha256((VENDOR / name).read_bytes()).hexdigest()
    assert digest == LISTED[name]["sha256"]


def test_every_vendored_file_is_listed() -> None:
    there = {p.relative_to(VENDOR).as_posix() for p in VENDOR.rglob("*") if p.is_file()}
    assert there - {"manifest.json"} == set(LISTED)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda each: each["package"])
def test_a_library_comes_with_version_and_licence(library: dict[str, object]) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", str(library["version"]))
    assert library["licence"] in {"MIT", "BSD-3-Clause"}
    files = library["files"]
    assert isinstance(files, dict)
    assert any(Path(name).name == "LICENSE.txt" for name in files)


def test_the_page_is_small() -> None:
    contents = [path.read_bytes() for path in LOADED]
    assert sum(len(each) for each in contents) <= MOST_BYTES
    assert sum(len(gzip.compress(each, 9)) for each in contents) <= MOST_COMPRESSED_BYTES


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_of_ours_never_makes_nodes_or_code_of_text(path: Path) -> None:
    assert not HTML_SINKS.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_a_file_of_ours_names_no_address(path: Path) -> None:
    found = ADDRESS.findall(path.read_text(encoding="utf-8"))
    assert set(found) <= {"http://www.w3.org"}  # SVG's namespace, which is never fetched


def test_the_document_has_no_inline_script_or_style() -> None:
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_every_file_is_reached_from_the_document() -> None:
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    waiting = [STATIC / each for each in re.findall(r'(?:src|href)="/static/([^"]+)"', text)]
    reached = {STATIC / "index.html"}
    while waiting:
        path = waiting.pop().resolve()
        if path in reached:
            continue
        reached.add(path)
        if path.suffix == ".js" and VENDOR not in path.parents:
            found = IMPORT.findall(path.read_text(encoding="utf-8"))
            waiting.extend(path.parent / (named or bare) for named, bare in found)
    assert {path.resolve() for path in LOADED} == reached
