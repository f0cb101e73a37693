"""How many cores and how much memory this process may use.

Both can be less than the machine has: because of the process's affinity, and the limits of its
control group, which containers and service managers set. Outside Linux, the machine's figures
count.
"""

import math
import os
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
    return min([_physical(), *_limits(root, "memory", _memory)])


def free_memory(root: Path = _FILES) -> int:
    """Bytes of memory that nobody uses, within the limits of our control groups.

    What only caches files counts as free. Outside Linux, half of the machine's memory does.
    """
    return max(0, min([_available(root), *_limits(root, "memory", _unused)]))


def _available(root: Path) -> int:
    for line in (_text(root / "proc" / "meminfo") or "").splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            return int(amount.split()[0]) * 1024
    return _physical() // 2


def _physical() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


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


def _unused(folder: Path) -> int | None:
    """What a control group may still use; its file caches make way."""
    limit = _memory(folder)
    used = _text(folder / "memory.current") or _text(folder / "memory.usage_in_bytes")
    if limit is None or used is None or not used.isdigit():
        return limit
    return limit - int(used) + _file_caches(folder)


def _file_caches(folder: Path) -> int:
    """Version 1 of control groups counts those of the groups below under another name."""
    lines = (_text(folder / "memory.stat") or "").splitlines()
    figures = dict(line.split(" ", 1) for line in lines if " " in line)
    amount = figures.get("total_inactive_file") or figures.get("inactive_file", "")
    return int(amount) if amount.isdigit() else 0


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
