"""Slow is not stuck: a step is judged by the work that it does, not by the time that it takes."""

import threading
import time

import pytest

from worker.engine.watchdog import Watchdog, thread_clock

LEASE_S = 30.0


class Machine:
    """A clock, and the work that gets done while it runs."""

    def __init__(self) -> None:
        self.now = self.work = 0.0
        self.watchdog = Watchdog(LEASE_S, wall=lambda: self.now)
        self.watchdog.follow(lambda: self.work)

    def run(self, seconds: float, share: float = 1.0) -> None:
        """Time passes, of which the thread gets a share."""
        self.now += seconds
        self.work += seconds * share

    def step(self, num_tokens: int, seconds: float) -> None:
        self.watchdog.begin(num_tokens)
        self.run(seconds)
        self.watchdog.end()

    def look(self, seconds: float, share: float, times: int = 1) -> float:
        """Looks with some time between them; returns what the last one tells."""
        stuck_s = 0.0
        for _ in range(times):
            self.run(seconds, share)
            stuck_s = self.watchdog.stuck_for()
        return stuck_s


@pytest.fixture
def machine() -> Machine:
    machine = Machine()
    for _ in range(20):
        machine.step(8, 0.05)
    machine.watchdog.begin(8)
    machine.watchdog.stuck_for()
    return machine


def test_a_step_that_works_far_longer_than_its_kind_is_stuck(machine: Machine) -> None:
    assert machine.look(10, 1.0, times=2) == 0
    assert machine.look(10, 1.0, times=2) == pytest.approx(10)


def test_a_step_that_does_nothing_at_all_is_stuck(machine: Machine) -> None:
    assert machine.look(10, 0.0, times=3) == 0
    assert machine.look(10, 0.0) == pytest.approx(10)


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_a_starved_step_is_slow_and_goes_on(machine: Machine, share: float) -> None:
    before = machine.watchdog.progress
    assert machine.look(10, share, times=20) == 0
    assert machine.watchdog.progress == before + 20, "its leases are renewed meanwhile"


def test_a_process_that_was_stopped_is_not_stuck_when_it_goes_on(machine: Machine) -> None:
    assert machine.look(3600, 0.0) == 0
    assert machine.look(10, 1.0) == 0


def test_a_slow_machines_step_may_take_ten_times_its_kind() -> None:
    machine = Machine()
    for _ in range(20):
        machine.step(1, 8.0)
    machine.watchdog.begin(1)
    assert machine.look(60, 1.0) == 0
    assert machine.look(25, 1.0) == pytest.approx(5)


def test_a_long_prompts_step_is_measured_by_its_tokens() -> None:
    machine = Machine()
    for _ in range(20):
        machine.step(1, 0.1)
    machine.watchdog.begin(512)
    assert machine.look(400, 1.0) == 0
    assert machine.look(200, 1.0) == pytest.approx(600 - 512)


def test_before_the_first_step_has_ended_nothing_is_stuck() -> None:
    machine = Machine()
    machine.watchdog.begin(8)
    assert machine.look(1000, 1.0, times=3) == 0


def test_between_steps_nothing_is_stuck(machine: Machine) -> None:
    machine.watchdog.end()
    assert machine.look(1000, 0.0, times=3) == 0


def test_a_threads_clock_counts_that_thread_alone() -> None:
    idle = threading.Event()
    thread = threading.Thread(target=idle.wait)
    thread.start()
    clock = thread_clock(thread.ident)
    before, began = clock(), time.process_time()
    while time.process_time() - began < 0.05:
        pass
    assert clock() - before < 0.04
    idle.set()
    thread.join()
