"""From what the environment and the file say to checked settings, or to all that is wrong with it.

Pure: nothing here reads a file or a variable (``config.environment`` does). No message holds a
value, since any value may be a secret in the wrong place.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from config import addresses, names
from config.defaults import DISCORD_API_BASE, NETWORK_TIMEOUT_USUAL_MS
from config.names import Target
from config.settings import Settings
from config.token_shapes import mistaken_token
from config.values import bare

_BETWEEN_IDS: Final = re.compile(r"[\s,;]+")
NOT_SET = (
    "DISCORD_TOKEN: is not set; make a bot at https://discord.com/developers/applications and put "
    "its token into .env, or try `clawbot demo`, which needs none"
)


class SettingsError(Exception):
    """The settings are wrong.

    Attributes:
        problems: One line each, all at once; none holds a value.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Settings that hold, and what is unusual about them.

    Attributes:
        warnings: One line each, for the operator.
    """

    settings: Settings
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Collected:
    """Values by setting, where each came from, and what is wrong."""

    values: dict[Target, object] = field(default_factory=dict)
    origins: dict[Target, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def put(self, target: Target, value: object, origin: str) -> None:
        """Keep a value; a second, different one for the same setting is a problem."""
        if target in self.values and self.values[target] != value:
            self.problems.append(f"{origin}: says something else than {self.origins[target]}")
            return
        self.values[target] = value
        self.origins[target] = origin


def load_settings(
    env: Mapping[str, str],
    file: Mapping[str, object] | None = None,
    *,
    file_name: str = names.CONFIG_FILE,
    require_token: bool = False,
) -> LoadResult:
    """Resolve the settings: environment over file over default.

    Args:
        env: The environment with ``.env`` already under it; other programs' names are ignored.
        file: The parsed settings file, flat or structured; ``None`` if there is none.
        file_name: What to call the file in messages.
        require_token: A missing ``DISCORD_TOKEN``, or what can't be one, is a problem.

    Raises:
        SettingsError: With every problem found, one line each.
    """
    from_env = _from_environment(env)
    _add_proxy(from_env, env)
    from_file = _from_file(file or {}, file_name)
    problems = from_env.problems + from_file.problems
    values = {**from_file.values, **from_env.values}
    problems += _without_prefix(env, values, _SHUTTING_OUT)
    origins = {**from_file.origins, **from_env.origins}
    settings = _validated(values, origins, problems)
    if require_token and Target("discord", "token") not in values:
        problems.append(NOT_SET)
    mistake = None if settings is None else token_mistake(settings)
    mistakes = [f"{origins[Target('discord', 'token')]}: {mistake}"] if mistake else []
    if require_token:
        problems += mistakes
    if problems or settings is None:
        raise SettingsError(tuple(problems))
    unread = _without_prefix(env, values, _LETTING_IN)
    return LoadResult(settings, (*mistakes, *unread, *_warnings(settings, origins)))


def _add_proxy(found: _Collected, env: Mapping[str, str]) -> None:
    """Take the system's proxy, and the hosts that it isn't for, where no other is set."""
    target = Target("discord", "proxy")
    name = next((name for name in ("https_proxy", "HTTPS_PROXY") if env.get(name, "").strip()), "")
    if not name or target in found.values:
        return
    api_base = str(found.values.get(Target("discord", "api_base"), DISCORD_API_BASE))
    if addresses.is_loopback(urlsplit(api_base).hostname or ""):
        return
    found.put(target, env[name].strip(), name)
    excepted = next((name for name in ("no_proxy", "NO_PROXY") if env.get(name, "").strip()), "")
    if excepted and Target("discord", "no_proxy") not in found.values:
        # Other programs' networks and addresses may stand there, too, and none of them is Discord's.
        hosts = env[excepted].replace(",", " ").split()
        found.put(Target("discord", "no_proxy"), [h for h in hosts if "/" not in h], excepted)


def _from_environment(env: Mapping[str, str]) -> _Collected:
    known = names.environment_names()
    found = _Collected()
    for name, text in env.items():
        if not name.upper().startswith(names.PREFIXES) or name == names.CONFIG_PATH:
            continue
        target = known.get(name)
        is_prompt = target is not None and target.field == "system_prompt"
        value = text.strip() if is_prompt else bare(text)
        if not value:
            continue
        if target is None:
            right = names.nearest(name, [*known, names.CONFIG_PATH])
            found.problems.append(f"{names.on_one_line(name)}: unknown; did you mean {right}?")
        else:
            found.put(target, _listed(target, value), name)
    return found


_SHUTTING_OUT: Final = ("allowed_", "blocked_", "dm_policy")
"""How the settings begin without which the bot is open to more people."""

_LETTING_IN: Final = ("owner_ids", "admin_role_ids", "proxy_application_ids")
"""Settings without which it is open to fewer; other programs have lists of these names, too."""


def _without_prefix(
    env: Mapping[str, str], values: Mapping[Target, object], beginnings: tuple[str, ...]
) -> list[str]:
    """Return a line for each name of a list of people or places that lacks the beginning of ours.

    Args:
        env: The environment.
        values: What was found under the right names.
        beginnings: How the settings' own names begin.
    """
    return [
        f"{name}: unknown; did you mean {names.preferred_name(target)}?"
        for target in names.targets()
        if target.section == "discord" and target.field.startswith(beginnings)
        for name in env
        if name.upper() == target.field.upper() and env[name].strip() and target not in values
    ]


def _from_file(file: Mapping[str, object], file_name: str) -> _Collected:
    sections = dict.fromkeys(target.section for target in names.targets())
    found = _Collected()
    for key, value in file.items():
        origin = f"{file_name}: {names.on_one_line(key)}"
        if key in names.FLAT_KEYS:
            _put_json(found, names.FLAT_KEYS[key], value, origin)
        elif key not in sections:
            right = names.nearest(key, [*names.FLAT_KEYS, *_paths()])
            found.problems.append(f"{origin}: unknown; did you mean {right}?")
        elif isinstance(value, Mapping):
            _from_section(found, key, value, origin)
        elif value is not None:
            found.problems.append(f"{origin}: must be an object of settings in {{ }}")
    return found


def _from_section(
    found: _Collected, section: str, values: Mapping[str, object], section_origin: str
) -> None:
    fields = {target.field: target for target in names.targets() if target.section == section}
    for key, value in values.items():
        origin = f"{section_origin}.{names.on_one_line(key)}"
        if key in fields:
            _put_json(found, fields[key], value, origin)
        else:
            right = names.nearest(f"{section}.{key}", _paths())
            found.problems.append(f"{origin}: unknown; did you mean {right}?")


def _put_json(found: _Collected, target: Target, value: object, origin: str) -> None:
    if value is None:
        return
    if isinstance(value, bool) and not names.is_flag(target):
        found.problems.append(f"{origin}: must be {names.allowed(target)}")
        return
    found.put(target, _listed(target, value), origin)


def _listed(target: Target, value: object) -> object:
    """Turn ``a, b``, ``["a", "b"]`` or a single value into a list where a list is wanted."""
    if isinstance(value, list):
        return [str(one) if isinstance(one, bool) else one for one in value]  # never an id
    if not names.is_list(target) or isinstance(value, Mapping):
        return value
    if not isinstance(value, str):
        return [value]
    if value.startswith("["):
        with contextlib.suppress(ValueError, RecursionError):  # an address of IPv6 begins so, too
            return _listed(target, json.loads(value.replace("'", '"')))
    pieces = _BETWEEN_IDS.split(value) if target.field.endswith("_ids") else value.split(",")
    return [part for piece in pieces if (part := bare(piece))]


def _paths() -> list[str]:
    return [target.path for target in names.targets()]


def _validated(
    values: Mapping[Target, object], origins: Mapping[Target, str], problems: list[str]
) -> Settings | None:
    try:
        return Settings.model_validate(names.by_section(values))
    except ValidationError as exc:
        problems += _problems(exc, origins)
        return None


def _problems(exc: ValidationError, origins: Mapping[Target, str]) -> list[str]:
    """Say each problem once: a validator's own words where there are some, else the range."""
    said: dict[Target, list[str]] = {}
    of_a_section: list[str] = []
    for error in exc.errors(include_url=False, include_input=False):
        reason = error.get("ctx", {}).get("error")
        if (
            len(error["loc"]) == 1
        ):  # several settings that don't go together; the sentence names them
            of_a_section.append(str(reason))
            continue
        target = Target(str(error["loc"][0]), str(error["loc"][1]))
        lines = said.setdefault(target, [])
        if reason and str(reason) not in lines:
            lines.append(str(reason))
    of_one = [
        f"{origins[target]}: {line}"
        for target, lines in said.items()
        for line in lines or [f"must be {names.allowed(target)}{names.unit(target)}"]
    ]
    return of_one + of_a_section


def _warnings(settings: Settings, origins: Mapping[Target, str]) -> list[str]:
    warnings = []
    low, high = NETWORK_TIMEOUT_USUAL_MS
    timeout_ms = settings.lmstudio.network_timeout_ms
    if not low <= timeout_ms <= high:
        origin = origins[Target("lmstudio", "network_timeout_ms")]
        warnings.append(f"{origin}: {timeout_ms} ms is outside the usual {low} to {high} ms")
    if settings.metrics.addr and not addresses.is_loopback(
        addresses.host_port(settings.metrics.addr)[0]
    ):
        origin = origins[Target("metrics", "addr")]
        warnings.append(f"{origin}: anyone on the network can read the metrics: no password")
    if settings.discord.is_restricted:
        warnings += _direct_messages(settings.discord.dm_policy)
    return warnings


def token_mistake(settings: Settings) -> str | None:
    """Return what is wrong with the token by its looks; another Discord's may look like anything."""
    token = settings.discord.token
    if token is None or settings.discord.api_base != DISCORD_API_BASE:
        return None
    return mistaken_token(token.get_secret_value())


def _direct_messages(policy: str | None) -> list[str]:
    """Say who may write in private to a bot that answers only some servers, channels or roles."""
    if policy is None:
        return [
            (
                "direct messages are closed, because servers, channels or roles are restricted; "
                "CLAWBOT_DISCORD__DM_POLICY=owners or open opens them"
            )
        ]
    if policy == "open":
        return [
            (
                "CLAWBOT_DISCORD__DM_POLICY: strangers may ask in direct messages, whatever servers, "
                "channels or roles are allowed"
            )
        ]
    return []
