"""Which texts share a pass."""

from hypothesis import given
from hypothesis import strategies as st

from worker.engine.embedding import Embedded, EmbeddingRequest
from worker.engine.embedding_queue import EmbeddingJob, EmbeddingQueue
from worker.engine.interface import EngineError, Meter

PASS_TOKENS = 8
PASS_TEXTS = 3


class Ended:
    """A job, and how it ended."""

    def __init__(self, *lengths: int, alone: bool = False) -> None:
        self.meter = Meter()
        self.ends: list[Embedded | EngineError] = []
        texts = tuple((number,) * length for number, length in enumerate(lengths))
        request = EmbeddingRequest(texts=texts, alone=alone, meter=self.meter)
        self.job = EmbeddingJob(request, self.ends.append)


def queue_of(*jobs: Ended) -> EmbeddingQueue:
    queue = EmbeddingQueue(PASS_TOKENS, PASS_TEXTS)
    for one in jobs:
        queue.add(one.job)
    return queue


def passes(queue: EmbeddingQueue) -> list[list[tuple[EmbeddingJob, int]]]:
    """All passes; every text comes to a vector that names it."""
    done = []
    while items := queue.next_pass():
        done.append(items)
        for job, place in items:
            job.put(place, bytes([place]))
    return done


@given(st.lists(st.lists(st.integers(1, 2 * PASS_TOKENS), min_size=1, max_size=9), max_size=5))
def test_each_text_is_evaluated_once_in_passes_that_fit(requests: list[list[int]]) -> None:
    jobs = [Ended(*lengths) for lengths in requests]
    done = passes(queue_of(*jobs))
    for items in done:
        sizes = [len(job.request.texts[place]) for job, place in items]
        assert len(sizes) == 1 or (sum(sizes) <= PASS_TOKENS and len(sizes) <= PASS_TEXTS)
    assert sum(map(len, done)) == sum(map(len, requests))
    for one, lengths in zip(jobs, requests, strict=True):
        [end] = one.ends
        assert isinstance(end, Embedded)
        assert end.vectors == tuple(bytes([place]) for place in range(len(lengths)))
        assert one.meter.evaluated == sum(lengths)


def test_a_small_request_does_not_wait_for_all_of_a_large_one() -> None:
    large, long, small = Ended(*[4] * 100), Ended(*[20] * 3), Ended(2)
    queue = queue_of(large, long, small)
    first, second = queue.next_pass(), queue.next_pass()
    assert any(job is small.job for job, _ in first)
    assert [job for job, _ in second] == [long.job]


def test_nothing_is_evaluated_beside_a_suspect() -> None:
    before, suspect, after = Ended(1, 1), Ended(1, 1, 1, 1, alone=True), Ended(1)
    done = passes(queue_of(before, suspect, after))
    owners = [{id(job) for job, _ in items} for items in done]
    assert owners[:2] == [{id(suspect.job)}] * 2
    assert len(owners[2]) == 2


def test_a_request_that_is_no_longer_wanted_is_dropped() -> None:
    wanted, cancelled, failed = Ended(3), Ended(3, 3), Ended(3, 3)
    queue = queue_of(cancelled, failed, wanted)
    cancelled.job.cancelled.set()
    failed.job.fail(EngineError("no"))
    assert [[job for job, _ in items] for items in passes(queue)] == [[wanted.job]]
    assert len(queue) == 0


def test_a_job_ends_once() -> None:
    one = Ended(1, 1)
    one.job.take(), one.job.take()
    one.job.put(0, EngineError("NaN"))
    one.job.put(1, b"1")
    one.job.fail(EngineError("later"))
    assert [str(end) for end in one.ends] == ["NaN"]
