"""The Lua scripts as calls with named arguments."""

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from shared.store.cluster import ClusterRedis
from shared.store.keys import Keys, with_key_names
from shared.store.lua_library import used_part, without_comments
from shared.wire.job_status import ENDED
from shared.wire.limits import DEFAULT_OWNER
from shared.wire.parts import PART_OF_EVENT

FOLDER: Traversable = resources.files("shared.store").joinpath("lua")
"""Where the scripts are read from."""
_LIBRARY: Final = (
    "lib/base",
    "lib/queue",
    "lib/models",
    "lib/usage",
    "lib/limits",
    "lib/lists",
    "lib/history",
    "lib/summaries",
    "lib/view",
    "lib/overview",
    "lib/turns",
    "lib/edits",
    "lib/workers",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Script:
    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> "_Script":
        return cls(text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Scripts:
    """Scripts of `shared/store/lua` on one connection.

    Args:
        names: file names without `.lua`.
    """

    def __init__(self, redis: Redis, keys: Keys, *names: str) -> None:
        self._namespace = keys.namespace
        # Some managed servers refuse scripts that name no key. This one is never there: a node of a
        # cluster that hands the slot over key by key refuses the script, before it sees some keys
        # and misses others.
        self._key = keys.probe
        self._redis: Any = redis
        sharded = isinstance(redis, ClusterRedis)
        self._scripts = {name: _Script.of(script_text(name, sharded=sharded)) for name in names}

    async def call(self, script: str, **arguments: Any) -> Any:
        """Run a script; arguments that are None are left out.

        A server that does not know the script (it restarted or failed over) gets its text, which
        runs it in one step: a script loaded first could be forgotten again before the call.
        """
        flat: list[Any] = [self._key, self._namespace]
        for name, value in arguments.items():
            if value is not None:
                flat += (name, value)
        known = self._scripts[script]
        try:
            return await self._redis.evalsha(known.sha, 1, *flat)
        except NoScriptError:
            return await self._redis.eval(known.text, 1, *flat)


@functools.cache
def script_text(name: str, *, sharded: bool = False) -> str:
    """A script with what stands before it.

    Args:
        sharded: publishes to those who subscribe as `ShardedPubSub` does.
    """
    return with_library(_source(name), sharded=sharded)


def with_library(script: str, *, sharded: bool = False) -> str:
    """A script behind the parts of the library that it uses."""
    script = without_comments(script)
    return with_key_names(used_part(_library(sharded=sharded), script) + script)


@functools.cache
def _library(*, sharded: bool) -> str:
    return without_comments(_constants(sharded=sharded) + "".join(map(_source, _LIBRARY)))


def _constants(*, sharded: bool) -> str:
    """What scripts and processes share."""
    texts = {
        "default_owner": DEFAULT_OWNER,
        "publish_command": "SPUBLISH" if sharded else "PUBLISH",
    }
    sets = {"ended": ENDED, "parts": PART_OF_EVENT}
    return "".join(f"local {name} = '{text}'\n" for name, text in texts.items()) + "".join(
        f"local {name} = {{{', '.join(f'{member} = true' for member in sorted(members))}}}\n"
        for name, members in sets.items()
    )


def _source(name: str) -> str:
    return FOLDER.joinpath(f"{name}.lua").read_text(encoding="utf-8")


def milliseconds(seconds: float) -> int:
    """What the scripts take times in."""
    return max(0, round(seconds * 1000))
