"""Studies of what happens to a cluster: deaths, a roll-out, growth; a heavy owner, a crowd."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final

from bench.simulate.chart import Chart, Line
from bench.simulate.figures import Figures, Span
from bench.simulate.section import Section
from bench.simulate.settings import Crowd, Deaths, Growth, Plan, Policy, Rollout
from bench.simulate.simulation import simulate
from bench.simulate.steady import at, percent, seconds
from bench.simulate.users import CROWD_OWNER, HEAVY_OWNER

LOAD: Final = 0.75
STEP_S: Final = 10.0
CHANGE_S: Final = 90.0
MEASURED_S: Final = 600.0
"""Long enough for a roll-out."""
LONGEST_SHOWN_S: Final = 5.0
HEAVY_LOADS: Final = (0.75, 0.85, 1.05)


def events(plan: Plan) -> Section:
    """Hits and waits before, during and after."""
    changes: dict[str, Deaths | Rollout | Growth] = {
        "1 % of the workers die": Deaths(at_s=CHANGE_S, share=0.01),
        "10 % die": Deaths(at_s=CHANGE_S, share=0.1),
        "roll-out, 5 % at a time": Rollout(at_s=CHANGE_S, share=0.05),
        "roll-out, 10 % at a time": Rollout(at_s=CHANGE_S, share=0.1),
        "20 % more workers": Growth(at_s=CHANGE_S, share=0.2),
    }
    long = replace(at(plan, load=LOAD), measured_s=MEASURED_S)
    runs = {name: simulate(replace(long, change=change)) for name, change in changes.items()}
    times = {name: run.over_time(STEP_S)[:-1] for name, run in runs.items()}
    return Section(
        title="Deaths, a roll-out, growth",
        question=f"Load {LOAD}. What happens begins after {CHANGE_S:.0f} s. Workers that die come "
        "back empty a minute later; their leases run out after 30 s, and only then their turns are "
        "taken over: the longest time after 10 % died is theirs. A roll-out waits for a worker's "
        "replies and starts it anew 15 s later.",
        columns=(
            "event",
            "hits before",
            "in the first minute after",
            "in the third minute after",
            "first token p95 before, s",
            "highest, s",
            "at the end, s",
        ),
        rows=[[name, *_before_and_after(spans)] for name, spans in times.items()],
        charts={
            "simulation-events-hits": Chart(
                title=f"Hits over time, load {LOAD}",
                across="s",
                lines=_over_time(times, lambda span: span.hits),
                highest=1.0,
            ),
            "simulation-events-first-token": Chart(
                title=f"Time to the first token over time, 95 % below, s (cut off at "
                f"{LONGEST_SHOWN_S:g})",
                across="s",
                lines=_over_time(times, lambda span: span.first_token_s),
                highest=LONGEST_SHOWN_S,
            ),
        },
    )


def _over_time(times: dict[str, list[Span]], value: Callable[[Span], float]) -> list[Line]:
    return [
        Line(name=name, points=[(span.at_s, value(span)) for span in spans])
        for name, spans in times.items()
    ]


def _before_and_after(spans: Sequence[Span]) -> list[str]:
    before = [span for span in spans if span.at_s < CHANGE_S]
    after = [span for span in spans if span.at_s >= CHANGE_S]
    return [
        percent(fmean(span.hits for span in before)),
        percent(_hits_between(after, 0, 60)),
        percent(_hits_between(after, 120, 180)),
        seconds(fmean(span.first_token_s for span in before)),
        seconds(max(span.first_token_s for span in after)),
        seconds(after[-1].first_token_s),
    ]


def _hits_between(spans: Sequence[Span], least_s: float, most_s: float) -> float:
    """In some seconds after the event."""
    return fmean(s.hits for s in spans if least_s <= s.at_s - CHANGE_S < most_s)


def heavy_owner(plan: Plan) -> Section:
    uneven = replace(plan, users=replace(plan.users, heavy_share=0.5))

    def row(load: float, policy: Policy) -> list[str]:
        figures = simulate(at(uneven, load=load, policy=policy))
        return [f"{load}, {policy.value}", *_two_groups(figures, HEAVY_OWNER)]

    return Section(
        title="One owner with half of the load",
        question="Waits for a slot, in seconds, of that owner's turns and of those of all others.",
        columns=("load, policy", "its p50", "its p95", "others' p50", "others' p95", "hits"),
        rows=[row(load, policy) for load in HEAVY_LOADS for policy in Policy],
    )


def _two_groups(figures: Figures, one: int) -> list[str]:
    return [
        *(seconds(figures.waited_by(share, lambda owner: owner == one)) for share in (0.5, 0.95)),
        *(seconds(figures.waited_by(share, lambda owner: owner != one)) for share in (0.5, 0.95)),
        percent(figures.hits),
    ]


def crowd(plan: Plan) -> Section:
    """New conversations with one beginning, all at once."""
    begins = plan.warm_up_s + 20.0
    busy = replace(
        plan,
        users=replace(plan.users, crowd=Crowd(begins_s=begins, lasts_s=60.0, share=0.3)),
    )

    def row(load: float, policy: Policy) -> list[str]:
        figures = simulate(at(busy, load=load, policy=policy))
        return [
            f"{load}, {policy.value}",
            *_first_tokens(figures, lambda owner: owner == CROWD_OWNER),
            *_first_tokens(figures, lambda owner: owner != CROWD_OWNER),
            percent(figures.hits),
        ]

    return Section(
        title="A crowd that asks one persona",
        question="For a minute new conversations of three turns come that begin with the same "
        "1,500 tokens: three for every ten other turns. Times to the first token, in seconds.",
        columns=("load, policy", "crowd p50", "crowd p95", "others' p50", "others' p95", "hits"),
        rows=[row(load, policy) for load in (0.5, 0.65) for policy in Policy],
    )


def _first_tokens(figures: Figures, is_one: Callable[[int], bool]) -> list[str]:
    return [seconds(figures.first_token_of(share, is_one)) for share in (0.5, 0.95)]
