"""The machine: what it is, and how much of it others use while we measure (Linux)."""

import os
import time
from pathlib import Path
from typing import Final

from bench.comparison.build import say
from tests.servers import process_tree

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
QUIET: Final = 0.15
"""Cores that others may use: more, and two spinning threads lose far more than that share."""
QUIET_FOR_S: Final = 2.0


class OthersLoad:
    """How many cores are busy with what is not ours, since this object was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = busy_ticks() - our_ticks()

    def cores(self) -> float:
        """Processes of ours that have ended in the meantime would count as others'."""
        ticks = busy_ticks() - our_ticks() - self._before
        return max(0.0, ticks / TICKS_PER_S / (time.monotonic() - self._began))


def busy_ticks() -> int:
    """CPU time that was not idle, all cores together, what the hypervisor took included."""
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(
        int, Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:]
    )
    return user + nice + system + irq + softirq + steal


def our_ticks() -> int:
    """CPU time of this process and of all that it started."""
    return sum(map(process_ticks, process_tree(os.getpid())))


def process_ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def wait_until_quiet(limit_s: float) -> None:
    """Wait until others leave the machine to us, but no longer than that."""
    deadline, said = time.monotonic() + limit_s, False
    while time.monotonic() < deadline:
        others = OthersLoad()
        time.sleep(QUIET_FOR_S)
        if others.cores() <= QUIET:
            return
        if not said:
            said = True
            say(f"others use {others.cores():.1f} cores; waiting until they do not")
