"""Anything, in any order, by several workers: the scripts against a small model."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared import ids
from shared.errors import StillInUse, TurnFailed
from shared.store.keys import WORKER_GROUP
from shared.wire.publication import PieceRecord
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from shared.wire.turn_request import TurnRequest
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import completion
from tests.integration.model import (
    MAX_ATTEMPTS,
    MOST_PERMITS,
    OWNERS,
    Conversation,
    Held,
    Job,
    Model,
    picks,
    workers,
)
from tests.servers import Valkey


class Machine(Model):
    """Every step that workers, clients and accidents can take."""

    @rule(
        pick=picks,
        owner=st.sampled_from(OWNERS),
        replace_from=st.none() | st.none() | st.integers(1, 9),
        key=st.sampled_from([None, None, None, "k1", "k2"]),
        strange=st.sampled_from([False] * 9 + [True]),
    )
    def prompt(
        self, pick: int, owner: str, replace_from: int | None, key: str | None, strange: bool
    ) -> None:
        known = list(self.conversations.values())
        is_new = len(known) < 4 and (pick % 3 == 0 or not known)
        one = Conversation(ids.new_conversation(), owner) if is_new else known[pick % len(known)]
        self.conversations[one.id] = one
        request = TurnRequest(
            prompt=f"Prompt {next(self.numbers)}",
            context=None,
            replace_from=replace_from,
            sampling=Sampling(),
        )
        asker = one.owner if is_new or not strange else owner
        new = Submission(
            job_id=ids.new_job(),
            conversation_id=one.id,
            owner_id=asker,
            new=is_new,
            instructions="Persona.",
            request=request,
            api_id="a1",
            idempotency_key=key,
        )
        self.submitted.append(new)
        self.submit(new)

    @precondition(lambda self: self.submitted)
    @rule(pick=picks)
    def repeat_submission(self, pick: int) -> None:
        self.submit(self.submitted[pick % len(self.submitted)])

    @precondition(lambda self: self.jobs)
    @rule(pick=picks, stranger=st.sampled_from([False] * 5 + [True]))
    def cancel(self, pick: int, stranger: bool) -> None:
        job = list(self.jobs.values())[pick % len(self.jobs)]
        owner = "eve" if stranger else job.submission.owner_id
        call = self.submissions.cancel(job.submission.job_id, owner)
        if stranger or job.removed:
            assert self.unchanged(call) is WriteOutcome.GONE
        elif not job.is_open:
            assert self.unchanged(call) is WriteOutcome.DUP
        else:
            assert self.run(call) is WriteOutcome.OK
            self.ended(job, "cancelled")

    @precondition(lambda self: self.conversations)
    @rule(pick=picks, sure=st.sampled_from([False, False, True]))
    def delete(self, pick: int, sure: bool) -> None:
        one = list(self.conversations.values())[pick % len(self.conversations)]
        if not sure and one.exists:
            assert self.unchanged(self.resources.delete(one.id, "eve")) is False
            return
        assert self.run(self.resources.delete(one.id, one.owner)) is one.exists
        if not one.exists:
            return
        for job in self.listed(one):
            job.removed = not job.is_open
        for key, known in list(self.idempotent.items()):
            if known[1] == one.id and key not in self.spent:
                del self.idempotent[key]
        for job in list(one.pending):
            self.ended(job, "cancelled")
            job.token_ids, job.wordless = [], True
        self.gone(one)

    @precondition(lambda self: self.jobs)
    @rule(pick=picks)
    def forget(self, pick: int) -> None:
        job = list(self.jobs.values())[pick % len(self.jobs)]
        one, name = self.conversations[job.submission.conversation_id], job.submission.job_id
        call = self.resources.forget_response(name, job.submission.owner_id)
        prompts = [m.number for m in one.messages if (m.role, m.job_id) == ("user", name)]
        if job.removed or job.wordless:
            assert self.unchanged(call) is False
        elif job.is_open:
            assert self.run(call) is True
            self.ended(job, "cancelled")
            job.token_ids, job.wordless, job.listed = [], True, False
        elif prompts and (one.pending or prompts[0] + 1 != len(one.messages)):
            with pytest.raises(StillInUse):
                self.unchanged(call)
        else:
            assert self.run(call) is True
            job.removed = True
            if prompts:
                one.messages = one.messages[: prompts[0] - 1]
            if prompts and not one.messages:
                self.gone(one)

    # Workers.

    @rule(worker=workers)
    def read_permit(self, worker: str) -> None:
        permit = self.run(self.bench.permit(worker))
        if permit is not None:
            self.read.append(Held(worker, permit, f"n{next(self.numbers)}"))

    @precondition(lambda self: self.read)
    @rule(pick=picks)
    def claim(self, pick: int) -> None:
        held = self.read.pop(pick % len(self.read))
        ready, queues = self.ready(), [self.ready(owner)[:1] for owner in OWNERS]
        claim = self.run(self.claims.claim(held.permit, held.worker, held.nonce))
        if claim is not None:
            job = self.jobs[claim.job_id]
            assert [job] in queues
            job.tracked = held.tracked
            self.started(held, claim)
        elif ready:
            (late,) = [j for j in ready if self.status(j) == "failed"]
            assert [late] in queues
            assert late.late
            self.ended(late, "failed")

    def status(self, job: Job) -> str:
        return str(self.run(self.redis.hget(self.keys.job(job.submission.job_id), "status")))

    @rule(worker=workers)
    def take(self, worker: str) -> None:
        before = len(self.read)
        self.read_permit(worker)
        if len(self.read) > before:
            self.claim(before)

    @precondition(lambda self: self.claimed)
    @rule(pick=picks, zombie=st.booleans())
    def repeat_claim(self, pick: int, zombie: bool) -> None:
        held, claim, job, holds = self.held(pick, zombie)
        if held.by_reclaim:
            if holds and job.tracked:
                again = self.unchanged(self.claims.reclaim(held.worker, held.nonce))
                assert again is not None
                assert replace(again, remaining_s=0) == replace(claim, remaining_s=0)
            return
        again = self.unchanged(self.claims.claim(held.permit, held.worker, held.nonce))
        expected = replace(claim, remaining_s=0) if holds else None
        assert (again and replace(again, remaining_s=0)) == expected

    @precondition(lambda self: self.claimed)
    @rule(pick=picks, zombie=st.booleans(), again=st.booleans())
    def emit(self, pick: int, zombie: bool, again: bool) -> None:
        _, claim, job, holds = self.held(pick, zombie)
        at = len(job.token_ids) - (1 if again and job.token_ids else 0)
        call = self.claims.publish(claim, at, PieceRecord(text="x", token_ids=(at,)))
        if not holds:
            assert self.unchanged(call) is WriteOutcome.FENCED
        elif at < len(job.token_ids):
            assert self.unchanged(call) is WriteOutcome.DUP
        else:
            assert self.run(call) is WriteOutcome.OK
            job.token_ids.append(at)

    @precondition(lambda self: self.claimed)
    @rule(pick=picks, zombie=st.booleans())
    def commit(self, pick: int, zombie: bool) -> None:
        _, claim, job, holds = self.held(pick, zombie)
        assert claim.history is not None
        number, conversation = claim.history.next_number, self.conversations[claim.conversation_id]
        done = completion(claim, number, offset=max(1, number - pick % 4))
        call = self.claims.commit(claim, done)
        if holds:
            assert self.run(call) is WriteOutcome.OK
            conversation.messages[number - 1 :] = [done.user, done.assistant]
            self.ended(job, "completed")
        elif job.removed:
            assert self.unchanged(call) is WriteOutcome.GONE
        elif job.status == "completed" and job.ended_by == claim.fence:
            assert self.unchanged(call) is WriteOutcome.DUP
        else:
            outcome = WriteOutcome.FENCED if conversation.exists else WriteOutcome.GONE
            assert self.unchanged(call) is outcome

    @precondition(lambda self: self.claimed)
    @rule(pick=picks, zombie=st.booleans())
    def fail(self, pick: int, zombie: bool) -> None:
        _, claim, job, holds = self.held(pick, zombie)
        call = self.claims.fail(claim, TurnFailed("x"))
        if holds:
            assert self.run(call) is WriteOutcome.OK
            self.ended(job, "failed")
        elif job.removed:
            assert self.unchanged(call) is WriteOutcome.GONE
        else:
            assert self.unchanged(call) is (
                WriteOutcome.FENCED if job.is_open else WriteOutcome.DUP
            )

    @precondition(lambda self: self.claimed)
    @rule(pick=picks, zombie=st.booleans())
    def hand_over(self, pick: int, zombie: bool) -> None:
        _, claim, job, holds = self.held(pick, zombie)
        call = self.claims.hand_over(claim)
        if not holds:
            assert self.unchanged(call) is WriteOutcome.FENCED
            return
        assert self.run(call) is WriteOutcome.OK
        job.status, job.token, job.lease, job.idle = "queued", None, False, False

    @precondition(lambda self: self.claimed)
    @rule(pick=picks, zombie=st.booleans())
    def beat(self, pick: int, zombie: bool) -> None:
        held, claim, job, holds = self.held(pick, zombie)
        call = self.claims.beat(claim, held.worker)
        if not holds:
            assert self.unchanged(call) is WriteOutcome.FENCED
            return
        assert self.run(call) is WriteOutcome.OK
        job.lease, job.idle = True, False

    # What goes wrong.

    @precondition(lambda self: self.claimed)
    @rule(pick=picks)
    def crash(self, pick: int) -> None:
        held, claim, job, holds = self.held(pick, zombie=False)
        if holds:
            self.run(self.redis.delete(self.keys.lease(claim.job_id)))
            self.run(self.bench.make_idle(claim.permit_id, held.worker))
            job.lease, job.idle = False, job.tracked

    @rule(worker=workers)
    def reclaim(self, worker: str) -> None:
        nonce, heir = f"n{next(self.numbers)}", None
        idle = [job for job in self.open_jobs() if job.idle and not job.lease]
        for job in sorted(idle, key=lambda job: [int(n) for n in job.permit.split("-")]):
            job.crashes += 1
            if job.crashes < MAX_ATTEMPTS:
                heir = job
                break
            self.ended(job, "failed")
        claim = self.run(self.claims.reclaim(worker, nonce))
        assert (claim and claim.job_id) == (heir and heir.submission.job_id)
        if claim is not None:
            self.started(Held(worker, claim.permit_id, nonce, by_reclaim=True), claim)

    @precondition(lambda self: self.read)
    @rule(pick=picks, returned=st.booleans())
    def drop_permit(self, pick: int, returned: bool) -> None:
        held = self.read.pop(pick % len(self.read))
        if returned:
            self.run(self.claims.return_permit(held.permit))
        else:
            self.run(self.bench.make_idle(held.permit, held.worker))
            self.trimmed |= not held.tracked

    @rule()
    def lose_permits(self) -> None:
        self.run(self.redis.xtrim(self.keys.permits, maxlen=0))
        self.trimmed = True
        for held in self.read:
            held.tracked = False
        for job in self.open_jobs():
            job.tracked = False

    @precondition(lambda self: self.open_jobs())
    @rule(pick=picks)
    def expire(self, pick: int) -> None:
        job = self.open_jobs()[pick % len(self.open_jobs())]
        self.run(self.redis.hset(self.keys.job(job.submission.job_id), "deadline", 1))
        self.run(self.redis.zadd(self.keys.open_jobs, {job.submission.job_id: 1}))
        job.late = True

    @rule()
    def sweep(self) -> None:
        late = [job for job in self.open_jobs() if job.late and not job.lease]
        assert self.run(self.claims.sweep()) == len(late)
        for job in late:
            self.ended(job, "failed")
        held = self.run(self.redis.xpending(self.keys.permits, WORKER_GROUP))["pending"]
        assert self.run(self.redis.xlen(self.keys.permits)) - held >= len(self.ready())
        self.trimmed = False

    def teardown(self) -> None:
        try:
            self.drain()
            self.check()
            assert self.open_jobs() == []
            assert self.run(self.bench.leftovers()) == set()
            assert self.run(self.redis.keys(f"{self.keys.namespace}:waiting:*")) == []
            assert self.run(self.redis.xpending(self.keys.permits, WORKER_GROUP))["pending"] == 0
        finally:
            self.run(self.redis.aclose(close_connection_pool=True))
            self.runner.close()

    def drain(self) -> None:
        while self.read:
            self.drop_permit(0, False)
        for pick in range(len(self.claimed)):
            self.crash(pick)
        for _ in self.claimed:
            self.reclaim("w1")
        for _ in list(self.claimed):
            self.commit(0, False)
        for pick in range(len(self.open_jobs())):
            self.expire(pick)
        for _ in range(MOST_PERMITS):
            self.sweep()
            self.reclaim("w1")
            self.take("w2")
            if self.claimed:
                self.commit(0, False)
            elif not self.run(self.redis.xlen(self.keys.permits)):
                break


@pytest.mark.slow
def test_anything_in_any_order(valkey: Valkey) -> None:
    class Here(Machine):
        def __init__(self) -> None:
            super().__init__(valkey.url)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=50,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            stateful_step_count=40,
            deadline=None,
            derandomize=True,  # the same walks on every machine; others were tried by hand
            suppress_health_check=list(HealthCheck),
        ),
    )
