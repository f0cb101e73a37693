"""Responses whose clients bring a history along: what enters the conversation, and what stays."""

from shared.config import Settings
from tests.integration.responding import SENT_BACK, item, respond
from tests.scripted import ScriptedEngine
from tests.servers import Valkey, make_settings, running_stack


async def test_a_whole_history_enters_the_conversation(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        history = [item("user", "My name is Alice."), SENT_BACK, item("user", "What is my name?")]
        first = await respond(stack, input=history)
        await respond(stack, input="And now?", previous_response_id=first["id"])
        conversation = first["conversation"]["id"]
        items = await stack.client.get(f"/v1/conversations/{conversation}/items?order=asc")
        shown = await stack.client.get(f"/conversations/{conversation.removeprefix('conv_')}")
    prompt = "<user>My name is Alice.<end><assistant>Hello Alice!<end><user>What is my name?<end>"
    assert engine.prompts[0] == f"{prompt}<assistant>"
    reply = "<assistant>You said: What is my name?<end>"
    assert engine.prompts[1] == f"{prompt}{reply}<user>And now?<end><assistant>"
    listed = items.json()["data"]
    assert [one["content"][0]["text"] for one in listed][:3] == [
        "My name is Alice.",
        "Hello Alice!",
        "What is my name?",
    ]
    assert [one["role"] for one in listed] == ["user", "assistant"] * 3
    assert len({one["id"] for one in listed}) == 6
    assert shown.json()["turns"] == 3


async def test_what_the_system_says_in_an_input_stays_and_instructions_go(
    settings: Settings,
) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        opening = [item("system", "Be kind."), item("developer", "Be brief."), item("user", "A")]
        first = await respond(stack, input=opening, instructions="Whisper.")
        second = await respond(stack, input="B", previous_response_id=first["id"])
        third = [item("developer", "Rhyme."), item("user", "C")]
        last = await respond(stack, input=third, previous_response_id=second["id"])
        conversation = last["conversation"]["id"]
        await respond(stack, input="D", conversation=conversation, instructions="Shout.")
        fork = await respond(stack, input="E", previous_response_id=first["id"])
    kept = "Be kind.\n\nBe brief."
    first_turn = "<user>A<end><assistant>You said: A<end>"
    second_turn = "<user>B<end><assistant>You said: B<end>"
    third_turn = "<system>Rhyme.<end><user>C<end><assistant>You said: C<end>"
    assert engine.prompts == [
        f"<system>Whisper.\n\n{kept}<end><user>A<end><assistant>",
        f"<system>{kept}<end>{first_turn}<user>B<end><assistant>",
        f"<system>{kept}<end>{first_turn}{second_turn}<system>Rhyme.<end><user>C<end><assistant>",
        f"<system>Shout.\n\n{kept}<end>{first_turn}{second_turn}{third_turn}<user>D<end><assistant>",
        f"<system>{kept}<end>{first_turn}<user>E<end><assistant>",
    ]
    assert fork["conversation"]["id"] != conversation


async def test_an_opening_of_an_empty_conversation_stays_when_the_window_is_full(
    valkey: Valkey,
) -> None:
    engine = ScriptedEngine(lambda _: "ok")
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH="200", PALAVER_MAX_TOKENS="20")
    async with running_stack(settings, engine) as stack:
        made = await stack.client.post("/v1/conversations", json={})
        conversation = made.json()["id"]
        opening = [item("developer", "Be kind."), item("user", "first")]
        await respond(stack, input=opening, conversation=conversation)
        for _ in range(4):
            last = await respond(
                stack, input="x" * 60, conversation=conversation, truncation="auto"
            )
    assert last["window"]["turns_dropped"] > 0
    assert engine.prompts[-1].startswith("<system>Be kind.<end><user>xxx")


async def test_a_history_longer_than_the_window_is_cut_or_refused_as_asked(
    valkey: Valkey,
) -> None:
    engine = ScriptedEngine(lambda _: "ok")
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH="200", PALAVER_MAX_TOKENS="20")
    history = [item(role, role[0] * 40) for role in ("user", "assistant") * 4]
    async with running_stack(settings, engine) as stack:
        body = {"model": "any", "input": [*history, item("user", "Now?")]}
        refused = await stack.client.post("/v1/responses", json=body)
        cut = await respond(stack, input=body["input"], truncation="auto")
        again = await respond(
            stack, input="Go on.", previous_response_id=cut["id"], truncation="auto"
        )
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "context_length_exceeded"
    assert cut["window"]["turns_dropped"] > 0
    assert again["window"]["turns_dropped"] >= cut["window"]["turns_dropped"]


async def test_instructions_in_front_of_the_prompt_are_not_trimmed(valkey: Valkey) -> None:
    engine = ScriptedEngine(lambda _: "ok")
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH="200", PALAVER_MAX_TOKENS="20")
    history = [item("user", "u" * 60), item("assistant", "a" * 40), item("developer", "RHYME")]
    async with running_stack(settings, engine) as stack:
        body = {"input": [*history, item("user", "q" * 115)], "truncation": "auto"}
        made = await respond(stack, **body)
    assert engine.prompts == [f"<system>RHYME<end><user>{'q' * 115}<end><assistant>"]
    assert made["window"]["turns_dropped"] == 1


async def test_turns_are_counted_whatever_a_history_looks_like(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH="200", PALAVER_MAX_TOKENS="20")
    history = [item(role, role[0] * 12) for role in ("user", "user", "assistant", "developer") * 5]
    async with running_stack(settings, ScriptedEngine(lambda _: "ok")) as stack:
        made = await respond(stack, input=[*history, item("user", "Now?")], truncation="auto")
        forked = [
            await respond(stack, input="On.", previous_response_id=made["id"], truncation="auto")
            for _ in range(2)
        ]
        turns = []
        for response in (made, *forked):
            name = response["conversation"]["id"].removeprefix("conv_")
            turns.append((await stack.client.get(f"/conversations/{name}")).json()["turns"])
    for response, total in ((made, 6), (forked[0], 7), (forked[1], 7)):
        window = response["window"]
        assert window["turns_kept"] + window["turns_dropped"] == total
    assert turns == [7, 7, 7]


async def test_a_response_whose_reply_was_edited_away_is_not_gone_on_with(
    settings: Settings,
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        made = await respond(stack, input="P1")
        name = made["conversation"]["id"].removeprefix("conv_")
        await stack.ask("X", id=name, replace_from=2)
        body = {"model": "any", "input": "Q", "previous_response_id": made["id"]}
        answer = await stack.client.post("/v1/responses", json=body)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == (
        "previous_response_not_found",
        "previous_response_id",
    )
