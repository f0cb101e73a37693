"""The line of turns in front of the workers, as the scripts keep it in Redis."""

from collections import defaultdict
from collections.abc import Callable

from bench.simulate.lines import Line, Owners
from bench.simulate.settings import Cluster, Policy
from bench.simulate.turn import HELD, READY, STARTED, Turn
from bench.simulate.workers import FreeWorkers, Worker
from shared.placement import (
    COLD,
    Bell,
    Candidate,
    Choice,
    Home,
    Offer,
    choose,
    offer,
)

POOL = "model"
FOREVER_MS = 10**9
KEEPER_S = 0.1
"""How often the keeper looks for turns that nobody was woken for."""


class Queue:
    """Who may start what, and who is woken for it.

    Args:
        cluster: its policy and slots.
        workers: all of them.
        begin: starts a turn on a worker, which has one slot less then.
        at: calls something with a turn at a later moment.
    """

    def __init__(
        self,
        cluster: Cluster,
        workers: list[Worker],
        begin: Callable[[float, Worker, Turn], None],
        at: Callable[[float, Callable[[float, Turn], None], Turn], None],
    ) -> None:
        self.free = FreeWorkers(len(workers))
        self.waiting = 0
        self._cluster = cluster
        self._workers = workers
        self._begin = begin
        self._at = at
        self._own: dict[int, Line] = defaultdict(lambda: Line(HELD, READY))
        self._owners = Owners()

    def submit(self, now: float, turn: Turn) -> None:
        turn.tag = self._owners.tag(turn.dialogue.owner)
        turn.readied_ms = int(now * 1000)
        self.offer(now, turn)

    def offer(self, now: float, turn: Turn) -> None:
        """Put a turn where it may be started, and wake whom it concerns."""
        turn.state = HELD
        self.waiting += 1
        self._owners.join(turn)
        home = self._home_of(turn)
        answer = self._offer(turn, home)
        if answer.at_home and home is not None:
            self._own[home.number].add(turn)
        if not answer.hold_ms:
            self._make_ready(now, turn)
            return
        if answer.bell is Bell.HOME and home is not None:
            self.take(now, home)
        if turn.state == HELD and answer.hold_ms < FOREVER_MS:
            self._at(now + answer.hold_ms / 1000, self._end_hold, turn)

    def submit_again(self, now: float, turn: Turn) -> None:
        """A turn whose worker died: it keeps its place."""
        self.offer(now, turn)

    def forget(self, now: float, worker: Worker) -> None:
        """The worker takes nothing any more: what waits for it may start anywhere."""
        self.free.remove(worker.number)
        line = self._own.pop(worker.number, None)
        for turn in line.all() if line else ():
            if turn.state == HELD:
                self._make_ready(now, turn)

    def take(self, now: float, worker: Worker) -> None:
        """Let a worker start what it may, until its slots are full."""
        if not worker.is_up or worker.is_draining:
            return
        while worker.free_slots and (turn := self._choose(worker)) is not None:
            self._owners.start(turn)
            turn.state = STARTED
            self.waiting -= 1
            self._begin(now, worker, turn)
        if worker.free_slots:
            self.free.put(worker.number, self._cluster.slots - worker.free_slots)
        else:
            self.free.remove(worker.number)

    def _choose(self, worker: Worker) -> Turn | None:
        own, ready = self._own[worker.number].first(), self._owners.next()
        if self._cluster.policy is Policy.STRICT:
            return own or ready
        choice = choose(
            own=self._candidate(own),
            ready=self._candidate(ready),
            limits=self._cluster.limits,
        )
        return {Choice.OWN: own, Choice.READY: ready}.get(choice)

    def _candidate(self, turn: Turn | None) -> Candidate | None:
        if turn is None:
            return None
        return Candidate(served=self._owners.served(turn), readied_ms=turn.readied_ms)

    def _make_ready(self, now: float, turn: Turn) -> None:
        turn.state = READY
        self._owners.add(turn)
        self._ring(now, turn)

    def _end_hold(self, now: float, turn: Turn) -> None:
        if turn.state == HELD:
            self._make_ready(now, turn)

    def _ring(self, now: float, turn: Turn) -> None:
        """Wake the first free worker; if it does not start the turn, the keeper wakes another."""
        if turn.state != READY:
            return
        number = self.free.wake_first(now)
        if number is None:
            return
        self.take(now, self._workers[number])
        if turn.state == READY:
            self._at(now + KEEPER_S, self._ring, turn)

    def _home_of(self, turn: Turn) -> Worker | None:
        if turn.dialogue.home is None or self._cluster.policy is Policy.NONE:
            return None
        number, process = turn.dialogue.home
        worker = self._workers[number]
        return worker if worker.process == process and not worker.is_known_dead else None

    def _offer(self, turn: Turn, home: Worker | None) -> Offer:
        if home is None:
            return COLD
        has_slot = home.number in self.free
        if self._cluster.policy is Policy.STRICT:
            if home.is_draining:
                return COLD
            return Offer(
                at_home=True, hold_ms=FOREVER_MS, bell=Bell.HOME if has_slot else Bell.NOBODY
            )
        return offer(
            pool=POOL,
            warm=home.cache.tokens_of(turn.dialogue.number),
            home=Home(
                pool=POOL,
                tokens_a_second=self._cluster.prompt_rate,
                has_free_slot=has_slot,
                is_draining=home.is_draining,
            ),
            limits=self._cluster.limits,
        )
