"""Finds out whether each part of a model's replies names who it is for."""

import re
from typing import Final

from worker.reading.recipients import RecipientCalls
from worker.reading.shown_replies import FIRST, OTHER, Rendered

_ANSWER: Final = re.compile(r"(?P<user>\w+)\nqanswerq")
_CALLS: Final = re.compile(r"qfirstq\n\{[^{}]*\}\s*(?P<mark>\S+)qotherq\n\{[^{}]*\}")


def recipient_calls(rendered: Rendered) -> RecipientCalls | None:
    """The syntax; None if the model has another."""
    user = _ANSWER.fullmatch(rendered.reply(content="qanswerq") or "")
    both = _CALLS.fullmatch(rendered.reply(tool_calls=(FIRST, OTHER)) or "")
    if user is None or both is None or not rendered.opening.endswith(both["mark"]):
        return None
    return RecipientCalls(mark=both["mark"], user=user["user"])
