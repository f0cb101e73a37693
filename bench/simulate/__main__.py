r"""Simulate a cluster, and write what came out.

    python -m bench.simulate [--workers 200] [--seed 1] [--only load,events] [--write FOLDER]

Everything takes a few minutes on one core. Without --write the page is printed; with it, it becomes
`simulation.md` and its charts in that folder. For another worker than the one assumed:

    python -m bench.simulate --only load,sizing --slots 16 --prompt-rate 2000 --reply-rate 30 \
        --cache-tokens 200000
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
from bench.simulate.sizing import sizing

TARGET_SIZES: Final = (200, 1000)
SECTIONS: Final[dict[str, Callable[[Plan], Section]]] = {
    "targets": lambda plan: steady.targets(plan, TARGET_SIZES),
    "load": steady.loads,
    "sizing": sizing,
    "wait": steady.factors,
    "cache": steady.caches,
    "activity": steady.activity,
    "stall": steady.stalls,
    "events": changes.events,
    "owner": changes.heavy_owner,
    "crowd": changes.crowd,
}


WORKER_OPTIONS: Final = {
    "slots": "replies side by side (%(default)s)",
    "prompt_rate": "prompt tokens a second (%(default)s)",
    "reply_rate": "tokens a second of each reply (%(default)s)",
    "cache_tokens": "tokens of conversations that it remembers (%(default)s)",
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
    for option, meaning in WORKER_OPTIONS.items():
        default = getattr(Cluster(), option)
        name = f"--{option.replace('_', '-')}"
        parser.add_argument(name, type=int, default=default, help=meaning)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(SECTIONS), help="some of: %(default)s")
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    worker = {option: getattr(options, option) for option in WORKER_OPTIONS}
    plan = Plan(cluster=Cluster(workers=options.workers, **worker), seed=options.seed)
    sections = run(names, plan)
    if options.write:
        write_page(options.write, plan, sections)
    else:
        print(page(plan, sections))


if __name__ == "__main__":
    main()
