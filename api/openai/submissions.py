"""Turns of requests that bring their whole conversation."""

from api.live.asking import Asking
from shared.wire.limits import Caller
from shared.wire.submission import Submission
from shared.wire.turn_request import TurnRequest


def stateless_submission(
    caller: Caller, turn: TurnRequest, asking: Asking, model_name: str
) -> Submission:
    """A turn that only the request that makes it can read.

    Args:
        model_name: as the client names it; empty if it names none.
    """
    # With the next request of the same dialogue its beginning may be in a worker's cache.
    said = (message.content for message in turn.earlier if message.role == "user")
    ids = asking.id_source.new_turn(caller.owner_id, under=next(said, turn.prompt))
    return Submission(
        job_id=ids.job_id,
        conversation_id=ids.conversation_id,
        owner_id=caller.owner_id,
        new=True,
        instructions="",
        request=turn,
        api_id=asking.api_id,
        limits=caller.limits,
        stateless=True,
        model_name=model_name,
    )
