"""A server that will never do says why in one sentence; one that may do later is waited for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from shared.errors import EX_CONFIG
from tests.faults.cluster import NAMESPACE, READY_S, Process
from tests.faults.partition import Partition
from tests.servers import Valkey, free_port, running_valkey

MODULES = ["api.server", "tests.faults.worker"]


@contextlib.contextmanager
def process(module: str, url: str, log: Path) -> Iterator[Process]:
    environ = {"PALAVER_NAMESPACE": NAMESPACE, "PORT": str(free_port()), "REDIS_URL": url}
    one = Process(module, Partition(asyncio.open_connection), environ, log)
    one.start()
    try:
        yield one
    finally:
        one.kill()


async def refusal(module: str, url: str, log: Path) -> str:
    """What a process says that cannot start."""
    with process(module, url, log) as one:
        assert await one.ended(READY_S) == EX_CONFIG, one.output
        [sentence] = [line for line in one.output.splitlines() if "cannot start" in line]
        assert "Traceback" not in one.output
        return sentence


@contextlib.asynccontextmanager
async def that_says(answers: list[bytes]) -> AsyncIterator[str]:
    """A server that answers each request so, the last answer again and again;."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                answer = left.pop(0) if len(left) > 1 else left[0]
                writer.write(answer + b"\r\n")
                if answer.startswith(b"-DENIED"):
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"-DENIED Redis is running in protected mode", "protected mode"),
        (b"-NOAUTH Authentication required.", "credentials"),
        (b"-MOVED 3999 127.0.0.1:6381", "Redis Cluster"),
        (b"-ASK 3999 127.0.0.1:6381", "Redis Cluster"),
        (b"-ERR unknown command 'PING'", "unknown command"),
    ],
)
async def test_a_refusal_stops_the_start(
    tmp_path: Path, module: str, answer: bytes, word: str
) -> None:
    async with that_says([answer]) as url:
        assert word in await refusal(module, url, tmp_path / "log")


async def test_what_passes_is_waited_for(tmp_path: Path) -> None:
    loading = b"-LOADING Redis is loading the dataset in memory"
    async with that_says([loading] * 8 + [b"-NOAUTH Authentication required."]) as url:
        assert "credentials" in await refusal(MODULES[0], url, tmp_path / "log")


@pytest.mark.parametrize("module", MODULES)
async def test_a_member_of_a_cluster_is_refused(tmp_path: Path, module: str) -> None:
    with running_valkey("--cluster-enabled", "yes") as valkey:
        assert "Redis Cluster" in await refusal(module, valkey.url, tmp_path / "log")


@pytest.mark.parametrize("module", MODULES)
async def test_a_replica_is_refused_unless_it_becomes_the_primary(
    tmp_path: Path, module: str
) -> None:
    with running_valkey("--replicaof", "127.0.0.1", str(free_port())) as valkey:
        assert "read-only replica" in await refusal(module, valkey.url, tmp_path / "log")
        with process(module, valkey.url, tmp_path / "later") as one, client(valkey) as redis:
            await asyncio.sleep(1)
            redis.replicaof("NO", "ONE")
            async with asyncio.timeout(20):
                while not redis.exists(f"{NAMESPACE}:schema"):
                    assert one.is_running, one.output
                    await asyncio.sleep(0.05)


API, WORKER = MODULES
FORBIDDEN = [
    *((module, command) for module in MODULES for command in ("info", "evalsha", "subscribe")),
    *((WORKER, command) for command in ("xread", "xrange", "client|unblock")),
]


@pytest.mark.parametrize(("module", "command"), FORBIDDEN)
async def test_a_user_who_may_not_do_what_is_needed_is_told(
    tmp_path: Path, module: str, command: str
) -> None:
    with running_valkey() as valkey, client(valkey) as redis:
        redis.acl_setuser("clerk", **CLERK, commands=[f"-{command}"], channels=["*"])
        sentence = await refusal(module, clerks(valkey), tmp_path / "log")
    assert command in sentence.lower()


@pytest.mark.parametrize("module", MODULES)
async def test_a_user_of_no_channel_is_told(tmp_path: Path, module: str) -> None:
    """As users are by default."""
    with running_valkey() as valkey, client(valkey) as redis:
        redis.acl_setuser("clerk", **CLERK, reset_channels=True)
        sentence = await refusal(module, clerks(valkey), tmp_path / "log")
    assert "channel" in sentence.lower()


CLERK: dict[str, Any] = {
    "enabled": True,
    "passwords": ["+secret"],
    "categories": ["+@all"],
    "keys": ["*"],
}


def clerks(valkey: Valkey) -> str:
    """The server's address for that user."""
    return f"unix://clerk:secret@{valkey.socket}"


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("credentials", ["", "default:wrong@", "nobody:wrong@"])
async def test_wrong_credentials_are_refused(tmp_path: Path, module: str, credentials: str) -> None:
    with running_valkey("--requirepass", "right") as valkey:
        url = f"unix://{credentials}{valkey.socket}"
        assert "credentials" in await refusal(module, url, tmp_path / "log")


def client(valkey: Valkey) -> Redis:
    redis: Redis = Redis.from_url(valkey.url, decode_responses=True)
    return redis
