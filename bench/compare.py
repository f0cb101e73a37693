"""Palaver beside llama-server and llama-cpp-python's servers: same machine, model and threads.

    python -m bench.compare [--rounds 3 --workloads own,long --engines palaver,llama-server]

The first start builds llama-server (ten minutes on two cores) and converts the bundled model, both
under `build/`. Each round starts every server in turn for every workload, plays the workload over
HTTP and stops the server. A run waits until other processes leave the cores to it, and begins again
when they do not: threads that spin at a barrier lose far more than the share that others take. The
results go to `docs/benchmarks/compare.md`, with charts and raw figures beside it.
"""

import argparse
import datetime
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.comparison import workloads
from bench.comparison.build import BUILD, ROOT, build_peers, say
from bench.comparison.engines import ENGINES, SLOTS, Bench
from bench.comparison.figures import METRICS
from bench.comparison.models import AUTO, BUNDLED, CONVERTED, model_file, vocabulary_of
from bench.comparison.report import Results, targets_table, write_report
from bench.comparison.rounds import Comparison, schedule
from bench.cpu import cpu_model


def about(options: argparse.Namespace, model: Path) -> dict[str, Any]:
    """What the page's header names."""
    describe_commit = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(describe_commit, capture_output=True, text=True, check=False)
    return {
        "command": shlex.join(["python", "-m", "bench.compare", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "palaver": f"{metadata.version('palaver')} ({commit.stdout.strip()})",
        "llama_cpp_python": metadata.version("llama-cpp-python"),
        "model": model.name,
        "slots": SLOTS,
        "seed": options.seed,
    }


def names_in(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    """An option's type: names separated by commas."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in allowed]:
            raise argparse.ArgumentTypeError(f"{unknown}: allowed are {', '.join(allowed)}")
        return names

    return parse


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rounds", type=int, default=3)
    add("--workloads", type=names_in(workloads.NAMES), default=list(workloads.NAMES))
    add("--engines", type=names_in(tuple(ENGINES)), default=list(ENGINES))
    models = ", ".join((AUTO, *CONVERTED, BUNDLED))
    add("--model", default=AUTO, help=f"{models}, or a path (default: what a worker would run)")
    add("--threads", type=int, default=os.cpu_count() or 1)
    add("--seed", type=int, default=1)
    add("--patience", type=float, default=120, help="seconds to wait for a quiet machine")
    add("--tries", type=int, default=5, help="beginnings of a run that others disturb")
    add("--output", type=Path, default=ROOT / "docs" / "benchmarks", help="folder for the results")
    add("--render", action="store_true", help="only write the page anew, from compare.json")
    return parser.parse_args()


def measure(options: argparse.Namespace) -> Results:
    """All rounds; what has been measured is saved after every run."""
    peers = build_peers()
    model = model_file(options.model, BUILD / "models", options.threads).resolve()
    bench = Bench(model, options.threads, peers, vocabulary_of(model))
    comparison = Comparison(bench, options.seed, options.patience, options.tries)
    results = Results(about(options, model), [])
    for number, name, engine in schedule(options.rounds, options.workloads, options.engines):
        run = comparison.run(number, name, engine)
        results.runs.append(run)
        results.save(options.output)
        shown = (f"{METRICS[key].title} {value:,.1f}" for key, value in run.figures.items())
        say(f"round {number}, {name}, {engine}: {run.error or '; '.join(shown)}")
    return results


def main() -> int:
    options = parse_options()
    # SystemExit, so that the servers are stopped as they are after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options.output.mkdir(parents=True, exist_ok=True)
    results = Results.load(options.output) if options.render else measure(options)
    write_report(results, options.output)
    print(targets_table(results.runs))
    return int(any(run.error for run in results.runs))


if __name__ == "__main__":
    sys.exit(main())
