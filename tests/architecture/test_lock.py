"""``requirements.lock`` pins everything that runs, with hashes and without addresses."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "requirements.lock").read_text(encoding="utf-8")
IMAGE = (ROOT / "deploy/container/requirements.lock").read_text(encoding="utf-8")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked(text: str) -> dict[str, Requirement]:
    """Return the pinned requirements by name."""
    entries = re.split(r"\n(?=\S)", text.replace("\\\n", ""))
    lines = [re.split(r"\s+--hash=", entry)[0] for entry in entries if entry[:1].isalnum()]
    pinned = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in pinned}


LOCKED = locked(TEXT)


def version_of(name: str) -> str:
    """Return the one version that is pinned."""
    (pin,) = LOCKED[name].specifier
    assert pin.operator == "=="
    return pin.version


def test_every_dependency_of_the_project_is_pinned_within_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in [*project["dependencies"], *project["optional-dependencies"]["charts"]]:
        requirement = Requirement(line)
        assert version_of(canonicalize_name(requirement.name)) in requirement.specifier, line


@pytest.mark.parametrize("name", sorted(LOCKED))
def test_what_a_pinned_package_needs_is_pinned_too(name: str) -> None:
    try:
        needs = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        # Only for other systems or versions of Python: the lock must say so.
        marker = LOCKED[name].marker
        assert marker is not None
        assert not marker.evaluate()
        return
    for line in needs:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            assert canonicalize_name(requirement.name) in LOCKED, f"{name} needs {line}"


@pytest.mark.parametrize("text", [TEXT, IMAGE], ids=["all", "image"])
def test_every_version_has_its_hashes(text: str) -> None:
    for block in re.split(r"\n(?=[a-z])", text):
        if block[:1].isalnum():
            assert HASH.search(block), block.splitlines()[0]


@pytest.mark.parametrize("text", [TEXT, IMAGE], ids=["all", "image"])
def test_there_are_no_addresses(text: str) -> None:
    assert "://" not in text
    assert not re.search(r"^--", text, re.MULTILINE)


def test_the_image_runs_on_the_same_versions_and_on_postgresql() -> None:
    image = locked(IMAGE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["postgres"]]
    assert {canonicalize_name(Requirement(line).name) for line in needed} <= image.keys()
    for name, requirement in image.items():
        if name in LOCKED:
            assert requirement.specifier == LOCKED[name].specifier, name


def test_the_lock_holds_on_every_system() -> None:
    """A lock made for one system would lack what another needs, or have no marker for it."""
    marker = LOCKED["audioop-lts"].marker
    assert marker is not None
    assert marker.evaluate({"python_full_version": "3.13.0"})
    assert not marker.evaluate({"python_full_version": "3.11.0"})
