"""What `worker/stream_worker.py` relies upon in arq 0.28, so that an upgrade fails loudly."""

import asyncio
import contextlib
import importlib.metadata
import inspect
import pickle
from collections.abc import AsyncIterator
from typing import Any, cast

import orjson
import pytest
from arq.connections import ArqRedis
from arq.constants import job_key_prefix, retry_key_prefix
from arq.jobs import deserialize_job_raw, serialize_job
from arq.utils import timestamp_ms
from arq.worker import Worker, func
from redis.asyncio import ConnectionPool

from worker.arq_records import ArqRecords
from worker.stream_worker import StreamWorker

JOB = "0190a0b0c0d0e0f0a1b2c3d4e5f60718:1"
DEFINITION = serialize_job("reply", (), {}, None, 0, serializer=orjson.dumps)


class Pipeline:
    """Notes the commands that it is given, and answers from a script."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool

    def __getattr__(self, command: str) -> Any:
        def note(*arguments: Any, **named: Any) -> None:
            self._pool.commands.append((command, *arguments, *named.values()))

        return note

    async def execute(self) -> list[Any]:
        return [self._pool.definition, self._pool.job_try, True]


class Pool:
    """As much of a Redis as `run_job` asks for."""

    default_queue_name = "arq:queue"

    def __init__(self, definition: bytes | None, job_try: int = 1) -> None:
        self.definition = definition
        self.job_try = job_try
        self.commands: list[tuple[Any, ...]] = []
        self.closed = False

    @contextlib.asynccontextmanager
    async def pipeline(self, transaction: bool) -> AsyncIterator[Pipeline]:
        yield Pipeline(self)

    async def delete(self, *names: str) -> int:
        self.commands.append(("delete", *names))
        return len(names)

    async def close(self, close_connection_pool: bool | None = None) -> None:
        self.closed = True


class Recorder(Worker):
    """An arq worker as `StreamWorker` makes one; what it is told of ends is noted."""

    def __init__(self, pool: Pool | ArqRecords, seen: list[Any]) -> None:
        async def reply(ctx: dict[str, Any]) -> None:
            seen.append(ctx)
            if ctx.get("raises"):
                raise ctx["raises"]

        self.finished: list[tuple[Any, ...]] = []
        self.failed: list[tuple[Any, ...]] = []
        super().__init__(
            functions=[func(reply, name="reply", timeout=None)],
            redis_pool=cast(ArqRedis, pool),
            queue_name=None,
            max_jobs=3,
            job_timeout=cast(int, None),
            poll_delay=0,
            max_tries=1 << 30,
            keep_result=0,
            handle_signals=False,
            retry_jobs=False,
            log_results=False,
            ctx={"ours": 5},
            job_serializer=orjson.dumps,
            job_deserializer=orjson.loads,
        )

    async def finish_job(self, *arguments: Any) -> None:
        self.finished.append(arguments)

    async def finish_failed_job(self, *arguments: Any) -> None:
        self.failed.append(arguments)


def test_the_version_is_the_one_that_was_read() -> None:
    assert importlib.metadata.version("arq").startswith("0.28.")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_poll_iteration", ["self"]),
        ("record_health", ["self"]),
        ("close", ["self"]),
        ("async_run", ["self"]),
        ("main", ["self"]),
        ("run_job", ["self", "job_id", "score"]),
        ("finish_failed_job", ["self", "job_id", "result_data"]),
        (
            "finish_job",
            [
                "self",
                "job_id",
                "finish",
                "result_data",
                "result_timeout_s",
                "keep_result_forever",
                "incr_score",
                "keep_in_progress",
            ],
        ),
    ],
)
def test_the_methods_have_the_parameters_that_are_relied_upon(
    name: str, parameters: list[str]
) -> None:
    method = getattr(Worker, name)
    assert inspect.iscoroutinefunction(method)
    assert list(inspect.signature(method).parameters) == parameters
    assert list(inspect.signature(getattr(StreamWorker, name)).parameters) == parameters


def test_the_constructor_takes_what_it_is_given() -> None:
    given = {
        "functions", "redis_pool", "queue_name", "max_jobs", "job_timeout", "poll_delay",
        "max_tries", "keep_result", "handle_signals", "retry_jobs", "log_results", "ctx",
        "job_serializer", "job_deserializer",
    }  # fmt: skip
    assert given <= set(inspect.signature(Worker.__init__).parameters)


async def test_the_attributes_are_there_from_the_start() -> None:
    worker = Recorder(Pool(None), [])
    assert worker.tasks == {}
    assert worker.job_tasks == {}
    assert worker.job_counter == 0
    assert worker.max_jobs == 3
    assert worker.allow_pick_jobs is True
    assert worker.main_task is None
    assert worker.loop is asyncio.get_running_loop()
    assert worker.ctx == {"ours": 5}


def records() -> ArqRecords:
    """Our own pool; nothing is behind its connections."""
    return ArqRecords("reply", ConnectionPool())


async def test_our_definition_is_json_that_arq_reads() -> None:
    definition, job_try, _ = await records().pipeline(transaction=True).execute()
    assert isinstance(orjson.loads(definition), dict)
    function, args, kwargs, enqueue_try, _ = deserialize_job_raw(
        definition, deserializer=orjson.loads
    )
    assert (function, list(args), kwargs) == ("reply", [], {})
    assert enqueue_try is None
    assert job_try == 1


async def test_a_job_runs_on_our_records_without_any_redis() -> None:
    seen: list[Any] = []
    worker = Recorder(records(), seen)
    await worker.run_job(JOB, timestamp_ms())
    await worker.run_job(JOB, timestamp_ms())
    assert [ctx["job_id"] for ctx in seen] == [JOB, JOB]
    assert [ctx["job_try"] for ctx in seen] == [1, 1]
    assert worker.failed == []


async def test_closing_a_worker_on_our_records_asks_no_redis() -> None:
    await Recorder(records(), []).close()


async def test_a_job_begins_with_a_get_an_incr_and_an_expire_and_asks_nothing_else() -> None:
    pool = Pool(DEFINITION)
    await Recorder(pool, []).run_job(JOB, timestamp_ms())
    assert pool.commands == [
        ("get", f"{job_key_prefix}{JOB}"),
        ("incr", f"{retry_key_prefix}{JOB}"),
        ("expire", f"{retry_key_prefix}{JOB}", 88400),
    ]


async def test_the_function_gets_our_context_and_the_arq_id() -> None:
    seen: list[Any] = []
    worker = Recorder(Pool(DEFINITION), seen)
    await worker.run_job(JOB, timestamp_ms())
    assert (seen[0]["job_id"], seen[0]["ours"]) == (JOB, 5)
    assert worker.finished == [(JOB, True, None, 0, False, None, None)]
    assert worker.failed == []


async def test_a_job_that_was_started_many_times_is_started_again() -> None:
    seen: list[Any] = []
    await Recorder(Pool(DEFINITION, job_try=100_000), seen).run_job(JOB, timestamp_ms())
    assert len(seen) == 1


@pytest.mark.parametrize("error", [RuntimeError("bad"), asyncio.CancelledError()])
async def test_a_function_that_raises_is_finished_and_not_retried(error: BaseException) -> None:
    worker = Recorder(Pool(DEFINITION), [])
    worker.ctx["raises"] = error
    await worker.run_job(JOB, timestamp_ms())
    assert [(arguments[0], arguments[1]) for arguments in worker.finished] == [(JOB, True)]


@pytest.mark.parametrize(
    "definition",
    [
        None,
        b"no JSON",
        pickle.dumps({"t": 1, "f": "reply", "a": (), "k": {}, "et": 0}),
        serialize_job("unknown", (), {}, None, 0, serializer=orjson.dumps),
    ],
)
async def test_what_cannot_be_run_ends_as_failed_and_is_never_unpickled(
    definition: bytes | None,
) -> None:
    seen: list[Any] = []
    worker = Recorder(Pool(definition), seen)
    await worker.run_job(JOB, timestamp_ms())
    assert [arguments[0] for arguments in worker.failed] == [JOB]
    assert seen == []
    assert worker.finished == []


async def test_main_calls_poll_iteration_until_it_is_cancelled() -> None:
    class Counting(Recorder):
        calls = 0

        async def _poll_iteration(self) -> None:
            self.calls += 1
            if self.calls == 3:
                assert self.main_task is not None
                self.main_task.cancel()

    class Answering(Pool):
        """Answers what `main` logs of the server, too."""

        @contextlib.asynccontextmanager
        async def pipeline(self, transaction: bool) -> AsyncIterator[Pipeline]:
            yield Server(self)

    class Server(Pipeline):
        async def execute(self) -> list[Any]:
            memory, clients = {"used_memory_human": "1M"}, {"connected_clients": 1}
            return [{"redis_version": "9"}, memory, clients, 0]

    worker = Counting(Answering(None), [])
    with pytest.raises(asyncio.CancelledError):
        await worker.async_run()
    assert worker.calls == 3


async def test_close_cancels_the_tasks_and_closes_the_pool() -> None:
    pool = Pool(None)
    worker = Recorder(pool, [])

    async def endless() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    task = worker.tasks[JOB] = asyncio.create_task(endless())
    await asyncio.wait({task}, timeout=0)
    await worker.close()
    assert task.done()
    assert pool.closed
