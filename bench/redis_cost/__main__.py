"""What Redis does for turns and workers: script times, bells, idle workers, workers a primary.

    python -m bench.redis_cost [--write docs/benchmarks]

Takes about three minutes on two cores. Times are the server's own. Everything is measured some
times and the quietest round counts, as other processes may disturb. The version before workers had
a row (456b700) is measured in the same session, alternating, in a temporary work tree.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop

from bench.redis_cost import bells
from bench.redis_cost.idle import Idle
from bench.redis_cost.page import Figures, lines, write
from bench.redis_cost.timing import Timing
from bench.waiters import raise_file_limit

ROOT: Final = Path(__file__).parents[2]
COMMIT_BEFORE: Final = "456b700"
OWNERS: Final = (1, 100, 1_000, 3_000)
OWNERS_BEFORE: Final = (1, 100, 1_000)
"""Filling a queue with more takes that version a minute."""
WAITING: Final = (1, 100, 1_000)
WORKERS: Final = 1_000


def run(module: str, *options: str, tree: Path = ROOT) -> Any:
    """The figures that a part prints, run in a tree of its own version."""
    command = [sys.executable, "-m", f"bench.redis_cost.{module}", *options]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.PIPE)
    return orjson.loads(done.stdout)


def scripts(owners: int, *options: str, tree: Path = ROOT) -> dict[str, Timing]:
    print(f"scripts, {owners} owners {' '.join(options)}", file=sys.stderr)
    answer = run("scripts", "--owners", str(owners), *options, tree=tree)
    return {name: Timing(**timing) for name, timing in answer.items()}


@contextlib.contextmanager
def tree_before() -> Iterator[Path | None]:
    """The version before, with these measurements; None if there is none."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        if not git("worktree", "add", "--detach", str(tree), COMMIT_BEFORE):
            yield None
            return
        try:
            shutil.copytree(ROOT / "bench" / "redis_cost", tree / "bench" / "redis_cost")
            yield tree
        finally:
            git("worktree", "remove", "--force", str(tree))


def git(*arguments: str) -> bool:
    """Whether git could do it."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def measure() -> Figures:
    load = os.getloadavg()[0]
    now, before = dict[int, dict[str, Timing]](), dict[int, dict[str, Timing]]()
    with tree_before() as tree:
        for owners in OWNERS:
            now[owners] = scripts(owners)
            if tree is not None and owners in OWNERS_BEFORE:
                before[owners] = scripts(owners, "--before", tree=tree)
    print("bells and idle workers", file=sys.stderr)
    rings = [uvloop.run(bells.measure(number)) for number in WAITING]
    idle = Idle(**run("idle", "--workers", str(WORKERS)))
    return Figures(load=load, now=now, before=before, rings=rings, idle=idle)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    raise_file_limit()
    figures = measure()
    print("\n".join(lines(figures)))
    if options.write is not None:
        write(options.write, figures)


if __name__ == "__main__":
    main()
