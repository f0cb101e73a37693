"""Finds out whether a model writes calls as Python does, from a reply that has one."""

import re
from typing import Final

from worker.reading.python_calls import PythonCalls

_SHOWN: Final = re.compile(
    r"""(?P<before>.*?)(?P<bracket>\[?)qfirstq\(qkeyq=(?P<quote>["'])qvalueq(?P=quote)\)"""
    r"(?P<closed>\]?)(?P<after>.*)",
    re.DOTALL,
)


def python_calls(shown: str, escaped: str) -> PythonCalls | None:
    r"""The syntax; None if the model has another.

    Args:
        shown: a reply with a call whose argument is `qvalueq`.
        escaped: one whose argument is `q\q`, which shows whether such texts are escaped.
    """
    match = _SHOWN.fullmatch(shown)
    if (
        match is None
        or not match["before"].strip()
        or bool(match["bracket"]) != bool(match["closed"])
    ):
        return None
    is_raw = f"{match['quote']}q\\q{match['quote']}" in escaped
    return PythonCalls(
        opening=match["before"],
        closing=match["after"],
        is_list=bool(match["bracket"]),
        raw_quote=match["quote"] if is_raw else "",
    )
