"""Anything, in any order, by several workers: the scripts against a small model."""

from collections.abc import Sequence
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
from shared.placement import Candidate, Choice, choose
from shared.store.claims import Ended
from shared.wire.claim import Claim
from shared.wire.publication import PieceRecord
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from shared.wire.turn_request import TurnRequest
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import POOL, completion
from tests.integration.list_model import ListModel
from tests.integration.model import (
    MAX_ATTEMPTS,
    OWNERS,
    WORKERS,
    Conversation,
    Held,
    Job,
    Queue,
    picks,
    workers,
)
from tests.servers import Valkey


class Machine(ListModel):
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

    @precondition(lambda self: self.conversations)
    @rule(pick=picks, key=st.sampled_from([None, None, "k1"]))
    def continue_reply(self, pick: int, key: str | None) -> None:
        known = list(self.conversations.values())
        cut = [one for one in known if one.can_continue]
        one = (cut if cut and pick % 4 else known)[pick % len(cut if cut and pick % 4 else known)]
        new = Submission(
            job_id=ids.new_job(),
            conversation_id=one.id,
            owner_id=one.owner,
            new=False,
            instructions="",
            request=TurnRequest(
                prompt="", context=None, replace_from=None, sampling=Sampling(), continues=True
            ),
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
                self.forget_parts(one.messages[prompts[0]].job_id)
                one.messages = one.messages[: prompts[0] - 1]
            if prompts and not one.messages:
                self.gone(one)

    def forget_parts(self, name: str | None) -> None:
        """The jobs that have written a reply, the last one first."""
        while name is not None:
            self.jobs[name].removed = True
            name = self.continued.get(name)

    # Workers.

    @rule(worker=workers, number=st.integers(1, 3))
    def take(self, worker: str, number: int) -> None:
        nonce = f"n{next(self.numbers)}"
        if worker in self.draining:
            assert self.unchanged(self.claims.take(worker, nonce, number)) == []
            return
        self.gone_workers.discard(worker)
        self.run(self.bench.serve(worker))
        expected, is_whole = self.choices(worker, number)
        claims = self.run(self.claims.take(worker, nonce, number))
        names = [claim.job_id for claim in claims]
        assert names[: len(expected)] == expected
        assert names == expected or not is_whole
        # The end of one offers the next one of its conversation, which may be late, too.
        while late := [job for job in self.ready() if job.late and self.status(job) == "failed"]:
            self.ended(late[0], "failed")
        for claim in claims:
            self.started(Held(worker, nonce, claim))
        if claims:
            self.taken[worker] = nonce
        assert (worker in self.run(self.queue()).free) == (len(claims) < number)

    def choices(self, worker: str, number: int) -> tuple[list[str], bool]:
        """The jobs that a worker is given, by the policy's pure functions.

        They are not all of them if one comes up whose time is over: its end offers another turn.
        """
        queue, chosen = self.run(self.queue()), list[str]()
        while len(chosen) < number and (name := self.choice(queue, worker)):
            if self.jobs[name].late:
                return chosen, False
            owner = self.owner_of(name)
            queue.start(name, owner, {one for one in self.jobs if self.owner_of(one) == owner})
            chosen.append(name)
        return chosen, True

    def status(self, job: Job) -> str:
        return str(self.run(self.redis.hget(self.keys.job(job.submission.job_id), "status")))

    def choice(self, queue: Queue, worker: str) -> str | None:
        own, ready = first(queue.own[worker]), None
        if queue.owners:
            owner = first(queue.owners)
            ready = first({n: tag for n, tag in queue.ready.items() if self.owner_of(n) == owner})
        what = choose(own=self.candidate(queue, own), ready=self.candidate(queue, ready))
        return {Choice.OWN: own, Choice.READY: ready, Choice.NOTHING: None}[what]

    def candidate(self, queue: Queue, name: str | None) -> Candidate | None:
        if name is None:
            return None
        readied = self.run(self.redis.hget(self.keys.job(name), "readied"))
        return Candidate(served=queue.time_of(self.owner_of(name)), readied_ms=int(readied))

    @rule(pick=picks, worker=workers, commits=st.booleans())
    def go_on(self, pick: int, worker: str, commits: bool) -> None:
        """A conversation's next turn, as it usually goes; the interesting ones have a home."""
        if worker in self.draining:
            self.stop_worker(worker, leaves=True)  # and comes back
        idle = [place for place, one in enumerate(self.conversations.values()) if not one.pending]
        place = idle[pick % len(idle)] if idle and len(self.conversations) > 3 else pick * 3
        self.prompt(place, OWNERS[0], None, None, False)
        before = len(self.claimed)
        self.take(worker, 1)
        if commits and len(self.claimed) > before:
            self.commit(0, False)

    @precondition(lambda self: self.claimed)
    @rule(pick=picks)
    def repeat_take(self, pick: int) -> None:
        held = self.claimed[pick % len(self.claimed)]
        if self.taken.get(held.worker) != held.nonce:
            return
        mine = [one.claim for one in self.claimed if one.nonce == held.nonce]
        still = [claim for claim in mine if self.jobs[claim.job_id].token == claim.fence]
        again = self.unchanged(self.claims.take(held.worker, held.nonce, 3))
        assert timeless(again) == timeless(still)

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
        held, claim, job, holds = self.held(pick, zombie)
        if claim.request.continues and claim.standing is None:
            self.fail(pick, zombie)  # as a worker does
            return
        assert claim.history is not None
        number, conversation = claim.history.next_number, self.conversations[claim.conversation_id]
        before = conversation.messages[: number - 1]
        prompts = [1, *(m.number for m in before if m.role == "user"), number]
        done = completion(
            claim,
            number,
            reply=f"Reply {next(self.numbers)}",
            finish_reason=("stop", "length", "stopped")[pick % 3],
            offset=prompts[-1 - pick % 2],
            saves_ms=(pick + 1) * 50,
        )
        ending = self.claims.commit(claim, done)
        if holds:
            self.frees_a_slot(held.worker, self.run(ending))
            prompt = done.user if claim.standing is None else conversation.messages[-2]
            conversation.messages[number - 1 :] = [prompt, done.assistant]
            if claim.standing is not None:
                self.continued[claim.job_id] = claim.standing.message.job_id
            self.ended(job, "completed")
        elif job.removed:
            assert self.unchanged(ending).outcome is WriteOutcome.GONE
        elif job.status == "completed" and job.ended_by == claim.fence:
            assert self.unchanged(ending).outcome is WriteOutcome.DUP
        else:
            outcome = WriteOutcome.FENCED if conversation.exists else WriteOutcome.GONE
            assert self.unchanged(ending).outcome is outcome

    @precondition(lambda self: self.claimed)
    @rule(pick=picks, zombie=st.booleans())
    def fail(self, pick: int, zombie: bool) -> None:
        held, claim, job, holds = self.held(pick, zombie)
        ending = self.claims.fail(claim, TurnFailed("x"))
        if holds:
            self.frees_a_slot(held.worker, self.run(ending))
            self.ended(job, "failed")
        elif job.removed:
            assert self.unchanged(ending).outcome is WriteOutcome.GONE
        else:
            outcome = WriteOutcome.FENCED if job.is_open else WriteOutcome.DUP
            assert self.unchanged(ending).outcome is outcome

    def frees_a_slot(self, worker: str, ended: Ended) -> None:
        """A worker whose turn has ended either takes another one at once, or would be woken."""
        queue = self.run(self.queue())
        assert ended.outcome is WriteOutcome.OK
        assert ended.more == bool(queue.owners or queue.own[worker])
        assert ended.more or worker in queue.free or worker in self.gone_workers

    @precondition(lambda self: self.claimed)
    @rule(pick=picks, zombie=st.booleans())
    def hand_over(self, pick: int, zombie: bool) -> None:
        _, claim, job, holds = self.held(pick, zombie)
        call = self.claims.hand_over(claim)
        if not holds:
            assert self.unchanged(call) is WriteOutcome.FENCED
            return
        assert self.run(call) is WriteOutcome.OK
        job.status, job.token, job.lease = "queued", None, False

    @precondition(lambda self: self.claimed)
    @rule(pick=picks, zombie=st.booleans())
    def requeue(self, pick: int, zombie: bool) -> None:
        _, claim, job, holds = self.held(pick, zombie)
        call = self.operated.give_back(claim.job_id, claim.fence)
        if not holds:
            assert self.unchanged(call) in (WriteOutcome.FENCED, WriteOutcome.GONE)
            return
        assert self.run(call) is WriteOutcome.OK
        job.status, job.token, job.lease = "queued", None, False

    @precondition(lambda self: self.claimed)
    @rule(pick=picks, zombie=st.booleans())
    def beat(self, pick: int, zombie: bool) -> None:
        held, claim, job, holds = self.held(pick, zombie)
        call = self.claims.beat([claim], held.worker)
        if not holds:
            assert self.unchanged(call) == [WriteOutcome.FENCED]
            return
        assert self.run(call) == [WriteOutcome.OK]
        job.lease = True

    # What goes wrong.

    @precondition(lambda self: self.claimed)
    @rule(pick=picks)
    def crash(self, pick: int) -> None:
        _, claim, job, holds = self.held(pick, zombie=False)
        if holds:
            self.run(self.bench.crash(claim))
            job.lease = False

    @rule(sweep=st.booleans())
    def keep(self, sweep: bool) -> None:
        gone = [job for job in self.open_jobs() if job.token and not job.lease]
        kept = self.run(self.bench.keep(sweep=sweep))
        lost = 0
        for job in gone:
            job.crashes += 1
            if job.crashes >= MAX_ATTEMPTS:
                self.ended(job, "failed")
                lost += 1
            else:
                job.status, job.token = "queued", None
        late = [j for j in self.open_jobs() if sweep and j.late and not j.token]
        for job in late:
            self.ended(job, "failed")
        assert (kept.lost, kept.late) == (lost, len(late))

    @rule()
    def keep_later(self) -> None:
        """Where turns have been ready for a while and workers have free slots, one is woken."""
        queue = self.run(self.queue())
        for name in queue.ready:
            self.run(self.redis.hset(self.keys.job(name), "readied", 1))
        self.lose_all_bells()
        self.keep(sweep=False)
        rung = [worker for worker in WORKERS if self.run(self.bench.bells(worker))]
        if queue.ready and queue.free:
            assert set(rung) & queue.free

    def lose_all_bells(self) -> None:
        for worker in WORKERS:
            self.lose_bells(worker)

    @rule()
    def end_holds(self) -> None:
        queue = self.run(self.queue())
        if queue.held:
            self.run(
                self.redis.zadd(
                    f"{self.keys.namespace}:pool:{POOL}:hold", dict.fromkeys(queue.held, 1)
                )
            )
        self.keep(sweep=False)
        # A turn that was taken from a lost worker is never held.
        assert self.run(self.queue()).held == {}

    @rule(worker=workers, leaves=st.booleans())
    def stop_worker(self, worker: str, leaves: bool) -> None:
        """It drains, or ends; then it may come back under the same name, unlike real ones."""
        if leaves:
            self.run(self.bench.workers.leave(worker, POOL))
            # Without any worker prompts would be refused.
            self.run(self.redis.zadd(self.keys.pools, {POOL: 1 << 50}))
            self.taken.pop(worker, None)
            self.draining.discard(worker)
        else:
            self.run(self.bench.workers.drain(worker, POOL, 86400))
            self.draining.add(worker)
        assert not set(self.run(self.queue()).held) & set(self.run(self.queue()).own[worker])
        self.gone_workers.add(worker)

    @rule(worker=workers)
    def lose_bells(self, worker: str) -> None:
        self.run(self.redis.delete(self.keys.bells(worker)))

    @precondition(lambda self: self.open_jobs())
    @rule(pick=picks)
    def expire(self, pick: int) -> None:
        job = self.open_jobs()[pick % len(self.open_jobs())]
        self.run(self.redis.hset(self.keys.job(job.submission.job_id), "deadline", 1))
        self.run(self.redis.zadd(self.keys.open_jobs, {job.submission.job_id: 1}))
        job.late = True

    def teardown(self) -> None:
        try:
            self.drain()
            self.check()
            assert self.open_jobs() == []
            assert self.run(self.bench.leftovers()) == set()
        finally:
            self.run(self.redis.aclose(close_connection_pool=True))
            self.runner.close()

    def drain(self) -> None:
        self.stop_worker("w1", leaves=True)
        for pick in range(len(self.claimed)):
            self.crash(pick)
        while self.open_jobs():
            self.keep(sweep=True)
            self.end_holds()
            self.take("w1", 3)
            for place, held in reversed(list(enumerate(self.claimed))):
                if self.jobs[held.claim.job_id].token == held.claim.fence:
                    self.commit(len(self.claimed) - 1 - place, True)


def first(scores: dict[str, int]) -> str | None:
    return min(scores, key=lambda name: (scores[name], name), default=None)


def timeless(claims: Sequence[Claim]) -> list[Claim]:
    """A repetition comes later, when less time is left and more has been waited."""
    return sorted(
        (replace(claim, remaining_s=0, waited_ms=0) for claim in claims),
        key=lambda claim: claim.job_id,
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_anything_in_any_order(own_valkey: Valkey) -> None:
    class Here(Machine):
        def __init__(self) -> None:
            super().__init__(own_valkey.url)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=100,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            stateful_step_count=50,
            deadline=None,
            derandomize=True,  # the same walks on every machine; others were tried by hand
            suppress_health_check=list(HealthCheck),
        ),
    )
