"""Two versions of the queue behind the same few calls."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from shared.store.workers import Workers
from shared.wire.publication import PieceRecord, Publication
from shared.wire.worker_report import WorkerReport
from tests.integration.bench import Bench, completion

WORKER: Final = "w1"
POOL: Final = "scripted"
ALIVE_S: Final = 3_600
REPORT: Final = WorkerReport(model_name=POOL, fingerprint="m", slots=8)
PIECE: Final = PieceRecord(text=" a few tokens of text", token_ids=(11, 222, 3333, 444, 55))


class Side(Protocol):
    """What is measured."""

    async def prepare(self) -> None: ...
    async def submit(self, owner: str) -> str: ...
    async def take(self) -> Any: ...
    async def beat(self, claims: Sequence[Any]) -> None: ...
    async def publish(self, claims: Sequence[Any], at: int) -> None: ...
    async def commit(self, claim: Any) -> None: ...
    async def places(self, jobs: Sequence[str]) -> None: ...
    async def keep(self) -> None: ...
    async def announce(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Common:
    """What has not changed."""

    bench: Any

    async def submit(self, owner: str) -> str:
        return str((await self.bench.submit(owner=owner)).job_id)

    async def publish(self, claims: Sequence[Any], at: int) -> None:
        await self.bench.claims.publish_all(
            [
                Publication(
                    job_id=claim.job_id,
                    fence=claim.fence,
                    at=at * len(PIECE.token_ids),
                    pieces=(PIECE,),
                    evaluated=9,
                    prompt_tokens=9,
                )
                for claim in claims
            ]
        )

    async def commit(self, claim: Any) -> None:
        await self.bench.claims.commit(claim, completion(claim))

    async def places(self, jobs: Sequence[str]) -> None:
        await self.bench.submissions.places(jobs)

    async def announce(self) -> None:
        workers = Workers(self.bench.redis, self.bench.keys)
        await workers.announce(WORKER, REPORT, ALIVE_S)


class Now(Common):
    """This version."""

    bench: Bench

    async def prepare(self) -> None:
        await self.bench.serve(WORKER)
        await self.bench.redis.set(self.bench.keys.keeper, WORKER)

    async def take(self) -> Any:
        return await self.bench.claim(WORKER)

    async def beat(self, claims: Sequence[Any]) -> None:
        await self.bench.claims.beat(claims, WORKER)

    async def keep(self) -> None:
        await self.bench.claims.keep(WORKER, may_reclaim=True, sweep=False)


class Before(Common):
    """The version before workers had a row: each of them looks for lost turns."""

    async def prepare(self) -> None:
        await self.announce()
        await self.bench.claims.ensure_group()

    async def take(self) -> Any:
        return await self.bench.claim(WORKER)

    async def beat(self, claims: Sequence[Any]) -> None:
        await self.bench.claims.beat(claims[0], WORKER)  # one call for each turn

    async def keep(self) -> None:
        await self.bench.claims.reclaim("w2", secrets.token_hex(8))
