"""What a model's weight types cost and give on this CPU: speed and perplexity, side by side.

    python -m bench.weights [--rounds 3]

The bundled model as it comes, and converted upwards as `PALAVER_CONVERT` would. Perplexity is that
of 16 chunks of 512 tokens of English text (Python's own help topics), the second half of each chunk
being scored. The types are measured in turn, in several rounds.
"""

import argparse
import pydoc_data.topics
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from bench.tables import print_table, spread
from tests.servers import make_settings
from worker.engine.backend import Part
from worker.engine.conversion import BF16, Q8_0, convert
from worker.engine.model import LlamaModel
from worker.engine.options import ModelOptions
from worker.engine_setup import model_path

THREADS: Final = 2
CHUNK: Final = 512
CHUNKS: Final = 16
SLOTS: Final = 16
STEPS: Final = 24
BATCHES: Final = (1, 8, 16)


def english() -> str:
    """Text that every Python brings along."""
    topics: dict[str, str] = pydoc_data.topics.topics
    return "\n".join(topics[name] for name in sorted(topics))


def perplexity(path: Path) -> float:
    model = LlamaModel(ModelOptions(path, CHUNK, THREADS))
    tokens = model.vocabulary.tokenize(english()[: CHUNKS * CHUNK * 8], special=False)
    losses = []
    for start in range(0, CHUNKS * CHUNK, CHUNK):
        chunk = tokens[start : start + CHUNK]
        model.clear(0)
        # A part of one token each: the logits of all are wanted.
        model.evaluate([Part(0, at, [token], True) for at, token in enumerate(chunk)])
        logits = model.logits()[CHUNK // 2 : -1].astype(np.float64)
        highest = logits.max(axis=1, keepdims=True)
        norm = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
        targets = np.array(chunk[CHUNK // 2 + 1 :])
        losses.append(norm - logits[np.arange(len(targets)), targets])
    model.close()
    return float(np.exp(np.concatenate(losses).mean()))


def timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def speeds(path: Path) -> dict[str, float]:
    """Tokens a second: of a prompt, and of replies by how many are decoded together."""
    model = LlamaModel(ModelOptions(path, 2 * CHUNK, THREADS, slots=SLOTS))
    prompt = [100 + i for i in range(CHUNK)]
    model.evaluate([Part(0, 0, prompt, True)])
    found = {}
    model.clear(0)
    found["prefill"] = CHUNK / timed(lambda: model.evaluate([Part(0, 0, prompt, True)]))
    for slot in range(SLOTS):
        model.clear(slot)
        model.evaluate([Part(slot, 0, prompt[:128], True)])
    length = 128
    for batch in BATCHES:

        def step(at: int, batch: int = batch) -> None:
            model.evaluate([Part(slot, at, [7], True) for slot in range(batch)])

        seconds = [timed(lambda at=length + n: step(at)) for n in range(STEPS)]  # type: ignore[misc]
        found[f"decode, {batch} together"] = batch / statistics.median(seconds)
        for slot in range(SLOTS):
            model.truncate(slot, length)
    model.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    bundled = model_path(make_settings("unix:///nowhere"))
    with tempfile.TemporaryDirectory() as folder:
        files = {"as it comes (Q4_1)": bundled}
        for kind in (Q8_0, BF16):
            files[kind.name.upper()] = Path(folder) / f"{kind.name}.gguf"
            convert(bundled, files[kind.name.upper()], kind, THREADS)
        samples: defaultdict[str, defaultdict[str, list[float]]]
        samples = defaultdict(lambda: defaultdict(list))
        for _ in range(rounds):
            for name, path in files.items():
                for what, speed in speeds(path).items():
                    samples[name][what].append(speed)
        report(files, samples)


def report(files: dict[str, Path], samples: dict[str, defaultdict[str, list[float]]]) -> None:
    columns = list(next(iter(samples.values())))
    rows = []
    for name, path in files.items():
        size = f"{path.stat().st_size / 2**20:.0f}"
        speeds_seen = (spread(samples[name][column], digits=0) for column in columns)
        rows.append([name, size, f"{perplexity(path):.2f}", *speeds_seen])
    print_table(["weights", "MiB", "perplexity", *(f"{c}, tok/s" for c in columns)], rows)


if __name__ == "__main__":
    main()
