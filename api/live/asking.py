"""Asking for a reply: submit, wait, stream, the same for every dialect of the API."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import falcon.asgi
import orjson
from falcon.asgi import SSEvent

from api.http.errors import job_problem, rate_limit_headers
from api.http.incoming import Incoming
from api.live.feed import EventFeed
from api.live.headroom import Headroom, refusal_of
from api.live.stream import ReleasingStream, Translator, interleaved, open_stream, translated
from api.live.waiting import end_of, events_until, is_terminal, shows_how_it_goes
from shared.config import Settings
from shared.errors import OutcomeUnknown
from shared.id_source import IdSource
from shared.process.logs import add_context
from shared.store.connection import REDIS_UNAVAILABLE, trouble
from shared.store.event_log import EventLog
from shared.store.replicas import Replicas
from shared.store.submissions import Submissions
from shared.wire.event import Event
from shared.wire.limits import Allowance
from shared.wire.submission import Accepted, Submission

T = TypeVar("T")

_TRIES: Final = 3
_PAUSE_S: Final = 0.2
_ENDS_WITHIN_S: Final = 15.0
"""A turn past its deadline is ended by its worker, or by the next sweep."""
_STATUS_WITHIN_S: Final = 2.0
"""How long a stream's status waits for the first piece of its reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitResult:
    """A prompt that was accepted, and its terminal event if that came in time."""

    accepted: Accepted
    end: Event | None


class Asking:
    """Submits prompts and follows their turns.

    A dialect (our own, chat completions, responses) translates a body to a `Submission`, and the
    events of its turn to its own JSON. Everything between is here.

    A stateless turn can only be read by the request that submitted it. When that has been answered
    or its client has left, the turn is cancelled and nothing of it is kept.
    """

    def __init__(
        self,
        settings: Settings,
        submissions: Submissions,
        events: EventLog,
        feed: EventFeed,
        headroom: Headroom,
        replicas: Replicas,
        id_source: IdSource,
    ) -> None:
        self.id_source = id_source
        """Makes the ids of what is submitted here."""
        self.api_id = feed.api_id
        """Whose inbox hears of the ends of the jobs that are submitted here."""
        self._longest_turn_s = settings.job_timeout + _ENDS_WITHIN_S
        self._submissions = submissions
        self._events = events
        self._feed = feed
        self._headroom = headroom
        self._replicas = replicas

    async def submit(self, submission: Submission, resp: falcon.asgi.Response) -> Accepted:
        """Accept a prompt, and write what is left of its owner's limit to the response's headers.

        A lost answer is asked for again: the ids are the same, so nothing is accepted twice.

        Raises:
            Refused: it was not accepted.
            OutcomeUnknown: Redis does not answer, or too few of its replicas have the prompt, which
                may have been accepted.
        """
        if self._headroom.lack is not None:
            raise refusal_of(self._headroom.lack)
        attempt = dataclasses.replace(
            submission,
            request_id=getattr(resp.context, "request_id", None),
            traceparent=getattr(resp.context, "traceparent", None),
        )

        async def accept() -> Accepted:
            nonlocal attempt
            while (accepted := await self._submissions.submit(attempt)) is None:
                another = self.id_source.another_conversation(attempt.job_id)
                attempt = dataclasses.replace(attempt, conversation_id=another)
            return accepted

        try:
            accepted = await retried(accept)
        except REDIS_UNAVAILABLE as error:
            trouble.met(error)
            raise OutcomeUnknown(submission.job_id) from None
        add_context(job=accepted.job_id, conversation=accepted.conversation_id)
        await self._replicas.confirm(accepted.job_id)
        write_allowance(resp, accepted.allowance)
        return accepted

    async def wait(
        self,
        submission: Submission,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        *,
        wait_s: float | None = None,
    ) -> WaitResult:
        """Submit a prompt and wait for the end of its turn.

        Its end is watched for before it is submitted, which costs no subscription.

        Args:
            wait_s: how long; None for as long as a turn may take.

        Raises:
            ClientLeft: nobody else can read the reply.
        """
        if wait_s == 0:
            return WaitResult(accepted=await self.submit(submission, resp), end=None)
        wait_s = self._longest_turn_s if wait_s is None else wait_s
        async with self._feed.watch_new(submission.job_id) as watch:
            accepted = await self.submit(submission, resp)
            if accepted.job_id == submission.job_id:
                reader = _reader(submission, req)
                async with self._released_afterwards(submission, accepted):
                    events = await events_until(is_terminal, watch, wait_s, reader)
                return WaitResult(accepted=accepted, end=end_of(events))
        # Its idempotency key stands for a job that was submitted before, maybe elsewhere.
        return WaitResult(accepted=accepted, end=await self.until_ended(accepted.job_id, wait_s))

    async def until_ended(self, job_id: str, wait_s: float) -> Event | None:
        """The terminal event of a job that exists; None if it does not come in time."""
        with contextlib.suppress(OutcomeUnknown):
            if end := await self._events.outcome(job_id):
                return end
        if wait_s <= 0:
            return None
        async with self._feed.watch(job_id) as watch:
            return end_of(await events_until(is_terminal, watch, wait_s))

    async def stream(
        self,
        submission: Submission,
        translator: Callable[[Accepted], Translator],
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
    ) -> None:
        """Submit a prompt and let the response stream its turn's events, translated.

        The stream begins with the reply's first piece, or after two seconds without one: once it
        has begun its status is 200, and a turn that fails at once, as one does whose prompt is too
        long, is better reported by the status.

        Raises:
            Problem: the turn ended without a reply before it had written anything.
            ClientLeft: nobody else can read the reply.
        """
        await self.stream_together([(submission, translator)], req, resp)

    async def stream_together(
        self,
        wanted: Sequence[tuple[Submission, Callable[[Accepted], Translator]]],
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        *,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        """As `stream`, with several turns whose events come as they happen.

        The first one decides how the stream begins. If one of them is refused, all are ended.

        Args:
            is_over: whether the stream ends although not all turns have.
        """
        async with contextlib.AsyncExitStack() as held:
            turns = await self._all_held([submission for submission, _ in wanted], resp, held)
            streams: list[AsyncGenerator[SSEvent | None, None]] = []
            for accepted, (submission, translator) in zip(turns, wanted, strict=True):
                watch = await held.enter_async_context(self._feed.watch(accepted.job_id))
                early: list[Event] = []
                if not streams:
                    reader = _reader(submission, req)
                    early = await events_until(shows_how_it_goes, watch, _STATUS_WITHIN_S, reader)
                    _raise_early_failure(accepted, early)
                streams.append(translated(watch, translator(accepted), early))
            events = streams[0] if len(streams) == 1 else interleaved(streams, is_over)
            open_stream(resp, ReleasingStream(events, held.pop_all()))

    async def wait_together(
        self,
        submissions: Sequence[Submission],
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
    ) -> list[WaitResult]:
        """Submit several prompts and wait for the ends of all their turns.

        If one of them is refused, all are ended.

        Raises:
            ClientLeft: nobody else can read the replies.
        """
        async with contextlib.AsyncExitStack() as held:
            watches = [
                await held.enter_async_context(self._feed.watch_new(submission.job_id))
                for submission in submissions
            ]
            accepted = await self._all_held(submissions, resp, held)
            reader = _reader(submissions[0], req)
            ends = [
                end_of(await events_until(is_terminal, watch, self._longest_turn_s, reader))
                for watch in watches
            ]
        return [
            WaitResult(accepted=turn, end=end) for turn, end in zip(accepted, ends, strict=True)
        ]

    async def _all_held(
        self,
        submissions: Sequence[Submission],
        resp: falcon.asgi.Response,
        held: contextlib.AsyncExitStack,
    ) -> list[Accepted]:
        """Submit the prompts of one request; their turns are released with what else is held.

        All go to the model of the first one, even if workers come and go meanwhile.
        """
        turns: list[Accepted] = []
        for submission in submissions:
            if turns:
                submission = dataclasses.replace(submission, model_name=turns[0].model_name)
            turns.append(await self.submit(submission, resp))
            await held.enter_async_context(self._released_afterwards(submission, turns[-1]))
        return turns

    @contextlib.asynccontextmanager
    async def _released_afterwards(
        self, submission: Submission, accepted: Accepted
    ) -> AsyncIterator[None]:
        """End a stateless turn, and keep nothing of it, once it cannot be read any more."""
        try:
            yield
        finally:
            if submission.stateless:
                await self._submissions.release(accepted.job_id, submission.owner_id)


def write_allowance(resp: falcon.asgi.Response, allowance: Allowance | None) -> None:
    """Write what is left of an owner's prompts a minute to the headers, if they are limited."""
    if allowance is not None:
        resp.set_headers(rate_limit_headers(allowance))


async def retried(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call that may be repeated while its answer gets lost.

    Raises:
        redis.exceptions.ConnectionError: Redis does not answer; the call may have been executed.
    """
    for _ in range(_TRIES - 1):
        try:
            return await call()
        except REDIS_UNAVAILABLE as error:
            trouble.met(error)
            await asyncio.sleep(_PAUSE_S)
    return await call()


def reply_of(accepted: Accepted, end: Event) -> str:
    """The reply object in a terminal event, as JSON.

    Raises:
        Problem: the turn ended without a reply.
    """
    if end.kind == "completed":
        return end.data
    error: Mapping[str, Any] = {"code": "job_cancelled", "detail": "the job was cancelled"}
    if end.kind == "failed":
        error = orjson.loads(end.data)["error"]
    raise job_problem(accepted.job_id, accepted.conversation_id, error)


def _raise_early_failure(accepted: Accepted, events: list[Event]) -> None:
    first = next(filter(shows_how_it_goes, events), None)
    if first is not None and first.is_terminal:
        reply_of(accepted, first)


def _reader(submission: Submission, req: falcon.asgi.Request) -> Incoming | None:
    """The only client that can read a turn; None if others can."""
    return Incoming.of(req) if submission.stateless else None
