"""Conversations with thoughts, calls and results: shown, cut, edited, forked, forgotten."""

from dataclasses import replace

import pytest

from shared import ids
from shared.config import Settings
from shared.errors import StillInUse
from shared.store.boot import check_server
from shared.store.conversations import Conversations
from shared.wire.beginning import Beginning
from shared.wire.completion import Completion
from shared.wire.limits import Caller
from shared.wire.messages import Role, StoredMessage
from shared.wire.parts import Tool, ToolCall
from shared.wire.turn_request import ToolUse
from tests.integration.bench import POOL, Bench, completion
from tests.scripted import ScriptedEngine
from tests.servers import Valkey, make_settings, running_stack
from worker.engine.interface import Part

CALL = ToolCall(id="call_1", name="weather", arguments="{}")
TOOLS = ToolUse(tools=(Tool(name="weather"),))


async def turn(bench: Bench, conversation: str | None = None, **parts: object) -> tuple[str, str]:
    """A committed turn, which may be a result or end with a call; its conversation and job."""
    result = parts.pop("call_id", "")
    fields = {"call_id": result, "tool_use": TOOLS} if result else {}
    job = await bench.submit(conversation, **fields)
    claim = await bench.claim()
    assert claim.history is not None
    plain = completion(claim, claim.history.next_number)
    role: Role = "tool" if result else "user"
    whole: Completion = replace(
        plain,
        user=replace(plain.user, role=role, call_id=str(result)),
        assistant=replace(plain.assistant, **parts),  # type: ignore[arg-type]
    )
    await bench.claims.commit(claim, whole)
    return job.conversation_id, job.job_id


async def agent_turn(bench: Bench, conversation: str | None = None) -> tuple[str, list[str]]:
    """What a user asked, a call, its result, an answer; the two jobs."""
    name, first = await turn(bench, conversation, tool_calls=(CALL,))
    _, second = await turn(bench, name, call_id="call_1")
    return name, [first, second]


def roles(messages: list[StoredMessage]) -> str:
    return "".join(message.role[0] for message in messages)


def store(bench: Bench) -> Conversations:
    return Conversations(bench.redis, bench.keys, bench.settings)


async def test_the_history_limit_keeps_calls_and_results_with_what_was_asked(
    valkey: Valkey, bench: Bench
) -> None:
    settings = make_settings(
        valkey.url, PALAVER_NAMESPACE=bench.keys.namespace, PALAVER_HISTORY_LIMIT=5
    )
    limited = Bench(bench.redis, bench.keys, settings)
    name, _ = await agent_turn(limited)
    await agent_turn(limited, name)
    await bench.redis.hset(bench.keys.conversation(name), "offset", 9)
    job = await limited.submit(name)
    claim = await limited.claim()
    await limited.claims.commit(claim, completion(claim, 9, offset=9))
    assert job.job_id == claim.job_id
    # Five would begin with a call, four with its result.
    assert roles(await bench.messages(name)) == "ua"


async def test_a_window_that_starts_again_begins_with_a_users_message(bench: Bench) -> None:
    name, _ = await agent_turn(bench)
    for _ in range(2):
        await agent_turn(bench, name)
    await bench.redis.hset(bench.keys.conversation(name), "offset", 13)
    await bench.redis.hset(bench.keys.pool(POOL), "window", 20)
    await bench.submit(name, replace_from=12)
    claim = await bench.claim()
    assert claim.history is not None
    # Five messages are within reach, the first of which is a result: its turn is left out.
    assert (claim.history.offset, roles(list(claim.history.messages))) == (9, "uat")


async def test_turns_count_replies_and_an_edit_takes_them_back(bench: Bench) -> None:
    name, _ = await agent_turn(bench)
    shown = await store(bench).show(name, "default")
    assert shown is not None
    assert shown["turns"] == 2
    await bench.submit(name, replace_from=3)
    claim = await bench.claim()
    assert claim.history is not None
    assert (claim.history.turns, roles(list(claim.history.messages))) == (1, "ua")
    await bench.claims.commit(claim, completion(claim, 3))
    assert roles(await bench.messages(name)) == "uaua"
    shown = await store(bench).show(name, "default")
    assert shown is not None
    assert shown["turns"] == 2


async def test_a_fork_behind_a_call_has_the_call(bench: Bench) -> None:
    name, (first, _) = await agent_turn(bench)
    fork = await bench.submit(ids.new_conversation(), behind=first)
    claim = await bench.claim()
    assert claim.history is not None
    assert claim.conversation_id == fork.conversation_id != name
    assert claim.history.messages[-1].tool_calls == (CALL,)
    assert claim.history.turns == 1


async def test_a_response_with_a_call_stays_while_its_result_stands_on_it(bench: Bench) -> None:
    _, first = await turn(bench, tool_calls=(CALL,))
    name = str(await bench.redis.hget(bench.keys.job(first), "conversation"))
    _, second = await turn(bench, name, call_id="call_1")
    with pytest.raises(StillInUse):
        await store(bench).forget_response(first, "default")
    assert await store(bench).forget_response(second, "default")
    assert roles(await bench.messages(name)) == "ua"
    assert await store(bench).forget_response(first, "default")
    assert not await bench.redis.exists(bench.keys.messages(name))


async def test_parts_are_shown_where_there_are_some(settings: Settings) -> None:
    parts = [Part("reasoning", "Hm."), Part("text", "Wait."), Part("call", CALL.encode())]
    async with running_stack(settings, ScriptedEngine(lambda _: parts)) as stack:
        made = await stack.ask("Weather?")
        page = (await stack.client.get(f"/conversations/{made['id']}/messages")).json()
        shown = (await stack.client.get(f"/conversations/{made['id']}")).json()
    prompt, reply = page["messages"]
    assert prompt.keys() == {"number", "role", "content", "timestamp", "tokens", "job"}
    assert reply == reply | {
        "content": "Wait.",
        "finish_reason": "tool_calls",
        "model": "scripted",
        "reasoning": "Hm.",
        "tool_calls": [CALL.to_json()],
    }
    assert shown["model"] == "scripted"


async def test_results_are_shown_with_the_call_that_they_answer(bench: Bench) -> None:
    name, _ = await agent_turn(bench)
    page = await store(bench).page(name, "default", 10, 0)
    assert page is not None
    result = page.to_wire()["messages"][2]
    assert (result["role"], result["call_id"]) == ("tool", "call_1")
    assert "name" not in result, "it is not known"


async def test_each_reply_keeps_its_model_where_models_change(bench: Bench) -> None:
    name, _ = await turn(bench, model_name="one", finish_reason="stop")
    await turn(bench, name)  # by an older version
    for model in ("one", "two", "two\nlines", "one"):
        await turn(bench, name, model_name=model, finish_reason="stop")
    models = [message.model_name for message in (await bench.messages(name))[1::2]]
    assert models == ["one", "", "one", "two", "two lines", "one"]
    await bench.submit(name, replace_from=7)
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim, 7))
    await turn(bench, name, model_name="three", finish_reason="stop")
    page = await store(bench).page(name, "default", 10, 0)
    assert page is not None
    shown = [one.get("model", "") for one in page.to_wire()["messages"]]
    assert shown[1::2] == ["one", "", "one", "", "three"]


async def test_how_much_a_model_thinks_is_asked_for_with_a_prompt(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        made = await stack.ask("Hm?", reasoning="high")
        wrong = await stack.client.post("/", json={"prompt": "Hm?", "reasoning": "much"})
    assert made["reply"]
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "reasoning"


async def test_the_format_is_raised_by_the_first_message_that_older_versions_cannot_read(
    bench: Bench, settings: Settings
) -> None:
    async def stored_format() -> str | None:
        value: str | None = await bench.redis.get(bench.keys.schema)
        return value

    await check_server(bench.redis, bench.keys, settings)
    name, _ = await turn(bench, reasoning="Hm.", model_name="m", finish_reason="stop")
    assert await stored_format() == "1"
    await turn(bench, name, tool_calls=(CALL,))
    assert await stored_format() == "2"
    await check_server(bench.redis, bench.keys, settings)


async def test_the_format_is_raised_by_requests_and_by_items(bench: Bench) -> None:
    await bench.submit(tool_use=TOOLS)
    assert await bench.redis.get(bench.keys.schema) == "2"
    await bench.redis.delete(bench.keys.schema)
    item = StoredMessage(
        number=0, role="tool", content="9", timestamp_ms=1, tokens=1, job_id="j", call_id="c"
    )
    await store(bench).begin(
        "7",
        Caller(),
        Beginning(batch_id=ids.new_job(), messages=(replace(item, role="user"),)),
    )
    assert await bench.redis.get(bench.keys.schema) is None
    await store(bench).add("7", Caller(), ids.new_job(), [item])
    assert await bench.redis.get(bench.keys.schema) == "2"
