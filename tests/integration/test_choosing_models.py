"""Which model a prompt goes to, and which are refused: the decisions of the script alone."""

from dataclasses import replace

import pytest
from redis.asyncio import Redis

from shared import ids
from shared.errors import (
    IdempotencyKeyReused,
    LimitReached,
    NoEmbeddings,
    NoSuchModel,
    NoWorker,
    Refused,
)
from shared.store.keys import Keys
from shared.wire.limits import Limits
from shared.wire.worker_report import WorkerReport
from tests.integration.bench import Bench, completion
from tests.servers import Valkey, make_settings

HOUR_MS = 3_600_000


@pytest.fixture
async def row(redis: Redis, valkey: Valkey) -> Bench:
    """Two models that chat, of which `large` was there first, and one that embeds before both."""
    settings = make_settings(valkey.url)
    bench = Bench(redis, Keys(settings.namespace), settings)
    await bench.serve("e", pool="embedder", capabilities=("embeddings",))
    await bench.serve("l", pool="large")
    await bench.serve("s", pool="small")
    for number, pool in enumerate(("embedder", "large", "small")):
        await bench.redis.hset(bench.keys.pool(pool), "since", number)
    for worker in "els":  # every one has reported since the last one came
        await bench.redis.hset(bench.keys.pool(await pool_of(bench, worker)), "beside", "1")
    return bench


async def pool_of(bench: Bench, worker: str) -> str:
    return str(await bench.redis.hget(bench.keys.worker(worker), "pool"))


async def model_of(bench: Bench, conversation: str | None = None, **fields: object) -> str:
    """The model that a prompt is given to."""
    turn = await bench.submit(conversation, **fields)
    return str(await bench.redis.hget(bench.keys.job(turn.job_id), "pool"))


async def begun_with(bench: Bench, model: str = "", pool: str = "") -> str:
    """A conversation whose only turn has completed."""
    turn = await bench.submit(model=model)
    claims = bench.claims_of(pool or model)
    (claim,) = await claims.take("w", turn.job_id, 1)
    await claims.commit(claim, completion(claim))
    return turn.conversation_id


async def gone(bench: Bench, worker: str, *, in_order: bool = False) -> None:
    """The worker leaves, or has died more than a minute ago."""
    pool = await pool_of(bench, worker)
    if in_order:
        await bench.workers.leave(worker, pool)
    else:
        await bench.redis.delete(bench.keys.worker(worker))
        await bench.redis.zadd(bench.keys.pools, {pool: 1})


async def forgotten(bench: Bench, pool: str) -> None:
    """An hour later."""
    assert 0 < await bench.redis.pttl(bench.keys.pool(pool)) <= HOUR_MS
    await bench.redis.delete(bench.keys.pool(pool))


async def test_a_model_that_is_named_answers(row: Bench) -> None:
    assert await model_of(row, model="small") == "small"
    assert await model_of(row, model="large") == "large"


async def test_of_several_an_unknown_name_is_refused_and_the_known_ones_are_listed(
    row: Bench,
) -> None:
    with pytest.raises(NoSuchModel, match="'gpt-4o'; there are embedder, large, small"):
        await row.submit(model="gpt-4o")


async def test_where_there_is_one_model_any_name_is_taken(bench: Bench) -> None:
    assert await model_of(bench, model="gpt-4o") == "scripted"


async def test_without_a_name_the_first_one_that_can_do_it_answers(row: Bench) -> None:
    assert await model_of(row) == "large"
    assert await model_of(row, to_embed=("A",)) == "embedder"


async def test_without_a_name_and_with_nobody_who_can_do_it_a_worker_refuses(
    row: Bench,
) -> None:
    await gone(row, "l")
    await gone(row, "s")
    for pool in ("large", "small"):
        await forgotten(row, pool)
    assert await model_of(row) == "embedder"


async def test_the_default_answers_unless_it_cannot(redis: Redis, row: Bench) -> None:
    default = Bench(redis, row.keys, row.settings.model_copy(update={"default_model": "small"}))
    assert await model_of(default) == "small"
    assert await model_of(default, model="large") == "large"
    assert await model_of(default, to_embed=("A",)) == "embedder"
    await gone(row, "s")
    with pytest.raises(NoWorker, match="'small'"):
        await default.submit()
    assert await model_of(default, to_embed=("A",)) == "embedder"
    await forgotten(row, "small")
    assert await model_of(default) == "large"


async def test_a_default_that_nobody_serves_is_none(redis: Redis, row: Bench) -> None:
    settings = row.settings.model_copy(update={"default_model": "a typing eror"})
    assert await model_of(Bench(redis, row.keys, settings)) == "large"


async def test_a_conversation_goes_on_with_the_model_that_was_named(
    redis: Redis, row: Bench
) -> None:
    default = Bench(redis, row.keys, row.settings.model_copy(update={"default_model": "large"}))
    conversation = await begun_with(default, model="small")
    assert await model_of(default, conversation) == "small"
    assert await model_of(default, conversation, model="large") == "large"
    assert await model_of(default, conversation) == "large"


async def test_a_conversation_that_has_named_none_goes_by_the_default(
    redis: Redis, row: Bench
) -> None:
    conversation = await begun_with(row, pool="large")
    default = Bench(redis, row.keys, row.settings.model_copy(update={"default_model": "small"}))
    assert await model_of(default, conversation) == "small"
    # Without a default it goes on where it was last.
    assert await model_of(row, conversation) == "small"


async def test_a_conversation_waits_for_the_model_that_it_has_named_and_for_no_other(
    row: Bench,
) -> None:
    named = await begun_with(row, model="large")
    unnamed = await begun_with(row, pool="large")
    await gone(row, "l")
    with pytest.raises(NoWorker, match="'large'"):
        await row.submit(named)
    assert await model_of(row, unnamed) == "small"
    await forgotten(row, "large")
    assert await model_of(row, named) == "small"


async def test_a_conversation_does_not_go_on_with_a_model_that_only_embeds(row: Bench) -> None:
    conversation = await begun_with(row, pool="large")
    for worker, pool in (("l", "large"), ("s", "small")):
        await gone(row, worker)
        await forgotten(row, pool)
    assert await model_of(row, conversation) == "embedder"
    await row.serve("n", pool="new")
    assert await model_of(row, conversation) == "new"


@pytest.mark.parametrize("in_order", [True, False], ids=["it left", "it died"])
async def test_a_model_without_workers_is_missed_for_an_hour_and_then_unknown(
    row: Bench, in_order: bool
) -> None:
    await gone(row, "l", in_order=in_order)
    with pytest.raises(NoWorker, match="'large'"):
        await row.submit(model="large")
    await forgotten(row, "large")
    with pytest.raises(NoSuchModel, match="there are embedder, small"):
        await row.submit(model="large")
    await row.keep(sweep=True)
    assert await row.redis.zscore(row.keys.pools, "large") is None
    await row.serve("l2", pool="large")
    assert await model_of(row, model="large") == "large"


async def test_a_model_that_takes_the_place_of_the_only_one_takes_its_name_too(
    bench: Bench,
) -> None:
    conversation = await begun_with(bench, model="scripted")
    await gone(bench, "w1")
    await bench.serve("w2", pool="another")
    assert await model_of(bench, model="scripted") == "another"
    assert await model_of(bench, conversation) == "another"


async def test_without_any_worker_prompts_are_refused_naming_the_model_if_it_is_known(
    bench: Bench,
) -> None:
    await gone(bench, "w1")
    with pytest.raises(NoWorker, match="'scripted'"):
        await bench.submit(model="scripted")
    with pytest.raises(NoWorker, match="no worker has"):
        await bench.submit(model="gpt-4o")


async def test_models_are_side_by_side_once_both_have_reported(bench: Bench) -> None:
    await bench.serve("w2", pool="another")
    await bench.serve("w1")
    await gone(bench, "w1")
    with pytest.raises(NoWorker, match="'scripted'"):
        await bench.submit(model="scripted")
    assert await model_of(bench, model="gpt-4o") == "another"


async def test_a_model_that_chats_is_not_asked_to_embed(row: Bench) -> None:
    with pytest.raises(NoEmbeddings, match="'small'"):
        await row.submit(model="small", to_embed=("A",))


async def test_each_model_may_have_a_context_length_of_its_own(bench: Bench) -> None:
    for name, length in (("large", 3500), ("small", 8192)):
        report = WorkerReport(model_name=name, slots=1, context_length=length)
        assert await bench.workers.register(name, report, ttl_s=60) is None
    for length in (3500, 8192):
        assert await bench.workers.of_other_length(length) is None
    assert await bench.workers.of_other_length(4096) is not None


async def test_limits_of_an_owner_count_over_all_models(row: Bench) -> None:
    turn = await row.submit(model="small", owner="ann")
    second = replace(
        turn,
        job_id=ids.new_job(),
        conversation_id=ids.new_conversation(),
        model_name="large",
        limits=Limits(in_flight=1),
    )
    with pytest.raises(LimitReached):
        await row.submissions.submit(second)


async def test_refusals_of_models_store_nothing(row: Bench) -> None:
    before = {key async for key in row.redis.scan_iter(f"{row.keys.namespace}:*")}
    for fields in ({"model": "x"}, {"model": "small", "to_embed": ("A",)}):
        with pytest.raises(Refused):
            await row.submit(**fields)
    assert {key async for key in row.redis.scan_iter(f"{row.keys.namespace}:*")} == before


async def test_a_repetition_is_answered_with_the_model_of_the_first(row: Bench) -> None:
    turn = await row.submit(model="small", key="0123456789abcdef")
    await gone(row, "s")
    again = await row.submissions.submit(turn)
    assert again is not None
    assert (again.job_id, again.model_name) == (turn.job_id, "small")


async def test_an_idempotency_key_stands_for_its_model_too(row: Bench) -> None:
    key = "0123456789abcdef"
    await row.submit(model="small", key=key)
    with pytest.raises(IdempotencyKeyReused):
        await row.submit(model="large", key=key)
    with pytest.raises(IdempotencyKeyReused):
        await row.submit(key=key)
    await row.submit(model="small", key=key)


async def test_a_copy_goes_on_with_the_model_of_its_original(row: Bench) -> None:
    turn = await row.submit(model="small")
    claims = row.claims_of("small")
    (claim,) = await claims.take("s", turn.job_id, 1)
    await claims.commit(claim, completion(claim))
    await row.submit(turn.conversation_id)
    assert await model_of(row, behind=turn.job_id) == "small"
