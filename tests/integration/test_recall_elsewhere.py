"""Prompts that are looked for in all of an owner's conversations, with a scripted engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from api.http.keys import KeyFile
from shared.wire.limits import NO_LIMITS
from tests.integration.test_recall import FACT, HEADING, QUESTION, begin, reply, stack_of
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack

ELSEWHERE = "Quoted from another conversation:\n"
QUOTED = f"<user>{ELSEWHERE}> User: {FACT}\n> Assistant: I see.\n\n{QUESTION}<end><assistant>"


@asynccontextmanager
async def plain_stack(
    valkey: Valkey, engine: ScriptedEngine, **variables: Any
) -> AsyncIterator[Stack]:
    """One that remembers nothing unless it is asked to."""
    async with stack_of(valkey, engine, PALAVER_MEMORY="fifo", **variables) as stack:
        yield stack


async def test_a_prompt_brings_back_what_was_said_in_another_conversation(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with plain_stack(valkey, engine) as stack:
        told = (await stack.ask(FACT, context="Be"))["id"]
        answer = await stack.ask(QUESTION, recall="all")
        later = await stack.ask("Thanks.", id=answer["id"])
        path = f"/conversations/{answer['id']}/messages"
        messages = (await stack.client.get(path)).json()["messages"]
    assert answer["memory"] == {"recalled_elsewhere": [{"conversation": told, "messages": [1, 2]}]}
    assert engine.prompts[-2].endswith(QUOTED)
    assert messages[0]["content"] == answer["prompt"] == QUESTION
    assert "memory" not in later, "it holds for one turn"
    assert ELSEWHERE not in engine.prompts[-1]


async def test_nothing_is_brought_back_unless_it_is_asked_for(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with stack_of(valkey, engine) as stack:
        await stack.ask(FACT)
        for fields in ({}, {"recall": "own"}):
            assert "memory" not in await stack.ask(QUESTION, **fields)
    async with plain_stack(valkey, engine, PALAVER_RECALL_TOKENS=0) as stack:
        await stack.ask(FACT)
        assert "memory" not in await stack.ask(QUESTION, recall="all")
    assert not any(ELSEWHERE in prompt for prompt in engine.prompts)


async def test_what_left_the_own_window_is_looked_through_too(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with plain_stack(
        valkey, engine, PALAVER_CONTEXT_LENGTH=700, PALAVER_RECALL_TOKENS=300
    ) as stack:
        other = (await stack.ask("My dog is fond of bones."))["id"]
        conversation = await begin(stack)
        answer = await stack.ask(QUESTION, id=conversation, recall="all")
    assert answer["memory"] == {
        "recalled": [1, 2],
        "recalled_elsewhere": [{"conversation": other, "messages": [1, 2]}],
    }
    before, own = engine.prompts[-1].split(HEADING)
    assert ELSEWHERE in before
    assert own.startswith(f"> [1] User: {FACT}")
    assert answer["window"]["used"] <= answer["window"]["budget"]


async def test_what_is_said_elsewhere_meanwhile_is_found(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with plain_stack(valkey, engine) as stack:
        told = (await stack.ask(FACT))["id"]
        here = (await stack.ask(QUESTION, recall="all"))["id"]
        await stack.ask("My dog is called Max.", id=told, replace_from=1)
        await stack.ask(QUESTION, id=here, replace_from=1, recall="all")
        edited = engine.prompts[-1]
        path = f"/conversations/{told}/alternatives"
        [rex] = (await stack.client.get(f"{path}?number=1")).json()["alternatives"]
        await stack.client.post(f"{path}/{rex['id']}")
        await stack.ask(QUESTION, id=here, replace_from=1, recall="all")
        switched = engine.prompts[-1]
        await stack.client.delete(f"/conversations/{told}")
        await stack.ask(QUESTION, id=here, replace_from=1, recall="all")
        deleted = engine.prompts[-1]
    assert ("Max" in edited, "Rex" in edited) == (True, False)
    assert ("Max" in switched, "Rex" in switched) == (False, True)
    assert ELSEWHERE not in deleted


async def test_a_copy_adds_nothing_to_what_is_in_view(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with plain_stack(valkey, engine) as stack:
        told = (await stack.ask(FACT))["id"]
        path = f"/conversations/{told}"
        exported = (await stack.client.get(path)).json()
        exported |= (await stack.client.get(f"{path}/messages")).json()
        await stack.client.post("/conversations", json=exported)
        assert "memory" not in await stack.ask(QUESTION, id=told, recall="all")
        assert "memory" in await stack.ask(QUESTION, recall="all")


async def test_a_reply_that_is_continued_keeps_its_quotes_while_it_has_room(
    valkey: Valkey,
) -> None:
    engine = ScriptedEngine(lambda _prompt: "x" * 490)
    async with plain_stack(valkey, engine, PALAVER_RECALL_TOKENS=150) as stack:
        await stack.ask(FACT)
        answer = await stack.ask(QUESTION, recall="all", max_tokens=5)
        before = engine.prompts[-1]
        body = {"id": answer["id"], "continue": True, "max_tokens": 160}
        continued = (await stack.client.post("/", json=body)).json()
        assert engine.prompts[-1] == before
        assert continued["memory"] == answer["memory"]
        for _ in range(2):
            last = (await stack.client.post("/", json=body)).json()
        assert ELSEWHERE not in engine.prompts[-1]
        assert (last["finish_reason"], last["window"]["used"]) == ("length", 500)


async def test_long_conversations_are_looked_through_up_to_a_limit(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with plain_stack(valkey, engine) as stack:
        messages = [
            {"role": "user", "content": FACT},
            {"role": "assistant", "content": "I see."},
            {"role": "user", "content": "Lots of words. " * 15_000},
            {"role": "assistant", "content": "Long."},
        ]
        body = {"context": "", "messages": messages}
        imported = await stack.client.post("/conversations", json=body)
        assert imported.status_code == 201
        assert "memory" not in await stack.ask(QUESTION, recall="all")


async def test_what_other_owners_said_stays_theirs(valkey: Valkey, tmp_path: Path) -> None:
    engine = ScriptedEngine(reply)
    keys = KeyFile(tmp_path / "keys.json")
    secrets = [keys.create(name, NO_LIMITS) for name in ("alice", "bob")]
    settings = make_settings(valkey.url, PALAVER_API_KEYS_FILE=str(tmp_path / "keys.json"))
    async with running_stack(settings, engine) as stack:

        async def ask(secret: str, prompt: str) -> dict[str, Any]:
            headers = {"Authorization": f"Bearer {secret}"}
            body = {"prompt": prompt, "recall": "all"}
            answer: dict[str, Any] = (
                await stack.client.post("/", json=body, headers=headers)
            ).json()
            return answer

        await ask(secrets[0], FACT)
        assert "memory" not in await ask(secrets[1], QUESTION)
        assert "memory" in await ask(secrets[0], QUESTION)
    assert [ELSEWHERE in prompt for prompt in engine.prompts] == [False, False, True]


async def test_requests_that_bring_their_own_messages_leave_nothing_to_be_found(
    valkey: Valkey,
) -> None:
    engine = ScriptedEngine(reply)
    async with plain_stack(valkey, engine) as stack:
        body = {"messages": [{"role": "user", "content": FACT}]}
        assert (await stack.client.post("/v1/chat/completions", json=body)).status_code == 200
        assert "memory" not in await stack.ask(QUESTION, recall="all")


async def test_who_may_not_list_conversations_gets_nothing_quoted_from_them(
    valkey: Valkey,
) -> None:
    """Without keys, all who reach the server are one owner."""
    engine = ScriptedEngine(reply)
    async with plain_stack(valkey, engine, PALAVER_OPEN_LIST=0) as stack:
        await stack.ask(FACT)
        for path in ("/", "/jobs"):
            refused = await post(stack, path, recall="all")
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
        assert (await post(stack, "/", recall="everything")).status_code == 422
        assert (await post(stack, "/", recall="own")).status_code == 200
    assert len(engine.prompts) == 2


async def post(stack: Stack, path: str, **fields: Any) -> httpx.Response:
    return await stack.client.post(path, json={"prompt": QUESTION, **fields})
