"""The wheel that ``pip install .`` builds in the project's folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def built(folder: Path, into: str) -> set[str]:
    """Build the wheel, as pip does, and return its modules."""
    (folder / into).mkdir()
    subprocess.run(  # noqa: S603
        [sys.executable, "-c", BUILD, into], cwd=folder, check=True, capture_output=True, timeout=50
    )
    (wheel,) = (folder / into).glob("*.whl")
    with ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if name.endswith(".py")}


def test_a_wheel_holds_nothing_that_an_earlier_one_left_behind(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    package = tmp_path / "bot/old"
    package.mkdir(parents=True)
    (tmp_path / "bot/__init__.py").touch()
    (package / "__init__.py").touch()
    assert built(tmp_path, "first") == {"bot/__init__.py", "bot/old/__init__.py"}
    shutil.rmtree(package)
    package.with_suffix(".py").touch()
    assert built(tmp_path, "second") == {"bot/__init__.py", "bot/old.py"}
