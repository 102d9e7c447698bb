"""The service manager: what it is told while the bot runs, and the unit that makes systemd run it.

The messages are systemd's notification protocol (sd_notify(3)): datagrams to a socket that the
manager names in the environment. Elsewhere there is no such name, and nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.core.errors import ConfigurationError, DependencyError

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
ExecStart={command} run
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
ReadWritePaths={data}
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
        data: The folder of the database.
        user: Who it runs as; ``None`` for a unit of the caller's own session.
    """

    command: Path
    folder: Path
    data: Path
    user: str | None

    @property
    def text(self) -> str:
        """The file's content."""
        common = _UNIT.format(
            watchdog_s=WATCHDOG_S,
            command=_quoted(self.command).replace("$", "$$"),
            folder=_escaped(self.folder),
        )
        if self.user is None:
            return common + _INSTALL.format(target="default.target")
        hardened = _HARDENED.format(user=self.user, data=_quoted(self.data))
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


def unit_here(data: Path, *, for_user: bool) -> Unit:
    """Return the unit for the program that runs, with the ``.env`` of the working folder.

    Args:
        data: The folder of the database.
        for_user: A unit of the caller's own session instead of the machine's.

    Raises:
        DependencyError: systemd doesn't run this machine, or the program isn't installed.
        ConfigurationError: It would run as root.
    """
    if not Path("/run/systemd/system").is_dir():
        raise DependencyError(
            "systemd doesn't run this machine: have its own service manager start `clawbot run`."
        )
    command = Path(sys.executable).with_name("clawbot")
    if not command.exists():
        raise DependencyError("Install the bot first: there is no program clawbot beside Python.")
    if _NOT_IN_COMMANDS & set(str(command)):
        raise ConfigurationError(
            "systemd starts no program whose path holds a quotation mark or a backslash."
        )
    folder = Path.cwd()
    if for_user:
        return Unit(command, folder, data.absolute(), None)
    owner = folder.owner()
    if owner == "root":
        raise ConfigurationError(
            "This folder belongs to root, and a bot shall not run as root: move it to a user's."
        )
    return Unit(command, folder, data.absolute(), owner)


def install(unit: Unit) -> None:
    """Write the unit where systemd looks for it, and make its data folder.

    Raises:
        DependencyError: One of them can't be written.
    """
    try:
        unit.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if unit.user is not None and os.geteuid() == 0:
            owner = unit.folder.stat()
            os.chown(unit.data, owner.st_uid, owner.st_gid)
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        unit.path.write_text(unit.text, encoding="utf-8")
    except PermissionError as exc:
        hint = "use sudo, or --user" if unit.user is not None else "look at who owns its folder"
        raise DependencyError(f"{exc.filename} can't be written: {hint}.") from exc
    except OSError as exc:
        raise DependencyError(f"{exc.filename} can't be written: {exc.strerror}.") from exc


def _escaped(path: Path) -> str:
    """Return a path for a setting that takes one whole (systemd.unit(5): specifiers)."""
    return str(path).replace("%", "%%")


def _quoted(path: Path) -> str:
    """Return a path for a setting that takes several words (systemd.syntax(7): quoting)."""
    return '"' + _escaped(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
