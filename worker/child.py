"""The worker process itself: settings, model, event loop."""

import asyncio
import os
import sys
from collections.abc import Callable

import uvloop

from shared.config import Settings
from shared.environment import DEFAULT_PORT, SUPERVISOR_VARIABLE
from shared.errors import EX_DRAINED, EX_SOFTWARE, ConfigError, TaskEnded
from shared.process.logs import configure_logging
from shared.process.start import fail_start, settings_or_exit
from shared.process.supervisor import stop_on_signals
from worker.engine.embedding import Embedder
from worker.engine.interface import Engine, EngineError
from worker.wiring import run_worker

OpenEngine = Callable[[Settings], Engine | Embedder]


def _load_library() -> OpenEngine:
    """Load llama.cpp, which may have been built against libraries that are not installed.

    Raises:
        ConfigError: it cannot be loaded.
    """
    try:
        from worker.engine_setup import open_engine  # noqa: PLC0415 - its error gets a message
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"llama.cpp cannot be loaded ({error}); `make install GPU=cpu` or GPU=cuda builds it "
            "for this machine"
        ) from None
    return open_engine


async def _work(settings: Settings, open_engine: OpenEngine) -> bool:
    """Returns whether the worker was asked to drain."""
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    try:
        engine = await asyncio.to_thread(open_engine, settings)
    except EngineError as error:
        raise ConfigError(str(error)) from None
    return await run_worker(settings, engine, stopping)


def main() -> None:
    settings = settings_or_exit(PORT=DEFAULT_PORT)  # honcho gives workers a PORT, too
    configure_logging(settings.log_level, settings.log_format)
    # Shorter than the default 5 ms: the engine's thread yields to the event loop sooner.
    sys.setswitchinterval(0.001)
    try:
        is_drained = uvloop.run(_work(settings, _load_library()))
    except ConfigError as error:
        fail_start(error)
    except TaskEnded:
        sys.exit(EX_SOFTWARE)  # already logged
    if is_drained and SUPERVISOR_VARIABLE in os.environ:
        sys.exit(EX_DRAINED)


if __name__ == "__main__":
    main()
