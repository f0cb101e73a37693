"""From a request's body to an accepted prompt."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import falcon.asgi

from api.http.access import caller_of, names_an_id
from api.http.body import read_json_object
from api.http.errors import field_problem, parse
from api.live.headroom import Headroom
from shared import ids
from shared.config import Settings
from shared.errors import OutcomeUnknown
from shared.process.logs import add_context
from shared.store.connection import REDIS_UNAVAILABLE, trouble
from shared.store.submissions import Submissions
from shared.wire.requests import ChatRequest
from shared.wire.submission import Accepted, Submission
from shared.wire.turn_request import TurnRequest

T = TypeVar("T")

_SUBMIT_TRIES: Final = 3
_SUBMIT_PAUSE_S: Final = 0.2
_KEY_LENGTH: Final = range(16, 256)


async def asked_again(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat what may be repeated while its answer gets lost.

    Raises:
        redis.exceptions.ConnectionError: Redis does not answer; it may have been done.
    """
    for _ in range(_SUBMIT_TRIES - 1):
        try:
            return await call()
        except REDIS_UNAVAILABLE as error:
            trouble.met(error)
            await asyncio.sleep(_SUBMIT_PAUSE_S)
    return await call()


class Intake:
    """Validates prompts and submits them.

    Args:
        api: whose inbox hears of the jobs' ends.
    """

    def __init__(
        self, settings: Settings, turns: Submissions, headroom: Headroom, api_id: str
    ) -> None:
        self.headroom = headroom
        self._settings = settings
        self._turns = turns
        self.api = api_id

    async def read(self, req: falcon.asgi.Request) -> Submission:
        """The prompt in a request, with the ids it will have.

        Raises:
            Problem: the body or the idempotency key is wrong.
        """
        body = await read_json_object(req, self._settings.max_body_bytes)
        request = self._validated(body)
        new, caller = request.id is None, caller_of(req)
        if not new:
            names_an_id(req)
        instructions = request.context
        if instructions is None:
            instructions = self._settings.default_context
        return Submission(
            job_id=ids.new_job(),
            conversation_id=ids.new_conversation() if new else str(request.id),
            owner_id=caller.owner_id,
            new=new,
            instructions=instructions,
            request=TurnRequest(
                prompt=request.prompt,
                context=request.context,
                replace_from=request.replace_from,
                sampling=request.sampling(),
            ),
            api_id=self.api,
            idempotency_key=_idempotency_key(req),
            limits=caller.limits,
        )

    async def submit(self, submission: Submission) -> Accepted:
        """Accept the prompt; a lost answer is asked for again, which changes nothing.

        Raises:
            Refused: it was not accepted.
            OutcomeUnknown: Redis does not answer; the prompt may have been accepted.
        """
        self.headroom.check()
        for _ in range(_SUBMIT_TRIES):
            try:
                while (accepted := await self._turns.submit(submission)) is None:
                    submission = dataclasses.replace(
                        submission, conversation_id=ids.new_conversation()
                    )
                add_context(job=accepted.job_id, conversation=accepted.conversation_id)
                return accepted
            except REDIS_UNAVAILABLE as error:
                trouble.met(error)
                await asyncio.sleep(_SUBMIT_PAUSE_S)
        raise OutcomeUnknown(submission.job_id)

    def _validated(self, body: dict[str, Any]) -> ChatRequest:
        limits = {"max_tokens_limit": self._settings.max_tokens_limit}
        if self._settings.context_length:
            limits["window"] = self._settings.context_length
        return parse(ChatRequest, body, limits)


def _idempotency_key(req: falcon.asgi.Request) -> str | None:
    key = req.get_header("Idempotency-Key")
    if key is not None and len(key) not in _KEY_LENGTH:
        raise field_problem("Idempotency-Key", "must have 16 to 255 characters")
    return key
