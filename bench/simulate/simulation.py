"""What happens, in the order of time."""

import gc
import random
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from math import ceil
from typing import Any

from bench.simulate.figures import Figures
from bench.simulate.queue import Queue
from bench.simulate.settings import Deaths, Growth, Plan, Rollout
from bench.simulate.turn import Turn
from bench.simulate.users import (
    CROWD_OWNER,
    OVERHEAD_S,
    Dialogue,
    crowd_arrivals,
    population,
    reply_length,
)
from bench.simulate.workers import Worker

Handler = Callable[[float, Any], None]


class Simulation:
    """One plan, carried out."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cluster = plan.cluster
        self._users = plan.users
        self._chance = random.Random(plan.seed)
        self._events: list[tuple[float, int, Handler, Any]] = []
        self._order = count()
        self._workers = [Worker(number, plan.cluster) for number in range(self._most_workers())]
        self._queue = Queue(plan.cluster, self._workers, self._begin, self._at)
        self._ends = plan.warm_up_s + plan.measured_s
        self.figures = Figures(plan)

    def run(self) -> Figures:
        self._prepare()
        events = self._events
        while events:
            now, _, handler, argument = heappop(events)
            if now > self._ends:
                break
            handler(now, argument)
        self.figures.finish([w.busy_s for w in self._workers[: self._cluster.workers]])
        return self.figures

    def _at(self, moment: float, handler: Handler, argument: Any) -> None:
        heappush(self._events, (moment, next(self._order), handler, argument))

    def _most_workers(self) -> int:
        added = self._plan.change.share if isinstance(self._plan.change, Growth) else 0.0
        return round(self._cluster.workers * (1 + added))

    # What there is at the beginning

    def _prepare(self) -> None:
        for worker in self._workers[: self._cluster.workers]:
            self._queue.free.put(worker.number, 0)
        dialogues = population(self._cluster, self._users, self._chance)
        self._numbers = count(len(dialogues))
        self._fill_caches(dialogues)
        for dialogue in dialogues:
            self._at(self._chance.expovariate(1 / dialogue.think_s), self._ask, dialogue)
        self._prepare_crowd()
        self._prepare_change()
        self._at(self._plan.warm_up_s, self._look, None)

    def _fill_caches(self, dialogues: Iterable[Dialogue]) -> None:
        """Each conversation was on some worker, at a time that fits how often it asks."""
        used = ((self._chance.expovariate(1 / d.think_s), d) for d in dialogues if d.tokens)
        for _, dialogue in sorted(used, key=lambda pair: -pair[0]):
            worker = self._workers[self._chance.randrange(self._cluster.workers)]
            worker.cache.put(dialogue.number, dialogue.tokens, dialogue.persona)
            dialogue.home = (worker.number, worker.process)

    def _prepare_crowd(self) -> None:
        crowd = self._users.crowd
        if crowd is None:
            return
        for moment in crowd_arrivals(crowd, self._cluster, self._users, self._chance):
            dialogue = Dialogue(
                number=next(self._numbers),
                owner=CROWD_OWNER,
                think_s=self._users.think_s,
                crowd=crowd,
            )
            self._at(moment, self._ask, dialogue)

    def _prepare_change(self) -> None:
        change = self._plan.change
        old = self._workers[: self._cluster.workers]
        match change:
            case Deaths():
                for worker in self._chance.sample(old, ceil(change.share * len(old))):
                    self._at(change.at_s, self._die, worker)
            case Rollout():
                self._to_restart = list(old)
                for _ in range(ceil(change.share * len(old))):
                    self._at(change.at_s, self._drain_next, None)
            case Growth():
                for worker in self._workers[self._cluster.workers :]:
                    worker.is_up = False
                    self._at(change.at_s, self._start, worker)
            case None:
                pass

    # A turn's life

    def _ask(self, now: float, dialogue: Dialogue) -> None:
        users = self._users
        prompt = max(5, int(self._chance.uniform(0.3, 1.7) * users.prompt_tokens))
        if not dialogue.tokens:
            crowd = dialogue.crowd
            prompt += crowd.persona_tokens if crowd else users.context_tokens
        reply = reply_length(users, self._chance)
        thinks = self._chance.expovariate(1 / dialogue.think_s)
        dialogue.next_at = now + OVERHEAD_S + reply / self._cluster.reply_rate + thinks
        self._queue.submit(now, Turn(dialogue, now, dialogue.tokens + prompt, reply))

    def _begin(self, now: float, worker: Worker, turn: Turn) -> None:
        dialogue = turn.dialogue
        persona = dialogue.crowd.persona_tokens if dialogue.crowd else 0
        cached = min(dialogue.tokens, worker.cache.tokens_of(dialogue.number))
        if not cached and worker.cache.has_persona(dialogue.persona):
            cached = persona
        first_token = worker.begin(now, turn, turn.prompt_tokens - cached)
        worker.cache.put(dialogue.number, turn.prompt_tokens, dialogue.persona)
        turn.started = now
        self._plan_end(now, worker)
        self.figures.started(
            now,
            waited_s=now - turn.arrived,
            first_token_s=first_token - turn.arrived,
            cached=cached,
            reusable=dialogue.tokens or persona,
            owner=dialogue.owner,
        )

    def _plan_end(self, now: float, worker: Worker) -> None:
        if worker.running:
            self._at(worker.next_end(now), self._end, (worker, worker.plans))

    def _end(self, now: float, planned: tuple[Worker, int]) -> None:
        worker, plan = planned
        if worker.plans != plan or not worker.is_up:
            return
        turn = worker.end(now)
        worker.busy_s += max(0.0, now - max(turn.started, self._plan.warm_up_s))
        self._remember(worker, turn)
        self._think(now, turn.dialogue)
        self._plan_end(now, worker)
        if worker.is_draining:
            if not worker.running:
                self._stop(now, worker)
            return
        self._queue.take(now, worker)

    def _remember(self, worker: Worker, turn: Turn) -> None:
        dialogue, window = turn.dialogue, self._cluster.window
        tokens = turn.prompt_tokens + turn.reply_tokens
        if tokens >= window:
            tokens = int(self._cluster.kept_share * window)
        worker.cache.put(dialogue.number, tokens, dialogue.persona)
        dialogue.tokens = tokens
        dialogue.home = (worker.number, worker.process)

    def _think(self, now: float, dialogue: Dialogue) -> None:
        dialogue.turn += 1
        if dialogue.crowd and dialogue.turn >= dialogue.crowd.turns:
            return
        if dialogue.turn >= self._users.turns:
            dialogue.begin_anew(next(self._numbers))
        self._at(max(now, dialogue.next_at), self._ask, dialogue)

    # What happens to workers

    def _die(self, now: float, worker: Worker) -> None:
        change = self._plan.change
        assert isinstance(change, Deaths)
        worker.is_up = False
        self._at(now + self._cluster.lease_s, self._bury, worker)

    def _bury(self, now: float, worker: Worker) -> None:
        """Its lease has run out: its turns and those that wait for it go elsewhere."""
        change = self._plan.change
        assert isinstance(change, Deaths)
        worker.is_known_dead = True
        self._queue.forget(now, worker)
        for turn in worker.running.values():
            self._queue.submit_again(now, turn)
        self._at(now + change.back_after_s - self._cluster.lease_s, self._start, worker)

    def _drain_next(self, now: float, _: None) -> None:
        if not self._to_restart:
            return
        worker = self._to_restart.pop()
        worker.is_draining = True
        self._queue.forget(now, worker)
        if not worker.running:
            self._stop(now, worker)

    def _stop(self, now: float, worker: Worker) -> None:
        change = self._plan.change
        assert isinstance(change, Rollout)
        worker.is_up = False
        self._at(now + change.restart_s, self._start, worker)
        self._at(now + change.restart_s, self._drain_next, None)

    def _start(self, now: float, worker: Worker) -> None:
        worker.start(now)
        self._queue.take(now, worker)

    def _look(self, now: float, _: None) -> None:
        """Once a second."""
        self.figures.waiting(now, self._queue.waiting)
        self._at(now + 1.0, self._look, None)


def simulate(plan: Plan) -> Figures:
    gc.collect()  # the run before
    gc.disable()  # few objects refer to each other in circles; looking for them takes half the time
    try:
        return Simulation(plan).run()
    finally:
        gc.enable()
