"""What passes between the scripts and those who call them: frozen values of a turn's life."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from shared.wire.limits import NO_LIMITS, Allowance, Limits
from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.requests import Sampling
from shared.wire.schema import TurnRequest


class WriteOutcome(StrEnum):
    """What became of a worker's write."""

    OK = "OK"
    DUP = "DUP"
    """It had been done before: a success."""
    FENCED = "FENCED"
    """The turn is somebody else's now, or has ended."""
    GONE = "GONE"
    """The conversation was deleted."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A waiting turn's place in the queue, from 1, and how long until it starts."""

    position: int
    eta_seconds: float

    @classmethod
    def of(cls, position: int, eta_ms: int) -> "Place":
        """From what a script answers."""
        return cls(position=position, eta_seconds=round(eta_ms / 1000, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A conversation as a turn sees it.

    `messages` start at the absolute number `offset`; `next_number` is what the turn's prompt gets.
    `turns` have a reply and stand before it, those that are not in view included.
    """

    context: str
    next_number: int
    offset: int
    messages: tuple[StoredMessage, ...]
    turns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A turn that a worker holds, as of its start.

    Times are in milliseconds since the epoch by the server's clock; `remaining_s` is how long the
    turn may still take. `history` is None if the conversation was deleted. A `suspect` may have
    been what a lost worker died of. `unreadable` says why this version cannot read what is stored:
    another one wrote it; `request` is then empty.
    """

    job_id: str
    permit_id: str
    fence: str
    conversation_id: str
    request: TurnRequest
    suspect: bool
    crashes: int
    created_ms: int
    started_ms: int
    remaining_s: float
    history: History | None
    unreadable: str | None = None

    @property
    def starts(self) -> int:
        """How often the turn has been started, this time included."""
        return int(self.fence.partition(":")[0])

    @property
    def arq_id(self) -> str:
        """arq's id of this start."""
        return f"{self.job_id}:{self.starts}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """What a worker tells of itself: its model, its slots and how many run, its engine's steps.

    `stats` are the engine's figures, `turns` what became of its turns, both as JSON.
    `context_length` is what `PALAVER_CONTEXT_LENGTH` says, `window` what came of it, in tokens.
    """

    model_name: str
    fingerprint: str
    slots: int
    running: int
    steps: int
    stats: bytes = b"{}"
    turns: bytes = b"{}"
    context_length: int = 0
    window: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherWorker:
    """A living worker beside which a process must not start.

    Args:
        differs: what it has otherwise: its `model`, or its `context_length`.
        value: the model's name, or the setting.
        known_for_s: how long it counts as living without another word.
    """

    worker_id: str
    differs: str
    value: str
    known_for_s: float

    def described(self, context_length: int) -> str:
        """What it has otherwise; `context_length` is ours."""
        if self.differs == "model":
            return f"worker {self.worker_id} runs another model ({self.value})"
        return (
            f"worker {self.worker_id} has PALAVER_CONTEXT_LENGTH={self.value}, this process has "
            f"{context_length}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceRecord:
    """A piece of a reply with the ids of its tokens."""

    text: str
    token_ids: tuple[int, ...]

    def arguments(self) -> dict[str, Any]:
        return {
            "piece": orjson.dumps({"text": self.text}),
            "ids": ",".join(map(str, self.token_ids)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedReply:
    """What earlier starts of a turn have emitted.

    `models` are the fingerprints under which: the ids of more than one say nothing.
    """

    piece: PieceRecord
    models: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A piece to be emitted under a turn's token; `at` counts the token ids emitted before it.

    `evaluated` of the prompt's tokens were not in a cache.
    """

    job_id: str
    fence: str
    at: int
    piece: PieceRecord
    evaluated: int = 0
    prompt_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Everything a finished turn changes in its conversation.

    `offset` and the messages' numbers are absolute; `earlier` messages stand in front of the
    user's, and `context`, if there is one, becomes the conversation's. `result` is what the job
    keeps, `reply` what its waiters get; `piece` is the end of the reply that has not been emitted
    yet.
    """

    user: StoredMessage
    assistant: StoredMessage
    offset: int
    tokens: int
    window: bytes
    result: bytes
    reply: bytes
    piece: PieceRecord | None
    earlier: tuple[StoredMessage, ...] = ()
    context: str | None = None

    @property
    def number(self) -> int:
        """Of the first message that it adds."""
        return self.earlier[0].number if self.earlier else self.user.number


_UNREAD: Final = TurnRequest(prompt="", context=None, replace_from=None, sampling=Sampling())


def decode_claim(answer: Sequence[Any]) -> Claim:
    _, job, permit, token, conversation, request, suspect, *numbers, view = answer
    crashes, created, started, deadline, now = map(int, numbers)
    read, history, unreadable = _UNREAD, None, None
    try:
        read, history = TurnRequest.decode(request), _history(view) if view else None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        # It is held all the same, and fails by itself: this must not end the process.
        unreadable = f"{type(error).__name__}: {error}".partition("\n")[0]
    return Claim(
        job_id=job,
        permit_id=permit,
        fence=token,
        conversation_id=conversation,
        request=read,
        suspect=suspect == "1",
        crashes=crashes,
        created_ms=created,
        started_ms=started,
        remaining_s=max(0.0, (deadline - now) / 1000),
        history=history,
        unreadable=unreadable,
    )


def _history(view: Sequence[Any]) -> History:
    context, next_number, offset, messages, turns = view
    decoded = decode_messages(messages, int(offset))
    return History(
        context=context,
        next_number=int(next_number),
        offset=int(offset),
        messages=decoded,
        turns=int(turns),
    )
