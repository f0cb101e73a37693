"""What Palaver adds to a turn: POST to reply with an engine that answers at once.

    python -m bench.overhead [--requests 400]

Palaver runs whole, as real processes: the API under uvicorn, a worker with a scripted engine, an
embedded Valkey. Beside it in the same run, interleaved: stock arq on the same server, as its
documentation has it (`enqueue_job`, then `Job.result()`), without any HTTP.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import re
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import httpx
import uvloop
from arq.connections import RedisSettings, create_pool
from arq.worker import Worker, func

from api.server import bind, serve
from shared.config import Settings
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
    """The client side of `POST /` on one kept connection, as lean as curl: a socket, no parser."""

    name = "Palaver: POST to reply"
    _body = b'{"prompt": "Hello"}'
    _request = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(_body) + _body
    )
    _length = re.compile(rb"content-length: (\d+)(?:\r\n[^\r]+)*\r\n\r\n")

    def __init__(self, port: int) -> None:
        self._port = port
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
        assert answer.startswith(b"HTTP/1.1 200"), answer


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


def measure(port: int, path: str, requests: int) -> dict[str, list[float]]:
    """Interleaved rounds of both; the arq side does a tenth, because it takes so long."""
    palaver, arq = Palaver(port), StockArq(path)
    timed(WARM_UP, palaver.once)
    timed(1, arq.once)
    times: dict[str, list[float]] = {palaver.name: [], arq.name: []}
    for _ in range(ROUNDS):
        palaver.reconnect()
        times[palaver.name] += timed(requests // ROUNDS, palaver.once)
        times[arq.name] += timed(max(5, requests // ROUNDS // 10), arq.once)
    arq.close()
    return times


async def until_up(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await until_ready(client)


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
        settings = make_settings(server.url, PORT=free_port())
        path = str(server.socket)
        with (
            running(api_process, settings),
            running(worker_process, settings),
            running(arq_process, path),
        ):
            asyncio.run(until_up(settings.port))
            times = measure(settings.port, path, requests)
    print("| prompt to reply | n | p50 ms | p99 ms | range ms |\n| --- | --- | --- | --- | --- |")
    for name, values in times.items():
        print(row(name, values))


if __name__ == "__main__":
    main()
