"""`POST /` and `POST /jobs`: one prompt in; its reply, its events or its job out."""

import falcon.asgi

from api.http.preferences import Preference, wants_events
from api.live.feed import EventFeed
from api.live.intake import Intake
from api.live.stream import EventStream
from api.live.waiting import Waiting, first_terminal, tell_allowance
from shared.wire.submission import Accepted, Submission


class ChatResource:
    """Accepts prompts and answers as the request says.

    Who cannot be kept waiting any longer is answered with 202, and the job goes on.

    Args:
        sync_timeout_s: the longest wait.
        always_async: `/jobs` answers 202 whatever else the request says.
    """

    def __init__(
        self,
        intake: Intake,
        feed: EventFeed,
        waiting: Waiting,
        stream: EventStream,
        *,
        sync_timeout_s: float,
        always_async: bool = False,
    ) -> None:
        self._intake = intake
        self._feed = feed
        self._waiting = waiting
        self._stream = stream
        self._sync_timeout_s = sync_timeout_s
        self._always_async = always_async

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        submission = await self._intake.read(req)
        preference = Preference.of(req)
        respond_async = self._always_async or preference.respond_async
        if wants_events(req) and not respond_async:
            accepted = await self._intake.submit(submission)
            tell_allowance(accepted.allowance, resp)
            await self._stream.open(accepted.job_id, submission.owner_id, None, resp)
            return
        wait_s = preference.limited(self._sync_timeout_s)
        if wait_s is None:
            wait_s = 0 if respond_async else self._sync_timeout_s
        if (applied := preference.applied(self._sync_timeout_s)) is not None:
            resp.set_header("Preference-Applied", applied)
        if wait_s == 0:
            accepted = await self._intake.submit(submission)
            owner = submission.owner_id
            await self._waiting.answer(accepted, owner, None, resp, at_once=respond_async)
        else:
            await self._wait(submission, wait_s, resp)

    async def _wait(
        self, submission: Submission, wait_s: float, resp: falcon.asgi.Response
    ) -> None:
        async with self._feed.watch_new(submission.job_id) as watch:
            accepted = await self._intake.submit(submission)
            ours = accepted == Accepted(
                job_id=submission.job_id, conversation_id=accepted.conversation_id
            )
            event = await first_terminal(watch, wait_s) if ours else None
        if not ours:
            event = await self._waiting.until_ended(accepted.job_id, wait_s)
        await self._waiting.answer(accepted, submission.owner_id, event, resp)
