"""What an API process reads and writes, in all cells of a namespace.

Most calls concern one cell (`Routed`). Here are those that concern several.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Final, TypeVar

from redis.exceptions import ConnectionError, RedisError

from shared import ids
from shared.store.conversations import Conversations
from shared.store.event_log import EventLog
from shared.store.list_log import ListLog
from shared.store.list_page import merged_pages
from shared.store.operated_turns import OperatedTurns
from shared.store.queue import PoolState, Queue, QueueState
from shared.store.replicas import Replicas
from shared.store.routed import Routed
from shared.store.search import Search, SearchCursor
from shared.store.search import merged_pages as merged_hits
from shared.store.shares import Shares
from shared.store.snapshots import Snapshots
from shared.store.submissions import Submissions
from shared.store.usage import Usage
from shared.store.workers import Workers
from shared.wire.drain_answer import DrainAnswer
from shared.wire.event import Event, order
from shared.wire.other_worker import OtherWorker
from shared.wire.place import Place
from shared.wire.search_query import SearchQuery
from shared.wire.served_model import ServedModel
from shared.wire.served_model import merged as merged_capabilities
from shared.wire.share import ShareObject
from shared.wire.turn_row import Overview, TurnRow, Turns
from shared.wire.usage_row import DayOfUsage, UsageRow
from shared.wire.worker_report import WorkerReport

T = TypeVar("T")

_PATIENCE_S: Final = 2.0
_CLOCKS_DIFFER_MS: Final = 2000
"""Clocks of different servers, at most."""


async def of_reachable(calls: Iterable[Awaitable[T]]) -> list[T]:
    """The answers of the cells that answer.

    Raises:
        RedisError, OSError: none does.
    """
    answers = await asyncio.gather(*map(_soon, calls), return_exceptions=True)
    good: list[T] = []
    bad: list[BaseException] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            bad.append(answer)
        else:
            good.append(answer)
    for error in bad:
        if not good or not isinstance(error, (RedisError, OSError)):
            raise error
    return good


async def _soon(call: Awaitable[T]) -> T:
    """An answer, unless it takes too long: the others must not wait for a server that hangs."""
    async with asyncio.timeout(_PATIENCE_S):
        return await call


class AllSubmissions(Routed[Submissions]):
    """Submits turns in all cells, and follows them until a worker has them."""

    async def cancel_all(self, owner_id: str) -> int:
        """End all turns of an owner; returns how many there were."""
        spread = [self.parts[cell] for cell in self.cells.spread_of(owner_id)]
        return sum(await asyncio.gather(*(part.cancel_all(owner_id) for part in spread)))

    async def places(self, jobs: Sequence[str]) -> list[Place | None]:
        """Places in the queues of their cells."""
        by_cell: defaultdict[int, list[str]] = defaultdict(list)
        for job_id in jobs:
            by_cell[self.cells.of_job(job_id)].append(job_id)
        found: dict[str, Place | None] = {}
        for cell, of_cell in by_cell.items():
            found |= zip(of_cell, await self.parts[cell].places(of_cell), strict=True)
        return [found[job_id] for job_id in jobs]


class AllReplicas(Routed[Replicas]):
    """Asks the primaries of all cells."""

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(part.close() for part in self.parts))


class AllEvents(Routed[EventLog]):
    """Reads the logs of jobs."""

    @property
    def confirms_ends(self) -> bool:
        """Whether ends are only read once they cannot get lost any more."""
        return self.parts[0].confirms_ends


class AllConversations(Routed[Conversations]):
    """The conversations of all cells."""

    async def list(
        self, owner_id: str, limit: int, before: str | None, *, only_pinned: bool = False
    ) -> dict[str, Any]:
        """`limit` conversations of an owner after a position, last used first, from all cells."""
        pages = await asyncio.gather(
            *(
                self.parts[cell].listed(owner_id, limit, before, only_pinned=only_pinned)
                for cell in self.cells.spread_of(owner_id)
            )
        )
        return merged_pages(pages, limit).to_wire()


class AllSearches(Routed[Search]):
    """Finds conversations in all cells."""

    async def page(
        self,
        owner_id: str,
        query: SearchQuery,
        limit: int,
        after: SearchCursor | None,
        *,
        only_pinned: bool = False,
    ) -> dict[str, Any]:
        """`limit` hits after a cursor; fewer if much had to be read in a cell."""
        pages = await asyncio.gather(
            *(
                self.parts[cell].found(owner_id, query, limit, after, only_pinned=only_pinned)
                for cell in self.cells.spread_of(owner_id)
            )
        )
        return merged_hits(pages, limit).to_wire()


class AllListLogs(Routed[ListLog]):
    """What has changed in owners' lists, in all cells.

    Ids of different cells are times of different clocks: changes around the one after which a
    client resumes are told again.
    """

    async def position(self, owner_id: str) -> str:
        """The log id behind which changes are new in every cell."""
        spread = [self.parts[cell] for cell in self.cells.spread_of(owner_id)]
        return min(await asyncio.gather(*(part.position(owner_id) for part in spread)), key=order)

    async def follow(self, owner_id: str, after: str) -> list[Event]:
        """Changes after a log id; one `reset` alone where they are not known any more."""
        spread = [self.parts[cell] for cell in self.cells.spread_of(owner_id)]
        after = after if len(spread) == 1 else shortly_before(after)
        found = await asyncio.gather(*(part.follow(owner_id, after) for part in spread))
        changes = sorted(chain.from_iterable(found), key=lambda event: order(event.id))
        return [event for event in changes if event.kind == "reset"][:1] or changes


def shortly_before(log_id: str) -> str:
    """The id of a time so much earlier that no cell's clock was behind it."""
    return f"{max(0, order(log_id)[0] - _CLOCKS_DIFFER_MS)}-0"


class AllShares(Routed[Shares]):
    """Links to conversations, each in its conversation's cell."""

    async def share(
        self, conversation_id: str, owner_id: str, *, share_id: str, title: str
    ) -> ShareObject | None:
        """Copy a conversation as it is now, into its cell."""
        cell = self.cells.of_conversation(conversation_id)
        return await self.parts[cell].share(
            conversation_id, owner_id, share_id=self.cells.moved(share_id, cell), title=title
        )


class AllWorkers(Routed[Workers]):
    """The workers of all cells; many are in several."""

    async def of_other_length(self, context_length: int) -> OtherWorker | None:
        """A live worker with another `PALAVER_CONTEXT_LENGTH`, in any cell."""
        others = await of_reachable(part.of_other_length(context_length) for part in self.parts)
        return max(filter(None, others), key=lambda other: other.known_for_s, default=None)

    async def ask_to_drain(self, worker_id: str) -> DrainAnswer:
        """Ask it wherever it is known; it drains in all cells."""
        answers = await of_reachable(part.ask_to_drain(worker_id) for part in self.parts)
        known = [answer for answer in answers if answer is not DrainAnswer.GONE]
        return known[0] if known else DrainAnswer.GONE

    async def is_served(self, model_name: str) -> bool:
        """Whether a living worker runs this model."""
        return any(await of_reachable(part.is_served(model_name) for part in self.parts))

    async def models(self) -> dict[str, ServedModel]:
        """The models of the live workers; a worker counts once in each of its cells."""
        models: dict[str, ServedModel] = {}
        for name, model in chain.from_iterable(
            found.items() for found in await of_reachable(part.models() for part in self.parts)
        ):
            before = models.get(name, model)
            models[name] = replace(
                model,
                workers=max(before.workers, model.workers),
                capabilities=merged_capabilities(before.capabilities, model.capabilities),
            )
        return models

    async def all(self) -> dict[str, WorkerReport]:
        """The last report of each live worker, by its id."""
        found: dict[str, WorkerReport] = {}
        for reports in await of_reachable(part.all() for part in self.parts):
            found |= reports
        return found

    async def silence_s(self) -> float | None:
        """Seconds since any worker was heard from; None if none ever was."""
        heard = await of_reachable(part.silence_s() for part in self.parts)
        return min((silence for silence in heard if silence is not None), default=None)


class AllQueues(Routed[Queue]):
    """The queues of all cells as one."""

    async def state(self) -> QueueState:
        """The sums of all cells, and each of them."""
        cells = await asyncio.gather(*(_state_of(part) for part in self.parts))
        states = [state for state in cells if state is not None]
        if not states:
            raise ConnectionError("no cell answers")
        pools: dict[str, PoolState] = {}
        for name, pool in chain.from_iterable(state.pools.items() for state in states):
            pools[name] = _both(pools[name], pool) if name in pools else pool
        return QueueState(open=sum(state.open for state in states), pools=pools, cells=cells)


async def _state_of(queue: Queue) -> QueueState | None:
    try:
        return await _soon(queue.state())
    except (RedisError, OSError):
        return None


def _both(first: PoolState, second: PoolState) -> PoolState:
    """Two lines of a model as one: turns start in either."""
    paces = [pool.pace_s for pool in (first, second) if pool.pace_s]
    return PoolState(
        waiting=first.waiting + second.waiting,
        held=first.held + second.held,
        pace_s=1 / sum(1 / pace_s for pace_s in paces) if paces else None,
    )


class AllSnapshots(Routed[Snapshots]):
    """The reports of all workers."""

    @property
    def period_s(self) -> float:
        """The time between two refreshes."""
        return self.parts[0].period_s

    async def latest(self) -> Mapping[str, WorkerReport]:
        """The workers of all cells, as of the last refresh of this process."""
        return _together(await of_reachable(part.latest() for part in self.parts))

    async def refresh(self) -> Mapping[str, WorkerReport]:
        """Read all workers of the cells where it is time."""
        return _together(await of_reachable(part.refresh() for part in self.parts))


def _together(found: Sequence[Mapping[str, WorkerReport]]) -> Mapping[str, WorkerReport]:
    """A worker reports the same in each of its cells."""
    return {worker: report for reports in found for worker, report in reports.items()}


class AllOperatedTurns(Routed[OperatedTurns]):
    """Everybody's turns."""

    async def overview(self, limit: int) -> Overview:
        """The turns that run, wait and have failed in any cell, at most so many of each."""
        found = await of_reachable(part.overview(limit) for part in self.parts)
        return Overview(
            running=_joined([each.running for each in found], limit, _began_ms),
            waiting=_joined([each.waiting for each in found], limit, _created_ms),
            failed=_joined([each.failed for each in found], limit, _last_ms),
        )

    async def of_id(self, text: str) -> list[TurnRow] | None:
        """The turns of a job, a conversation or a request, by the form of the id."""
        if (job_id := ids.job_in(text)) is not None:
            return await self.parts[self.cells.of_job(job_id)].of_id(text)
        if (conversation_id := ids.conversation_in(text)) is not None:
            return await self.parts[self.cells.of_conversation(conversation_id)].of_id(text)
        found = await of_reachable(part.of_id(text) for part in self.parts)
        return None if found[0] is None else [row for rows in found for row in rows or ()]


def _joined(found: Sequence[Turns], limit: int, order: Callable[[TurnRow], int]) -> Turns:
    rows = sorted((row for turns in found for row in turns.rows), key=order)
    return Turns(count=sum(turns.count for turns in found), rows=rows[:limit])


def _began_ms(row: TurnRow) -> int:
    return row.started_ms or row.created_ms


def _created_ms(row: TurnRow) -> int:
    return row.created_ms


def _last_ms(row: TurnRow) -> int:
    return -(row.finished_ms or row.created_ms)


class AllUsage(Routed[Usage]):
    """What owners have used, in all cells."""

    async def week(self) -> list[DayOfUsage]:
        """The days on which anything was used in any cell, today first."""
        weeks = await of_reachable(part.week() for part in self.parts)
        return _added(chain.from_iterable(weeks))

    async def today(self) -> DayOfUsage:
        """What was used since midnight (UTC) in all cells."""
        return _added(await of_reachable(part.today() for part in self.parts))[0]


def _added(days: Iterable[DayOfUsage]) -> list[DayOfUsage]:
    rows: defaultdict[Any, dict[tuple[str, str], UsageRow]] = defaultdict(dict)
    for each in days:
        of_day = rows[each.day]
        for row in each.rows:
            whose = (row.owner_id, row.model_name)
            of_day[whose] = of_day[whose].plus(row) if whose in of_day else row
    return [
        DayOfUsage(day=day, rows=[of_day[whose] for whose in sorted(of_day)])
        for day, of_day in sorted(rows.items(), reverse=True)
    ]
