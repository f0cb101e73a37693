"""Who waits for whom: one second of a worker with eight replies, as a chart.

    python -m bench.overlap --write docs/benchmarks

The worker runs whole, with a real model, an embedded Valkey and an API in another process; eight
clients stream. Recorded is when the engine's thread evaluates and draws, and when the event loop
is busy.
"""

import argparse
import asyncio
import selectors
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Final

import httpx

from bench.overhead import api_process, running
from shared.config import Settings
from tests.servers import free_port, make_settings, running_valkey, until_ready
from worker.engine.engine import LlamaEngine
from worker.engine_setup import open_engine
from worker.wiring import run_worker

REPLIES: Final = 8
SHOWN_S: Final = 1.0
LANES: Final = ("evaluating", "drawing", "event loop")
COLOURS: Final = ("#2f6f8f", "#c2722e", "#6b8f3a")
LEFT, WIDTH, ROW, TOP = 110, 1000, 34, 44


@dataclass
class Trace:
    """Spans of time by lane, in seconds of the monotonic clock."""

    spans: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: {lane: [] for lane in LANES}
    )

    def timed(self, lane: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, recorded."""

        def recorded(*arguments: Any, **named: Any) -> Any:
            began = time.monotonic()
            try:
                return call(*arguments, **named)
            finally:
                self.spans[lane].append((began, time.monotonic()))

        return recorded

    def within(self, begin: float) -> dict[str, list[tuple[float, float]]]:
        """The spans of the second from `begin` on, in seconds since then."""
        return {lane: list(_clipped(spans, begin)) for lane, spans in self.spans.items()}


def _clipped(spans: Sequence[tuple[float, float]], begin: float) -> Iterator[tuple[float, float]]:
    for start, end in spans:
        start, end = max(0.0, start - begin), min(SHOWN_S, end - begin)
        if end > start:
            yield start, end


class TimedSelector(selectors.DefaultSelector):
    """Between two waits for something to happen the event loop is busy."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._spans = trace.spans["event loop"]
        self._woken: float | None = None

    def select(self, timeout: float | None = None) -> Any:
        if self._woken is not None:
            self._spans.append((self._woken, time.monotonic()))
        events = super().select(timeout)
        self._woken = time.monotonic()
        return events


def record(trace: Trace, engine: LlamaEngine) -> None:
    """Have the engine's thread report when it evaluates and when it draws."""
    model: Any = engine._llama
    model.evaluate = trace.timed("evaluating", model.evaluate)
    model.draw = trace.timed("drawing", model.draw)


async def follow(client: httpx.AsyncClient, number: int, begun: asyncio.Event) -> None:
    """Stream one long reply, and tell when it has begun."""
    body = {"prompt": f"Tell me a long story about the number {number}.", "max_tokens": 400}
    headers = {"Accept": "text/event-stream"}
    async with client.stream("POST", "/", json=body, headers=headers) as response:
        async for chunk in response.aiter_bytes():
            if b"event: token" in chunk:
                begun.set()


async def traced(settings: Settings, trace: Trace) -> dict[str, list[tuple[float, float]]]:
    """One second of the worker in this process, while its replies are streamed."""
    engine = await asyncio.to_thread(open_engine, settings)
    assert isinstance(engine, LlamaEngine)
    record(trace, engine)
    stopping = asyncio.Event()
    worker = asyncio.create_task(run_worker(settings, engine, stopping))
    base_url = f"http://127.0.0.1:{settings.port}"
    async with httpx.AsyncClient(base_url=base_url, timeout=120) as client:
        await until_ready(client)
        begun = [asyncio.Event() for _ in range(REPLIES)]
        clients = [
            asyncio.create_task(follow(client, number, event)) for number, event in enumerate(begun)
        ]
        await asyncio.gather(*(event.wait() for event in begun))
        begin = time.monotonic()
        await asyncio.sleep(SHOWN_S)
        spans = trace.within(begin)
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
    stopping.set()
    await worker
    return spans


def shared_s(some: Sequence[tuple[float, float]], others: Sequence[tuple[float, float]]) -> float:
    """Seconds that are in spans of both."""
    return sum(
        max(0.0, min(end, other_end) - max(start, other_start))
        for start, end in some
        for other_start, other_end in others
    )


def summary(spans: dict[str, list[tuple[float, float]]]) -> list[str]:
    """What the chart shows, in words."""
    busy = {lane: sum(end - start for start, end in spans[lane]) for lane in LANES}
    overlap = shared_s(spans["event loop"], spans["evaluating"])
    longest_ms = max((end - start) * 1000 for start, end in spans["event loop"])
    rest = SHOWN_S - busy["evaluating"] - busy["drawing"]
    return [
        f"evaluating {busy['evaluating']:.0%}, drawing {busy['drawing']:.0%}, everything else of "
        f"the engine's thread {rest:.1%} of the second",
        f"event loop busy {busy['event loop']:.0%}, of that {overlap / busy['event loop']:.0%} "
        f"while the engine evaluates; never longer than {longest_ms:.1f} ms at a time",
    ]


def chart(spans: dict[str, list[tuple[float, float]]]) -> str:
    """The second as SVG, a row for each lane."""
    height = TOP + ROW * len(LANES) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {height}" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#1d2329">',
        f'<rect width="{LEFT + WIDTH + 20}" height="{height}" fill="#fff"/>',
        '<text x="16" y="26" font-size="16" font-weight="600">'
        f"One second of a worker, {REPLIES} replies</text>",
    ]
    for row, (lane, colour) in enumerate(zip(LANES, COLOURS, strict=True)):
        top = TOP + row * ROW
        parts.append(text(LEFT - 10, top + 21, "end", lane))
        parts.append(rect(LEFT, top, WIDTH, "#f2f3f5"))
        for start, end in spans[lane]:
            parts.append(rect(LEFT + WIDTH * start, top, WIDTH * (end - start), colour))
    for tenth in range(11):
        parts.append(text(LEFT + WIDTH * tenth / 10, height - 10, "middle", f"{tenth * 100}"))
    return "\n".join([*parts, "</svg>", ""])


def rect(x: float, row_top: float, width: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{row_top + 4}" width="{max(0.3, width):.1f}" height="{ROW - 8}" '
        f'fill="{colour}"/>'
    )


def text(x: float, y: float, anchor: str, words: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the folder for overlap.svg")
    options = parser.parse_args()
    trace = Trace()
    with running_valkey() as server:
        settings = make_settings(server.url, PORT=free_port(), PALAVER_SLOTS=REPLIES)
        with running(api_process, settings):
            loop = asyncio.SelectorEventLoop(TimedSelector(trace))
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                spans = runner.run(traced(settings, trace))
    for line in summary(spans):
        print(line)
    if options.write is not None:
        (options.write / "overlap.svg").write_text(chart(spans), encoding="utf-8")


if __name__ == "__main__":
    main()
