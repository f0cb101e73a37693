"""Responses that can be asked for later: each is a turn, and its id the job's."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from falcon.asgi import SSEvent

from api.live.stream import Translator
from api.openai.events import ResponseEvents
from api.openai.ids import job_id_of, no_such_response
from api.openai.objects import ResponseShape, response_of, usage_so_far
from api.openai.output_items import OutputPart
from api.openai.part_list import PartList
from shared.store.event_log import EventLog
from shared.store.jobs import Jobs, JobState
from shared.store.submissions import Submissions
from shared.wire.event import Event
from shared.wire.turn_request import TurnRequest


class StoredResponses:
    """Finds responses, shows them as OpenAI does, and cancels them."""

    def __init__(self, jobs: Jobs, events: EventLog, submissions: Submissions) -> None:
        self._jobs = jobs
        self._events = events
        self._submissions = submissions

    async def find(self, response_id: str, owner_id: str) -> JobState:
        """The turn behind a response.

        Raises:
            Problem: 404.
        """
        job_id = job_id_of(response_id)
        state = await self._jobs.get(job_id, owner_id) if job_id is not None else None
        # Turns of `POST /` are not responses, and neither are those that were not to be stored.
        # The request of a turn whose conversation was deleted is gone.
        request = TurnRequest.decode(state.request) if state and state.request else None
        echo = orjson.loads(request.echo or "{}") if request else {}
        if state is None or not echo.get("store"):
            raise no_such_response()
        return state

    async def cancel(self, response_id: str, owner_id: str) -> JobState:
        """End a response's turn; one that has ended stays as it is.

        Raises:
            Problem: 404.
        """
        state = await self.find(response_id, owner_id)
        await self._submissions.cancel(state.job_id, owner_id)
        return await self.find(response_id, owner_id)

    async def to_wire(self, state: JobState) -> dict[str, Any]:
        """The response object as it is now."""
        return response_of(state, await self._parts_so_far(state))

    async def _parts_so_far(self, state: JobState) -> Sequence[OutputPart]:
        """What a turn had written before it failed or was cancelled, while its log is kept."""
        if not state.has_ended or state.result is not None:
            return ()
        parts = PartList()
        for event in await self._events.read(state.job_id):
            piece = PartList.piece_of(event)
            if piece is not None:
                parts.add_piece(piece)
        return parts.parts

    def translator(self, shape: ResponseShape, owner_id: str, first_number: int = 0) -> Translator:
        """Translates a turn's events to OpenAI's, beginning with number `first_number`."""
        events = ResponseEvents(shape)

        async def translate(event: Event) -> Iterable[SSEvent]:
            usage = None
            if event.is_terminal and event.kind != "completed":
                usage = usage_so_far(await self._jobs.get(shape.job_id, owner_id))
            return [
                SSEvent(event=translated["type"], data=orjson.dumps(translated))
                for translated in events.from_number(event, first_number, usage)
            ]

        return translate
