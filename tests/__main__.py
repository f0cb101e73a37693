"""Run the tests: `python -m tests [--fast] [arguments of pytest]`.

Unit and integration tests run in parallel, each with a namespace or a server of its own. Then come
whole processes with the model, and pages in a browser, a file at a time on half of the cores. Tests
of faults and of stops run one after the other, since seconds count in them. Without a path in the
arguments everything runs; `--fast` leaves out whatever needs the model, a browser, processes or
patience. The last line sums up what came of all.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from xml.etree import ElementTree

MOST_PROCESSES = 4
MOST_MODELS = 2
"""Processes of tests that run the model: more would only take the cores from one another."""
INTERRUPTED = 2
NOTHING_COLLECTED = 5
TOGETHER = ("tests/unit", "tests/integration")
STOPS = "tests/e2e/test_start_stop.py"
WITH_MODEL = ("tests/e2e", "tests/web", f"--ignore={STOPS}")
ALONE = ("tests/faults", STOPS)


@dataclass(frozen=True)
class Counts:
    """Results of a run of pytest."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def main() -> int:
    arguments = sys.argv[1:]
    is_fast = "--fast" in arguments
    arguments = [argument for argument in arguments if argument != "--fast"]
    started, total, worst = time.monotonic(), Counts(), 0
    for command in commands(arguments, is_fast):
        code, counts = run([*command, *arguments])
        total += counts
        worst = worst or (code if code != NOTHING_COLLECTED else 0)
        if code == INTERRUPTED:
            break
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(f"all in {minutes}:{seconds:02}")
    print(total)
    return worst or (0 if total.passed else NOTHING_COLLECTED)


def commands(arguments: Sequence[str], is_fast: bool) -> list[list[str]]:
    """The arguments of each run of pytest, without those that were given."""
    if any(Path(argument.split("::")[0]).exists() for argument in arguments):
        return [["-m", "not slow"] if is_fast else []]
    cores = os.cpu_count() or 1
    together = ["-n", str(min(MOST_PROCESSES, cores)), *TOGETHER]
    if is_fast:
        return [["-m", "not slow", *together]]
    by_file = ["-n", str(min(MOST_MODELS, cores)), "--dist", "loadfile", *WITH_MODEL]
    return [together, by_file, [*ALONE]]


def run(arguments: Sequence[str]) -> tuple[int, Counts]:
    """Run pytest; returns its exit status and what it counted."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
        try:
            code = subprocess.run(command, check=False).returncode
        except KeyboardInterrupt:
            code = INTERRUPTED
        return code, counts_of(report)


def counts_of(report: Path) -> Counts:
    if not report.exists():
        return Counts()
    (suite,) = ElementTree.parse(report).getroot().iter("testsuite")
    tests, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    return Counts(passed=tests - failed - skipped, failed=failed, skipped=skipped)


if __name__ == "__main__":
    sys.exit(main())
