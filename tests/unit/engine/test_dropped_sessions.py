"""The engine tells which conversations it keeps nothing of."""

from collections.abc import Sequence

from tests.unit.engine.batching import answer, ask, batcher_on, drain, text
from tests.unit.engine.scripted_backend import BYTES_PER_TOKEN, POISON, ScriptedBackend
from worker.engine.batcher import Batcher
from worker.engine.dropped_sessions import DroppedSessions
from worker.engine.interface import EngineError

LENGTH = 60
ROOM_FOR_ONE = BYTES_PER_TOKEN * (LENGTH + 20)


def talk(batcher: Batcher, *sessions: str) -> None:
    """Each conversation has a turn, one after the other."""
    for session in sessions:
        answer(batcher, text(ord(session), LENGTH), session)


def dropped_of(batcher: Batcher) -> tuple[str, ...]:
    return batcher.dropped.first(100)


def test_what_lies_in_a_slot_or_in_host_memory_is_not_dropped() -> None:
    batcher = batcher_on(ScriptedBackend(num_slots=2))
    talk(batcher, *"abcdef")
    assert dropped_of(batcher) == ()


def test_who_has_no_room_in_host_memory_is_dropped_the_least_recently_used_first() -> None:
    batcher = batcher_on(ScriptedBackend(num_slots=1), ROOM_FOR_ONE)
    talk(batcher, *"abcd")
    assert dropped_of(batcher) == ("a", "b")


def test_what_is_larger_than_all_of_host_memory_is_dropped() -> None:
    batcher = batcher_on(ScriptedBackend(num_slots=1), swap_bytes=0)
    talk(batcher, *"ab")
    assert dropped_of(batcher) == ("a",)


def test_who_comes_back_is_not_dropped_any_more() -> None:
    batcher = batcher_on(ScriptedBackend(num_slots=1), ROOM_FOR_ONE)
    talk(batcher, *"abcad")
    assert dropped_of(batcher) == ("b", "c")


def test_a_shared_prefix_that_is_dropped_is_nobodys_conversation() -> None:
    backend = ScriptedBackend(num_slots=1)
    batcher = batcher_on(backend, ROOM_FOR_ONE)
    persona = text(1, LENGTH - 10)
    for number, session in enumerate("abc"):
        answer(batcher, (*persona, *text(10 + number, 10)), session)
    assert set(dropped_of(batcher)) <= {"a", "b"}


def test_when_the_engine_has_failed_everything_is_dropped() -> None:
    batcher = batcher_on(ScriptedBackend(num_slots=2))
    talk(batcher, *"ab")
    batcher.abort_all(EngineError("a bug"))
    assert set(dropped_of(batcher)) == {"a", "b"}


def test_what_may_hold_no_numbers_is_dropped() -> None:
    batcher = batcher_on(ScriptedBackend(num_slots=1))
    shared: Sequence[int] = text(1, LENGTH)
    answer(batcher, shared, "a")
    poisoned = ask(batcher, (*shared, POISON, 5), "b")
    drain(batcher)
    assert poisoned.error is not None
    assert dropped_of(batcher) == ("a",)


def test_only_so_many_are_remembered_and_the_latest_of_them() -> None:
    dropped = DroppedSessions()
    for number in range(10_003):
        dropped.add(f"{number}")
    assert dropped.first(2) == ("3", "4")
    assert len(dropped.first(1 << 20)) == 10_000
