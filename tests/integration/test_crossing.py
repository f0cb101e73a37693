"""How many of our modules a prompt crosses on its way from a request's head to Redis.

Counted are the modules whose code runs between a request's head and the call of its `submit`
script, those two included: rooms of the API, the store, processes. What everything is written in
(values in `shared/wire`, ids, settings) is vocabulary, not a place on the way.
"""

import sys
from pathlib import Path
from types import FrameType
from typing import Any

from redis.asyncio import Redis

from shared.config import Settings
from shared.store.keys import Keys
from tests.integration.bench import Bench
from tests.servers import running_api, until_ready

ROOT = Path(__file__).parents[2]
ROOMS = ("api/", "shared/store/", "shared/process/")
MOST = 12
TRIES = 3


class Crossing:
    """Notes the modules whose code runs between a request's head and its `submit` script."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.is_counting = False

    def profile(self, frame: FrameType, event: str, _argument: Any) -> None:
        """As `sys.setprofile` wants it."""
        if event != "call" or not frame.f_code.co_filename.startswith(str(ROOT)):
            return
        name, function = str(Path(frame.f_code.co_filename).relative_to(ROOT)), frame.f_code.co_name
        if function == "on_headers_complete":
            self.modules, self.is_counting = set(), True
        if self.is_counting and name.startswith(ROOMS):
            self.modules.add(name)
        if function == "call" and frame.f_locals.get("script") == "submit":
            self.is_counting = False


async def test_a_prompt_crosses_few_modules(redis: Redis, keys: Keys, settings: Settings) -> None:
    await Bench(redis, keys, settings).serve()
    seen = []
    async with running_api(settings) as client:
        await until_ready(client)
        for number in range(TRIES):
            crossing = Crossing()
            sys.setprofile(crossing.profile)
            try:
                await client.post("/", json={"prompt": f"{number}"}, headers={"Prefer": "wait=1"})
            finally:
                sys.setprofile(None)
            assert crossing.modules
            assert not crossing.is_counting
            seen.append(crossing.modules)
    # What a background task happened to run meanwhile is in one of them at most.
    crossed = set.intersection(*seen)
    assert len(crossed) <= MOST, sorted(crossed)
