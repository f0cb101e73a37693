"""A prompt to be accepted, and the job it became."""

from dataclasses import dataclass, field

from shared.wire.limits import NO_LIMITS, Allowance, Limits
from shared.wire.turn_request import TurnRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A prompt to be accepted. The caller makes the ids, so that submitting can be repeated.

    Args:
        new: whether the conversation is created; it then starts with `instructions`.
        api_id: the API process whose inbox gets the terminal event, too.
        idempotency_key: a repetition with the same key and body is answered with the first job.
        stateless: the conversation is deleted when the turn ends.
        response: the turn can be fetched by id, so it is kept even if it ends without a reply.
        model_name: as the client names it; empty for the usual model. Where there is one model
            only, any name is taken.
        after: continue after this job's turn: in its conversation if nothing came later there,
            else in the new one, which gets a copy.
        behind: continue in a copy of this conversation, as it stands.
        request_id: of the HTTP request that brought it, for whoever looks for its turn.
        traceparent: of that request's span, if it is traced.
    """

    job_id: str
    conversation_id: str
    owner_id: str
    new: bool
    instructions: str
    request: TurnRequest
    api_id: str | None = None
    idempotency_key: str | None = None
    limits: Limits = NO_LIMITS
    stateless: bool = False
    response: bool = False
    after: str | None = None
    behind: str | None = None
    model_name: str = ""
    request_id: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The job of a prompt.

    Args:
        allowance: what the owner has left; None without a limit of requests.
        created_ms: when it was accepted, since the epoch; 0 for the job of an idempotency key.
        model_name: of the model that replies; empty for a job of an older version.
    """

    job_id: str
    conversation_id: str
    allowance: Allowance | None = field(default=None, compare=False)
    created_ms: int = field(default=0, compare=False)
    model_name: str = field(default="", compare=False)
