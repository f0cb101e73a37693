"""What a worker tells of itself, for whoever watches."""

from typing import Any

import orjson

from shared.config import Settings
from shared.store.connection import connect
from shared.store.keys import Keys
from tests.scripted import ScriptedEngine
from tests.servers import make_settings, running_stack, running_valkey


async def told(settings: Settings) -> dict[str, Any]:
    """The one worker's state."""
    keys, redis = Keys(settings.namespace), connect(settings)
    client: Any = redis
    (worker,) = await client.zrange(keys.workers, 0, -1)
    state: dict[str, Any] = await client.hgetall(keys.worker(worker))
    await client.aclose(close_connection_pool=True)
    return state


async def test_a_worker_tells_its_slots_and_its_engines_figures() -> None:
    with running_valkey() as server:
        settings = make_settings(server.url, PALAVER_LEASE=0.6, PALAVER_HEARTBEAT=0.05)
        async with running_stack(settings, ScriptedEngine(slots=3)) as stack:
            await stack.ask("Hello")
            while (state := await told(settings)).get("steps", "0") == "0":
                pass
    stats = orjson.loads(state["stats"])
    assert state["slots"] == "3"
    assert stats["steps"] == int(state["steps"]) == 1
    assert {"evaluated", "cached", "generated", "parked_bytes", "preemptions"} <= set(stats)
