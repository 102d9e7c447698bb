"""What the operator wrote: the environment, ``.env`` and the settings file; and writing ``.env``.

The only impure part of configuration; ``config.loader`` judges what is read here.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from dotenv import set_key, unset_key
from dotenv.parser import parse_stream

from config import names
from config.loader import LoadResult, SettingsError, load_settings

DOTENV: Final = ".env"
"""The file of environment variables, in the folder where the bot is started."""

LIMIT_BYTES: Final = 1_048_576
"""No settings file is longer; a wrong path to something huge is not read into memory."""

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


_JSON_MISTAKES: Final = (
    (
        "Expecting property name",
        (
            'a name in "double quotes" must stand here; no comma after the last setting, '
            "no comments, and a number has a point, not a comma"
        ),
    ),
    ("Illegal trailing comma", "there may be no comma after the last setting"),
    (
        "Expecting value",
        'a value must stand here: text in "double quotes", a number, true, false or null',
    ),
    ("Expecting ',' delimiter", "a comma or a closing bracket is missing here"),
    ("Expecting ':' delimiter", "a colon is missing here"),
    ("Extra data", "nothing may follow the closing bracket"),
    ("Unterminated string", "the text that begins here has no closing quote"),
    ("Invalid control character", "a line break or tab inside a text is written \\n or \\t"),
    ("Invalid \\", "a backslash inside a text is written twice: \\\\"),
)
"""How Python's messages on JSON begin, and what they mean to a person."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What was found, before it is judged.

    Attributes:
        env: The environment, with ``.env`` under it.
        file: The settings file's content; ``None`` if there is none or it can't be read.
        file_name: The settings file's path, for messages.
        problems: What could not be read, one line each.
        warnings: What is unwise about the files, one line each.
    """

    env: Mapping[str, str]
    file: Mapping[str, Any] | None = None
    file_name: str = names.CONFIG_FILE
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def load(self, *, require_token: bool = False) -> LoadResult:
        """Judge what was read.

        Args:
            require_token: A missing ``DISCORD_TOKEN``, or what can't be one, is a problem.

        Raises:
            SettingsError: Reading or checking found problems; all of them at once.
        """
        try:
            result = load_settings(
                self.env, self.file, file_name=self.file_name, require_token=require_token
            )
        except SettingsError as exc:
            raise SettingsError(self.problems + exc.problems) from None
        if self.problems:
            raise SettingsError(self.problems)
        return LoadResult(result.settings, self.warnings + result.warnings)


class UnreadableError(Exception):
    """A file can't be read; the message is the problem's line."""


def read_environment(
    environ: Mapping[str, str] | None = None,
    *,
    folder: Path = Path(),
    config_path: str | None = None,
) -> Sources:
    """Read the environment, ``.env`` and the settings file.

    Args:
        environ: The process environment; ``os.environ`` when left out.
        folder: Where ``.env`` and the default ``clawbot.json`` are looked for.
        config_path: The settings file, over ``CLAWBOT_CONFIG``.
    """
    process = dict(os.environ if environ is None else environ)
    problems: list[str] = []
    warnings: list[str] = []
    dotenv: dict[str, str] = {}
    dotenv_path = folder / DOTENV
    try:
        dotenv = _read_dotenv(dotenv_path, problems)
    except UnreadableError as exc:
        problems.append(str(exc))
    warnings += [
        f"{path}: isn't read; its name must be {DOTENV}, without an ending"
        for path in (dotenv_path.with_name(f"{DOTENV}.txt"), dotenv_path.with_name("env.txt"))
        if path.is_file() and not dotenv_path.exists()
    ]
    process = _unquoted(process, warnings)
    env = _merged(process, dotenv)
    _warn_if_open(dotenv_path, dotenv, warnings)
    given = config_path or env.get(names.CONFIG_PATH, "").strip()
    path = Path(given).expanduser() if given else folder / names.CONFIG_FILE
    file: Mapping[str, Any] | None = None
    try:
        file = _read_json(path, required=bool(given))
    except UnreadableError as exc:
        problems.append(str(exc))
    return Sources(env, file, str(path), tuple(problems), tuple(warnings))


_QUOTES: Final = frozenset("\"'")
_WORDS: Final = re.compile(r"\w+")
_BARE: Final = re.compile(r"[\w.:/@,+=~-]*+")
"""Values that every reader of env files takes without quotes: docker keeps those as they are."""
MORE_BYTES: Final = 4096
"""Room for more than people answer to the first set-up."""


def write_dotenv(path: Path, given: Mapping[str, str]) -> None:
    """Put values into a ``.env`` file, whole or not at all, readable for its owner only.

    What else it holds stays; other names of the same settings go, and an empty value is written only
    over another.

    Raises:
        OSError: The system doesn't allow it.
    """
    path = path.resolve()  # where it is a link, what it leads to is replaced
    with _beside(path) as (new, held):
        for name in {other for one in given for other in names.other_names(one) if other in held}:
            unset_key(new, name)
        for name, value in given.items():
            if value or name in held:
                mode = "never" if _BARE.fullmatch(value) else "always"
                set_key(new, name, value, quote_mode=mode)
        new.chmod(0o600)
        new.replace(path)


def try_dotenv(path: Path) -> None:
    """Write a longer ``.env`` file beside the one that is there, and take it away again.

    Raises:
        OSError: The system doesn't allow it, or the disk is full.
    """
    with _beside(path.resolve()) as (new, _), new.open("ab") as file:
        file.write(bytes(MORE_BYTES))
        file.flush()
        os.fsync(file.fileno())  # some file systems look for room only then


@contextmanager
def _beside(path: Path) -> Iterator[tuple[Path, str]]:
    """Copy a ``.env`` file, and return the copy and what it holds.

    In a folder of its own, since python-dotenv leaves its own copy behind where the disk is full.
    """
    held = read_text(path, required=False) or ""
    with TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as folder:
        new = Path(folder, path.name)
        new.touch(mode=0o600)
        new.write_text(held, "utf-8")
        yield new, held


def _unquoted(process: Mapping[str, str], warnings: list[str]) -> dict[str, str]:
    """Leave out quotes around a whole value, as shells, systemd and ``.env`` do; docker keeps them."""
    known = {*names.environment_names(), names.CONFIG_PATH}
    bare = {
        name: value[1:-1]
        for name, text in process.items()
        if name in known and len(value := text.strip()) > 1 and value[0] == value[-1] in "\"'"
    }
    if bare:
        named, *further = sorted(bare)
        also = f" and {len(further)} more" if further else ""
        warnings.append(
            f"{named}{also}: the quotes around the value are left out; "
            "docker hands on what stands in its env file as it is, so write it without"
        )
    return {**process, **bare}


def _merged(process: Mapping[str, str], dotenv: Mapping[str, str]) -> dict[str, str]:
    """Put the process environment over ``.env``.

    Two names of one setting count as the same, and an empty value as none.
    """
    known = names.environment_names()
    given = {known[name] for name, text in process.items() if name in known and text.strip()}
    below = {name: text for name, text in dotenv.items() if known.get(name) not in given}
    return {**below, **{name: text for name, text in process.items() if text.strip()}}


def _read_dotenv(path: Path, problems: list[str]) -> dict[str, str]:
    text = read_text(path, required=False)
    if text is None:
        return {}
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        where = f"{path}:{binding.original.line}"
        if binding.error or _hides_name(binding.key or ""):
            value = binding.original.string.partition("=")[2].lstrip()
            is_open = binding.error and value[:1] in _QUOTES
            also = "; a quote that begins a value must end it, too" if is_open else ""
            problems.append(f"{where}: must be NAME=value{also}")
        elif binding.key is not None:
            value = (binding.value or "").strip()
            if value and values.get(binding.key, "") not in {"", value}:
                problems.append(f"{where}: {binding.key} is given twice, with different values")
            values[binding.key] = value or values.get(binding.key, "")
    return values


def _hides_name(key: str) -> bool:
    """Return whether a name of ours stands in what is none: ``$env:NAME``, or before another equals sign."""
    is_name = key.isascii() and key.replace(".", "_").isidentifier()
    return not is_name and not names.environment_names().keys().isdisjoint(_WORDS.findall(key))


def _read_json(path: Path, *, required: bool) -> Mapping[str, Any] | None:
    text = read_text(path, required=required)
    if text is None:
        return None
    try:
        content = json.loads(
            text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant
        )
    except json.JSONDecodeError as exc:
        raise UnreadableError(f"{path}:{exc.lineno}:{exc.colno}: {_mistake(exc, text)}") from None
    except RecursionError:
        raise UnreadableError(f"{path}: is nested too deeply") from None
    except ValueError as exc:
        raise UnreadableError(f"{path}: {exc}") from None
    if not isinstance(content, dict):
        raise UnreadableError(f"{path}: must be one object of settings in {{ }}")
    return content


def _mistake(exc: json.JSONDecodeError, text: str) -> str:
    """Say what is wrong with a file that isn't JSON, in words for who wrote it."""
    if not text.strip():
        return "is empty; write {} for no settings, or delete the file"
    found = (words for beginning, words in _JSON_MISTAKES if exc.msg.startswith(beginning))
    return next(found, "isn't JSON from here on")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f'"{names.on_one_line(key)}" is given twice')
        content[key] = value
    return content


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows")


def read_text(path: Path, *, required: bool) -> str | None:
    """Return a settings file's text in whatever encoding an editor saved it.

    Args:
        path: The file.
        required: That it isn't there is a failure, else ``None``.

    Raises:
        UnreadableError: It can't be read; the message is the problem's line.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        if not required:
            return None
        raise UnreadableError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise UnreadableError(f"{path}: is a folder, not a file") from None
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not a path"
        raise UnreadableError(f"{path}: can't be read ({(reason or 'unknown').lower()})") from None
    if len(raw) > LIMIT_BYTES:
        raise UnreadableError(f"{path}: is longer than {LIMIT_BYTES} bytes")
    return _decoded(raw, path)


def _decoded(raw: bytes, path: Path) -> str:
    """Decode what editors save: UTF-8, with or without a BOM, or UTF-16 as PowerShell writes it."""
    encoding = next((name for bom, name in _BOMS if raw.startswith(bom)), None)
    if encoding is None and b"\0" in raw[:2]:
        encoding = "utf-16-be" if raw[:1] == b"\0" else "utf-16-le"
    try:
        return raw.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        raise UnreadableError(f"{path}: is not UTF-8 text") from None


def _warn_if_open(path: Path, dotenv: Mapping[str, str], warnings: list[str]) -> None:
    """Warn when other accounts of this machine can read a ``.env`` that holds a secret."""
    known = names.environment_names()
    if os.name != "posix" or not any(
        name in known and names.is_secret(known[name]) and text for name, text in dotenv.items()
    ):
        return
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        warnings.append(f"{path}: others on this machine can read it; run: chmod 600 {path}")
