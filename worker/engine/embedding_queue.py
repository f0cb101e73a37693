"""Which texts are embedded together: those of several requests take turns."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from worker.engine.embedding import Embedded, EmbeddingRequest, TokenIds, Vector
from worker.engine.interface import EngineError


class EmbeddingJob:
    """A request under way; it ends once, with all its vectors or with an error.

    Args:
        deliver: gets the end.
    """

    def __init__(
        self, request: EmbeddingRequest, deliver: Callable[[Embedded | EngineError], None]
    ) -> None:
        self.request = request
        self.cancelled = threading.Event()
        """Its end is no longer wanted."""
        self._deliver = deliver
        self._num_taken = 0
        self._vectors: dict[int, Vector] = {}
        self._began_s: float | None = None
        self._has_ended = False

    @property
    def is_waiting(self) -> bool:
        """Whether texts of it are still to be evaluated."""
        done = self._num_taken == len(self.request.texts)
        return not (done or self._has_ended or self.cancelled.is_set())

    @property
    def next_text(self) -> TokenIds:
        """The first text that waits."""
        return self.request.texts[self._num_taken]

    def take(self) -> int:
        """Take the first text that waits out; returns its place in the request."""
        if self._began_s is None:
            self._began_s = time.monotonic()
        self._num_taken += 1
        return self._num_taken - 1

    def put(self, place: int, result: Vector | EngineError) -> None:
        """Add what a text came to; the last one, and any error, ends the job."""
        if isinstance(result, EngineError):
            return self.fail(result)
        self.request.meter.evaluated += len(self.request.texts[place])
        self._vectors[place] = result
        if len(self._vectors) == len(self.request.texts):
            self._end(self._embedded())
        return None

    def fail(self, error: EngineError) -> None:
        """End the job without vectors."""
        self._end(error)

    def _embedded(self) -> Embedded:
        assert self._began_s is not None
        return Embedded(
            vectors=tuple(vector for _, vector in sorted(self._vectors.items())),
            evaluation_ms=(time.monotonic() - self._began_s) * 1000,
        )

    def _end(self, end: Embedded | EngineError) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._deliver(end)


class EmbeddingQueue:
    """Jobs take turns, so that a small one does not wait for all of a large one.

    Args:
        pass_tokens: tokens of a pass; a longer text is evaluated by itself. More would cost more
            than they save: every token looks at all others of its pass, whosever they are.
        pass_texts: texts of a pass.
    """

    def __init__(self, pass_tokens: int, pass_texts: int) -> None:
        self._pass_tokens = pass_tokens
        self._pass_texts = pass_texts
        self._jobs: deque[EmbeddingJob] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[EmbeddingJob]:
        return iter(tuple(self._jobs))

    def add(self, job: EmbeddingJob) -> None:
        """Queue a job."""
        self._jobs.append(job)

    def next_pass(self) -> list[tuple[EmbeddingJob, int]]:
        """The texts to evaluate next, as jobs and places; none if no job waits."""
        self._drop_ended()
        taken: list[tuple[EmbeddingJob, int]] = []
        room = self._pass_tokens
        turns = deque([job for job in self._jobs if job.request.alone][:1] or self._jobs)
        while turns and len(taken) < self._pass_texts:
            job = turns.popleft()
            if taken and len(job.next_text) > room:
                continue
            room -= len(job.next_text)
            taken.append((job, job.take()))
            if job.is_waiting:
                turns.append(job)
        self._jobs.rotate(-1)
        self._drop_ended()
        return taken

    def _drop_ended(self) -> None:
        self._jobs = deque(job for job in self._jobs if job.is_waiting)
