"""An imported conversation as the store takes it: numbers and jobs are made anew.

Alternatives are known and ordered by the jobs of messages (`shared/wire/alternative_ids.py`). So
each job of the export gets a new one, and they keep their order. The same job in two tails, as in a
file that names none, becomes two.
"""

from collections.abc import Sequence

from api.conversations.imported_alternatives import ImportedAlternative, Tail, tails_of
from api.conversations.imported_messages import ImportedMessage, milliseconds
from shared import ids
from shared.wire.alternative_ids import alternative_id
from shared.wire.beginning import BegunAlternative
from shared.wire.messages import StoredMessage


class ImportedTails:
    """What stands, and its alternatives, under new jobs.

    Args:
        batch_id: the job of all messages of a conversation without alternatives.
    """

    def __init__(
        self,
        messages: Sequence[ImportedMessage],
        alternatives: Sequence[ImportedAlternative],
        batch_id: str,
    ) -> None:
        self._imported = alternatives
        self._standing, self._tails = tails_of(messages, alternatives)
        self._batch_id = batch_id
        self._jobs = self._new_jobs() if alternatives else {}

    def _new_jobs(self) -> dict[tuple[str, int], str]:
        """New jobs by the old ones and their tails."""
        tails = (self._standing, *self._tails)
        old = sorted({(_job(each), tail.place) for tail in tails for each in tail.messages})
        return dict(zip(old, sorted(ids.new_job() for _ in old), strict=True))

    def messages(self, now_ms: int) -> tuple[StoredMessage, ...]:
        """Those that stand."""
        return self._stored(self._standing, now_ms)

    def alternatives(self, context: str, now_ms: int) -> tuple[BegunAlternative, ...]:
        """The alternatives in their order; `context` is for those without instructions."""
        new_ids: dict[Tail | None, str] = {tail: self._id(tail) for tail in self._tails}
        return tuple(
            BegunAlternative(
                alternative_id=new_ids[tail],
                number=self._number(tail),
                after=self._job_before(tail),
                under=new_ids.get(tail.under, ""),
                replaced_ms=milliseconds(each.replaced_at) if each.replaced_at else now_ms,
                turns=_turns(tail, tail.number + len(tail.messages)),
                context=context if each.context is None else each.context,
                messages=self._stored(tail, now_ms),
            )
            for each, tail in zip(self._imported, self._tails, strict=True)
        )

    def _id(self, tail: Tail) -> str:
        return alternative_id(self._number(tail), self._job_of(tail.messages[0], tail))

    def _number(self, tail: Tail) -> int:
        return tail.number - self._standing.number + 1

    def _job_of(self, message: ImportedMessage, tail: Tail) -> str:
        return self._jobs.get((_job(message), tail.place), self._batch_id)

    def _job_before(self, tail: Tail) -> str:
        before = tail.under.until(tail.number) if tail.under else ()
        return self._job_of(before[-1], tail.under) if before and tail.under else ""

    def _stored(self, tail: Tail, now_ms: int) -> tuple[StoredMessage, ...]:
        first = self._number(tail) - 1
        return tuple(
            message.stored(self._job_of(message, tail), place, now_ms)
            for place, message in enumerate(tail.messages, start=first)
        )


def _job(message: ImportedMessage) -> str:
    return message.job if isinstance(message.job, str) else ""


def _turns(tail: Tail, number: int) -> int:
    """How many replies there are before a number, in the tail and in what it continues."""
    own = sum(message.role == "assistant" for message in tail.until(number))
    return own + (_turns(tail.under, tail.number) if tail.under else 0)
