"""A turn that a worker holds, with the conversation as that turn sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.sampling import Sampling
from shared.wire.turn_request import TurnRequest


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
