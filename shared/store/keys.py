"""Every key and channel name in Redis. Nothing else in the project spells one out.

Python asks `Keys`; the Lua scripts get the same patterns as a table `key` of functions
(`lua_table`), so that a name exists once.
"""

from typing import Final

from shared.wire.limits import DEFAULT_OWNER

WORKER_GROUP: Final = "workers"
"""Consumer group on the permits stream: all workers together."""

_PATTERNS: Final = {
    # The format of everything below.
    "schema": "schema",
    # How often the server's clock was stepped while turns were under way.
    "steps": "steps",
    # Never written: what asks whether Redis would take a write.
    "probe": "probe",
    # One conversation: what it is, every message, the turns not yet ended, all jobs by time.
    "conversation": "conv:{}",
    "messages": "conv:{}:messages",
    "pending": "conv:{}:pending",
    "jobs": "conv:{}:jobs",
    # Every turn that waits, per owner, by acceptance sequence: places in the queue.
    "waiting": "waiting:{}",
    "pace": "pace",
    # Who may start now: per owner, by acceptance sequence; owners by virtual time.
    "ready": "ready:{}",
    "owners": "owners",
    # The virtual time of the turn served last; those of owners with nothing ready.
    "clock": "clock",
    "tags": "tags",
    "sequence": "sequence",
    # What an owner uses: turns that have not ended; when it may ask next; tokens of a day; and
    # its conversations by age, where they can be listed.
    "open": "open:{}",
    "rate": "rate:{}",
    "usage": "usage:{}",
    "owned": "owned:{}",
    # One stream entry per ready turn; who claimed which turn with which entry.
    "permits": "permits",
    "claims": "claims",
    # Which job an Idempotency-Key of an owner stands for.
    "idempotency": "idempotency:{}",
    # Conversations that were copied from one another.
    "family": "family:{}",
    # One turn's job: state, log, liveness; all that have not ended, by deadline.
    "job": "job:{}",
    "events": "job:{}:events",
    "lease": "lease:{}",
    "open_jobs": "jobs:open",
    # Workers: what each is, and when each was last heard of; the window that all of them have.
    "worker": "worker:{}",
    "workers": "workers",
    "window": "window",
    # Pub/sub channels that ring for every event: of one job; of the jobs of one API process. And
    # one for each worker, to which the jobs go that it has lost.
    "doorbell": "doorbell:{}",
    "inbox": "inbox:{}",
    "losses": "losses:{}",
}


class Keys:
    """The key names of one namespace (several Palavers may share a Redis database)."""

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
