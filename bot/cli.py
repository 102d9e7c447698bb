"""The command line: ``clawbot run``, ``init``, ``demo``, ``check`` and ``service``.

Exit codes: 0 clean, 1 crash, 2 usage, 69 a service it needs is unavailable, 78 configuration (these
two as in BSD's ``sysexits.h``), 130 a check or the first
set-up that was stopped, or any command before it began (as shells count Ctrl-C). The last line on standard error is a sentence for a person, but
``check`` says everything once, on standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import io
import logging
import os
import sys
from collections.abc import Sequence

from bot import INTERRUPTED, __version__
from bot.core.clock import SystemClock
from bot.core.errors import ConfigurationError, StartupError, describe
from bot.ops.logs import set_up_logging
from bot.ops.service_manager import ALIVE, hidden_from_services, install, tell, unit_here
from bot.ops.signals import stop_on_signal
from bot.ops.terminal import detach_output
from bot.ops.watchdog import Watchdog
from config.environment import read_environment
from config.loader import LoadResult, SettingsError
from config.settings import Settings

_log = logging.getLogger("bot")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit code.

    Args:
        arguments: The command line without the program's name; ``sys.argv`` when left out.

    Raises:
        SystemExit: With 2 for a wrong command line, with 0 after ``--help`` and ``--version``.
    """
    _open_closed_streams()
    _tolerate_any_character()
    options = _parser().parse_args(arguments, argparse.Namespace(config=None))
    command = {"run": _run, "demo": _demo, "check": _check, "init": _init, "service": _service}[
        options.command or "run"
    ]
    try:
        return command(options)
    except KeyboardInterrupt:  # before the command could do something about it
        return INTERRUPTED
    except BrokenPipeError:
        detach_output()
        return 0
    except SettingsError as exc:
        return _refuse(exc)
    # The process's outermost seam: whatever comes here ends in a sentence and an exit code.
    except Exception as exc:  # noqa: BLE001
        return _fail(exc)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="settings file (over CLAWBOT_CONFIG; otherwise clawbot.json, if it is there)",
    )
    parser = argparse.ArgumentParser(
        prog="clawbot",
        description="A Discord bot for people who run their own model with LM Studio.",
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"clawbot {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("run", parents=[common], help="connect to Discord and answer (the default)")
    demo = commands.add_parser(
        "demo",
        parents=[common],
        help="try the bot in a browser, without Discord and without LM Studio",
    )
    faces = demo.add_mutually_exclusive_group()
    faces.add_argument("--once", action="store_true", help="print a short conversation and end")
    faces.add_argument("--terminal", action="store_true", help="talk in the terminal instead")
    faces.add_argument("--no-browser", action="store_true", help="serve the page, open nothing")
    demo.add_argument("--port", type=_port, metavar="PORT", help="where to serve the page")
    check = commands.add_parser(
        "check", parents=[common], help="look for problems and say what to do"
    )
    check.add_argument("--json", action="store_true", help="print one JSON object")
    commands.add_parser(
        "init", parents=[common], help="ask what a start needs, try the answers and write .env"
    )
    service = commands.add_parser(
        "service", parents=[common], help="have systemd run the bot, now and at every start"
    )
    service.add_argument("action", choices=["show", "install"], help="print the unit, or write it")
    service.add_argument("--user", action="store_true", help="for your own session, without root")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")
    return int(text)


def _load(options: argparse.Namespace, *, require_token: bool) -> LoadResult:
    sources = read_environment(config_path=options.config)
    return sources.load(require_token=require_token)


def _run(options: argparse.Namespace) -> int:
    result = _load(options, require_token=True)
    set_up_logging(result.settings)
    for warning in result.warnings:
        _log.warning("%s", warning)
    asyncio.run(_serve(result.settings, options.config))
    return 0


async def _serve(settings: Settings, config_path: str | None) -> None:
    stop = asyncio.Event()
    with stop_on_signal(stop), contextlib.suppress(asyncio.CancelledError):
        from bot.app import run  # noqa: PLC0415 - the other commands start without discord.py
        from bot.ops.reload import Origin  # noqa: PLC0415

        # What was imported stays: a full collection needn't walk it, which stops the loop for 35 ms and more (`benchmarks burst`).
        gc.freeze()
        watchdog = Watchdog(SystemClock(), settings.store.data_dir)
        watchdog.lag.listen(lambda _lag_s: tell(ALIVE))
        async with watchdog.watching():
            origin = Origin.of(config_path)
            await run(settings, stop=stop, lag=watchdog.lag, origin=origin)


def _demo(options: argparse.Namespace) -> int:
    # Only this command brings the sandbox.
    from bot.demo import terminal  # noqa: PLC0415
    from bot.demo.page.show import in_browser  # noqa: PLC0415
    from bot.demo.run import play  # noqa: PLC0415
    from bot.demo.world import FAST  # noqa: PLC0415

    settings = _load(options, require_token=False).settings
    if options.once:
        return play(settings, terminal.script, timing=FAST)
    if options.terminal:
        return play(settings, terminal.talk)
    otherwise = None if options.no_browser else terminal.talk
    return play(settings, in_browser(options.port, terminal=otherwise))


def _check(options: argparse.Namespace) -> int:
    from bot.ops.check import check, refuse_as_json  # noqa: PLC0415 - as above

    try:
        result = _load(options, require_token=False)
    except SettingsError as exc:
        if not options.json:
            raise
        return refuse_as_json(exc.problems)
    set_up_logging(result.settings, at_least="ERROR")
    try:
        return check(result, as_json=options.json)
    except KeyboardInterrupt:
        print("clawbot: stopped before everything was looked at", file=sys.stderr)
        return INTERRUPTED


def _init(options: argparse.Namespace) -> int:
    from bot.ops.first_setup import StoppedError, first_setup  # noqa: PLC0415 - as above

    sources = read_environment(config_path=options.config)
    try:
        first_setup(sources)
    except (KeyboardInterrupt, StoppedError):
        print("\nclawbot: stopped; nothing was written", file=sys.stderr)
        return INTERRUPTED
    return 0


def _service(options: argparse.Namespace) -> int:
    # The service has no shell's environment.
    sources = read_environment({}, config_path=options.config)
    left = hidden_from_services(sources.env)
    if left:
        print(
            f"clawbot: the service doesn't know this shell's environment: {', '.join(left)} "
            "must stand in .env to hold there",
            file=sys.stderr,
        )
    settings = sources.load(require_token=True).settings
    unit = unit_here(settings, options.config, for_user=options.user)
    if options.action == "show":
        print(unit.text, end="")
        return 0
    install(unit)
    print(f"{unit.path} is written. Start it with:", *unit.next_steps, sep="\n  ")
    return 0


def _refuse(exc: SettingsError) -> int:
    if len(exc.problems) > 1:
        print(f"clawbot: {len(exc.problems)} problems in the settings:", file=sys.stderr)
    for problem in exc.problems:
        print(f"clawbot: {problem}", file=sys.stderr)
    return ConfigurationError.exit_code


def _fail(exc: Exception) -> int:
    startup = _startup_error(exc)
    if startup is not None:
        print(f"clawbot: {startup.sentence}", file=sys.stderr)
        return startup.exit_code
    if not logging.getLogger().handlers:
        set_up_logging(Settings())
    report = describe(exc)
    where = f" (reference {report.reference})" if report.reference else ""
    _log.critical("ended by a failure (reference %s)", report.reference or "-", exc_info=exc)
    print(
        f"clawbot: ended by a failure of its own; the log has the details{where}",
        file=sys.stderr,
    )
    return 1


def _startup_error(exc: BaseException) -> StartupError | None:
    """Find the failure that has a sentence, also inside the groups that task groups raise."""
    if isinstance(exc, StartupError):
        return exc
    if isinstance(exc, BaseExceptionGroup):
        return next((found for inner in exc.exceptions if (found := _startup_error(inner))), None)
    return None


def _open_closed_streams() -> None:
    """Give the program streams where it was started without (``>&-``), so that using them is no failure."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - kept to the end


def _tolerate_any_character() -> None:
    """Keep a terminal with an old code page from ending the program over one character."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
