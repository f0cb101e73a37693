"""A namespace in several cells: to clients it is one, and nothing of a cell leaves it."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.http.keys import KeyFile
from cli.doctor_redis import check_redis
from shared.cells import Cells
from shared.config import Settings
from shared.errors import ConfigError
from shared.store.cell_record import record_check
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.wire.limits import NO_LIMITS, Limits
from tests.integration.test_list_events import following
from tests.scripted import ScriptedEngine
from tests.servers import (
    Stack,
    Valkey,
    make_settings,
    running_api,
    running_stack,
    running_valkey,
    running_worker,
    until_ready,
)

CELLS = 4


def divided(valkey: Valkey, **variables: Any) -> Settings:
    return make_settings(valkey.url, PALAVER_CELLS=CELLS, **variables)


@pytest.fixture
async def stack(valkey: Valkey) -> AsyncIterator[Stack]:
    async with running_stack(divided(valkey), ScriptedEngine()) as stack:
        yield stack


async def begun(stack: Stack, number: int) -> list[dict[str, Any]]:
    """So many conversations, one after the other."""
    return [await stack.ask(f"Number {each}") for each in range(number)]


async def names(settings: Settings) -> set[str]:
    """Of everything that is stored."""
    async with connect(settings) as redis:
        return {name async for name in redis.scan_iter(f"*{settings.namespace}*")}


async def test_conversations_lie_in_all_cells_and_are_gone_on_with(stack: Stack) -> None:
    firsts = await begun(stack, 24)
    assert {first["id"] % CELLS for first in firsts} == set(range(CELLS))
    for first in firsts:
        second = await stack.ask("Again", id=first["id"])
        assert second["window"]["turns_kept"] == 2
        page = (await stack.client.get(f"/conversations/{first['id']}/messages")).json()
        assert len(page["messages"]) == 4


async def test_everything_that_is_stored_has_a_cell_s_hash_tag(stack: Stack) -> None:
    await begun(stack, 12)
    tags = tuple(f"{{{stack.settings.namespace}:{cell}}}:" for cell in range(CELLS))
    stored = await names(stack.settings)
    assert stored
    assert all(name.startswith(tags) for name in stored), stored


async def test_a_job_is_in_the_cell_of_its_conversation(stack: Stack) -> None:
    cells = Cells(stack.settings)
    for _ in range(8):
        job = (await stack.client.post("/jobs", json={"prompt": "Hello"})).json()
        assert cells.of_job(job["job"]) == cells.of_conversation(str(job["id"]))
        done = (await stack.client.get(f"/jobs/{job['job']}?wait=10")).json()
        assert done["status"] == "completed"


async def test_streams_end_in_every_cell(stack: Stack) -> None:
    for _ in range(8):
        headers = {"Accept": "text/event-stream"}
        answer = await stack.client.post("/", json={"prompt": "Hello"}, headers=headers)
        kinds = re.findall("^event: (.*)$", answer.text, re.MULTILINE)
        assert (kinds[0], kinds[-1]) == ("queued", "completed")


async def test_a_repeated_request_is_answered_by_the_first_one(stack: Stack) -> None:
    first = await stack.ask("Hello")
    for body in ({"prompt": "New"}, {"prompt": "More", "id": first["id"]}):
        headers = {"Idempotency-Key": f"key-of-{body['prompt']:>16}"}
        answers = [
            (await stack.client.post("/", json=body, headers=headers)).json() for _ in range(6)
        ]
        assert len({answer["job"] for answer in answers}) == 1


async def test_the_list_has_all_conversations_the_one_used_last_in_front(stack: Stack) -> None:
    firsts = await begun(stack, 11)
    await stack.ask("Again", id=firsts[3]["id"])
    expected = [first["id"] for first in reversed(firsts)]
    expected.remove(firsts[3]["id"])
    expected.insert(0, firsts[3]["id"])
    listed, before = [], ""
    while before is not None:
        query = f"?limit=3&before={before}" if before else "?limit=3"
        page = (await stack.client.get(f"/conversations{query}")).json()
        listed += [each["id"] for each in page["conversations"]]
        before = page["next"]
    assert listed == expected


async def test_a_search_finds_what_is_in_any_cell_used_last_in_front(stack: Stack) -> None:
    expected = []
    for number in range(12):
        word = "even" if number % 2 == 0 else "odd"
        answer = await stack.ask(f"Number {number} is {word}.")
        expected += [answer["id"]] if word == "odd" else []
    hits, params = [], {"query": "odd", "limit": "2"}
    while True:
        page = (await stack.client.get("/conversations", params=params)).json()
        hits += [each["id"] for each in page["conversations"]]
        if page["next"] is None:
            break
        params["before"] = page["next"]
    assert hits == expected[::-1]


async def test_the_list_hears_of_changes_in_every_cell(stack: Stack) -> None:
    heard: set[int] = set()
    async with asyncio.timeout(10), following(stack.client) as events:
        firsts = await begun(stack, 12)
        while not heard >= {first["id"] for first in firsts}:
            heard.add((await anext(events)).data["id"])
        last = await anext(events)
    later = await stack.ask("While nobody listens.")
    headers = {"Last-Event-ID": last.id}
    async with asyncio.timeout(10), following(stack.client, headers=headers) as events:
        while (await anext(events)).data["id"] != later["id"]:
            pass


async def test_responses_are_continued_in_their_cell(stack: Stack) -> None:
    cells, client = Cells(stack.settings), stack.client
    previous = None
    for number in range(6):
        body = {"model": "any", "input": f"{number}"}
        if previous is not None:
            body["previous_response_id"] = previous["id"]
        answer = await client.post("/v1/responses", json=body)
        assert answer.status_code == 200, answer.text
        response = answer.json()
        if previous is not None:
            first, second = previous["id"][5:], response["id"][5:]
            assert cells.of_job(first) == cells.of_job(second)
        shown = await client.get(f"/v1/responses/{response['id']}")
        assert shown.json()["id"] == response["id"]
        previous = response


async def test_a_dialogue_of_stateless_requests_stays_in_one_cell(stack: Stack) -> None:
    """Only there is it known which worker has its beginning in the cache."""
    messages = [{"role": "user", "content": "How do you do?"}]
    cells = Cells(stack.settings)
    found = set()
    for _ in range(5):
        body = {"model": "any", "messages": messages}
        answer = (await stack.client.post("/v1/chat/completions", json=body)).json()
        found.add(cells.of_job(answer["id"].removeprefix("chatcmpl-")))
        messages += [answer["choices"][0]["message"], {"role": "user", "content": "And now?"}]
    assert len(found) == 1


async def test_a_deleted_conversation_is_gone_and_others_stay(stack: Stack) -> None:
    first, second = await begun(stack, 2)
    assert (await stack.client.delete(f"/conversations/{first['id']}")).status_code == 204
    assert (await stack.client.get(f"/conversations/{first['id']}")).status_code == 404
    assert (await stack.client.get(f"/conversations/{second['id']}")).status_code == 200


async def test_a_key_s_conversations_are_in_one_cell(valkey: Valkey, tmp_path: Path) -> None:
    """So its limits and its list are what they are without cells."""
    path = tmp_path / "keys.json"
    file = KeyFile(path)
    secrets = [file.create(f"key {number}", NO_LIMITS) for number in range(12)]
    settings = divided(valkey, PALAVER_API_KEYS_FILE=path)
    homes = []
    async with running_stack(settings, ScriptedEngine()) as stack:
        for secret in secrets:
            headers = {"Authorization": f"Bearer {secret}"}
            used = set()
            for _ in range(3):
                answer = await stack.client.post("/", json={"prompt": "Hi"}, headers=headers)
                used.add(answer.json()["id"] % CELLS)
            homes.append(used)
            listed = (await stack.client.get("/conversations", headers=headers)).json()
            assert len(listed["conversations"]) == 3
    assert all(len(used) == 1 for used in homes)
    assert len(set.union(*homes)) > 1, "all keys are in one cell"


async def test_a_key_that_is_spread_is_one_owner_in_several_cells(
    valkey: Valkey, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    secret = KeyFile(path).create("the app", Limits(requests_per_minute=60), spread=3)
    other = KeyFile(path).create("another", NO_LIMITS, spread=3)
    settings = divided(valkey, PALAVER_API_KEYS_FILE=path)
    async with running_stack(settings, ScriptedEngine()) as stack:
        headers = {"Authorization": f"Bearer {secret}"}
        answers = [
            await stack.client.post("/", json={"prompt": f"Hi {number}"}, headers=headers)
            for number in range(24)
        ]
        ids = [answer.json()["id"] for answer in answers]
        listed = (await stack.client.get("/conversations?limit=100", headers=headers)).json()
        repeated = {
            (
                await stack.client.post(
                    "/", json={"prompt": "Once"}, headers={**headers, "Idempotency-Key": "k" * 16}
                )
            ).json()["job"]
            for _ in range(4)
        }
        theirs = await stack.client.get(
            f"/conversations/{ids[0]}", headers={"Authorization": f"Bearer {other}"}
        )
    assert len({number % CELLS for number in ids}) == 3
    assert [each["id"] for each in listed["conversations"]] == ids[::-1]
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"20"}
    assert len(repeated) == 1
    assert theirs.status_code == 404


async def test_workers_with_few_cells_serve_all_of_them_together(valkey: Valkey) -> None:
    settings = divided(valkey, PALAVER_CELLS_PER_WORKER=2)
    async with running_stack(settings, ScriptedEngine(), ScriptedEngine()) as stack:
        answers = await asyncio.gather(*(stack.ask(f"{number}") for number in range(24)))
    assert {answer["id"] % CELLS for answer in answers} == set(range(CELLS))


async def test_a_worker_runs_no_more_turns_than_it_has_slots(valkey: Valkey) -> None:
    most = 0
    engine = ScriptedEngine(slots=2, piece_length=5, step=lambda _given: step())

    def step() -> "asyncio.Future[None]":
        nonlocal most
        most = max(most, engine.running)
        later: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.001, later.set_result, None)
        return later

    async with running_stack(divided(valkey, PALAVER_SLOTS=2), engine) as stack:
        await asyncio.gather(*(stack.ask("x" * 20 + f"{number}") for number in range(30)))
    assert most == 2


async def test_a_server_that_stops_at_once_ends_in_every_cell(valkey: Valkey) -> None:
    """Though calls of Redis may lose a cancellation (`shared.process.tasks.end`)."""
    async with asyncio.timeout(20):
        for _ in range(3):
            async with running_api(divided(valkey)):
                pass


async def test_metrics_have_every_cell(stack: Stack) -> None:
    text = (await stack.client.get("/metrics")).text
    for cell in range(CELLS):
        assert f'palaver_cell_up{{cell="{cell}"}} 1.0' in text
        assert f'palaver_cell_turns_waiting{{cell="{cell}"}} 0.0' in text


async def test_operators_find_turns_of_all_cells(stack: Stack) -> None:
    jobs = [(await stack.client.post("/jobs", json={"prompt": "?"})).json() for _ in range(8)]
    for job in jobs:
        for text in (job["job"], f"{job['id']}"):
            found = (await stack.client.get(f"/ops/lookup?id={text}")).json()
            assert [turn["job"] for turn in found["turns"]] == [job["job"]]


async def test_the_doctor_looks_at_every_cell(stack: Stack) -> None:
    told = [finding.text async for finding in check_redis(stack.settings)]
    assert all(any(text.startswith(f"cell {cell}: ") for text in told) for cell in range(CELLS))


async def test_two_servers_share_the_cells(valkey: Valkey) -> None:
    with running_valkey() as other:
        settings = make_settings(f"{valkey.url},{other.url}", PALAVER_CELLS=CELLS)
        async with running_stack(settings, ScriptedEngine()) as stack:
            await begun(stack, 16)
            other.kill()
            away = await until_degraded(stack)
            answers = [await stack.client.post("/", json={"prompt": "New."}) for _ in range(8)]
            other.start()
            async with asyncio.timeout(20):
                while "degraded" in (await stack.client.get("/readyz")).json():
                    await asyncio.sleep(0.05)
        for cell, of_cell in enumerate(Cells(settings).settings):
            async with connect(of_cell) as redis:
                assert (await redis.get(Keys(of_cell.keyspace).cells)) == str(CELLS), cell
        turned = make_settings(
            f"{other.url},{valkey.url}", PALAVER_CELLS=CELLS, PALAVER_NAMESPACE=settings.namespace
        )
        with pytest.raises(ConfigError, match=r"REDIS_URL: cell 1 is on the server .* cell 0"):
            await check_record(turned)
    assert away == [1, 3]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["id"] % CELLS for answer in answers} <= {0, 2}


async def test_a_server_that_is_away_at_the_start_is_joined_later(valkey: Valkey) -> None:
    with running_valkey() as other:
        settings = make_settings(f"{valkey.url},{other.url}", PALAVER_CELLS=2)
        other.kill()
        async with running_api(settings) as client, running_worker(settings, ScriptedEngine()):
            stack = Stack(settings, client)
            assert await until_degraded(stack) == [1]
            first = await stack.ask("Hello.")
            other.start()
            await until_ready(client)
            async with asyncio.timeout(20):
                while (await stack.ask("Hello again."))["id"] % 2 == 0:
                    pass
    assert first["id"] % 2 == 0


async def until_degraded(stack: Stack) -> list[int]:
    """The cells that are away, once some are."""
    async with asyncio.timeout(20):
        while True:
            ready = await stack.client.get("/readyz")
            if ready.status_code == 200 and "degraded" in ready.json():
                return list(ready.json()["degraded"])
            await asyncio.sleep(0.05)


# Another number of cells.


@pytest.mark.parametrize(("made_with", "number"), [(1, 4), (4, 1), (4, 8)])
async def test_another_number_of_cells_is_refused(
    valkey: Valkey, made_with: int, number: int
) -> None:
    first = make_settings(valkey.url, PALAVER_CELLS=made_with)
    async with running_stack(first, ScriptedEngine()) as stack:
        await stack.ask("Hello")
    second = make_settings(valkey.url, PALAVER_CELLS=number, PALAVER_NAMESPACE=first.namespace)
    with pytest.raises(ConfigError, match=f"made with {made_with}; set PALAVER_CELLS={made_with}"):
        await check_record(second)


async def check_record(settings: Settings) -> None:
    cells = Cells(settings)
    async with connect(cells.settings[0]) as redis:
        keys = Keys(cells.settings[0].keyspace)
        await record_check(cells, 0, settings)(redis, keys, cells.settings[0])
