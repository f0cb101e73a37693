"""Live streams: every piece once, in order, also across a broken connection and another API."""

import asyncio
from typing import Any

import httpx
import pytest

from shared.config import Settings
from shared.store.connection import connect
from shared.store.keys import Keys
from tests.integration.test_jobs import Gate, submit
from tests.scripted import ScriptedEngine
from tests.servers import make_settings, running_api, running_server, running_stack, running_valkey
from tests.sse import Received, all_events, received, text_of

REPLY = "Ein längerer Text, mit\nZeilen: data: nicht\r\n\r\nevent: echt 🎉."


def engine(**options: Any) -> ScriptedEngine:
    return ScriptedEngine(lambda _: REPLY, piece_length=4, **options)


async def test_a_post_streams_its_reply(settings: Settings) -> None:
    headers = {"Accept": "text/event-stream"}
    async with (
        running_stack(settings, engine()) as stack,
        stack.client.stream("POST", "/", json={"prompt": "Hi"}, headers=headers) as response,
    ):
        events = [event async for event in received(response)]
    kinds = [event.kind for event in events]
    assert kinds[:2] == ["queued", "started"]
    assert kinds[-1] == "completed"
    assert events[0].data["position"] == 1
    assert events[0].data["id"] == events[-1].data["id"]
    assert events[1].data == {"attempt": 1}
    assert text_of(events) == REPLY == events[-1].data["reply"]
    assert [e.id for e in events] == sorted((e.id for e in events), key=numbers)


def numbers(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-")))


async def test_resuming_behind_every_event_on_another_api(settings: Settings) -> None:
    async with running_stack(settings, engine()) as stack, running_api(settings) as other:
        job = await submit(stack.client, "Hi")
        path = job["links"]["events"]
        whole = await all_events(stack.client, path)
        for cut in range(len(whole) - 1):
            header = await all_events(other, path, headers={"Last-Event-ID": whole[cut].id})
            query = await all_events(other, path, params={"after": whole[cut].id})
            assert whole[: cut + 1] + header == whole
            assert query == header
        seen_all = await other.get(path, headers={"Last-Event-ID": whole[-1].id})
        beyond = await other.get(path, params={"after": "9999999999999-0"})
    assert (seen_all.status_code, beyond.status_code) == (204, 204)


async def test_a_stream_cut_at_every_event_while_it_runs(settings: Settings) -> None:
    """Each event is read on one API, and the next one on the other."""
    async with running_stack(settings, engine()) as stack, running_api(settings) as other:
        job = await submit(stack.client, "Hi")
        events: list[Received] = []
        clients = [stack.client, other]
        while not events or events[-1].kind != "completed":
            headers = {"Last-Event-ID": events[-1].id} if events else {}
            client = clients[len(events) % 2]
            events.append(await first_event(client, job["links"]["events"], headers))
    assert text_of(events) == REPLY
    assert len({event.id for event in events}) == len(events)


async def first_event(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> Received:
    async with client.stream("GET", path, headers=headers) as response:
        async for event in received(response):
            return event
    raise AssertionError("the stream ended without an event")


@pytest.mark.parametrize("after", ["yesterday", "1", "-", "1-2-3", "٣-٤"])
async def test_a_malformed_position_is_refused(settings: Settings, after: str) -> None:
    async with running_stack(settings, engine()) as stack:
        job = await submit(stack.client, "Hi")
        response = await stack.client.get(job["links"]["events"], params={"after": after})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "after"


async def test_an_unknown_jobs_events_are_404(settings: Settings) -> None:
    async with running_stack(settings, engine()) as stack:
        response = await stack.client.get(f"/jobs/{'0' * 32}/events")
    assert response.status_code == 404


async def test_once_the_log_has_expired_the_outcome_is_told_alone(settings: Settings) -> None:
    redis: Any = connect(settings)
    async with running_stack(settings, engine()) as stack:
        job = await submit(stack.client, "Hi")
        path = job["links"]["events"]
        whole = await all_events(stack.client, path)
        await redis.delete(Keys(settings.namespace).events(job["job"]))
        alone = await all_events(stack.client, path)
        rest = await all_events(stack.client, path, params={"after": whole[2].id})
        seen = await stack.client.get(path, params={"after": whole[-1].id})
    await redis.aclose(close_connection_pool=True)
    assert alone == rest == whole[-1:]
    assert seen.status_code == 204


async def test_a_cancelled_stream_ends_with_cancelled(settings: Settings) -> None:
    gate = Gate()
    async with running_stack(settings, engine(step=gate)) as stack:
        job = await submit(stack.client, "Hi")
        watching = asyncio.create_task(all_events(stack.client, job["links"]["events"]))
        await gate.reached.wait()
        await stack.client.delete(job["links"]["self"])
        events = await watching
    assert (events[-1].kind, events[-1].data) == ("cancelled", {})


@pytest.mark.parametrize("resumed", [False, True])
async def test_a_waiting_turn_tells_its_place_when_it_changes(
    settings: Settings, resumed: bool
) -> None:
    gate = Gate()
    async with running_stack(settings, engine(slots=1, step=gate)) as stack:
        await submit(stack.client, "first")
        await gate.reached.wait()
        before = await submit(stack.client, "second")
        job = await submit(stack.client, "third")
        path = job["links"]["events"]
        told = await first_event(stack.client, path, {})
        assert (told.kind, told.data["position"]) == ("queued", 2)
        headers = {"Last-Event-ID": told.id} if resumed else {}
        async with stack.client.stream("GET", path, headers=headers) as response:
            events = received(response)
            if not resumed:
                assert await anext(events) == told
            await stack.client.delete(before["links"]["self"])
            moved = await anext(events)
            assert (moved.kind, moved.id) == ("queued", told.id)
            assert moved.data == {
                **told.data,
                "position": 1,
                "eta_seconds": moved.data["eta_seconds"],
            }
            gate.open()
            rest = [event async for event in events]
    assert rest[0].kind == "started"
    assert rest[-1].kind == "completed"


async def test_a_stopping_server_breaks_streams_off(settings: Settings) -> None:
    gate = Gate()
    async with running_stack(settings, engine(step=gate)) as stack:
        job = await submit(stack.client, "Hi")
        await gate.reached.wait()
        async with running_server(settings) as (api, client):
            events: list[Received] = []

            async def read() -> None:
                async with client.stream("GET", job["links"]["events"]) as response:
                    async for event in received(response):
                        events.append(event)
                        if event.kind == "started":
                            api.feed.stop_readers()

            with pytest.raises(httpx.RemoteProtocolError):
                await read()
        gate.open()
        rest = await all_events(
            stack.client, job["links"]["events"], params={"after": events[-1].id}
        )
    assert text_of([*events, *rest]) == REPLY


async def test_a_stream_goes_on_when_redis_comes_back() -> None:
    gate = Gate()
    with running_valkey() as server:
        settings = make_settings(server.url)
        async with running_stack(settings, engine(step=gate)) as stack:
            job = await submit(stack.client, "Hi")
            async with stack.client.stream("GET", job["links"]["events"]) as response:
                events = [await anext(received(response))]
                await gate.reached.wait()
                redis: Any = connect(settings)
                await redis.client_kill_filter(_type="pubsub")
                await redis.aclose(close_connection_pool=True)
                gate.open()
            rest = await all_events(
                stack.client, job["links"]["events"], params={"after": events[-1].id}
            )
    assert text_of([*events, *rest]) == REPLY
