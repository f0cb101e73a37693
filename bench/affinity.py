"""What several workers cost conversations that go on: real processes, the bundled model.

    python -m bench.affinity [--runs 3 --only CASE --workers 1 2]

Conversations of six turns, in rotation or shuffled, on one worker and on more. *Ideal* is what a
turn could find in a cache: prompt and reply of the turn before, at most its own prompt. Every
figure is of the turns behind the first, and the median of all runs.
"""

import argparse
import asyncio
import itertools
import random
import re
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from bench.tables import print_table
from shared.wire.sse import EventDecoder
from tests.e2e.processes import Palaver, running_palaver

TURNS: Final = 6
REPLY: Final = 24
"""Tokens at most."""
TIMEOUT_S: Final = 120.0
TOPICS: Final = (
    "sea",
    "stars",
    "bread",
    "clocks",
    "trains",
    "music",
    "snow",
    "bridges",
    "tea",
    "maps",
    "birds",
    "glass",
)
"""One for each conversation, which has nothing but its scaffold in common with the others."""
ASKED: Final = (
    "Tell me something about {topic} that few people know.",
    "Why is that so? Explain it to a child.",
    "And how did people see it a hundred years ago?",
    "Give me an example from everyday life.",
    "What would you advise somebody who wants to know more about {topic}?",
    "Sum up what we said about {topic} in one sentence.",
)
COMPLETED: Final = re.compile(r"(worker\.\d+) +\| .*job (\S+) completed")


@dataclass(frozen=True, kw_only=True)
class Case:
    """Conversations, and how they are asked.

    Args:
        conversations: how many there are.
        is_shuffled: each round in another order; else in rotation.
        together: requests at a time.
        slots: of each worker; 0 for the default.
    """

    name: str
    conversations: int
    is_shuffled: bool
    together: int = 1
    slots: int = 0

    def order(self, seed: int) -> Iterator[int]:
        """The conversations' numbers, one for each turn."""
        rng, numbers = random.Random(seed), list(range(self.conversations))
        for _ in range(TURNS):
            if self.is_shuffled:
                rng.shuffle(numbers)
            yield from numbers


CASES: Final = {
    "rotation": Case(name="11 in rotation, one at a time", conversations=11, is_shuffled=False),
    "shuffled": Case(name="12 shuffled, one at a time", conversations=12, is_shuffled=True),
    "saturated": Case(
        name="12 shuffled, 4 at a time, 2 slots a worker",
        conversations=12,
        is_shuffled=True,
        together=4,
        slots=2,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a client sees of a turn."""

    job_id: str
    prompt: int
    cached: int
    total: int
    first_ms: float


@dataclass
class Talk:
    """A conversation under way; the lock keeps its turns in order."""

    number: int
    id: int | None = None
    turns: list[Turn] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def body(self) -> dict[str, Any]:
        topic = TOPICS[self.number]
        prompt = ASKED[len(self.turns)].format(topic=topic)
        opening = {"context": f"You know all about {topic}, and you answer briefly and kindly."}
        started = opening if self.id is None else {"id": self.id}
        return {"prompt": prompt, "max_tokens": REPLY, "temperature": 0, **started}

    async def go_on(self, client: httpx.AsyncClient) -> None:
        """One turn, read as it is written."""
        async with self.lock:
            began, first_s = time.perf_counter(), 0.0
            accept = {"Accept": "text/event-stream"}
            async with client.stream("POST", "/", json=self.body, headers=accept) as response:
                decoder = EventDecoder()
                async for chunk in response.aiter_bytes():
                    for event in decoder.feed(chunk):
                        if event.name == "token":
                            first_s = first_s or time.perf_counter() - began
                        elif event.name == "completed":
                            self._remember(orjson.loads(event.data), first_s)

    def _remember(self, answer: dict[str, Any], first_s: float) -> None:
        self.id, usage = answer["id"], answer["usage"]
        turn = Turn(
            job_id=answer["job"],
            prompt=usage["prompt_tokens"],
            cached=usage["prompt_tokens_details"]["cached_tokens"],
            total=usage["total_tokens"],
            first_ms=first_s * 1000,
        )
        self.turns.append(turn)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of one run, or the medians of several."""

    prompt: float
    cached: float
    ideal: float
    moved: float
    """Turns on another worker than the one before."""
    later: float
    """Turns behind the first of their conversations."""
    first_p50_ms: float
    first_p95_ms: float

    @property
    def hit(self) -> float:
        return self.cached / self.prompt

    @property
    def evaluated(self) -> float:
        """In multiples of what had to be."""
        return (self.prompt - self.cached) / (self.prompt - self.ideal)


def figures(talks: Sequence[Talk], workers: dict[str, str]) -> Figures:
    """Of all turns that have one before them."""
    pairs = [pair for talk in talks for pair in itertools.pairwise(talk.turns)]
    firsts = statistics.quantiles([turn.first_ms for _, turn in pairs], n=20)
    return Figures(
        prompt=sum(turn.prompt for _, turn in pairs),
        cached=sum(turn.cached for _, turn in pairs),
        ideal=sum(min(before.total, turn.prompt) for before, turn in pairs),
        moved=sum(workers[a.job_id] != workers[b.job_id] for a, b in pairs),
        later=len(pairs),
        first_p50_ms=firsts[9],
        first_p95_ms=firsts[18],
    )


def medians(runs: Sequence[Figures]) -> Figures:
    by_name = [asdict(run) for run in runs]
    return Figures(**{name: statistics.median(run[name] for run in by_name) for name in by_name[0]})


async def ask_all(url: str, case: Case, seed: int) -> list[Talk]:
    """All turns of a case, so many at a time."""
    talks = [Talk(number) for number in range(case.conversations)]
    waiting = case.order(seed)

    async def client_of(client: httpx.AsyncClient) -> None:
        for number in waiting:
            await talks[number].go_on(client)

    async with (
        httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as client,
        asyncio.TaskGroup() as clients,
    ):
        for _ in range(case.together):
            clients.create_task(client_of(client))
    return talks


def workers_of(palaver: Palaver, number: int) -> dict[str, str]:
    """Which worker answered which job; their log has it."""
    palaver.wait_for(COMPLETED.pattern, number)
    return {job: worker for worker, job in COMPLETED.findall(palaver.text)}


def run(case: Case, workers: int, seed: int) -> Figures:
    """A case on processes of its own."""
    slots = {"PALAVER_SLOTS": str(case.slots)} if case.slots else {}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_palaver(Path(folder), workers, PALAVER_THREADS="1", **slots) as palaver,
    ):
        talks = asyncio.run(ask_all(palaver.url, case, seed))
        return figures(talks, workers_of(palaver, case.conversations * TURNS))


def row(name: str, measured: Figures, alone: Figures | None) -> list[str]:
    return [
        name,
        f"{measured.prompt:,.0f}",
        f"{measured.cached:,.0f}",
        f"{measured.ideal:,.0f}",
        f"{measured.hit:.1%}",
        f"{measured.evaluated:.2f}",
        f"{measured.cached / alone.cached:.3f}" if alone else "–",
        f"{measured.moved:.0f} of {measured.later:.0f}",
        f"{measured.first_p50_ms:.0f}",
        f"{measured.first_p95_ms:.0f}",
    ]


COLUMNS: Final = [
    "workers: conversations",
    "prompt tokens",
    "cached",
    "ideal",
    "hit",
    "evaluated / ideal",
    "cached / one worker's",
    "on another worker",
    "first token p50, ms",
    "p95, ms",
]


def rows(cases: Iterable[Case], numbers: Sequence[int], runs: int) -> Iterator[list[str]]:
    for case in cases:
        alone = None
        for workers in numbers:
            measured = medians([run(case, workers, seed) for seed in range(runs)])
            alone = measured if workers == 1 else alone
            yield row(f"{workers}: {case.name}", measured, alone)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    cases = [CASES[options.only]] if options.only else list(CASES.values())
    print_table(COLUMNS, rows(cases, options.workers, options.runs))


if __name__ == "__main__":
    main()
