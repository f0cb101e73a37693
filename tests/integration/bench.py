"""The scripts with short names, for tests that play several workers."""

import secrets
from typing import Any

from redis.asyncio import Redis

from shared import ids
from shared.config import Settings
from shared.store.claims import Claims
from shared.store.event_log import EventLog
from shared.store.jobs import Jobs
from shared.store.keys import WORKER_GROUP, Keys
from shared.store.submissions import Submissions
from shared.wire.claim import Claim
from shared.wire.completion import Completion
from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.models import ReplyModels
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from shared.wire.turn_request import TurnRequest

LEASE_MS = 30_000


class Bench:
    """The scripts with short names, and what they left behind."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self.redis: Any = redis
        self.keys = keys
        self.settings = settings
        self.submissions = Submissions(redis, keys, settings)
        self.claims = Claims(redis, keys, settings)
        self.events = EventLog(redis, keys)
        self.jobs = Jobs(redis, keys, self.submissions)

    async def submit(self, conversation: str | None = None, **fields: Any) -> Submission:
        submission = Submission(
            job_id=ids.new_job(),
            conversation_id=conversation or ids.new_conversation(),
            owner_id=fields.pop("owner", "default"),
            new=conversation is None,
            after=fields.pop("behind", None),
            instructions="Persona.",
            request=TurnRequest(
                prompt=fields.pop("prompt", "Hello"),
                context=fields.pop("context", None),
                replace_from=fields.pop("replace_from", None),
                sampling=Sampling(),
                **fields,
            ),
        )
        assert await self.submissions.submit(submission)
        return submission

    async def permit(self, worker: str) -> str | None:
        answer = await self.redis.xreadgroup(
            WORKER_GROUP, worker, {self.keys.permits: ">"}, count=1
        )
        return answer[0][1][0][0] if answer else None

    async def claim(self, worker: str = "w1") -> Claim:
        permit = await self.permit(worker)
        assert permit is not None, "nobody was woken"
        claim = await self.claims.claim(permit, worker, secrets.token_hex(8))
        assert claim is not None
        return claim

    async def reclaim(self, worker: str) -> Claim | None:
        return await self.claims.reclaim(worker, secrets.token_hex(8))

    async def crash(self, claim: Claim) -> None:
        """The worker is gone: its lease runs out, its permit becomes idle."""
        await self.redis.delete(self.keys.lease(claim.job_id))
        await self.make_idle(claim.permit_id, "w1")

    async def make_idle(self, permit: str, holder: str) -> None:
        """Nothing was heard of the permit's holder for a long time."""
        await self.redis.xclaim(
            self.keys.permits, WORKER_GROUP, holder, 0, [permit], idle=LEASE_MS * 10, justid=True
        )

    async def kinds(self, job: str) -> list[str]:
        return [event.kind for event in await self.events.read(job)]

    async def messages(self, conversation: str) -> list[StoredMessage]:
        stored = await self.redis.lrange(self.keys.messages(conversation), 0, -1)
        fields = await self.redis.hmget(self.keys.conversation(conversation), "first", "models")
        models = ReplyModels.decode(fields[1] or "")
        return [models.named(message) for message in decode_messages(stored, int(fields[0] or 1))]

    async def leftovers(self) -> set[str]:
        """What no ended turn may leave: permits, claims, leases, open jobs, ready turns."""
        everything = {key async for key in self.redis.scan_iter(f"{self.keys.namespace}:*")}
        prefixes = ("lease:", "claims", "jobs:open", "ready:", "owners")
        found = {key for key in everything if key.split(":", 1)[1].startswith(prefixes)}
        if await self.redis.xlen(self.keys.permits):
            found.add("permits")
        return found


def completion(claim: Claim, number: int = 1, reply: str = "Hi", **fields: Any) -> Completion:
    user = StoredMessage(
        number=number,
        role="user",
        content=claim.request.prompt,
        timestamp_ms=1,
        tokens=2,
        job_id=claim.job_id,
    )
    assistant = StoredMessage(
        number=number + 1,
        role="assistant",
        content=reply,
        timestamp_ms=1,
        tokens=2,
        job_id=claim.job_id,
    )
    return Completion(
        user=user,
        assistant=assistant,
        offset=fields.get("offset", 1),
        tokens=9,
        window=b"{}",
        result=b'{"reply":"Hi"}',
        reply=b'{"reply":"Hi","whole":true}',
        context=claim.request.context,
        pieces=fields.get("pieces", ()),
    )
