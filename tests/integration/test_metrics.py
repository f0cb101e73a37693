"""`/metrics` against what a known trace did."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from shared.config import Settings
from shared.wire.limits import NO_LIMITS
from tests.integration.bench import POOL, Bench
from tests.integration.test_access import running_guarded
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import Valkey, make_settings, running_api, running_stack
from worker.engine.interface import EngineError

SCRIPTED = {"model": "scripted"}
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scraped(client: httpx.AsyncClient) -> Samples:
    """Every sample, without its worker's name."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation, family.name
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k != "worker"}
            key = sample.name, tuple(sorted(labels.items()))
            found[key] = found.get(key, 0) + sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"palaver_{name}", tuple(sorted(labels.items()))]


async def until(client: httpx.AsyncClient, name: str, wanted: float, **labels: str) -> Samples:
    """The samples, once a heartbeat has told that much."""
    async with asyncio.timeout(20):
        while True:
            samples = await scraped(client)
            if samples.get((f"palaver_{name}", tuple(sorted(labels.items())))) == wanted:
                return samples
            await asyncio.sleep(0.05)


async def sampled(client: httpx.AsyncClient) -> dict[str, Any]:
    """What the operations page gets, once there is a sample."""
    async with asyncio.timeout(20):
        while not (data := (await client.get("/ops/data")).json())["points"]:
            await asyncio.sleep(0.01)
    return dict(data)


def sometimes(prompt: str) -> str:
    """Fails when it is asked to."""
    if "fail" in last_prompt(prompt):
        raise EngineError("as asked")
    return "0123456789"


async def test_a_known_trace_is_counted_exactly(settings: Settings) -> None:
    settings = make_settings(
        str(settings.redis_url), PALAVER_NAMESPACE=settings.namespace, PALAVER_LEASE=0.6
    )
    async with running_stack(settings, ScriptedEngine(sometimes, piece_length=1)) as stack:
        first = await stack.ask("one")
        await stack.ask("two", id=first["id"])
        refused: list[Any] = [
            await stack.client.post("/", json={"prompt": "fail"}),
            await stack.client.post("/", json={}),
            await stack.client.get("/jobs/nonsense"),
            await stack.client.get("/no/such/path"),
        ]
        samples = await until(
            stack.client, "turns_ended_total", 1, outcome="generation_failed", **SCRIPTED
        )
    assert [answer.status_code for answer in refused] == [500, 422, 404, 404]
    assert value(samples, "turns_ended_total", outcome="completed", **SCRIPTED) == 2
    for name in ("queue_wait", "first_token", "time_per_token", "turn"):
        assert value(samples, f"{name}_seconds_count", **SCRIPTED) == 2
        assert value(samples, f"{name}_seconds_bucket", le="+Inf", **SCRIPTED) == 2
    for name in ("fenced_writes", "turns_resumed", "turns_taken_over", "turns_handed_over"):
        assert value(samples, f"{name}_total", **SCRIPTED) == 0
    assert value(samples, "workers") == 1
    assert value(samples, "turns_open") == 0
    assert value(samples, "worker_info", fingerprint="scripted", **SCRIPTED) == 1
    requests = {"method": "POST", "route": "/"}
    assert value(samples, "http_requests_total", **requests, status="200") == 2
    assert value(samples, "http_requests_total", **requests, status="500") == 1
    assert value(samples, "http_requests_total", **requests, status="422") == 1
    assert value(samples, "http_request_seconds_count", **requests) == 4
    jobs = {"method": "GET", "route": "/jobs/{job}"}
    assert value(samples, "http_requests_total", **jobs, status="404") == 1
    other = {"method": "other", "route": "other"}
    assert value(samples, "http_requests_total", **other, status="404") == 1


async def test_what_waits_and_runs_is_shown(settings: Settings) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    settings = make_settings(
        str(settings.redis_url),
        PALAVER_NAMESPACE=settings.namespace,
        PALAVER_HEARTBEAT=0.2,
        PALAVER_SLOTS=2,
    )
    engine = ScriptedEngine(slots=2, step=lambda _: gate)
    async with running_stack(settings, engine) as stack:
        for number in range(5):
            await stack.client.post("/jobs", json={"prompt": f"Number {number}."})
        samples = await until(stack.client, "turns_running", 2, **SCRIPTED)
        assert value(samples, "turns_open") == 5
        assert value(samples, "turns_waiting") == 3
        assert value(samples, "slots", **SCRIPTED) == 2
        gate.set_result(None)
        await until(stack.client, "turns_ended_total", 5, outcome="completed", **SCRIPTED)


async def test_usage_is_shown_by_key_model_and_kind(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        alice = guarded.headers("alice")
        usage = (await guarded.ask(alice, "Hello.")).json()["usage"]
        operator = guarded.keys.create("olga", NO_LIMITS, role="operator")
        guarded.stack.client.headers["Authorization"] = f"Bearer {operator}"
        samples = await scraped(guarded.stack.client)
    wanted = {
        "evaluated": usage["prompt_tokens"],
        "cached": 0,
        "generated": usage["completion_tokens"],
        "unfinished": 0,
    }
    labels = {"key": "alice", **SCRIPTED}
    assert value(samples, "usage_turns_total", **labels) == 1
    shown = {kind: value(samples, "usage_tokens_total", kind=kind, **labels) for kind in wanted}
    assert shown == wanted


async def test_without_any_worker_there_are_figures_all_the_same(settings: Settings) -> None:
    async with running_stack(settings) as stack:
        samples = await scraped(stack.client)
    assert value(samples, "workers") == 0


async def test_each_model_has_its_own_figures(settings: Settings) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    settings = make_settings(
        str(settings.redis_url),
        PALAVER_NAMESPACE=settings.namespace,
        PALAVER_HEARTBEAT=0.2,
        PALAVER_DEFAULT_MODEL="busy",
    )
    busy = ScriptedEngine(slots=2, step=lambda _: gate, name="busy", fingerprint="b")
    idle = ScriptedEngine(slots=3, name="idle", fingerprint="i")
    async with running_stack(settings, busy, idle) as stack:
        await until(stack.client, "model_slots", 3, model="idle")
        for number in range(5):
            await stack.client.post("/jobs", json={"prompt": f"Number {number}."})
        samples = await until(stack.client, "model_turns_running", 2, model="busy")
        figures = {
            model: {
                name: value(samples, f"model_{name}", model=model)
                for name in ("workers", "slots", "slots_free", "turns_waiting", "turns_held")
            }
            for model in ("busy", "idle")
        }
        assert figures == {
            "busy": {
                "workers": 1,
                "slots": 2,
                "slots_free": 0,
                "turns_waiting": 3,
                "turns_held": 0,
            },
            "idle": {
                "workers": 1,
                "slots": 3,
                "slots_free": 3,
                "turns_waiting": 0,
                "turns_held": 0,
            },
        }
        # Without a label: the sum.
        assert (value(samples, "turns_waiting"), value(samples, "workers")) == (3, 2)
        gate.set_result(None)
        samples = await until(
            stack.client, "turns_ended_total", 5, model="busy", outcome="completed"
        )
        assert value(samples, "model_start_interval_seconds", model="busy") > 0
        assert value(samples, "queue_wait_seconds_count", model="busy") == 5
        assert ("palaver_model_start_interval_seconds", (("model", "idle"),)) not in samples


async def test_turns_of_a_model_without_workers_are_seen(bench: Bench) -> None:
    await bench.serve("w2", pool="lost")
    await bench.submit(model="lost")
    await bench.workers.leave("w2", "lost")
    await bench.redis.delete(bench.keys.worker("w2"))
    async with running_api(bench.settings) as client:
        samples = await scraped(client)
    assert value(samples, "model_turns_waiting", model="lost") == 1
    assert value(samples, "model_workers", model="lost") == 0
    assert value(samples, "model_workers", model=POOL) == 1


async def test_a_draining_worker_has_no_free_slots(bench: Bench) -> None:
    await bench.serve("w2")
    await bench.workers.drain("w2", POOL, ttl_s=60)
    async with running_api(bench.settings) as client:
        page = (await client.get("/metrics")).text
        samples = await scraped(client)
        data = await sampled(client)
    assert 'palaver_worker_draining{model="scripted",worker="w2"} 1.0' in page
    assert 'palaver_worker_draining{model="scripted",worker="w1"} 0.0' in page
    assert value(samples, "model_workers", model=POOL) == 2
    assert value(samples, "model_workers_draining", model=POOL) == 1
    assert value(samples, "model_slots", model=POOL) == 16
    assert value(samples, "model_slots_free", model=POOL) == 8
    assert [row["draining"] for row in data["workers"]] == [False, True]
    [model] = data["models"]
    assert (model["workers"], model["draining"], model["free"]) == (2, 1, 8)
