"""What edits and retries replace is kept, and can be put back: over HTTP."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.config import Settings
from tests.integration.test_jobs import Gate, submit
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack

NOBODYS = f"1-{'0' * 32}"


async def converse(stack: Stack, *prompts: str) -> int:
    answer = await stack.ask(prompts[0])
    for prompt in prompts[1:]:
        await stack.ask(prompt, id=answer["id"])
    return int(answer["id"])


async def shown(stack: Stack, conversation: int) -> dict[str, Any]:
    return dict((await stack.client.get(f"/conversations/{conversation}")).json())


async def messages(stack: Stack, conversation: int, **query: int) -> list[dict[str, Any]]:
    path = f"/conversations/{conversation}/messages"
    return list((await stack.client.get(path, params=query)).json()["messages"])


async def prompts(stack: Stack, conversation: int) -> list[str]:
    return [
        each["content"] for each in await messages(stack, conversation) if each["role"] == "user"
    ]


async def alternatives(stack: Stack, conversation: int, **query: int) -> list[dict[str, Any]]:
    path = f"/conversations/{conversation}/alternatives"
    answer = await stack.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["alternatives"])


async def switch(stack: Stack, conversation: int, alternative: str) -> dict[str, Any]:
    path = f"/conversations/{conversation}/alternatives/{alternative}"
    answer = await stack.client.post(path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def pointers(page: list[dict[str, Any]]) -> dict[int, tuple[int, int]]:
    """By number of a message: how many may stand there, and which one does."""
    return {
        each["number"]: (each["alternatives"]["count"], each["alternatives"]["shown"])
        for each in page
        if "alternatives" in each
    }


async def test_what_an_edit_replaced_is_listed_with_its_messages(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, "one", "two", "three")
        before = await messages(stack, conversation)
        await stack.ask("TWO", id=conversation, replace_from=3)
        (kept,) = await alternatives(stack, conversation, number=3)
        elsewhere = await alternatives(stack, conversation, number=5)
        everywhere = await alternatives(stack, conversation)
        assert await prompts(stack, conversation) == ["one", "TWO"]
    assert kept["messages"] == before[2:]
    assert (kept["number"], kept["length"]) == (3, 4)
    assert kept["replaced_at"] > before[-1]["timestamp"]
    assert (elsewhere, everywhere) == ([], [kept])


async def test_messages_say_how_many_may_stand_there_and_which_one_does(
    settings: Settings,
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, "one", "two")
        assert pointers(await messages(stack, conversation)) == {}
        for prompt in ("Two", "TWO"):
            await stack.ask(prompt, id=conversation, replace_from=3)
        page = await messages(stack, conversation)
        assert pointers(page) == {3: (3, 3)}
        oldest, middle, newest = page[2]["alternatives"]["ids"]
        for place, alternative in enumerate([oldest, newest, middle, oldest]):
            await switch(stack, conversation, alternative)
            page = await messages(stack, conversation)
            assert page[2]["alternatives"]["ids"] == [oldest, middle, newest]
            assert pointers(page) == {3: (3, (1, 3, 2, 1)[place])}
        # A page that begins with the message, or ends before it.
        assert pointers(await messages(stack, conversation, limit=2)) == {3: (3, 1)}
        assert pointers(await messages(stack, conversation, before=3)) == {}


async def test_a_conversation_is_as_it_was_when_an_alternative_is_put_back(
    settings: Settings,
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, "one", "two", "three")
        old, old_page = await shown(stack, conversation), await messages(stack, conversation)
        await stack.ask("ONE", id=conversation, replace_from=1, context="Another persona.")
        new, new_page = await shown(stack, conversation), await messages(stack, conversation)
        for state, page in ((old, old_page), (new, new_page)):
            (kept,) = await alternatives(stack, conversation, number=1)
            answer = await switch(stack, conversation, kept["id"])
            assert answer == await shown(stack, conversation)
            varying = {"updated_at", "tokens"}
            assert {k: v for k, v in answer.items() if k not in varying} == {
                k: v for k, v in state.items() if k not in varying
            }
            assert answer["updated_at"] > state["updated_at"]
            assert answer["tokens"] == new["tokens"], "all that were ever used"
            read = [
                {name: value for name, value in each.items() if name != "alternatives"}
                for each in await messages(stack, conversation)
            ]
            assert read == [
                {name: value for name, value in each.items() if name != "alternatives"}
                for each in page
            ]


async def test_a_turn_after_going_back_continues_what_stands(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        conversation = await converse(stack, "one", "two")
        await stack.ask("TWO", id=conversation, replace_from=3)
        (kept,) = await alternatives(stack, conversation)
        await switch(stack, conversation, kept["id"])
        await stack.ask("three", id=conversation)
        assert "two" in engine.prompts[-1]
        assert "TWO" not in engine.prompts[-1]
        assert await prompts(stack, conversation) == ["one", "two", "three"]
        assert [
            each["messages"][0]["content"] for each in await alternatives(stack, conversation)
        ] == ["TWO"]


async def test_alternatives_of_alternatives_come_back_with_them(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, "one", "two")
        await stack.ask("TWO", id=conversation, replace_from=3)
        (inner,) = await alternatives(stack, conversation)
        await stack.ask("ONE", id=conversation, replace_from=1)
        (outer,) = await alternatives(stack, conversation)
        assert outer["number"] == 1, "the other one belongs under it"
        refused = await stack.client.post(
            f"/conversations/{conversation}/alternatives/{inner['id']}"
        )
        await switch(stack, conversation, outer["id"])
        assert pointers(await messages(stack, conversation)) == {1: (2, 1), 3: (2, 2)}
        await switch(stack, conversation, inner["id"])
        assert await prompts(stack, conversation) == ["one", "two"]
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


async def test_putting_back_may_be_repeated(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, "one", "two")
        await stack.ask("TWO", id=conversation, replace_from=3)
        (kept,) = await alternatives(stack, conversation)
        first = await switch(stack, conversation, kept["id"])
        assert await switch(stack, conversation, kept["id"]) == first
        assert await prompts(stack, conversation) == ["one", "two"]
        assert len(await alternatives(stack, conversation)) == 1


async def test_nothing_is_put_back_while_turns_are_pending(settings: Settings) -> None:
    gate = Gate()
    engine = ScriptedEngine(step=lambda _: gate(0) if "hold" in engine.prompts[-1] else None)
    async with running_stack(settings, engine) as stack:
        conversation = await converse(stack, "one")
        await stack.ask("ONE", id=conversation, replace_from=1)
        (kept,) = await alternatives(stack, conversation)
        await submit(stack.client, "hold", id=conversation)
        await gate.reached.wait()
        path = f"/conversations/{conversation}/alternatives/{kept['id']}"
        refused = await stack.client.post(path)
        gate.open()
    assert (refused.status_code, refused.json()["code"]) == (409, "conversation_busy")
    assert int(refused.headers["Retry-After"]) >= 1


async def test_what_clients_get_is_as_described(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, "one")
        await stack.ask("ONE", id=conversation, replace_from=1)
        document = (await stack.client.get("/openapi.json")).json()
        for what in ("messages", "alternatives"):
            path = f"/conversations/{{conversation}}/{what}"
            described = document["paths"][path]["get"]["responses"]["200"]["content"]
            schema = {**described["application/json"]["schema"]}
            answer = await stack.client.get(path.format(conversation=conversation))
            Draft202012Validator(schema | {"components": document["components"]}).validate(
                answer.json()
            )
            assert "ids" in answer.text or "replaced_at" in answer.text


@pytest.mark.parametrize("alternative", [NOBODYS, "1", "x", f"0-{'0' * 32}", f"1-{'0' * 31}"])
async def test_there_is_no_alternative_that_never_was(settings: Settings, alternative: str) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, "one")
        answer = await stack.client.post(
            f"/conversations/{conversation}/alternatives/{alternative}"
        )
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_alternatives_of_no_conversation(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        listed = await stack.client.get("/conversations/1/alternatives")
        put_back = await stack.client.post(f"/conversations/1/alternatives/{NOBODYS}")
        wrong = await stack.client.get("/conversations/1/alternatives?number=0")
    assert (listed.status_code, put_back.status_code, wrong.status_code) == (404, 404, 422)


@pytest.mark.parametrize(("limit", "left"), [(0, []), (2, ["two", "three"])])
async def test_only_the_last_ones_are_kept(valkey: Valkey, limit: int, left: list[str]) -> None:
    settings = make_settings(valkey.url, PALAVER_ALTERNATIVES=limit)
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = await converse(stack, "one")
        for prompt in ("two", "three", "four"):
            await stack.ask(prompt, id=conversation, replace_from=1)
        kept = await alternatives(stack, conversation)
    assert [each["messages"][0]["content"] for each in kept] == left
