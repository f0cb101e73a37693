"""What the workers of these tests reply: a function of the prompt, so that it can be checked.

A reply names the number of its turn, which is right only if its prompt held every turn before it,
once; and the model that wrote it, where there are several. Its end can be in each worker's own
hand, so that what two of them have written at the same time does not look like the work of one.
"""

import hashlib
import os
import re
import signal
from collections.abc import Callable

from tests.scripted import last_prompt
from worker.prompt.summaries import HEADING as SUMMARY_HEADING
from worker.summaries.summarizer import REQUEST

MODEL = "scripted"
POISON = "POISON"
HANG = "HANG"
BREAK = "BREAK"
_SHORTEST, _SPREAD = 10, 60


HAND = "x"
_WRITTEN = re.compile(r"[a-z]*\Z")


def reply_to(number: int, prompt: str, model: str = MODEL, hand: str = HAND) -> str:
    """The reply to the `number`-th turn of a conversation, counted from 1, by a named model.

    Args:
        hand: a letter in which its end is written.
    """
    digest = hashlib.sha256(prompt.encode()).digest()
    return f"turn {number} to {prompt!r} by {model}: " + hand * (_SHORTEST + digest[0] % _SPREAD)


def in_one_hand(reply: str) -> str:
    """The same reply, as one worker alone would have written it."""
    return _WRITTEN.sub(lambda written: HAND * len(written[0]), reply)


def script_of(model: str, hand: str, *, remembers: bool = False) -> Callable[[str], str]:
    """What the scripted engine of a model replies.

    Args:
        remembers: windows are too short for conversations, and summaries are made of the rest.
    """
    if not remembers:
        return lambda prompt: reply_to(prompt.count("<user>"), last_prompt(prompt), model, hand)

    def reply(prompt: str) -> str:
        if REQUEST[:20] in prompt:
            return _summary(prompt)
        said = last_prompt(prompt).rpartition("\n")[2]
        return reply_to(_number_behind(prompt), said, model, hand)

    return reply


_WRONG = 0
"""The number of a turn whose prompt is not what it should be."""
_SUMMARISED = re.compile(r"^> turns 1 to (\d+) of (.*)$", re.MULTILINE)
_REPLIED = re.compile(r"<assistant>turn (\d+) to ")
_WHOSE = re.compile(r"<system>You talk with (.*?)\.<end>")


def _number_behind(prompt: str) -> int:
    """The number of a turn by the turns in view, which follow each other and the summary."""
    shown = [int(number) for number in _REPLIED.findall(prompt)]
    known = _known(prompt)
    is_whole = prompt.count("<user>") == len(shown) + 1
    if known is None or not is_whole or not _are_neighbours(shown):
        return _WRONG
    if not shown:
        return known + 1
    return shown[-1] + 1 if known <= shown[-1] else _WRONG


def _summary(prompt: str) -> str:
    """One that tells which turns it was made from, and whose they are."""
    folded, known = [int(number) for number in _REPLIED.findall(prompt)], _known(prompt)
    if known is None or not folded or not _are_neighbours([known, *folded]):
        return "this is wrong"
    return f"turns 1 to {folded[-1]} of {_whose(prompt)}"


def _known(prompt: str) -> int | None:
    """How many turns were summarised; None if the summary is another conversation's, or wrong."""
    if SUMMARY_HEADING not in prompt:
        return 0
    found = _SUMMARISED.search(prompt)
    return int(found[1]) if found is not None and found[2] == _whose(prompt) else None


def _whose(prompt: str) -> str:
    found = _WHOSE.search(prompt)
    return found[1] if found is not None else ""


def _are_neighbours(numbers: list[int]) -> bool:
    return numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True


def deadly(script: Callable[[str], str], kill: Callable[[], None]) -> Callable[[str], str]:
    """A script that a poison prompt ends the process with, as a crash in native code would."""

    def poisoned(prompt: str) -> str:
        if POISON in last_prompt(prompt):
            kill()
        return script(prompt)

    return poisoned


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
