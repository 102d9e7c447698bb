"""A PostgreSQL server of the tests' own: in a temporary folder, on loopback."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.pool import NullPool

USER: Final = "clawbot"
TRIES: Final = 5
"""Ports that are tried: between choosing a free one and listening, another program may take it."""

OPTIONS: Final = "-c listen_addresses=127.0.0.1 -c unix_socket_directories="


def find_programs() -> Path | None:
    """Return the folder with ``initdb`` and ``pg_ctl``; ``None`` where there is no server."""
    installed = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)  # noqa: PTH207 - absolute
    path = os.pathsep.join([*installed, os.environ.get("PATH", os.defpath)])
    found = shutil.which("initdb", path=path)
    if found is None:
        return None
    folder = Path(found).resolve().parent
    return folder if shutil.which("pg_ctl", path=str(folder)) else None


def find_pooler() -> str | None:
    """Return where PgBouncer is; ``None`` where it isn't installed."""
    path = os.pathsep.join(["/usr/sbin", os.environ.get("PATH", os.defpath)])
    return shutil.which("pgbouncer", path=path)


class PostgresServer:
    """A server that tests may stop and start again, on the same port.

    Attributes:
        port: Where it listens on 127.0.0.1.
        password: Of the user ``clawbot``, who may do everything.
    """

    def __init__(self, programs: Path, folder: Path, *, is_durable: bool = False) -> None:
        self.port = 0
        self._fsync = "on" if is_durable else "off"
        self._programs = programs
        self._folder = folder
        self._data = folder / "data"
        self.password = secrets.token_hex(8)
        self._owner = owner()
        self._databases = 0
        self._made: list[str] = []
        self._is_running = False

    def prepare(self) -> None:
        """Make the server's files and start it on a free port."""
        password = self._folder / "password"
        password.write_text(self.password, encoding="ascii")
        if self._owner is not None:
            shutil.chown(self._folder, self._owner)
            shutil.chown(password, self._owner)
        how = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
        who = (f"--username={USER}", f"--pwfile={password}")
        self._run("initdb", f"--pgdata={self._data}", *how, *who)
        for attempt in range(TRIES):
            self.port = free_port()
            try:
                self.start()
            except subprocess.CalledProcessError:
                if attempt == TRIES - 1:
                    raise
            else:
                return

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        if not self._is_running:
            options = f"{OPTIONS} -c fsync={self._fsync} -c port={self.port}"
            self._control("start", f"--log={self._folder / 'log'}", f"--options={options}")
            self._is_running = True

    def stop(self, how: str = "immediate") -> None:
        """Stop it.

        Args:
            how: ``immediate`` is what a power cut is like; ``fast`` ends the sessions in order.
        """
        if self._is_running:
            self._control("stop", f"--mode={how}")
            self._is_running = False

    @property
    def pid(self) -> int:
        """The id of its first process, whose children serve the connections."""
        return int((self._data / "postmaster.pid").read_text(encoding="ascii").split("\n")[0])

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        self._databases += 1
        name = f"test_{self._databases}"
        with self.connection() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        self._made.append(name)
        return self.url(name)

    def drop_databases(self) -> None:
        """Drop all databases that were made: hundreds would take minutes to delete at the end."""
        if self._is_running:
            with self.connection() as connection:
                for name in self._made:
                    connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            self._made.clear()

    def url(self, database: str, *, user: str = USER, password: str | None = None) -> str:
        """Return a URL as an operator would write it."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def connection(self, url: str | None = None) -> Iterator[Connection]:
        """Connect past the store, each statement a transaction of its own."""
        address = make_url(url or self.url("postgres")).set(drivername="postgresql+psycopg")
        engine = create_engine(address, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield connection

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", f"--pgdata={self._data}", "--wait", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        """Run a program of the server's; as root, as another user, since the server insists."""
        subprocess.run(  # noqa: S603 - the server's own programs, our arguments
            [self._programs / program, *arguments],
            check=True,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=50,
            user=self._owner,
            group=self._owner and _group(self._owner),
            extra_groups=None if self._owner is None else [],
        )


@contextmanager
def run_server(programs: Path, *, is_durable: bool = False) -> Iterator[PostgresServer]:
    """Run a server until the end of the ``with`` block.

    Args:
        programs: The folder of ``find_programs``.
        is_durable: It waits for the disk, as an operator's does.
    """
    # Not pytest's folders: those are closed to other users.
    with tempfile.TemporaryDirectory(prefix="clawbot-postgres-") as folder:
        server = PostgresServer(programs, Path(folder), is_durable=is_durable)
        try:
            server.prepare()
            yield server
        finally:
            server.stop()


def owner() -> str | None:
    """Return who is to run the server; ``None`` for whoever runs the tests."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - POSIX only

    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _group(user: str) -> int:
    import pwd  # noqa: PLC0415 - POSIX only

    return pwd.getpwnam(user).pw_gid


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
