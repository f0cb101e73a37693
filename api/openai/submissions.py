"""Turns of requests that bring their whole conversation."""

from shared import ids
from shared.wire.limits import Caller
from shared.wire.submission import Submission
from shared.wire.turn_request import TurnRequest


def stateless_submission(
    caller: Caller, turn: TurnRequest, api_id: str, model_name: str
) -> Submission:
    """A turn that only the request that makes it can read.

    Args:
        model_name: as the client names it; empty if it names none.
    """
    return Submission(
        job_id=ids.new_job(),
        conversation_id=ids.new_conversation(),
        owner_id=caller.owner_id,
        new=True,
        instructions="",
        request=turn,
        api_id=api_id,
        limits=caller.limits,
        stateless=True,
        model_name=model_name,
    )
