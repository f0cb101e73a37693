"""The workers, and which of them have a free slot."""

from heapq import heappop, heappush

from bench.simulate.cache import Cache
from bench.simulate.settings import Cluster
from bench.simulate.turn import Turn

SHORT_PROMPT = 256
"""Tokens; what is left of a warm prompt is evaluated in one chunk, before those that are longer."""


class Worker:
    """One worker: slots, a cache, prompts one after another, replies side by side.

    Replies all but stand still while a prompt is evaluated. `_generated_s` is the time that they
    have had; a reply ends when that reaches the value that it was given at its start.
    """

    __slots__ = (
        "_cluster",
        "_ends",
        "_generated_s",
        "_updated",
        "busy_s",
        "cache",
        "free_slots",
        "is_draining",
        "is_known_dead",
        "is_up",
        "number",
        "plans",
        "process",
        "prompts_until",
        "running",
    )

    def __init__(self, number: int, cluster: Cluster) -> None:
        self.number = number
        self._cluster = cluster
        self.process = 0
        """Counts its starts: what an earlier process held is lost."""
        self.busy_s = 0.0
        """Seconds of slots."""
        self.plans = 0
        """Counts what changes the time at which the next reply ends."""
        self.start(0.0)

    def start(self, now: float) -> None:
        """A new process, with nothing in its cache."""
        self.process += 1
        self.plans += 1
        self.cache = Cache(self._cluster.cache_tokens)
        self.free_slots = self._cluster.slots
        self.prompts_until = now
        """When the prompts that it has begun will be evaluated."""
        self.is_up = True
        self.is_draining = False
        self.is_known_dead = False
        self.running: dict[int, Turn] = {}
        self._ends: list[tuple[float, int]] = []
        self._generated_s = 0.0
        self._updated = now

    def begin(self, now: float, turn: Turn, tokens: int) -> float:
        """Evaluate `tokens` of a turn's prompt and generate; the moment of its first token."""
        self._update(now)
        seconds = tokens / self._cluster.prompt_rate
        queued_until = max(now, self.prompts_until)
        self.prompts_until = queued_until + seconds
        first_token = seconds + (now if tokens <= SHORT_PROMPT else queued_until)
        generated_s = self._generated_s + (1 - self._cluster.stall) * (first_token - now)
        ends = generated_s + turn.reply_tokens / self._cluster.reply_rate
        heappush(self._ends, (ends, turn.number))
        self.running[turn.number] = turn
        self.free_slots -= 1
        self.plans += 1
        return first_token

    def next_end(self, now: float) -> float:
        """When the next reply ends if no other prompt comes; there is one."""
        self._update(now)
        missing = max(0.0, self._ends[0][0] - self._generated_s)
        evaluating = max(0.0, self.prompts_until - now)
        slow = 1 - self._cluster.stall
        if missing < slow * evaluating:
            return now + missing / slow
        return now + evaluating + missing - slow * evaluating

    def end(self, now: float) -> Turn:
        """The reply that ends now."""
        self._update(now)
        self.free_slots += 1
        self.plans += 1
        return self.running.pop(heappop(self._ends)[1])

    def _update(self, now: float) -> None:
        passed = now - self._updated
        evaluating = min(passed, max(0.0, self.prompts_until - self._updated))
        self._generated_s += passed - self._cluster.stall * evaluating
        self._updated = now


class FreeWorkers:
    """Workers with a free slot; first the least busy, then the one that was woken longest ago.

    A bell counts as a slot until the worker answers: one that is dead is not rung again and again.
    """

    def __init__(self, count: int) -> None:
        self._woken = [0.0] * count
        self._busy: dict[int, int] = {}
        self._heap: list[tuple[int, float, int]] = []

    def __len__(self) -> int:
        return len(self._busy)

    def __contains__(self, worker: int) -> bool:
        return worker in self._busy

    def put(self, worker: int, busy: int) -> None:
        if self._busy.get(worker) != busy:
            self._busy[worker] = busy
            heappush(self._heap, (busy, self._woken[worker], worker))

    def remove(self, worker: int) -> None:
        self._busy.pop(worker, None)

    def wake_first(self, now: float) -> int | None:
        """The first, which has one slot less from now on."""
        while self._heap:
            busy, woken, worker = heappop(self._heap)
            if self._busy.get(worker) == busy and self._woken[worker] == woken:
                self._woken[worker] = now
                self.put(worker, busy + 1)
                return worker
        return None
