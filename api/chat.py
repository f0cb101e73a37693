"""`POST /`: one prompt in, its reply out."""

import asyncio
import dataclasses
import logging
import re
from collections.abc import Mapping
from typing import Any, Final

import falcon
import falcon.asgi
import orjson
from pydantic import ValidationError

from api.body import read_json_object
from api.errors import Problem, job_problem, validation_problem
from api.feed import EventFeed, FeedLost, Watch
from shared import ids
from shared.config import Settings
from shared.errors import OutcomeUnknown
from shared.events import Event, EventLog
from shared.jobs import Jobs
from shared.redis import AWAY
from shared.requests import ChatRequest
from shared.schema import TurnRequest
from shared.turn_values import Submission
from shared.turns import DEFAULT_OWNER, Turns

log = logging.getLogger(__name__)

RETRY_AFTER_S: Final = 1
_SUBMIT_TRIES: Final = 3
_SUBMIT_PAUSE_S: Final = 0.2
_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*(\d{1,9})\s*(?:$|[,;])", re.IGNORECASE)


class ChatResource:
    """Accepts prompts and waits for their replies.

    Who cannot be kept waiting any longer is answered with 202, and the job goes on.
    """

    def __init__(
        self,
        settings: Settings,
        turns: Turns,
        jobs: Jobs,
        events: EventLog,
        feed: EventFeed,
    ) -> None:
        self._settings = settings
        self._turns = turns
        self._jobs = jobs
        self._events = events
        self._feed = feed

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        submission = self._submission(self._validated(body))
        wait_s = preferred_wait(req.get_header("Prefer"), self._settings.sync_timeout)
        if wait_s is not None:
            resp.set_header("Preference-Applied", f"wait={wait_s:g}")
        async with self._feed.watch(submission.job) as watch:
            submission = await self._submit(submission)
            event = await _outcome(watch, self._settings.sync_timeout if wait_s is None else wait_s)
        if event is None:
            event = await self._unheard(submission.job)
        if event is None:
            await self._accepted(submission, resp)
        else:
            answer(submission, event, resp)

    def _validated(self, body: dict[str, Any]) -> ChatRequest:
        context = {"max_tokens_limit": self._settings.max_tokens_limit}
        try:
            return ChatRequest.model_validate(body, context=context)
        except ValidationError as error:
            raise validation_problem(error) from None

    def _submission(self, request: ChatRequest) -> Submission:
        new = request.id is None
        instructions = request.context
        if instructions is None:
            instructions = self._settings.default_context
        return Submission(
            job=ids.new_job(),
            conversation=ids.new_conversation() if new else str(request.id),
            owner=DEFAULT_OWNER,
            new=new,
            instructions=instructions,
            request=TurnRequest(
                request.prompt, request.context, request.replace_from, request.sampling()
            ),
            api=self._feed.api,
        )

    async def _submit(self, submission: Submission) -> Submission:
        """Accept the prompt; a lost answer is asked for again, which changes nothing.

        Raises:
            OutcomeUnknown: Redis does not answer; the prompt may have been accepted.
        """
        for _ in range(_SUBMIT_TRIES):
            try:
                while not await self._turns.submit(submission):
                    submission = _renamed(submission)
                return submission
            except AWAY as error:
                log.warning("job %s: submit got no answer (%s)", submission.job, error)
                await asyncio.sleep(_SUBMIT_PAUSE_S)
        raise OutcomeUnknown(submission.job)

    async def _unheard(self, job: str) -> Event | None:
        """The outcome, if there is one that we were not told of."""
        try:
            return await self._events.outcome(job)
        except AWAY:
            raise OutcomeUnknown(job) from None

    async def _accepted(self, submission: Submission, resp: falcon.asgi.Response) -> None:
        try:
            state = await self._jobs.get(submission.job)
        except AWAY:
            raise OutcomeUnknown(submission.job) from None
        if state is None:
            raise Problem(404, "not_found", "the conversation was deleted meanwhile")
        resp.status = 202
        resp.content_type = falcon.MEDIA_JSON
        resp.set_header("Location", f"/jobs/{submission.job}")
        resp.set_header("Retry-After", str(RETRY_AFTER_S))
        resp.data = orjson.dumps(state.to_wire())


def answer(submission: Submission, event: Event, resp: falcon.asgi.Response) -> None:
    """Turn a job's outcome into the answer of a waiting `POST /`."""
    if event.kind == "completed":
        resp.content_type = falcon.MEDIA_JSON
        resp.data = event.data.encode()
        return
    error: Mapping[str, Any] = {"code": "job_cancelled", "detail": "the job was cancelled"}
    if event.kind == "failed":
        error = orjson.loads(event.data)["error"]
    raise job_problem(submission.job, submission.conversation, error)


def preferred_wait(header: str | None, longest_s: float) -> float | None:
    """The seconds of `Prefer: wait=N`, at most `longest_s`; None if it does not say any."""
    match = _WAIT.search(header or "")
    return min(float(match[1]), longest_s) if match is not None else None


async def _outcome(watch: Watch, wait_s: float) -> Event | None:
    """The job's terminal event, or None when it does not come while we can wait."""
    try:
        async with asyncio.timeout(wait_s):
            async for event in watch.follow():
                if event.is_terminal:
                    return event
    except (TimeoutError, FeedLost):
        pass
    return None


def _renamed(submission: Submission) -> Submission:
    """The same under another conversation id: the one drawn was taken."""
    return dataclasses.replace(submission, conversation=ids.new_conversation())
