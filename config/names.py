"""What each setting is called in the environment and in ``clawbot.json``, and what it may be."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Annotated, Final, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from config.live import NOT_LIVE, Live
from config.settings import Settings

PREFIXES: Final = ("CLAWBOT_", "LMSTUDIO_", "DISCORD_")
"""Names in the environment that start like this are ours; an unknown one is an error."""

CONFIG_PATH: Final = "CLAWBOT_CONFIG"
"""The one name that is no setting: where the settings file is."""

CONFIG_FILE: Final = "clawbot.json"
"""The settings file that is read when it is there."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One setting: a field of a section of ``Settings``."""

    section: str
    field: str

    @property
    def info(self) -> FieldInfo:
        """The field as pydantic knows it."""
        section = Settings.model_fields[self.section].annotation
        fields: dict[str, FieldInfo] = getattr(section, "model_fields", {})
        return fields[self.field]

    @property
    def general_name(self) -> str:
        """The name in the environment that every setting has."""
        return f"CLAWBOT_{self.section.upper()}__{self.field.upper()}"

    @property
    def path(self) -> str:
        """The name in the structured settings file."""
        return f"{self.section}.{self.field}"

    def value_in(self, settings: Settings) -> object:
        """Return its value in some settings."""
        return getattr(getattr(settings, self.section), self.field)


CONTRACT_NAMES: Final = MappingProxyType(
    {
        "DISCORD_TOKEN": Target("discord", "token"),
        "LMSTUDIO_BASE_URL": Target("lmstudio", "base_url"),
        "LMSTUDIO_API_TOKEN": Target("lmstudio", "api_token"),
        "LMSTUDIO_MODEL": Target("chat", "model"),
        "CLAWBOT_DATA_DIR": Target("store", "data_dir"),
        "CLAWBOT_DATABASE_URL": Target("store", "database_url"),
        "CLAWBOT_OWNER_IDS": Target("discord", "owner_ids"),
        "CLAWBOT_METRICS_ADDR": Target("metrics", "addr"),
        "CLAWBOT_DISCORD_API_BASE": Target("discord", "api_base"),
        "CLAWBOT_DISCORD_GATEWAY_URL": Target("discord", "gateway_url"),
    }
)
"""Short names in the environment, beside the general form."""

FLAT_KEYS: Final = MappingProxyType(
    {
        "model_endpoint": Target("lmstudio", "base_url"),
        "network_timeout": Target("lmstudio", "network_timeout_ms"),
        "max_tokens": Target("chat", "max_tokens"),
        "temperature": Target("chat", "temperature"),
        "top_p": Target("chat", "top_p"),
        "model": Target("chat", "model"),
        "system_prompt": Target("chat", "system_prompt"),
        "reasoning": Target("chat", "reasoning"),
        "show_footer": Target("chat", "show_footer"),
    }
)
"""Keys at the top of ``clawbot.json``: the recipe's, and the names that ``/config`` uses."""


def by_section(values: Mapping[Target, object]) -> dict[str, dict[str, object]]:
    """Return values of settings as ``Settings`` has them: by section, then by field."""
    found: dict[str, dict[str, object]] = {}
    for target, value in values.items():
        found.setdefault(target.section, {})[target.field] = value
    return found


def with_values(settings: Settings, values: Mapping[Target, object]) -> Settings:
    """Return settings with other values in some fields, which are known to be allowed."""
    sections = {
        name: getattr(settings, name).model_copy(update=fields)
        for name, fields in by_section(values).items()
    }
    return settings.model_copy(update=sections)


def targets() -> Iterator[Target]:
    """Yield every setting, in the order of ``Settings``."""
    for section, section_info in Settings.model_fields.items():
        for field in getattr(section_info.annotation, "model_fields", {}):
            yield Target(section, field)


def environment_names() -> dict[str, Target]:
    """Return every name the environment may hold, short names first."""
    return {**CONTRACT_NAMES, **{target.general_name: target for target in targets()}}


def other_names(name: str) -> list[str]:
    """Return the other names of a setting that the environment may hold."""
    known = environment_names()
    return [one for one, target in known.items() if target == known[name] and one != name]


def preferred_name(target: Target) -> str:
    """Return the short name of a setting where it has one, otherwise the general one."""
    short = (name for name, named in CONTRACT_NAMES.items() if named == target)
    return next(short, target.general_name)


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return the candidate that somebody who typed ``name`` most likely meant.

    A candidate whose last part is what was typed wins over one that merely looks alike, so that
    ``CLAWBOT_TEMPERATURE`` leads to ``CLAWBOT_CHAT__TEMPERATURE``.
    """
    typed = name.casefold()

    def likeness(candidate: str) -> tuple[bool, bool, float]:
        known = candidate.casefold()
        last = known.rpartition("__")[2].rpartition(".")[2]
        ratio = difflib.SequenceMatcher(None, typed, known).ratio()
        is_its_end = typed.endswith(f"_{last}") and known.startswith(typed.partition("_")[0])
        return known == typed, typed == last or is_its_end, ratio

    return max(candidates, key=likeness)


def on_one_line(name: str) -> str:
    """Return a name from outside as it may stand in a message: bounded, printable, on one line."""
    return "".join(ch if ch.isprintable() else "?" for ch in name[:80])


def mark(target: Target) -> Live:
    """Return how a setting may change while the bot runs; nowhere if it may not."""
    return next((item for item in target.info.metadata if isinstance(item, Live)), NOT_LIVE)


def live_targets() -> dict[str, Target]:
    """Return the settings that may change while the bot runs, by their names in ``/config``.

    That is the key at the top of the settings file where there is one, else the field's own name,
    with its section before it where two have the same. What shapes an answer comes first.
    """
    flat = {target: key for key, target in FLAT_KEYS.items()}
    live = (target for target in targets() if mark(target).reach not in {"", "file"})
    found = sorted(live, key=lambda target: target.section != "chat")
    fields = Counter(target.field for target in found)

    def name(target: Target) -> str:
        own = target.field if fields[target.field] == 1 else f"{target.section}_{target.field}"
        return flat.get(target, own)

    return {name(target): target for target in found}


def kind(target: Target) -> object:
    """Return the type of a setting's values, without ``None`` and marks."""
    return next(kind for kind in _kinds(target.info.annotation) if kind is not type(None))


def is_secret(target: Target) -> bool:
    """Tell whether a setting must never be shown."""
    return SecretStr in _kinds(target.info.annotation) or not target.info.repr


def is_list(target: Target) -> bool:
    """Tell whether a setting takes several values (separated by commas in the environment)."""
    return any(get_origin(kind) is tuple for kind in _kinds(target.info.annotation))


def is_flag(target: Target) -> bool:
    """Tell whether a setting is true or false."""
    return bool in _kinds(target.info.annotation)


def allowed(target: Target) -> str:
    """Say in words what a setting may be, such as ``a number from 0 to 2``."""
    words = _words(kind(target), target.info.metadata)
    if mark(target).of == "model":
        return words.replace("text", "a model's name on one line")
    return words.replace("text", "a language's name") if target.field == "language" else words


def unit(target: Target) -> str:
    """Return the unit of a number as people read it, such as ``, in milliseconds``, or nothing."""
    by_suffix = {"_ms": "milliseconds", "_s": "seconds", "_mib": "MiB"}
    if "_per_" in target.field:
        return ""
    return next((f", in {u}" for end, u in by_suffix.items() if target.field.endswith(end)), "")


def _kinds(annotation: object) -> tuple[object, ...]:
    """Return the members of a union, each without its ``Annotated``; otherwise the type itself."""
    bare = _bare(annotation)
    if get_origin(bare) in {Union, UnionType}:
        return tuple(_bare(member) for member in get_args(bare))
    return (bare,)


def _bare(annotation: object) -> object:
    inner: object = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return inner


def _words(kind: object, metadata: list[object]) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        entry = get_args(kind)[0]
        if entry is str:
            return "a list of names"
        return "a list of " + ("ids (whole numbers)" if _bare(entry) is int else "addresses")
    words: dict[object, str] = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        Path: "a path",
        SecretStr: "text",
    }
    return words.get(kind, "text") + _range(metadata)


def bounds(metadata: list[object]) -> dict[str, int | float]:
    """Return the bounds of a field, by pydantic's names for them."""
    return {
        key: getattr(item, key)
        for item in metadata
        for key in ("ge", "gt", "le", "lt", "max_length")
        if getattr(item, key, None) is not None
    }


def _range(metadata: list[object]) -> str:
    bound = bounds(metadata)
    if "max_length" in bound:
        return f" of at most {bound['max_length']} characters"
    low = f"from {bound['ge']}" if "ge" in bound else ""
    low = f"over {bound['gt']} and up" if "gt" in bound else low
    high = f"to {bound['le']}" if "le" in bound else ""
    high = f"under {bound['lt']}" if "lt" in bound else high
    return "".join(f" {word}" for word in (low, high) if word)
