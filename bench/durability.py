"""What it costs to lose less: POST to reply with an engine that answers at once.

    python -m bench.durability [--requests 400]

The same server with its append-only file written every second, and before each answer; and one with
a replica that is waited for. All in one run, interleaved.
"""

import argparse
import asyncio
import contextlib
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Final

from bench.overhead import (
    ROUNDS,
    WARM_UP,
    Palaver,
    api_process,
    row,
    running,
    timed,
    until_up,
    worker_process,
)
from shared.config import Settings
from tests.faults.replicated import ReplicatedServer
from tests.servers import free_port, make_settings, running_valkey

_EVERY_SECOND: Final = "every second"
_ALWAYS: Final = "`PALAVER_FSYNC=always`"
_REPLICA: Final = "`PALAVER_REPLICAS=1`"


def all_settings(stack: contextlib.ExitStack) -> dict[str, Settings]:
    """What each row's processes run with, on servers that end with the stack."""
    every_second = stack.enter_context(running_valkey())
    always = stack.enter_context(running_valkey("--appendfsync", "always"))
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    one_copy = ReplicatedServer(folder, stack, "--min-replicas-to-write", "1")
    one_copy.until_copied()
    return {
        _EVERY_SECOND: make_settings(every_second.url, PORT=free_port()),
        _ALWAYS: make_settings(always.url, PORT=free_port()),
        _REPLICA: make_settings(one_copy.primary_url, PORT=free_port(), PALAVER_REPLICAS=1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=400)
    requests = parser.parse_args().requests
    times = defaultdict[str, list[float]](list)
    with contextlib.ExitStack() as stack:
        palavers = []
        for name, settings in all_settings(stack).items():
            stack.enter_context(running(api_process, settings))
            stack.enter_context(running(worker_process, settings))
            asyncio.run(until_up(settings.port))
            palavers.append(Palaver(name, settings.port, 200))
        for palaver in palavers:
            timed(WARM_UP, palaver.once)
        for _ in range(ROUNDS):
            for palaver in palavers:
                palaver.reconnect()
                times[palaver.name] += timed(requests // ROUNDS, palaver.once)
    print("| written | n | p50 ms | p99 ms | range ms |\n| --- | --- | --- | --- | --- |")
    for name, values in times.items():
        print(row(name, values))


if __name__ == "__main__":
    main()
