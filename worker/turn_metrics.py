"""What became of a worker's turns, and how long they took; told with each heartbeat."""

from collections import Counter

from shared.wire.claim import Claim
from shared.wire.histograms import Histogram
from shared.wire.reply import Timings
from shared.wire.worker_report import TurnCounts, TurnsReport
from shared.wire.write_outcome import WriteOutcome


class TurnMetrics:
    """Counts since the process began.

    `outcomes` are the ends that this worker wrote, `completed` or a failure's code; `fenced` are
    writes that were refused because the turn was somebody else's by then; `resumed` starts that
    went on behind an earlier one; `crashed` those of them whose worker had been lost.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.counts: Counter[str] = Counter(fenced=0, resumed=0, crashed=0, handed_over=0)
        self.histograms = {
            name: Histogram() for name in ("queue_wait", "first_token", "time_per_token", "turn")
        }

    def started(self, claim: Claim) -> None:
        """A turn begins, or goes on, here."""
        if claim.starts > 1:
            self.counts["resumed"] += 1
            self.counts["crashed"] += claim.suspect

    def ended(self, outcome: WriteOutcome, kind: str) -> None:
        """A turn's end was written, or refused."""
        # Written before, but the answer was lost: it counts once, now.
        if outcome in (WriteOutcome.OK, WriteOutcome.DUP):
            self.outcomes[kind] += 1
        elif outcome is WriteOutcome.FENCED:
            self.counts["fenced"] += 1

    def given_up(self, code: str, count: int = 1) -> None:
        """Turns that nobody held any more were ended as failed."""
        if count:
            self.outcomes[code] += count

    def handed_over(self) -> None:
        """A turn was given back."""
        self.counts["handed_over"] += 1

    def took(self, timings: Timings, num_tokens: int) -> None:
        """A reply was completed by its first start."""
        queued_s, prompt_s = timings.queued_ms / 1000, timings.prompt_ms / 1000
        reply_s = timings.generation_ms / 1000
        self.histograms["queue_wait"].observe(queued_s)
        self.histograms["first_token"].observe(queued_s + prompt_s)
        self.histograms["turn"].observe(queued_s + prompt_s + reply_s)
        if num_tokens > 1:
            self.histograms["time_per_token"].observe(reply_s / (num_tokens - 1))

    def report(self) -> TurnsReport:
        """The counts so far."""
        return TurnsReport(
            outcomes=dict(self.outcomes),
            counts=TurnCounts(**self.counts),
            histograms={name: counted.copy() for name, counted in self.histograms.items()},
        )
