"""Items of conversations: given at creation or later, without a turn; shown; forgotten."""

import asyncio
from typing import Any

import pytest

from shared.config import Settings
from tests.integration.responding import SENT_BACK, item, respond
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack


async def begin(stack: Stack, *items: dict[str, Any]) -> str:
    answer = await stack.client.post("/v1/conversations", json={"items": list(items)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def listed(stack: Stack, conversation: str) -> list[dict[str, Any]]:
    answer = await stack.client.get(f"/v1/conversations/{conversation}/items?order=asc")
    return list(answer.json()["data"])


def texts(items: list[dict[str, Any]]) -> list[str]:
    return [one["content"][0]["text"] for one in items]


async def test_items_at_creation_and_later_are_seen_by_the_next_turn(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        conversation = await begin(stack, item("developer", "Be kind."), item("user", "Hi"))
        path = f"/v1/conversations/{conversation}/items"
        added = await stack.client.post(path, json={"items": [SENT_BACK]})
        await respond(stack, input="Who am I?", conversation=conversation)
        items = await listed(stack, conversation)
        one = await stack.client.get(f"{path}/{added.json()['data'][0]['id']}")
        shown = await stack.client.get(f"/conversations/{conversation.removeprefix('conv_')}")
    assert engine.prompts == [
        "<system>Be kind.<end><user>Hi<end><assistant>Hello Alice!<end>"
        "<user>Who am I?<end><assistant>"
    ]
    assert texts(items) == ["Hi", "Hello Alice!", "Who am I?", "You said: Who am I?"]
    assert one.json() == added.json()["data"][0] == items[1]
    assert len({one["id"] for one in items}) == 4
    assert (shown.json()["turns"], shown.json()["context"]) == (2, "Be kind.")


async def test_items_do_not_come_between_a_turn_and_its_reply(settings: Settings) -> None:
    held = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(step=lambda _: held)
    async with running_stack(settings, engine) as stack:
        conversation = await begin(stack)
        waiting = asyncio.create_task(respond(stack, input="Hello", conversation=conversation))
        while not engine.running:
            await asyncio.sleep(0.01)
        path = f"/v1/conversations/{conversation}/items"
        busy = await stack.client.post(path, json={"items": [item("user", "Hi")]})
        held.set_result(None)
        await waiting
    assert busy.status_code == 409
    assert busy.json()["error"]["code"] == "conversation_busy"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/conversations/{name}/items/msg_none", 404),
        ("DELETE", "/v1/conversations/{name}/items/msg_none", 404),
        ("POST", "/v1/conversations/{name}/items", 400),
        ("POST", "/v1/conversations/conv_1/items", 404),
    ],
)
async def test_what_is_not_there_or_wrong(
    settings: Settings, method: str, path: str, status: int
) -> None:
    items = [] if status == 400 else [item("user", "Hi")]
    async with running_stack(settings, ScriptedEngine()) as stack:
        name = await begin(stack)
        body = {"items": items} if method == "POST" else None
        answer = await stack.client.request(method, path.format(name=name), json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


async def test_a_response_is_forgotten_with_what_it_brought_along(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        conversation = await begin(stack)
        brought = [item("developer", "Be kind."), item("user", "A"), SENT_BACK, item("user", "B")]
        first = await respond(stack, input=brought, conversation=conversation)
        more = [item("developer", "Rhyme."), item("user", "C"), SENT_BACK, item("user", "D")]
        second = await respond(stack, input=more, conversation=conversation)
        early = await stack.client.delete(f"/v1/responses/{first['id']}")
        left = []
        for response in (second, first):
            gone = await stack.client.delete(f"/v1/responses/{response['id']}")
            assert gone.json()["deleted"]
            left.append(texts(await listed(stack, conversation)))
        await respond(stack, input="E", conversation=conversation)
    assert early.status_code == 409
    assert left == [["A", "Hello Alice!", "B", "You said: B"], []]
    assert engine.prompts[-1] == "<user>E<end><assistant>"
