"""A way between two programs that is slow, loses packets, breaks, or is encrypted: a proxy over TCP."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Delay = Callable[[int], float]
"""Returns by how many seconds the next chunk from the client, of so many bytes, comes late."""


Loses = Callable[[bytes], bool]
"""Told of what the client sends; returns whether the connection breaks before the reply to it."""


async def _copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    slow: Delay = lambda _: 0.0,
    passes: Callable[[bytes], bool] = lambda _: True,
) -> None:
    try:
        while (chunk := await reader.read(65_536)) and passes(chunk):
            if late_s := slow(len(chunk)):
                await asyncio.sleep(late_s)
            writer.write(chunk)
            await writer.drain()
    except OSError:
        pass  # one side has left: so does the other
    finally:
        writer.close()


def _until_lost(loses: Loses) -> tuple[Callable[[bytes], bool], Callable[[bytes], bool]]:
    """Return what passes to the server, which is all, and what passes back."""
    is_lost = False

    def there(sent: bytes) -> bool:
        nonlocal is_lost
        is_lost = is_lost or loses(sent)
        return True

    return there, lambda _: not is_lost


@contextlib.asynccontextmanager
async def proxy(
    port: int,
    *,
    host: str = "127.0.0.1",
    at: int = 0,
    delay: Delay = lambda _: 0.0,
    loses: Callable[[], Loses] = lambda: lambda _: False,
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[int, None]:
    """Pass on what comes at a port of its own to another port; gives its own port.

    Args:
        port: Where to, on 127.0.0.1.
        host: Where it listens.
        at: Its own port; 0 for a free one.
        delay: Holds back what the client sends.
        loses: Called for each connection.
        tls: Speaks TLS with the client.
    """
    tasks: set[asyncio.Task[None]] = set()
    writers: set[asyncio.StreamWriter] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        writers.add(back)
        out, home = _until_lost(loses())
        await asyncio.gather(_copy(reader, back, delay, out), _copy(there, writer, passes=home))

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(connect(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, host, at, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.close()
        await asyncio.gather(*(one.wait_closed() for one in writers), return_exceptions=True)


@contextlib.contextmanager
def silence(host: str, *ports: int) -> Iterator[None]:
    """Neither take nor refuse connections at some ports of an address, as a machine that is off."""
    held: list[socket.socket] = []
    try:
        for port in ports:
            listener = socket.socket()
            listener.bind((host, port))
            listener.listen(0)
            held.append(listener)
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex((host, listener.getsockname()[1]))
                held.append(filler)
        yield
    finally:
        for one in held:
            one.close()


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for 127.0.0.1 that signs itself.

    Attributes:
        file: The certificate, PEM.
        fingerprint: SHA-256 of its DER form.
        server: What a server speaks TLS with.
    """

    file: Path
    fingerprint: bytes
    server: ssl.SSLContext


def certificate(folder: Path, begins: datetime, days: int) -> Certificate:
    """Make a certificate that is valid from a moment on for some days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "llm")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "certificate.pem", folder / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file, key_file)
    return Certificate(file, made.fingerprint(hashes.SHA256()), server)
