"""A conversation is exported with its alternatives, and an import brings them along."""

from typing import Any

import pytest

from tests.integration.test_alternatives import (
    alternatives,
    converse,
    messages,
    pointers,
    prompts,
    shown,
    switch,
)
from tests.integration.test_conversation_import import RESULT, USER, begun
from tests.integration.test_nothing_left import space_of
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack

LONG = 60
"""More turns than half of the messages that a list of alternatives shows."""
NEW = {"id", "created_at", "updated_at", "tokens", "window", "job", "alternatives"}
REPLY = {"role": "assistant", "content": "Yes."}


async def exported(stack: Stack, conversation: int) -> dict[str, Any]:
    """As the chat page makes it."""
    listed = await all_alternatives(stack, conversation)
    for each in listed:
        path = f"/conversations/{conversation}/alternatives/{each['id']}/messages?limit=500"
        each["messages"] = (await stack.client.get(path)).json()["messages"]
    return {
        "export_version": 2,
        **await shown(stack, conversation),
        "messages": await messages(stack, conversation, limit=500),
        "alternatives": listed,
    }


async def all_alternatives(stack: Stack, conversation: int) -> list[dict[str, Any]]:
    path = f"/conversations/{conversation}/alternatives?all=true"
    return list((await stack.client.get(path)).json()["alternatives"])


def without_names(export: dict[str, Any]) -> dict[str, Any]:
    """An export in which nothing depends on when it was imported: ids are places."""
    places = {each["id"]: place for place, each in enumerate(export["alternatives"])}
    return {
        **{name: value for name, value in export.items() if name not in NEW},
        "messages": [*map(_told, export["messages"])],
        "alternatives": [
            each
            | {"id": places[each["id"]], "under": places.get(each["under"])}
            | {"messages": [*map(_told, each["messages"])]}
            for each in export["alternatives"]
        ],
    }


def _told(message: dict[str, Any]) -> dict[str, Any]:
    place = message.get("alternatives", {"count": 1, "shown": 1})
    told = {name: value for name, value in message.items() if name not in NEW}
    return told | {"place": (place["count"], place["shown"])}


async def branched(stack: Stack) -> int:
    """Alternatives from several messages on, one under another; what stands is not the newest."""
    conversation = await converse(stack, "one", "two", "three")
    await stack.ask("TWO", id=conversation, replace_from=3, context="Another persona.")
    await stack.ask("ONE", id=conversation, replace_from=1, context="A third one.")
    await stack.ask("four", id=conversation)
    await stack.ask("FOUR", id=conversation, replace_from=3)
    (inner,) = await alternatives(stack, conversation, number=3)
    await switch(stack, conversation, inner["id"])
    return conversation


async def test_an_export_comes_back_equal(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        before = await exported(stack, await branched(stack))
        made = await begun(stack, **before)
        again = await exported(stack, made["id"])
    assert [each["messages"][0]["content"] for each in before["alternatives"]] == [
        "two",
        "one",
        "FOUR",
    ]
    assert [each["under"] for each in before["alternatives"]] == [
        before["alternatives"][1]["id"],
        None,
        None,
    ]
    assert without_names(again) == without_names(before)


async def test_an_imported_alternative_is_put_back_with_all_that_belongs_to_it(
    valkey: Valkey,
) -> None:
    engine = ScriptedEngine()
    async with running_stack(make_settings(valkey.url), engine) as stack:
        source = await branched(stack)
        copy = (await begun(stack, **await exported(stack, source)))["id"]
        for conversation in (source, copy):
            (outer,) = await alternatives(stack, conversation, number=1)
            state = await switch(stack, conversation, outer["id"])
            assert (state["context"], state["turns"]) == ("Another persona.", 2)
            assert await prompts(stack, conversation) == ["one", "TWO"]
            assert pointers(await messages(stack, conversation)) == {1: (2, 1), 3: (2, 2)}
            (inner,) = await alternatives(stack, conversation, number=3)
            state = await switch(stack, conversation, inner["id"])
            assert state["turns"] == 3
            assert await prompts(stack, conversation) == ["one", "two", "three"]
            reply = await stack.ask("And now?", id=conversation)
            assert reply["window"]["turns_kept"] == 4
        assert engine.prompts[-1] == engine.prompts[-2]


async def test_long_alternatives_are_paged_through(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        turns = [USER, REPLY] * LONG
        conversation = (await begun(stack, messages=turns))["id"]
        await stack.ask("New.", id=conversation, replace_from=1)
        (kept,) = await all_alternatives(stack, conversation)
        path = f"/conversations/{conversation}/alternatives/{kept['id']}/messages"
        newest = (await stack.client.get(f"{path}?limit=3")).json()
        before = (await stack.client.get(f"{path}?before={newest['next']}&limit=500")).json()
        beyond = (await stack.client.get(f"{path}?before=1")).json()
    assert (kept["length"], len(kept["messages"])) == (2 * LONG, 50)
    assert [each["number"] for each in newest["messages"]] == [118, 119, 120]
    assert [each["number"] for each in before["messages"]] == [*range(1, 118)]
    assert before["next"] is None
    assert {each["job"] for each in (*newest["messages"], *before["messages"])} == {
        kept["id"].partition("-")[2]
    }
    assert beyond == {"messages": [], "next": None}


async def test_the_last_ones_are_kept_of_more_than_the_server_keeps(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        export = await exported(stack, await branched(stack))
    for limit in (0, 2):
        settings = make_settings(valkey.url, PALAVER_ALTERNATIVES=limit)
        async with running_stack(settings, ScriptedEngine()) as stack:
            made = await begun(stack, **export)
            kept = await all_alternatives(stack, made["id"])
        assert [each["messages"][0]["content"] for each in kept] == ["one", "FOUR"][:limit]


async def test_those_of_what_the_history_limit_takes_are_left_out(valkey: Valkey) -> None:
    settings = make_settings(
        valkey.url, PALAVER_HISTORY_LIMIT=2, PALAVER_CONTEXT_LENGTH=256, PALAVER_ALTERNATIVES=9
    )
    turns = [USER, REPLY] * 100
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        plain = await begun(stack, messages=turns)
        first = (await messages(stack, plain["id"], limit=500))[0]["number"]
        numbers = (1, first - 2, first, first + 2)
        branches = [
            {"id": f"at {at}", "number": at, "messages": [USER, REPLY] * 2} for at in numbers
        ]
        nested = [
            {"id": f"in {at}", "under": f"at {at}", "number": at + 2, "messages": [USER]}
            for at in numbers
        ]
        made = await begun(stack, messages=turns, alternatives=[*nested, *branches])
        kept = await all_alternatives(stack, made["id"])
        stored = [name for name in await space.names() if name.startswith("alternative:")]
        for each in (kept[3], kept[1], kept[2], kept[0]):
            await switch(stack, made["id"], each["id"])
    assert first > 3
    assert len(stored) == 2 * len(kept), "nothing of the others is left"
    assert [each["number"] for each in kept] == [first + 2, first + 4, first, first + 2]
    assert [each["under"] for each in kept] == [kept[2]["id"], kept[3]["id"], None, None]


async def test_a_deleted_import_leaves_nothing(valkey: Valkey) -> None:
    settings = make_settings(valkey.url)
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        source = await branched(stack)
        copy = (await begun(stack, **await exported(stack, source)))["id"]
        assert any(str(copy) in name and "alternative" in name for name in await space.names())
        for conversation in (source, copy):
            await stack.client.delete(f"/conversations/{conversation}")
        assert await space.names() == set()


@pytest.mark.parametrize(
    ("alternatives", "reason"),
    [
        ([{"number": 4, "messages": [USER]}], "continues no message"),
        ([{"number": 2, "messages": [USER]}], "must alternate"),
        ([{"number": 3, "messages": [REPLY]}], "must alternate"),
        ([{"number": 3, "messages": [RESULT]}], "must alternate"),
        ([{"number": 1, "messages": []}], "at least 1"),
        ([{"number": 0, "messages": [USER]}], "greater than"),
        ([{"number": 3, "under": "b", "messages": [USER]}], "none behind it"),
        ([{"number": 3, "under": "a", "messages": [USER]}], "none behind it"),
        ([{"number": 1, "messages": [USER]}] * 2, "an id of its own"),
        (
            [
                {"id": "b", "number": 1, "under": "a", "messages": [USER]},
                {"number": 1, "messages": [USER, REPLY]},
            ],
            "continues no message",
        ),
    ],
)
async def test_alternatives_of_nothing_are_refused(
    valkey: Valkey, alternatives: list[dict[str, Any]], reason: str
) -> None:
    settings = make_settings(valkey.url)
    body = {"messages": [USER, REPLY], "alternatives": [{"id": "a"} | a for a in alternatives]}
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        answer = await stack.client.post("/conversations", json=body)
        assert await space.names() == set()
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("alternatives")
    assert reason in answer.text


async def test_a_later_version_of_the_export_is_refused_by_name(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        body = {"messages": [USER, REPLY], "export_version": 3}
        answer = await stack.client.post("/conversations", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "export_version")


async def test_messages_of_no_alternative(valkey: Valkey) -> None:
    async with running_stack(make_settings(valkey.url), ScriptedEngine()) as stack:
        conversation = await converse(stack, "one")
        for path in (
            f"/conversations/{conversation}/alternatives/1-{'0' * 32}/messages",
            f"/conversations/{conversation}/alternatives/x/messages",
            f"/conversations/1/alternatives/1-{'0' * 32}/messages",
        ):
            assert (await stack.client.get(path)).status_code == 404
        wrong = await stack.client.get(f"/conversations/{conversation}/alternatives?all=yes")
    assert wrong.status_code == 422
