"""What goes wrong with the nodes of a Redis Cluster during a storm, each healed in the end."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tests.faults.redis_cluster import Node, RedisCluster

PROMOTIONS: Final = ("primary killed", "primary hangs", "primary killed that its replica had lost")
"""Faults after which a replica is the primary."""
_LONGEST_S: Final = 1.0


class NodeFaults:
    """Injects faults into the nodes that serve some keys.

    Args:
        keyspaces: what these keys begin with; each fault is about those of one.
    """

    def __init__(self, nodes: RedisCluster, keyspaces: Sequence[str], dice: random.Random) -> None:
        self._nodes = nodes
        self._keyspaces = keyspaces
        self._keyspace = keyspaces[0]
        self._random = dice
        killed, hangs, lost = PROMOTIONS
        self.kinds: dict[str, tuple[Callable[[], Awaitable[None]], int]] = {
            killed: (self._in_a_thread(self._killed), 4),
            hangs: (self._in_a_thread(self._hangs), 3),
            lost: (self._in_a_thread(self._killed_alone), 3),
            "slot moved in one step": (self._in_a_thread(self._moved_at_once), 3),
            "slot moved key by key": (self._in_a_thread(self._moved_by_keys), 2),
            "primary of other slots killed": (self._in_a_thread(self._other_killed), 1),
            "replica killed": (self._in_a_thread(self._replica_killed), 1),
        }

    def _in_a_thread(self, fault: Callable[[], None]) -> Callable[[], Awaitable[None]]:
        async def of_one() -> None:
            self._keyspace = self._random.choice(self._keyspaces)
            await asyncio.to_thread(fault)

        return of_one

    def _some_s(self) -> float:
        return self._random.uniform(0.05, _LONGEST_S)

    def _primary(self) -> Node:
        return self._nodes.primary_of(self._keyspace)

    def _bring_back(self, node: Node) -> None:
        self._nodes.start_again(node)
        self._nodes.until_whole()

    def _killed(self) -> None:
        primary = self._primary()
        primary.kill()
        self._nodes.until_promoted(self._keyspace, primary)
        self._bring_back(primary)

    def _hangs(self) -> None:
        """It comes back with what it was told in the meantime, and nobody wants it."""
        primary = self._primary()
        primary.hang()
        try:
            self._nodes.until_promoted(self._keyspace, primary)
        finally:
            primary.go_on()
        self._nodes.until_whole()

    def _killed_alone(self) -> None:
        """What it has written since its replica was gone, nobody has."""
        primary = self._primary()
        replica = self._nodes.replica_of(primary)
        replica.hang()
        try:
            primary.say("CLIENT", "KILL", "TYPE", "replica")
            self._nodes.pause(self._some_s())
            primary.kill()
        finally:
            replica.go_on()
        self._nodes.until_promoted(self._keyspace, primary)
        self._bring_back(primary)

    def _moved_at_once(self) -> None:
        self._nodes.move_at_once(self._keyspace, self._nodes.other_primary(self._primary()))

    def _moved_by_keys(self) -> None:
        target = self._nodes.other_primary(self._primary())
        with self._nodes.moving(self._keyspace, target) as step:
            self._nodes.pause(self._some_s())
            step()
            self._nodes.pause(self._some_s())

    def _other_killed(self) -> None:
        other = self._nodes.other_primary(self._primary())
        other.kill()
        self._nodes.until_replaced(other)
        self._bring_back(other)

    def _replica_killed(self) -> None:
        """Until it is back, nothing can be acknowledged that it has to have."""
        replica = self._nodes.replica_of(self._primary())
        replica.kill()
        self._nodes.pause(self._some_s())
        self._bring_back(replica)
