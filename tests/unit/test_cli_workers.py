"""Which workers `palaver drain` means."""

import pytest

from cli.workers import NoSuchWorker, choose, unserved
from shared.wire.worker_report import WorkerReport

REPORTS = {
    "gpu-1:10:aa": WorkerReport(model_name="small"),
    "gpu-1:11:bb": WorkerReport(model_name="large"),
    "gpu-2:10:cc": WorkerReport(model_name="large"),
    "10.0.0.3:1:dd": WorkerReport(model_name="large", is_draining=True),
}


@pytest.mark.parametrize(
    ("ids", "host", "model", "expected"),
    [
        (["gpu-1:11:bb", "gpu-2:10:cc"], None, None, ["gpu-1:11:bb", "gpu-2:10:cc"]),
        (["gpu-2:10:cc"] * 2, None, None, ["gpu-2:10:cc"]),
        ([], "gpu-1", None, ["gpu-1:10:aa", "gpu-1:11:bb"]),
        ([], "10.0.0.3", None, ["10.0.0.3:1:dd"]),
        ([], None, "small", ["gpu-1:10:aa"]),
        ([], "gpu-1", "large", ["gpu-1:11:bb"]),
    ],
)
def test_workers_are_chosen_by_id_host_and_model(
    ids: list[str], host: str | None, model: str | None, expected: list[str]
) -> None:
    assert choose(REPORTS, ids, host=host, model=model) == expected


@pytest.mark.parametrize(
    ("ids", "host", "model", "what"),
    [
        (["gpu-1:10:aa", "gpu-1:10"], None, None, "no worker gpu-1:10;"),
        ([], "gpu", None, "no worker of host gpu;"),
        ([], None, "medium", "no worker that serves medium;"),
        ([], "gpu-2", "small", "no worker of host gpu-2 that serves small;"),
        (["gpu-1:10:aa"], "gpu-2", None, "no worker of host gpu-2;"),
    ],
)
def test_an_unknown_worker_is_refused_and_the_known_ones_are_named(
    ids: list[str], host: str | None, model: str | None, what: str
) -> None:
    with pytest.raises(NoSuchWorker, match=what) as refused:
        choose(REPORTS, ids, host=host, model=model)
    assert all(worker_id in str(refused.value) for worker_id in REPORTS)


def test_without_workers_there_is_none_to_name() -> None:
    with pytest.raises(NoSuchWorker, match="there is none"):
        choose({}, ["w"], host=None, model=None)


def test_models_that_nobody_else_serves_are_told() -> None:
    assert unserved(REPORTS, ["gpu-1:11:bb"]) == []
    assert unserved(REPORTS, ["gpu-1:11:bb", "gpu-2:10:cc"]) == ["large"]
    assert unserved(REPORTS, ["gpu-1:10:aa"]) == ["small"]
