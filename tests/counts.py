"""What always holds in the queue, at every moment between two scripts: counted by a script."""

import hashlib
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from shared.store.keys import Keys
from shared.store.scripts import with_library

_COUNT: Final = with_library(Path(__file__).with_suffix(".lua").read_text(encoding="utf-8"))
_SHA: Final = hashlib.sha1(_COUNT.encode(), usedforsecurity=False).hexdigest()


async def wrong_counts(redis: Redis, keys: Keys) -> list[str]:
    """What does not add up in the queue just now, in words; empty if all does.

    Each waiting turn is in its line, each that may start either ready or held, each held one among
    its home's own, each running one has a lease; nothing else is in any of these; workers with a
    free slot take turns; and owners' counts of waiting turns are right.
    """
    server: Any = redis
    arguments = 1, keys.schema, keys.namespace
    try:
        wrong: list[str] = await server.evalsha(_SHA, *arguments)
    except NoScriptError:
        wrong = await server.eval(_COUNT, *arguments)
    return wrong
