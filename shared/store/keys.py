"""Every key and channel name in Redis; no other file spells one out.

Python uses `Keys`; the Lua scripts name the same patterns as `key.…` (`with_key_names`).
"""

import re
from typing import Final

PATTERNS: Final = {
    # Version of the format.
    "schema": "schema",
    # How many cells the namespace has, in each of them; there is none where it is not divided.
    "cells": "cells",
    # In the first one: how many workers have chosen some of the cells.
    "served": "served",
    # How often the server's clock was stepped (shift.lua).
    "steps": "steps",
    # Never written: used to ask whether Redis accepts writes.
    "probe": "probe",
    # One conversation: its state, its messages, its pending turns, all its jobs by time.
    "conversation": "conv:{}",
    "messages": "conv:{}:messages",
    "pending": "conv:{}:pending",
    "jobs": "conv:{}:jobs",
    # Its alternatives, oldest first; one of them, by conversation and id; the messages of that one.
    "alternatives": "conv:{}:alternatives",
    "alternative": "alternative:{}",
    "tail": "alternative:{}:messages",
    # What was copied of a conversation for whoever has the link: about it, and its messages.
    "share": "share:{}",
    "shared_messages": "share:{}:messages",
    # One pool, all workers of a model: what is known of it; all turns that wait, by tag; those of
    # an owner that any worker may start, by tag; owners of such turns by virtual time, and
    # those of other owners; turns that only their home may start, by the moment at which that ends;
    # workers with a free slot, by how busy they are and when they were woken last; all workers by
    # when they were last heard from; the highest virtual time served; owners' last tags; how often
    # turns start; conversations whose summary lacks turns, by when a worker may add them. And all
    # pools by when one of their workers was last heard from.
    "pool": "pool:{}:about",
    "line": "pool:{}:line",
    "ready": "pool:{}:ready",
    "hold": "pool:{}:hold",
    "owners": "pool:{}:owners",
    "times": "pool:{}:times",
    "free": "pool:{}:free",
    "peers": "pool:{}:workers",
    "clock": "pool:{}:clock",
    "tags": "pool:{}:tags",
    "pace": "pool:{}:pace",
    "folds": "pool:{}:folds",
    "pools": "pools",
    # How many turns of each owner wait.
    "waits": "waits",
    # What an owner uses: turns that have not ended, its request rate, tokens of a day.
    "open": "open:{}",
    "rate": "rate:{}",
    "usage": "usage:{}",
    # What owners have used of each model on one day.
    "counted": "counted:{}",
    # An owner's conversations by last use; what has changed in that list lately; and whether
    # conversations of older versions were looked for a while ago.
    "owned": "owned:{}",
    "changes": "changes:{}",
    "listed": "listed",
    # An owner's personas, by id.
    "personas": "personas:{}",
    # The job of an idempotency key.
    "idempotency": "idempotency:{}",
    # Conversations that were copied from one another.
    "family": "family:{}",
    # What a stateless request begins with, by pool and digest: the worker that has it in its cache.
    "prefix": "prefix:{}",
    # One turn's job: state, log, lease; all jobs that have not ended, by deadline; those that run,
    # by when to look at their lease.
    "job": "job:{}",
    "events": "job:{}:events",
    "lease": "lease:{}",
    "open_jobs": "jobs:open",
    "leases": "leases",
    # The turns that failed last, by when; what operators see of each.
    "failures": "failures",
    "failure_rows": "failures:rows",
    # Workers: each one's report; turns that should start there, by tag; a stream that wakes it; the
    # turns that it took last. When each was last heard from; which of them keeps the queue.
    "worker": "worker:{}",
    "own": "worker:{}:own",
    "bells": "worker:{}:bells",
    "taken": "worker:{}:taken",
    "workers": "workers",
    "keeper": "keeper",
    # Written before replicas are asked for what was written before.
    "mark": "mark",
    # What all workers reported lately, as one API process has read it; and that one has.
    "snapshot": "snapshot",
    "snapshot_taken": "snapshot:taken",
    # The queue of versions before data format 3 (convert.lua).
    "old_owners": "owners",
    "old_ready": "ready:{}",
    "old_waiting": "waiting:{}",
    "old_clock": "clock",
    "old_tags": "tags",
    "old_permits": "permits",
    "old_claims": "claims",
    "old_pace": "pace",
    # Pub/sub channels: events of one job; changes of one owner's list; terminal events of the jobs
    # of one API process; what a worker should know of the jobs that it runs.
    "doorbell": "doorbell:{}",
    "list_doorbell": "list:{}",
    "inbox": "inbox:{}",
    "notices": "notices:{}",
}
_IN_LUA: Final = re.compile(r"\bkey\.(\w+)")


class Keys:
    """The key names of one namespace; several installations may share a Redis database."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def _name(self, pattern: str, *parts: str) -> str:
        return f"{self.namespace}:{PATTERNS[pattern].format(*parts)}"

    def prefix_of(self, pattern: str) -> str:
        """What all names of a pattern begin with."""
        return self._name(pattern, "")

    def conversation(self, conversation_id: str) -> str:
        return self._name("conversation", conversation_id)

    def messages(self, conversation_id: str) -> str:
        return self._name("messages", conversation_id)

    def pending(self, conversation_id: str) -> str:
        return self._name("pending", conversation_id)

    def share(self, share_id: str) -> str:
        return self._name("share", share_id)

    def shared_messages(self, share_id: str) -> str:
        return self._name("shared_messages", share_id)

    def personas(self, owner_id: str) -> str:
        return self._name("personas", owner_id)

    def usage(self, owner_id_and_day: str) -> str:
        return self._name("usage", owner_id_and_day)

    def counted(self, day: str) -> str:
        return self._name("counted", day)

    def pool(self, pool: str) -> str:
        return self._name("pool", pool)

    def line(self, pool: str) -> str:
        return self._name("line", pool)

    def ready(self, pool: str, owner_id: str) -> str:
        return self._name("ready", f"{pool}:{owner_id}")

    def times(self, pool: str) -> str:
        return self._name("times", pool)

    def owners(self, pool: str) -> str:
        return self._name("owners", pool)

    def free(self, pool: str) -> str:
        return self._name("free", pool)

    def clock(self, pool: str) -> str:
        return self._name("clock", pool)

    def hold(self, pool: str) -> str:
        return self._name("hold", pool)

    def prefix(self, pool: str, digest: str) -> str:
        return self._name("prefix", f"{pool}:{digest}")

    def pace(self, pool: str) -> str:
        return self._name("pace", pool)

    def folds(self, pool: str) -> str:
        return self._name("folds", pool)

    def open(self, owner_id: str) -> str:
        return self._name("open", owner_id)

    def job(self, job_id: str) -> str:
        return self._name("job", job_id)

    def events(self, job_id: str) -> str:
        return self._name("events", job_id)

    def lease(self, job_id: str) -> str:
        return self._name("lease", job_id)

    def worker(self, worker_id: str) -> str:
        return self._name("worker", worker_id)

    def own(self, worker_id: str) -> str:
        return self._name("own", worker_id)

    def bells(self, worker_id: str) -> str:
        return self._name("bells", worker_id)

    def doorbell(self, job_id: str) -> str:
        return self._name("doorbell", job_id)

    def notices(self, worker_id: str) -> str:
        return self._name("notices", worker_id)

    def inbox(self, api_id: str) -> str:
        return self._name("inbox", api_id)

    def owned(self, owner_id: str) -> str:
        return self._name("owned", owner_id)

    def changes(self, owner_id: str) -> str:
        return self._name("changes", owner_id)

    def list_doorbell(self, owner_id: str) -> str:
        return self._name("list_doorbell", owner_id)

    @property
    def listed(self) -> str:
        return self._name("listed")

    @property
    def schema(self) -> str:
        return self._name("schema")

    @property
    def cells(self) -> str:
        return self._name("cells")

    @property
    def served(self) -> str:
        return self._name("served")

    @property
    def probe(self) -> str:
        return self._name("probe")

    @property
    def open_jobs(self) -> str:
        return self._name("open_jobs")

    @property
    def waits(self) -> str:
        return self._name("waits")

    @property
    def mark(self) -> str:
        return self._name("mark")

    @property
    def keeper(self) -> str:
        return self._name("keeper")

    @property
    def snapshot(self) -> str:
        return self._name("snapshot")

    @property
    def snapshot_taken(self) -> str:
        return self._name("snapshot_taken")

    @property
    def leases(self) -> str:
        return self._name("leases")

    @property
    def pools(self) -> str:
        return self._name("pools")

    @property
    def workers(self) -> str:
        return self._name("workers")


def with_key_names(script: str) -> str:
    """A Lua script with the names behind `key.leases`, `key.messages(id)`, … spelled out.

    They are under the namespace `ARGV[1]`. A table of functions would be built with each call of
    the script. No string within such an id has a parenthesis.

    Raises:
        KeyError: there is no such key.
    """
    # From the last one on: an id may contain others.
    for name in reversed(list(_IN_LUA.finditer(script))):
        before, hole, after = PATTERNS[name[1]].partition("{}")
        stop = name.end()
        value = f"ns .. '{before}'"
        if hole:
            stop = _closing(script, stop) + 1
            value += f" .. {script[name.end() : stop]}" + (f" .. '{after}'" if after else "")
        script = f"{script[: name.start()]}({value}){script[stop:]}"
    return f"local ns = ARGV[1] .. ':'\n{script}"


def _closing(script: str, opening: int) -> int:
    """Where the parenthesis that opens there is closed."""
    depth = 0
    for at in range(opening, len(script)):
        depth += {"(": 1, ")": -1}.get(script[at], 0)
        if depth == 0:
            return at
    raise ValueError(f"a parenthesis is not closed: {script[opening:][:40]}")
