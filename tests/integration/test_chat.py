"""`POST /` through a real server, a real worker and a scripted engine."""

import asyncio
from typing import Any

import httpx
import pytest

from shared.config import Settings
from tests.scripted import ScriptedEngine, echo, failing, last_prompt
from tests.servers import Valkey, make_settings, running_stack


async def test_a_new_conversation_gets_the_documented_answer(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        answer = await stack.ask("Hello", context="Be kind.")
    assert answer["prompt"] == "Hello"
    assert answer["context"] == "Be kind."
    assert answer["reply"] == "You said: Hello"
    assert answer["finish_reason"] == "stop"
    assert 1 <= answer["id"] < 2**53
    prompt_tokens = len("Be kind.") + len("Hello") + 5
    assert answer["usage"] == {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": len("You said: Hello"),
        "total_tokens": prompt_tokens + len("You said: Hello"),
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    assert answer["numberOfTokens"] == answer["usage"]["total_tokens"]
    assert answer["window"] == {
        "budget": 3500,
        "used": answer["numberOfTokens"],
        "turns_kept": 1,
        "turns_dropped": 0,
    }
    assert set(answer["timings"]) == {"queued_ms", "prompt_ms", "generation_ms"}
    assert answer["timestamp"].endswith("Z")


async def test_plain_curl_form_body_is_read_as_json(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        response = await stack.client.post(
            "/",
            content='{"prompt": "Grüße"}'.encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    assert response.status_code == 200
    assert response.json()["reply"] == "You said: Grüße"
    assert "context" not in response.json()


async def test_the_second_turn_sees_the_first(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        first = await stack.ask("One", context="Persona.")
        second = await stack.ask("Two", id=str(first["id"]))
    assert second["id"] == first["id"]
    assert engine.prompts[1] == (
        "<system>Persona.<end><user>One<end><assistant>You said: One<end><user>Two<end><assistant>"
    )
    assert second["window"]["turns_kept"] == 2


async def test_without_context_the_default_is_used(valkey: Valkey) -> None:
    engine = ScriptedEngine()
    settings = make_settings(valkey.url, PALAVER_DEFAULT_CONTEXT="Default.")
    async with running_stack(settings, engine) as stack:
        answer = await stack.ask("Hi")
    assert engine.prompts == ["<system>Default.<end><user>Hi<end><assistant>"]
    assert "context" not in answer


async def test_an_empty_context_means_no_instructions(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        await stack.ask("Hi", context="")
    assert engine.prompts == ["<user>Hi<end><assistant>"]


async def test_a_new_context_holds_from_its_turn_on(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        first = await stack.ask("One", context="Old.")
        answer = await stack.ask("Two", id=first["id"], context="New.")
        await stack.ask("Three", id=first["id"])
    assert answer["context"] == "New."
    assert engine.prompts[1].startswith("<system>New.<end>")
    assert engine.prompts[2].startswith("<system>New.<end>")


async def test_replace_from_rewrites_the_conversation(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        first = await stack.ask("One", context="")
        conversation = first["id"]
        await stack.ask("Two", id=conversation)
        await stack.ask("Three", id=conversation)
        edited = await stack.ask("Two again", id=conversation, replace_from=3)
        await stack.ask("Four", id=conversation)
    assert edited["window"]["turns_kept"] == 2
    assert engine.prompts[-1] == (
        "<user>One<end><assistant>You said: One<end>"
        "<user>Two again<end><assistant>You said: Two again<end>"
        "<user>Four<end><assistant>"
    )


async def test_replace_from_in_mid_turn_keeps_the_prompt_before(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        first = await stack.ask("One", context="")
        await stack.ask("More", id=first["id"], replace_from=2)
        await stack.ask("End", id=first["id"])
    assert engine.prompts[1] == "<user>One\n\nMore<end><assistant>"
    assert engine.prompts[2] == (
        "<user>One\n\nMore<end><assistant>You said: One\n\nMore<end><user>End<end><assistant>"
    )


async def test_replace_from_behind_the_end_is_refused(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        first = await stack.ask("One")
        response = await stack.client.post(
            "/", json={"prompt": "x", "id": first["id"], "replace_from": 4}
        )
        appended = await stack.ask("x", id=first["id"], replace_from=3)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "replace_from"
    assert appended["window"]["turns_kept"] == 2


async def test_sampling_options_reach_the_engine(settings: Settings) -> None:
    engine = ScriptedEngine()
    options = {
        "temperature": 0,
        "top_p": 0.5,
        "min_p": 0.1,
        "top_k": 7,
        "seed": 42,
        "repeat_penalty": 1.1,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "ignore_eos": True,
    }
    async with running_stack(settings, engine) as stack:
        answer = await stack.ask("Hello", max_tokens=4, stop="\n", **options)
    request = engine.requests[0]
    assert request.max_tokens == 4
    assert request.stop == ("\n",)
    for name, value in options.items():
        assert getattr(request.sampling, name) == value
    assert answer["reply"] == "You "
    assert answer["finish_reason"] == "length"


async def test_a_failed_generation_leaves_the_conversation_as_it_was(settings: Settings) -> None:
    engine = ScriptedEngine(lambda p: failing(p) if last_prompt(p) == "Two" else echo(p))
    async with running_stack(settings, engine) as stack:
        first = await stack.ask("One", context="")
        response = await stack.client.post("/", json={"prompt": "Two", "id": first["id"]})
        job = (await stack.client.get(f"/jobs/{response.json()['job']}")).json()
        await stack.ask("Three", id=first["id"])
    assert response.status_code == 500
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-should-retry"] == "false"
    assert problem["code"] == "generation_failed"
    assert "the script says so" in problem["detail"]
    assert problem["id"] == first["id"]
    assert job["status"] == "failed"
    assert job["error"]["code"] == "generation_failed"
    assert "Two" not in engine.prompts[2]


async def test_a_prompt_larger_than_the_window_is_refused_with_numbers(valkey: Valkey) -> None:
    engine = ScriptedEngine()
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH=100)
    async with running_stack(settings, engine) as stack:
        response = await stack.client.post("/", json={"prompt": "x" * 200, "context": ""})
    assert response.status_code == 422
    problem = response.json()
    assert problem["code"] == "context_length_exceeded"
    assert (problem["prompt_tokens"], problem["budget"]) == (203, 100)
    assert engine.prompts == []


async def test_an_unknown_conversation_is_404(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        response = await stack.client.post("/", json={"prompt": "x", "id": 4711})
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


async def test_without_any_worker_prompts_are_refused(settings: Settings) -> None:
    async with running_stack(settings) as stack:
        response = await stack.client.post("/", json={"prompt": "x"})
        ready = await stack.client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["code"] == "no_worker"
    assert "Retry-After" in response.headers
    assert ready.json()["missing"] == "worker"


async def test_waiting_ends_with_202_and_the_job_goes_on(settings: Settings) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(step=lambda _: gate)
    async with running_stack(settings, engine) as stack:
        response = await stack.client.post(
            "/", json={"prompt": "Hello"}, headers={"Prefer": "wait=0"}
        )
        job = response.json()
        gate.set_result(None)
        finished = await until_ended(stack.client, job["links"]["self"])
    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "wait=0"
    assert response.headers["Location"] == f"/jobs/{job['job']}"
    assert job["status"] in ("queued", "in_progress")
    assert finished["status"] == "completed"
    assert finished["result"]["reply"] == "You said: Hello"
    assert finished["result"]["job"] == job["job"]


async def until_ended(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            job: dict[str, Any] = (await client.get(path)).json()
            if job["status"] in ("completed", "failed", "cancelled"):
                return job
            await asyncio.sleep(0.01)


async def test_a_turn_past_its_deadline_ends_with_504(valkey: Valkey) -> None:
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    settings = make_settings(valkey.url, PALAVER_JOB_TIMEOUT=0.2)
    engine = ScriptedEngine(step=lambda _: never)
    async with running_stack(settings, engine) as stack:
        response = await stack.client.post("/", json={"prompt": "Hello"})
        assert engine.running == 0
    assert response.status_code == 504
    assert response.json()["code"] == "deadline_exceeded"


async def test_a_conversation_takes_a_limited_number_of_unfinished_turns(valkey: Valkey) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    settings = make_settings(valkey.url, PALAVER_PENDING_TURNS=2)
    async with running_stack(settings, ScriptedEngine(step=lambda _: gate)) as stack:
        first = await submit(stack.client, prompt="a")
        second = await submit(stack.client, prompt="b", id=first["id"])
        third = await stack.client.post("/", json={"prompt": "c", "id": first["id"]})
        gate.set_result(None)
        ended = await until_ended(stack.client, second["links"]["self"])
    assert third.status_code == 409
    assert third.json()["code"] == "conversation_busy"
    assert "Retry-After" in third.headers
    assert ended["status"] == "completed"


async def test_prompts_to_one_conversation_run_in_order_of_arrival(settings: Settings) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(piece_length=3, step=lambda _: gate)
    async with running_stack(settings, engine) as stack:
        first = await submit(stack.client, prompt="0", context="")
        jobs = [await submit(stack.client, prompt=f"{n}", id=first["id"]) for n in range(1, 7)]
        assert engine.running <= 1
        gate.set_result(None)
        await until_ended(stack.client, jobs[-1]["links"]["self"])
    for number, prompt in enumerate(engine.prompts):
        assert prompts_in(prompt) == [str(n) for n in range(number + 1)]
    assert len(engine.prompts) == 7


async def submit(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """POST a prompt without waiting for its reply."""
    response = await client.post("/", json=body, headers={"Prefer": "wait=0"})
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    return job


def prompts_in(prompt: str) -> list[str]:
    return [part.partition("<end>")[0] for part in prompt.split("<user>")[1:]]


@pytest.mark.parametrize("workers", [1, 2])
async def test_forty_conversations_in_parallel_keep_apart(settings: Settings, workers: int) -> None:
    engines = [ScriptedEngine(piece_length=5, slots=4) for _ in range(workers)]

    async with running_stack(settings, *engines) as stack:

        async def converse(name: str) -> None:
            conversation = None
            for turn in range(4):
                body = {"context": name} if conversation is None else {"id": conversation}
                answer = await stack.ask(f"{name}.{turn}", **body)
                conversation = answer["id"]
                assert answer["reply"] == f"You said: {name}.{turn}"
                assert answer["window"]["turns_kept"] == turn + 1

        await asyncio.gather(*(converse(f"c{n}") for n in range(40)))
    prompts = [prompt for engine in engines for prompt in engine.prompts]
    assert len(prompts) == 160, "a turn was generated twice or not at all"
    assert all(engine.prompts for engine in engines)
    for prompt in prompts:
        name = prompt.removeprefix("<system>").partition("<end>")[0]
        said = prompts_in(prompt)
        assert said == [f"{name}.{turn}" for turn in range(len(said))]
