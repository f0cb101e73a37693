"""Summaries among edits, switches, deletions and lost workers: only of what stands is one shown.

A summary here is the list of the messages that it was made from.
"""

from collections.abc import Iterable, Sequence

import orjson
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from shared import ids
from shared.store.earlier_messages import EarlierMessages
from shared.store.summaries import Fold, FoldOutcome, Folds, Memories
from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.summary import Summary
from tests.integration.bench import POOL
from tests.integration.test_alternatives_machine import OWNER, Machine, picks
from tests.servers import Valkey
from worker.prompt.window import split_turns
from worker.summaries.summarizer import job_of


def marks_of(messages: Iterable[StoredMessage]) -> list[str]:
    return [f"{message.number} {message.job_id} {message.content}" for message in messages]


class SummaryMachine(Machine):
    """Workers add to summaries, are interrupted, fail, die, or come back too late."""

    def __init__(self, url: str, history_limit: int) -> None:
        super().__init__(url, history_limit)
        self.folds = Folds(self.redis, self.keys, POOL)
        self.memories = Memories(self.redis, self.keys)
        self.earlier = EarlierMessages(self.redis, self.keys)
        self.open: list[tuple[Fold, list[StoredMessage]]] = []
        """What workers believe to have, the newest last."""

    @rule(pick=picks, is_made=st.booleans())
    def fill(self, pick: int, is_made: bool) -> None:
        """Turns that leave the window one by one, and a summary of them."""
        for number in range(3):
            self.turn(pick + number, False, None)
        self.take(True)
        if self.open and is_made:
            self.summarise(len(self.open) - 1, bool(pick % 2))

    @precondition(lambda self: self.expected.exists)
    @rule(is_certain=st.booleans())
    def take(self, is_certain: bool) -> None:
        """One worker at most has a conversation, and what it goes on from stands."""
        conversation = self.expected.id if is_certain else None
        fold = self.run(self.folds.take(ids.new_job(), conversation))
        if fold is None:
            return
        assert fold.conversation_id == self.expected.id
        assert fold.start < fold.stop
        self.check_summary(fold.summary)
        read = self.run(self.earlier.read(fold.conversation_id, fold.start, fold.stop))
        messages = decode_messages(read.texts, read.number)
        standing = self.expected.state.history[fold.start - 1 : fold.stop - 1]
        assert marks_of(messages) == marks_of(standing)
        self.open.append((fold, list(messages)))
        assert self.run(self.folds.take(ids.new_job(), conversation)) is None

    @precondition(lambda self: self.open)
    @rule(pick=picks, is_partial=st.booleans())
    def summarise(self, pick: int, is_partial: bool) -> None:
        """A worker, perhaps one that was thought dead, adds its summary; a repetition is none."""
        fold, messages = self.open.pop(pick % len(self.open))
        if is_partial:
            messages = list(split_turns(messages)[0])
        number = messages[-1].number + 1
        before = orjson.loads(fold.summary.text) if fold.summary else []
        summary = Summary(
            number=number,
            text=orjson.dumps([*before, *marks_of(messages)]).decode(),
            model=ids.new_job(),
        )
        outcome = self.run(self.folds.commit(fold, summary, job_of(messages)))
        if outcome is FoldOutcome.OK:
            remembered = self.run(self.memories.show(self.expected.id, OWNER))
            assert remembered.summary is not None
            assert remembered.summary.model == summary.model
            replies = [m for m in self.expected.state.history if m.role == "assistant"]
            told = [reply for reply in replies if reply.number < number]
            assert remembered.summary.turns == len(told)
            again = self.run(self.folds.commit(fold, summary, job_of(messages)))
            assert again is FoldOutcome.DUP

    @precondition(lambda self: self.open)
    @rule(pick=picks, way=st.sampled_from(["hold", "interrupt", "fail", "die"]))
    def end(self, pick: int, way: str) -> None:
        """It lives, gives the conversation back, or its lease runs out."""
        fold, messages = self.open[pick % len(self.open)]
        if way == "die":
            key = self.keys.folds(POOL)
            self.run(self.redis.zadd(key, {fold.conversation_id: 1}, xx=True))
            return
        outcome = self.run(getattr(self.folds, way)(fold))
        if way != "hold" and outcome is FoldOutcome.OK:
            self.open.remove((fold, messages))
        if way == "interrupt":
            self.run(self.redis.zadd(self.keys.folds(POOL), {fold.conversation_id: 1}, xx=True))

    @precondition(lambda self: self.expected.exists)
    @rule()
    def correct(self) -> None:
        """A person writes what holds; whoever is at a summary adds nothing to it."""
        remembered = self.run(self.memories.show(self.expected.id, OWNER))
        number = remembered.summary.number if remembered.summary else remembered.offset
        text = orjson.dumps(marks_of(self.expected.state.history[: number - 1])).decode()
        summary = Summary(number=0, text=text)
        assert self.run(self.memories.correct(self.expected.id, "eve", summary)) is None
        answer = self.run(self.memories.correct(self.expected.id, OWNER, summary))
        if answer == "NONE":
            assert remembered.offset <= self.expected.first
            return
        assert answer.summary.text == text
        assert answer.summary.number == number
        assert answer.summary.is_corrected
        self.check_open_are_fenced()

    @precondition(lambda self: self.expected.exists)
    @rule()
    def forget_summary(self) -> None:
        assert self.run(self.memories.forget(self.expected.id, "eve", remake=True)) is None
        assert self.run(self.memories.forget(self.expected.id, OWNER, remake=True)).summary is None
        self.check_open_are_fenced()

    def check_open_are_fenced(self) -> None:
        for fold, _ in self.open:
            assert self.run(self.folds.hold(fold)) in (FoldOutcome.FENCED, FoldOutcome.DUP)
        self.open.clear()

    @invariant()
    def check_shown(self) -> None:
        """Whatever is shown was made from what stands."""
        expected = self.expected
        folds = self.run(self.redis.zrange(self.keys.folds(POOL), 0, -1))
        assert set(folds) <= ({expected.id} if expected.exists else set())
        if not expected.exists:
            assert self.run(self.memories.show(expected.id or "1", OWNER)) is None
            return
        self.check_summary(self.run(self.memories.show(expected.id, OWNER)).summary)

    def check_summary(self, summary: Summary | None) -> None:
        if summary is None:
            return
        made_from: list[str] = orjson.loads(summary.text)
        standing: Sequence[StoredMessage] = self.expected.state.history[: summary.number - 1]
        assert made_from == marks_of(standing)[-len(made_from) :]
        assert made_from


@pytest.mark.slow
@pytest.mark.parametrize("history_limit", [0, 6])
def test_summaries_in_any_order(own_valkey: Valkey, history_limit: int) -> None:
    class Here(SummaryMachine):
        def __init__(self) -> None:
            super().__init__(own_valkey.url, history_limit)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=15,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
