"""``clawbot init``: asks for what a start needs, tries each answer at once, and writes ``.env``."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from bot.core.clock import SystemClock
from bot.core.domain import ModelInfo
from bot.core.errors import BackendError, ConfigurationError, DependencyError
from bot.diagnostics.link import open_way
from bot.diagnostics.report import INDENT, plain, terminal_line, terminal_skipped
from bot.diagnostics.targets import Listed, target_of
from bot.diagnostics.values import Finding, Status, Step
from bot.lmstudio.catalogue import fetch_catalogue
from bot.lmstudio.transport import parse_endpoint, system_lookup
from bot.ops.check import look_at_discord, look_at_lmstudio
from bot.ops.terminal import fitted, program
from config import values
from config.environment import DOTENV, Sources, try_dotenv, write_dotenv
from config.loader import SettingsError, token_mistake
from config.names import environment_names, other_names
from config.settings import Settings

TOKEN: Final = "DISCORD_TOKEN"  # noqa: S105 - the name of a setting
ADDRESS: Final = "LMSTUDIO_BASE_URL"
API_TOKEN: Final = "LMSTUDIO_API_TOKEN"  # noqa: S105 - as above
MODEL: Final = "LMSTUDIO_MODEL"
OWNERS: Final = "CLAWBOT_OWNER_IDS"

_MENTION: Final = re.compile(r"<@!?(\d+)>")
_PARTED: Final = re.compile(r"[\s,;、，]+")
_SHOWN_MODELS: Final = 20
_INDENT: Final = 3


class StoppedError(Exception):
    """Nobody answers any more; nothing was written."""


@dataclass(slots=True)
class _Answers:
    """What is known so far.

    Attributes:
        sources: What the environment, ``.env`` and the settings file say.
        given: What was answered now, by the setting's name.
    """

    sources: Sources
    given: dict[str, str] = field(default_factory=dict)

    def before(self, name: str) -> str:
        """Return what is configured, under any of the setting's names."""
        env = self.sources.env
        return next((env[one].strip() for one in (name, *other_names(name)) if env.get(one)), "")

    def with_value(self, name: str, value: str) -> Settings:
        """Return the settings with one more answer, which is kept.

        Raises:
            SettingsError: The answer can't be this setting; it isn't kept.
        """
        given = {**self.given, name: value}
        hidden = {other for one in given for other in other_names(one)}
        env = {key: text for key, text in self.sources.env.items() if key not in hidden}
        settings = replace(self.sources, env={**env, **given}).load().settings
        self.given = given
        return settings


def first_setup(sources: Sources) -> None:
    """Ask, try and write ``.env`` in the working folder; whatever was in it besides stays.

    Args:
        sources: What is configured already; its answers are offered again.

    Raises:
        StoppedError: Standard input ended before the last answer.
        SettingsError: What is configured already is wrong.
        DependencyError: The file can't be written.
    """
    sources.load()
    path = Path(DOTENV)
    _write(path, try_dotenv)  # before anybody has typed anything
    answers = _Answers(sources)
    _ask_token(answers)
    settings = _ask_address(answers)
    _ask_model(answers, settings)
    _ask_owners(answers)
    _write(path, partial(write_dotenv, given=answers.given))
    _say(f"\n{path} is written; only your account can read it.")
    hidden = [name for name, text in answers.given.items() if os.environ.get(name, text) != text]
    if hidden:
        _say(f"But the environment has another {' and '.join(hidden)}, and wins over .env.")
    _say(
        f"Start the bot with: {program()}\n"
        "It prints the address with which you invite it to a server."
    )


def _write(path: Path, how: Callable[[Path], None]) -> None:
    try:
        how(path)
    except OSError as exc:
        reason = (exc.strerror or "unknown").lower()
        raise DependencyError(f"{path} can't be written: {reason}.") from exc


def _say(text: str) -> None:
    print(fitted(plain(text), _INDENT))


def _ask_token(answers: _Answers) -> None:
    _say("1. The bot's token: https://discord.com/developers/applications, page Bot, Reset Token.")
    before = answers.before(TOKEN)
    while True:
        text = _asked(
            "Token (it isn't shown)", "the one you have" if before else "", is_secret=True
        )
        settings = _accepted(answers, TOKEN, text or before)
        if settings is None:
            continue
        mistake = token_mistake(settings)
        if mistake or not (text or before):
            _say(f"   It {mistake}." if mistake else "   The bot can't start without one.")
            continue
        found = _looked(look_at_discord(settings, SystemClock()))
        if not _failed(found, Step.TOKEN):
            return


def _ask_address(answers: _Answers) -> Settings:
    _say("\n2. LM Studio's address, as seen from here; several are separated by commas.")
    usual = answers.before(ADDRESS) or "http://127.0.0.1:1234"
    while True:
        settings = _accepted(answers, ADDRESS, _asked("Address", usual) or usual)
        if settings is None:
            continue
        found = _looked_at_servers(settings)
        if _failed(found, Step.AUTHENTICATION):
            _say("   LM Studio wants a token: Developer, Server Settings, Manage Tokens.")
            text = _asked("Its token (it isn't shown)", is_secret=True)
            settings = _accepted(answers, API_TOKEN, text) or settings
            found = _looked_at_servers(settings)
        if not any(one.status is Status.FAILED for one in found):
            return settings
        if _agreed("Keep this address all the same?"):
            return settings


def _ask_model(answers: _Answers, settings: Settings) -> None:
    _say("\n3. The model that answers.")
    models = asyncio.run(_models(settings))
    for number, model in enumerate(models, start=1):
        _say(f"   {number}  {model.key}{' (loaded)' if model.is_loaded else ''}")
    usual, keys = answers.before(MODEL), [model.key for model in models]
    if usual:
        _say("   0  whatever is loaded")
    while True:
        text = _asked("Number or name", usual or "whatever is loaded")
        text = _model_meant(text or usual, keys)
        is_there = not text or text in keys
        if not is_there and not _agreed("LM Studio doesn't list that model. Keep it all the same?"):
            continue
        if _accepted(answers, MODEL, text) is not None:
            return


def _model_meant(text: str, keys: Sequence[str]) -> str:
    """Return the model of a number or of a part of one's name; what else was typed as it is."""
    if text.isdecimal() and int(text) <= len(keys):
        return ("", *keys)[int(text)]
    holding = [key for key in keys if text and text.casefold() in key.casefold()]
    if text in keys or len(holding) != 1:
        return text
    _say(f"   That is {holding[0]}.")
    return holding[0]


def _ask_owners(answers: _Answers) -> None:
    _say(
        "\n4. Who may change settings for all servers, besides the application's owner: Discord ids\n"
        "   (Settings, Advanced, Developer Mode; then right-click a person, Copy User ID)."
    )
    usual = answers.before(OWNERS)
    question = "Ids, separated by commas" + (", or - for nobody else" if usual else "")
    while True:
        text = _asked(question, usual or "nobody else")
        ids = (
            ""
            if text == "-"
            else ",".join(_PARTED.split(_MENTION.sub(r" \1 ", text or usual).strip()))
        )
        if _accepted(answers, OWNERS, ids) is not None:
            return


def _asked(question: str, usual: str = "", *, is_secret: bool = False) -> str:
    """Return what was typed; empty for Enter alone.

    Raises:
        StoppedError: The input has ended.
    """
    shown = plain(f"   {question}{f' [{usual}]' if usual else ''}:")
    read: Callable[[str], str] = getpass.getpass if is_secret and sys.stdin.isatty() else input
    while True:
        try:
            return _bare(read(f"{fitted(shown, _INDENT)} ").strip())
        except EOFError:
            raise StoppedError from None
        except UnicodeDecodeError:
            _say("\n   Some of that can't be read here. Type or paste it again.")


def _bare(text: str) -> str:
    """Leave out what comes along with a copied value: its setting's name, and quotes around it."""
    name, equals, value = text.partition("=")
    if equals and name.strip() in environment_names():
        text = value.strip()
    return values.bare(text)


def _agreed(question: str) -> bool:
    return _asked(f"{question} (yes or no)", "no").lower().startswith("y")


def _accepted(answers: _Answers, name: str, value: str) -> Settings | None:
    """Return the settings with an answer, or say why it can't be one."""
    try:
        return answers.with_value(name, value)
    except SettingsError as exc:
        for problem in exc.problems:
            _say(f"   {problem}")
        return None


def _looked_at_servers(settings: Settings) -> list[Finding]:
    """Diagnose each server with whatever model it has loaded: the model is asked for next."""
    chat = settings.chat.model_copy(update={"model": None})
    settings = settings.model_copy(update={"chat": chat})
    found: list[Finding] = []
    for url in settings.lmstudio.base_url:
        found += _looked(look_at_lmstudio(settings, Listed(1, url)))
    return found


def _looked(findings: AsyncGenerator[Finding, None]) -> list[Finding]:
    """Run a walk to its end; each line is printed as soon as it is known."""

    async def run() -> list[Finding]:
        found: list[Finding] = []
        async with aclosing(findings):
            async for finding in findings:
                found.append(finding)
                if finding.status is not Status.SKIPPED:
                    print(fitted(terminal_line(finding), INDENT), flush=True)
        for line in terminal_skipped(found):
            print(fitted(line, INDENT))
        return found

    return asyncio.run(run())


def _failed(found: list[Finding], step: Step) -> bool:
    return any(one.step is step and one.status is Status.FAILED for one in found)


async def _models(settings: Settings) -> list[ModelInfo]:
    """Return what the first server that answers has to choose from, the loaded ones first."""
    for url in settings.lmstudio.base_url:
        try:
            async with AsyncExitStack() as stack:
                target, endpoint = target_of(settings, url), parse_endpoint(url)
                way = open_way(
                    target, endpoint, SystemClock(), system_lookup, lambda _: nullcontext(""), stack
                )
                models = (await fetch_catalogue(way.own)).models
        except (BackendError, ConfigurationError):
            continue
        return sorted(models, key=lambda model: not model.is_loaded)[:_SHOWN_MODELS]
    return []
