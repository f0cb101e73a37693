"""Items of conversations: given at creation or later, without a turn; shown; forgotten."""

import asyncio
from typing import Any

import pytest

from shared import ids
from shared.config import Settings
from shared.store.connection import connect
from shared.store.conversations import Conversations
from shared.store.keys import Keys
from shared.wire.beginning import Beginning
from shared.wire.limits import Caller
from shared.wire.messages import StoredMessage
from tests.integration.responding import SENT_BACK, item, respond
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack


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
        ("POST", "/v1/conversations/{name}/items?include[]=web_search_call.results", 400),
        ("GET", "/v1/conversations/{name}/items?include[]=web_search_call.results", 400),
    ],
)
async def test_what_is_not_there_or_wrong(
    settings: Settings, method: str, path: str, status: int
) -> None:
    items = [] if path.endswith("items") and status == 400 else [item("user", "Hi")]
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


async def test_many_items_do_not_pile_up_in_front_of_a_turn(valkey: Valkey) -> None:
    """A window of 200 tokens shows fifty messages at most; the history keeps eighty."""
    settings = make_settings(
        valkey.url, PALAVER_CONTEXT_LENGTH=200, PALAVER_MAX_TOKENS=20, PALAVER_HISTORY_LIMIT=80
    )
    engine = ScriptedEngine(lambda _: "ok")
    batch = [item(role, "x") for role in ("user", "assistant") * 10]
    async with running_stack(settings, engine) as stack:
        conversation = await begin(stack)
        path = f"/v1/conversations/{conversation}/items"
        for _ in range(10):
            assert (await stack.client.post(path, json={"items": batch})).status_code == 200
        redis: Any = connect(settings)
        async with redis:
            name = conversation.removeprefix("conv_")
            stored = await redis.hgetall(f"{settings.namespace}:conv:{name}")
            length = await redis.llen(f"{settings.namespace}:conv:{name}:messages")
        made = await respond(stack, input="Hi", conversation=conversation, truncation="auto")
    assert (stored["next"], stored["offset"], stored["turns"]) == ("201", "151", "100")
    assert (stored["first"], length) == ("121", 80)
    assert made["window"]["turns_kept"] + made["window"]["turns_dropped"] == 101


async def test_a_batch_whose_answer_was_lost_is_not_added_twice(settings: Settings) -> None:
    redis: Any = connect(settings)
    async with redis:
        conversations = Conversations(redis, Keys(settings.namespace), settings)
        caller, batch = Caller(), ids.new_job()
        messages = [
            StoredMessage(
                number=0, role="user", content="Hi", timestamp_ms=1, tokens=0, job_id=batch, place=0
            )
        ]
        beginning = Beginning(batch_id=batch, messages=tuple(messages))
        for _ in range(2):
            assert await conversations.begin("7", caller, beginning)
        assert await conversations.begin("7", caller, Beginning(batch_id=ids.new_job())) is None
        more = [
            StoredMessage(
                number=0,
                role="assistant",
                content="Ho",
                timestamp_ms=1,
                tokens=0,
                job_id=(second := ids.new_job()),
                place=0,
            )
        ]
        for _ in range(2):
            await conversations.add("7", caller, second, more)
        page = await conversations.page("7", caller.owner_id, 10, 0)
    assert page is not None
    assert [message.content for message in page.messages] == ["Hi", "Ho"]


async def test_a_note_between_messages_does_not_pin_what_stands_before_it(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH=200, PALAVER_MAX_TOKENS=20)
    engine = ScriptedEngine(lambda _: "ok")
    async with running_stack(settings, engine) as stack:
        conversation = await begin(stack, item("user", "u" * 190))
        path = f"/v1/conversations/{conversation}/items"
        await stack.client.post(path, json={"items": [item("system", "Be brief.")]})
        await respond(stack, input="Hi", conversation=conversation, truncation="auto")
    assert engine.prompts == ["<system>Be brief.<end><user>Hi<end><assistant>"]


async def test_a_reply_that_was_added_is_seen_and_counted(settings: Settings) -> None:
    engine = ScriptedEngine(lambda _: "ok")
    async with running_stack(settings, engine) as stack:
        conversation = await begin(stack, item("user", "A"), item("assistant", "B"))
        path = f"/v1/conversations/{conversation}/items"
        await stack.client.post(path, json={"items": [item("assistant", "C")]})
        made = await respond(stack, input="D", conversation=conversation)
    assert engine.prompts[-1].startswith("<user>A<end><assistant>B\n\nC<end><user>D")
    assert made["window"] == made["window"] | {"turns_kept": 2, "turns_dropped": 0}


async def test_what_the_history_limit_took_is_not_missed_when_a_response_goes(
    valkey: Valkey,
) -> None:
    settings = make_settings(
        valkey.url, PALAVER_CONTEXT_LENGTH=200, PALAVER_MAX_TOKENS=20, PALAVER_HISTORY_LIMIT=2
    )
    async with running_stack(settings, ScriptedEngine(lambda _: "ok")) as stack:
        conversation = await begin(stack)
        await respond(stack, input="one", conversation=conversation)
        brought = [item("user", "u" * 70), item("assistant", "a" * 70), item("user", "two")]
        more = {"conversation": conversation, "truncation": "auto"}
        second = await respond(stack, input=brought, **more)
        gone = await stack.client.delete(f"/v1/responses/{second['id']}")
        await respond(stack, input="three", **more)
        items = await listed(stack, conversation)
    assert gone.status_code == 200
    assert texts(items)[-2:] == ["three", "ok"]
