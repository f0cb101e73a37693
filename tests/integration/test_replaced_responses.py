"""What is deleted or expires takes its alternatives along, and responses can be deleted there."""

from typing import Any

from shared.config import Settings
from tests.integration.test_alternatives import alternatives, messages, shown, switch
from tests.integration.test_nothing_left import SECRET, delete, respond, space_of
from tests.scripted import ScriptedEngine, failing
from tests.servers import Stack, Valkey, make_settings, running_stack


async def conversation_of(stack: Stack, response: dict[str, Any]) -> int:
    job = response["id"].removeprefix("resp_")
    return int((await stack.client.get(f"/jobs/{job}")).json()["id"])


async def in_use(stack: Stack, response: dict[str, Any]) -> bool:
    answer = await stack.client.delete(f"/v1/responses/{response['id']}")
    assert answer.status_code in (200, 409), answer.text
    return bool(answer.status_code == 409)


async def test_a_deleted_conversation_takes_its_alternatives_along(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        first = await stack.ask(SECRET)
        await stack.ask("Edited.", id=first["id"], replace_from=1)
        assert f"conv:{first['id']}:alternatives" in await space.names()
        await delete(stack, f"/conversations/{first['id']}")
        assert await space.names() == set()


async def test_the_history_limit_takes_alternatives_of_what_it_takes(valkey: Valkey) -> None:
    settings = make_settings(
        valkey.url, PALAVER_HISTORY_LIMIT=2, PALAVER_CONTEXT_LENGTH=64, PALAVER_MAX_TOKENS=8
    )
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        first = await stack.ask(SECRET, context="")
        await stack.ask("Edited.", id=first["id"], replace_from=1)
        assert await space.said()
        while (await messages(stack, first["id"]))[0]["number"] == 1:
            await stack.ask("A prompt to fill the window.", id=first["id"])
        kept = {name for name in await space.names() if "alternative" in name}
    assert kept == set()


async def test_the_text_of_a_replaced_response_goes_with_it(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        root = await respond(stack, "Hello.")
        secret = await respond(stack, previous_response_id=root["id"])
        conversation = await conversation_of(stack, root)
        await stack.ask("Edited.", id=conversation, replace_from=3)
        assert f"alternative:{conversation}:3-{secret['id'][5:]}:messages" in await space.said()
        assert not await in_use(stack, secret)
        assert await space.said() == set()
        assert await alternatives(stack, conversation) == []


async def test_the_last_response_of_an_alternative_leaves_the_rest_of_it(
    settings: Settings,
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        first = await respond(stack, "Hello.")
        conversation = await conversation_of(stack, first)
        then = await shown(stack, conversation)
        last = await respond(stack, previous_response_id=first["id"])
        await stack.ask("Edited.", id=conversation, replace_from=1)
        assert await in_use(stack, first), "the last one stands on it"
        assert not await in_use(stack, last)
        assert await space.said() == set()
        (kept,) = await alternatives(stack, conversation)
        assert (kept["length"], kept["messages"][0]["content"]) == (2, "Hello.")
        now = await switch(stack, conversation, kept["id"])
    varying = {"updated_at", "tokens", "window"}
    assert {k: v for k, v in now.items() if k not in varying} == {
        k: v for k, v in then.items() if k not in varying
    }


async def test_a_response_is_in_use_where_an_alternative_continues_it(
    settings: Settings,
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        root = await respond(stack)
        conversation = await conversation_of(stack, root)
        old = await respond(stack, "on", previous_response_id=root["id"])
        await stack.ask("ON", id=conversation, replace_from=3)
        (kept,) = await alternatives(stack, conversation)
        await switch(stack, conversation, kept["id"])
        assert not await in_use(stack, old)
        assert len(await messages(stack, conversation)) == 2, "root is the last one that stands"
        assert await in_use(stack, root)
        (kept,) = await alternatives(stack, conversation, number=3)
        assert (await switch(stack, conversation, kept["id"]))["turns"] == 2
        await delete(stack, f"/conversations/{conversation}")
        assert await space.names() == set()


async def test_a_response_is_in_use_where_the_alternative_of_a_copy_has_it(
    settings: Settings,
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        root = await respond(stack)
        later = await respond(stack, "on", previous_response_id=root["id"])
        fork = await respond(stack, "aside", previous_response_id=root["id"])
        copy = await conversation_of(stack, fork)
        await stack.ask("Edited.", id=copy, replace_from=1)
        await delete(stack, f"/v1/responses/{later['id']}")
        assert await in_use(stack, root)
        await delete(stack, f"/conversations/{copy}")
        assert not await in_use(stack, root)
        assert await space.names() == set()


async def test_a_conversation_of_alternatives_alone_stays(settings: Settings) -> None:
    engine = ScriptedEngine(lambda prompt: failing(prompt) if "fail" in prompt else "Yes.")
    async with running_stack(settings, engine) as stack, space_of(settings) as space:
        old = await respond(stack)
        conversation = await conversation_of(stack, old)
        await stack.ask("Edited.", id=conversation, replace_from=1)
        (kept,) = await alternatives(stack, conversation)
        await switch(stack, conversation, kept["id"])
        assert not await in_use(stack, old)
        assert await space.said() == set()
        body = {"prompt": "fail", "id": conversation}
        assert (await stack.client.post("/", json=body)).status_code == 500
        assert await messages(stack, conversation) == []
        (kept,) = await alternatives(stack, conversation, number=1)
        assert (await switch(stack, conversation, kept["id"]))["turns"] == 1


async def test_a_response_whose_reply_was_continued_is_found_continued_and_deleted(
    settings: Settings,
) -> None:
    """By its own id, and whatever continued its reply goes with it."""
    engine = ScriptedEngine(lambda _: f"{SECRET}, {SECRET}")
    async with running_stack(settings, engine) as stack, space_of(settings) as space:
        first = await respond(stack, max_output_tokens=5)
        conversation = await conversation_of(stack, first)
        for length in (3, 512):
            body = {"id": conversation, "continue": True, "max_tokens": length}
            grown = (await stack.client.post("/", json=body)).json()
        for named in (first["id"], f"resp_{grown['job']}"):
            last = await respond(stack, "More?", previous_response_id=named)
            assert f"<assistant>{SECRET}, {SECRET}<end>" in engine.prompts[-1]
            assert await in_use(stack, first), "the last one stands on it"
            assert not await in_use(stack, last)
        assert (await messages(stack, conversation))[1]["content"] == f"{SECRET}, {SECRET}"
        assert not await in_use(stack, first)
        assert await space.said() == set()
