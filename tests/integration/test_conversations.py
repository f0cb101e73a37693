"""Conversations as resources: read, paged, edited, deleted, expired, limited."""

import asyncio
from typing import Any

import pytest

from shared.config import Settings
from shared.store.connection import connect
from shared.store.keys import Keys
from tests.integration.test_jobs import Gate, ended, submit
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack


async def converse(stack: Stack, turns: int, **fields: Any) -> int:
    """A conversation of so many turns; returns its id."""
    answer = await stack.ask("prompt 1", context="Persona.", **fields)
    for number in range(2, turns + 1):
        answer = await stack.ask(f"prompt {number}", id=answer["id"])
    return int(answer["id"])


async def test_a_conversation_is_shown(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, 2)
        shown = (await stack.client.get(f"/conversations/{conversation}")).json()
        last = await stack.ask("prompt 3", id=conversation, context="New.")
        after = (await stack.client.get(f"/conversations/{conversation}")).json()
    assert shown["id"] == conversation
    assert shown["context"] == "Persona."
    assert shown["turns"] == 2
    assert shown["pending"] == []
    assert shown["created_at"] <= shown["updated_at"]
    assert (after["turns"], after["context"]) == (3, "New.")
    assert after["tokens"] == shown["tokens"] + last["numberOfTokens"]
    assert after["window"] == last["window"]


async def test_pending_turns_are_named_in_order(settings: Settings) -> None:
    gate = Gate()
    async with running_stack(settings, ScriptedEngine(step=gate)) as stack:
        first = await submit(stack.client, "one")
        second = await submit(stack.client, "two", id=first["id"])
        shown = (await stack.client.get(f"/conversations/{first['id']}")).json()
        gate.open()
        await ended(stack, second)
    assert shown["pending"] == [first["job"], second["job"]]
    assert (shown["turns"], shown["window"]) == (0, None)


async def test_messages_are_paged_from_the_newest(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        path = f"/conversations/{await converse(stack, 4)}/messages"
        whole = (await stack.client.get(path)).json()
        pages: list[dict[str, Any]] = []
        before: dict[str, int] = {}
        while True:
            page = (await stack.client.get(path, params={"limit": 3, **before})).json()
            pages.insert(0, page)
            if page["next"] is None:
                break
            before = {"before": page["next"]}
        none = (await stack.client.get(path, params={"before": 1})).json()
        beyond = (await stack.client.get(path, params={"before": 10**6})).json()
    assert [m["number"] for m in whole["messages"]] == list(range(1, 9))
    assert [m["role"] for m in whole["messages"]] == ["user", "assistant"] * 4
    assert whole["next"] is None
    assert [m for page in pages for m in page["messages"]] == whole["messages"]
    assert [len(page["messages"]) for page in pages] == [2, 3, 3]
    first = whole["messages"][0]
    assert first["content"] == "prompt 1"
    assert first["tokens"] == len("prompt 1")
    assert set(first) == {"number", "role", "content", "timestamp", "tokens", "job"}
    assert none == {"messages": [], "next": None}
    assert beyond == whole


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "0"), ("limit", "501"), ("limit", "ten"), ("before", "0"), ("before", "-1")],
)
async def test_a_wrong_page_is_named(settings: Settings, name: str, value: str) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        response = await stack.client.get("/conversations/1/messages", params={name: value})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == name


@pytest.mark.parametrize("conversation", ["4711", "0", "abc", "12345678901234567", "٣"])
async def test_what_does_not_exist_is_404(settings: Settings, conversation: str) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        for method, path in (("GET", ""), ("GET", "/messages"), ("DELETE", "")):
            response = await stack.client.request(method, f"/conversations/{conversation}{path}")
            assert response.status_code == 404
            assert response.json()["code"] == "not_found"


async def test_an_edit_renumbers_what_it_replaces(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, 3)
        await stack.ask("edited", id=conversation, replace_from=3)
        shown = (await stack.client.get(f"/conversations/{conversation}")).json()
        page = (await stack.client.get(f"/conversations/{conversation}/messages")).json()
    assert shown["turns"] == 2
    assert [(m["number"], m["content"]) for m in page["messages"]] == [
        (1, "prompt 1"),
        (2, "You said: prompt 1"),
        (3, "edited"),
        (4, "You said: edited"),
    ]


async def test_deleting_leaves_nothing_behind(settings: Settings) -> None:
    gate = Gate()
    engine = ScriptedEngine(
        step=lambda n: gate(n) if "<user>running<end>" in engine.prompts[-1] else None
    )
    redis: Any = connect(settings)
    async with running_stack(settings, engine) as stack:
        conversation = await converse(stack, 1)
        finished = (await stack.client.get(f"/conversations/{conversation}/messages")).json()
        running = asyncio.create_task(
            stack.client.post("/", json={"prompt": "running", "id": conversation})
        )
        await gate.reached.wait()
        waiting = await submit(stack.client, "waiting", id=conversation)
        deleted = await stack.client.delete(f"/conversations/{conversation}")
        refused = await running
        again = await stack.client.delete(f"/conversations/{conversation}")
        late = await stack.client.post("/", json={"prompt": "late", "id": conversation})
        cancelled = (await stack.client.get(waiting["links"]["self"])).json()
        gone = await stack.client.get(f"/jobs/{finished['messages'][0]['job']}")
        answer = await stack.ask("somebody else goes on")
    left = [key async for key in redis.scan_iter(f"{settings.namespace}:*")]
    contents = [await redis.hgetall(key) for key in left if ":job:" in key and ":events" not in key]
    await redis.aclose(close_connection_pool=True)
    assert (deleted.status_code, again.status_code, late.status_code) == (204, 404, 404)
    assert (refused.status_code, refused.json()["code"]) == (409, "job_cancelled")
    assert cancelled["status"] == "cancelled"
    assert gone.status_code == 404
    assert answer["reply"] == "You said: somebody else goes on"
    assert not [key for key in left if f":conv:{conversation}" in key]
    assert not any("waiting" in str(content.get("request")) for content in contents)


async def test_the_history_limit_keeps_whole_turns_and_the_window(valkey: Valkey) -> None:
    settings = make_settings(
        valkey.url, PALAVER_HISTORY_LIMIT=5, PALAVER_CONTEXT_LENGTH=200, PALAVER_MAX_TOKENS=30
    )
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, 12)
        page = (await stack.client.get(f"/conversations/{conversation}/messages")).json()
        shown = (await stack.client.get(f"/conversations/{conversation}")).json()
    numbers = [message["number"] for message in page["messages"]]
    assert numbers == list(range(numbers[0], 25))
    assert numbers[0] % 2 == 1
    assert shown["turns"] == 12
    assert len(numbers) >= 2 * (shown["window"]["turns_kept"] - 1)
    assert len(numbers) < 24


async def test_a_conversation_expires_whole(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_CONVERSATION_TTL=1000)
    keys = Keys(settings.namespace)
    redis: Any = connect(settings)
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, 2)
        names = [key async for key in redis.scan_iter(f"{keys.conversation(str(conversation))}*")]
        expiries = [await redis.pttl(name) for name in names]
    await redis.aclose(close_connection_pool=True)
    assert len(names) == 3
    assert 990_000 < min(expiries) <= max(expiries) <= 1_000_000
