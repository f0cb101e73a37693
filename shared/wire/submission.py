"""A prompt on its way in, and what was accepted."""

from dataclasses import dataclass, field

from shared.wire.limits import NO_LIMITS, Allowance, Limits
from shared.wire.turn_request import TurnRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A prompt on its way in; ids are made before Redis is asked, so that it can be repeated.

    `new` conversations start with `instructions`; the job's end goes to the inbox of the process
    `api`, too, if it is set. With an `idempotency_key` the first job it made stands for all others.
    Of a `stateless` turn no conversation is left. A turn that is a `response` is asked for by
    itself: it is kept also when it ends without a reply. A turn `behind` that of another job goes
    on in its conversation if nothing came later there, else in the new one, which gets a copy.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The job that answers a prompt, its conversation, and what its owner has left.

    `created_ms`, since the epoch, is when it was accepted; 0 for the job of an idempotency key.
    """

    job_id: str
    conversation_id: str
    allowance: Allowance | None = field(default=None, compare=False)
    created_ms: int = field(default=0, compare=False)
