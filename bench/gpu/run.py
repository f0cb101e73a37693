"""Measure Palaver on a GPU: `python -m bench.gpu.run [--kit FOLDER] [--profile 8b --minutes 8]`.

Runs the steps one after another, each in a process of its own, and writes what is known after each
row to `results.json` and `report.md`: a crash costs one step, the end of the time the rest.
Needs Python and numpy; everything else comes out of the kit, or from this environment without one.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.gpu import kit
from bench.gpu.profiles import PROFILES
from bench.gpu.report import markdown

ROOT: Final = Path(__file__).resolve().parents[2]
STEPS: Final = {
    "machine": 60,
    "model": 120,
    "batched_bench": 150,
    "engine": 180,
    "drawing": 60,
    "intrusion": 90,
    "variants": 90,
    "state": 60,
    "moves": 60,
    "churn": 90,
    "host_cost": 120,
    "device_sampling": 90,
    "system": 120,
}
"""In this order; seconds that each may take."""
MODEL_OPTIONS: Final = ("gpu_threads", "drawing_threads")
LAST_LINES: Final = 15
LEFT_FOR_LAST_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run does, as its steps are told.

    Args:
        options: of every model, beside what a worker would choose.
    """

    profile: str
    model: str
    batched_bench: str | None
    options: Mapping[str, Any] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kit", type=Path, help="a folder made by bench.gpu.prepare")
    parser.add_argument("--profile", choices=PROFILES, default="8b")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--output", type=Path, default=Path("build/gpu-results"))
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=tuple(STEPS))
    parser.add_argument("--batched-bench", type=Path, help="llama.cpp's tool of the same build")
    for name in MODEL_OPTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help="see ModelOptions")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory(prefix="palaver-gpu-", dir=scratch()) as folder:
        environment, batched_bench = dict(os.environ), options.batched_bench
        if options.kit is not None:
            unpacked = kit.unpack(options.kit, Path(folder))
            environment = unpacked.environment
            batched_bench = batched_bench or unpacked.batched_bench
        plan = Plan(
            profile=options.profile,
            model=str(Path(folder) / "random.gguf"),
            batched_bench=str(batched_bench) if batched_bench is not None else None,
            options={n: v for n in MODEL_OPTIONS if (v := getattr(options, n)) is not None},
        )
        results = Results(options.output, options.kit)
        for name in options.steps:
            run_step(name, plan, results, environment, deadline)
    print(results.report(), flush=True)
    sys.exit(1 if results.failed else 0)


def scratch() -> str | None:
    """Where the model is written: in memory if there is plenty, else where temporary files go."""
    shm = Path("/dev/shm")
    roomy = shm.is_dir() and shutil.disk_usage(shm).free > 16 << 30
    return str(shm) if roomy else None


class Results:
    """What is known so far, on the disk at every moment.

    Args:
        folder: gets `results.json` and `report.md`.
        kit_folder: whose versions the results state.
    """

    def __init__(self, folder: Path, kit_folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, Any] = {"steps": {}}
        if kit_folder is not None:
            self._known["kit"] = json.loads((kit_folder / kit.VERSIONS).read_text("utf-8"))

    @property
    def failed(self) -> list[str]:
        return [name for name, step in self._known["steps"].items() if step.get("error")]

    def step(self, name: str, rows: list[dict[str, Any]], **facts: Any) -> None:
        self._known["steps"][name] = {"rows": rows, **facts}
        self._write("results.json", json.dumps(self._known, indent=1))
        self._write("report.md", self.report())

    def report(self) -> str:
        return markdown(self._known)

    def _write(self, name: str, text: str) -> None:
        unfinished = self._folder / f"{name}.part"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.rename(self._folder / name)


def run_step(
    name: str, plan: Plan, results: Results, environment: dict[str, str], deadline: float
) -> None:
    """Run one step in a process of its own and keep its rows, also if it does not end well."""
    left_s = deadline - time.monotonic() - LEFT_FOR_LAST_S
    if left_s <= 0:
        results.step(name, [], skipped="no time was left")
        return
    print(f"bench.gpu: {name} (at most {min(left_s, STEPS[name]):.0f} s)", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="palaver-gpu-step-") as folder:
        rows, log = Path(folder) / "rows.jsonl", Path(folder) / "log"
        rows.touch()
        command = [sys.executable, "-m", "bench.gpu.steps", name, json.dumps(vars(plan)), str(rows)]
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            error = wait(process, min(left_s, STEPS[name]))
        last = log.read_text("utf-8", "replace").splitlines()[-LAST_LINES:]
        found = [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    facts: dict[str, Any] = {"seconds": round(time.monotonic() - began, 1)}
    if error is not None:
        facts |= {"error": error, "log": last}
        print(f"bench.gpu: {name}: {error}", *last, sep="\n  ", flush=True)
    results.step(name, found, **facts)


def wait(process: "subprocess.Popen[bytes]", limit_s: float) -> str | None:
    """Wait for a step's end, and see to it; what went wrong, if anything did."""
    try:
        status = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        # Whatever it started goes with it.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status is None:
        return f"not done after {limit_s:.0f} s"
    return f"exit status {status}" if status != 0 else None


if __name__ == "__main__":
    main()
