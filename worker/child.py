"""The worker process itself: settings, model, event loop."""

import asyncio
import sys

import uvloop

from shared.config import DEFAULT_PORT, Settings, fail_start, settings_or_exit
from shared.errors import ConfigError
from shared.logs import configure_logging
from shared.supervisor import stop_on_signals
from worker.engine.interface import EngineError
from worker.settings import open_engine
from worker.wiring import run_worker


async def _work(settings: Settings) -> None:
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    try:
        engine = await asyncio.to_thread(open_engine, settings)
    except EngineError as error:
        raise ConfigError(str(error)) from None
    await run_worker(settings, engine, stopping)


def main() -> None:
    settings = settings_or_exit(PORT=DEFAULT_PORT)  # honcho numbers ports for us, too
    configure_logging(settings.log_level, settings.log_format)
    # Shorter than the default 5 ms: the engine's thread gives the event loop its turn sooner.
    sys.setswitchinterval(0.001)
    try:
        uvloop.run(_work(settings))
    except ConfigError as error:
        fail_start(error)


if __name__ == "__main__":
    main()
