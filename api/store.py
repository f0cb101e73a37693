"""What an API process reads and writes in Redis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from redis.asyncio import Redis

from api.ops.history import period_s
from shared.cells import Cells
from shared.config import Settings
from shared.store.all_cells import (
    AllConversations,
    AllEvents,
    AllListLogs,
    AllOperatedTurns,
    AllQueues,
    AllReplicas,
    AllSearches,
    AllShares,
    AllSnapshots,
    AllSubmissions,
    AllUsage,
    AllWorkers,
)
from shared.store.alternatives import Alternatives
from shared.store.connection import connect
from shared.store.conversations import Conversations
from shared.store.event_log import EventLog
from shared.store.jobs import Jobs
from shared.store.keys import Keys
from shared.store.list_log import ListLog
from shared.store.operated_turns import OperatedTurns
from shared.store.personas import Personas
from shared.store.queue import Queue
from shared.store.replicas import Replicas
from shared.store.routed import Routed
from shared.store.search import Search
from shared.store.shares import Shares
from shared.store.snapshots import Snapshots
from shared.store.submissions import Submissions
from shared.store.summaries import Memories
from shared.store.usage import Usage
from shared.store.workers import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """All of it, in one cell or in all of them."""

    submissions: Submissions
    replicas: Replicas
    jobs: Jobs
    events: EventLog
    conversations: Conversations
    list_log: ListLog
    search: Search
    alternatives: Alternatives
    memories: Memories
    personas: Personas
    shares: Shares
    workers: Workers
    queue: Queue
    snapshots: Snapshots
    operated_turns: OperatedTurns
    usage: Usage


def open_store(settings: Settings, redis: Redis, keys: Keys) -> Store:
    """What is in one cell, on one connection pool."""
    submissions = Submissions(redis, keys, settings)
    workers = Workers(redis, keys)
    replicas = Replicas(connect(settings, max_connections=1), keys, settings.replicas)
    return Store(
        submissions=submissions,
        replicas=replicas,
        jobs=Jobs(redis, keys, submissions, replicas),
        events=EventLog(redis, keys, replicas),
        conversations=Conversations(redis, keys, settings),
        list_log=ListLog(redis, keys),
        search=Search(redis, keys),
        alternatives=Alternatives(redis, keys, settings),
        memories=Memories(redis, keys),
        personas=Personas(redis, keys),
        shares=Shares(redis, keys, settings),
        workers=workers,
        queue=Queue(redis, keys),
        snapshots=Snapshots(redis, keys, workers, period_s=period_s(settings.heartbeat)),
        operated_turns=OperatedTurns(redis, keys, submissions),
        usage=Usage(redis, keys),
    )


_ALL: Final[Mapping[str, type[Routed[Any]]]] = {
    "submissions": AllSubmissions,
    "replicas": AllReplicas,
    "events": AllEvents,
    "conversations": AllConversations,
    "list_log": AllListLogs,
    "search": AllSearches,
    "shares": AllShares,
    "workers": AllWorkers,
    "queue": AllQueues,
    "snapshots": AllSnapshots,
    "operated_turns": AllOperatedTurns,
    "usage": AllUsage,
}
"""What knows the calls that concern several cells; everything else is in one."""


def joined(cells: Cells, stores: Sequence[Store]) -> Store:
    """What is in all cells, from that of each."""
    if len(stores) == 1:
        return stores[0]
    parts: dict[str, Any] = {}
    for each in fields(Store):
        kind = _ALL.get(each.name, Routed)
        parts[each.name] = kind(cells, [getattr(store, each.name) for store in stores])
    return Store(**parts)
