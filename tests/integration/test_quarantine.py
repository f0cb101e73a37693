"""A worker's death makes its turns suspects: each runs alone until it has proved harmless."""

import asyncio
from typing import Any

from shared.store.connection import connect
from shared.store.keys import Keys
from shared.wire.claim import Claim
from tests.integration.bench import Bench
from tests.scripted import ScriptedEngine, echo
from tests.servers import Valkey, make_settings, running_stack
from worker.quarantine import MARGIN


async def test_a_turn_of_a_dead_worker_is_a_suspect_until_it_is_cleared(bench: Bench) -> None:
    await bench.submit()
    first = await bench.claim()
    assert not first.suspect
    await bench.crash(first)
    second = await taken_over(bench)
    assert (second.suspect, second.crashes) == (True, 1)
    await bench.claims.shield([], on=False, cleared=first)
    assert (await again(bench, second)).suspect, "a token that is out of date says nothing"
    await bench.claims.shield([], on=False, cleared=second)
    assert not (await again(bench, second)).suspect


async def test_a_shielded_turn_is_not_charged_with_its_workers_death(bench: Bench) -> None:
    await bench.submit()
    first = await bench.claim()
    await bench.claims.shield([first], on=True)
    await bench.crash(first)
    second = await taken_over(bench)
    assert (second.suspect, second.crashes) == (False, 0)
    await bench.crash(second)
    assert (await taken_over(bench)).crashes == 1, "the shield was for one start"


async def test_a_shield_that_was_taken_away_protects_no_more(bench: Bench) -> None:
    await bench.submit()
    first = await bench.claim()
    await bench.claims.shield([first], on=True)
    await bench.claims.shield([first], on=False)
    await bench.crash(first)
    assert (await taken_over(bench)).crashes == 1


async def test_a_turn_that_is_taken_over_during_a_trial_is_shielded(bench: Bench) -> None:
    await bench.submit()
    await bench.crash(await bench.claim())
    second = await bench.reclaim("w2", shielded=True)
    assert second is not None
    await bench.crash(second)
    third = await taken_over(bench)
    assert (third.suspect, third.crashes) == (True, 1), "suspected still, not charged again"


async def test_suspects_run_one_at_a_time_and_then_as_all_others(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_LEASE=0.4)
    redis: Any = connect(settings)
    bench = Bench(redis, Keys(settings.namespace), settings)
    await bench.serve()
    suspects = [await bench.submit(prompt=f"suspect {n}") for n in range(3)]
    for _ in suspects:
        await bench.crash(await bench.claim())
    await bench.leave()
    engine = ScriptedEngine(lambda prompt: echo(prompt) + "." * 200, piece_length=1, step=breath)
    async with running_stack(settings, engine) as stack:
        ordinary = await stack.ask("ordinary")
        paths = [f"/jobs/{one.job_id}?wait=20" for one in suspects]
        jobs = [(await stack.client.get(path)).json() for path in paths]
        left = [await redis.hgetall(bench.keys.job(one.job_id)) for one in suspects]
    await redis.aclose(close_connection_pool=True)
    assert ordinary["reply"].startswith("You said: ordinary")
    assert [job["result"]["reply"].rstrip(".") for job in jobs] == [
        f"You said: suspect {n}" for n in range(3)
    ]
    assert [job["attempts"] for job in jobs] == [2, 2, 2]
    for one in suspects:
        places = [n for n, who in enumerate(engine.advanced) if who == one.conversation_id]
        trial = engine.advanced[places[0] : places[MARGIN - 1] + 1]
        assert set(trial) == {one.conversation_id}
    after = engine.advanced[-200:]
    assert len(set(after)) > 1, "they do not run one after the other"
    assert not any({"suspect", "shielded", "token"} & set(fields) for fields in left)


def breath(_position: int) -> "asyncio.Future[None]":
    """Lets everybody else go on between two pieces."""
    return asyncio.ensure_future(asyncio.sleep(0.001))


async def taken_over(bench: Bench) -> Claim:
    claim = await bench.reclaim("w2")
    assert claim is not None
    return claim


async def again(bench: Bench, claim: Claim) -> Claim:
    """The same start, as its worker is told of it when the first answer was lost."""
    nonce = claim.fence.partition(":")[2]
    (told,) = await bench.claims.take("w2", nonce, 1)
    return told
