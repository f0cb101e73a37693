"""Conversations that remember more than their window, through a worker with a scripted engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack

HEADING = "Quoted from earlier in this conversation, with the numbers of the messages:\n"
FACT = "My dog is called Rex."
QUESTION = "How is my dog called?"
SUBJECTS = (
    *("rain", "trains", "bread", "chess", "films"),
    *("taxes", "paint", "clouds", "glass", "salt"),
)


def reply(_prompt: str) -> str:
    return "I see."


@asynccontextmanager
async def stack_of(
    valkey: Valkey, engine: ScriptedEngine, **variables: Any
) -> AsyncIterator[Stack]:
    """A window of 500 tokens, which are characters; 200 of them may be quotes."""
    settings = {
        "PALAVER_CONTEXT_LENGTH": 500,
        "PALAVER_MAX_TOKENS": 20,
        "PALAVER_RECALL_TOKENS": 200,
        "PALAVER_SUMMARY_TOKENS": 0,
        "PALAVER_MEMORY": "summary",
    }
    async with running_stack(make_settings(valkey.url, **settings | variables), engine) as stack:
        yield stack


async def talk(stack: Stack, conversation: int, subjects: tuple[str, ...] = SUBJECTS) -> None:
    """Ten turns about something else: more than a window holds."""
    for subject in subjects:
        await stack.ask(f"Let us talk about {subject} and nothing else.", id=conversation)


async def begin(stack: Stack, fact: str = FACT, **fields: Any) -> int:
    """A conversation that began with a fact, which has left the window."""
    first = await stack.ask(fact, context="Be", **fields)
    conversation: int = first["id"]
    await talk(stack, conversation)
    return conversation


async def test_a_prompt_brings_back_the_turns_that_it_speaks_of(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine) as stack:
        conversation = await begin(stack)
        answer = await stack.ask(QUESTION, id=conversation)
        messages = (await stack.client.get(f"/conversations/{conversation}/messages")).json()
    assert answer["memory"] == {"recalled": [1, 2]}
    assert answer["window"]["turns_dropped"] > 0
    assert answer["window"]["used"] <= answer["window"]["budget"]
    assert engine.prompts[-1].endswith(
        f"<user>{HEADING}> [1] User: {FACT}\n> [2] Assistant: I see.\n\n{QUESTION}<end><assistant>"
    )
    assert messages["messages"][-2]["content"] == answer["prompt"] == QUESTION


async def test_other_prompts_are_left_alone_also_the_next_one(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine) as stack:
        conversation = await begin(stack)
        await stack.ask(QUESTION, id=conversation)
        [ahead] = engine.warmed[-1:]
        answer = await stack.ask("Paris!", id=conversation)
    assert "memory" not in answer
    assert HEADING not in engine.prompts[-1]
    assert ahead.endswith(f"<user>{QUESTION}<end><assistant>I see.<end><user>")
    assert engine.prompts[-1] == f"{ahead}Paris!<end><assistant>"


async def test_the_first_in_first_out_window_quotes_nothing(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine, PALAVER_MEMORY="fifo") as stack:
        answer = await stack.ask(QUESTION, id=await begin(stack))
        assert answer["window"]["turns_dropped"] > 0
    async with stack_of(valkey, engine, PALAVER_RECALL_TOKENS=0) as stack:
        await stack.ask(QUESTION, id=await begin(stack))
    assert not any(HEADING in prompt for prompt in engine.prompts)


async def test_a_request_changes_the_mode_of_its_conversation(valkey: Valkey) -> None:
    async with stack_of(valkey, ScriptedEngine(reply), PALAVER_MEMORY="fifo") as stack:
        conversation = await begin(stack)
        path = f"/conversations/{conversation}"
        assert "memory" not in (await stack.client.get(path)).json()
        answers = [
            await stack.ask(QUESTION, id=conversation, **fields)
            for fields in ({}, {"memory": "summary"}, {}, {"memory": "fifo"}, {})
        ]
        shown = (await stack.client.get(path)).json()
    assert ["memory" in answer for answer in answers] == [False, True, True, False, False]
    assert shown["memory"] == "fifo"


async def test_an_owner_changes_the_mode_of_a_conversation(valkey: Valkey) -> None:
    async with stack_of(valkey, ScriptedEngine(reply), PALAVER_MEMORY="fifo") as stack:
        path = f"/conversations/{await begin(stack)}"
        modes = []
        for mode in ("summary", None):
            changed = await stack.client.patch(path, json={"memory": mode})
            answer = await stack.ask(QUESTION, id=changed.json()["id"])
            modes.append((changed.json().get("memory"), "memory" in answer))
        wrong = await stack.client.patch(path, json={"memory": "all"})
    assert modes == [("summary", True), (None, False)]
    assert wrong.status_code == 422


async def test_what_an_edit_replaced_does_not_come_back_until_it_stands_again(
    valkey: Valkey,
) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine) as stack:
        conversation = await begin(stack)
        await stack.ask(QUESTION, id=conversation)
        await stack.ask("My dog is called Max.", id=conversation, replace_from=1)
        await talk(stack, conversation)
        edited = await stack.ask(QUESTION, id=conversation)
        assert "Max" in engine.prompts[-1]
        assert "Rex" not in engine.prompts[-1]
        path = f"/conversations/{conversation}/alternatives"
        [alternative] = (await stack.client.get(f"{path}?number=1")).json()["alternatives"]
        await stack.client.post(f"{path}/{alternative['id']}")
        await stack.ask(QUESTION, id=conversation)
    assert edited["memory"]["recalled"] == [1, 2]
    assert "Rex" in engine.prompts[-1]
    assert "Max" not in engine.prompts[-1]


async def test_another_worker_reads_what_it_needs_from_redis(valkey: Valkey) -> None:
    first, second = ScriptedEngine(reply), ScriptedEngine(reply)
    namespace = make_settings(valkey.url).namespace
    async with stack_of(valkey, first, PALAVER_NAMESPACE=namespace) as stack:
        conversation = await begin(stack)
        await stack.ask(QUESTION, id=conversation)
    async with stack_of(valkey, second, PALAVER_NAMESPACE=namespace) as stack:
        await stack.ask(QUESTION, id=conversation, replace_from=23)
    assert second.prompts[-1] == first.prompts[-1]
    assert HEADING in second.prompts[-1]


async def test_what_the_history_limit_removes_is_not_quoted(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine, PALAVER_HISTORY_LIMIT=12) as stack:
        conversation = await begin(stack)
        await talk(stack, conversation)
        answer = await stack.ask(QUESTION, id=conversation)
    assert "memory" not in answer
    assert not any(FACT in prompt for prompt in engine.prompts[-1:])


async def test_a_fork_remembers_what_it_was_copied_with(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine, PALAVER_MEMORY="fifo") as stack:
        conversation = await begin(stack, memory="summary")
        ask: dict[str, Any] = {"conversation": f"conv_{conversation}", "truncation": "auto"}
        root = (await stack.client.post("/v1/responses", json=ask | {"input": "So."})).json()
        await stack.ask("And so on.", id=conversation)
        body = {"input": QUESTION, "previous_response_id": root["id"], "truncation": "auto"}
        fork = (await stack.client.post("/v1/responses", json=body)).json()
        shown = await stack.client.get(f"/conversations/{fork['conversation']['id'][5:]}")
    assert HEADING in engine.prompts[-1]
    assert FACT in engine.prompts[-1]
    assert shown.json()["memory"] == "summary"
    assert shown.json()["id"] != conversation


async def test_a_conversation_that_must_not_be_cut_is_not(valkey: Valkey) -> None:
    async with stack_of(valkey, ScriptedEngine(reply)) as stack:
        conversation = await begin(stack)
        body = {"input": QUESTION, "conversation": f"conv_{conversation}"}
        refused = await stack.client.post("/v1/responses", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "context_length_exceeded"


async def test_an_export_brings_the_mode_along(valkey: Valkey) -> None:
    async with stack_of(valkey, ScriptedEngine(reply), PALAVER_MEMORY="fifo") as stack:
        conversation = await begin(stack, memory="summary")
        path = f"/conversations/{conversation}"
        exported = (await stack.client.get(path)).json()
        exported |= (await stack.client.get(f"{path}/messages")).json()
        copy = (await stack.client.post("/conversations", json=exported)).json()
        answer = await stack.ask(QUESTION, id=copy["id"])
    assert copy["memory"] == "summary"
    assert answer["memory"]["recalled"] == [1, 2]


async def test_a_reply_that_is_continued_keeps_its_quotes(valkey: Valkey) -> None:
    engine = ScriptedEngine(lambda _prompt: "x" * 40)
    async with stack_of(valkey, engine) as stack:
        conversation = await begin(stack)
        await stack.ask(QUESTION, id=conversation, max_tokens=5)
        before = engine.prompts[-1]
        body = {"id": conversation, "continue": True, "max_tokens": 5}
        continued = (await stack.client.post("/", json=body)).json()
    assert HEADING in before
    assert engine.prompts[-1] == before
    assert continued["memory"] == {"recalled": [1, 2]}
