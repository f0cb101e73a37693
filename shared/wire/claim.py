"""A claimed turn, with its conversation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.wire.continuing import StandingReply, continued_turn
from shared.wire.history import History
from shared.wire.sampling import Sampling
from shared.wire.turn_request import TurnRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A turn that a worker holds, as it was when the worker started it.

    Args:
        owner_id: whose turn it is.
        session: what the conversation is called in the engine's cache: its id, or that of an
            earlier stateless turn, which this one goes on from.
        fence: the fencing token, `start:nonce`; every write of the worker carries it.
        suspect: whether a worker died while it ran this turn.
        is_stopped: whether no more of the reply is wanted than what is written.
        crashes: how many did.
        created_ms, started_ms: since the epoch, by the server's clock.
        waited_ms: before this start: since it was accepted, or given back.
        remaining_s: until the turn's deadline.
        traceparent: of the request that asked for the turn; empty if that is not traced.
        history: None if the conversation was deleted.
        standing: what the turn continues; None for others, and if there is nothing to continue.
            `request` and `history` are then those of the turn whose reply it is.
        unreadable: why this version cannot read the stored turn, if another version wrote it;
            `request` is then empty.
    """

    job_id: str
    owner_id: str
    session: str
    fence: str
    conversation_id: str
    request: TurnRequest
    suspect: bool
    is_stopped: bool
    crashes: int
    created_ms: int
    started_ms: int
    remaining_s: float
    history: History | None
    waited_ms: int = 0
    traceparent: str = ""
    standing: StandingReply | None = None
    unreadable: str | None = None

    @property
    def starts(self) -> int:
        """How often the turn was started, this start included."""
        return int(self.fence.partition(":")[0])

    @property
    def arq_id(self) -> str:
        """The id under which arq knows this start."""
        return f"{self.job_id}:{self.starts}"

    @classmethod
    def decode(cls, answer: Sequence[Any]) -> "Claim":
        """From an answer of `take`; what cannot be read fails this turn alone."""
        job_id, fence, conversation_id, request, suspect, stop, *numbers = answer[:-4]
        traceparent, owner, session, view = answer[-4:]
        crashes, created, started, deadline, readied, now = map(int, numbers)
        read, history, standing, unreadable = _UNREAD, None, None, None
        try:
            read, history = TurnRequest.decode(request), History.decode(view) if view else None
            if read.continues and history is not None:
                read, history, standing = continued_turn(read, history, *view[8:])
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            # The turn is held all the same and will fail; the worker keeps running.
            unreadable = f"{type(error).__name__}: {error}".partition("\n")[0]
        return cls(
            job_id=job_id,
            owner_id=owner,
            session=session,
            fence=fence,
            conversation_id=conversation_id,
            request=read,
            suspect=suspect == "1",
            is_stopped=stop == "1",
            crashes=crashes,
            created_ms=created,
            started_ms=started,
            remaining_s=max(0.0, (deadline - now) / 1000),
            # What waited behind another turn of its conversation was ready later than accepted.
            waited_ms=now - (created if fence.startswith("1:") else readied),
            traceparent=traceparent,
            history=history,
            standing=standing,
            unreadable=unreadable,
        )


_UNREAD: Final = TurnRequest(prompt="", context=None, replace_from=None, sampling=Sampling())
