"""Runs: every workload with every engine, round after round, on a machine that others use, too."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

import uvloop

from bench.comparison.build import say
from bench.comparison.dialogues import MakeDialogue
from bench.comparison.engines import ENGINES, Bench
from bench.comparison.figures import Run, figures_of
from bench.comparison.machine import OthersLoad, wait_until_quiet
from bench.comparison.play import Played, play
from bench.comparison.workloads import Workload, make_workload, warm_up

PLAY_LIMIT_S: Final = 400.0
LOUD: Final = 0.5
"""Cores used by others that make a run worthless at once."""
GLANCE_S: Final = 2.0
ERROR_LENGTH: Final = 300


class Disturbed(Exception):
    """Others use the cores that we measure on."""


class Comparison:
    """Plays workloads with engines.

    Args:
        patience_s: how long to wait for a quiet machine before each run.
        tries: how often a run is begun; the last one is not given up, however loud it is.
    """

    def __init__(self, bench: Bench, seed: int, patience_s: float, tries: int) -> None:
        self._bench = bench
        self._seed = seed
        self._patience_s = patience_s
        self._tries = tries

    def run(self, round_number: int, name: str, engine: str) -> Run:
        """One run, begun again while others disturb it."""
        for _ in range(self._tries - 1):
            wait_until_quiet(self._patience_s)
            with contextlib.suppress(Disturbed):
                return self._run_once(round_number, name, engine, LOUD)
        wait_until_quiet(self._patience_s)
        return self._run_once(round_number, name, engine, float("inf"))

    def _run_once(self, round_number: int, name: str, engine: str, loud: float) -> Run:
        """That an engine fails is an outcome as well."""
        workload, dialogue = make_workload(name, self._seed), ENGINES[engine].dialogue(self._bench)
        try:
            with ENGINES[engine].start(self._bench, workload.window) as server:
                played, others = uvloop.run(self._play(workload, server.port, dialogue, loud))
                figures = figures_of(workload, played) | server.told()
        except Exception as error:
            if isinstance(cause(error), Disturbed):
                raise Disturbed from None
            return Run(round_number, name, engine, {}, error=describe(error))
        return Run(round_number, name, engine, figures, "", others, played.client_load)

    async def _play(
        self, workload: Workload, port: int, dialogue: MakeDialogue, loud: float
    ) -> tuple[Played, float]:
        """What the users saw of a fresh server, and how many cores others used meanwhile."""
        async with asyncio.timeout(PLAY_LIMIT_S), asyncio.TaskGroup() as group:
            await play(warm_up(self._seed), port, dialogue)
            others = OthersLoad()
            watching = group.create_task(watch(loud))
            played = await play(workload, port, dialogue)
            watching.cancel()
            return played, others.cores()


async def watch(limit: float) -> None:
    """Raises: Disturbed as soon as others use more cores than that."""
    while True:
        others = OthersLoad()
        await asyncio.sleep(GLANCE_S)
        if (cores := others.cores()) > limit:
            say(f"others use {cores:.1f} cores; again")
            raise Disturbed


def cause(error: BaseException) -> BaseException:
    """The innermost of grouped errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def describe(error: BaseException) -> str:
    """What went wrong, on one line."""
    innermost = cause(error)
    text = f"{type(innermost).__name__}: {innermost}".replace("`", "'")
    return " ".join(text.split())[-ERROR_LENGTH:]


def schedule(
    rounds: int, names: Sequence[str], engines: Sequence[str]
) -> Iterator[tuple[int, str, str]]:
    """Round, workload, engine; each round begins with another engine."""
    for number in range(rounds):
        first = number % len(engines)
        for name in names:
            for engine in (*engines[first:], *engines[:first]):
                if ENGINES[engine].plays(name):
                    yield number + 1, name, engine
