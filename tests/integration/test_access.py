"""API keys, owners and their limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.http.keys import KeyFile
from shared.store.connection import connect
from shared.wire.limits import NO_LIMITS, Limits
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack

OPEN = {"/healthz", "/health", "/readyz", "/openapi.json", "/", "/docs"}


@dataclass(frozen=True)
class Guarded:
    """A server that asks for keys."""

    stack: Stack
    keys: KeyFile

    def headers(self, name: str, limits: Limits = NO_LIMITS) -> dict[str, str]:
        """Those of a new key."""
        return {"Authorization": f"Bearer {self.keys.create(name, limits)}"}

    async def ask(self, headers: dict[str, str], prompt: str, **fields: Any) -> httpx.Response:
        body = {"prompt": prompt, **fields}
        return await self.stack.client.post("/", json=body, headers=headers)


@asynccontextmanager
async def running_guarded(
    valkey: Valkey, folder: Path, engine: ScriptedEngine | None = None, **variables: Any
) -> AsyncIterator[Guarded]:
    path = folder / "keys.json"
    keys = KeyFile(path)
    keys.create("the first", NO_LIMITS)
    settings = make_settings(valkey.url, PALAVER_API_KEYS_FILE=path, **variables)
    async with running_stack(settings, engine or ScriptedEngine()) as stack:
        yield Guarded(stack, keys)


async def operations(client: httpx.AsyncClient) -> list[tuple[str, str]]:
    """Every method and path of the description, with ids filled in that nobody has."""
    document = (await client.get("/openapi.json")).json()
    filled = {
        "{job}": "0" * 32,
        "{model}": "none",
        "{response}": "resp_" + "0" * 32,
        "/v1/conversations/{conversation}": "/v1/conversations/conv_4242",
        "{conversation}": "4242",
        "{worker}": "none",
    }
    found = []
    for path, methods in document["paths"].items():
        for name, value in filled.items():
            path = path.replace(name, value)
        found += [(method.upper(), path) for method in methods]
    return found


async def test_without_a_key_or_with_a_wrong_one_nothing_is_served(
    valkey: Valkey, tmp_path: Path
) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        client = guarded.stack.client
        for method, path in await operations(client):
            for headers in (
                {},
                {"Authorization": "Bearer plv_wrong"},
                {"Authorization": "Basic x"},
            ):
                answer = await client.request(method, path, headers=headers, json={"prompt": "?"})
                if path in OPEN and method == "GET":
                    assert answer.status_code == 200, path
                    continue
                if path.startswith("/shared/") and method == "GET":
                    # Its id is the secret; nobody knows this one.
                    assert answer.status_code == 404
                    continue
                assert answer.status_code == 401, (method, path)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                if path.startswith("/v1/messages"):
                    assert answer.json()["error"]["type"] == "authentication_error"
                elif path.startswith("/v1/"):
                    assert answer.json()["error"]["code"] == "invalid_api_key"
                else:
                    assert answer.json()["code"] == "unauthorized"


async def test_what_is_somebody_elses_is_not_there(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        client, alice, bob = guarded.stack.client, guarded.headers("a"), guarded.headers("b")
        mine = (await guarded.ask(alice, "Mine.")).json()
        job, conversation = mine["job"], mine["id"]
        paths = [
            ("GET", f"/jobs/{job}"),
            ("GET", f"/jobs/{job}?wait=1"),
            ("DELETE", f"/jobs/{job}"),
            ("GET", f"/jobs/{job}/events"),
            ("GET", f"/conversations/{conversation}"),
            ("GET", f"/conversations/{conversation}/messages"),
            ("DELETE", f"/conversations/{conversation}"),
        ]
        for method, path in paths:
            answer = await client.request(method, path, headers=bob)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        for path in ("/", "/jobs"):
            body = {"prompt": "Let me in.", "id": conversation}
            assert (await client.post(path, json=body, headers=bob)).status_code == 404
        listed = (await client.get("/conversations", headers=bob)).json()
        assert listed == {"conversations": [], "next": None}
        for method, path in paths:
            if method == "GET":
                assert (await client.request(method, path, headers=alice)).status_code == 200
        assert (await guarded.ask(alice, "Still mine.", id=conversation)).status_code == 200


async def test_openais_names_for_it_are_not_there_either(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        client, alice, bob = guarded.stack.client, guarded.headers("a"), guarded.headers("b")
        body = {"input": "Mine."}
        mine = (await client.post("/v1/responses", json=body, headers=alice)).json()
        response = mine["id"]
        made = (await client.post("/v1/conversations", json={}, headers=alice)).json()["id"]
        paths = [
            ("GET", f"/v1/responses/{response}"),
            ("GET", f"/v1/responses/{response}?stream=true"),
            ("POST", f"/v1/responses/{response}/cancel"),
            ("DELETE", f"/v1/responses/{response}"),
            ("GET", f"/v1/conversations/{made}"),
            ("POST", f"/v1/conversations/{made}"),
            ("GET", f"/v1/conversations/{made}/items"),
            ("DELETE", f"/v1/conversations/{made}"),
        ]
        for method, path in paths:
            said: Any = {"metadata": {}} if method == "POST" and "conv" in path else None
            answer = await client.request(method, path, headers=bob, json=said)
            assert answer.status_code == 404, path
            assert answer.json()["error"]["code"] == "not_found"
        for extra in ({"previous_response_id": response}, {"conversation": made}):
            answer = await client.post("/v1/responses", json=body | extra, headers=bob)
            assert answer.status_code == 404, extra
        for method, path in paths:
            if method == "GET":
                assert (await client.request(method, path, headers=alice)).status_code == 200


async def test_an_idempotency_key_is_each_owners_own(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        key = {"Idempotency-Key": "the-same-for-both"}
        one = await guarded.ask(guarded.headers("a") | key, "Hello.")
        other = await guarded.ask(guarded.headers("b") | key, "Hello.")
    assert one.json()["job"] != other.json()["job"]


async def test_a_revoked_key_is_refused_at_once(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        headers = guarded.headers("a")
        assert (await guarded.ask(headers, "Hello.")).status_code == 200
        guarded.keys.revoke("a")
        assert (await guarded.ask(headers, "Hello.")).status_code == 401


async def test_own_conversations_are_listed_in_pages(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        client, headers = guarded.stack.client, guarded.headers("a")
        made = [(await guarded.ask(headers, f"Number {n}.")).json()["id"] for n in range(5)]
        await client.delete(f"/conversations/{made[2]}", headers=headers)
        seen, before = [], None
        while True:
            params = {"limit": "2"} | ({"before": str(before)} if before else {})
            answer = await client.get("/conversations", params=params, headers=headers)
            assert answer.status_code == 200
            page = answer.json()
            seen += [one["id"] for one in page["conversations"]]
            before = page["next"]
            if before is None:
                break
            # A page goes on where it was, also when what stood there is gone.
            await client.delete(f"/conversations/{seen[-1]}", headers=headers)
        gone = await client.get(f"/conversations?before={made[2]}", headers=headers)
        wrong = await client.get("/conversations?before=1-2-3", headers=headers)
    assert seen == [made[4], made[3], made[1], made[0]]
    assert (gone.status_code, gone.json()["conversations"]) == (200, [])
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "before")


async def test_conversations_of_one_moment_are_listed_once_each(
    valkey: Valkey, tmp_path: Path
) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        client, headers = guarded.stack.client, guarded.headers("a")
        made = [(await guarded.ask(headers, f"Number {n}.")).json()["id"] for n in range(6)]
        async with connect(guarded.stack.settings) as redis:
            [owned] = [
                name
                async for name in redis.scan_iter(f"{guarded.stack.settings.namespace}:owned:*")
            ]
            await redis.zadd(owned, dict.fromkeys(map(str, made), 1_700_000_000_000))
        seen: list[int] = []
        before: str | None = ""
        while before is not None:
            page = (await client.get(f"/conversations?limit=1{before}", headers=headers)).json()
            seen += [one["id"] for one in page["conversations"]]
            await client.delete(f"/conversations/{seen[-1]}", headers=headers)
            before = f"&before={page['next']}" if page["next"] else None
    assert sorted(seen) == sorted(made)


async def test_prompts_a_minute(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        headers, other = guarded.headers("a", Limits(requests_per_minute=3)), guarded.headers("b")
        answers = [await guarded.ask(headers, f"Number {n}.") for n in range(4)]
        assert (await guarded.ask(other, "Mine is another.")).status_code == 200
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    told = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers[:3]]
    assert told == ["2", "1", "0"]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "3"
    assert answers[3].json()["code"] == "limit_requests"
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 20
    assert answers[3].headers["x-ratelimit-remaining-requests"] == "0"
    assert 20 < float(answers[3].headers["x-ratelimit-reset-requests"].rstrip("s")) <= 60


async def test_prompts_at_a_time_and_waiting_ones(valkey: Valkey, tmp_path: Path) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(slots=1, step=lambda _: gate)
    async with running_guarded(valkey, tmp_path, engine, PALAVER_SLOTS=1) as guarded:
        client = guarded.stack.client
        busy = guarded.headers("busy", Limits(in_flight=2))
        patient = guarded.headers("patient", Limits(queued=1))

        async def post(headers: dict[str, str]) -> httpx.Response:
            return await client.post("/jobs", json={"prompt": "?"}, headers=headers)

        accepted = [await post(busy), await post(busy), await post(patient)]
        refused = [await post(busy), await post(patient)]
        gate.set_result(None)
        for headers, answer in zip((busy, busy, patient), accepted, strict=True):
            path = f"{answer.json()['links']['self']}?wait=20"
            assert (await client.get(path, headers=headers)).json()["status"] == "completed"
        again = [await post(busy), await post(patient)]
    assert [answer.status_code for answer in accepted] == [202] * 3
    assert [answer.json()["code"] for answer in refused] == ["limit_in_flight", "limit_queued"]
    assert {answer.status_code for answer in refused} == {429}
    assert [answer.status_code for answer in again] == [202] * 2


async def test_tokens_a_day(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        headers = guarded.headers("a", Limits(tokens_per_day=100))
        first = await guarded.ask(headers, "x" * 60)
        second = await guarded.ask(headers, "And now?")
    assert first.json()["numberOfTokens"] >= 100
    assert (second.status_code, second.json()["code"]) == (429, "limit_tokens")
    assert 1 <= int(second.headers["Retry-After"]) <= 86400


async def test_guessing_ids_comes_to_an_end(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        mine = await stack.ask("Hello.")
        # Together: some guesses are free again with every second.
        guesses = (stack.client.get(f"/conversations/{n}") for n in range(1, 200))
        answers = await asyncio.gather(*guesses)
        codes = [answer.status_code for answer in answers]
        guess = await stack.client.post("/", json={"prompt": "?", "id": 7})
        known = await stack.client.get(f"/conversations/{mine['id']}")
        new = await stack.client.post("/", json={"prompt": "A new one is no guess."})
    assert codes.count(404) >= 120
    assert codes.count(429) == len(codes) - codes.count(404) > 0
    assert all("Retry-After" in each.headers for each in answers if each.status_code == 429)
    assert (guess.status_code, known.status_code) == (429, 200)
    assert new.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/favicon.ico",
        "/jobs/unknown",
        "/conversations/none",
        "/v1/responses/resp_x",
        "/v1/models/other",
        "/conversations",
    ],
)
async def test_what_is_no_guess_of_an_id_does_not_count(valkey: Valkey, path: str) -> None:
    settings = make_settings(valkey.url, PALAVER_OPEN_LIST=0)
    async with running_stack(settings, ScriptedEngine()) as stack:
        answers = [await stack.client.get(path) for _ in range(130)]
        guess = await stack.client.get(f"/jobs/{'0' * 32}")
    assert {answer.status_code for answer in answers} == {404}
    assert guess.status_code == 404


async def test_a_stranger_behind_the_same_proxy_locks_nobody_out(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        client, mine = stack.client, await stack.ask("Hello.")
        response = (await client.post("/v1/responses", json={"input": "Hi."})).json()
        guesses = [(await client.get(f"/jobs/{n:032x}")).status_code for n in range(300)]
        assert set(guesses) == {404, 429}
        existing = [
            f"/jobs/{mine['job']}",
            f"/jobs/{mine['job']}/events",
            f"/conversations/{mine['id']}/messages",
            f"/v1/conversations/conv_{mine['id']}",
            f"/v1/responses/{response['id']}",
        ]
        for path in existing:
            assert (await client.get(path)).status_code == 200, path
        assert (await stack.ask("And on.", id=mine["id"]))["window"]["turns_kept"] == 2
        more = {"input": "And on.", "previous_response_id": response["id"]}
        assert (await client.post("/v1/responses", json=more)).status_code == 200
        unknown = {"input": "?", "conversation": "conv_7"}
        refused = [(await client.post("/v1/responses", json=unknown)) for _ in range(30)]
        assert {answer.status_code for answer in refused} >= {429}


async def test_who_shows_no_key_is_not_taken_for_a_guesser(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        client, wrong = guarded.stack.client, {"Authorization": "Bearer plv_wrong"}
        without = [(await client.get("/jobs/x")).status_code for _ in range(130)]
        guesses = [(await client.get("/jobs/x", headers=wrong)).status_code for _ in range(300)]
        right = await guarded.ask(guarded.headers("late"), "Hello.")
    assert set(without) == {401}
    assert guesses[0] == 401
    assert set(guesses) == {401, 429}
    assert right.status_code == 200


@pytest.mark.parametrize("header", ["Forwarded", "Via", "X-Forwarded-For"])
async def test_with_keys_a_proxy_may_stand_in_front(
    valkey: Valkey, tmp_path: Path, header: str
) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        answer = await guarded.ask(guarded.headers("a") | {header: "1.1 proxy"}, "Hello.")
    assert answer.status_code == 200
