"""A whole Palaver around a scripted engine, in a thread: most clients block theirs."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.config import Settings
from tests.scripted import ScriptedEmbedder, ScriptedEngine
from tests.servers import running_stack

_START_S = 20.0

E = TypeVar("E", ScriptedEngine, ScriptedEmbedder)


@dataclass
class Served(Generic[E]):
    """A server that runs.

    Args:
        url: of its root.
        engine: what it runs; tests look at its prompts.
    """

    engine: E
    url: str = ""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def openai_url(self) -> str:
        """Where OpenAI's clients look."""
        return f"{self.url}/v1"


@contextlib.contextmanager
def served(settings: Settings, engine: E) -> Iterator[Served[E]]:
    """Serve what an engine replies, until the block ends."""
    server = Served(engine)
    started = threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with running_stack(settings, server.engine) as stack:
            server.url = str(stack.client.base_url)
            started.set()
            await server.stopping.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        assert started.wait(_START_S), "the server does not start"
        yield server
    finally:
        loop.call_soon_threadsafe(server.stopping.set)
        thread.join(_START_S)
        loop.close()
