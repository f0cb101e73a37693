"""How long Redis works: by its own figures, which do not hold the time of this process."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, astuple, dataclass
from typing import Any, Final

PERCENTILES: Final = ("--latency-tracking-info-percentiles", "50", "99", "100")
"""Options of a server whose scripts are timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What one kind of call takes, in microseconds.

    Args:
        median: of the script alone.
        p99: of the script alone.
        longest: of the script alone.
        cpu: of the server's process for a whole call: reading, the script, writing, the file.
    """

    median: float
    p99: float
    longest: float
    cpu: float

    def quietest(self, other: "Timing | None") -> "Timing":
        """The lower of each figure: other processes only add to them."""
        if other is None:
            return self
        lower = map(min, astuple(self), astuple(other))
        return Timing(**dict(zip(asdict(self), lower, strict=True)))


def quietest(rounds: Iterable[Mapping[str, Timing]]) -> dict[str, Timing]:
    """Of each name, the figures that were disturbed least."""
    timings = dict[str, Timing]()
    for measured in rounds:
        for name, timing in measured.items():
            timings[name] = timing.quietest(timings.get(name))
    return timings


async def cpu_s(redis: Any) -> float:
    """CPU time that the server has used."""
    info = await redis.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


async def timed(redis: Any, times: int, call: Callable[[int], Awaitable[Any]]) -> Timing:
    """Call so many times, one call after another; nothing else may use the server."""
    await call(0)  # the script is known by now
    await redis.config_resetstat()
    before = await cpu_s(redis)
    for number in range(1, times + 1):
        await call(number)
    cpu = await cpu_s(redis) - before
    scripts = (await redis.info("latencystats"))["latency_percentiles_usec_evalsha"]
    median, p99, longest = (float(scripts[name]) for name in ("p50", "p99", "p100"))
    return Timing(median=median, p99=p99, longest=longest, cpu=cpu / times * 1e6)
