"""How many users a worker has room for."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from bench.simulate.figures import Figures
from bench.simulate.section import Section
from bench.simulate.settings import Cluster, Plan
from bench.simulate.simulation import simulate
from bench.simulate.steady import at, percent, seconds

LOADS: Final = (0.6, 0.75, 0.85)
H100: Final = Cluster(workers=50, slots=32, prompt_rate=6500, reply_rate=70, cache_tokens=800_000)
"""An 8B model in Q4_K_M, 32 slots, greedy (docs/benchmarks/gpu.md)."""


def sizing(plan: Plan) -> Section:
    clusters = {
        "the worker above": plan.cluster,
        f"H100, {H100.cache_tokens:,} tokens": H100,
        f"H100, {2 * H100.cache_tokens:,} tokens": replace(
            H100, cache_tokens=2 * H100.cache_tokens
        ),
    }
    return Section(
        title="Users of a worker",
        question=f"The H100 evaluates {H100.prompt_rate:,} prompt tokens a second of an 8B model, "
        f"and generates {H100.reply_rate} for each of {H100.slots} replies ([measured](gpu.md)). "
        "It remembers so many tokens; unless quantized, one takes 128 KiB. *Users* ask once a "
        "minute.",
        columns=(
            "worker, load",
            "turns a second",
            "reply tokens a second",
            "users",
            "hits",
            "first token p50, s",
            "p95, s",
        ),
        rows=[
            [f"{name}, {load}", *_row(simulate(at(replace(plan, cluster=cluster), load=load)))]
            for name, cluster in clusters.items()
            for load in LOADS
        ],
    )


def _row(figures: Figures) -> Iterator[str]:
    plan = figures.plan
    turns = len(figures.at_s) / plan.measured_s / plan.cluster.workers
    yield f"{turns:.2f}"
    yield f"{turns * plan.users.reply_tokens:,.0f}"
    yield f"{60 * turns:,.0f}"
    yield percent(figures.hits)
    yield seconds(figures.first_token(0.5))
    yield seconds(figures.first_token(0.95))
