from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from redis.asyncio import Redis

from shared.config import Settings
from shared.store.connection import connect
from shared.store.keys import Keys
from tests.servers import Valkey, make_settings, running_valkey

# How long an example takes says nothing on a shared machine.
hypothesis_settings.register_profile("palaver", deadline=None)
hypothesis_settings.load_profile("palaver")


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """One server for all tests; each has a namespace of its own."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def settings(valkey: Valkey) -> Settings:
    return make_settings(valkey.url)


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    client: Any = connect(settings)
    yield client
    await client.aclose(close_connection_pool=True)


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return Keys(settings.namespace)
