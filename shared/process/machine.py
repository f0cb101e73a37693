"""How many cores and how much memory this process may use.

Both can be less than the machine has: because of the process's affinity, and the limits of its
control group, which containers and service managers set. Outside Linux, the machine's figures
count.
"""

import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_FILES: Final = Path("/")
_UNLIMITED: Final = 1 << 60
"""Version 1 of control groups writes "no limit" as a very large number."""


def usable_cores(root: Path = _FILES) -> int:
    """Number of cores that this process may use, rounded up.

    Args:
        root: the file system's root; tests use another.
    """
    cores = [_affinity(), *_limits(root, "cpu", _quota)]
    return max(1, min(cores))


def usable_memory(root: Path = _FILES) -> int:
    """Bytes of memory that this process and the others in its control group may use."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_limits(root, "memory", _memory)])


def available_memory(root: Path = _FILES) -> int:
    """Bytes of memory that this process could have now, without driving others out."""
    return max(0, min([_unused(root), *_limits(root, "memory", _left)]))


def _unused(root: Path) -> int:
    """What the machine has left; pages of files give way."""
    text = _text(root / "proc" / "meminfo") or ""
    line = re.search(r"^MemAvailable: +(\d+) kB", text, re.MULTILINE)
    return int(line[1]) << 10 if line is not None else usable_memory(root)


def _left(folder: Path) -> int | None:
    """What a control group's limit leaves; pages of files that are not in use give way."""
    limit = _memory(folder)
    used = _text(folder / "memory.current") or _text(folder / "memory.usage_in_bytes")
    if limit is None or used is None or not used.isdigit():
        return limit
    files = re.search(
        r"^(?:total_)?inactive_file (\d+)$", _text(folder / "memory.stat") or "", re.MULTILINE
    )
    return max(0, limit - int(used) + (int(files[1]) if files is not None else 0))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _limits(root: Path, controller: str, read: Callable[[Path], int | None]) -> Iterator[int]:
    """The limits of our control group and those that contain it."""
    for folder in _groups(root, controller):
        limit = read(folder)
        if limit is not None:
            yield limit


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of our control group and those that contain it, in both versions' layouts."""
    base = root / "sys" / "fs" / "cgroup"
    try:
        lines = (root / "proc" / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = base / controller if controllers else base
        relative = Path(path.lstrip("/"))
        # In a container the path is often that of the host, and does not exist here.
        yield from (top / part for part in (relative, *relative.parents))


def _quota(folder: Path) -> int | None:
    """Cores: `cpu.max` has both numbers; version 1 has a file for each."""
    both = _text(folder / "cpu.max")
    if both is None:
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    else:
        quota, _, period = both.partition(" ")
    if quota is None or period is None or not quota.isdigit() or not period.isdigit():
        return None
    return math.ceil(int(quota) / max(1, int(period)))


def _memory(folder: Path) -> int | None:
    text = _text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes")
    if text is None or not text.isdigit() or int(text) > _UNLIMITED:
        return None
    return int(text)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
