"""Long conversations: what the model sees of them, told truly, and made ready beforehand."""

import random

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import Valkey, make_settings, running_stack

TURNS = 12
PROMPT = "12345"


def reply(_prompt: str) -> str:
    return "67890"


def narrow(valkey: Valkey) -> Settings:
    """A window of 100 tokens: a turn takes 14, the instructions 4."""
    return make_settings(valkey.url, PALAVER_CONTEXT_LENGTH=100, PALAVER_MAX_TOKENS=10)


async def test_every_prompt_begins_with_what_was_evaluated_ahead(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with running_stack(narrow(valkey), engine) as stack:
        first = await stack.ask(PROMPT, context="Be")
        for _ in range(TURNS):
            await stack.ask(PROMPT, id=first["id"])
        foreseen = list(engine.warmed)
        await stack.ask(PROMPT, id=first["id"])
        whole = await stack.client.get(f"/conversations/{first['id']}/messages")
    assert foreseen
    for ahead in foreseen:
        assert any(prompt.startswith(ahead) for prompt in engine.prompts)
    assert len(whole.json()["messages"]) == 2 * (TURNS + 2), "trimming deletes nothing"


async def test_a_window_may_be_what_the_model_was_made_for(valkey: Valkey) -> None:
    """Then workers know its size, and nobody else."""
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH=0, PALAVER_MAX_TOKENS=10)
    engine = ScriptedEngine(reply, window=100)
    async with running_stack(settings, engine) as stack:
        answer = await stack.ask(PROMPT, context="Be")
        receipts = [answer["window"]]
        for _ in range(TURNS):
            answer = await stack.ask(PROMPT, id=answer["id"])
            receipts.append(answer["window"])
        # An edit looks back at no more messages than this window can show: 25.
        await stack.ask("again", id=answer["id"], replace_from=21)
    assert {receipt["budget"] for receipt in receipts} == {100}
    assert max(receipt["used"] for receipt in receipts) <= 100
    assert receipts[-1]["turns_dropped"] > 0
    assert "again" in engine.prompts[-1]


async def test_an_engine_has_no_longer_window_than_its_model(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH=5000)
    async with running_stack(settings, ScriptedEngine(reply, window=100)) as stack:
        answer = await stack.ask(PROMPT)
    assert answer["window"]["budget"] == 100


async def test_the_receipt_adds_up_and_the_window_is_never_exceeded(valkey: Valkey) -> None:
    engine = ScriptedEngine(reply)
    async with running_stack(narrow(valkey), engine) as stack:
        answer = await stack.ask(PROMPT, context="Be")
        dropped = []
        for turn in range(1, TURNS):
            answer = await stack.ask(PROMPT, id=answer["id"])
            window = answer["window"]
            assert window["used"] <= window["budget"] == 100
            assert window["turns_kept"] + window["turns_dropped"] == turn + 1
            dropped.append(window["turns_dropped"])
    assert dropped == sorted(dropped)
    assert len(set(dropped)) < len(dropped) / 2, "trimmed by several turns at once, and seldom"


async def test_the_receipt_adds_up_after_edits_of_prompts_and_replies(valkey: Valkey) -> None:
    engine, chance = ScriptedEngine(reply), random.Random(13)
    async with running_stack(narrow(valkey), engine) as stack:
        answer = await stack.ask(PROMPT, context="Be")
        path = f"/conversations/{answer['id']}"
        numbers = []
        for _ in range(80):
            last = (await stack.client.get(f"{path}/messages?limit=1")).json()["messages"][0]
            edit = {}
            if chance.random() < 0.4:
                edit = {"replace_from": max(1, last["number"] - chance.randrange(8))}
                numbers.append(edit["replace_from"])
            answer = await stack.ask(PROMPT, id=answer["id"], **edit)
            shown = (await stack.client.get(path)).json()
            window = answer["window"]
            assert window["turns_kept"] == engine.prompts[-1].count("<assistant>")
            assert window["turns_kept"] + window["turns_dropped"] == shown["turns"]
    assert any(number % 2 == 0 for number in numbers)


async def test_a_copy_of_edited_turns_counts_them_as_they_are(valkey: Valkey) -> None:
    async with running_stack(narrow(valkey), ScriptedEngine(reply)) as stack:
        conversation = (await stack.client.post("/v1/conversations", json={})).json()["id"]
        number = int(conversation.removeprefix("conv_"))
        await stack.ask(PROMPT, id=number)
        await stack.ask(PROMPT, id=number, replace_from=2)
        body = {"input": PROMPT, "conversation": conversation, "truncation": "auto"}
        root = (await stack.client.post("/v1/responses", json=body)).json()
        await stack.ask(PROMPT, id=number)
        body = {"input": PROMPT, "previous_response_id": root["id"], "truncation": "auto"}
        fork = (await stack.client.post("/v1/responses", json=body)).json()
    # The two prompts in a row are one turn, then come the root and the fork.
    assert fork["window"]["turns_kept"] + fork["window"]["turns_dropped"] == 3


async def test_an_edit_of_what_was_trimmed_ahead_sees_what_stands_before_it(
    valkey: Valkey,
) -> None:
    engine = ScriptedEngine(reply)
    async with running_stack(narrow(valkey), engine) as stack:
        first = await stack.ask(PROMPT, context="Be")
        while not engine.warmed:
            await stack.ask(PROMPT, id=first["id"])
        await stack.ask("again", id=first["id"], replace_from=3)
    assert engine.prompts[-1] == (
        "<system>Be<end><user>12345<end><assistant>67890<end><user>again<end><assistant>"
    )
