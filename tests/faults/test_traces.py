"""Traces of turns across processes, as a collector gets them; one that hangs or is gone."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.collector import CollectedSpan, Collector
from tests.faults.cluster import Cluster, Process, running_cluster
from tests.faults.helpers import assert_completed, ended, holder, post_job
from tests.servers import free_port
from tests.sse import all_events

CANARY = "xylophonequartz"
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
STAGES = ["prompt", "evaluate", "generate", "commit"]
TURN = ["queue", "chat scripted", *STAGES]
SLOW_S = 0.05
"""Between two pieces: a reply takes a second or two."""


@asynccontextmanager
async def traced_cluster(url: str, **options: str | float) -> AsyncIterator[Cluster]:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "20", **options}
    async with running_cluster(**variables) as cluster:  # type: ignore[arg-type]
        yield cluster


def one(spans: Sequence[CollectedSpan], name: str, attempt: int | None = None) -> CollectedSpan:
    """The only span of this name, or of this attempt."""
    [found] = [
        span
        for span in spans
        if span.name == name and attempt in (None, span.attributes.get("palaver.attempt"))
    ]
    return found


def below(spans: Sequence[CollectedSpan], parent: CollectedSpan) -> list[str]:
    """The names of a span's children, in the order in which they began."""
    children = [span for span in spans if span.parent == parent.id]
    return [span.name for span in sorted(children, key=lambda span: span.began_ns)]


def has_loaded_protobuf(process: Process) -> bool:
    """Whether a process has the library that OpenTelemetry's exporter needs (Linux)."""
    return "google/_upb" in Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")


async def test_a_turn_is_one_trace_from_the_clients_span_to_its_commit() -> None:
    with Collector() as collector:
        variables = {"OTEL_EXPORTER_OTLP_HEADERS": "x-team=chat"}
        async with (
            traced_cluster(collector.url, **variables) as cluster,
            cluster.client() as client,
        ):
            body = {"prompt": f"Say {CANARY}.", "context": f"You like {CANARY}.", "seed": 7}
            headers = TRACEPARENT | {"Authorization": f"Bearer {CANARY}"}
            answer = await client.post("/", json=body, headers=headers)
            spans = await collector.spans(1 + len(TURN))
    reply = answer.json()
    request, chat = one(spans, "POST /"), one(spans, "chat scripted")
    assert {span.trace for span in spans} == {TRACE}
    assert (request.service, request.parent) == ("palaver-api", CALLER)
    assert (chat.service, chat.parent) == ("palaver-worker", request.id)
    assert below(spans, request) == ["queue", "chat scripted"]
    assert below(spans, chat) == STAGES
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/",
        "http.response.status_code": 200,
        "palaver.request.id": answer.headers["x-request-id"],
        "palaver.job.id": reply["job"],
        "gen_ai.conversation.id": str(reply["id"]),
    }
    usage = reply["usage"]
    worker_id, first_s = (
        chat.attributes.pop(name)
        for name in ("palaver.worker.id", "gen_ai.response.time_to_first_chunk")
    )
    assert cluster.known_worker(worker_id) is None, "it has ended by now"
    assert 0 < first_s < 60
    assert chat.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "palaver",
        "gen_ai.conversation.id": str(reply["id"]),
        "gen_ai.request.model": "scripted",
        "gen_ai.request.seed": 7,
        "gen_ai.response.model": "scripted",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": usage["prompt_tokens"],
        "gen_ai.usage.output_tokens": usage["completion_tokens"],
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "palaver.job.id": reply["job"],
        "palaver.attempt": 1,
        "palaver.outcome": "completed",
        "palaver.window.turns_kept": 1,
        "palaver.window.turns_dropped": 0,
    }
    assert collector.paths == {"/v1/traces"}
    assert {headers["x-team"] for headers in collector.headers} == {"chat"}
    assert CANARY.encode() not in collector.raw


async def test_the_stages_of_a_turn_follow_one_another() -> None:
    with Collector() as collector:
        async with traced_cluster(collector.url) as cluster, cluster.client() as client:
            await client.post("/", json={"prompt": "Hello."})
            assert all(map(has_loaded_protobuf, cluster.processes))
            spans = await collector.spans(1 + len(TURN))
    stages = [one(spans, name) for name in ("queue", *STAGES)]
    chat = one(spans, "chat scripted")
    for earlier, later in pairwise(stages):
        assert earlier.began_ns <= earlier.ended_ns <= later.began_ns
    assert stages[0].ended_ns == chat.began_ns
    assert stages[-1].ended_ns == chat.ended_ns


async def test_the_request_of_a_stream_lasts_as_long_as_the_stream() -> None:
    with Collector() as collector:
        async with traced_cluster(collector.url) as cluster, cluster.client() as client:
            streamed = {"json": {"prompt": "Hello."}, "headers": {"Accept": "text/event-stream"}}
            async with client.stream("POST", "/", **streamed) as answer:  # type: ignore[arg-type]
                assert answer.status_code == 200
                async for _ in answer.aiter_bytes():
                    pass
            spans = await collector.spans(1 + len(TURN))
    request = one(spans, "POST /")
    assert request.ended_ns >= one(spans, "generate").ended_ns
    assert request.parent == "", "its client began no trace"


async def test_a_turn_that_is_taken_over_is_a_second_attempt_in_the_same_trace() -> None:
    with Collector() as collector:
        async with (
            traced_cluster(collector.url, lease_s=1, piece_s=SLOW_S) as cluster,
            cluster.client() as client,
        ):
            answer = await client.post("/jobs", json={"prompt": "Go on."}, headers=TRACEPARENT)
            job = answer.json()["job"]
            cluster.worker_of(await holder(cluster, job, at_least=8)).kill()
            assert_completed(await ended(client, job), "Go on.")
            await all_events(client, f"/jobs/{job}/events")
            spans = [span for span in await collector.spans(2 + len(TURN)) if span.trace == TRACE]
    chat = one(spans, "chat scripted")
    assert chat.attributes["palaver.attempt"] == 2
    assert chat.attributes["palaver.outcome"] == "completed"
    assert chat.parent == one(spans, "POST /jobs").id
    assert below(spans, chat) == STAGES


async def test_a_turn_that_is_handed_over_has_two_attempts_in_one_trace() -> None:
    with Collector() as collector:
        async with (
            traced_cluster(collector.url, piece_s=SLOW_S) as cluster,
            cluster.client() as client,
        ):
            answer = await client.post("/jobs", json={"prompt": "Go on."}, headers=TRACEPARENT)
            job = answer.json()["job"]
            await cluster.worker_of(await holder(cluster, job, at_least=8)).stop()
            assert_completed(await ended(client, job), "Go on.")
            await collector.spans(1 + len(TURN) + 5)
            spans = [span for span in await collector.spans(1) if span.trace == TRACE]
    first, second = (one(spans, "chat scripted", attempt) for attempt in (1, 2))
    assert first.attributes["palaver.outcome"] == "handed_over"
    assert not first.failed
    assert below(spans, first) == STAGES[:3]
    assert second.attributes["palaver.outcome"] == "completed"
    assert one(spans, "queue", 2).began_ns >= first.began_ns


async def test_a_turn_that_fails_says_why() -> None:
    with Collector() as collector:
        async with (
            traced_cluster(collector.url, PALAVER_CONTEXT_LENGTH="100") as cluster,
            cluster.client() as client,
        ):
            answer = await client.post("/", json={"prompt": CANARY * 20})
            spans = await collector.spans(1 + 3)
    assert answer.status_code == 422
    chat = one(spans, "chat scripted")
    assert chat.failed
    assert chat.attributes["error.type"] == answer.json()["code"] == "context_length_exceeded"
    assert below(spans, chat) == ["prompt"]
    assert CANARY.encode() not in collector.raw


@pytest.mark.parametrize("is_gone", [False, True], ids=["hangs", "is gone"])
async def test_a_collector_that_does_not_answer_harms_nothing(is_gone: bool) -> None:
    """Much more than its queue holds is dropped; every turn is answered, and processes stop."""
    small = {"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}
    with Collector(hangs=True) as collector:
        url = f"http://127.0.0.1:{free_port()}" if is_gone else collector.url
        async with traced_cluster(url, **small) as cluster, cluster.client() as client:
            for _ in range(10):
                job = (await post_job(client, "Hello."))["job"]
                assert_completed(await ended(client, job), "Hello.")
            if not is_gone:
                await collector.spans(1)
            statuses = [await process.stop() for process in cluster.processes]
            output = cluster.output
    assert statuses == [0] * len(statuses)
    assert "Traceback" not in output
    assert ("Queue full" in output) or is_gone


async def test_without_a_collector_there_is_nothing_of_it() -> None:
    """Jobs have no more fields, and no process has loaded OpenTelemetry."""
    async with running_cluster() as cluster, cluster.client() as client:
        answer = await client.post("/jobs", json={"prompt": "Hello."}, headers=TRACEPARENT)
        job = answer.json()["job"]
        await ended(client, job)
        async with cluster.redis() as redis:
            fields = await redis.hkeys(cluster.keys.job(job))  # type: ignore[misc]
        assert "traceparent" not in fields
        assert not any(map(has_loaded_protobuf, cluster.processes))
