"""The page: what was assumed, tables, charts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.simulate.chart import svg
from bench.simulate.section import Section
from bench.simulate.settings import Plan
from bench.tables import table

NAME: Final = "simulation.md"
COMMAND: Final = "python -m bench.simulate --write docs/benchmarks"


def assumptions(plan: Plan) -> str:
    cluster, users = plan.cluster, plan.users
    return (
        f"{cluster.workers:,} workers with {cluster.slots} slots each. A worker evaluates "
        f"{cluster.prompt_rate:,} prompt tokens a second, one prompt after another (those of up to "
        f"256 tokens first), and generates {cluster.reply_rate} tokens a second for each reply, "
        f"{1 - cluster.stall:.0%} of that while it evaluates. It holds {cluster.cache_tokens:,} "
        f"tokens of conversations. There are {users.conversations_per_slot} conversations for each "
        f"slot, whose activity follows Zipf's law (exponent {users.zipf:g}), "
        f"{users.conversations_per_owner} to an owner on average. Each has {users.turns} turns of "
        f"about {users.prompt_tokens} + {users.reply_tokens} tokens (replies log-normal) in a "
        f"window of {cluster.window:,}, then another one begins. Users read and think for at least "
        f"{users.think_s:g} s on average. Measured are {plan.measured_s:.0f} s after "
        f"{plan.warm_up_s:.0f} s; seed {plan.seed}."
    )


def page(plan: Plan, sections: Sequence[Section]) -> str:
    return "\n".join(_lines(plan, sections))


def _lines(plan: Plan, sections: Sequence[Section]) -> Iterator[str]:
    yield "# Placement, simulated"
    yield ""
    yield f"    {COMMAND}"
    yield ""
    yield (
        "A discrete-event simulation that runs the queue's own policy (`shared/placement.py`) and "
        "two others: *no affinity*, where the next free worker takes a turn, and *strict home*, "
        "where a turn waits for the worker that has its conversation, however long. *Bounded* is "
        "Palaver's. [Scaling](../scaling.md) says what follows from it."
    )
    yield ""
    yield assumptions(plan)
    yield ""
    yield (
        "*Hits* are cached prompt tokens as a share of those that were evaluated before. *Turns of "
        "offered* are turns that began, as a share of what users who never wait would ask. Redis, "
        "the network and the API take no time here."
    )
    for section in sections:
        yield ""
        yield f"## {section.title}"
        yield ""
        yield section.question
        yield ""
        for name, chart in section.charts.items():
            yield f"![{chart.title}]({name}.svg)"
            yield ""
        yield from table(section.columns, section.rows)
    yield ""


def write_page(folder: Path, plan: Plan, sections: Sequence[Section]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text(page(plan, sections), encoding="utf-8")
    for section in sections:
        for name, chart in section.charts.items():
            (folder / f"{name}.svg").write_text(svg(chart), encoding="utf-8")
