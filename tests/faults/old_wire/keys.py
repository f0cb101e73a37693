"""Every key and channel name in Redis; no other file spells one out.

Python uses `Keys`; the Lua scripts get the same patterns as a table `key` (`lua_table`).
"""

from typing import Final

from shared.wire.limits import DEFAULT_OWNER

WORKER_GROUP: Final = "workers"
"""Consumer group of all workers on the permits stream."""

_PATTERNS: Final = {
    # Version of the format.
    "schema": "schema",
    # How often the server's clock was stepped (shift.lua).
    "steps": "steps",
    # Never written: used to ask whether Redis accepts writes.
    "probe": "probe",
    # One conversation: its state, its messages, its pending turns, all its jobs by time.
    "conversation": "conv:{}",
    "messages": "conv:{}:messages",
    "pending": "conv:{}:pending",
    "jobs": "conv:{}:jobs",
    # Turns that wait, per owner, by acceptance sequence; and how often turns start.
    "waiting": "waiting:{}",
    "pace": "pace",
    # Turns that may start now, per owner, by acceptance sequence; owners by virtual time.
    "ready": "ready:{}",
    "owners": "owners",
    # The virtual time of the turn served last; those of owners with nothing ready.
    "clock": "clock",
    "tags": "tags",
    "sequence": "sequence",
    # What an owner uses: turns that have not ended, its request rate, tokens of a day; and its
    # conversations by age, for lists.
    "open": "open:{}",
    "rate": "rate:{}",
    "usage": "usage:{}",
    "owned": "owned:{}",
    # One stream entry per ready turn; which entry is bound to which turn.
    "permits": "permits",
    "claims": "claims",
    # The job of an idempotency key.
    "idempotency": "idempotency:{}",
    # Conversations that were copied from one another.
    "family": "family:{}",
    # One turn's job: state, log, lease; all jobs that have not ended, by deadline.
    "job": "job:{}",
    "events": "job:{}:events",
    "lease": "lease:{}",
    "open_jobs": "jobs:open",
    # Workers: each one's report, when it was last heard from; the window of all of them.
    "worker": "worker:{}",
    "workers": "workers",
    "window": "window",
    # Pub/sub channels: events of one job; terminal events of the jobs of one API process; jobs that
    # a worker has lost.
    "doorbell": "doorbell:{}",
    "inbox": "inbox:{}",
    "losses": "losses:{}",
}


class Keys:
    """The key names of one namespace; several installations may share a Redis database."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def _name(self, pattern: str, *parts: str) -> str:
        return f"{self.namespace}:{_PATTERNS[pattern].format(*parts)}"

    def conversation(self, conversation_id: str) -> str:
        return self._name("conversation", conversation_id)

    def messages(self, conversation_id: str) -> str:
        return self._name("messages", conversation_id)

    def pending(self, conversation_id: str) -> str:
        return self._name("pending", conversation_id)

    def ready(self, owner_id: str) -> str:
        return self._name("ready", owner_id)

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

    def doorbell(self, job_id: str) -> str:
        return self._name("doorbell", job_id)

    def losses(self, worker_id: str) -> str:
        return self._name("losses", worker_id)

    def inbox(self, api_id: str) -> str:
        return self._name("inbox", api_id)

    @property
    def schema(self) -> str:
        return self._name("schema")

    @property
    def probe(self) -> str:
        return self._name("probe")

    @property
    def permits(self) -> str:
        return self._name("permits")

    @property
    def claims(self) -> str:
        return self._name("claims")

    @property
    def open_jobs(self) -> str:
        return self._name("open_jobs")

    @property
    def owners(self) -> str:
        return self._name("owners")

    @property
    def workers(self) -> str:
        return self._name("workers")

    @property
    def window(self) -> str:
        return self._name("window")


def lua_table() -> str:
    """The patterns as Lua source: `key.messages(id)`, `key.permits`, … under `ARGV[1]`."""
    entries = []
    for name, pattern in _PATTERNS.items():
        before, hole, after = pattern.partition("{}")
        value = (
            f"function(x) return ns .. '{before}' .. x .. '{after}' end"
            if hole
            else f"ns .. '{pattern}'"
        )
        entries.append(f"  {name} = {value},")
    body = "\n".join(entries)
    return (
        f"local ns = ARGV[1] .. ':'\nlocal key = {{\n{body}\n}}\nlocal group = '{WORKER_GROUP}'\n"
        f"local default_owner = '{DEFAULT_OWNER}'\n"
    )
