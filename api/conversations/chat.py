"""`POST /` and `POST /jobs`: one prompt in; its reply, its events or its job out."""

from typing import Any, Final

import falcon
import falcon.asgi

from api.conversations.conversations import check_listed
from api.conversations.jobs import RETRY_AFTER_S, no_such_job, write_job
from api.http.access import caller_of, note_lookup
from api.http.errors import field_problem
from api.http.incoming import parse, read_json_object
from api.http.preferences import Preference, wants_events
from api.live.asking import Asking, WaitResult, reply_of
from api.live.stream import EventStreams
from shared.config import Settings
from shared.errors import OutcomeUnknown
from shared.store.connection import REDIS_UNAVAILABLE
from shared.store.jobs import Jobs, JobState
from shared.wire.event import Event
from shared.wire.requests import ChatRequest
from shared.wire.submission import Submission
from shared.wire.turn_request import TurnRequest

_KEY_LENGTH: Final = range(16, 256)
_GONE: Final = "the job is gone: its conversation was deleted, or Redis has lost its data"


class ChatResource:
    """Accepts prompts and answers as the request asks.

    A client that cannot be kept waiting any longer gets 202, and the job continues.

    Args:
        always_async: `/jobs` answers 202 whatever else the request says.
        is_listed: whether callers may see the list of their conversations; who may not gets
            nothing quoted from them either.
    """

    def __init__(
        self,
        settings: Settings,
        asking: Asking,
        streams: EventStreams,
        jobs: Jobs,
        *,
        always_async: bool = False,
        is_listed: bool,
    ) -> None:
        self._max_body_bytes = settings.max_body_bytes
        self._default_context = settings.default_context
        self._sync_timeout_s = settings.sync_timeout
        self._validation = {"max_tokens_limit": settings.max_tokens_limit}
        if settings.context_length:
            self._validation["window"] = settings.context_length
        self._asking = asking
        self._streams = streams
        self._jobs = jobs
        self._always_async = always_async
        self._is_listed = is_listed

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._max_body_bytes)
        submission = self._submission(req, body)
        preference = Preference.of(req)
        respond_async = self._always_async or preference.respond_async
        if wants_events(req) and not respond_async:
            accepted = await self._asking.submit(submission, resp)
            await self._streams.open(accepted.job_id, submission.owner_id, None, resp)
            return
        wait_s = preference.limited(self._sync_timeout_s)
        if wait_s is None:
            wait_s = 0 if respond_async else self._sync_timeout_s
        if (applied := preference.applied(self._sync_timeout_s)) is not None:
            resp.set_header("Preference-Applied", applied)
        result = await self._asking.wait(submission, req, resp, wait_s=wait_s)
        wants_job = respond_async and wait_s == 0
        await self._write_outcome(resp, result, submission.owner_id, wants_job=wants_job)

    def _submission(self, req: falcon.asgi.Request, body: dict[str, Any]) -> Submission:
        """The prompt in a request, with the ids it will have.

        Raises:
            Problem: the body or the idempotency key is wrong.
        """
        request = parse(ChatRequest, body, self._validation)
        if request.recall == "all":
            check_listed(is_listed=self._is_listed)
        new, caller = request.id is None, caller_of(req)
        if not new:
            note_lookup(req)
        key, named = _idempotency_key(req), None if new else str(request.id)
        ids = self._asking.id_source.new_turn(caller.owner_id, conversation_id=named, under=key)
        return Submission(
            job_id=ids.job_id,
            conversation_id=named or ids.conversation_id,
            owner_id=caller.owner_id,
            new=new,
            instructions=self._default_context if request.context is None else request.context,
            request=TurnRequest(
                prompt=request.prompt,
                context=request.context,
                replace_from=request.replace_from,
                continues=request.continues,
                sampling=request.sampling(),
                thinking=request.reasoning,
                memory=request.memory,
                recall=request.recall,
            ),
            api_id=self._asking.api_id,
            idempotency_key=key,
            limits=caller.limits,
            model_name=request.model or "",
        )

    async def _write_outcome(
        self, resp: falcon.asgi.Response, result: WaitResult, owner_id: str, *, wants_job: bool
    ) -> None:
        """Write the reply, or 202 with the job while there is none.

        Args:
            wants_job: write the job in any case, even if it has ended already.

        Raises:
            Problem: the turn ended without a reply, or its job is gone.
            OutcomeUnknown: Redis does not answer.
        """
        job_id, end = result.accepted.job_id, result.end
        state: JobState | None = None
        try:
            if end is None and not wants_job:
                end = await self._asking.until_ended(job_id, 0)
            if end is None:
                state = await self._jobs.get(job_id, owner_id)
        except REDIS_UNAVAILABLE:
            raise OutcomeUnknown(job_id) from None
        if end is not None:
            return _write_reply(resp, result, end)
        if state is None:
            raise no_such_job(_GONE)
        resp.status = 202
        resp.set_header("Location", f"/jobs/{job_id}")
        resp.set_header("Retry-After", str(RETRY_AFTER_S))
        return write_job(resp, state)


def _write_reply(resp: falcon.asgi.Response, result: WaitResult, end: Event) -> None:
    resp.content_type = falcon.MEDIA_JSON
    resp.data = reply_of(result.accepted, end).encode()


def _idempotency_key(req: falcon.asgi.Request) -> str | None:
    key = req.get_header("Idempotency-Key")
    if key is not None and len(key) not in _KEY_LENGTH:
        raise field_problem("Idempotency-Key", "must have 16 to 255 characters")
    return key
