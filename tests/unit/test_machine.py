"""Cores and memory are those that this process may use, not those that the machine has."""

import os
from pathlib import Path

import pytest

from shared.process.machine import free_memory, usable_cores, usable_memory

AFFINITY = len(os.sched_getaffinity(0))
PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def root_with(folder: Path, group: str, files: dict[str, str]) -> Path:
    """A file system with these files, in which this process is in `group`."""
    for name, text in {"proc/self/cgroup": group, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return folder


def test_without_control_groups_the_machine_counts(tmp_path: Path) -> None:
    assert (usable_cores(tmp_path), usable_memory(tmp_path)) == (AFFINITY, PHYSICAL)


@pytest.mark.parametrize(
    ("quota", "cores"), [("50000 100000", 1), ("100000 100000", 1), ("max 100000", AFFINITY)]
)
def test_a_share_of_a_core_is_a_core(tmp_path: Path, quota: str, cores: int) -> None:
    root = root_with(tmp_path, "0::/app", {"sys/fs/cgroup/app/cpu.max": quota})
    assert usable_cores(root) == cores


def test_the_groups_around_count_as_well(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/slice/app/memory.max": "max",
        "sys/fs/cgroup/slice/memory.max": "1048576",
        "sys/fs/cgroup/slice/cpu.max": "100000 100000",
    }
    root = root_with(tmp_path, "0::/slice/app", files)
    assert (usable_cores(root), usable_memory(root)) == (1, 1048576)


def test_in_a_container_our_group_is_the_root(tmp_path: Path) -> None:
    # The path is the host's, of which nothing is mounted.
    root = root_with(tmp_path, "0::/docker/0123", {"sys/fs/cgroup/memory.max": "2097152"})
    assert usable_memory(root) == 2097152


def test_version_one_has_a_file_for_each_number(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/app/cpu.cfs_quota_us": "100000",
        "sys/fs/cgroup/cpu/app/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/memory/app/memory.limit_in_bytes": "9223372036854771712",
    }
    root = root_with(tmp_path, "4:cpu,cpuacct:/app\n3:memory:/app", files)
    assert (usable_cores(root), usable_memory(root)) == (1, PHYSICAL)


def test_a_group_of_another_shape_is_no_limit(tmp_path: Path) -> None:
    root = root_with(tmp_path, "0::/", {"sys/fs/cgroup/cpu.max": "some", "proc/self/x": ""})
    assert usable_cores(root) == AFFINITY


MEMINFO = "MemTotal: 8000 kB\nMemFree: 100 kB\nMemAvailable: 3000 kB"
AVAILABLE = 3000 * 1024


def test_file_caches_of_the_machine_are_free_memory(tmp_path: Path) -> None:
    root = root_with(tmp_path, "0::/", {"proc/meminfo": MEMINFO})
    assert free_memory(root) == AVAILABLE


def test_what_a_group_may_still_use_is_free_its_file_caches_with_it(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "sys/fs/cgroup/slice/app/memory.max": "1000000",
        "sys/fs/cgroup/slice/app/memory.current": "700000",
        "sys/fs/cgroup/slice/app/memory.stat": "anon 500000\ninactive_file 150000",
    }
    assert free_memory(root_with(tmp_path, "0::/slice/app", files)) == 450_000


def test_the_tightest_of_the_groups_around_counts(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "sys/fs/cgroup/slice/app/memory.max": "max",
        "sys/fs/cgroup/slice/app/memory.current": "1",
        "sys/fs/cgroup/slice/memory.max": "1000000",
        "sys/fs/cgroup/slice/memory.current": "900000",
    }
    assert free_memory(root_with(tmp_path, "0::/slice/app", files)) == 100_000


def test_version_one_names_what_is_used_otherwise(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "sys/fs/cgroup/memory/app/memory.limit_in_bytes": "1000000",
        "sys/fs/cgroup/memory/app/memory.usage_in_bytes": "600000",
        "sys/fs/cgroup/memory/app/memory.stat": "inactive_file 1\ntotal_inactive_file 100000",
    }
    assert free_memory(root_with(tmp_path, "4:memory:/app", files)) == 500_000


def test_a_group_that_uses_more_than_it_may_leaves_nothing(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "sys/fs/cgroup/memory.max": "1000",
        "sys/fs/cgroup/memory.current": "2000",
    }
    assert free_memory(root_with(tmp_path, "0::/", files)) == 0


def test_where_free_memory_is_not_known_half_of_all_counts(tmp_path: Path) -> None:
    assert free_memory(tmp_path) == PHYSICAL // 2
