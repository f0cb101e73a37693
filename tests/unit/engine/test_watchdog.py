"""When a step counts as stuck."""

from worker.engine.engine import overdue_s


def test_a_step_is_stuck_after_a_lease() -> None:
    assert overdue_s(29.0, [0.05] * 20, stuck_after_s=30) == 0
    assert overdue_s(31.5, [0.05] * 20, stuck_after_s=30) == 1.5


def test_a_slow_machines_long_step_is_not_mistaken_for_a_stuck_one() -> None:
    """Ten times the median is what such a machine may take."""
    assert overdue_s(60.0, [8.0] * 20, stuck_after_s=30) == 0
    assert overdue_s(85.0, [8.0] * 20, stuck_after_s=30) == 5.0


def test_before_the_first_step_has_ended_nothing_is_stuck() -> None:
    assert overdue_s(1000.0, [], stuck_after_s=30) == 0


def test_without_a_step_nothing_is_stuck() -> None:
    assert overdue_s(0.0, [0.05], stuck_after_s=30) == 0
