"""Counts how a worker's turns ended and how long they took; reported with each heartbeat."""

from collections import Counter
from typing import Literal

from shared.wire.claim import Claim
from shared.wire.histograms import Histogram
from shared.wire.reply import Timings
from shared.wire.worker_report import TurnCounts, TurnsReport
from shared.wire.write_outcome import WriteOutcome

SummaryOutcome = Literal["made", "interrupted", "failed", "refused"]
"""`interrupted` by a turn; `refused` because what was summarised had changed."""


class TurnMetrics:
    """Counts since the start of the process.

    `outcomes` are the ends that this worker wrote: `completed` or a failure's code. `fenced` counts
    writes refused because the turn belonged to another worker, `resumed` starts that continued an
    earlier one, `crashed` those whose earlier worker was lost.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.counts: Counter[str] = Counter(fenced=0, resumed=0, crashed=0, handed_over=0)
        """What `TurnCounts` has, by its names."""
        self.histograms = {
            name: Histogram() for name in ("queue_wait", "first_token", "time_per_token", "turn")
        }

    def started(self, claim: Claim) -> None:
        """Count the start of a turn, if it continues an earlier one."""
        if claim.starts > 1:
            self.counts["resumed"] += 1
            self.counts["crashed"] += claim.suspect

    def ended(self, outcome: WriteOutcome, kind: str) -> None:
        """Count the end of a turn as Redis answered it."""
        # DUP: it was written before but the answer was lost, so it is counted now.
        if outcome in (WriteOutcome.OK, WriteOutcome.DUP):
            self.outcomes[kind] += 1
        elif outcome is WriteOutcome.FENCED:
            self.counts["fenced"] += 1

    def abandoned(self, code: str, count: int = 1) -> None:
        """Count turns without a worker that were ended as failed."""
        if count:
            self.outcomes[code] += count

    def handed_over(self) -> None:
        """Count a turn that was given back to the queue."""
        self.counts["handed_over"] += 1

    def observe(self, timings: Timings, num_tokens: int) -> None:
        """Measure a turn that was completed by its first start."""
        queued_s, prompt_s = timings.queued_ms / 1000, timings.prompt_ms / 1000
        reply_s = timings.generation_ms / 1000
        self.histograms["queue_wait"].observe(queued_s)
        self.histograms["first_token"].observe(queued_s + prompt_s)
        self.histograms["turn"].observe(queued_s + prompt_s + reply_s)
        if num_tokens > 1:
            self.histograms["time_per_token"].observe(reply_s / (num_tokens - 1))

    def summary_ended(self, outcome: SummaryOutcome, num_tokens: int = 0) -> None:
        """Count a summary, and the tokens that were evaluated and generated for it."""
        self.counts[f"summaries_{outcome}"] += 1
        self.counts["summary_tokens"] += num_tokens

    def report(self) -> TurnsReport:
        """The counts so far."""
        return TurnsReport(
            outcomes=dict(self.outcomes),
            counts=TurnCounts(**self.counts),
            histograms={name: counted.copy() for name, counted in self.histograms.items()},
        )
