"""The Lua scripts as calls with named arguments."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from shared.wire.job_status import ENDED
from tests.faults.old_wire.keys import Keys, lua_table

FOLDER: Traversable = resources.files("tests.faults.old_wire").joinpath("lua")
"""Where the scripts are read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Script:
    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> "_Script":
        return cls(text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Scripts:
    """Scripts of `shared/store/lua` on one connection, each with the prelude before it.

    Args:
        names: file names without `.lua`.
    """

    def __init__(self, redis: Redis, keys: Keys, *names: str) -> None:
        before = prelude()
        self._namespace = keys.namespace
        self._redis: Any = redis
        self._scripts = {name: _Script.of(before + _source(name)) for name in names}

    async def call(self, script: str, **arguments: Any) -> Any:
        """Run a script; arguments that are None are left out.

        A server that does not know the script (it restarted or failed over) gets its text, which
        runs it in one step: a script loaded first could be forgotten again before the call.
        """
        flat: list[Any] = [self._namespace]
        for name, value in arguments.items():
            if value is not None:
                flat += (name, value)
        known = self._scripts[script]
        try:
            return await self._redis.evalsha(known.sha, 0, *flat)
        except NoScriptError:
            return await self._redis.eval(known.text, 0, *flat)


def prelude() -> str:
    """The beginning of every script: constants, the key names, and `lib.lua`."""
    ended = ", ".join(f"{status} = true" for status in sorted(ENDED))
    return f"local ended = {{{ended}}}\n" + lua_table() + _source("lib")


def _source(name: str) -> str:
    return FOLDER.joinpath(f"{name}.lua").read_text(encoding="utf-8")


def milliseconds(seconds: float) -> int:
    """What the scripts take times in."""
    return max(0, round(seconds * 1000))
