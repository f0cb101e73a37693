"""Pub/sub that stays with the nodes of one slot.

What is published in the ordinary way on a cluster goes to all of its nodes, whether or not somebody
listens there. redis-py's asyncio client knows no other way; this one has the same calls.
"""

from typing import Any, Final

from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError

_SHARDED: Final = {"SUBSCRIBE": "SSUBSCRIBE", "UNSUBSCRIBE": "SUNSUBSCRIBE"}
_ORDINARY: Final = {
    "smessage": "message",
    "ssubscribe": "subscribe",
    "sunsubscribe": "unsubscribe",
}


class ShardedPubSub(PubSub):
    """Subscribes to channels of one slot, and gives messages as if they were ordinary ones."""

    async def execute_command(self, *arguments: Any) -> None:
        """Send a command of pub/sub, in the form for one slot."""
        name, *others = arguments
        await super().execute_command(_SHARDED.get(name, name), *others)

    async def handle_message(self, response: Any, ignore_subscribe_messages: bool = False) -> Any:
        """A message in the form of an ordinary one.

        Raises:
            redis.exceptions.ConnectionError: another node serves the slot from now on.
        """
        if isinstance(response, list):
            response = [_ORDINARY.get(response[0], response[0]), *response[1:]]
            if response[0] == "unsubscribe" and self._is_unasked(response[1]):
                raise ConnectionError("the slot of these channels is served elsewhere")
        return await super().handle_message(  # type: ignore[no-untyped-call]
            response, ignore_subscribe_messages
        )

    def _is_unasked(self, channel: Any) -> bool:
        return channel in self.channels and channel not in self.pending_unsubscribe_channels
