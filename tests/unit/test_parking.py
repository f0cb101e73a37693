"""Idle conversations get what the machine can spare, unless somebody has decided."""

from pathlib import Path
from typing import Any

import pytest

from shared.config import Settings, load_settings
from shared.process.launch import environment
from shared.process.parking import park_bytes

GIB = 1 << 30
LEAST = 128 << 20


def settings(**variables: Any) -> Settings:
    return load_settings(**variables)


@pytest.mark.parametrize(("workers", "expected"), [(1, 4 * GIB), (4, GIB)])
def test_the_workers_of_a_machine_share_a_quarter_of_what_is_free(
    workers: int, expected: int
) -> None:
    assert park_bytes(settings(), workers, free=16 * GIB) == expected


def test_the_model_is_there_once_for_all_of_them(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    with model.open("wb") as file:
        file.truncate(4 * GIB)
    assert park_bytes(settings(PALAVER_MODEL_PATH=model), 2, free=20 * GIB) == 2 * GIB


@pytest.mark.parametrize("free", [0, 1, GIB // 4])
def test_it_is_never_so_little_that_nothing_is_kept(free: int) -> None:
    assert park_bytes(settings(), 2, free=free) == LEAST


def test_what_is_set_counts_whatever_is_free() -> None:
    for value in (0, 1000, 50 * GIB):
        assert park_bytes(settings(PALAVER_PARK_BYTES=value), 4, free=GIB) == value


def test_what_the_workers_are_started_with_is_divided_by_them() -> None:
    parts = [int(environment(settings(), workers)["PALAVER_PARK_BYTES"]) for workers in (1, 2)]
    assert LEAST <= parts[1] <= parts[0]


def test_what_is_set_for_the_workers_is_left_alone() -> None:
    assert environment(settings(PALAVER_PARK_BYTES=7), 2).get("PALAVER_PARK_BYTES") is None
