"""The scripts with short names, for tests that play several workers."""

import secrets
from typing import Any, Final

from redis.asyncio import Redis

from shared import ids
from shared.config import Settings
from shared.store.claims import Claims, Kept
from shared.store.conversations import Conversations
from shared.store.event_log import EventLog
from shared.store.jobs import Jobs
from shared.store.keys import Keys
from shared.store.old_queue import OldQueue
from shared.store.replicas import Replicas
from shared.store.submissions import Submissions
from shared.store.workers import Workers
from shared.wire.claim import Claim
from shared.wire.completion import Completion
from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.models import ReplyModels
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from shared.wire.turn_request import TurnRequest
from shared.wire.worker_report import WorkerReport

POOL: Final = "scripted"
"""As the scripted engine's model is called."""


class Bench:
    """The scripts with short names, and what they left behind."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self.redis: Any = redis
        self.keys = keys
        self.settings = settings
        self.submissions = Submissions(redis, keys, settings)
        self.claims = Claims(redis, keys, settings, pool=POOL)
        self.old_queue = OldQueue(redis, keys, POOL)
        self.workers = Workers(redis, keys)
        replicas = Replicas(redis, keys, settings.replicas)
        self.events = EventLog(redis, keys, replicas)
        self.conversations = Conversations(redis, keys, settings)
        self.jobs = Jobs(redis, keys, self.submissions, replicas)

    async def submit(self, conversation: str | None = None, **fields: Any) -> Submission:
        submission = Submission(
            job_id=ids.new_job(),
            conversation_id=conversation or ids.new_conversation(),
            owner_id=fields.pop("owner", "default"),
            new=fields.pop("new", conversation is None),
            after=fields.pop("behind", None),
            stateless=fields.pop("stateless", False),
            model_name=fields.pop("model", ""),
            idempotency_key=fields.pop("key", None),
            request_id=fields.pop("request", None),
            instructions="Persona.",
            request=TurnRequest(
                prompt=fields.pop("prompt", "" if "messages" in fields else "Hello"),
                context=fields.pop("context", None),
                replace_from=fields.pop("replace_from", None),
                sampling=fields.pop("sampling", Sampling()),
                **fields,
            ),
        )
        assert await self.submissions.submit(submission)
        return submission

    async def serve(
        self, *workers: str, pool: str = POOL, capabilities: tuple[str, ...] = ("chat",)
    ) -> None:
        """Workers of a pool that live for as long as a test."""
        report = WorkerReport(
            model_name=pool,
            fingerprint="m",
            slots=8,
            window=3500,
            patience_ms=10_000,
            capabilities=capabilities,
        )
        for worker in workers or ("w1",):
            await self.workers.announce(worker, report, ttl_s=86400)
        await self.redis.zadd(self.keys.workers, dict.fromkeys(workers or ("w1",), 1 << 50))
        await self.redis.zadd(self.keys.pools, {pool: 1 << 50})

    async def leave(self) -> None:
        """Let the pool be served by real workers alone."""
        for worker in await self.redis.zrange(self.keys.workers, 0, -1):
            await self.workers.leave(worker, POOL)
        await self.redis.zadd(self.keys.pools, {POOL: 1 << 50})

    async def close(self) -> None:
        """Leave the server to workers of other models."""
        await self.leave()
        await self.redis.delete(self.keys.pools)

    async def take(self, worker: str = "w1", number: int = 1, **options: Any) -> list[Claim]:
        return await self.claims.take(worker, secrets.token_hex(8), number, **options)

    async def claim(self, worker: str = "w1", **options: Any) -> Claim:
        claims = await self.take(worker, **options)
        assert claims, "nothing may start"
        return claims[0]

    def claims_of(self, pool: str) -> Claims:
        """The side of another pool's workers."""
        return Claims(self.redis, self.keys, self.settings, pool=pool)

    async def keep(self, worker: str = "w9", *, sweep: bool = False) -> Kept:
        """Keep the queue, as whoever does it now."""
        await self.redis.set(self.keys.keeper, worker)
        kept = await self.claims.keep(worker, may_reclaim=True, sweep=sweep)
        assert kept is not None
        return kept

    async def convert(self) -> int:
        """Take along all of an old queue; how many turns that were."""
        number, has_more = 0, True
        while has_more:
            taken = await self.old_queue.take_along()
            number, has_more = number + taken.number, taken.has_more
        return number

    async def reclaim(self, worker: str, **options: Any) -> Claim | None:
        """A turn of a lost worker, taken by another one; None if there is none."""
        await self.keep()
        taken = await self.take(worker, **options)
        return taken[0] if taken else None

    async def bells(self, worker: str) -> int:
        """How often a worker was woken."""
        return int(await self.redis.xlen(self.keys.bells(worker)))

    def of_pool(self, what: str) -> str:
        """The key of what the scripts alone know of the pool."""
        return f"{self.keys.namespace}:pool:{POOL}:{what}"

    async def crash(self, claim: Claim) -> None:
        """The worker is gone: its lease has run out."""
        await self.redis.delete(self.keys.lease(claim.job_id))
        await self.redis.zadd(self.keys.leases, {claim.job_id: 1})

    async def kinds(self, job: str) -> list[str]:
        return [event.kind for event in await self.events.read(job)]

    async def messages(self, conversation: str) -> list[StoredMessage]:
        stored = await self.redis.lrange(self.keys.messages(conversation), 0, -1)
        fields = await self.redis.hmget(self.keys.conversation(conversation), "first", "models")
        models = ReplyModels.decode(fields[1] or "")
        return [models.named(message) for message in decode_messages(stored, int(fields[0] or 1))]

    async def leftovers(self) -> set[str]:
        """What no ended turn may leave: places in queues, leases, open jobs."""
        everything = {key async for key in self.redis.scan_iter(f"{self.keys.namespace}:*")}
        names = ("lease:", "leases", "jobs:open", "waits")
        places = (":line", ":ready", ":hold", ":held", ":own")
        return {
            key
            for key in everything
            if key.split(":", 1)[1].startswith(names) or key.endswith(places)
        }


async def accepted(redis: Any, keys: Keys) -> int:
    """How many prompts were accepted lately."""
    names = [key async for key in redis.scan_iter(f"{keys.namespace}:job:*")]
    return len([name for name in names if not name.endswith(":events")])


def completion(claim: Claim, number: int = 1, reply: str = "Hi", **fields: Any) -> Completion:
    user = StoredMessage(
        number=number,
        role="user",
        content=claim.request.prompt,
        timestamp_ms=1,
        tokens=2,
        job_id=claim.job_id if claim.standing is None else claim.standing.prompt_job_id,
    )
    assistant = StoredMessage(
        number=number + 1,
        role="assistant",
        content=reply,
        timestamp_ms=1,
        tokens=2,
        job_id=claim.job_id,
        finish_reason=fields.get("finish_reason", ""),
        names_job=claim.standing is not None,
    )
    return Completion(
        user=user,
        assistant=assistant,
        offset=fields.get("offset", 1),
        tokens=9,
        prompt_tokens=fields.get("prompt_tokens", 7),
        cached_tokens=fields.get("cached_tokens", 0),
        window=b"{}",
        result=b'{"reply":"Hi"}',
        reply=b'{"reply":"Hi","whole":true}',
        context=claim.request.context,
        continues=claim.standing is not None,
        pieces=fields.get("pieces", ()),
        saves_ms=fields.get("saves_ms", 0),
        prefix=fields.get("prefix", ""),
    )
