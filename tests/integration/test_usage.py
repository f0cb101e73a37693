"""What turns without a reply cost their owner: what was evaluated and generated for them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shared.errors import TurnFailed
from shared.wire.limits import Limits
from shared.wire.publication import PieceRecord, Publication
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import Bench
from tests.integration.test_access import running_guarded
from tests.scripted import ScriptedEngine, failing
from tests.servers import Valkey


async def used(bench: Bench, owner: str = "alice") -> int:
    """Tokens of today, or of the night between."""
    names = [name async for name in bench.redis.scan_iter(f"*:usage:{owner}:*")]
    own = [name for name in names if name.startswith(bench.keys.namespace)]
    return sum([int(await bench.redis.get(name)) for name in own])


async def test_a_worker_tells_what_a_failed_turn_cost(bench: Bench) -> None:
    await bench.submit(owner="alice")
    claim = await bench.claim()
    assert (await bench.claims.fail(claim, TurnFailed("x"), 70)).outcome is WriteOutcome.OK
    assert (await bench.claims.fail(claim, TurnFailed("x"), 70)).outcome is WriteOutcome.DUP
    assert await used(bench) == 70


async def test_a_cancelled_turn_costs_what_is_known_and_then_what_its_worker_tells(
    bench: Bench,
) -> None:
    await bench.submit(owner="alice")
    claim = await bench.claim()
    piece = Publication(
        job_id=claim.job_id,
        fence=claim.fence,
        at=0,
        pieces=(PieceRecord(text="abc", token_ids=(1, 2, 3)),),
        evaluated=40,
    )
    (receipt,) = await bench.claims.publish_all([piece])
    assert receipt.outcome is WriteOutcome.OK
    await bench.submissions.cancel(claim.job_id, "alice")
    assert await used(bench) == 43
    for _ in range(3):
        assert await bench.claims.settle(claim, 50) is WriteOutcome.OK
    assert await bench.claims.settle(claim, 45) is WriteOutcome.OK
    assert await used(bench) == 50


async def test_a_turn_whose_workers_died_costs_what_its_log_shows(bench: Bench) -> None:
    await bench.submit(owner="alice")
    claim: Any = await bench.claim()
    piece = Publication(
        job_id=claim.job_id,
        fence=claim.fence,
        at=0,
        pieces=(PieceRecord(text="ab", token_ids=(1, 2)),),
        evaluated=40,
    )
    await bench.claims.publish_all([piece])
    while claim is not None:
        lost = claim
        await bench.crash(claim)
        claim = await bench.reclaim("w1")
    assert await used(bench) == 42
    # Who held it earlier, and was thought dead, is not asked.
    assert await bench.claims.settle(lost, 40) is WriteOutcome.OK
    assert await used(bench) == 42


async def test_nobody_settles_what_goes_on_or_has_its_reply(bench: Bench) -> None:
    await bench.submit(owner="alice")
    claim = await bench.claim()
    assert await bench.claims.settle(claim, 1000) is WriteOutcome.FENCED
    await bench.redis.delete(bench.keys.job(claim.job_id))
    assert await bench.claims.settle(claim, 1000) is WriteOutcome.GONE
    assert await used(bench) == 0


@pytest.mark.parametrize("how", ["cancelled", "failed", "left"])
async def test_prompts_without_replies_use_a_day_up(
    valkey: Valkey, tmp_path: Path, how: str
) -> None:
    begun = asyncio.Event()

    def step(_position: int) -> "asyncio.Future[None]":
        begun.set()
        return asyncio.ensure_future(asyncio.sleep(0.05))

    engine = ScriptedEngine(failing)
    if how != "failed":
        engine = ScriptedEngine(lambda _: "y" * 400, step=step, piece_length=1)
    async with running_guarded(valkey, tmp_path, engine) as guarded:
        client, headers = guarded.stack.client, guarded.headers("a", Limits(tokens_per_day=100))
        if how == "failed":
            assert (await guarded.ask(headers, "x" * 200)).status_code == 500
        elif how == "cancelled":
            body = {"prompt": "x" * 200}
            job = (await client.post("/jobs", json=body, headers=headers)).json()
            await begun.wait()
            await client.delete(f"/jobs/{job['job']}", headers=headers)
        else:
            messages = [{"role": "user", "content": "x" * 200}]
            said = {"model": "any", "messages": messages, "stream": True}
            path = "/v1/chat/completions"
            async with client.stream("POST", path, json=said, headers=headers):
                await begun.wait()
        async with asyncio.timeout(30):
            while True:
                answer = await client.post("/jobs", json={"prompt": "?"}, headers=headers)
                if answer.status_code == 429:
                    break
                job = answer.json()
                await client.delete(f"/jobs/{job['job']}", headers=headers)
                await asyncio.sleep(0.05)
    assert answer.json()["code"] == "limit_tokens"


async def test_a_turn_that_never_ran_costs_nothing(bench: Bench) -> None:
    submission = await bench.submit(owner="alice")
    await bench.submissions.cancel(submission.job_id, "alice")
    assert await used(bench) == 0
