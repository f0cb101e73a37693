"""`POST /conversations`: an empty conversation, or one that was exported before."""

from typing import Any

import pytest

from tests.integration.test_nothing_left import space_of
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack

USER = {"role": "user", "content": "My name is Ann. 👩🏽‍🚀"}
REPLY = {"role": "assistant", "content": "你好, Ann!"}
CALL = {"id": "c1", "name": "add", "arguments": "{}"}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "3", "call_id": "c1", "name": "add"}
MADE_ANEW = ("id", "created_at", "updated_at", "tokens", "window")


async def begun(stack: Stack, **body: Any) -> dict[str, Any]:
    answer = await stack.client.post("/conversations", json=body)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/conversations/{shown['id']}"
    return shown


async def messages_of(stack: Stack, conversation_id: int) -> list[dict[str, Any]]:
    path = f"/conversations/{conversation_id}/messages"
    messages: list[dict[str, Any]] = (await stack.client.get(path)).json()["messages"]
    return messages


async def test_an_empty_one_has_what_was_sent_and_goes_on_with_a_prompt(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_DEFAULT_CONTEXT="Be kind.")
    async with running_stack(settings, ScriptedEngine()) as stack:
        plain = await begun(stack)
        made = await begun(
            stack, context="", title="Cinema", model="scripted", metadata={"a": "b"}, pinned=True
        )
        listed = (await stack.client.get("/conversations")).json()["conversations"]
        reply = await stack.ask("Hello.", id=plain["id"])
        after = (await stack.client.get(f"/conversations/{plain['id']}")).json()
    assert (plain["title"], plain["context"], plain["turns"]) == (None, "Be kind.", 0)
    named = ("context", "title", "model", "metadata", "pinned")
    assert {name: made[name] for name in named} == {
        "context": "",
        "title": "Cinema",
        "model": "scripted",
        "metadata": {"a": "b"},
        "pinned": True,
    }
    assert [row["id"] for row in listed] == [made["id"], plain["id"]]
    assert (reply["reply"], after["turns"], after["title"]) == ("You said: Hello.", 1, "Hello.")


async def test_what_was_shown_is_imported_as_it_is(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        first = await stack.ask("Hello.", context="Persona.")
        await stack.ask("And now?", id=first["id"])
        path = f"/conversations/{first['id']}"
        shown = (await stack.client.get(path)).json()
        page = (await stack.client.get(f"{path}/messages")).json()
        made = await begun(stack, **(shown | page))
        copied = await messages_of(stack, made["id"])
        engine_saw = await stack.ask("Still there?", id=made["id"])
    assert made["id"] != shown["id"]
    assert {k: v for k, v in made.items() if k not in MADE_ANEW} == {
        k: v for k, v in shown.items() if k not in MADE_ANEW
    }
    kept = ("number", "role", "content", "timestamp", "finish_reason", "model")
    assert [[message.get(name) for name in kept] for message in copied] == [
        [message.get(name) for name in kept] for message in page["messages"]
    ]
    assert engine_saw["window"]["turns_kept"] == 3


async def test_calls_and_their_results_are_imported(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        made = await begun(stack, messages=[USER, CALLING, RESULT, REPLY, USER, REPLY])
        copied = await messages_of(stack, made["id"])
    assert [message["role"] for message in copied] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
    ]
    assert (copied[1]["tool_calls"], copied[2]["call_id"]) == ([CALL], "c1")
    assert (made["title"], made["turns"]) == (USER["content"], 3)


@pytest.mark.parametrize(
    "messages",
    [
        [REPLY],
        [USER, USER],
        [USER, REPLY, REPLY],
        [RESULT],
        [USER, REPLY, RESULT],
        [USER, RESULT],
        [{"role": "system", "content": "x"}],
        [{"role": "user"}],
        [USER | {"timestamp": "yesterday"}],
        [USER | {"timestamp": "9999-12-31T23:59:59-10:00"}],
        [USER | {"colour": "red"}],
    ],
)
async def test_what_does_not_alternate_is_refused_and_nothing_is_stored(
    valkey: Valkey, messages: list[dict[str, Any]]
) -> None:
    settings = make_settings(valkey.url)
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        answer = await stack.client.post("/conversations", json={"messages": messages})
        assert await space.names() == set()
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("messages")


async def test_an_import_is_deleted_whole(valkey: Valkey) -> None:
    settings = make_settings(valkey.url)
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        made = await begun(stack, title="xyzzy-plugh", messages=[USER, REPLY])
        await stack.client.get("/conversations")
        assert len(await space.names()) == 3, "the conversation, its messages, the list"
        await stack.client.delete(f"/conversations/{made['id']}")
        assert await space.names() == set()
        assert await space.said() == set()


async def test_a_model_that_is_unknown_here_is_refused_unless_there_are_messages(
    valkey: Valkey,
) -> None:
    """Where one model is served, any name is taken for it."""
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        other = await begun(stack, model="other")
    async with running_stack(make_settings(valkey.url)) as stack:
        refused = await stack.client.post("/conversations", json={"model": "other"})
        imported = await begun(stack, model="other", messages=[USER, REPLY])
    assert "model" not in other
    assert (refused.status_code, refused.json()["code"]) == (503, "no_worker")
    assert imported["turns"] == 1
