"""Flash attention on this CPU, or not: single tokens, eight together, and chunks of a prompt.

    python -m bench.attention [--model FILE --rounds 6]

Milliseconds of a step behind contexts of several lengths; both take turns.
"""

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

from bench.tables import print_table, spread
from tests.servers import make_settings
from worker.engine.backend import Part
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions
from worker.engine_setup import model_path

THREADS: Final = 2
SLOTS: Final = 8
CHUNK: Final = 350
STEPS: Final = 6
CONTEXTS: Final = (200, 450, 700)
WINDOW: Final = 1024


def prefill(model: LlamaModel, tokens: list[int]) -> None:
    """The same in all slots."""
    model.clear(0)
    for start in range(0, len(tokens), CHUNK):
        model.evaluate([Part(0, start, tokens[start : start + CHUNK], True)])
    state = model.save(0)
    for slot in range(1, SLOTS):
        model.load(slot, state)


def step_ms(model: LlamaModel, parts: list[Part]) -> float:
    """One step, which is taken back afterwards."""
    began = time.perf_counter()
    model.evaluate(parts)
    ms = (time.perf_counter() - began) * 1000
    for part in parts:
        model.truncate(part.slot_id, part.start)
    return ms


def measured(model: LlamaModel, context: int) -> dict[str, float]:
    tokens = [100 + i for i in range(context + 200)]
    prefill(model, tokens[:context])
    found = {}
    for slots in (1, SLOTS):
        parts = [Part(slot, context, [7], True) for slot in range(slots)]
        found[f"{slots} decoded"] = statistics.median(step_ms(model, parts) for _ in range(STEPS))
    for size in (41, 100):
        chunk = Part(0, context, tokens[context : context + size], True)
        found[f"chunk of {size}"] = step_ms(model, [chunk])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    path = options.model or model_path(make_settings("unix:///nowhere"))
    models = {
        name: LlamaModel(ModelOptions(path, WINDOW, THREADS, SLOTS, flash_attention=flash))
        for name, flash in (("flash", True), ("plain", False))
    }
    samples: defaultdict[tuple[str, str, int], list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        for context in CONTEXTS:
            for name, model in models.items():
                for what, ms in measured(model, context).items():
                    samples[what, name, context].append(ms)
    steps = dict.fromkeys(what for what, _, _ in samples)
    print_table(
        ["ms a step", *(f"behind {context}" for context in CONTEXTS)],
        (
            [f"{what}, {name}", *(spread(samples[what, name, context]) for context in CONTEXTS)]
            for what in steps
            for name in models
        ),
    )


if __name__ == "__main__":
    main()
