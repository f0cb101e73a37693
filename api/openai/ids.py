"""Ids of OpenAI's objects: ours with a prefix that names the kind."""

import re
from typing import Final

from api.http.errors import Problem, field_problem
from shared import ids

RESPONSE: Final = "resp_"
CONVERSATION: Final = "conv_"
MESSAGE: Final = "msg_"
REASONING: Final = "rs_"
CALL: Final = "fc_"
CALL_OUTPUT: Final = "fco_"
_CONVERSATION_ID: Final = re.compile(CONVERSATION + r"([1-9][0-9]{0,15})")
_ITEM_ID: Final = re.compile(
    f"({REASONING}|{MESSAGE}|{CALL_OUTPUT}|{CALL})([0-9a-f]{{32}})([ua]|i[0-9]{{4}})(?:n([0-9]{{1,4}}))?"
)
_KINDS: Final = (REASONING, MESSAGE, CALL_OUTPUT, CALL)
"""In the order in which one message shows them."""


def job_id_of(response_id: str) -> str | None:
    """The job behind a response; None if this is not the id of a response."""
    job_id = response_id.removeprefix(RESPONSE)
    return job_id if response_id.startswith(RESPONSE) and ids.is_job(job_id) else None


def conversation_id_of(name: str) -> str:
    """The conversation that a body names.

    Raises:
        Problem: 422, this is not the id of a conversation.
    """
    match = _CONVERSATION_ID.fullmatch(name)
    if match is None:
        raise field_problem("conversation", "is not the id of a conversation (conv_…)")
    return match[1]


def conversation_id_in_path(name: str) -> str:
    """The conversation that a path names.

    Raises:
        Problem: 404, this is not the id of a conversation.
    """
    match = _CONVERSATION_ID.fullmatch(name)
    if match is None:
        raise no_such_conversation()
    return match[1]


def no_such_conversation() -> Problem:
    """404, also for conversations of other owners."""
    return Problem(404, "not_found", "there is no such conversation")


def no_such_response(code: str = "not_found") -> Problem:
    """404, also for responses of other owners, and for those that were not to be stored."""
    return Problem(404, code, "there is no such response")


def item_id(kind: str, job_id: str, place: str, number: int = 0) -> str:
    """The id of an item.

    Args:
        kind: the prefix of its type.
        place: of its message in the turn: `u` the prompt, `a` the reply, `i` and four digits what
            was brought along.
        number: of the item among those of its kind in one message.
    """
    return f"{kind}{job_id}{place}" + (f"n{number}" if number else "")


def is_item_id(name: str) -> bool:
    """Whether something has the form of an item's id."""
    return _ITEM_ID.fullmatch(name) is not None


def job_id_of_item(name: str) -> str | None:
    """The turn that an item belongs to; None if this is not the id of an item."""
    match = _ITEM_ID.fullmatch(name)
    return match[2] if match is not None and ids.is_job(match[2]) else None


def item_order(name: str) -> tuple[str, int, str, int, int]:
    """A sort key: the time of the turn, then added items, prompt, reply, and their parts.

    Raises:
        ValueError: this is not the id of an item.
    """
    match = _ITEM_ID.fullmatch(name)
    if match is None:
        raise ValueError(name)
    kind, job_id, place, number = match.groups()
    return job_id, "iua".index(place[0]), place, _KINDS.index(kind), int(number or 0)
