"""When a step does not succeed: only those suffer who must."""

from collections.abc import Sequence
from itertools import islice

from tests.unit.engine.batching import answer, ask, batcher_on, drain, talkative, text
from tests.unit.engine.scripted_backend import POISON, Received, ScriptedBackend, reply_to
from tests.unit.engine.test_parts import Brackets
from worker.engine.backend import EvaluationFailed, NoRoom, NotFinite
from worker.engine.backend import Part as Evaluated
from worker.engine.interface import EngineError, GenerationRequest, Part


def test_only_who_fails_alone_fails() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    poison = text(4, 20)

    def fault(parts: Sequence[Evaluated]) -> EngineError | None:
        poisoned = any(tuple(backend.content[p.slot_id][:20]) == poison for p in parts)
        return EvaluationFailed("poison") if poisoned else None

    backend.fault = fault
    received = [
        ask(batcher, prompt, f"{n}", 20)
        for n, prompt in enumerate((text(1, 20), text(2, 20), poison, text(3, 20)))
    ]
    drain(batcher)
    assert str(received[2].error) == "poison"
    for one in received[:2] + received[3:]:
        assert one.token_ids == reply_to(one.request)


class Broken(Brackets):
    """A reader with a bug."""

    def push(self, text: str, *, is_control: bool = False) -> list[Part]:
        raise RecursionError


def test_a_reply_that_cannot_be_read_fails_alone() -> None:
    batcher = batcher_on(ScriptedBackend())
    healthy, other = islice(talkative(20, 20), 2)
    received = ask(batcher, healthy, "healthy", 20)
    broken = Received(GenerationRequest("broken", other, 20, reader=Broken))
    batcher.submit(broken.request, broken)
    drain(batcher)
    assert str(broken.error) == "the reply could not be read"
    assert received.token_ids == reply_to(received.request)


def test_a_step_that_fails_once_is_made_up_for() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    received = [ask(batcher, text(n, 20), f"{n}", 20) for n in range(3)]
    for _ in range(6):
        batcher.step()
    faults = iter([EvaluationFailed("once")])
    backend.fault = lambda parts: next(faults, None) if len(parts) > 1 else None
    drain(batcher)
    assert [one.token_ids for one in received] == [reply_to(one.request) for one in received]


def test_a_reply_that_is_preempted_after_a_failed_step_goes_on_later() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    prompts = islice(talkative(20, 20), 2)
    received = [ask(batcher, prompt, f"{n}", 20) for n, prompt in enumerate(prompts)]
    for _ in range(6):
        batcher.step()
    faults = iter([EvaluationFailed("together"), NoRoom("alone")])
    backend.fault = lambda parts: next(faults, None)
    drain(batcher)
    assert [one.token_ids for one in received] == [reply_to(one.request) for one in received]
    assert batcher.stats().preemptions == 1


def test_idle_conversations_make_room_for_busy_ones() -> None:
    backend = ScriptedBackend(cells=150, packed=False)
    batcher = batcher_on(backend)
    answer(batcher, text(1, 100), "a")
    answer(batcher, text(2, 100), "b")
    assert batcher.stats().swapped_out == 1
    assert batcher.stats().preemptions == 0


def test_the_youngest_reply_is_preempted_and_goes_on_later() -> None:
    backend = ScriptedBackend(cells=150, packed=False)
    batcher = batcher_on(backend)
    prompts = islice(talkative(60, 40), 2)
    received = [ask(batcher, prompt, f"{n}", 40) for n, prompt in enumerate(prompts)]
    drain(batcher)
    assert [one.token_ids for one in received] == [reply_to(one.request) for one in received]
    assert batcher.stats().preemptions >= 1


def test_what_fits_nowhere_fails() -> None:
    backend = ScriptedBackend(cells=100, packed=False)
    batcher = batcher_on(backend)
    received = ask(batcher, text(1, 120))
    drain(batcher)
    assert "full" in str(received.error)


def test_a_refusal_for_want_of_room_changes_nothing() -> None:
    backend = ScriptedBackend()
    batcher = batcher_on(backend)
    faults = iter([NoRoom("now and then")] * 3)
    backend.fault = lambda parts: next(faults, None)
    answer(batcher, text(1, 100))


def test_when_all_is_lost_everybody_hears_of_it() -> None:
    backend = ScriptedBackend(num_slots=1)
    batcher = batcher_on(backend)
    received = [ask(batcher, text(n, 20), f"{n}") for n in range(2)]
    batcher.step()
    batcher.abort_all(EngineError("gone"))
    assert [str(one.error) for one in received] == ["gone", "gone"]
    assert backend.content == [[]]
    answer(batcher, text(1, 20))


def test_no_numbers_fail_one_reply_by_name_and_reach_nobody_else() -> None:
    backend = ScriptedBackend(num_slots=3)
    batcher = batcher_on(backend)
    neighbours = [ask(batcher, text(n, 20), f"{n}", 20) for n in range(2)]
    poisoned = ask(batcher, (*text(3, 20), POISON), "poisoned")
    drain(batcher)
    assert isinstance(poisoned.error, NotFinite)
    assert poisoned.token_ids == []
    for one in neighbours:
        assert one.token_ids == reply_to(one.request)
    for n in range(3):
        answer(batcher, text(10 + n, 20), f"after {n}")


def test_who_follows_in_a_spoilt_slot_is_answered() -> None:
    backend = ScriptedBackend(num_slots=1)
    batcher = batcher_on(backend)
    cancelled = Received(GenerationRequest("a", (*text(1, 30), POISON, *text(2, 90)), 5))
    generation = batcher.submit(cancelled.request, cancelled)
    assert generation is not None
    batcher.step()
    generation.cancelled.set()
    drain(batcher)
    assert backend.spoilt == {0}
    answer(batcher, text(3, 20), "b")
    assert not backend.spoilt
