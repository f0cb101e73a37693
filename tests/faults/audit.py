"""Compares what clients saw with what Redis holds, once everything has ended."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import orjson
from redis.asyncio import Redis

from shared.store.keys import Keys
from tests.counts import wrong_counts
from tests.faults.ledger import Ledger, Talk, Turn
from tests.faults.script import in_one_hand, reply_to

INTERNAL_ERROR: Final = "internal_error"
TERMINAL: Final = ("completed", "failed", "cancelled")
NOTHING_LEFT: Final = re.compile(
    r"lease:.*|leases|jobs:open|waits|conv:.*:pending|worker:.*:own|pool:.*:(line|ready|hold|owners)"
    # The queue of versions before data format 3.
    r"|owners|ready:.*|waiting:.*|permits|claims"
)
"""What must not exist any more when no turn is open."""


@dataclass
class Findings:
    """What came of a storm; everything but `outcomes` and `told_again` ought to be empty."""

    outcomes: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    unended: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    told_again: list[str] = field(default_factory=list)
    """Streams with pieces that were lost with a primary; pieces are not waited for."""
    left_over: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """Turns that another model than the one they name was to answer."""
    miscounted: list[str] = field(default_factory=list)
    """Moments at which the queue did not add up."""
    idle: list[str] = field(default_factory=list)
    """Workers that would not have been woken for a turn."""
    unforeseen: list[str] = field(default_factory=list)
    """Answers to errors that nobody expects."""

    @property
    def complaints(self) -> dict[str, list[str]]:
        """Everything that is wrong, by kind."""
        kinds = [one.name for one in fields(self) if one.name not in ("outcomes", "told_again")]
        return {kind: found for kind in kinds if (found := getattr(self, kind))}


def together(found: list[Findings]) -> Findings:
    """What came of it in all cells."""
    sums = {
        each.name: sum(
            (getattr(one, each.name) for one in found), type(getattr(found[0], each.name))()
        )
        for each in fields(Findings)
    }
    return Findings(**sums)


async def until_idle(redis: Redis, keys: Keys, within_s: float) -> None:
    """Return when no job is open, at the latest after `within_s`; the audit sees the rest."""
    deadline = time.monotonic() + within_s
    while await redis.zcard(keys.open_jobs) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)


async def until_settled(redis: Redis, keys: Keys, workers: int, within_s: float) -> None:
    """Return when so many workers wait for a turn and all others are forgotten.

    At the latest after `within_s`; the audit sees the rest.
    """
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if await redis.zcard(keys.workers) == workers and not await unwoken(redis, keys):
            return
        await asyncio.sleep(0.05)


async def unwoken(redis: Any, keys: Keys) -> list[str]:
    """Workers that are known, and would not be woken for a turn."""
    names: list[str] = []
    for worker in await redis.zrange(keys.workers, 0, -1):
        pool = await redis.hget(keys.worker(worker), "pool")
        if pool is None or await redis.zscore(keys.free(pool), worker) is None:
            names.append(f"{worker} of {pool}")
    return names


async def jobs_of(redis: Any, keys: Keys) -> dict[str, dict[str, str]]:
    """All jobs that are stored, by id."""
    prefix, jobs = keys.job(""), {}
    async for key in redis.scan_iter(f"{prefix}*", count=1000):
        job = key.removeprefix(prefix)
        if ":" not in job:
            jobs[job] = await redis.hgetall(key)
    return jobs


class Audit:
    """Looks at everything in one namespace.

    Args:
        loses_pieces: a primary may die with pieces of replies that clients have read.
        whole: the ledger of all cells, where `ledger` is of one.
        elsewhere: jobs of other cells: if the first turn of a conversation comes to nothing, the
            next one begins another conversation.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        ledger: Ledger,
        *,
        loses_pieces: bool = False,
        whole: Ledger | None = None,
        elsewhere: Mapping[str, dict[str, str]] | None = None,
    ) -> None:
        self._redis: Any = redis
        self._whole = whole or ledger
        self._elsewhere = elsewhere or {}
        self._loses_pieces = loses_pieces
        self._keys = keys
        self._ledger = ledger
        self._found = Findings()
        self._jobs: dict[str, dict[str, str]] = {}

    async def run(self) -> Findings:
        """All checks."""
        here = await jobs_of(self._redis, self._keys)
        self._jobs = {**self._elsewhere, **here}
        for talk in self._ledger.talks:
            if talk.is_deleted:
                await self._check_deleted(talk)
            elif talk.is_lost:
                self._found.lost.append(f"{talk.name}: what was accepted is gone")
            else:
                await self._check(talk)
        self._check_no_strangers(here)
        await self._check_workers()
        await self._check_nothing_left()
        self._found.kept = self._ledger.kept
        internal = self._ledger.refusals.get(INTERNAL_ERROR, 0)
        self._found.unforeseen = [INTERNAL_ERROR] * internal
        self._found.miscounted = self._ledger.wrong_counts
        self._found.miscounted += await wrong_counts(self._redis, self._keys)
        return self._found

    async def _check(self, talk: Talk) -> None:
        """A conversation holds its completed turns, in the order of their acceptance, once each."""
        for turn in talk.turns:
            self._check_turn(turn)
        messages = await self._messages(talk)
        said = [content for role, content in messages if role == "u"]
        completed = [turn for turn in self._accepted(talk, said) if self._is_completed(turn)]
        replies = [content for role, content in messages if role == "a"]
        wanted = [turn.prompt for turn in completed]
        if said != wanted:
            self._tell_difference(talk, said, wanted)
            return
        for number, (turn, reply) in enumerate(zip(completed, replies, strict=True), start=1):
            by_one = reply_to(number, turn.prompt, self._jobs[str(turn.job)]["pool"])
            if in_one_hand(reply) != by_one:
                self._found.different.append(f"{turn.key}: {reply!r} is stored as turn {number}")
            self._compare(turn, reply)

    def _compare(self, turn: Turn, reply: str) -> None:
        """Whether its client has read what is stored."""
        of_streams = self._found.told_again if self._loses_pieces else self._found.different
        for seen, found in ((turn.reply, self._found.different), (turn.streamed, of_streams)):
            if seen is not None and seen != reply:
                found.append(f"{turn.key}: read {seen!r}, stored {reply!r}")

    def _accepted(self, talk: Talk, said: list[str]) -> list[Turn]:
        """A conversation's turns in the order of their acceptance.

        Tags tell turns of the same millisecond apart, but those of two models cannot be compared:
        then the order in which they are stored is as good as any.
        """
        turns = [turn for turn in talk.turns if turn.job in self._jobs]
        models: dict[int, set[str]] = {}
        for turn in turns:
            models.setdefault(self._created(turn), set()).add(self._job(turn)["pool"])
        stored = {prompt: place for place, prompt in enumerate(said)}

        def acceptance(turn: Turn) -> tuple[int, int]:
            created = self._created(turn)
            if len(models[created]) > 1:
                return created, stored.get(turn.prompt, 0)
            return created, int(self._job(turn)["tag"])

        return sorted(turns, key=acceptance)

    def _job(self, turn: Turn) -> dict[str, str]:
        return self._jobs[str(turn.job)]

    def _created(self, turn: Turn) -> int:
        return int(self._job(turn)["created"])

    def _is_completed(self, turn: Turn) -> bool:
        return self._job(turn)["status"] == "completed"

    def _tell_difference(self, talk: Talk, said: list[str], wanted: list[str]) -> None:
        what = f"{talk.name}: stored {said}, completed {wanted}"
        if len(set(said)) < len(said):
            self._found.doubled.append(what)
        elif sorted(said) == sorted(wanted):
            self._found.disordered.append(what)
        else:
            self._found.lost.append(what)

    def _check_turn(self, turn: Turn) -> None:
        job = self._jobs.get(str(turn.job))
        if job is None:
            self._found.lost.append(f"{turn.key}: job {turn.job} is gone")
            return
        self._found.outcomes[job["status"]] += 1
        if turn.other_jobs:
            self._found.doubled.append(f"{turn.key}: {turn.job} and {turn.other_jobs}")
        if turn.model not in (None, job["pool"]):
            self._found.strange.append(f"{turn.key}: for {turn.model}, in line for {job['pool']}")
        if job["status"] not in TERMINAL:
            self._found.unended.append(f"{turn.key}: {job}")
        elif job["status"] != turn.status:
            self._found.different.append(f"{turn.key}: seen {turn.status}, is {job['status']}")
        if turn.is_garbled:
            self._found.different.append(f"{turn.key}: an event of its stream said nothing")

    async def _messages(self, talk: Talk) -> list[tuple[str, str]]:
        stored = await self._redis.lrange(self._keys.messages(str(talk.id)), 0, -1)
        decoded = map(orjson.loads, stored)
        return [(message["r"], message["c"]) for message in decoded]

    async def _check_deleted(self, talk: Talk) -> None:
        name = str(talk.id)
        for key in map(str, (self._keys.conversation(name), self._keys.messages(name))):
            if await self._redis.exists(key):
                self._found.left_over.append(f"{talk.name} was deleted: {key}")
        for turn in talk.turns:
            self._found.outcomes["deleted"] += 1
            # One that was pending then tells that it was cancelled; and if all came to nothing, the
            # conversation was gone before it was deleted, and its jobs tell why.
            kept = ("cancelled",) if talk.has_said_something else ("cancelled", "failed")
            if self._jobs.get(str(turn.job), {"status": "cancelled"})["status"] not in kept:
                self._found.left_over.append(f"{talk.name} was deleted: job {turn.job}")

    def _check_no_strangers(self, here: Mapping[str, dict[str, str]]) -> None:
        """Nothing was accepted that no client knows of."""
        known = {turn.job for turn in self._whole.turns}
        # Its client did not ask again, because the conversation was deleted.
        known |= {
            job for turn in self._whole.turns if not turn.job for job in turn.maybe_accepted_as
        }
        strangers = here.keys() - known
        self._found.doubled += [f"nobody knows {job}: {self._jobs[job]}" for job in strangers]

    async def _check_workers(self) -> None:
        """Every worker waits for the next turn, and nothing is left of those that died."""
        self._found.idle = await unwoken(self._redis, self._keys)
        alive = await self._redis.zrange(self._keys.workers, 0, -1)
        prefix = self._keys.worker("")
        async for key in self._redis.scan_iter(f"{prefix}*", count=1000):
            if not key.removeprefix(prefix).startswith(tuple(alive)):
                self._found.left_over.append(key)

    async def _check_nothing_left(self) -> None:
        prefix = f"{self._keys.namespace}:"
        for pool in await self._redis.zrange(self._keys.pools, 0, -1):
            for conversation in await self._redis.zrange(self._keys.folds(pool), 0, -1):
                if not await self._redis.exists(self._keys.conversation(conversation)):
                    self._found.left_over.append(f"{conversation} is gone, and to be summarised")
        async for key in self._redis.scan_iter(f"{prefix}*", count=1000):
            if NOTHING_LEFT.fullmatch(key.removeprefix(prefix)):
                self._found.left_over.append(key)
