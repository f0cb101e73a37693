"""The rules behind "All is well": when each speaks, and when it does not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.live.headroom import Lack
from api.ops.notices import Facts, Notice, notices
from api.ops.samples import Sample
from shared.store.queue import PoolState, QueueState
from shared.wire.histograms import SECONDS
from shared.wire.worker_report import WorkerReport

MODEL = "m"


def sample(
    at: float,
    *,
    waiting: int | None = 0,
    workers: int = 1,
    model: str = MODEL,
    **grown: int,
) -> Sample:
    """One of a second; `waiting` None: Redis did not answer."""
    pools = {} if waiting is None else {model: PoolState(waiting=waiting)}
    return Sample(
        at=at,
        queue=None if waiting is None else QueueState(open=waiting, pools=pools),
        workers=workers,
        grown=Counter({name.replace("__", "."): count for name, count in grown.items()}),
        by_worker={},
    )


def quiet(seconds: int = 10, **fields: Any) -> list[Sample]:
    return [sample(float(at), **fields) for at in range(seconds)]


def worker(*, running: int = 0, is_draining: bool = False) -> WorkerReport:
    return WorkerReport(
        model_name=MODEL, fingerprint="f", slots=2, running=running, is_draining=is_draining
    )


def codes(
    samples: Sequence[Sample],
    reports: Mapping[str, WorkerReport] | None = None,
    *,
    lack: Lack | None = None,
    memory_share: float | None = None,
) -> list[str]:
    return [notice.code for notice in current(samples, reports, lack, memory_share)]


def current(
    samples: Sequence[Sample],
    reports: Mapping[str, WorkerReport] | None = None,
    lack: Lack | None = None,
    memory_share: float | None = None,
) -> list[Notice]:
    return notices(
        Facts(
            samples=samples,
            reports={"w1": worker()} if reports is None else reports,
            lack=lack,
            memory_share=memory_share,
            first_token_alert_s=10,
        )
    )


def test_all_is_well_while_turns_are_answered() -> None:
    busy = [sample(float(at), waiting=at % 2, outcomes__completed=3) for at in range(300)]
    assert codes(busy, {"w1": worker(running=2)}, memory_share=0.5) == []


def test_while_redis_is_away_nothing_else_is_known() -> None:
    assert codes([*quiet(), sample(10.0, waiting=None)], {}) == ["redis_away"]


@pytest.mark.parametrize("lack", ["memory", "disk", "primary", "replicas"])
def test_redis_takes_no_prompts(lack: Lack) -> None:
    [notice] = current(quiet(), lack=lack, memory_share=0.99)
    assert (notice.code, notice.is_bad) == ("redis_lacks", True)


def test_redis_memory_counts_from_four_fifths_on() -> None:
    assert codes(quiet(), memory_share=0.79) == []
    assert codes(quiet(), memory_share=0.8) == ["redis_memory"]


def test_no_worker_at_all_and_none_of_a_model() -> None:
    assert codes(quiet(workers=0), {}) == ["no_worker"]
    [notice] = current(quiet(waiting=3, model="other"))
    assert notice.code == "no_worker_of_model"
    assert notice.text == "3 turns wait for other, and no worker runs it."


def test_workers_that_drain() -> None:
    two = {"w1": worker(is_draining=True), "w2": worker()}
    [notice] = current(quiet(), two)
    assert (notice.code, notice.is_bad, notice.text) == ("draining", False, "w1 drains.")
    assert codes(quiet(), {"w1": worker(is_draining=True)}) == ["all_drain", "draining"]


def test_no_slot_is_free_for_half_a_minute() -> None:
    full = {"w1": worker(running=2)}
    assert codes(quiet(60, waiting=1), full) == ["no_free_slot"]
    assert codes([*quiet(50), *quiet(5, waiting=1)][:55], full) == []
    assert codes(quiet(60, waiting=1), {"w1": worker(running=1)}) == []


def test_a_queue_that_grows_and_one_that_only_is_long() -> None:
    growing = [sample(float(at), waiting=at // 10) for at in range(300)]
    assert "queue_grows" in codes(growing)
    assert "queue_grows" not in codes(quiet(300, waiting=500))
    assert "queue_grows" not in codes(list(growing)[:100]), "two minutes are not known yet"
    flickering = [sample(float(at), waiting=0 if at % 10 else 100) for at in range(300)]
    assert "queue_grows" not in codes(flickering)


def test_first_tokens_above_the_setting() -> None:
    def first_tokens(least_s: float) -> list[str]:
        bucket = next(at for at, bound in enumerate(SECONDS) if bound > least_s)
        grown: dict[str, Any] = {f"first_token__{bucket}": 10}
        return codes([sample(0.0), sample(1.0, **grown)])

    assert first_tokens(20) == ["slow_first_token"]
    assert first_tokens(1) == []


def test_workers_that_start_again_and_workers_that_were_added() -> None:
    flapping = [sample(float(at), starts=at % 2) for at in range(10)]
    assert codes(flapping) == ["workers_restart"]
    added = [sample(float(at), workers=1 + at, starts=int(at > 0)) for at in range(10)]
    assert codes(added) == []


def test_turns_that_fail_by_the_server_and_by_their_clients() -> None:
    def ends(**outcomes: Any) -> list[str]:
        return codes([sample(0.0), sample(1.0, **outcomes)])

    assert ends(outcomes__generation_failed=3, outcomes__completed=10) == ["turns_fail"]
    assert ends(outcomes__generation_failed=3, outcomes__completed=100) == []
    assert ends(outcomes__generation_failed=2) == []
    assert ends(outcomes__context_length_exceeded=9) == []


@given(
    waiting=st.lists(st.one_of(st.none(), st.integers(0, 50)), min_size=1, max_size=200),
    running=st.integers(0, 2),
    draining=st.booleans(),
)
def test_every_notice_is_a_sentence_with_advice_and_bad_ones_come_first(
    waiting: list[int | None], running: int, draining: bool
) -> None:
    samples = [sample(float(at), waiting=n) for at, n in enumerate(waiting)]
    shown = current(samples, {"w1": worker(running=running, is_draining=draining)})
    assert all(notice.text.endswith(".") and notice.advice.endswith(".") for notice in shown)
    assert [notice.is_bad for notice in shown] == sorted((n.is_bad for n in shown), reverse=True)
    assert len({notice.code for notice in shown}) == len(shown)
