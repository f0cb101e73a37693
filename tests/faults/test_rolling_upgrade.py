"""Two versions on one server: one from before replies had parts, and this one."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared import ids
from shared.config import Settings
from shared.store.claims import Claims
from shared.store.keys import Keys
from shared.wire.messages import ChatMessage, StoredMessage
from shared.wire.parts import ToolCall
from shared.wire.publication import PieceRecord
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from shared.wire.turn_request import TurnRequest
from shared.wire.write_outcome import WriteOutcome
from tests.faults.audit import NOTHING_LEFT
from tests.faults.cluster import NAMESPACE, Cluster, running_cluster
from tests.faults.helpers import assert_completed, ended, post_job, restarting
from tests.faults.old_wire.event_log import EventLog as OldEventLog
from tests.faults.old_wire.keys import Keys as OldKeys
from tests.faults.old_wire.messages import decode_messages as old_decode_messages
from tests.faults.old_wire.submissions import Submissions as OldSubmissions
from tests.faults.old_wire.turn_request import ChatMessage as OldChatMessage
from tests.faults.old_wire.turn_request import TurnRequest as OldTurnRequest
from tests.faults.old_worker import OldWorkers, old_workers
from tests.faults.script import reply_to
from tests.integration.bench import Bench
from tests.scripted import ScriptedEngine
from tests.servers import Valkey, make_settings, running_api, running_worker, until_ready
from tests.sse import all_events, text_of
from worker.engine.interface import Part

CALL = ToolCall(id="call_1", name="weather", arguments="{}")
SLOW_S = 0.02
CONVERSATIONS, ROUNDS = 6, 6
OLD_WORKERS = 4


@pytest.fixture
def settings(valkey: Valkey) -> Settings:
    return make_settings(valkey.url, PALAVER_LEASE=1, PALAVER_HEARTBEAT=0.3)


@pytest.fixture
async def bench(redis: Redis, keys: Keys, settings: Settings) -> Bench:
    return Bench(redis, keys, settings)


class OldApi:
    """Submits turns as the old version does."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._submissions = OldSubmissions(redis, OldKeys(settings.namespace), settings)

    async def post_job(self, prompt: str, conversation_id: int | None) -> dict[str, Any]:
        request = OldTurnRequest(
            prompt=prompt, context=None, replace_from=None, sampling=Sampling()
        )
        submission = Submission(
            job_id=ids.new_job(),
            conversation_id=str(conversation_id or ids.new_conversation()),
            owner_id="default",
            new=conversation_id is None,
            instructions="",
            request=request,  # type: ignore[arg-type]  # the old class
        )
        assert await self._submissions.submit(submission)
        return {"job": submission.job_id, "id": int(submission.conversation_id)}


Post = Callable[[str, int | None], Awaitable[dict[str, Any]]]
"""Submits a prompt to a conversation, or to a new one; returns the job."""


def posting(client: httpx.AsyncClient) -> Post:
    """As a client of the new API."""

    async def post(prompt: str, conversation_id: int | None) -> dict[str, Any]:
        return await post_job(
            client, prompt, **({"id": conversation_id} if conversation_id else {})
        )

    return post


async def rounds(
    posts: Sequence[Post], cluster: Cluster, workers: OldWorkers | None = None
) -> list[list[dict[str, Any]]]:
    """The jobs of each conversation, submitted in turn by each of these; workers die."""
    asked: list[list[dict[str, Any]]] = [[] for _ in range(CONVERSATIONS)]
    for turn in range(1, ROUNDS + 1):
        for number, jobs in enumerate(asked):
            post = posts[(number + turn) % len(posts)]
            jobs.append(await post(f"{number}: {turn}", jobs[0]["id"] if jobs else None))
        if workers is not None and turn % 2 == 0:
            await workers.kill()
        else:
            cluster.workers[turn // 2 % 2].kill()
        await asyncio.sleep(0.2)
    return asked


async def assert_nothing_is_left(cluster: Cluster, redis: Redis) -> None:
    """In neither queue; leases of ended turns are looked at once more when they run out.

    The stream of permits stays for a minute after the last old worker has read it.
    """
    prefix, deadline = f"{NAMESPACE}:", time.monotonic() + 10
    while True:
        names = {name.removeprefix(prefix) async for name in redis.scan_iter(f"{prefix}*")}
        left = {name for name in names if NOTHING_LEFT.fullmatch(name)} - {"permits"}
        if not left:
            return
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.1)


def upgrading(cluster: Cluster) -> Settings:
    """The settings of the old version's processes beside a cluster."""
    return make_settings(
        cluster.valkey.url, PALAVER_NAMESPACE=NAMESPACE, PALAVER_LEASE=1,
        PALAVER_HEARTBEAT=0.3, PALAVER_MAX_ATTEMPTS=50,
    )  # fmt: skip


async def test_what_old_apis_accept_new_workers_that_die_answer_once_and_in_order() -> None:
    async with (
        running_cluster(lease_s=1, piece_s=SLOW_S, PALAVER_MAX_ATTEMPTS="50") as cluster,
        cluster.client() as client,
        cluster.redis() as redis,
        restarting(cluster),
    ):
        asked = await rounds([OldApi(redis, upgrading(cluster)).post_job], cluster)
        for number, jobs in enumerate(asked):
            await check_conversation(client, number, jobs)
        await assert_nothing_is_left(cluster, redis)


async def test_while_both_run_and_workers_die_every_prompt_ends_once_and_in_order() -> None:
    async with running_cluster(lease_s=1, piece_s=SLOW_S, PALAVER_MAX_ATTEMPTS="50") as cluster:
        settings = upgrading(cluster)
        async with cluster.client() as client, cluster.redis() as redis, restarting(cluster):
            async with old_workers(settings, OLD_WORKERS, piece_s=SLOW_S) as workers:
                posts = [OldApi(redis, settings).post_job, posting(client)]
                asked = await rounds(posts, cluster, workers)
                for number, jobs in enumerate(asked):
                    await check_conversation(client, number, jobs)
                assert 0 < workers.replied < CONVERSATIONS * ROUNDS
            await assert_nothing_is_left(cluster, redis)


async def test_the_format_is_raised_by_the_first_new_worker(
    settings: Settings, redis: Redis, keys: Keys
) -> None:
    """Old processes are not stopped by it, only started no more."""
    await redis.set(keys.schema, "1")
    async with running_api(settings) as client:
        assert (await client.get("/readyz")).json()["missing"] == "worker"
        assert await redis.get(keys.schema) == "1"
        async with running_worker(settings, ScriptedEngine()):
            await until_ready(client)
            assert await redis.get(keys.schema) == "3"


async def check_conversation(
    client: httpx.AsyncClient, number: int, jobs: list[dict[str, Any]]
) -> None:
    """Each prompt has its reply, once, at its place; what was published is what is stored."""
    expected = []
    for turn, job in enumerate(jobs, start=1):
        prompt = f"{number}: {turn}"
        state = await ended(client, job["job"], within_s=60)
        assert_completed(state, prompt, turn)
        events = await all_events(client, f"/jobs/{job['job']}/events")
        assert text_of(events) == state["result"]["reply"]
        expected += [("user", prompt), ("assistant", reply_to(turn, prompt))]
    page = (await client.get(f"/conversations/{jobs[0]['id']}/messages")).json()
    assert [(one["role"], one["content"]) for one in page["messages"]] == expected


async def test_a_new_api_refuses_prompts_while_there_are_old_workers_only(
    settings: Settings,
) -> None:
    async with running_api(settings) as client, old_workers(settings):
        refused = await client.post("/", json={"prompt": "Hello"})
        ready = await client.get("/readyz")
    assert (refused.status_code, refused.json()["code"]) == (503, "no_worker")
    assert (ready.status_code, ready.json()["missing"]) == (503, "worker")


@pytest.mark.parametrize("is_answered", [True, False])
async def test_a_conversation_with_calls_waits_for_a_new_worker(
    settings: Settings, bench: Bench, is_answered: bool
) -> None:
    """The old one would show its model a conversation in which nothing was called."""
    old = OldApi(bench.redis, settings)
    async with running_api(settings) as client:
        async with old_workers(settings):
            first = await old.post_job("Hello", None)
            assert_completed(await ended(client, first["job"]), "Hello")
            await add_call(bench, str(first["id"]), is_answered=is_answered)
            refused = await ended(client, (await old.post_job("Well?", first["id"]))["job"])
            page = await client.get(f"/conversations/{first['id']}/messages")
        assert refused["error"]["code"] == "generation_failed"
        assert "another version stored it" in refused["error"]["detail"]
        assert len(page.json()["messages"]) == (5 if is_answered else 4)
        assert page.json()["messages"][3]["tool_calls"] == [CALL.to_json()]
        async with running_worker(settings, ScriptedEngine()):
            await until_ready(client)
            body = {"prompt": "Well?", "id": first["id"]}
            assert (await client.post("/", json=body)).json()["reply"] == "You said: Well?"


async def add_call(bench: Bench, conversation: str, *, is_answered: bool) -> None:
    """What a new worker has added: a turn that ends with a call, and its result."""
    plain = StoredMessage(
        number=3, role="user", content="Weather?", timestamp_ms=1, tokens=1, job_id="j"
    )
    call = replace(plain, role="assistant", content="Wait.", job_id="", tool_calls=(CALL,))
    result = replace(plain, role="tool", content="9 degrees", call_id=CALL.id)
    added = [plain, call, result] if is_answered else [plain, call]
    for message in added:
        await bench.redis.rpush(bench.keys.messages(conversation), message.encode())
    await bench.redis.hincrby(bench.keys.conversation(conversation), "next", len(added))


async def test_what_a_new_worker_has_begun_no_old_one_goes_on_with(
    settings: Settings, bench: Bench
) -> None:
    """It would begin behind half a thought as if there were none."""
    claims = Claims(bench.redis, bench.keys, settings, pool=ScriptedEngine().model.name)
    async with running_api(settings) as client, old_workers(settings, 0) as workers:
        await bench.redis.zadd(bench.keys.workers, {"old": 1 << 50})
        job = await OldApi(bench.redis, settings).post_job("Hm?", None)
        assert await bench.convert() == 1
        [claim] = await claims.take("w1", "nonce", 1)
        await claims.publish(claim, 0, PieceRecord(kind="reasoning", text="Hm", token_ids=(1, 2)))
        await bench.crash(claim)
        await workers.start()
        await bench.keep()
        await asyncio.sleep(1)
        assert (await client.get(f"/jobs/{job['job']}")).json()["status"] == "queued"
        async with running_worker(settings, ScriptedEngine()):
            state = await ended(client, job["job"])
    assert (state["status"], state["attempts"], workers.replied) == ("completed", 2, 0)


async def test_a_waiting_turn_that_was_cancelled_is_not_started_by_an_old_worker(
    settings: Settings, bench: Bench
) -> None:
    """It leaves the old queue as well, before anything was taken along from there."""
    old = OldApi(bench.redis, settings)
    async with running_api(settings) as client, old_workers(settings, 0) as workers:
        await bench.redis.zadd(bench.keys.workers, {"old": 1 << 50})
        first = await old.post_job("First", None)
        second = await old.post_job("Second", first["id"])
        assert await bench.submissions.cancel(first["job"], "default") is WriteOutcome.OK
        await workers.start()
        state = await ended(client, second["job"])
    assert_completed(state, "Second")
    assert workers.replied == 1


async def test_after_a_drain_the_old_version_goes_on_with_what_there_is(
    settings: Settings, redis: Redis
) -> None:
    """Which is the way back: the format is set to the old one's by hand."""
    async with running_api(settings) as client:
        async with running_worker(settings, ScriptedEngine()):
            await until_ready(client)
            made = (await client.post("/", json={"prompt": "Hello"})).json()
        async with old_workers(settings):
            job = await OldApi(redis, settings).post_job("And now?", made["id"])
            assert_completed(await ended(client, job["job"]), "And now?", number=2)


async def test_what_a_new_worker_wrote_is_shown_by_an_old_api(
    settings: Settings, redis: Redis, keys: Keys
) -> None:
    """Thoughts stay behind, which old versions do not know."""
    engine = ScriptedEngine(lambda _: [Part("reasoning", "Hm."), Part("text", "Four.")])
    async with running_api(settings) as client, running_worker(settings, engine):
        await until_ready(client)
        made = (await client.post("/", json={"prompt": "2 + 2"})).json()
    stored: Any = redis.lrange(keys.messages(made["id"]), 0, -1)
    messages = old_decode_messages(await stored, 1)
    assert [message.content for message in messages] == ["2 + 2", "Four."]
    outcome = await OldEventLog(redis, OldKeys(keys.namespace)).outcome(made["job"])
    assert outcome is not None
    assert orjson.loads(outcome.data)["reply"] == "Four."


texts = st.text(st.characters(codec="utf-8"), max_size=20)
roles = st.sampled_from(["system", "user", "assistant"])
pairs = st.lists(st.tuples(roles, texts), max_size=3)


@given(
    pairs,
    pairs.map(lambda brought: [*brought, ("user", "Last")]),
    st.fixed_dictionaries(
        {"prompt": texts, "context": st.none() | texts, "replace_from": st.none() | st.just(3)},
        optional={
            "instructions": texts,
            "truncate": st.booleans(),
            "echo": texts,
            "json_schema": st.just("{}"),
        },
    ),
)
def test_a_plain_request_is_stored_as_before_to_the_letter(
    earlier: list[Any], messages: list[Any], fields: dict[str, Any]
) -> None:
    """So that a repetition under an idempotency key is still one, whichever version takes it."""
    sampling = Sampling(temperature=0.5, max_tokens=7)
    new = TurnRequest(
        sampling=sampling,
        earlier=tuple(ChatMessage(role=role, content=text) for role, text in earlier),
        messages=tuple(ChatMessage(role=role, content=text) for role, text in messages),
        **fields,
    )
    old = OldTurnRequest(
        sampling=sampling,
        earlier=tuple(OldChatMessage(role=role, content=text) for role, text in earlier),
        messages=tuple(OldChatMessage(role=role, content=text) for role, text in messages),
        **fields,
    )
    assert new.encode() == old.encode()
    assert OldTurnRequest.decode(new.encode()) == old
    assert TurnRequest.decode(old.encode()) == new


def test_an_old_worker_never_takes_a_turn_that_continues_for_a_prompt() -> None:
    request = TurnRequest(
        prompt="", context=None, replace_from=None, sampling=Sampling(), continues=True
    )
    with pytest.raises(KeyError):
        OldTurnRequest.decode(request.encode())


@pytest.mark.parametrize(
    "message",
    [
        ChatMessage(role="tool", content="9 degrees"),
        ChatMessage(role="tool", content="9 degrees", call_id="c", name="weather"),
        ChatMessage(role="assistant", content="", tool_calls=(CALL,)),
        ChatMessage(role="assistant", content="Four.", reasoning="Hm."),
    ],
)
def test_an_old_worker_never_takes_a_message_with_parts_for_another(message: ChatMessage) -> None:
    for where in ("messages", "earlier"):
        stored = orjson.dumps({"prompt": "", where: [message.encode()]})
        with pytest.raises((ValueError, TypeError, KeyError)):
            OldTurnRequest.decode(stored)
