"""TLS in front of a Valkey that has none: certificates, and who ends the encryption."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.partition import Partition


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for localhost, and its key."""

    path: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Needs the `openssl` command."""
    path, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return Certificate(path, key)


@asynccontextmanager
async def running_tls(certificate: Certificate, upstream: Path) -> AsyncIterator[int]:
    """Takes the encryption off what goes to a server's socket; yields the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.path, certificate.key)
    way = Partition(lambda: asyncio.open_unix_connection(upstream))
    async with await asyncio.start_server(way.accept, "127.0.0.1", 0, ssl=context) as server:
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await way.close()


@asynccontextmanager
async def running_tls_partition(
    certificate: Certificate, upstream: Path
) -> AsyncIterator[Partition]:
    """A way by TLS that can be cut, or hang in the handshake, in mid-word, in the farewell."""
    async with running_tls(certificate, upstream) as inner:
        partition = Partition(lambda: asyncio.open_connection("127.0.0.1", inner))
        async with await asyncio.start_server(partition.accept, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            partition.url = f"rediss://localhost:{port}/0?ssl_ca_certs={certificate.path}"
            try:
                yield partition
            finally:
                server.close()
                await partition.close()
