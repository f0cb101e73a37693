"""The Lua scripts as calls with named arguments."""

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from shared.keys import Keys, lua_table

FOLDER: Traversable = resources.files("shared").joinpath("lua")
"""Where the scripts are read from."""


class Scripts:
    """Scripts of `shared/lua`, each behind what all of them share, on one connection.

    Args:
        names: which.
    """

    def __init__(self, redis: Redis, keys: Keys, *names: str) -> None:
        prelude = lua_table() + _source("lib")
        self._namespace = keys.namespace
        self._scripts: dict[str, AsyncScript] = {
            name: redis.register_script(prelude + _source(name)) for name in names
        }

    async def call(self, script: str, **arguments: Any) -> Any:
        """Run a script; arguments that are None are left out."""
        flat: list[Any] = [self._namespace]
        for name, value in arguments.items():
            if value is not None:
                flat += (name, value)
        return await self._scripts[script](args=flat)


def _source(name: str) -> str:
    return FOLDER.joinpath(f"{name}.lua").read_text(encoding="utf-8")


def milliseconds(seconds: float) -> int:
    """What the scripts take times in."""
    return max(0, round(seconds * 1000))
