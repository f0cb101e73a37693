"""What Palaver adds to a turn: POST to reply with an engine that answers at once.

    python -m bench.overhead [--requests 400]

Palaver runs whole, as real processes: the API under uvicorn, a worker with a scripted engine, an
embedded Valkey. Beside it in the same run, interleaved: the refusal of a prompt by another API
whose queue is full; and stock arq on the same server, as its documentation has it (`enqueue_job`,
then `Job.result()`), without any HTTP.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import re
import socket
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from typing import Any

import httpx
import uvloop
from arq.connections import RedisSettings, create_pool
from arq.worker import Worker, func

from api.server import bind, serve
from shared import ids
from shared.config import Settings
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.submissions import Submissions
from shared.store.workers import WORKER_SILENCE_S, Workers
from shared.wire.limits import DEFAULT_OWNER
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from shared.wire.turn_request import TurnRequest
from shared.wire.worker_report import WorkerReport
from tests.scripted import ScriptedEngine
from tests.servers import free_port, make_settings, running_valkey, until_ready
from worker.wiring import run_worker

ROUNDS = 4
WARM_UP = 30
PAUSE_S = 0.01


async def reply(_ctx: dict[str, Any], prompt: str) -> str:
    """Stock arq's job."""
    return f"You said: {prompt}"


def api_process(settings: Settings) -> None:
    listener = bind(settings)
    uvloop.run(serve(settings, listener))


def worker_process(settings: Settings) -> None:
    uvloop.run(run_worker(settings, ScriptedEngine(), asyncio.Event()))


def arq_process(path: str) -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())
    settings = RedisSettings(unix_socket_path=path)
    function = func(reply, name="reply")  # type: ignore[arg-type]  # arq's type wants *args
    Worker(functions=[function], redis_settings=settings).run()


@contextlib.contextmanager
def running(target: Callable[..., None], *arguments: Any) -> Iterator[None]:
    process: BaseProcess = multiprocessing.get_context("spawn").Process(
        target=target, args=arguments
    )
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


class Palaver:
    """The client side of `POST /` on one kept connection, as lean as curl: a socket, no parser.

    Args:
        status: what every answer must have.
    """

    _body = b'{"prompt": "Hello"}'
    _request = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(_body) + _body
    )
    _length = re.compile(rb"content-length: (\d+)(?:\r\n[^\r]+)*\r\n\r\n")

    def __init__(self, name: str, port: int, status: int) -> None:
        self.name = name
        self._port = port
        self._status = b"HTTP/1.1 %d " % status
        self._socket = socket.create_connection(("127.0.0.1", port))

    def reconnect(self) -> None:
        """Begin anew: the server closes a connection that was idle for some seconds."""
        self._socket.close()
        self._socket = socket.create_connection(("127.0.0.1", self._port))

    def once(self) -> None:
        self._socket.sendall(self._request)
        answer = self._socket.recv(65536)
        while (head := self._length.search(answer)) is None or (
            len(answer) < head.end() + int(head[1])
        ):
            more = self._socket.recv(65536)
            assert more, "the connection was closed"
            answer += more
        assert answer.startswith(self._status), answer


class StockArq:
    """arq as its documentation has it."""

    name = "stock arq: enqueue_job to Job.result()"

    def __init__(self, path: str) -> None:
        self._loop = asyncio.new_event_loop()
        settings = RedisSettings(unix_socket_path=path)
        self._pool = self._loop.run_until_complete(create_pool(settings))

    def once(self) -> None:
        self._loop.run_until_complete(self._ask())

    def close(self) -> None:
        self._loop.run_until_complete(self._pool.aclose(close_connection_pool=True))
        self._loop.close()

    async def _ask(self) -> None:
        job = await self._pool.enqueue_job("reply", "Hello")
        assert job is not None
        await job.result()


def timed(number: int, once: Callable[[], None]) -> list[float]:
    """Milliseconds of each of `number` calls, one after another with a pause: low load."""
    times = []
    for _ in range(number):
        time.sleep(PAUSE_S)
        began = time.perf_counter()
        once()
        times.append((time.perf_counter() - began) * 1000)
    return times


def measure(palavers: Sequence[Palaver], arq: StockArq, requests: int) -> dict[str, list[float]]:
    """Interleaved rounds of all; the arq side does a tenth, because it takes so long."""
    timed(1, arq.once)
    times = defaultdict[str, list[float]](list)
    for palaver in palavers:
        timed(WARM_UP, palaver.once)
    for _ in range(ROUNDS):
        for palaver in palavers:
            palaver.reconnect()
            times[palaver.name] += timed(requests // ROUNDS, palaver.once)
        times[arq.name] += timed(max(5, requests // ROUNDS // 10), arq.once)
    arq.close()
    return times


async def until_up(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await until_ready(client)


async def fill_queue(settings: Settings) -> None:
    """As many turns as may wait, for a worker that was heard of once."""
    async with connect(settings) as redis:
        submissions = Submissions(redis, Keys(settings.namespace), settings)
        workers = Workers(redis, Keys(settings.namespace))
        await workers.announce(
            "nobody",
            WorkerReport(model_name="bench", slots=1),
            WORKER_SILENCE_S,
        )
        request = TurnRequest(prompt="Hello", context=None, replace_from=None, sampling=Sampling())
        for _ in range(settings.queue_limit):
            job, conversation = ids.new_job(), ids.new_conversation()
            await submissions.submit(
                Submission(
                    job_id=job,
                    conversation_id=conversation,
                    owner_id=DEFAULT_OWNER,
                    new=True,
                    instructions="",
                    request=request,
                )
            )


def row(name: str, times: list[float]) -> str:
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return (
        f"| {name} | {len(times)} | {statistics.median(times):.1f} | {p99:.1f} | "
        f"{ordered[0]:.1f} … {ordered[-1]:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=400)
    requests = parser.parse_args().requests
    with running_valkey() as server:
        settings, full = (make_settings(server.url, PORT=free_port()) for _ in range(2))
        path = str(server.socket)
        asyncio.run(fill_queue(full))
        with (
            running(api_process, settings),
            running(api_process, full),
            running(worker_process, settings),
            running(arq_process, path),
        ):
            for one in (settings, full):
                asyncio.run(until_up(one.port))
            palavers = (
                Palaver("Palaver: POST to reply", settings.port, 200),
                Palaver(f"Palaver: POST to 503, {full.queue_limit} wait", full.port, 503),
            )
            times = measure(palavers, StockArq(path), requests)
    print("| prompt to reply | n | p50 ms | p99 ms | range ms |\n| --- | --- | --- | --- | --- |")
    for name, values in times.items():
        print(row(name, values))


if __name__ == "__main__":
    main()
