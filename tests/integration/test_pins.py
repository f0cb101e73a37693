"""Pinned messages are always in view, whatever becomes of their conversation."""

from typing import Any

from tests.integration.test_recall import FACT, QUESTION, begin, reply, stack_of, talk
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey

SHOWN = f"<user>{FACT}<end><assistant>I see.<end>"


async def pin(stack: Stack, conversation: int, number: int, *, is_pinned: bool = True) -> Any:
    path = f"/conversations/{conversation}/messages/{number}"
    answer = await stack.client.patch(path, json={"pinned": is_pinned})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_pinned_message_comes_back_into_view_with_its_turn(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine, PALAVER_MEMORY="fifo") as stack:
        conversation = await begin(stack)
        assert FACT not in engine.prompts[-1]
        pinned = await pin(stack, conversation, 1)
        answer = await stack.ask("Paris!", id=conversation)
        page = (await stack.client.get(f"/conversations/{conversation}/messages")).json()
    assert (pinned["number"], pinned["content"], pinned["pinned"]) == (1, FACT, True)
    assert engine.prompts[-1].startswith(f"<system>Be<end>{SHOWN}<user>Let us talk about")
    assert answer["memory"] == {"pinned": [1]}
    window = answer["window"]
    assert window["turns_kept"] == engine.prompts[-1].count("<assistant>")
    assert window["turns_kept"] + window["turns_dropped"] == 12
    assert [message.get("pinned") for message in page["messages"][:2]] == [True, None]


async def test_it_stays_in_view_and_in_the_cache_while_others_leave(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine, PALAVER_MEMORY="fifo") as stack:
        conversation = (await stack.ask(FACT, context="Be"))["id"]
        await pin(stack, conversation, 2)
        await talk(stack, conversation)
        await talk(stack, conversation)
    assert engine.warmed
    assert all(prompt.startswith(f"<system>Be<end>{SHOWN}") for prompt in engine.prompts[1:])
    assert all(ahead.startswith(f"<system>Be<end>{SHOWN}") for ahead in engine.warmed)
    for ahead in engine.warmed:
        assert any(prompt.startswith(ahead) for prompt in engine.prompts)


async def test_a_pin_that_is_taken_away_lets_it_go(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine, PALAVER_MEMORY="fifo") as stack:
        conversation = await begin(stack)
        await pin(stack, conversation, 1)
        await pin(stack, conversation, 1)
        unpinned = await pin(stack, conversation, 1, is_pinned=False)
        answer = await stack.ask("Paris!", id=conversation)
    assert "pinned" not in unpinned
    assert "memory" not in answer
    assert FACT not in engine.prompts[-1]


async def test_what_is_pinned_is_not_quoted_as_well(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine) as stack:
        conversation = await begin(stack)
        await pin(stack, conversation, 1)
        answer = await stack.ask(QUESTION, id=conversation)
    assert answer["memory"] == {"pinned": [1]}
    assert engine.prompts[-1].count(FACT) == 1


async def test_pins_go_with_their_messages_through_edits_and_back(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine, PALAVER_MEMORY="fifo") as stack:
        conversation = await begin(stack)
        await pin(stack, conversation, 1)
        await stack.ask("My dog is called Max.", id=conversation, replace_from=1)
        await talk(stack, conversation)
        edited = await stack.ask("Paris!", id=conversation)
        path = f"/conversations/{conversation}/alternatives"
        [alternative] = (await stack.client.get(f"{path}?number=1")).json()["alternatives"]
        await stack.client.post(f"{path}/{alternative['id']}")
        back = await stack.ask("Paris!", id=conversation)
    assert "memory" not in edited
    assert back["memory"] == {"pinned": [1]}
    assert SHOWN in engine.prompts[-1]


async def test_a_pin_in_an_alternative_outlasts_others(valkey: Valkey) -> None:
    """Where pins may be is noted anew with each one."""
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine, PALAVER_MEMORY="fifo") as stack:
        conversation = await begin(stack)
        await pin(stack, conversation, 3)
        await stack.ask("My dog is called Max.", id=conversation, replace_from=3)
        await pin(stack, conversation, 1)
        await pin(stack, conversation, 1, is_pinned=False)
        path = f"/conversations/{conversation}/alternatives"
        [alternative] = (await stack.client.get(f"{path}?number=3")).json()["alternatives"]
        await stack.client.post(f"{path}/{alternative['id']}")
        back = await stack.ask("Paris!", id=conversation)
    assert back["memory"] == {"pinned": [3]}


async def test_an_edit_behind_a_pinned_message_keeps_it(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine, PALAVER_MEMORY="fifo") as stack:
        conversation = await begin(stack)
        await pin(stack, conversation, 1)
        await stack.ask("Paris!", id=conversation, replace_from=21)
    assert SHOWN in engine.prompts[-1]


async def test_forks_exports_and_imports_keep_pins(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine, PALAVER_MEMORY="fifo") as stack:
        conversation = await begin(stack)
        await pin(stack, conversation, 1)
        body: dict[str, Any] = {"conversation": f"conv_{conversation}", "truncation": "auto"}
        root = (await stack.client.post("/v1/responses", json=body | {"input": "So."})).json()
        await stack.ask("And so on.", id=conversation)
        fork = {"input": "Paris!", "previous_response_id": root["id"], "truncation": "auto"}
        await stack.client.post("/v1/responses", json=fork)
        assert SHOWN in engine.prompts[-1]
        path = f"/conversations/{conversation}"
        exported = (await stack.client.get(path)).json()
        exported |= (await stack.client.get(f"{path}/messages")).json()
        copy = (await stack.client.post("/conversations", json=exported)).json()
        answer = await stack.ask("Paris!", id=copy["id"])
    assert answer["memory"] == {"pinned": [1]}


async def test_no_prompt_is_refused_for_what_is_pinned(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine, PALAVER_MEMORY="fifo") as stack:
        conversation = await begin(stack)
        for number in (1, 5, 9):
            await pin(stack, conversation, number)
        short = await stack.ask("Paris!", id=conversation)
        long = await stack.ask("x" * 340, id=conversation)
    assert short["memory"]["pinned"] == [1, 5, 9][-len(short["memory"]["pinned"]) :]
    assert "memory" not in long
    assert long["window"]["turns_kept"] == 1


async def test_a_continued_reply_keeps_its_pin(valkey: Valkey) -> None:
    async with stack_of(valkey, ScriptedEngine(lambda _prompt: "x" * 40)) as stack:
        conversation = (await stack.ask(FACT, max_tokens=5))["id"]
        await pin(stack, conversation, 2)
        body = {"id": conversation, "continue": True, "max_tokens": 5}
        await stack.client.post("/", json=body)
        page = (await stack.client.get(f"/conversations/{conversation}/messages")).json()
    assert page["messages"][1]["content"] == "x" * 10
    assert page["messages"][1]["pinned"]


async def test_only_messages_that_are_there_can_be_pinned(valkey: Valkey) -> None:
    async with stack_of(valkey, ScriptedEngine(reply)) as stack:
        conversation = (await stack.ask(FACT))["id"]
        path = f"/conversations/{conversation}/messages"
        missing = [
            await stack.client.patch(f"{path}/{number}", json={"pinned": True})
            for number in ("3", "0", "x", "99999999999999999999")
        ]
        elsewhere = await stack.client.patch("/conversations/77/messages/1", json={"pinned": True})
        wrong = await stack.client.patch(f"{path}/1", json={"pinned": 1})
        empty = await stack.client.patch(f"{path}/1", json={})
    assert [answer.status_code for answer in missing] == [404] * 4
    assert elsewhere.status_code == 404
    assert (wrong.status_code, empty.status_code) == (422, 422)
