"""Several models in one row: every entrance of the API takes `model`, and answers name theirs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import httpx
import pytest

from shared.config import Settings
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.workers import Workers
from tests.scripted import ScriptedEmbedder, ScriptedEngine, last_prompt
from tests.servers import Stack, Valkey, make_settings, running_stack, running_worker
from tests.sse import all_events, data_of
from worker.engine.embedding import Embedder
from worker.engine.interface import Engine

HI: Final = [{"role": "user", "content": "Hi"}]
BODIES: Final[dict[str, dict[str, Any]]] = {
    "/": {"prompt": "Hi"},
    "/jobs": {"prompt": "Hi"},
    "/v1/chat/completions": {"messages": HI},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/responses/input_tokens": {"input": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
    "/v1/messages": {"messages": HI, "max_tokens": 50},
    "/v1/messages/count_tokens": {"messages": HI},
}
WRITTEN: Final = ["/", "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]
STREAMED: Final = [path for path in WRITTEN if path != "/"]


def engine(name: str, **options: Any) -> ScriptedEngine:
    """Replies with its name and with what was said last."""
    return ScriptedEngine(
        lambda prompt: f"{name}: {last_prompt(prompt)}", name=name, fingerprint=name, **options
    )


@contextlib.asynccontextmanager
async def running_row(settings: Settings, *engines: Engine | Embedder) -> AsyncIterator[Stack]:
    """An API and workers of these models, the first of them there first."""
    async with running_stack(settings, engines[0]) as stack, contextlib.AsyncExitStack() as workers:
        for each in engines[1:]:
            await workers.enter_async_context(running_worker(settings, each))
            await until_served(settings, each.model.name)
        yield stack


async def until_served(settings: Settings, name: str) -> None:
    async with asyncio.timeout(10), connect(settings) as redis:
        workers = Workers(redis, Keys(settings.namespace))
        while name not in await workers.models():
            await asyncio.sleep(0.01)


@pytest.fixture
async def row(settings: Settings) -> AsyncIterator[Stack]:
    """Two models that chat, and one that embeds."""
    engines = (engine("large"), engine("small"), ScriptedEmbedder())
    async with running_row(settings, *engines) as stack:
        yield stack


async def post(stack: Stack, path: str, **fields: Any) -> httpx.Response:
    return await stack.client.post(path, json={**BODIES[path], **fields})


async def answer_of(stack: Stack, path: str, **fields: Any) -> dict[str, Any]:
    answer = await post(stack, path, **fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error object, whichever API it is of."""
    body: dict[str, Any] = answer.json()
    return body.get("error") or body


async def test_the_model_that_is_named_answers_and_is_named(row: Stack) -> None:
    for path in WRITTEN:
        for name in ("small", "large"):
            answer = await answer_of(row, path, model=name)
            assert answer["model"] == name
            assert f"{name}: " in str(answer)


async def test_every_piece_of_a_stream_names_the_model_that_writes_it(row: Stack) -> None:
    for path in STREAMED:
        answer = await post(row, path, model="small", stream=True)
        assert answer.status_code == 200
        named = [
            holder["model"]
            for event in data_of(answer.content.replace(b"[DONE]", b"{}"))
            for holder in (event, event.get("response", {}), event.get("message", {}))
            if "model" in holder
        ]
        assert named
        assert set(named) == {"small"}


async def test_of_several_models_an_unknown_one_is_refused_in_every_dialect(row: Stack) -> None:
    for path in BODIES:
        answer = await post(row, path, model="gpt-4o")
        error = error_of(answer)
        assert (answer.status_code, error["code"]) == (404, "model_not_found")
        text = error.get("detail") or error["message"]
        assert "'gpt-4o'" in text
        assert "large, small, embedder" in text
        if path.startswith("/v1/messages"):
            assert error["type"] == "not_found_error"
        elif path.startswith("/v1"):
            assert (error["type"], error["param"]) == ("invalid_request_error", "model")


async def test_where_there_is_one_model_any_name_is_taken(settings: Settings) -> None:
    async with running_stack(settings, engine("only")) as stack:
        for path in sorted(BODIES.keys() - {"/v1/embeddings"}):
            answer = await post(stack, path, model="gpt-4o")
            assert answer.status_code in (200, 202), answer.text
            assert answer.json().get("model", "only") == "only"


async def test_where_one_model_embeds_any_name_is_taken(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEmbedder()) as stack:
        answer = await answer_of(stack, "/v1/embeddings", model="text-embedding-3-small")
    assert answer["model"] == "embedder"


async def test_without_a_name_the_first_model_that_can_do_it_answers(row: Stack) -> None:
    for path in BODIES:
        absent: list[dict[str, Any]] = [{}, {"model": ""}]
        for fields in [*absent, {"model": None}] if path.startswith("/v1") else absent:
            answer = await post(row, path, **fields)
            assert answer.status_code in (200, 202), answer.text
            expected = "embedder" if path == "/v1/embeddings" else "large"
            assert answer.json().get("model", expected) == expected


async def test_without_a_name_the_default_answers(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_DEFAULT_MODEL="small")
    async with running_row(settings, engine("large"), engine("small")) as stack:
        for path in WRITTEN:
            assert (await answer_of(stack, path))["model"] == "small"
            assert (await answer_of(stack, path, model="large"))["model"] == "large"


async def test_a_model_whose_workers_are_gone_is_refused_by_name(settings: Settings) -> None:
    async with running_row(settings, engine("large"), engine("small")) as stack:
        async with running_worker(settings, engine("lost")):
            await until_served(settings, "lost")
            assert (await answer_of(stack, "/", model="lost"))["model"] == "lost"
        for path in BODIES:
            answer = await post(stack, path, model="lost")
            error = error_of(answer)
            assert (answer.status_code, error["code"]) == (503, "no_worker")
            assert int(answer.headers["Retry-After"]) > 0
            assert "'lost'" in (error.get("detail") or error["message"])
        assert (await answer_of(stack, "/", model="small"))["model"] == "small"


async def test_the_only_model_is_missed_too_once_another_has_joined_it(
    settings: Settings,
) -> None:
    async with contextlib.AsyncExitStack() as parts:
        stack = await parts.enter_async_context(running_stack(settings))
        async with running_worker(settings, engine("first")):
            await until_served(settings, "first")
            await parts.enter_async_context(running_worker(settings, engine("second")))
            await until_served(settings, "second")
        assert (await post(stack, "/", model="first")).status_code == 503
        assert (await answer_of(stack, "/", model="gpt-4o"))["model"] == "second"


async def test_a_model_that_joins_while_prompts_run_is_found_at_once(settings: Settings) -> None:
    async with (
        running_stack(settings, engine("first")) as stack,
        contextlib.AsyncExitStack() as parts,
    ):
        stop, models = asyncio.Event(), list[str]()

        async def keep_asking() -> None:
            while not stop.is_set():
                models.append((await answer_of(stack, "/"))["model"])

        asking = asyncio.create_task(keep_asking())
        parts.push_async_callback(asyncio.wait, [asking])
        parts.callback(stop.set)
        # The API's list of models is fresh now, and has only one.
        assert len((await stack.client.get("/v1/models")).json()["data"]) == 1
        assert (await answer_of(stack, "/", model="second"))["model"] == "first"
        async with running_worker(settings, engine("second")):
            await until_served(settings, "second")
            for path in WRITTEN:
                assert (await answer_of(stack, path, model="second"))["model"] == "second"
            shown = await stack.client.get("/v1/models/second")
            assert (shown.status_code, shown.json()["id"]) == (200, "second")
        stop.set()
        await asking
    assert set(models) == {"first"}


async def test_a_conversation_changes_its_model_and_goes_on_with_it(row: Stack) -> None:
    job = (await post(row, "/jobs", prompt="Zero", model="small")).json()
    named = (await row.client.get(f"/conversations/{job['id']}")).json()
    begun = await row.ask("One", model="small")
    again = await row.ask("Two", id=begun["id"])
    other = await row.ask("Three", id=begun["id"], model="large")
    last = await row.ask("Four", id=begun["id"])
    shown = (await row.client.get(f"/conversations/{begun['id']}")).json()
    page = (await row.client.get(f"/conversations/{begun['id']}/messages")).json()
    assert [each["model"] for each in (begun, again, other, last)] == ["small"] * 2 + ["large"] * 2
    assert [m["model"] for m in page["messages"][1::2]] == ["small"] * 2 + ["large"] * 2
    assert (named["model"], shown["model"]) == ("small", "large")


async def test_a_conversation_that_another_model_goes_on_with_has_all_its_text(
    settings: Settings,
) -> None:
    large, small = engine("large"), engine("small")
    async with running_row(settings, large, small) as stack:
        begun = await stack.ask("One", model="small", context="Be kind.")
        await stack.ask("Two", id=begun["id"], model="large")
    assert large.prompts == [
        "<system>Be kind.<end><user>One<end><assistant>small: One<end><user>Two<end><assistant>"
    ]


async def test_token_ids_of_one_model_are_never_another_ones(settings: Settings) -> None:
    def is_own(token: int) -> bool:
        return 0x10000 <= token < 0x30000

    large, small = engine("large", own_ids=0x10000), engine("small", own_ids=0x20000)
    async with running_row(settings, large, small) as stack:
        begun = await stack.ask("One", model="small")
        for name in ("small", "large", "small"):
            await stack.ask("Next", id=begun["id"], model=name)
    used = [
        [token for token in r.prompt if token in range(0x10000, 0x30000)] for r in small.requests
    ]
    written = [[0x20000 + ord(c) for c in f"small: {text}"] for text in ("One", "Next")]
    assert used == [[], written[0], written[0] + written[1]]
    assert not any(map(is_own, large.requests[0].prompt))


async def test_a_stored_response_names_the_model_that_wrote_it(row: Stack) -> None:
    first = await answer_of(row, "/v1/responses", model="small")
    after = {"previous_response_id": first["id"], "model": "large"}
    second = await answer_of(row, "/v1/responses", background=True, **after)
    await all_events(row.client, f"/jobs/{second['id'].removeprefix('resp_')}/events")
    third = await answer_of(row, "/v1/responses", previous_response_id=second["id"])
    shown = [
        (await row.client.get(f"/v1/responses/{each['id']}")).json()["model"]
        for each in (first, second, third)
    ]
    assert shown == ["small", "large", "large"]
    assert second["model"] == "large"


async def test_a_model_that_cannot_is_refused_by_name(row: Stack) -> None:
    embeds = await post(row, "/v1/embeddings", model="small")
    assert (embeds.status_code, error_of(embeds)["code"]) == (400, "no_embeddings")
    assert "'small'" in error_of(embeds)["message"]
    for path in WRITTEN:
        chats = await post(row, path, model="embedder")
        assert chats.status_code in (400, 422)
        assert "makes embeddings" in str(chats.json())


async def test_each_model_has_a_line_of_its_own(settings: Settings) -> None:
    held = asyncio.get_running_loop().create_future()
    busy = [engine(name, slots=1, step=lambda _: held) for name in ("large", "small")]
    async with running_row(settings, *busy) as stack:
        jobs = [
            (await post(stack, "/jobs", model=name)).json()
            for name in ("large", "small", "large", "large", "small")
        ]
        async with asyncio.timeout(10):
            while not all(each.running for each in busy):
                await asyncio.sleep(0.01)
        states = [(await stack.client.get(f"/jobs/{job['job']}")).json() for job in jobs]
        held.set_result(None)
        for job in jobs:
            await stack.client.get(f"/jobs/{job['job']}", params={"wait": 10})
    positions = [state.get("queue", {}).get("position", 0) for state in states]
    assert positions == [0, 0, 1, 2, 1]


async def test_models_are_listed_in_the_order_in_which_they_came(row: Stack) -> None:
    listed = (await row.client.get("/v1/models")).json()["data"]
    assert [(m["id"], m["workers"], m["capabilities"][0]) for m in listed] == [
        ("large", 1, "chat"),
        ("small", 1, "chat"),
        ("embedder", 1, "embeddings"),
    ]
    assert {m["owned_by"] for m in listed} == {"palaver"}
    assert listed[2]["context_length"] == 512


async def test_a_model_is_looked_up_by_a_name_with_a_slash(settings: Settings) -> None:
    async with running_stack(settings, engine("maker/model-8b")) as stack:
        for name in ("maker/model-8b", "maker%2Fmodel-8b"):
            shown = await stack.client.get(f"/v1/models/{name}")
            assert (shown.status_code, shown.json()["id"]) == (200, "maker/model-8b")
        unknown = await stack.client.get("/v1/models/maker/other")
    assert (unknown.status_code, error_of(unknown)["code"]) == (404, "model_not_found")


async def test_models_that_do_not_exist_are_no_guesses_of_ids(row: Stack) -> None:
    begun = await row.ask("Hi")
    for _ in range(130):
        answer = await post(row, "/", id=begun["id"], model="gpt-4o")
    assert answer.status_code == 404


async def test_what_is_no_name_is_refused(row: Stack) -> None:
    for path in BODIES:
        for name in (5, ["small"], {"name": "small"}, True):
            answer = await post(row, path, model=name)
            assert answer.status_code == (422 if path in ("/", "/jobs") else 400)
            assert "model" in str(answer.json())


async def test_a_hostile_name_is_a_name_like_any_other(row: Stack) -> None:
    for name in ("small:about", "*", "a b\nc", "ﬁ\x00", "x" * 100_000, "large "):
        answer = await post(row, "/", model=name)
        assert (answer.status_code, error_of(answer)["code"]) == (404, "model_not_found")
        assert len(answer.content) < 1000


async def test_messages_that_the_widest_window_can_show_are_kept_in_view(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH=0)
    large = engine("large", window=4000)
    async with running_row(settings, large, ScriptedEmbedder(window=16)) as stack:
        made = (await stack.client.post("/v1/conversations", json={})).json()["id"]
        for number in range(3):
            items = [{"role": "user", "content": f"{number}:{place}"} for place in range(20)]
            await stack.client.post(f"/v1/conversations/{made}/items", json={"items": items})
        await answer_of(stack, "/v1/responses", conversation=made)
    assert "<user>0:0" in large.prompts[0]


async def test_the_bundled_model_is_marked_as_a_demo(settings: Settings) -> None:
    demo = engine("bundled")
    demo.model = replace(demo.model, is_demo=True)
    async with running_row(settings, demo, engine("other")) as stack:
        bundled = (await stack.client.get("/v1/models/bundled")).json()
        other = (await stack.client.get("/v1/models/other")).json()
    assert (bundled["demo"], bundled["capabilities"]) == (True, other["capabilities"])
    assert "demo" not in other
