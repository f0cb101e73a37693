"""What conversations cost in Redis, beside the text that they consist of.

    python -m bench.memory [--conversations 5000 --turns 10]

An embedded Valkey is filled by the real scripts (submit, claim, commit) with seeded, English-like
prompts (about 25 words) and replies (about 60). In the last turn of some conversations the replies
are emitted piece by piece, as a worker does while it generates: these jobs are the sample from
which a job's bytes are taken. `used_memory` is what the server's allocator has handed out, and the
difference between two readings includes everything; `MEMORY USAGE` is exact for each key, but does
not round up to the allocator's sizes.
"""

import argparse
import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson
import uvloop

from shared import ids
from shared.config import Settings
from shared.store.claims import Claims
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.submissions import Submissions
from shared.store.workers import Workers
from shared.wire.claim import Claim
from shared.wire.completion import Completion
from shared.wire.limits import DEFAULT_OWNER
from shared.wire.messages import StoredMessage
from shared.wire.publication import PieceRecord
from shared.wire.reply import (
    PromptTokensDetails,
    Timings,
    TurnResult,
    Usage,
    WindowReceipt,
    reply_object,
)
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from shared.wire.timestamps import rfc3339
from shared.wire.turn_request import TurnRequest
from shared.wire.worker_report import WorkerReport
from shared.wire.write_outcome import WriteOutcome
from tests.servers import make_settings, running_valkey

Item = TypeVar("Item")

USERS: Final = 1_000_000
GOAL: Final = 1.5
BATCH: Final = 500
LANES: Final = 16
SAMPLE: Final = 200
CHUNK: Final = 1000
MODEL: Final = "SmolLM2-135M-Instruct"
LIMIT_S: Final = 540.0
WORKER: Final = "bench"
SAVES_MS: Final = 500
"""What a turn saves at its home, as by a real cache: it is stored with the conversation."""
TOKENS_PER_WORD: Final = 1.35
TOKENS_PER_PIECE: Final = 3
SYLLABLES: Final = [c + v for c in ("b", "d", "f", "l", "m", "pr", "st", "t") for v in "aeiou"]
COMMON: Final = ("the", "of", "and", "to", "a", "in", "is", "that", "it", "was", "for", "be")


class Writer:
    """Seeded text: half of the words are very common ones, the rest from a made-up list."""

    def __init__(self) -> None:
        self._random = random.Random(1)
        syllables = (self._random.choices(SYLLABLES, k=2 + i % 3) for i in range(3000))
        self._words = [COMMON[i % len(COMMON)] for i in range(3000)] + list(map("".join, syllables))

    def text(self, words: int) -> str:
        """About so many words, in sentences; now and then a paragraph, or a letter beyond ASCII."""
        number = self._random.randint(words * 3 // 5, words * 7 // 5)
        chosen = self._random.choices(self._words, k=number)
        for end in range(11, number - 3, 12):
            chosen[end] += self._random.choice((".", ".", ",", "?", " —", ".\n\n"))
        return " ".join(chosen).capitalize() + "."


def tokens_of(text: str) -> int:
    return round(len(text.split()) * TOKENS_PER_WORD)


def completion(claim: Claim, reply: str, tokens: int, window: int) -> Completion:
    """What a worker commits, built as `worker/completion.py` does."""
    assert claim.history is not None
    prompt, job = claim.request.prompt, claim.job_id
    prompt_tokens, reply_tokens = tokens_of(prompt), tokens_of(reply)
    total, number = tokens + prompt_tokens + reply_tokens, claim.history.next_number
    now_ms = time.time_ns() // 1_000_000
    result = TurnResult(
        reply=reply,
        timestamp=rfc3339(now_ms),
        numberOfTokens=total,
        finish_reason="stop",
        usage=Usage(
            prompt_tokens=total - reply_tokens,
            completion_tokens=reply_tokens,
            total_tokens=total,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=tokens),
        ),
        window=WindowReceipt(
            budget=window, used=total, turns_kept=number // 2 + 1, turns_dropped=0
        ),
        timings=Timings(queued_ms=2.0, prompt_ms=91.9, generation_ms=546.3),
        model=MODEL,
    )
    encoded = orjson.dumps(result)
    return Completion(
        user=StoredMessage(
            number=number,
            role="user",
            content=prompt,
            timestamp_ms=claim.created_ms,
            tokens=prompt_tokens,
            job_id=job,
        ),
        assistant=StoredMessage(
            number=number + 1,
            role="assistant",
            content=reply,
            timestamp_ms=now_ms,
            tokens=reply_tokens,
            job_id=job,
            finish_reason="stop",
            model_name=MODEL,
        ),
        offset=claim.history.offset,
        tokens=total,
        window=orjson.dumps(result.window),
        result=encoded,
        reply=reply_object(job, claim.conversation_id, claim.request, encoded),
        context=claim.request.context,
        saves_ms=SAVES_MS,
    )


async def each(items: Iterable[Item], do: Callable[[Item], Awaitable[None]]) -> None:
    """Do something with every item, on several connections at once."""
    left = iter(items)

    async def lane() -> None:
        for item in left:
            await do(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(LANES):
            group.create_task(lane())


class Filler:
    """Plays API and worker: conversations grow in batches, all of a batch by one turn at a time."""

    def __init__(self, redis: Any, settings: Settings) -> None:
        self._keys = Keys(settings.namespace)
        self._redis, self._settings = redis, settings
        self._submissions = Submissions(redis, self._keys, settings)
        self._claims = Claims(redis, self._keys, settings, pool=MODEL)
        self._workers = Workers(redis, self._keys)
        self._writer = Writer()
        self.tokens: dict[str, int] = {}
        self._in_sample = False
        self.text_bytes = 0
        self.jobs: list[str] = []
        self.sample: list[str] = []

    async def fill(self, number: int, turns: int) -> None:
        """Make so many conversations; the last turns of the first of them are the sample."""
        await self._workers.announce(WORKER, WorkerReport(model_name=MODEL, slots=1), LIMIT_S)
        self.text_bytes += number * len(self._settings.default_context.encode())
        batch = [ids.new_conversation() for _ in range(number)]
        self.tokens |= dict.fromkeys(batch, 0)
        for turn in range(turns):
            self._in_sample = turn == turns - 1
            await each(batch, self._submit)
            claims = await self._claims.take(WORKER, secrets.token_hex(8), number)
            assert len(claims) == number, "one turn of every conversation"
            await each(claims, self._answer)

    async def _submit(self, conversation: str) -> None:
        request = TurnRequest(
            prompt=self._text(25), context=None, replace_from=None, sampling=Sampling()
        )
        context, new = self._settings.default_context, self.tokens[conversation] == 0
        job, inbox = ids.new_job(), secrets.token_hex(8)
        self.jobs.append(job)
        submission = Submission(
            job_id=job,
            conversation_id=conversation,
            owner_id=DEFAULT_OWNER,
            new=new,
            instructions=context,
            request=request,
            api_id=inbox,
        )
        assert await self._submissions.submit(submission) is not None

    def _text(self, words: int) -> str:
        text = self._writer.text(words)
        self.text_bytes += len(text.encode())
        return text

    async def _answer(self, claim: Claim) -> None:
        reply = self._text(60)
        if self._in_sample and len(self.sample) < SAMPLE:
            self.sample.append(claim.job_id)
            await self._emit(claim, reply)
        before = self.tokens[claim.conversation_id]
        done = completion(claim, reply, before, self._settings.context_length)
        self.tokens[claim.conversation_id] = before + done.user.tokens + done.assistant.tokens
        assert (await self._claims.commit(claim, done)).outcome is WriteOutcome.OK

    async def _emit(self, claim: Claim, reply: str) -> None:
        """The reply in pieces of some tokens, as they are coalesced on their way."""
        pieces = max(1, tokens_of(reply) // TOKENS_PER_PIECE)
        size = len(reply) // pieces + 1
        for i, start in enumerate(range(0, len(reply), size)):
            token_ids = tuple(random.Random(i).sample(range(49_000), TOKENS_PER_PIECE))
            piece = PieceRecord(text=reply[start : start + size], token_ids=token_ids)
            await self._claims.publish(claim, i * TOKENS_PER_PIECE, piece)


async def used(redis: Any) -> int:
    return int((await redis.info("memory"))["used_memory"])


async def sizes(redis: Any, names: Sequence[str]) -> int:
    """The sum of what the keys take, every element counted."""
    total = 0
    for start in range(0, len(names), CHUNK):
        async with redis.pipeline(transaction=False) as pipe:
            for name in names[start : start + CHUNK]:
                pipe.memory_usage(name, samples=0)
            total += sum(size or 0 for size in await pipe.execute())
    return total


async def delete(redis: Any, names: Sequence[str]) -> None:
    for start in range(0, len(names), CHUNK):
        await redis.delete(*names[start : start + CHUNK])


@dataclass
class Found:
    """Bytes: of all text, of conversations (by kind, in all, of it lists of jobs), of a job."""

    seconds: float
    text: int
    by_kind: dict[str, int]
    used_conversations: int
    used_lists: int
    used_job: float
    sample_job: float
    sample_events: float


async def measured(url: str, conversations: int, turns: int) -> Found:
    """Fill, then take away event logs, jobs and conversations, and read the memory in between."""
    settings = make_settings(url, PALAVER_EVENTS_TTL=86400, PALAVER_NAMESPACE="palaver")
    redis: Any = connect(settings)
    filler, keys, began = Filler(redis, settings), Keys(settings.namespace), time.monotonic()
    for start in range(0, conversations, BATCH):
        await filler.fill(min(BATCH, conversations - start), turns)
    seconds = time.monotonic() - began

    sample = filler.sample
    sample_job = await sizes(redis, [keys.job(job) for job in sample]) / len(sample)
    sample_events = await sizes(redis, [keys.events(job) for job in sample]) / len(sample)
    await delete(redis, [keys.events(job) for job in filler.jobs])
    without_events = await used(redis)
    await delete(redis, [keys.job(job) for job in filler.jobs])
    without_jobs = await used(redis)
    by_kind = {
        "state": [keys.conversation(one) for one in filler.tokens],
        "messages": [keys.messages(one) for one in filler.tokens],
        "list of jobs": [keys.conversation(f"{one}:jobs") for one in filler.tokens],
    }
    kinds = {kind: await sizes(redis, names) for kind, names in by_kind.items()}
    await delete(redis, by_kind.pop("list of jobs"))
    without_lists = await used(redis)
    await delete(redis, [name for names in by_kind.values() for name in names])
    without_all = await used(redis)
    assert not [name async for name in redis.scan_iter("*:conv:*", count=CHUNK)]
    await redis.aclose(close_connection_pool=True)
    return Found(
        seconds, filler.text_bytes, kinds,
        used_conversations=without_jobs - without_all,
        used_lists=without_jobs - without_lists,
        used_job=(without_events - without_jobs) / len(filler.jobs),
        sample_job=sample_job, sample_events=sample_events,
    )  # fmt: skip


def report(found: Found, n: int, turns: int) -> str:
    """The tables."""
    whole = found.used_conversations
    rows = {"raw text (contexts and messages, UTF-8)": found.text}
    rows |= {f"MEMORY USAGE: {kind}": size for kind, size in found.by_kind.items()}
    rows["MEMORY USAGE: all"] = sum(found.by_kind.values())
    rows[f"used_memory (goal: ratio <= {GOAL})"] = whole
    rows["used_memory once their jobs have expired"] = kept = whole - found.used_lists
    each_row = (
        f"| {name} | {size:,} | {size / n:,.0f} | {size / found.text:.2f} |"
        for name, size in rows.items()
    )
    all_jobs = USERS * found.used_lists / n + USERS * turns * found.used_job
    return "\n".join([
        f"{n:,} conversations of {turns} turns, filled in {found.seconds:.0f} s; everything below",
        "grows in proportion to their number.\n",
        "| conversations | bytes | a conversation | ratio to raw text |",
        "| --- | ---: | ---: | ---: |",
        *each_row,
        "\n| a finished job (MEMORY USAGE) | bytes |\n| --- | ---: |",
        f"| before its events expire: job {found.sample_job:,.0f} + events "
        f"{found.sample_events:,.0f} | {found.sample_job + found.sample_events:,.0f} |",
        f"| after | {found.sample_job:,.0f} |",
        f"| after (used_memory, mean of all) | {found.used_job:,.0f} |\n",
        f"A million users with {turns} turns each: {USERS:,} x {kept / n:,.0f} bytes = "
        f"{USERS * kept / n / 2**30:.1f} GiB of conversations",
        f"({USERS * found.text / n / 2**30:.1f} GiB of it text); as long as all their jobs are "
        f"kept, {USERS:,} x {found.used_lists / n:,.0f} + {USERS * turns:,} x "
        f"{found.used_job:,.0f} bytes = {all_jobs / 2**30:.1f} GiB more.",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=5000)
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()

    number, turns = options.conversations, options.turns
    with running_valkey("--appendonly", "no") as server:
        found = uvloop.run(asyncio.wait_for(measured(server.url, number, turns), LIMIT_S))
    print(report(found, number, turns))


if __name__ == "__main__":
    main()
