"""Threads that help with long calls."""

import threading
from functools import partial

import pytest

from worker.engine.crew import Crew


@pytest.mark.parametrize("helpers", [0, 1, 3])
def test_each_call_is_made_once(helpers: int) -> None:
    crew = Crew(helpers, "test")
    assert crew.size == helpers + 1
    for count in (1, 2, 50):
        made: list[int] = []
        crew.run([partial(made.append, number) for number in range(count)])
        assert sorted(made) == list(range(count))
    crew.close()


def test_helpers_work_beside_the_caller() -> None:
    crew = Crew(2, "test")
    all_three = threading.Barrier(3)
    crew.run([partial(all_three.wait, 10)] * 3)
    crew.close()


def test_an_error_reaches_the_caller_when_all_are_done() -> None:
    crew = Crew(2, "test")
    made: list[int] = []
    with pytest.raises(ZeroDivisionError):
        crew.run([partial(made.append, 1), lambda: 1 / 0, partial(made.append, 2)])
    assert sorted(made) == [1, 2]
    crew.run([partial(made.append, 3)])
    crew.close()
