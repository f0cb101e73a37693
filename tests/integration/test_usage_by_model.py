"""What operators see of usage: by owner, model and day, bounded, for a week."""

import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.errors import TurnFailed
from shared.store.usage import Usage
from shared.wire.limits import NO_LIMITS
from shared.wire.usage_row import UNNAMED, DayOfUsage, UsageRow
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import POOL, Bench, completion
from tests.integration.test_access import running_guarded
from tests.servers import Valkey


@pytest.fixture
def usage(bench: Bench) -> Usage:
    return Usage(bench.redis, bench.keys)


async def today(usage: Usage) -> dict[tuple[str, str], UsageRow]:
    """The rows of the only day on which anything was used."""
    [day] = await usage.week()
    return {(row.owner_id, row.model_name): row for row in day.rows}


async def complete(bench: Bench, owner: str, **fields: Any) -> None:
    await bench.submit(owner=owner)
    claim = await bench.claim()
    for outcome in (WriteOutcome.OK, WriteOutcome.DUP):
        ended = await bench.claims.commit(claim, completion(claim, **fields))
        assert ended.outcome is outcome


async def test_each_turn_is_counted_once_for_its_owner_and_model(
    bench: Bench, usage: Usage
) -> None:
    assert await usage.week() == []
    await complete(bench, "ann", prompt_tokens=7, cached_tokens=3)
    await complete(bench, "ann", prompt_tokens=7)
    await complete(bench, "default")
    rows = await today(usage)
    assert rows["ann", POOL] == UsageRow(
        owner_id="ann",
        model_name=POOL,
        turns=2,
        prompt_tokens=14,
        cached_tokens=3,
        completion_tokens=4,
    )
    assert rows["default", POOL].turns == 1


async def test_models_with_blanks_in_their_names_are_told_apart(bench: Bench, usage: Usage) -> None:
    await bench.serve("w2", pool="a b")
    await bench.submit(owner="ann", model="a b")
    [claim] = await bench.claims_of("a b").take("w2", "nonce", 1)
    await bench.claims_of("a b").commit(claim, completion(claim))
    assert set(await today(usage)) == {("ann", "a b")}


async def test_what_was_in_vain_is_counted_apart(bench: Bench, usage: Usage) -> None:
    await bench.submit(owner="ann")
    claim = await bench.claim()
    for _ in range(2):
        await bench.claims.fail(claim, TurnFailed("x"), 70)
    await bench.submit(owner="ann")
    claim = await bench.claim()
    await bench.submissions.cancel(claim.job_id, "ann")
    for spent in (30, 30, 40):
        await bench.claims.settle(claim, spent)
    row = (await today(usage))["ann", POOL]
    assert (row.turns, row.prompt_tokens, row.unfinished_tokens) == (0, 0, 110)


async def test_rows_are_few_and_kept_for_a_week(bench: Bench, usage: Usage) -> None:
    await complete(bench, "ann")
    [day] = await usage.week()
    number = (day.day - datetime.date(1970, 1, 1)).days
    name = f"{bench.keys.namespace}:counted:{number}"
    assert 6 * 86_400_000 < await bench.redis.pttl(name) <= 7 * 86_400_000
    others = {f"o{number} m": "1 0 0 0 0" for number in range(500)}
    await bench.redis.hset(name, mapping=others)
    await complete(bench, "ann")
    await complete(bench, "bob")
    rows = await today(usage)
    assert rows["ann", POOL].turns == 2, "who is counted by name still is"
    assert ("bob", POOL) not in rows
    assert rows[UNNAMED, ""].turns == 1
    for back in range(1, 9):
        earlier = f"{bench.keys.namespace}:counted:{number - back}"
        await bench.redis.hset(earlier, "a m", "1 0 0 0 0")
    assert len(await usage.week()) == 7


def test_numbers_of_later_versions_are_ignored() -> None:
    day = DayOfUsage.decode(20_000, ["ann m", "2 0 0 0 0 9"])
    assert day.day == datetime.date(2024, 10, 4)
    assert day.rows == [UsageRow(owner_id="ann", model_name="m", turns=2)]


async def test_an_operator_sees_it_by_the_names_of_keys(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        user, gone = guarded.headers("ann"), guarded.headers("gone")
        secret = guarded.keys.create("olga", NO_LIMITS, "operator")
        answers = [(await guarded.ask(headers, "Hi.")).json() for headers in (user, gone)]
        guarded.keys.revoke("gone")
        operator = {"Authorization": f"Bearer {secret}"}
        shown = (await guarded.stack.client.get("/ops/usage", headers=operator)).json()
        [day] = shown["days"]
        by_key = {row["key"]: row for row in day["usage"]}
        assert set(by_key) == {"ann", None}
        assert by_key[None]["owner"]
        details = answers[0]["usage"]
        assert by_key["ann"]["model"] == "scripted"
        assert by_key["ann"]["turns"] == 1
        assert by_key["ann"]["prompt_tokens"] == details["prompt_tokens"]
        assert by_key["ann"]["completion_tokens"] == details["completion_tokens"]
