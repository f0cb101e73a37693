"""Fixtures for the scripts, and for the API around them."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from api.openapi import openapi_document
from shared.config import Settings
from shared.store.keys import Keys
from tests.integration.bench import Bench
from tests.servers import Valkey, running_valkey


@pytest.fixture(scope="session", autouse=True)
def description_is_made_once() -> Iterator[None]:
    """The API's description takes most of its start, and is the same for the same settings."""
    documents: dict[str, dict[str, Any]] = {}

    def cached(settings: Settings, version: str) -> dict[str, Any]:
        elsewhere = {"namespace": "", "redis_url": ""}
        key = repr((settings.model_copy(update=elsewhere), version))
        if key not in documents:
            documents[key] = openapi_document(settings, version)
        return copy.deepcopy(documents[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("api.resources.openapi_document", cached)
        yield


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """For a test that looks through all keys again and again: the common server has many."""
    with running_valkey() as server:
        yield server


@pytest.fixture
async def bench(redis: Redis, keys: Keys, settings: Settings) -> Bench:
    bench = Bench(redis, keys, settings)
    await bench.serve()
    return bench
