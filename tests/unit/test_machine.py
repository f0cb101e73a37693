"""Cores and memory are those that this process may use, not those that the machine has."""

import os
from pathlib import Path

import pytest

from shared.process.machine import available_memory, usable_cores, usable_memory

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


def test_what_is_available_leaves_out_what_others_use(tmp_path: Path) -> None:
    meminfo = {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    4000 kB"}
    assert available_memory(root_with(tmp_path, "0::/app", meminfo)) == 4000 << 10
    group = {
        "sys/fs/cgroup/app/memory.max": "3000000",
        "sys/fs/cgroup/app/memory.current": "2000000",
        "sys/fs/cgroup/app/memory.stat": "anon 1500000\ninactive_file 400000\nfile 500000",
    }
    root = root_with(tmp_path, "0::/app", group)
    assert available_memory(root) == 1400000, "pages of files give way"
    (root / "sys/fs/cgroup/app/memory.current").write_text("9000000\n")
    assert available_memory(root) == 0


def test_where_nothing_says_what_is_available_it_is_what_may_be_used(tmp_path: Path) -> None:
    root = root_with(tmp_path, "0::/app", {"sys/fs/cgroup/app/memory.max": "3000000"})
    assert available_memory(root) == 3000000
