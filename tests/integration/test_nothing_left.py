"""What is deleted or never was leaves no key behind: the whole key space is looked at."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from shared import ids
from shared.config import Settings
from shared.errors import TurnFailed
from shared.store.connection import connect
from shared.store.conversations import Conversations
from shared.wire.claim import Claim
from shared.wire.parts import ToolCall
from shared.wire.publication import PieceRecord, Publication
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import Bench, completion
from tests.integration.test_jobs import Gate
from tests.scripted import ScriptedEngine, failing
from tests.servers import Stack, Valkey, make_settings, running_stack
from worker.engine.interface import Part

SECRET = "xyzzy-plugh"
GENERAL = {"schema", "workers", "pools", "keeper", "snapshot", "snapshot:taken", "listed"}
"""Names that are of no conversation and of no turn."""
FAILURES = {"failures", "failures:rows"}
"""Which turns have failed, and their codes: for as long as it is known of jobs how they ended."""


def is_of_worker(name: str) -> bool:
    """Whether a key tells of a worker, and of no turn that waits for it."""
    return name.startswith("worker:") and not name.endswith(":own")


def is_of_changes(name: str) -> bool:
    """Whether a key tells for five minutes which conversations have come and gone: ids alone."""
    return name.startswith("changes:")


def is_of_usage(name: str) -> bool:
    """Whether a key has numbers alone: what was used of a model on one day."""
    return name.startswith("counted:")


def is_of_pool(name: str) -> bool:
    """Whether a key tells of a pool, and of no turn that waits in it."""
    return name.startswith("pool:") and name.endswith(
        (":about", ":free", ":workers", ":clock", ":tags", ":times", ":pace")
    )


@dataclass
class Space:
    """Everything under a namespace that is of conversations and turns."""

    redis: Any
    raw: Any
    namespace: str

    async def names(self) -> set[str]:
        prefix = f"{self.namespace}:"
        found = {name.removeprefix(prefix) async for name in self.redis.scan_iter(f"{prefix}*")}
        names = found - GENERAL
        for name in filter(is_of_changes, names):
            assert 0 < await self.redis.pttl(prefix + name) <= 300_000
        for name in filter(is_of_usage, names):
            assert 0 < await self.redis.pttl(prefix + name) <= 7 * 86_400_000
        tells_of_all = (is_of_worker, is_of_pool, is_of_changes, is_of_usage)
        return {name for name in names if not any(tells(name) for tells in tells_of_all)}

    async def said(self) -> set[str]:
        """Names of the keys that hold the secret, be it where only Redis sees it."""
        prefix = f"{self.namespace}:"
        names = {name.removeprefix(prefix) async for name in self.redis.scan_iter(f"{prefix}*")}
        whole = {name: await self.raw.dump(f"{self.namespace}:{name}") for name in names}
        return {name for name, value in whole.items() if SECRET.encode() in (value or b"")}

    async def check_outcome_alone(self, *jobs: str) -> None:
        """Nothing is left but how these jobs ended, and that not for ever."""
        names = await self.names()
        of_jobs = {name for job in jobs for name in (f"job:{job}", f"job:{job}:events")}
        assert names <= of_jobs | FAILURES
        assert set(await self.redis.zrange(f"{self.namespace}:failures", 0, -1)) <= set(jobs)
        assert await self.said() == set()
        for name in names:
            assert 0 < await self.redis.pttl(f"{self.namespace}:{name}") <= 86_400_000
        for job in jobs:
            assert await self.redis.hget(f"{self.namespace}:job:{job}", "status")


@asynccontextmanager
async def space_of(settings: Settings) -> AsyncIterator[Space]:
    async with connect(settings) as redis, connect(settings, decode_responses=False) as raw:
        yield Space(redis, raw, settings.namespace)


async def respond(stack: Stack, said: str = SECRET, **fields: Any) -> dict[str, Any]:
    answer = await stack.client.post("/v1/responses", json={"input": said, **fields})
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()
    return response


async def delete(stack: Stack, path: str) -> dict[str, Any]:
    answer = await stack.client.delete(path)
    assert answer.status_code in (200, 204), answer.text
    return answer.json() if answer.content else {}


CALL = ToolCall(id="call_1", name=SECRET, arguments=orjson.dumps(SECRET).decode())


def thinks_and_calls(_prompt: str) -> list[Part]:
    return [Part("reasoning", SECRET), Part("text", SECRET), Part("call", CALL.encode())]


async def publish_secrets(bench: Bench, claim: Claim) -> None:
    """The beginning of a reply: a thought, text, and a call."""
    pieces = (
        PieceRecord(kind="reasoning", text=SECRET, token_ids=(1,)),
        PieceRecord(text=SECRET, token_ids=(2,)),
        PieceRecord(kind="call", text=CALL.encode(), token_ids=(3,)),
    )
    publication = Publication(job_id=claim.job_id, fence=claim.fence, at=0, pieces=pieces)
    (receipt,) = await bench.claims.publish_all([publication])
    assert receipt.outcome is WriteOutcome.OK


# What is deleted.


async def test_thoughts_calls_and_their_results_go_with_a_conversation(
    settings: Settings,
) -> None:
    engine = ScriptedEngine(thinks_and_calls)
    async with running_stack(settings, engine) as stack, space_of(settings) as space:
        first = (await stack.client.post("/", json={"prompt": "Hello"})).json()
        assert len(await space.said()) == 3, "the messages, the job, its log"
        await delete(stack, f"/conversations/{first['id']}")
        assert await space.names() == set()
    assert (first["reasoning"], first["tool_calls"]) == (SECRET, [CALL.to_json()])


async def test_thoughts_and_calls_go_with_a_response(settings: Settings) -> None:
    engine = ScriptedEngine(lambda prompt: thinks_and_calls(prompt)[:2])
    async with running_stack(settings, engine) as stack, space_of(settings) as space:
        first = await respond(stack, "Hello")
        await delete(stack, f"/v1/responses/{first['id']}")
        assert await space.names() == set()


@pytest.mark.parametrize("prefix", ["/conversations/", "/v1/conversations/conv_"])
async def test_a_deleted_conversation(settings: Settings, prefix: str) -> None:
    gate = Gate()
    engine = ScriptedEngine(
        step=lambda _: gate(0) if "hold" in engine.prompts[-1] else None, piece_length=1
    )
    async with running_stack(settings, engine) as stack, space_of(settings) as space:
        keyed = {"Idempotency-Key": "a-key-of-sixteen"}
        body = {"prompt": SECRET, "context": SECRET}
        first = (await stack.client.post("/", json=body, headers=keyed)).json()
        await respond(stack, conversation=f"conv_{first['id']}", metadata={"name": SECRET})
        body = {"prompt": f"{SECRET} hold", "id": first["id"]}
        running = asyncio.create_task(stack.client.post("/", json=body))
        await gate.reached.wait()
        waiting = (await stack.client.post("/jobs", json=body)).json()
        assert await space.said()
        await delete(stack, f"{prefix}{first['id']}")
        await space.check_outcome_alone((await running).json()["job"], waiting["job"])
        again = await stack.client.post("/", json={"prompt": "?"}, headers=keyed)
    assert (again.status_code, again.json()["id"] != first["id"]) == (200, True)


async def test_an_idempotency_key_that_outlives_its_job(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_JOB_TTL=0.1)
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        keyed = {"Idempotency-Key": "a-key-of-sixteen"}
        first = (await stack.client.post("/", json={"prompt": SECRET}, headers=keyed)).json()
        while any(name.startswith("job:") for name in await space.names()):
            await asyncio.sleep(0.02)
        spent = await stack.client.post("/", json={"prompt": SECRET}, headers=keyed)
        await delete(stack, f"/conversations/{first['id']}")
        assert await space.names() == set()
    assert (spent.status_code, spent.json()["code"]) == (410, "idempotency_key_spent")
    assert spent.json()["job"] == first["job"]


async def test_a_response_takes_its_own_conversation_along(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        made = await respond(stack, metadata={"name": SECRET}, instructions=SECRET)
        assert await space.said()
        gone = await delete(stack, f"/v1/responses/{made['id']}")
        again = await stack.client.delete(f"/v1/responses/{made['id']}")
        assert await space.names() == set()
    assert gone == {"id": made["id"], "object": "response", "deleted": True}
    assert again.status_code == 404


async def test_the_last_response_leaves_a_conversation_as_it_was_before(
    settings: Settings,
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        first = await respond(stack, "Hello.")
        conversation = (await stack.client.get(f"/jobs/{first['id'][5:]}")).json()["id"]
        before = await stack.client.get(f"/conversations/{conversation}")
        last = await respond(stack, previous_response_id=first["id"])
        await delete(stack, f"/v1/responses/{last['id']}")
        assert await space.said() == set()
        after = await stack.client.get(f"/conversations/{conversation}")
        messages = await stack.client.get(f"/conversations/{conversation}/messages")
        # It goes on from there.
        await respond(stack, "And now?", previous_response_id=first["id"])
    assert [one["content"] for one in messages.json()["messages"]] == ["Hello.", "You said: Hello."]
    assert after.json()["turns"] == before.json()["turns"] == 1
    assert after.json()["window"] is None


async def test_a_response_on_which_others_stand_stays_and_says_so(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        root = await respond(stack)
        later = await respond(stack, "on", previous_response_id=root["id"])
        fork = await respond(stack, "aside", previous_response_id=root["id"])
        far = await respond(stack, "further", previous_response_id=fork["id"])
        before = await space.said()
        refused = [await stack.client.delete(f"/v1/responses/{one['id']}") for one in (root, fork)]
        assert await space.said() == before
        await delete(stack, f"/v1/responses/{later['id']}")
        # Nothing came later in its own conversation; the copy has its text.
        refused.append(await stack.client.delete(f"/v1/responses/{root['id']}"))
        for one in (far, fork, root):
            await delete(stack, f"/v1/responses/{one['id']}")
        assert await space.names() == set()
    for answer in refused:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (409, "response_in_use")
        assert error["conversation"].startswith("conv_")
        assert answer.headers["x-should-retry"] == "false"


async def test_copies_of_copies_are_known_when_those_between_are_gone(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        root = await respond(stack)
        await respond(stack, "on", previous_response_id=root["id"])
        middle = await respond(stack, "aside", previous_response_id=root["id"])
        await respond(stack, "on", previous_response_id=middle["id"])
        last = await respond(stack, "aside", previous_response_id=middle["id"])
        ids_of = {
            one["id"]: (await stack.client.get(f"/jobs/{one['id'][5:]}")).json()["id"]
            for one in (root, middle, last)
        }
        await delete(stack, f"/conversations/{ids_of[middle['id']]}")
        assert f"conv:{ids_of[last['id']]}:messages" in await space.said()
        await delete(stack, f"/conversations/{ids_of[root['id']]}")
        await delete(stack, f"/conversations/{ids_of[last['id']]}")
        assert await space.names() == set()


async def test_a_response_that_runs_is_cancelled_and_gone(settings: Settings) -> None:
    gate = Gate()
    engine = ScriptedEngine(step=gate)
    async with running_stack(settings, engine) as stack, space_of(settings) as space:
        made = await respond(stack, background=True)
        await gate.reached.wait()
        await delete(stack, f"/v1/responses/{made['id']}")
        shown = await stack.client.get(f"/v1/responses/{made['id']}")
        await space.check_outcome_alone(made["id"].removeprefix("resp_"))
    assert shown.status_code == 404


# What never was: each way in which a turn ends without a reply.

End = Callable[[Bench, str], Awaitable[None]]


async def fails(bench: Bench, _job: str) -> None:
    claim = await bench.claim()
    await publish_secrets(bench, claim)
    assert (await bench.claims.fail(claim, TurnFailed("x"))).outcome is WriteOutcome.OK


async def is_cancelled_while_it_waits(bench: Bench, job: str) -> None:
    assert await bench.submissions.cancel(job, "alice") is WriteOutcome.OK


async def is_cancelled_while_it_runs(bench: Bench, job: str) -> None:
    claim = await bench.claim()
    await publish_secrets(bench, claim)
    await is_cancelled_while_it_waits(bench, job)


async def is_late_when_it_is_claimed(bench: Bench, job: str) -> None:
    await bench.redis.hset(bench.keys.job(job), "deadline", 1)
    for follower in await bench.take():
        assert follower.job_id != job
        assert await bench.claims.hand_over(follower) is WriteOutcome.OK


async def is_late_when_it_is_swept(bench: Bench, job: str) -> None:
    await bench.redis.zadd(bench.keys.open_jobs, {job: 1})
    assert (await bench.keep(sweep=True)).late == 1


async def is_abandoned_and_swept(bench: Bench, job: str) -> None:
    claim = await bench.claim()
    await publish_secrets(bench, claim)
    await bench.redis.delete(bench.keys.lease(job))
    await is_late_when_it_is_swept(bench, job)


async def loses_all_its_workers(bench: Bench, job: str) -> None:
    for number in range(bench.settings.max_attempts):
        claim = await bench.claim()
        assert (claim.job_id, claim.crashes) == (job, number)
        await bench.crash(claim)
        kept = await bench.keep()
    assert kept.lost == 1


ENDS: list[End] = [
    fails,
    is_cancelled_while_it_waits,
    is_cancelled_while_it_runs,
    is_late_when_it_is_claimed,
    is_late_when_it_is_swept,
    is_abandoned_and_swept,
    loses_all_its_workers,
]


@pytest.mark.parametrize("end", ENDS)
async def test_a_first_turn_that_came_to_nothing(bench: Bench, end: End) -> None:
    async with space_of(bench.settings) as space:
        first = await bench.submit(owner="alice", prompt=SECRET, context=SECRET)
        assert await space.said()
        await end(bench, first.job_id)
        usage = {name for name in await space.names() if name.startswith("usage:alice:")}
        for name in usage:
            await space.redis.delete(f"{space.namespace}:{name}")
        await space.check_outcome_alone(first.job_id)


@pytest.mark.parametrize("end", ENDS)
async def test_a_turn_behind_the_first_runs_all_the_same(bench: Bench, end: End) -> None:
    first = await bench.submit(owner="alice")
    second = await bench.submit(first.conversation_id, owner="alice", prompt="Second")
    await end(bench, first.job_id)
    claim = await bench.claim()
    assert (claim.job_id, claim.history is not None) == (second.job_id, True)
    assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.OK
    assert [m.content for m in await bench.messages(first.conversation_id)] == ["Second", "Hi"]
    third = await bench.submit(first.conversation_id, owner="alice")
    await end(bench, third.job_id)
    assert len(await bench.messages(first.conversation_id)) == 2, "it has had a reply"


@pytest.mark.parametrize("end", ENDS)
async def test_with_the_last_of_its_turns_a_conversation_goes(bench: Bench, end: End) -> None:
    async with space_of(bench.settings) as space:
        first = await bench.submit(owner="alice", prompt=SECRET)
        second = await bench.submit(first.conversation_id, owner="alice", prompt=SECRET)
        claim = await bench.claim()
        await publish_secrets(bench, claim)
        await bench.claims.fail(claim, TurnFailed("x"))
        assert f"conv:{first.conversation_id}" in await space.names()
        await end(bench, second.job_id)
        for name in [one for one in await space.names() if one.startswith("usage:")]:
            await space.redis.delete(f"{space.namespace}:{name}")
        await space.check_outcome_alone(first.job_id, second.job_id)


@pytest.mark.parametrize("end", ENDS)
async def test_a_fork_that_came_to_nothing_leaves_the_other_as_it_was(
    bench: Bench, end: End
) -> None:
    root = await bench.submit(owner="alice", prompt=SECRET)
    await bench.claims.commit(claim := await bench.claim(), completion(claim))
    later = await bench.submit(root.conversation_id, owner="alice")
    await bench.claims.commit(claim := await bench.claim(), completion(claim, 3))
    async with space_of(bench.settings) as space:
        before = await space.names()
        said = await space.said()
        fork = await bench.submit(ids.new_conversation(), owner="alice", behind=root.job_id)
        assert len(await space.said()) > len(said)
        await end(bench, fork.job_id)
        new = await space.names() - before - FAILURES
        assert new <= {f"job:{fork.job_id}", f"job:{fork.job_id}:events"} | {
            name for name in new if name.startswith("usage:")
        }
        assert await space.said() == said
        resources = Conversations(bench.redis, bench.keys, bench.settings)
        assert await resources.forget_response(later.job_id, "alice")
        assert await resources.forget_response(root.job_id, "alice")


async def test_a_conversation_that_was_made_by_itself_stays(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(failing)) as stack:
        made = (await stack.client.post("/v1/conversations", json={})).json()["id"]
        body = {"input": "?", "conversation": made}
        failed = await stack.client.post("/v1/responses", json=body)
        shown = await stack.client.get(f"/v1/conversations/{made}")
    assert (failed.status_code, shown.status_code) == (500, 200)


async def test_that_a_turn_failed_is_forgotten_with_its_conversation(settings: Settings) -> None:
    engine = ScriptedEngine(lambda prompt: failing(prompt) if SECRET in prompt else "ok")
    async with running_stack(settings, engine) as stack, space_of(settings) as space:
        first = (await stack.client.post("/", json={"prompt": "Hello"})).json()
        body = {"prompt": SECRET, "id": first["id"]}
        assert (await stack.client.post("/", json=body)).status_code == 500
        assert await space.names() >= FAILURES
        await delete(stack, f"/conversations/{first['id']}")
        assert await space.names() == set()


async def test_of_a_stateless_turn_that_failed_its_code_alone_is_known(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(failing)) as stack:
        body = {"messages": [{"role": "user", "content": SECRET}]}
        assert (await stack.client.post("/v1/chat/completions", json=body)).status_code == 500
        async with space_of(settings) as space:
            assert await space.names() == FAILURES
            assert await space.said() == set()


async def test_a_waiting_client_is_told_and_its_job_tells_why(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(failing)) as stack:
        async with space_of(settings) as space:
            failed = await stack.client.post("/", json={"prompt": SECRET})
            problem = failed.json()
            await space.check_outcome_alone(problem["job"])
            job = (await stack.client.get(f"/jobs/{problem['job']}")).json()
        shown = await stack.client.get(f"/conversations/{problem['id']}")
        late = await stack.client.post("/", json={"prompt": "?", "id": problem["id"]})
    assert failed.status_code == 500
    assert (job["status"], job["error"]["code"]) == ("failed", problem["code"])
    assert (shown.status_code, late.status_code) == (404, 404)


async def test_stateless_completions(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        messages = [{"role": "user", "content": SECRET}]
        for stream in (False, True):
            body = {"model": "any", "messages": messages, "stream": stream}
            answer = await stack.client.post("/v1/chat/completions", json=body)
            assert SECRET in answer.text
            assert await space.names() == set()
            body = {"input": SECRET, "store": False, "stream": stream}
            answer = await stack.client.post("/v1/responses", json=body)
            assert SECRET in answer.text
            assert await space.names() == set()


async def test_a_completion_whose_client_left(settings: Settings) -> None:
    gate = Gate()
    engine = ScriptedEngine(step=lambda n: gate(n) if n else None, piece_length=4)
    async with running_stack(settings, engine) as stack, space_of(settings) as space:
        messages = [{"role": "user", "content": SECRET}]
        body = {"model": "any", "messages": messages, "stream": True}
        async with stack.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            async for line in answer.aiter_lines():
                if "You " in line:
                    assert await space.said()
                    break
        gate.open()
        async with asyncio.timeout(30):
            while await space.said():
                await asyncio.sleep(0.01)
        names = await space.names()
    assert not [name for name in names if name.startswith("conv:")]
