"""The service manager: what it is told while the bot runs, and the unit that makes systemd run it.

The messages are systemd's notification protocol (sd_notify(3)): datagrams to a socket that the
manager names in the environment. Elsewhere there is no such name, and nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.core.errors import ConfigurationError, DependencyError
from config.names import CONFIG_PATH, environment_names
from config.settings import Settings

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"

WATCHDOG_S: Final = 90
"""Silence after which systemd ends the process, in seconds: longer than the bot's own watchdog."""

NAME: Final = "clawbot.service"

_SYSTEM_FOLDER: Final = Path("/etc/systemd/system")
_USER_FOLDER: Final = Path("systemd/user")

_UNIT: Final = """\
[Unit]
Description=Clawbot, a Discord bot for a model of one's own
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
NotifyAccess=main
WatchdogSec={watchdog_s}
ExecStart={command}
WorkingDirectory={folder}
Restart=on-failure
RestartSec=5
# Wrong settings and a wrong token don't mend themselves.
RestartPreventExitStatus=78
TimeoutStopSec=20
UMask=0077
NoNewPrivileges=yes
MemoryMax=1G
TasksMax=128
"""

_HARDENED: Final = """\
User={user}
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={written}
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
"""

_INSTALL: Final = """\

[Install]
WantedBy={target}
"""


_NOT_IN_COMMANDS: Final = frozenset("\"'\\")
"""systemd refuses these in a program's path ("contains special characters")."""


def tell(message: str) -> None:
    """Send one message to the service manager, if there is one that listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or sys.platform == "win32":
        return
    if address.startswith("@"):  # a name without a file
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.setblocking(False)
        channel.sendto(message.encode(), address)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of systemd for the bot as it is installed here.

    Attributes:
        command: The program ``clawbot``.
        folder: Where ``.env`` lies.
        written: The folder of the database, and that of the log's file where it is another.
        user: Who it runs as; ``None`` for a unit of the caller's own session.
        config: The settings file, where it isn't the usual one.
    """

    command: Path
    folder: Path
    written: tuple[Path, ...]
    user: str | None
    config: Path | None = None

    @property
    def text(self) -> str:
        """The file's content."""
        command = f"{_quoted(self.command)} run"
        if self.config is not None:
            command += f" --config {_quoted(self.config)}"
        common = _UNIT.format(
            watchdog_s=WATCHDOG_S,
            command=command.replace("$", "$$"),
            folder=_escaped(self.folder),
        )
        if self.user is None:
            return common + _INSTALL.format(target="default.target")
        written = " ".join(_quoted(folder) for folder in self.written)
        hardened = _HARDENED.format(user=self.user, written=written)
        return common + hardened + _INSTALL.format(target="multi-user.target")

    @property
    def path(self) -> Path:
        """Where systemd looks for it."""
        if self.user is not None:
            return _SYSTEM_FOLDER / NAME
        config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return Path(config) / _USER_FOLDER / NAME

    @property
    def next_steps(self) -> list[str]:
        """The commands that start it now and at every start of the machine."""
        systemctl = "systemctl" if self.user is not None else "systemctl --user"
        steps = [f"{systemctl} daemon-reload", f"{systemctl} enable --now {NAME}"]
        return steps if self.user is not None else [*steps, "loginctl enable-linger"]


def unit_here(settings: Settings, config: str | None, *, for_user: bool) -> Unit:
    """Return the unit for the program that runs, with the ``.env`` of the working folder.

    Args:
        settings: As the service will read them.
        config: The settings file that the command line names.
        for_user: A unit of the caller's own session instead of the machine's.

    Raises:
        DependencyError: systemd doesn't run this machine, or the program isn't installed.
        ConfigurationError: It would run as root, or write its log where it mayn't.
    """
    if not Path("/run/systemd/system").is_dir():
        raise DependencyError(
            "systemd doesn't run this machine: have its own service manager start `clawbot run`."
        )
    command = Path(sys.executable).with_name("clawbot")
    if not command.exists():
        raise DependencyError("Install the bot first: there is no program clawbot beside Python.")
    return unit_for(command, Path.cwd(), settings, config, for_user=for_user)


def hidden_from_services(known: Mapping[str, str]) -> list[str]:
    """Return the names of settings that only this shell's environment has so.

    Args:
        known: What ``.env`` says.
    """
    names = (CONFIG_PATH, *environment_names())
    return sorted(
        name for name in names if os.environ.get(name, "").strip() not in {"", known.get(name)}
    )


def unit_for(
    command: Path, folder: Path, settings: Settings, config: str | None, *, for_user: bool
) -> Unit:
    """Return the unit for a program and the folder of its ``.env``; as ``unit_here``."""
    if _NOT_IN_COMMANDS & set(str(command)):
        raise ConfigurationError(
            "systemd starts no program whose path holds a quotation mark or a backslash."
        )
    written = [(folder / settings.store.data_dir).resolve()]
    if (log := settings.logging.file) is not None:
        place = (folder / log).resolve().parent
        if not place.is_relative_to(written[0]):
            written.append(place)
    user = None if for_user else folder.owner()
    if user == "root":
        raise ConfigurationError(
            "This folder belongs to root, and a bot shall not run as root: move it to a user's."
        )
    if user is not None and any(path.is_relative_to(written[-1]) for path in (command, folder)):
        raise ConfigurationError(
            "The service may not write where its program or .env lies: give CLAWBOT_DATA_DIR, and "
            "CLAWBOT_LOGGING__FILE, folders of their own, such as data and data/clawbot.log."
        )
    named = None if config is None else folder / Path(config).expanduser()
    return Unit(command, folder, tuple(written), user, named)


def install(unit: Unit) -> None:
    """Write the unit where systemd looks for it, and make the folders that it writes.

    Raises:
        DependencyError: One of them can't be written.
    """
    try:
        for folder in unit.written:
            _make(folder, unit)
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        unit.path.write_text(unit.text, encoding="utf-8")
    except PermissionError as exc:
        hint = "use sudo, or --user" if unit.user is not None else "look at who owns its folder"
        raise DependencyError(f"{exc.filename} can't be written: {hint}.") from exc
    except OSError as exc:
        raise DependencyError(f"{exc.filename} can't be written: {exc.strerror}.") from exc


def _make(folder: Path, unit: Unit) -> None:
    """Make a folder for the service; one that is there stays whose it is, but for the database's."""
    if folder.exists() and folder != unit.written[0]:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if unit.user is not None and os.geteuid() == 0:
        owner = unit.folder.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)


def _escaped(path: Path) -> str:
    """Return a path for a setting that takes one whole (systemd.unit(5): specifiers)."""
    return str(path).replace("%", "%%")


def _quoted(path: Path) -> str:
    """Return a path for a setting that takes several words (systemd.syntax(7): quoting)."""
    return '"' + _escaped(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
