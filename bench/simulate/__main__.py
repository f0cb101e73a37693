"""Simulate a cluster, and write what came out.

    python -m bench.simulate [--workers 200] [--seed 1] [--only load,events] [--write FOLDER]

Everything takes a few minutes on one core. Without --write the page is printed; with it, it becomes
`simulation.md` and its charts in that folder.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from bench.simulate import changes, steady
from bench.simulate.page import page, write_page
from bench.simulate.section import Section
from bench.simulate.settings import Cluster, Plan

TARGET_SIZES: Final = (200, 1000)
SECTIONS: Final[dict[str, Callable[[Plan], Section]]] = {
    "targets": lambda plan: steady.targets(plan, TARGET_SIZES),
    "load": steady.loads,
    "wait": steady.factors,
    "cache": steady.caches,
    "activity": steady.activity,
    "stall": steady.stalls,
    "events": changes.events,
    "owner": changes.heavy_owner,
    "crowd": changes.crowd,
}


def run(names: Iterable[str], plan: Plan) -> list[Section]:
    sections = []
    for name in names:
        began = time.monotonic()
        sections.append(SECTIONS[name](plan))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return sections


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=200, help="but for the targets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(SECTIONS), help="some of: %(default)s")
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    plan = Plan(cluster=Cluster(workers=options.workers), seed=options.seed)
    sections = run(names, plan)
    if options.write:
        write_page(options.write, plan, sections)
    else:
        print(page(plan, sections))


if __name__ == "__main__":
    main()
