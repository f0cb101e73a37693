"""A Redis Cluster on this machine: three primaries, a replica of each."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from shared.process.embedded import server_binary
from tests.faults.replicated import server, until_answers
from tests.servers import free_port

SLOTS = 16384
PRIMARIES = 3
READY_S = 30.0
NODE_TIMEOUT_MS = 1000
_MEETING_S = 0.5
"""Others take a node for gone that has been silent for so long."""


class Node:
    """One of its servers.

    Args:
        binary: the server's.
        folder: for its data.
    """

    def __init__(self, binary: Path, folder: Path) -> None:
        self.port, self._bus = free_port(), free_port()
        self._folder = folder
        self._command = [str(binary), "--port", str(self.port), "--cluster-port", str(self._bus)]
        self._command += ["--bind", "127.0.0.1", "--dir", str(folder)]
        self._command += ["--save", "", "--appendonly", "yes", "--repl-diskless-sync-delay", "0"]
        self._command += ["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]
        self._command += ["--cluster-node-timeout", str(NODE_TIMEOUT_MS)]
        self._command += ["--cluster-replica-validity-factor", "0"]
        # A replica stays with its primary, so that tests know which is which.
        self._command += ["--cluster-migration-barrier", "99"]
        self._process: subprocess.Popen[bytes] | None = None
        self.id = ""

    def start(self, stack: contextlib.ExitStack) -> None:
        """Start it, or start it again."""
        self._folder.mkdir(exist_ok=True)
        self._process = stack.enter_context(server(self._command, self._folder / "log"))
        with self.client() as client:
            until_answers(client, "PING")
            self.id = str(client.execute_command("CLUSTER", "MYID"))

    def client(self) -> "Redis":
        return Redis(port=self.port, decode_responses=True, socket_timeout=READY_S)

    def say(self, *command: object) -> object:
        """What it answers."""
        with self.client() as client:
            return client.execute_command(*command)

    def meet(self, other: "Node") -> None:
        self.say("CLUSTER", "MEET", "127.0.0.1", other.port, other._bus)

    def _send(self, signum: int) -> None:
        assert self._process is not None
        self._process.send_signal(signum)

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        """Keep every connection, and answer nothing."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._send(signal.SIGCONT)

    def is_primary(self) -> bool:
        """Whether it takes itself for one; False while it does not answer."""
        try:
            return self.replication()["role"] == "master"
        except RedisError:
            return False

    def replication(self) -> dict[str, object]:
        """Its role, and who follows it."""
        with self.client() as client:
            known: dict[str, object] = client.info("replication")
            return known


class RedisCluster:
    """All nodes: first the primaries, then the replica of each.

    Args:
        stack: ends them.
        binary: the server's; the embedded one if none is given.
    """

    def __init__(
        self, folder: Path, stack: contextlib.ExitStack, binary: Path | None = None
    ) -> None:
        self._stack = stack
        self._wanted_replicas = 0
        chosen = binary or server_binary()
        self.nodes = [Node(chosen, folder / str(number)) for number in range(2 * PRIMARIES)]
        for node in self.nodes:
            node.start(stack)
        self._give_out_slots()
        self._introduce()
        for number in range(PRIMARIES):
            self.nodes[PRIMARIES + number].say("CLUSTER", "REPLICATE", self.nodes[number].id)
        self.until_whole()

    def _give_out_slots(self) -> None:
        share = SLOTS // PRIMARIES + 1
        for number in range(PRIMARIES):
            first, last = number * share, min(SLOTS, (number + 1) * share) - 1
            self.nodes[number].say("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            self.nodes[number].say("CLUSTER", "ADDSLOTSRANGE", first, last)

    def _introduce(self) -> None:
        """A handshake that takes longer than the timeout of nodes is forgotten: again, then."""
        everybody, deadline = f"known_nodes:{len(self.nodes)}", time.monotonic() + READY_S
        while not all(everybody in str(node.say("CLUSTER", "INFO")) for node in self.nodes):
            assert time.monotonic() < deadline, "the nodes do not get to know each other"
            for node in self.nodes[1:]:
                self.nodes[0].meet(node)
            time.sleep(_MEETING_S)

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def want_replicas(self, number: int) -> None:
        """Primaries refuse to write if fewer replicas follow."""
        self._wanted_replicas = number
        for node in self.nodes:
            node.say("CONFIG", "SET", "min-replicas-to-write", number)

    def keep_replicas(self, *, promoted: bool) -> None:
        """Whether a replica takes over from a primary that is away."""
        for node in self.nodes:
            node.say("CONFIG", "SET", "cluster-replica-no-failover", "no" if promoted else "yes")

    def until_whole(self) -> None:
        """Return when every slot has a primary, and each primary its replicas' company."""
        self._until(lambda node: node.say("CLUSTER", "INFO"), "cluster_state:ok")
        self._until(_company, "True")
        deadline = time.monotonic() + READY_S
        while sum(node.is_primary() for node in self.nodes) != PRIMARIES:
            assert time.monotonic() < deadline, "the cluster has too many primaries"
            time.sleep(0.02)

    def _until(self, ask: Callable[[Node], object], wanted: str) -> None:
        """Return when each node's answer has these words."""
        deadline = time.monotonic() + READY_S
        for node in self.nodes:
            while wanted not in str(ask(node)):
                assert time.monotonic() < deadline, f"{ask(node)}"
                time.sleep(0.02)

    def primary_of(self, keyspace: str) -> Node:
        """The node that serves these keys, as the others say that answer."""
        slot = key_slot(keyspace.encode())
        for node in self.nodes:
            with contextlib.suppress(RedisError):
                for first, last, primary, *_ in node.say("CLUSTER", "SLOTS"):  # type: ignore[attr-defined]
                    if first <= slot <= last and primary[1] != node.port:
                        return self._on(primary[1])
        raise AssertionError(f"nobody serves slot {slot}")

    def replica_of(self, primary: Node) -> Node:
        return self._on(primary.say("ROLE")[2][0][1])  # type: ignore[index]

    def other_primary(self, than: Node) -> Node:
        return next(node for node in self.nodes if node is not than and node.is_primary())

    def _on(self, port: object) -> Node:
        return next(node for node in self.nodes if node.port == int(str(port)))

    def until_copied(self, keyspace: str) -> None:
        """Return when the replica of these keys' primary has what that had."""
        primary = self.primary_of(keyspace)
        with primary.client() as client:
            # WAIT is for what this very connection has written.
            client.set(keyspace, "written last")
            assert client.execute_command("WAIT", 1, int(READY_S * 1000)) == 1
            client.delete(keyspace)

    def until_promoted(self, keyspace: str, former: Node) -> None:
        """Return when another node serves these keys."""
        deadline = time.monotonic() + READY_S
        while self.primary_of(keyspace) is former:
            assert time.monotonic() < deadline, "no replica is promoted"
            time.sleep(0.02)

    def until_replaced(self, node: Node) -> None:
        """Return when a primary that died has its replica in its place."""
        deadline = time.monotonic() + READY_S
        while sum(other.is_primary() for other in self.nodes if other is not node) != PRIMARIES:
            assert time.monotonic() < deadline, "no replica is promoted"
            time.sleep(0.02)

    def pause(self, seconds: float) -> None:
        """Let whatever happens meanwhile happen."""
        time.sleep(seconds)

    def start_again(self, node: Node) -> None:
        """A node that was killed comes back, as a replica of the one that was promoted."""
        node.start(self._stack)
        node.say("CONFIG", "SET", "min-replicas-to-write", self._wanted_replicas)

    def move_at_once(self, keyspace: str, to: Node) -> None:
        """Move the slot of these keys as servers do that move it in one step (Valkey 9)."""
        slot, source = key_slot(keyspace.encode()), self.primary_of(keyspace)
        source.say("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to.id)
        self._until_served_by(keyspace, to)

    @contextlib.contextmanager
    def moving(self, keyspace: str, to: Node) -> Iterator[Callable[[], int]]:
        """Move the slot of these keys key by key.

        Yields what moves a hundred of them, and tells how many there were.
        """
        slot, source = key_slot(keyspace.encode()), self.primary_of(keyspace)
        to.say("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.say("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id)

        def step() -> int:
            keys: list[str] = source.say("CLUSTER", "GETKEYSINSLOT", slot, 100)  # type: ignore[assignment]
            if keys:
                source.say("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
            return len(keys)

        yield step
        while step():
            pass
        for node in (to, source):
            node.say("CLUSTER", "SETSLOT", slot, "NODE", to.id)
        self._until_served_by(keyspace, to)

    def _until_served_by(self, keyspace: str, node: Node) -> None:
        deadline = time.monotonic() + READY_S
        while self.primary_of(keyspace) is not node:
            assert time.monotonic() < deadline, "the slot does not move"
            time.sleep(0.02)


def _company(node: Node) -> bool:
    """Whether a replica follows it, or it follows its primary."""
    known = node.replication()
    return known.get("connected_slaves") == 1 or known.get("master_link_status") == "up"


@contextlib.contextmanager
def running_cluster_of(folder: Path, binary: Path | None = None) -> Iterator[RedisCluster]:
    """A cluster that is ended in any case."""
    with contextlib.ExitStack() as stack:
        yield RedisCluster(folder, stack, binary)
