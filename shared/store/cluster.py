"""A cluster's node that serves our keys, and connections that follow it.

All names of an installation have one hash tag, so that all its keys are in one slot: a script is
one step there, as it is on a single server. What a cluster adds is that the slot's primary changes,
by a failover or because the slot is moved. A node that does not serve the slot refuses a command
instead of running it, and every call of ours may be repeated.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.crc import key_slot
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

from shared.store.pool import cut
from shared.store.sharded_pubsub import ShardedPubSub

Address = tuple[str, int]

_ASK_TIMEOUT_S: Final = 2.0
"""A node that takes longer to say who serves what is not asked further."""
_DOWN: Final = ("CLUSTERDOWN", "MASTERDOWN", "READONLY")
"""First words of what a node says that has lost the others, or its role."""
_MOVING: Final = ("ASK", "TRYAGAIN")
"""First words of what a node says while it hands a slot over key by key."""


class SlotPrimary:
    """Which node of a cluster serves a slot.

    Args:
        seeds: nodes to ask first.
        tag: the hash tag of the slot's keys.
        kind: a connection to a node.
        options: of that connection.
    """

    def __init__(
        self,
        seeds: Sequence[Address],
        tag: str,
        kind: type[AbstractConnection],
        **options: Any,
    ) -> None:
        self._slot = key_slot(tag.encode())
        self._seeds = list(seeds)
        self._nodes: list[Address] = []
        self._kind = cut(kind)
        timeouts = {"socket_timeout": _ASK_TIMEOUT_S, "socket_connect_timeout": _ASK_TIMEOUT_S}
        self._options = {**options, **timeouts}
        self._address: Address | None = None
        self._asking = asyncio.Lock()

    async def address(self) -> Address:
        """Where it is.

        Raises:
            redis.exceptions.ConnectionError: no node knows.
        """
        async with self._asking:
            if self._address is None:
                self._address = await self._find()
            return self._address

    def may_be(self, address: Address) -> bool:
        """Whether nothing is known against that address."""
        return self._address is None or self._address == address

    def moved(self, to: Address) -> None:
        """A node has named another one."""
        self._address = to

    def suspect(self, address: Address) -> None:
        """It does not answer, or does not serve the slot any more; others are asked first."""
        if self._address == address:
            self._address = None
        if address in self._nodes:
            self._nodes.remove(address)
            self._nodes.append(address)

    async def _find(self) -> Address:
        for node in [*self._nodes, *(seed for seed in self._seeds if seed not in self._nodes)]:
            try:
                ranges = await self._ask(node)
            except (RedisError, OSError):
                continue
            for first, last, primary, *replicas in ranges:
                if first <= self._slot <= last:
                    self._nodes = list(_addresses([primary, *replicas], node))
                    return self._nodes[0]
        raise ConnectionError(f"no node of the cluster knows who serves slot {self._slot}")

    async def _ask(self, node: Address) -> list[Any]:
        """What a node says: first and last slot, primary and replicas of each range."""
        connection = self._kind(**{**self._options, "host": node[0], "port": node[1]})
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("CLUSTER", "SLOTS")
            ranges: list[Any] = await connection.read_response()
            return ranges
        finally:
            await connection.disconnect()


def _addresses(entries: Iterable[Sequence[Any]], asked: Address) -> Iterable[Address]:
    """A node that does not know its own name leaves it out: it is the one that was asked."""
    return ((entry[0] or asked[0], int(entry[1])) for entry in entries)


class _SlotConnection(Connection):
    """A connection to whoever serves a slot.

    Args:
        primary: who that is.
    """

    def __init__(self, *, primary: SlotPrimary, **options: Any) -> None:
        super().__init__(**options)
        self._primary = primary

    async def connect(self) -> None:
        """Connect, or connect again if another node serves the slot by now."""
        if self.is_connected:
            if self._primary.may_be((self.host, self.port)):
                return
            await self.disconnect()
        self.host, self.port = await self._primary.address()
        try:
            await super().connect()  # type: ignore[no-untyped-call]
        except (ConnectionError, TimeoutError, OSError):
            self._primary.suspect((self.host, self.port))
            raise

    async def read_response(self, *positional: Any, **options: Any) -> Any:
        """An answer.

        Raises:
            redis.exceptions.ConnectionError: the node does not serve the slot, or not now.
        """
        try:
            return await super().read_response(*positional, **options)
        except ResponseError as error:
            if not self._is_elsewhere(error):
                raise
            await self.disconnect()
            raise ConnectionError(f"{self.host}:{self.port}: {error}") from None

    def _is_elsewhere(self, error: ResponseError) -> bool:
        word, *others = str(error).split()
        if word == "MOVED":
            host, _, port = others[-1].rpartition(":")
            self._primary.moved((host or self.host, int(port)))
            return True
        if word in _DOWN:
            self._primary.suspect((self.host, self.port))
            return True
        return word in _MOVING


class _SlotTLSConnection(_SlotConnection, SSLConnection):
    pass


class ClusterRedis(Redis):
    """A client whose connections lead to whoever serves a slot."""

    def pubsub(self, **options: Any) -> ShardedPubSub:
        """Subscriptions to channels whose names have the slot's hash tag."""
        return ShardedPubSub(self.connection_pool, **options)


def following(seeds: Sequence[Address], tag: str, **options: Any) -> dict[str, Any]:
    """Options of a pool whose connections lead to whoever serves the slot of a hash tag.

    Args:
        options: of its connections, with their class where it is not plain TCP.
    """
    kind = options.pop("connection_class", Connection)
    primary = SlotPrimary(seeds, tag, kind, **options)
    slot_kind = _SlotTLSConnection if issubclass(kind, SSLConnection) else _SlotConnection
    return {**options, "connection_class": cut(slot_kind), "primary": primary}
