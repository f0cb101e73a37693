"""The tasks of a process live together: where one has ended, the process does."""

import asyncio
import socket

import httpx
import pytest

from api.server import serve
from shared.config import Settings
from shared.errors import TaskEnded
from shared.process.tasks import Background, Endless, run_together
from tests.servers import running_server


async def for_ever() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise ValueError("a bug")


async def return_early() -> None:
    return


@pytest.mark.parametrize(("run", "cause"), [(fail, ValueError), (return_early, type(None))])
async def test_an_end_that_nobody_asked_for_is_a_failure(run: Endless, cause: type) -> None:
    background = Background()
    background.start("lives", for_ever)
    background.start("dies", run)
    async with asyncio.timeout(5):
        failure = await background.until_failed()
    assert failure.name == "dies"
    assert isinstance(failure.__cause__, cause)
    await background.close()


async def test_what_is_closed_has_not_failed() -> None:
    background = Background()
    background.start("lives", for_ever)
    await background.close()
    assert background.failure is None


async def test_one_that_fails_ends_even_who_loses_a_cancellation() -> None:
    """As redis-py does: `shared.process.tasks.end` says when."""
    lost: list[bool] = []

    async def poll() -> None:
        while True:
            try:
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append(True)

    async def fail_later() -> None:
        await asyncio.sleep(0.01)
        await fail()

    async with asyncio.timeout(5):
        with pytest.raises(ExceptionGroup) as ended:
            await run_together(for_ever(), poll(), fail_later())
    assert ended.group_contains(ValueError, match="a bug")
    assert lost


async def test_helpers_end_with_what_they_help_and_not_the_other_way_round() -> None:
    ended: list[str] = []

    async def helper() -> None:
        try:
            await for_ever()
        finally:
            ended.append("helper")

    async def main() -> None:
        await asyncio.sleep(0.01)
        ended.append("main")

    async with asyncio.timeout(5):
        await run_together(main(), return_early(), helper())
    assert ended == ["main", "helper"]


async def test_health_names_the_part_that_is_dead(settings: Settings) -> None:
    async with running_server(settings) as (api, client):
        assert (await client.get("/healthz")).status_code == 200
        api.background.start("doomed", fail)
        async with asyncio.timeout(5):
            await api.background.until_failed()
        health = await client.get("/healthz")
    assert (health.status_code, health.json()["code"]) == (503, "not_healthy")
    assert health.json()["task"] == "doomed"


@pytest.mark.parametrize("name", ["event feed", "lost jobs", "places", "headroom", "history"])
async def test_an_api_ends_with_its_parts(settings: Settings, name: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        serving = asyncio.create_task(serve(settings, listener))
        async with httpx.AsyncClient(base_url=url) as client:
            async with asyncio.timeout(10):
                while (await client.get("/readyz")).json().get("missing") != "worker":
                    await asyncio.sleep(0.01)
            [part] = [task for task in asyncio.all_tasks() if task.get_name() == name]
            part.cancel()
            with pytest.raises(TaskEnded, match=name):
                await asyncio.wait_for(serving, 10)
