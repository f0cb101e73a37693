"""A storm's report as Markdown."""

import datetime
from collections.abc import Mapping

from tests.faults.audit import Findings
from tests.faults.ledger import Ledger

_SHOWN = 20

_INTRODUCTION = """\
# Reliability

Every accepted prompt reaches a terminal, visible outcome, exactly once in its conversation, in the
order in which it was accepted, whatever dies in between. This page is written by a run that tries
to disprove it:

    {command}

Three workers with a scripted engine and two APIs, each a process of its own with its own way to
one Valkey with an append-only file, one API and one worker by TLS; leases of 2 s, 4 turns at a
time in each worker, 100 attempts for each turn, because no turn is to blame for what kills the
workers here. Clients send every prompt under an idempotency key until somebody names its job, to
any of the APIs; they wait, stream, vanish and resume elsewhere, repeat requests in parallel,
cancel, and delete conversations in the middle of a turn. Meanwhile one fault follows the other. At
the end everything that the clients saw is compared with everything that is stored; each reply
names its turn's number, which is right only if its prompt held every turn before it, once. The
same storm with the fence of the workers taken away finds corruption
(`tests/faults/test_chaos.py`): it can fail.
"""


def report(
    ledger: Ledger,
    findings: Findings,
    seconds: float,
    *,
    command: str,
    date: datetime.date,
    cores: int,
) -> str:
    """The whole page."""
    turns = ledger.turns
    accepted = [turn for turn in turns if turn.job is not None]
    streamed = [turn for turn in turns if turn.streamed is not None]
    resumed = [turn for turn in streamed if turn.resumptions > 1]
    counts = {
        "conversations": len(ledger.talks),
        "prompts accepted": len(accepted),
        "faults": sum(ledger.faults.values()),
        "streams": len(streamed),
        "of these resumed at least once": len(resumed),
    }
    wrong = {
        "lost": findings.lost,
        "doubled": findings.doubled,
        "out of order": findings.disordered,
        "without a terminal state": findings.unended,
        "seen otherwise than stored": findings.different,
        "keys left over": findings.left_over,
        "not handed over by a stop": findings.kept,
    }
    parts = [
        _INTRODUCTION.format(command=command),
        f"{date}, {cores} cores, {seconds:,.0f} s.\n",
        _table("", counts),
        "What ought to be nothing:\n",
        _table("", {name: len(found) for name, found in wrong.items()}),
        "How the turns ended (those of deleted conversations were cancelled or gone with them):\n",
        _table("outcome", findings.outcomes),
        "Faults, each healed before the next:\n",
        _table("fault", ledger.faults),
        "What clients were told meanwhile before they tried again:\n",
        _table("answer", ledger.refusals),
    ]
    details = [f"- {name}: {one}" for name, found in wrong.items() for one in found[:_SHOWN]]
    return "\n".join(parts + details)


def _table(title: str, rows: Mapping[str, int]) -> str:
    lines = [f"| {title} | |", "|---|---:|"]
    lines += [f"| {name} | {count:,} |" for name, count in sorted(rows.items(), key=_by_count)]
    return "\n".join(lines) + "\n"


def _by_count(row: tuple[str, int]) -> tuple[int, str]:
    return -row[1], row[0]
