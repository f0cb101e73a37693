"""What the engine is measured against: the table of targets, and whether they are met."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bench.comparison.engines import DEFAULT, PALAVER, REUSING, UNIFIED
from bench.comparison.figures import METRICS, Run, Spread, ratios, spread

BEST: Final = (DEFAULT, UNIFIED)
"""The settings of llama-server that every workload is played with."""


@dataclass(frozen=True)
class Target:
    """A bound on Palaver's figure as a multiple of the best of `peers`, or on itself."""

    workload: str
    metric: str
    bound: float
    peers: tuple[str, ...] = BEST

    def seen(self, runs: Iterable[Run]) -> Spread | None:
        if not self.peers:
            return spread(runs, self.workload, PALAVER, self.metric)
        return ratios(runs, self.workload, self.metric, PALAVER, self.peers)

    def is_met(self, seen: Spread) -> bool:
        more_is_better = METRICS[self.metric].more_is_better
        return seen.median >= self.bound if more_is_better else seen.median <= self.bound


TARGETS: Final = (
    Target("own", "reply_tok_s", 1.0),
    Target("own", "host_share_percent", 5, ()),
    Target("shared", "first_ttft_p95_ms", 0.45),
    Target("shared", "reply_tok_s", 1.25),
    Target("many", "reply_tok_s", 1.0),
    Target("many", "later_ttft_p50_ms", 0.7),
    Target("one", "later_ttft_p50_ms", 1.10),
    Target("long", "later_ttft_p50_ms", 1.0, (REUSING,)),
    Target("long", "later_ttft_p95_ms", 1.0, (REUSING,)),
    Target("long", "later_ttft_p50_ms", 0.2, (DEFAULT,)),
    Target("long", "later_ttft_p95_ms", 0.2, (DEFAULT,)),
    Target("burst", "intrusion_gap_ms", 0.15),
    Target("burst", "intrusion_gap_ms", 300, ()),
)
