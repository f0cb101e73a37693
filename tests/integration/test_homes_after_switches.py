"""A switch keeps a conversation's home where its cache still has what stands before."""

from shared.store.alternatives import Alternatives
from tests.integration.bench import Bench, completion

SAVES_MS = 1000


async def turn(
    bench: Bench,
    conversation: str | None,
    number: int,
    *,
    offset: int = 1,
    context: str | None = None,
) -> str:
    """A turn that replaces what stands at its number; returns the conversation."""
    await bench.submit(conversation, context=context, replace_from=number if conversation else None)
    claim = await bench.claim()
    done = completion(claim, number, offset=offset, saves_ms=SAVES_MS)
    await bench.claims.commit(claim, done)
    return claim.conversation_id


async def home_after_switch(bench: Bench, conversation: str) -> list[str | None]:
    resources = Alternatives(bench.redis, bench.keys, bench.settings)
    (kept,) = await resources.list(conversation, "default")
    await resources.switch(conversation, "default", kept.alternative_id)
    name = bench.keys.conversation(conversation)
    return list(await bench.redis.hmget(name, "home", "saves_ms"))


async def test_the_home_saves_its_share_of_what_stands_before(bench: Bench) -> None:
    conversation = await turn(bench, None, 1)
    for _ in range(2):
        await turn(bench, conversation, 3)
    assert await home_after_switch(bench, conversation) == ["w1", "500"]


async def test_there_is_no_home_for_a_window_that_begins_elsewhere(bench: Bench) -> None:
    conversation = await turn(bench, None, 1)
    await turn(bench, conversation, 3)
    await turn(bench, conversation, 3, offset=3)
    assert await home_after_switch(bench, conversation) == [None, None]


async def test_there_is_no_home_under_other_instructions(bench: Bench) -> None:
    conversation = await turn(bench, None, 1)
    await turn(bench, conversation, 3)
    await turn(bench, conversation, 3, context="Other.")
    assert await home_after_switch(bench, conversation) == [None, None]


async def test_there_is_no_home_where_the_window_begins_with_the_alternative(
    bench: Bench,
) -> None:
    conversation = await turn(bench, None, 1)
    await turn(bench, conversation, 1)
    assert await home_after_switch(bench, conversation) == [None, None]
