"""`GET /conversations` and `PATCH`: one list, the conversation that was used last in front."""

from typing import Any

import pytest
from redis.asyncio import Redis

from shared.store.connection import connect
from shared.store.conversations import Conversations
from shared.store.keys import Keys
from shared.store.list_upkeep import ListUpkeep
from shared.store.scripts import Scripts
from tests.integration.bench import Bench, completion
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack

LISTED = ("id", "title", "pinned", "turns")


async def listed(stack: Stack, **params: Any) -> list[dict[str, Any]]:
    """All pages of the list."""
    rows: list[dict[str, Any]] = []
    while True:
        answer = await stack.client.get("/conversations", params=params)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        rows += page["conversations"]
        if page["next"] is None:
            return rows
        params["before"] = page["next"]


async def ids_of(stack: Stack, **params: Any) -> list[int]:
    return [row["id"] for row in await listed(stack, **params)]


async def asked(stack: Stack, prompt: str, **fields: Any) -> int:
    answer = await stack.client.post("/", json={"prompt": prompt, **fields})
    assert answer.status_code == 200, answer.text
    conversation_id: int = answer.json()["id"]
    return conversation_id


async def test_what_was_used_last_comes_first(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        made = [await asked(stack, f"Number {n}.") for n in range(5)]
        await asked(stack, "Again.", id=made[1])
        rows = await listed(stack, limit=2)
    assert [row["id"] for row in rows] == [made[1], made[4], made[3], made[2], made[0]]
    assert [row["updated_at"] for row in rows] == sorted(
        (row["updated_at"] for row in rows), reverse=True
    )
    assert {name: rows[0][name] for name in LISTED} == {
        "id": made[1],
        "title": "Number 1.",
        "pinned": False,
        "turns": 2,
    }
    assert rows[0]["model"] == "scripted"


async def test_a_page_goes_on_behind_a_conversation_that_is_gone(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        made = [await asked(stack, f"Number {n}.") for n in range(6)]
        first = (await stack.client.get("/conversations", params={"limit": 2})).json()
        for conversation_id in (made[4], made[3]):
            await stack.client.delete(f"/conversations/{conversation_id}")
        await asked(stack, "Moves to the front.", id=made[1])
        params = {"limit": 2, "before": first["next"]}
        second = (await stack.client.get("/conversations", params=params)).json()
    assert [row["id"] for row in first["conversations"]] == [made[5], made[4]]
    assert [row["id"] for row in second["conversations"]] == [made[2], made[0]]
    assert second["next"] is None


async def test_pinned_conversations_can_be_had_alone(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        made = [await asked(stack, f"Number {n}.") for n in range(7)]
        pinned = [made[5], made[3], made[0]]
        for conversation_id in pinned:
            await stack.client.patch(f"/conversations/{conversation_id}", json={"pinned": True})
        assert await ids_of(stack, pinned="true") == pinned
        assert await ids_of(stack, pinned="true", limit=1) == pinned
        await stack.client.patch(f"/conversations/{made[3]}", json={"pinned": False})
        await stack.client.delete(f"/conversations/{made[0]}")
        rows = await listed(stack, pinned="true")
        assert await ids_of(stack, pinned="true", query="number") == [made[5]]
        assert await ids_of(stack, pinned="true", query="again") == []
    assert [(row["id"], row["pinned"]) for row in rows] == [(made[5], True)]


@pytest.mark.parametrize("value", ["false", "1"])
async def test_what_pinned_cannot_be_is_refused(valkey: Valkey, value: str) -> None:
    async with running_stack(make_settings(valkey.url)) as stack:
        answer = await stack.client.get("/conversations", params={"pinned": value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "pinned"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, 200),
        ({"PALAVER_OPEN_LIST": 0}, 404),
        ({"PALAVER_ALLOW_OPEN": 1}, 404),
        ({"PALAVER_ALLOW_OPEN": 1, "PALAVER_OPEN_LIST": 1}, 200),
        ({"HOST": "0.0.0.0", "PALAVER_ALLOW_OPEN": 1}, 404),
        ({"HOST": "::1"}, 200),
    ],
)
async def test_without_keys_only_this_machines_user_sees_all(
    valkey: Valkey, more: dict[str, Any], status: int
) -> None:
    async with running_stack(make_settings(valkey.url, **more), ScriptedEngine()) as stack:
        made = await asked(stack, "Hello.")
        answer = await stack.client.get("/conversations")
        one = await stack.client.get(f"/conversations/{made}")
    assert (answer.status_code, one.status_code) == (status, 200)


async def test_a_title_is_what_was_set_else_the_first_prompts_beginning(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        made = await asked(stack, "Tell me of the sea, " * 9)
        path = f"/conversations/{made}"
        titles = [(await stack.client.get(path)).json()["title"]]
        for change in ({"title": "Das Meer 海 🌊"}, {"pinned": True}, {"title": None}):
            answer = await stack.client.patch(path, json=change)
            assert answer.status_code == 200, answer.text
            assert answer.json() == (await stack.client.get(path)).json()
            titles.append(answer.json()["title"])
        [row] = await listed(stack)
    cut = "Tell me of the sea, Tell me of the sea, Tell me of the sea,…"
    assert titles == [cut, "Das Meer 海 🌊", "Das Meer 海 🌊", cut]
    assert (row["title"], row["pinned"]) == (cut, True)


async def test_an_edit_of_the_first_prompt_is_a_new_beginning(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        made = await asked(stack, "Old.")
        before = await listed(stack)
        await asked(stack, "Second.", id=made)
        kept = await listed(stack)
        await asked(stack, "New.", id=made, replace_from=1)
        after = await listed(stack)
    assert [rows[0]["title"] for rows in (before, kept, after)] == ["Old.", "Old.", "New."]


async def test_a_first_prompt_that_waits_is_the_title_and_leaves_none(bench: Bench) -> None:
    conversations = Conversations(bench.redis, bench.keys, bench.settings)

    async def titles() -> list[str | None]:
        page = await conversations.list("alice", 10, None)
        return [row["title"] for row in page["conversations"]]

    first = await bench.submit(owner="alice", prompt="First.")
    assert await titles() == ["First."]
    second = await bench.submit(first.conversation_id, owner="alice", prompt="Second.")
    await bench.submissions.cancel(first.job_id, "alice")
    assert await titles() == ["Second."], "nothing is left of the first one"
    await bench.submissions.cancel(second.job_id, "alice")
    assert await titles() == []


async def test_metadata_are_replaced_and_wrong_fields_are_named(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        path = f"/conversations/{await asked(stack, 'Hello.')}"
        for metadata in ({"a": "1"}, {"b": "é"}, {}, None):
            answer = await stack.client.patch(path, json={"metadata": metadata})
            assert answer.json()["metadata"] == (metadata or {})
        for wrong in ("title", "pinned", "metadata", "colour"):
            body = {wrong: {"title": "x" * 201, "pinned": 1, "metadata": {"a": 1}}.get(wrong, "?")}
            answer = await stack.client.patch(path, json=body)
            assert answer.status_code == 422, wrong
            assert answer.json()["errors"][0]["field"].startswith(wrong)
        blank = [await stack.client.patch(path, json={"title": text}) for text in ("", " ")]
        unchanged = await stack.client.patch(path, json={})
        gone = await stack.client.patch("/conversations/4711", json={"title": "x"})
    assert {answer.status_code for answer in blank} == {422}
    assert (unchanged.status_code, unchanged.json()["title"]) == (200, "Hello.")
    assert gone.status_code == 404


async def test_a_page_costs_the_same_however_many_conversations_it_shows(
    valkey: Valkey,
) -> None:
    settings = make_settings(valkey.url)
    async with running_stack(settings, ScriptedEngine()) as stack, connect(settings) as redis:
        for n in range(6):
            await asked(stack, f"Number {n}.")
        await listed(stack)

        async def calls(limit: int) -> int:
            before = (await redis.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})
            await stack.client.get("/conversations", params={"limit": limit})
            after = (await redis.info("commandstats"))["cmdstat_evalsha"]
            return int(after["calls"]) - int(before["calls"])

        # Others use the server meanwhile: the least of a few tries is the list's own.
        costs = [min([await calls(limit) for _ in range(5)]) for limit in (1, 6)]
    assert costs[0] == costs[1] == 1


async def answer_one(bench: Bench, **fields: Any) -> str:
    submission = await bench.submit(**fields)
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim))
    return submission.conversation_id


async def names_in_list(bench: Bench, owner: str) -> list[str]:
    names: list[str] = await bench.redis.zrevrange(bench.keys.owned(owner), 0, -1)
    return names


async def test_conversations_of_versions_before_are_put_into_the_list(bench: Bench) -> None:
    made = [await answer_one(bench, owner=owner) for owner in ("default", "default", "alice")]
    await bench.submit(owner="default", stateless=True)
    await bench.redis.hset(bench.keys.conversation(made[0]), "updated", 5)
    await bench.redis.hset(bench.keys.conversation(made[1]), "updated", 7)
    await bench.redis.delete(bench.keys.owned("default"))
    await bench.redis.zadd(bench.keys.owned("alice"), {made[2]: 1})
    upkeep = ListUpkeep(bench.redis, bench.keys)
    await upkeep.bring_up_to_date()
    used = await bench.redis.hget(bench.keys.conversation(made[2]), "updated")
    assert await names_in_list(bench, "default") == [made[1], made[0]]
    assert await bench.redis.zscore(bench.keys.owned("alice"), made[2]) == int(used)
    await bench.redis.delete(bench.keys.owned("default"))
    await upkeep.bring_up_to_date()
    assert await names_in_list(bench, "default") == [], "once a day is enough"


async def expire(redis: Redis, keys: Keys, conversation_id: int) -> None:
    await redis.delete(keys.conversation(str(conversation_id)), keys.messages(str(conversation_id)))


async def test_expired_conversations_leave_the_list(valkey: Valkey) -> None:
    settings = make_settings(valkey.url)
    keys = Keys(settings.namespace)
    async with running_stack(settings, ScriptedEngine()) as stack, connect(settings) as redis:
        made = [await asked(stack, f"Number {n}.") for n in range(4)]
        for conversation_id in (made[0], made[2]):
            await expire(redis, keys, conversation_id)
        assert await ids_of(stack, limit=1) == [made[3], made[1]]
        assert await redis.zcard(keys.owned("default")) == 2


async def test_conversations_of_one_moment_are_shown_once_each(valkey: Valkey) -> None:
    settings = make_settings(valkey.url)
    keys = Keys(settings.namespace)
    async with running_stack(settings, ScriptedEngine()) as stack, connect(settings) as redis:
        made = [await asked(stack, f"Number {n}.") for n in range(4)]
        await redis.zadd(keys.owned("default"), dict.fromkeys(map(str, made), 1_700_000_000_000))
        for limit in (1, 2, 3):
            shown = await ids_of(stack, limit=limit)
            assert len(shown) == 4
            assert set(shown) == set(made)


async def test_a_heading_that_comes_too_late_is_not_kept(bench: Bench) -> None:
    """Its prompt was replaced between the reading of the prompt and the writing of the heading."""
    conversation_id = await answer_one(bench, owner="alice", prompt="Old.")
    scripts = Scripts(bench.redis, bench.keys, "prompts", "head")
    asked_for = {"conversations": conversation_id, "owner": "alice"}
    [[_, place, _, used]] = await scripts.call("prompts", **asked_for)
    await bench.redis.hset(bench.keys.conversation(conversation_id), "updated", int(used) + 1)
    late = {"conversation1": conversation_id, "heading1": "Old.", "used1": used}
    await scripts.call("head", headings=1, owner="alice", **late)
    heading = await bench.redis.hget(bench.keys.conversation(conversation_id), "heading")
    assert (place, heading) == ("message", None)
