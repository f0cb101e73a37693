"""Ids of tails: the number of the first message, and that message's job."""

from collections.abc import Iterable

from shared.wire.messages import StoredMessage
from shared.wire.objects import AlternativesOfMessage


def alternative_id(number: int, job_id: str) -> str:
    """The id of a tail whose first message has this number and belongs to this job."""
    return f"{number}-{job_id}"


def number_and_job(tail_id: str) -> tuple[int, str]:
    """What an id is made of; job ids begin with their time, so these pairs order tails by it."""
    number, _, job_id = tail_id.partition("-")
    return int(number), job_id


def alternatives_of(
    message: StoredMessage, alternative_ids: Iterable[str]
) -> AlternativesOfMessage | None:
    """Which tails may stand from a message on, as first submitted; None if it is the only one."""
    shown = alternative_id(message.number, message.job_id)
    here = {each for each in alternative_ids if number_and_job(each)[0] == message.number}
    ids = sorted({shown, *here})
    if len(ids) == 1:
        return None
    return {"count": len(ids), "shown": ids.index(shown) + 1, "ids": ids}
