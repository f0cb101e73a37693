"""Studies of a cluster that nothing happens to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from bench.simulate.chart import Chart, Line
from bench.simulate.figures import Figures
from bench.simulate.section import Section
from bench.simulate.settings import Plan, Policy
from bench.simulate.simulation import simulate
from shared.placement import Limits

LOADS: Final = (0.3, 0.45, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05)
TARGET_LOADS: Final = (0.75, 0.85)
CACHES: Final = (50_000, 100_000, 200_000, 400_000, 800_000)
FACTORS: Final = (0, 1, 2, 3, 4, 6, 8)
ZIPFS: Final = (0.0, 0.5, 1.0, 1.3)
LONGEST_SHOWN_S: Final = 10.0


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def seconds(value: float) -> str:
    return f"{value:.2f}"


def at(plan: Plan, *, load: float, policy: Policy = Policy.BOUNDED) -> Plan:
    """The same with another load and policy."""
    return replace(
        plan,
        cluster=replace(plan.cluster, policy=policy),
        users=replace(plan.users, load=load),
    )


def targets(plan: Plan, sizes: Sequence[int]) -> Section:
    """What issue and design promise, and whether it holds."""
    return Section(
        title="Targets",
        question="The bounded policy should have 90 % of the hits of a strict home at load 0.75, "
        "75 % at 0.85; there at most 0.6 of its time to the first token (p95) and 0.5 of that "
        "without affinity; and serve 99 % of the turns that are offered.",
        columns=(
            "workers, load",
            "hits of strict",
            "first token p95 / strict",
            "/ no affinity",
            "turns of offered",
        ),
        rows=[
            _target(replace(plan, cluster=replace(plan.cluster, workers=size)), load)
            for size in sizes
            for load in TARGET_LOADS
        ],
    )


def _target(plan: Plan, load: float) -> list[str]:
    none, strict, ours = (simulate(at(plan, load=load, policy=policy)) for policy in Policy)
    p95 = ours.first_token(0.95)
    return [
        f"{plan.cluster.workers:,}, {load}",
        f"{ours.hits / strict.hits:.2f}",
        f"{p95 / strict.first_token(0.95):.2f}",
        f"{p95 / none.first_token(0.95):.2f}",
        f"{ours.of_offered:.3f}",
    ]


def loads(plan: Plan) -> Section:
    runs = {
        policy: [simulate(at(plan, load=load, policy=policy)) for load in LOADS]
        for policy in Policy
    }
    return Section(
        title="Load",
        question="Load is the share of all slots that would be busy if every prompt were cached.",
        columns=(
            "load, policy",
            "hits",
            "first token p50, s",
            "p95, s",
            "wait p95, s",
            "busiest / mean worker",
            "turns waiting",
            "turns of offered",
        ),
        rows=[
            [f"{load}, {policy.value}", *_row(figures)]
            for row, load in enumerate(LOADS)
            for policy, figures in ((policy, runs[policy][row]) for policy in Policy)
        ],
        charts={
            "simulation-hits": Chart(
                title="Cached share of what was evaluated before",
                across="load",
                lines=_against_load(runs, lambda figures: figures.hits),
                highest=1.0,
            ),
            "simulation-first-token": Chart(
                title=f"Time to the first token, 95 % below, s (cut off at {LONGEST_SHOWN_S:g})",
                across="load",
                lines=_against_load(runs, lambda figures: figures.first_token(0.95)),
                highest=LONGEST_SHOWN_S,
            ),
        },
    )


def _against_load(
    runs: dict[Policy, list[Figures]], value: Callable[[Figures], float]
) -> list[Line]:
    return [
        Line(name=policy.value, points=list(zip(LOADS, map(value, figures), strict=True)))
        for policy, figures in reversed(runs.items())
    ]


def _row(figures: Figures) -> Iterator[str]:
    yield percent(figures.hits)
    yield seconds(figures.first_token(0.5))
    yield seconds(figures.first_token(0.95))
    yield seconds(figures.waited(0.95))
    yield f"{figures.imbalance:.2f}"
    yield f"{figures.mean_queue:,.0f}"
    yield percent(figures.of_offered)


SHORT_COLUMNS: Final = ("hits", "first token p50, s", "p95, s", "turns of offered")


def _short_row(figures: Figures) -> list[str]:
    return [
        percent(figures.hits),
        seconds(figures.first_token(0.5)),
        seconds(figures.first_token(0.95)),
        percent(figures.of_offered),
    ]


def caches(plan: Plan) -> Section:
    def run(tokens: int, policy: Policy) -> Figures:
        sized = replace(plan, cluster=replace(plan.cluster, cache_tokens=tokens))
        return simulate(at(sized, load=0.75, policy=policy))

    runs = {
        policy: [run(tokens, policy) for tokens in CACHES]
        for policy in (Policy.STRICT, Policy.BOUNDED)
    }
    each = plan.users.conversations_per_slot * plan.cluster.slots
    return Section(
        title="Size of the cache",
        question=f"Load 0.75. There are {each} conversations of some 2,000 tokens for each worker, "
        "which keeps those that were used last, on the device and in host memory together.",
        columns=("tokens a worker, policy", *SHORT_COLUMNS),
        rows=[
            [f"{tokens:,}, {policy.value}", *_short_row(runs[policy][row])]
            for row, tokens in enumerate(CACHES)
            for policy in runs
        ],
        charts={
            "simulation-cache": Chart(
                title="Hits by the size of the cache, load 0.75",
                across="thousand tokens a worker",
                lines=[
                    Line(
                        name=policy.value,
                        points=[
                            (tokens / 1000, figures.hits)
                            for tokens, figures in zip(CACHES, of_policy, strict=True)
                        ],
                    )
                    for policy, of_policy in reversed(runs.items())
                ],
                highest=1.0,
            )
        },
    )


def factors(plan: Plan) -> Section:
    def run(factor: int, load: float) -> Figures:
        cluster = replace(plan.cluster, limits=Limits(wait_factor=factor))
        return simulate(at(replace(plan, cluster=cluster), load=load))

    return Section(
        title="How long to wait for a busy home",
        question="In multiples of what the home saves, at most 10 s.",
        columns=("load, factor", *SHORT_COLUMNS),
        rows=[
            [f"{load}, {factor}", *_short_row(run(factor, load))]
            for load in TARGET_LOADS
            for factor in FACTORS
        ],
    )


def activity(plan: Plan) -> Section:
    def run(zipf: float, policy: Policy) -> Figures:
        uneven = replace(plan, users=replace(plan.users, zipf=zipf))
        return simulate(at(uneven, load=0.85, policy=policy))

    return Section(
        title="How uneven activity is",
        question="Load 0.85; the i-th conversation asks in proportion to 1 / i ** zipf, none more "
        "often than every 8 s on average.",
        columns=("zipf, policy", *SHORT_COLUMNS),
        rows=[
            [f"{zipf}, {policy.value}", *_short_row(run(zipf, policy))]
            for zipf in ZIPFS
            for policy in (Policy.STRICT, Policy.BOUNDED)
        ],
    )


def stalls(plan: Plan) -> Section:
    """How much the figures depend on what a prompt costs the other replies."""

    def run(stall: float, policy: Policy) -> Figures:
        cluster = replace(plan.cluster, stall=stall)
        return simulate(at(replace(plan, cluster=cluster), load=0.85, policy=policy))

    return Section(
        title="What a prompt costs the other replies",
        question="Load 0.85; the share of their rate that replies lose while their worker "
        f"evaluates a prompt. All other figures of this page assume {plan.cluster.stall}.",
        columns=("share, policy", *SHORT_COLUMNS),
        rows=[
            [f"{stall}, {policy.value}", *_short_row(run(stall, policy))]
            for stall in (0.0, 0.5, 0.9)
            for policy in Policy
        ],
    )
