"""What Redis does for a worker all of whose slots are busy: arithmetic from measured times."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.redis_cost.timing import Timing

SLOTS: Final = 8
TOKENS_A_SECOND: Final = 50
REPLY_TOKENS: Final = 250
TURNS_A_SECOND: Final = SLOTS * TOKENS_A_SECOND / REPLY_TOKENS
FOLLOWED_A_SECOND: Final = 10
UNFOLLOWED_A_SECOND: Final = 2
HEARTBEAT_S: Final = 10
FULL: Final = 0.7
"""Share of a core that Redis should not exceed."""

Calls = Mapping[str, float]
"""How often each script runs in a second; a publication has the pieces of all replies."""

_TURN: Final = {"submit": TURNS_A_SECOND, "take": TURNS_A_SECOND, "commit": TURNS_A_SECOND}
_ALIVE: Final = {"beat": 1 / HEARTBEAT_S, "announce": 1 / HEARTBEAT_S}
_FIRST_PIECES: Final = {"publish one": TURNS_A_SECOND}
_ALWAYS: Final = {**_TURN, **_ALIVE, **_FIRST_PIECES}
LOADS: Final[Mapping[str, Calls]] = {
    "nobody reads along": {**_ALWAYS, "publish": UNFOLLOWED_A_SECOND},
    "half of the turns are streamed": {
        **_ALWAYS,
        "publish, half": FOLLOWED_A_SECOND - UNFOLLOWED_A_SECOND,
        "publish, watched": UNFOLLOWED_A_SECOND,
    },
    "all turns are streamed": {**_ALWAYS, "publish, watched": FOLLOWED_A_SECOND},
}
CELLS: Final = 4
"""Of a worker that does not serve all: so many share its slots evenly."""
_ALIVE_IN_CELLS: Final = {name: CELLS * times for name, times in _ALIVE.items()}
_ALWAYS_IN_CELLS: Final = {**_TURN, **_ALIVE_IN_CELLS, **_FIRST_PIECES}
IN_CELLS: Final[Mapping[str, Calls]] = {
    "nobody reads along": {**_ALWAYS_IN_CELLS, "publish, two": CELLS * UNFOLLOWED_A_SECOND},
    "all turns are streamed": {
        **_ALWAYS_IN_CELLS,
        "publish, two watched": CELLS * FOLLOWED_A_SECOND,
    },
}
"""What a worker of several cells asks of all of them: in each it has two replies, not eight."""
BEFORE: Final[Calls] = {
    **_ALWAYS,
    "publish, watched": FOLLOWED_A_SECOND,
    "keep": 0.5,
    "beat": SLOTS / HEARTBEAT_S,
}
"""Each turn had a beat of its own, every piece was published ten times a second, and each worker
looked for lost turns itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """What one busy worker costs.

    Args:
        script_ms: of the scripts alone, in a second.
        cpu_ms: of the server's process, for calls that come one after another.
    """

    script_ms: float
    cpu_ms: float

    @property
    def workers(self) -> int:
        """How many one primary carries, by the scripts alone."""
        return workers_of(self.script_ms)

    @property
    def workers_by_cpu(self) -> int:
        return workers_of(self.cpu_ms)


def workers_of(ms_a_second: float) -> int:
    return int(FULL * 1000 / ms_a_second)


def busy(calls: Calls, timings: Mapping[str, Timing]) -> Busy:
    def ms(of: Callable[[Timing], float]) -> float:
        return sum(times * of(timings[name]) for name, times in calls.items()) / 1000

    return Busy(script_ms=ms(lambda t: t.median), cpu_ms=ms(lambda t: t.cpu))
