"""`GET /conversations/events`: a second tab or device follows the list."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.list_log import ListLog
from tests.integration.bench import Bench, completion
from tests.integration.test_access import running_guarded
from tests.scripted import ScriptedEngine, failing, last_prompt
from tests.servers import Stack, Valkey, make_settings, running_server, running_stack
from tests.sse import Received, received

PATH = "/conversations/events"
CREATED, CHANGED, DELETED = "created", "changed", "deleted"


@contextlib.asynccontextmanager
async def following(
    client: httpx.AsyncClient, **request: Any
) -> AsyncIterator[AsyncIterator[Received]]:
    """The stream of changes, once it is open."""
    async with asyncio.timeout(20), client.stream("GET", PATH, **request) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield received(answer)


async def take(events: AsyncIterator[Received], number: int) -> list[Received]:
    return [await anext(events) for _ in range(number)]


def seen(events: list[Received]) -> list[tuple[str, int]]:
    return [(event.kind, event.data["id"]) for event in events]


async def asked(stack: Stack, prompt: str, **fields: Any) -> int:
    return int((await stack.client.post("/", json={"prompt": prompt, **fields})).json()["id"])


async def test_what_happens_elsewhere_is_heard_of_in_order(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        client = stack.client
        async with following(client) as events:
            made = await asked(stack, "Hello.")
            changed = await client.patch(f"/conversations/{made}", json={"title": "Hi"})
            label = {"metadata": {"a": "b"}}
            await client.post(f"/v1/conversations/conv_{made}", json=label)
            await client.delete(f"/conversations/{made}")
            heard = await take(events, 5)
    kinds = [CREATED, CHANGED, CHANGED, CHANGED, DELETED]
    assert seen(heard) == [(kind, made) for kind in kinds]
    used = changed.json()["updated_at"]
    assert [event.data["updated_at"] for event in heard[1:]] == [used] * 4


async def test_a_prompt_is_heard_of_before_its_reply(valkey: Valkey) -> None:
    begin: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(
        step=lambda _: begin if last_prompt(engine.prompts[-1]) == "And now?" else None
    )
    async with running_stack(make_settings(valkey.url), engine) as stack:
        made = (await stack.ask("Hello."))["id"]
        before = (await stack.client.get(f"/conversations/{made}")).json()
        async with following(stack.client) as events:
            body = {"prompt": "And now?", "id": made}
            job = (await stack.client.post("/jobs", json=body)).json()["job"]
            [heard] = await take(events, 1)
            # Where it stands in the list does not change before it is used.
            assert (heard.kind, heard.data["updated_at"]) == (CHANGED, before["updated_at"])
            pending = (await stack.client.get(f"/conversations/{made}")).json()["pending"]
            assert pending == [job]
            begin.set_result(None)
            assert seen(await take(events, 1)) == [(CHANGED, made)]


async def test_a_lost_connection_is_taken_up_behind_the_last_event(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        async with following(stack.client) as events:
            made = [await asked(stack, "One.")]
            [first] = await take(events, 1)
        made.append(await asked(stack, "Two."))
        resume = {"headers": {"Last-Event-ID": first.id}}
        async with following(stack.client, **resume) as events:
            missed = await take(events, 3)
            made.append(await asked(stack, "Three."))
            live = await take(events, 1)
        async with following(stack.client, params={"after": missed[-1].id}) as events:
            again = await take(events, 1)
        wrong = await stack.client.get(PATH, params={"after": "x"})
    assert seen(missed) == [(CHANGED, made[0]), (CREATED, made[1]), (CHANGED, made[1])]
    assert seen(live) == seen(again) == [(CREATED, made[2])]
    assert wrong.status_code == 422


async def test_whoever_was_away_for_too_long_loads_the_list_again(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        for after in ("1-0", "999999999999999-0"):
            async with following(stack.client, headers={"Last-Event-ID": after}) as events:
                made = await asked(stack, "Hello.")
                heard = await take(events, 2)
            assert [(event.kind, event.data) for event in heard[:1]] == [("reset", {})]
            assert seen(heard[1:]) == [(CREATED, made)]


async def test_each_owner_hears_of_its_own_and_a_revoked_key_of_nothing(
    valkey: Valkey, tmp_path: Path
) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        client, alice, bob = guarded.stack.client, guarded.headers("a"), guarded.headers("b")
        async with following(client, headers=bob) as events:
            await guarded.ask(alice, "Mine.")
            theirs = (await guarded.ask(bob, "Hers.")).json()["id"]
            assert seen(await take(events, 1)) == [(CREATED, theirs)]
            assert (await client.get(PATH)).status_code == 401
            guarded.keys.revoke("b")
            with contextlib.suppress(httpx.RemoteProtocolError):
                assert [event.kind async for event in events] == [CHANGED]


async def test_a_stopping_server_breaks_streams_off(valkey: Valkey) -> None:
    settings = make_settings(valkey.url)
    async with (
        running_stack(settings, ScriptedEngine()) as stack,
        running_server(settings) as (api, client),
    ):
        made = [await asked(stack, "One.")]
        async with following(client) as events:
            made.append(await asked(stack, "Two."))
            [*_, last] = await take(events, 2)
            api.feed.stop_readers()
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(events)
        # A page that comes back before the door is shut is sent away, too.
        with pytest.raises(httpx.RemoteProtocolError):
            async with following(client, headers={"Last-Event-ID": last.id}) as events:
                await anext(events)
        made.append(await asked(stack, "Three."))
        async with following(stack.client, headers={"Last-Event-ID": last.id}) as events:
            assert seen(await take(events, 1)) == [(CREATED, made[2])]


async def test_a_list_that_is_not_shown_is_not_followed(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_OPEN_LIST=0)
    async with running_stack(settings, ScriptedEngine()) as stack:
        assert (await stack.client.get(PATH)).status_code == 404


async def test_a_first_turn_that_fails_is_created_and_deleted(valkey: Valkey) -> None:
    settings, engine = make_settings(valkey.url), ScriptedEngine(failing)
    async with running_stack(settings, engine) as stack, following(stack.client) as events:
        await stack.client.post("/", json={"prompt": "?"})
        heard = await take(events, 2)
    assert [event.kind for event in heard] == [CREATED, DELETED]


async def test_a_response_that_is_taken_out_of_a_conversation_changes_it(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        client = stack.client
        first = (await client.post("/v1/responses", json={"input": "One."})).json()
        more = {"input": "Two.", "previous_response_id": first["id"]}
        second = (await client.post("/v1/responses", json=more)).json()
        async with following(client) as events:
            await client.delete(f"/v1/responses/{second['id']}")
            await client.delete(f"/v1/responses/{first['id']}")
            heard = await take(events, 2)
    assert [event.kind for event in heard] == [CHANGED, DELETED]


async def kinds_after(bench: Bench, after: str) -> list[str]:
    changes = await ListLog(bench.redis, bench.keys).follow("alice", after)
    return [event.kind for event in changes]


async def test_stateless_turns_are_nobodys_conversation(bench: Bench) -> None:
    start = await ListLog(bench.redis, bench.keys).position("alice")
    await bench.submit(owner="alice", stateless=True)
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim))
    assert await kinds_after(bench, start) == []
    assert await bench.redis.exists(bench.keys.owned("alice")) == 0


async def test_the_log_of_changes_is_bounded_and_says_what_it_lacks(bench: Bench) -> None:
    start = await ListLog(bench.redis, bench.keys).position("alice")
    submission = await bench.submit(owner="alice")
    early = (await ListLog(bench.redis, bench.keys).follow("alice", start))[0].id
    one = {"e": CHANGED, "d": f'{{"id":{submission.conversation_id},"updated":1}}'}
    log = bench.keys.changes("alice")
    for _ in range(1_300):
        await bench.redis.xadd(log, one)
    assert len(await kinds_after(bench, early)) == 1_300, "the first is there still"
    second = await bench.submit(owner="alice")
    assert await bench.redis.xlen(log) < 1_200
    assert await kinds_after(bench, early) == ["reset"]
    latest = (await bench.redis.xrevrange(log, count=2))[-1][0]
    assert await kinds_after(bench, latest) == [CREATED]
    assert 0 < await bench.redis.pttl(log) <= 300_000
    assert second.conversation_id


async def test_the_log_of_changes_has_no_text(valkey: Valkey) -> None:
    settings = make_settings(valkey.url)
    keys = Keys(settings.namespace)
    async with running_stack(settings, ScriptedEngine()) as stack, connect(settings) as redis:
        made = await asked(stack, "xyzzy")
        await stack.client.patch(f"/conversations/{made}", json={"title": "xyzzy"})
        entries = await redis.xrange(keys.changes("default"))
    assert len(entries) == 3
    assert "xyzzy" not in str(entries)
