from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext
from redis.asyncio import Redis

from shared.config import Settings
from shared.store.keys import Keys
from tests.e2e.processes import Palaver, running_palaver
from tests.integration.bench import Bench
from tests.web.browser import chromium, running_browser


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as browser:
        yield browser


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser profile of its own."""
    context = await browser.new_context()
    yield context
    await context.close()


@pytest.fixture
async def bench(redis: Redis, keys: Keys, settings: Settings) -> Bench:
    """One worker that only exists on paper."""
    bench = Bench(redis, keys, settings)
    await bench.serve()
    return bench


@pytest.fixture(scope="module")
def palaver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palaver]:
    """Two workers with one slot each and the bundled model; a window that two long replies fill."""
    chromium()
    data_dir: Path = tmp_path_factory.mktemp("palaver")
    with running_palaver(
        data_dir,
        workers=2,
        PALAVER_SLOTS="1",
        PALAVER_CONTEXT_LENGTH="800",
        PALAVER_LEASE="2",
        PALAVER_MAX_TOKENS="300",
        # Each browser profile has a list of its own.
        PALAVER_OPEN_LIST="0",
    ) as palaver:
        yield palaver
