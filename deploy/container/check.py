"""Builds the image's stages without a container runtime: each step of the Dockerfile in a Debian root.

    sudo python3 deploy/container/check.py /var/tmp/clawbot-image

Needs root, mmdebstrap and a network. ``FROM debian:N-slim`` becomes a root that mmdebstrap makes, less
what Debian's slim images leave out (manuals, documents, translations); RUN, COPY, ARG, ENV, WORKDIR
and USER do what they do in a build. At the end the image's command is run as its user, on a root that
can't be written: the version, the demo, and the health command's Python. What it can't show: layers,
the image's own format, and a registry's base image.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SUITES = {"12": "bookworm", "13": "trixie"}
NOT_IN_SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info")
PASSED_ON = ("PIP_CERT", "PIP_INDEX_URL", "PIP_FIND_LINKS", "http_proxy", "https_proxy")
"""Settings of this machine that a build needs to reach its packages."""


class Stage:
    """One root that is being built."""

    def __init__(self, root: Path, arguments: dict[str, str]) -> None:
        self.root = root
        self.arguments = arguments
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.folder = "/"
        self.user = "0:0"
        self.commands: dict[str, list[str]] = {}

    def run(self, *command: str, passed_on: bool = True) -> None:
        """Run a command in the root as the stage's user.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        outside = {name: os.environ[name] for name in PASSED_ON if passed_on and name in os.environ}
        inside = {**outside, **self.arguments, **self.environment}
        words = [f"{name}={value}" for name, value in inside.items()]
        script = f"cd {shlex.quote(self.folder)} && exec {shlex.join(command)}"
        chroot = ["chroot", f"--userspec={self.user}", str(self.root), "env", "-i", *words]
        subprocess.run([*chroot, "sh", "-c", script], check=True)

    def inside(self, place: str) -> Path:
        """Return where a path of the image is on this machine."""
        return self.root / (Path(self.folder) / place).relative_to("/")


def instructions(text: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions in order, each with its words."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    found = [line.strip().partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name, words.strip()) for name, _, words in found]


def make_root(image: str, root: Path) -> None:
    """Make the root of Debian's slim image of a release."""
    release = re.fullmatch(r"debian:(\d+)\.\d+-slim", image)
    if release is None:
        sys.exit(f"the check knows Debian's slim images only, not {image}")
    suite = SUITES[release[1]]
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", suite, root],
        check=True,
    )
    for folder in NOT_IN_SLIM:
        shutil.rmtree(root / folder, ignore_errors=True)
        (root / folder).mkdir(parents=True)
    for file in ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"):
        shutil.copy(Path("/") / file, root / file)


def copy(stage: Stage, words: str, stages: dict[str, Stage]) -> None:
    """Carry out a COPY."""
    *sources, target = shlex.split(words)
    origin = PROJECT
    if sources[0].startswith("--from="):
        origin = stages[sources.pop(0).partition("=")[2]].root
    for source in sources:
        where = origin / source.lstrip("/")
        to = stage.inside(target)
        if where.is_dir():
            shutil.copytree(where, to, symlinks=True, dirs_exist_ok=True)
        else:
            to = to / where.name if target.endswith("/") else to
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(where, to)


def carry_out(stage: Stage, name: str, words: str, stages: dict[str, Stage]) -> None:
    """Carry out one instruction other than FROM."""
    for argument, value in stage.arguments.items():
        words = words.replace(f"${{{argument}}}", value)
    if name == "RUN":
        stage.run("sh", "-ec", words)
    elif name == "COPY":
        copy(stage, words, stages)
    elif name == "ARG":
        argument, _, default = words.partition("=")
        stage.arguments.setdefault(argument, default)
    elif name == "ENV":
        pairs = (pair.partition("=") for pair in shlex.split(words))
        path = stage.environment["PATH"]
        stage.environment |= {key: value.replace("$PATH", path) for key, _, value in pairs}
    elif name == "WORKDIR":
        stage.folder = words
        stage.inside(".").mkdir(parents=True, exist_ok=True)
    elif name == "USER":
        stage.user = words
    elif name in {"ENTRYPOINT", "CMD"}:
        stage.commands[name] = json.loads(words)


def build(folder: Path) -> Stage:
    """Build every stage below ``folder`` and return the last."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for name, words in instructions((PROJECT / "deploy/container/Dockerfile").read_text("utf-8")):
        print(f"== {name} {' '.join(words.split())[:100]}", flush=True)
        if name == "FROM":
            image, _, label = words.partition(" AS ")
            stage = Stage(folder / (label or "image"), {})
            make_root(image, stage.root)
            stages[label or "image"] = stage
        elif stage is not None:
            carry_out(stage, name, words, stages)
    assert stage is not None
    return stage


def size_mb(root: Path) -> float:
    """Return how much the files of a root take, in megabytes."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6


def try_it(image: Stage) -> None:
    """Run what people run, as the image's user, on a root that is mounted read-only but for /data."""
    root = str(image.root)
    for command in (["mount", "--bind", root, root], ["mount", "-o", "remount,ro,bind", root]):
        subprocess.run(command, check=True)
    data, temporary = f"{root}/data", f"{root}/tmp"
    mounts = [root]
    try:
        for where, options in ((data, "uid=10001,gid=10001,mode=700"), (temporary, "mode=1777")):
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", where], check=True)
            mounts.insert(0, where)
        for words in (["--version"], ["demo", "--once"]):
            print("==", *image.commands["ENTRYPOINT"], *words, flush=True)
            image.run(*image.commands["ENTRYPOINT"], *words, passed_on=False)
    finally:
        for where in mounts:
            subprocess.run(["umount", where], check=True)


def main() -> None:
    """Build and try the image in a new folder that is given."""
    if len(sys.argv) != 2 or os.geteuid() != 0:
        sys.exit(f"usage, as root: {sys.argv[0]} NEW_FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir()
    image = build(folder)
    try_it(image)
    print(f"the image's files: {size_mb(image.root):.0f} MB; its roots are left in {folder}")


if __name__ == "__main__":
    main()
