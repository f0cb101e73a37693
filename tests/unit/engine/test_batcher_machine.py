"""Random operations on the batcher: whatever happens, a reply is the one its prompt gets alone."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.engine.drafters import Guesser
from tests.unit.engine.scripted_backend import POISON, Received, ScriptedBackend, reply_to
from worker.engine.backend import EvaluationFailed, NoRoom, NotFinite, Part
from worker.engine.batcher import Batcher
from worker.engine.interface import EngineError, GenerationRequest
from worker.engine.pacer import PrefillPacer
from worker.engine.sequence import Sequence as Generation

SESSIONS = st.sampled_from("abcdefg")
PERSONAS = [tuple(random.Random(n).choices(range(1, 90_000), k=40 + 30 * n)) for n in range(3)]
SWAP_BYTES = 4_000


class BatcherMachine(RuleBasedStateMachine):
    """Conversations that share personas, go on, are edited, cancelled, and meet faults."""

    @initialize(
        packed=st.booleans(),
        cells=st.sampled_from([400, 900]),
        can_truncate=st.booleans(),
        copies_fast=st.booleans(),
        window=st.sampled_from([0, 0, 24, 60]),
        right=st.sampled_from([None, 0.2, 0.7, 1.0]),
    )
    def start(
        self,
        packed: bool,
        cells: int,
        can_truncate: bool,
        copies_fast: bool,
        window: int,
        right: float | None,
    ) -> None:
        self.backend = ScriptedBackend(
            num_slots=3,
            slot_size=300,
            packed=packed,
            cells=cells,
            can_truncate=can_truncate,
            copies_fast=copies_fast,
            window=window,
        )
        self.batcher = Batcher(
            self.backend,
            PrefillPacer(64, 10.0),
            swap_bytes=SWAP_BYTES,
            drafter=Guesser(right=right) if right is not None else None,
        )
        self.history: dict[str, tuple[int, ...]] = {}
        self.running: dict[str, tuple[Received, Generation]] = {}

    @rule(
        session=SESSIONS,
        persona=st.integers(0, len(PERSONAS) - 1),
        new=st.lists(st.integers(1, 3), min_size=1, max_size=40),
        max_tokens=st.integers(1, 30),
        emitted=st.integers(0, 4),
        alone_for=st.sampled_from([0, 0, 0, 3]),
        poisoned=st.sampled_from([False] * 7 + [True]),
    )
    def turn(
        self,
        session: str,
        persona: int,
        new: list[int],
        max_tokens: int,
        emitted: int,
        alone_for: int,
        poisoned: bool,
    ) -> None:
        """A conversation's next turn, or its first; perhaps a second attempt, perhaps alone."""
        if session in self.running:
            return
        prompt = (*self.history.get(session, PERSONAS[persona]), *new)[:250]
        if poisoned:
            prompt = (*prompt[:-1], POISON)
        request = GenerationRequest(session, prompt, max_tokens)
        begun = tuple(reply_to(request)[: min(emitted, max_tokens - 1)])
        request = GenerationRequest(
            session, prompt, max_tokens, begun, alone_until=len(begun) + alone_for
        )
        received = Received(request)
        generation = self.batcher.submit(request, received)
        if generation is not None:
            self.running[session] = received, generation

    @rule(session=SESSIONS, length=st.integers(1, 120))
    def edit(self, session: str, length: int) -> None:
        """What follows the first tokens is taken back."""
        if session in self.history:
            self.history[session] = self.history[session][:length]

    @rule(session=SESSIONS)
    def cancel(self, session: str) -> None:
        if session in self.running:
            _, generation = self.running.pop(session)
            generation.cancelled.set()

    @rule(session=SESSIONS)
    def stop(self, session: str) -> None:
        """No more is wanted than what is written."""
        if session in self.running:
            self.running[session][0].request.enough.set()

    @rule(session=SESSIONS)
    def warm(self, session: str) -> None:
        if session in self.history:
            self.batcher.warm(session, self.history[session])

    @rule(steps=st.integers(1, 12))
    def work(self, steps: int) -> None:
        for _ in range(steps):
            if self.batcher.has_work:
                self.batcher.step()
        self.collect()

    @rule(kind=st.sampled_from([EvaluationFailed, NoRoom]))
    def stumble(self, kind: type[EngineError]) -> None:
        """The next step of several sequences fails, once."""
        faults = iter([kind("stumbled")])

        def fault(parts: Sequence[Part]) -> EngineError | None:
            return next(faults, None) if len(parts) > 1 else None

        self.backend.fault = fault

    def collect(self) -> None:
        for session, (received, _) in list(self.running.items()):
            if received.has_ended:
                del self.running[session]
                if POISON in received.request.prompt and received.reason != "stopped":
                    assert isinstance(received.error, NotFinite)
                    continue
                assert received.error is None, received.error
                reply = reply_to(received.request)
                if received.reason == "stopped":
                    reply = reply[: len(received.token_ids)]
                assert received.token_ids == reply
                self.history[session] = (*received.request.prompt, *received.token_ids)

    @invariant()
    def slots_hold_what_the_cache_believes(self) -> None:
        if not hasattr(self, "batcher"):
            return
        slots = self.batcher._cache.slots
        assert [slot.token_ids for slot in slots] == self.backend.content
        running = self.batcher._scheduler.running
        assert [slot for slot in slots if slot.is_busy] == sorted(
            (one.slot for one in running if one.slot), key=lambda slot: slot.index
        )
        swap_space = self.batcher._cache.swap_space
        assert (
            swap_space.num_bytes == sum(len(p.state) for p in swap_space.recent(1000)) <= SWAP_BYTES
        )
        owners = [slot.session for slot in slots if slot.session is not None and not slot.is_busy]
        assert len(owners) == len(set(owners))

    def teardown(self) -> None:
        """Everything that was not cancelled ends, and nothing is left over."""
        if not hasattr(self, "batcher"):
            return
        for _ in range(5_000):
            if self.batcher.has_work:
                self.batcher.step()
        self.collect()
        assert not self.batcher.has_work
        assert not self.running
        assert all(sampler.is_closed for sampler in self.backend.samplers)
        assert not any(slot.is_busy for slot in self.batcher._cache.slots)


# 10,000 operations, the same ones each time: a failure is everybody's.
BatcherMachine.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
TestBatcher = pytest.mark.slow(BatcherMachine.TestCase)
