"""Makes what splits replies into parts, for the model that this worker runs."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

from shared.wire.claim import Claim
from shared.wire.publication import PieceRecord
from worker.engine.interface import ReplyReader
from worker.prompt.prompt import Prompt
from worker.reading.begun import BegunReply, begun_reply
from worker.reading.reply_format import ReplyFormat

_ID_LENGTH = 24


class Readers:
    """Makes readers.

    Args:
        reply_format: how the model marks thoughts and calls.
    """

    def __init__(self, reply_format: ReplyFormat) -> None:
        self.format = reply_format

    def reader_of(self, claim: Claim, prompt: Prompt) -> Callable[[], ReplyReader] | None:
        """What makes the reader of a turn's reply; None if all of it is text."""
        request = claim.request
        if request.is_plain or (self.format.is_plain and not request.tool_use.tools):
            return None
        return partial(
            self.format.new_reader,
            opening=prompt.opening,
            tool_use=request.tool_use,
            json_schema=request.json_schema,
            call_id=partial(call_id, claim.job_id),
        )

    def opens_again(self, claim: Claim, prompt: Prompt, reply: str) -> bool:
        """Whether a reply, as it was written, opens the thought that its prompt has opened."""
        marks = None if claim.request.is_plain else self.format.marks
        return marks is not None and marks.are_doubled(prompt.opening, reply)

    def begun_reply(
        self, claim: Claim, prompt: Prompt, pieces: Sequence[PieceRecord]
    ) -> BegunReply:
        """What another model has written of a turn's reply, as this one would have written it."""
        request = claim.request
        reply_format = ReplyFormat() if request.is_plain else self.format
        return begun_reply(
            reply_format, prompt.opening, pieces, is_tight=request.json_schema is not None
        )


def call_id(job_id: str, index: int) -> str:
    """The id of a reply's call: the same in each start of its turn."""
    digest = hashlib.sha256(f"{job_id} {index}".encode()).hexdigest()
    return f"call_{digest[:_ID_LENGTH]}"
