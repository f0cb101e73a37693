"""The two layouts of the KV cache: a buffer for each slot, or one buffer for all.

    python -m bench.layouts [--model FILE --rounds 5]

Milliseconds of a decoding step of 4 and of 8 conversations of 500 tokens, while others of the same
length idle in the cache; and with gaps between the busy slots. Both layouts take turns.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.tables import print_table, spread
from tests.servers import make_settings
from worker.engine.backend import Part
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions
from worker.engine_setup import model_path

THREADS: Final = 2
LENGTH: Final = 500
WINDOW: Final = 640
STEPS: Final = 20
LAYOUTS: Final = {"a buffer for each slot": False, "one buffer": True}
BUSY: Final = {"4 busy": range(4), "8 busy": range(8), "4 busy, gaps between": range(0, 8, 2)}
IDLE: Final = (0, 8, 24)


def step_ms(model: LlamaModel, slots: Sequence[int]) -> float:
    """The median of some steps, which are taken back afterwards."""
    seconds = []
    for step in range(STEPS):
        began = time.perf_counter()
        model.evaluate([Part(slot, LENGTH + step, [7], True) for slot in slots])
        seconds.append(time.perf_counter() - began)
    for slot in slots:
        model.truncate(slot, LENGTH)
    return statistics.median(seconds) * 1000


def measured(path: Path, *, unified: bool) -> dict[tuple[str, int], float]:
    slots = 8 + max(IDLE)
    model = LlamaModel(ModelOptions(path, WINDOW, THREADS, slots=slots, unified=unified))
    found = {}
    model.evaluate([Part(0, 0, [100 + i for i in range(LENGTH)], True)])
    state = model.save(0)
    for name, busy in BUSY.items():
        for idle in IDLE:
            occupied = sorted({*busy, *range(8, 8 + idle)})
            for slot in range(slots):
                model.clear(slot)
            for slot in occupied:
                model.load(slot, state)
            found[name, idle] = step_ms(model, list(busy))
    model.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    path = options.model or model_path(make_settings("unix:///nowhere"))
    samples: defaultdict[tuple[str, str, int], list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        for layout, unified in LAYOUTS.items():
            for (busy, idle), ms in measured(path, unified=unified).items():
                samples[layout, busy, idle].append(ms)
    print_table(
        ["ms a step", *(f"{idle} idle" for idle in IDLE)],
        (
            [f"{busy}: {layout}", *(spread(samples[layout, busy, idle]) for idle in IDLE)]
            for busy in BUSY
            for layout in LAYOUTS
        ),
    )


if __name__ == "__main__":
    main()
