"""The Lua scripts as calls with named arguments."""

import functools
import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from shared.store.keys import Keys, lua_table
from shared.wire.job_status import ENDED
from shared.wire.parts import PART_OF_EVENT

FOLDER: Traversable = resources.files("shared.store").joinpath("lua")
"""Where the scripts are read from."""
_LIBRARY: Final = (
    "lib/base", "lib/queue", "lib/models", "lib/limits", "lib/history", "lib/turns", "lib/edits",
)  # fmt: skip
_KEY: Final = re.compile(r"\bkey\.(\w+)")
_LEAN: Final = {"clock": 1, "beat": 1, "publish": 1, "places": 2, "announce": 2}
"""Of the scripts that run all the time, how many files of the library they need. Redis runs all of
a script's text with each call: the whole library takes as long as ten commands."""
_EDITING: Final = {"commit", "switch", "forget", "page", "alternatives", "append", "begin"}
"""Scripts that need the last file, too."""


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
        self._key = keys.schema  # some managed servers refuse scripts that name no key
        self._redis: Any = redis
        self._scripts = {name: _Script.of(script_text(name)) for name in names}

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
def script_text(name: str) -> str:
    """A script with what stands before it."""
    usual = len(_LIBRARY) - (name not in _EDITING)
    return with_library(_source(name), _LEAN.get(name, usual))


def with_library(source: str, num_files: int = len(_LIBRARY)) -> str:
    """A script behind constants, the names of the keys, and the first files of the library."""
    text = "".join(map(_source, _LIBRARY[:num_files])) + source
    return _constants() + lua_table(_KEY.findall(text)) + text


def _constants() -> str:
    """Sets of words that scripts and processes share."""
    sets = {"ended": ENDED, "parts": PART_OF_EVENT}
    return "".join(
        f"local {name} = {{{', '.join(f'{member} = true' for member in sorted(members))}}}\n"
        for name, members in sets.items()
    )


def _source(name: str) -> str:
    return FOLDER.joinpath(f"{name}.lua").read_text(encoding="utf-8")


def milliseconds(seconds: float) -> int:
    """What the scripts take times in."""
    return max(0, round(seconds * 1000))
