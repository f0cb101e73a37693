"""A small model of the scripts, compared with what they leave in Redis."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
)

from shared.errors import Refused
from shared.store.connection import connect
from shared.store.conversations import Conversations
from shared.store.keys import Keys
from shared.store.operated_turns import OperatedTurns
from shared.wire.claim import Claim
from shared.wire.job_status import ENDED
from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.submission import Accepted, Submission
from tests.counts import wrong_counts
from tests.integration.bench import POOL, Bench
from tests.servers import make_settings

OWNERS = ("alice", "bob")
PENDING_TURNS = 4
MAX_ATTEMPTS = 3
WORKERS = ("w1", "w2", "w3")
REFUSED: None = None
picks = st.integers(0, 99)
workers = st.sampled_from(WORKERS)


@dataclass
class Job:
    """A turn: `token` while it is held, `lease` while its worker is alive.

    It is `listed` as long as it would be removed with its conversation.
    """

    submission: Submission
    order: int
    status: str = "queued"
    token: str | None = None
    ended_by: str = ""
    crashes: int = 0
    token_ids: list[int] = field(default_factory=list)
    late: bool = False
    lease: bool = False
    removed: bool = False
    listed: bool = True
    wordless: bool = False
    """It was given up with its conversation or response: only that it was cancelled is left."""

    @property
    def is_open(self) -> bool:
        return self.status not in ENDED


@dataclass
class Conversation:
    id: str
    owner: str
    exists: bool = False
    pending: list[Job] = field(default_factory=list)
    messages: list[StoredMessage] = field(default_factory=list)

    @property
    def can_continue(self) -> bool:
        return bool(self.messages) and self.messages[-1].can_continue


@dataclass
class Held:
    """A turn that a worker was given."""

    worker: str
    nonce: str
    claim: Claim


class Model(RuleBasedStateMachine):
    """What the scripts should have done, and whether they did."""

    def __init__(self, url: str) -> None:
        super().__init__()
        configured = make_settings(
            url,
            PALAVER_MAX_ATTEMPTS=MAX_ATTEMPTS,
            PALAVER_PENDING_TURNS=PENDING_TURNS,
            PALAVER_ALTERNATIVES=0,  # test_alternatives_machine.py has them
        )
        self.runner = asyncio.Runner()
        self.keys = Keys(configured.namespace)
        client = connect(configured)
        self.redis: Any = client
        self.bench = Bench(client, self.keys, configured)
        self.submissions, self.claims = self.bench.submissions, self.bench.claims
        self.operated = OperatedTurns(self.bench.redis, self.bench.keys, self.submissions)
        self.resources = Conversations(client, self.keys, configured)
        self.run(self.bench.serve(*WORKERS))
        self.conversations: dict[str, Conversation] = {}
        self.jobs: dict[str, Job] = {}
        self.submitted: list[Submission] = []
        self.idempotent: dict[tuple[str, str], tuple[str, str, Any]] = {}
        self.spent: set[tuple[str, str]] = set()
        """Idempotency keys that outlive their conversation."""
        self.claimed: list[Held] = []
        self.taken: dict[str, str] = {}
        """The nonce of each worker's last call that gave it turns."""
        self.gone_workers: set[str] = set()
        self.draining: set[str] = set()
        self.numbers = count(1)
        self.continued: dict[str, str | None] = {}
        """By job, the one whose reply it has continued."""

    def run(self, awaitable: Any) -> Any:
        return self.runner.run(awaitable)

    # What the model knows.

    def ready(self) -> list[Job]:
        heads = [c.pending[0] for c in self.conversations.values() if c.pending]
        return [job for job in heads if job.status == "queued"]

    def open_jobs(self) -> list[Job]:
        return sorted((j for j in self.jobs.values() if j.is_open), key=lambda job: job.order)

    def ended(self, job: Job, status: str) -> None:
        one = self.conversations[job.submission.conversation_id]
        one.pending.remove(job)
        job.status, job.ended_by, job.token, job.lease = status, job.token or "", None, False
        if status != "completed" and not one.pending and not one.messages:
            # Nothing was ever said in it: it is gone, and so is what was being written.
            for turn in self.listed(one):
                turn.token_ids = []
            self.gone(one)

    def listed(self, one: Conversation) -> list[Job]:
        jobs = self.jobs.values()
        return [job for job in jobs if job.listed and job.submission.conversation_id == one.id]

    def gone(self, one: Conversation) -> None:
        """Its jobs and idempotency keys are what they are from now on."""
        one.exists, one.messages = False, []
        for job in self.listed(one):
            job.listed = False
        self.spent |= {key for key, known in self.idempotent.items() if known[1] == one.id}

    def held(self, pick: int, zombie: bool) -> tuple[Held, Claim, Job, bool]:
        """One that was given a turn, its claim, the job, and whether it still holds it."""
        live = [h for h in self.claimed if self.jobs[h.claim.job_id].token == h.claim.fence]
        among = self.claimed if zombie or not live else live
        one = among[-1 - pick % len(among)]
        job = self.jobs[one.claim.job_id]
        return one, one.claim, job, job.token == one.claim.fence

    def started(self, held: Held) -> None:
        claim = held.claim
        job, conversation = self.jobs[claim.job_id], self.conversations[claim.conversation_id]
        assert conversation.pending[0] is job
        job.status, job.token, job.lease = "in_progress", claim.fence, True
        self.claimed.append(held)
        number, wanted = len(conversation.messages) + 1, claim.request.replace_from
        standing = claim.request.continues and conversation.can_continue
        assert (claim.standing is not None) == standing
        if claim.standing is not None:
            number -= 2
            prompt, reply = conversation.messages[-2:]
            assert claim.standing.message == reply
            assert claim.standing.prompt_job_id == prompt.job_id
            assert claim.request.prompt == prompt.content
        history = claim.history
        assert history is not None
        assert history.next_number == min(number, wanted or number)
        shown = conversation.messages[history.offset - 1 : history.next_number - 1]
        assert list(history.messages) == shown
        assert claim.crashes == job.crashes
        before = conversation.messages[: history.next_number - 1]
        assert history.turns == len([one for one in before if one.role == "assistant"])

    def unchanged(self, awaitable: Coroutine[Any, Any, Any]) -> Any:
        """The call's answer; it may write nothing."""
        before = self.run(self.snapshot())
        answer = self.run(awaitable)
        assert self.run(self.snapshot()) == before
        return answer

    async def snapshot(self) -> str:
        script = "local all = redis.call('KEYS', ARGV[1] .. ':*') table.sort(all) local sum = '' "
        script += "for _, k in ipairs(all) do "
        script += "sum = redis.sha1hex(sum .. k .. redis.call('DUMP', k)) "
        return str(await self.redis.eval(script + "end return sum", 0, self.keys.namespace))

    # Prompts.

    def expected(self, new: Submission) -> Accepted | str | None:
        """What a submission is answered with; a string for an acceptance that makes a job."""
        body = (new.request.encode(), None if new.new else new.conversation_id)
        known, job = self.conversations[new.conversation_id], self.jobs.get(new.job_id)
        if job is not None and not job.removed:
            return Accepted(job_id=new.job_id, conversation_id=new.conversation_id)
        first = self.idempotent.get((new.owner_id, new.idempotency_key or ""))
        if first is not None:
            if self.jobs[first[0]].removed:
                return REFUSED
            made = Accepted(job_id=first[0], conversation_id=first[1])
            return made if first[2] == body else REFUSED
        adding = [job for job in known.pending if not job.submission.request.continues]
        next_number = len(known.messages) + 1 + 2 * len(adding)
        if (
            known.exists == new.new
            or known.owner != new.owner_id
            or len(known.pending) >= PENDING_TURNS
            or (new.request.replace_from or 0) > next_number
            or (new.request.continues and not known.pending and not known.can_continue)
        ):
            return REFUSED
        return "accepted"

    def submit(self, new: Submission) -> None:
        expected = self.expected(new)
        try:
            answer = self.run(self.submissions.submit(new))
        except Refused:
            answer = REFUSED
        if expected != "accepted":
            assert answer == expected
            return
        assert answer == Accepted(job_id=new.job_id, conversation_id=new.conversation_id)
        self.jobs[new.job_id] = job = Job(new, next(self.numbers))
        self.conversations[new.conversation_id].pending.append(job)
        self.conversations[new.conversation_id].exists = True
        if new.idempotency_key:
            body = (new.request.encode(), None if new.new else new.conversation_id)
            self.idempotent[new.owner_id, new.idempotency_key] = (
                new.job_id,
                new.conversation_id,
                body,
            )

    # What always holds.

    @invariant()
    def check(self) -> None:
        self.run(self.check_queues())
        pipe = self.redis.pipeline(transaction=False)
        for name in self.jobs:
            pipe.hgetall(self.keys.job(name))
            pipe.xrange(self.keys.events(name))
            pipe.exists(self.keys.lease(name))
        for one in self.conversations.values():
            pipe.lrange(self.keys.pending(one.id), 0, -1)
            pipe.lrange(self.keys.messages(one.id), 0, -1)
            pipe.hmget(self.keys.conversation(one.id), ["next", "turns"])
        found = iter(self.run(pipe.execute()))
        for job in self.jobs.values():
            self.check_job(job, next(found), next(found), next(found))
        for one in self.conversations.values():
            self.check_conversation(one, next(found), next(found), next(found))

    async def check_queues(self) -> None:
        r, keys, jobs = self.redis, self.keys, self.open_jobs()
        queue = await self.queue()
        waiting = [job for job in jobs if job.status == "queued"]
        assert await wrong_counts(r, keys) == []
        assert set(queue.line) == ids_of(waiting)
        assert set(queue.ready) | set(queue.held) == ids_of(self.ready())
        assert not set(queue.ready) & set(queue.held), "each in exactly one"
        assert all(queue.line[name] == tag for name, tag in queue.ready.items())
        assert set(queue.owners) == {self.owner_of(name) for name in queue.ready}
        own = [name for worker in WORKERS for name in queue.own[worker]]
        assert len(own) == len(set(own))
        assert set(own) <= ids_of(self.ready())
        assert set(queue.held) <= set(own)
        assert {who: int(n) for who, n in (await r.hgetall(keys.waits)).items()} == Counter(
            job.submission.owner_id for job in waiting
        )
        running = [job for job in jobs if job.token]
        assert set(await r.zrange(keys.leases, 0, -1)) == ids_of(running)
        assert set(await r.zrange(keys.open_jobs, 0, -1)) == ids_of(jobs)
        assert not queue.free & self.gone_workers

    def owner_of(self, name: str) -> str:
        return self.jobs[name].submission.owner_id

    async def queue(self) -> "Queue":
        """What is in the queue."""
        keys = self.keys
        async with self.redis.pipeline(transaction=False) as pipe:
            for key in (
                *(keys.ready(POOL, owner) for owner in OWNERS),
                *(keys.own(worker) for worker in WORKERS),
                *(keys.line(POOL), keys.hold(POOL), keys.free(POOL)),
                *(keys.owners(POOL), keys.times(POOL)),
            ):
                pipe.zrange(key, 0, -1, withscores=True)
            found = [{name: int(score) for name, score in one} for one in await pipe.execute()]
        ready = {name: tag for one in found[: len(OWNERS)] for name, tag in one.items()}
        own = dict(zip(WORKERS, found[len(OWNERS) : -5], strict=True))
        line, held, free, owners, times = found[-5:]
        line = {entry.split()[1]: tag for entry, tag in line.items()}
        clock = int(await self.redis.get(keys.clock(POOL)) or 0)
        return Queue(line, ready, held, set(free), own, owners, times, clock)

    def check_job(self, job: Job, found: Any, events: Any, lease: int) -> None:
        if job.removed:
            assert (found, events) == ({}, [])
            return
        assert (found["status"], found.get("token")) == (job.status, job.token)
        assert lease == job.lease
        kinds = [fields["e"] for _, fields in events]
        assert kinds[0] == "queued"
        assert [k for k in kinds if k in ENDED] == ([] if job.is_open else [job.status])
        assert job.is_open or kinds[-1] == job.status
        assert [int(f["i"]) for _, f in events if f["e"] == "token"] == job.token_ids

    def check_conversation(
        self, one: Conversation, pending: Any, messages: Any, stored: Any
    ) -> None:
        assert pending == [job.submission.job_id for job in one.pending]
        assert all(job.status == "queued" and not job.token for job in one.pending[1:])
        assert list(decode_messages(messages, 1)) == one.messages
        turns = len([message for message in one.messages if message.role == "assistant"])
        numbers = [str(len(one.messages) + 1), str(turns)]
        assert stored == (numbers if one.exists else [None, None])


@dataclass
class Queue:
    """Jobs by tag (those held by the moment at which that ends), workers with a free slot, owners.

    `owners` have turns that any worker may start, `times` are those of others.
    """

    line: dict[str, int]
    ready: dict[str, int]
    held: dict[str, int]
    free: set[str]
    own: dict[str, dict[str, int]]
    owners: dict[str, int]
    times: dict[str, int]
    clock: int

    def time_of(self, owner: str) -> int:
        return self.owners.get(owner, max(self.clock, self.times.get(owner, 0)))

    def start(self, name: str, owner: str, others: set[str]) -> None:
        """A turn starts; `others` are those of its owner."""
        time = self.time_of(owner)
        self.clock = max(self.clock, time)
        for queue in (self.line, self.ready, self.held, *self.own.values()):
            queue.pop(name, None)
        if others & set(self.ready):
            self.owners[owner] = time + 1
        else:
            self.owners.pop(owner, None)
            self.times[owner] = time + 1


def ids_of(jobs: Iterable[Job]) -> set[str]:
    return {job.submission.job_id for job in jobs}
