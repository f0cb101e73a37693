"""What broken, slow and hostile clients do to the others.

    python -m bench.strangers [--clients 2400 --a-second 40 --together 150 --rounds 3]

An API with a scripted engine and a Valkey as real processes; the strangers are those of
`tests/faults/raw_clients.py`, in a process of their own. One ordinary client asks again and again
all the time, in rounds without them and with them. `--a-second 0` lets them come as fast as two
processors can make them: then they also take the time of everything else on the machine.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable

import httpx

from bench.tables import print_table
from tests.faults.hasty_api import LIFETIME_S
from tests.faults.raw_clients import storm
from tests.faults.test_raw_http import Process, running_hasty_api
from tests.servers import running_valkey

PAUSE_S = 0.01
"""An ordinary client is not in a hurry."""
QUIET_S = 15.0


def bother(port: int, clients: int, together: int, a_second: float) -> None:
    asyncio.run(storm(port, clients, together=together, limit_s=LIFETIME_S, a_second=a_second))


async def ask(client: httpx.AsyncClient, until: Callable[[], bool]) -> list[float]:
    """Milliseconds for each prompt and reply."""
    took: list[float] = []
    while not until():
        began = time.perf_counter()
        (await client.post("/", json={"prompt": "?"})).raise_for_status()
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(PAUSE_S)
    return took


async def quiet(client: httpx.AsyncClient, _api: Process, _args: argparse.Namespace) -> list[float]:
    end = time.monotonic() + QUIET_S
    return await ask(client, lambda: time.monotonic() > end)


async def bothered(
    client: httpx.AsyncClient, api: Process, args: argparse.Namespace
) -> list[float]:
    how = (api.port, args.clients, args.together, args.a_second)
    others = multiprocessing.Process(target=bother, args=how)
    others.start()
    try:
        return await ask(client, lambda: not others.is_alive())
    finally:
        others.join()


Round = Callable[[httpx.AsyncClient, Process, argparse.Namespace], Awaitable[list[float]]]


async def measure(args: argparse.Namespace) -> None:
    rows: list[list[str]] = []
    with running_valkey() as valkey:
        async with running_hasty_api(valkey) as api, api.client() as client:
            await quiet(client, api, args)
            for number in range(1, args.rounds + 1):
                rounds: dict[str, Round] = {"without": quiet, "with": bothered}
                for name, run in rounds.items():
                    before_kib = api.resident_kib()
                    cuts = statistics.quantiles(took := await run(client, api, args), n=100)
                    figures = [f"{cuts[49]:.1f}", f"{cuts[94]:.1f}", f"{cuts[98]:.1f}"]
                    grown = f"{(api.resident_kib() - before_kib) / 1024:.1f}"
                    rows.append([str(number), name, str(len(took)), *figures, grown])
    print_table(["round", "strangers", "prompts", "p50 ms", "p95 ms", "p99 ms", "+ MiB"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="What strangers do to the others.")
    parser.add_argument("--clients", type=int, default=2400)
    parser.add_argument("--a-second", type=float, default=40.0)
    parser.add_argument("--together", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
