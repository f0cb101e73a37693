"""A storm's report as Markdown."""

import datetime
import itertools
import statistics
from collections import defaultdict
from collections.abc import Mapping

from tests.faults.audit import Findings
from tests.faults.ledger import Ledger

_SHOWN = 20

_INTRODUCTION = """\
# Reliability

Every accepted prompt reaches a terminal, visible outcome, exactly once in its conversation, in the
order in which it was accepted, whatever dies in between. This page is written by a run that tries
to disprove it:

<!-- not run by tests: it takes half an hour -->

    {command}

Five workers with scripted engines, three of one model and two of another, and two APIs, each a
process of its own with its own way to one Valkey with an append-only file, one API and one worker
by TLS. The file is written before anything is answered (`appendfsync always`): with `everysec`,
which the embedded server has, one that is killed while its disk is busy may lose what it accepted
in the last second or two. Leases are 2 s. Each worker runs two turns at a time, so that homes are
busy and turns are held for them; 100 attempts for each turn, because no turn is to blame for what
kills the workers here. The models have other token ids, and a reply names the model that wrote it.

Clients send every prompt under an idempotency key until somebody names its job, to any of the APIs;
they wait, stream, vanish and resume elsewhere, repeat requests in parallel, change the model of a
conversation, cancel, and delete conversations in the middle of a turn. Meanwhile one fault follows
the other; those of homes hit the worker that a turn is held for at that moment.

All the time the queue is counted: each waiting turn is in its model's line, each that may start is
either ready or held, each that runs has a lease, and nothing else is in any of these. At the end
everything that the clients saw is compared with everything that is stored; each reply names its
turn's number, which is right only if its prompt held every turn before it, once. The same storm
with the fence of the workers taken away finds corruption (`tests/faults/test_chaos.py`): it can
fail.
"""

_ON_NODES = """\
# Reliability on a Redis Cluster

The storm of [reliability](reliability.md) on a cluster of three primaries with a replica each, with
`PALAVER_REPLICAS={replicas}`:

<!-- not run by tests: it takes minutes -->

    {command}

Its faults hit a node that serves the installation, besides workers and APIs: it is killed, it
hangs until its replica is promoted and then comes back with what it was told in the meantime, and
it is killed after its replica has lost the connection to it, so that the one that is promoted lacks
what it has written since. Slots are moved, in one step and key by key, and other nodes die. Each
fault is healed before the next. Without replicas to wait for, the same storm finds what such
promotions lose (`tests/faults/test_chaos.py`). Streams are judged apart: pieces of replies are not
waited for ([durability](durability.md)).
"""


_REMEMBERED = """\
# Reliability of memory

The storm of [reliability](reliability.md) over conversations that are longer than their windows,
and half of them with `memory: "summary"`:

<!-- not run by tests: it takes minutes -->

    {command}

Replies name their turn's number by the turns in view, which have to follow each other, and end with
the one before. A summary names the turns that it was made from, and whose they are; one that is
made from others, or shown to others, makes the next reply wrong.
"""


def report(
    ledger: Ledger,
    findings: Findings,
    seconds: float,
    *,
    replicas: int | None,
    remembers: bool,
    command: str,
    date: datetime.date,
    cores: int,
) -> str:
    """The whole page; `replicas` of a Redis Cluster must have what is told, None on one server."""
    wrong = wrong_of(findings)
    introduction = _INTRODUCTION if replicas is None else _ON_NODES
    introduction = _REMEMBERED if remembers else introduction
    parts = [
        introduction.format(command=command, replicas=replicas),
        f"{date}, {cores} cores, {seconds:,.0f} s.\n",
        _table("", counts_of(ledger)),
        "What ought to be nothing:\n",
        _table("", {name: len(found) for name, found in wrong.items()}),
        "How the turns ended (those of deleted conversations were cancelled or gone with them):\n",
        _table("outcome", findings.outcomes),
        *_told_again(findings),
        *(_waits(ledger) if remembers else ()),
        "Faults, each healed before the next:\n",
        _table("fault", ledger.faults),
        "What clients were told meanwhile before they tried again:\n",
        _table("answer", ledger.refusals),
    ]
    details = [f"- {name}: {one}" for name, found in wrong.items() for one in found[:_SHOWN]]
    return "\n".join(parts + details)


def _told_again(findings: Findings) -> list[str]:
    count = len(findings.told_again)
    return [
        f"Streams that told pieces which were lost with a primary, and then those of the reply as "
        f"it is stored: {count}.\n"
    ] * bool(count)


def _waits(ledger: Ledger) -> list[str]:
    """What turns waited before they started, by what becomes of those before them."""
    waits: dict[str | None, list[float]] = defaultdict(list)
    for talk in ledger.talks:
        waits[talk.memory] += [t.waited_ms for t in talk.turns if t.waited_ms is not None]
    rows = [
        f"| {mode} | {len(waited):,} | {statistics.median(waited):.0f} | "
        f"{statistics.quantiles(waited, n=20)[-1]:.0f} |"
        for mode, waited in sorted(waits.items(), key=str)
        if len(waited) > 1
    ]
    head = ["| memory | turns | wait, ms (median) | 95 % below |", "|---|---:|---:|---:|"]
    return ["What they waited before they started:\n", "\n".join([*head, *rows]) + "\n"]


def counts_of(ledger: Ledger) -> dict[str, int]:
    """How much there was of everything."""
    streamed = [turn for turn in ledger.turns if turn.streamed is not None]
    return {
        "conversations": len(ledger.talks),
        "prompts accepted": sum(turn.job is not None for turn in ledger.turns),
        "turns that name another model than the one before": changed_models(ledger),
        "faults": sum(ledger.faults.values()),
        "streams": len(streamed),
        **_reminded(ledger),
        "of these resumed at least once": sum(turn.resumptions > 1 for turn in streamed),
        **ledger.looks,
    }


def _reminded(ledger: Ledger) -> dict[str, int]:
    count = sum(turn.is_reminded for turn in ledger.turns)
    return {"turns whose prompt had a summary": count} if count else {}


def wrong_of(findings: Findings) -> dict[str, list[str]]:
    """What ought to be nothing, in words."""
    return {
        "lost": findings.lost,
        "doubled": findings.doubled,
        "out of order": findings.disordered,
        "without a terminal state": findings.unended,
        "seen otherwise than stored": findings.different,
        "keys left over": findings.left_over,
        "not handed over by a stop": findings.kept,
        "in line for another model than named": findings.strange,
        "moments at which the queue did not add up": findings.miscounted,
        "workers that would not have been woken": findings.idle,
        "internal errors": findings.unforeseen,
    }


def changed_models(ledger: Ledger) -> int:
    """How many completed turns name another model than the one before in their conversation."""
    count = 0
    for talk in ledger.talks:
        named = [turn.model for turn in talk.turns if turn.status == "completed" and turn.model]
        count += sum(one != other for one, other in itertools.pairwise(named))
    return count


def _table(title: str, rows: Mapping[str, int]) -> str:
    lines = [f"| {title} | |", "|---|---:|"]
    lines += [f"| {name} | {count:,} |" for name, count in sorted(rows.items(), key=_by_count)]
    return "\n".join(lines) + "\n"


def _by_count(row: tuple[str, int]) -> tuple[int, str]:
    return -row[1], row[0]
