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


def script_of(model: str, hand: str) -> Callable[[str], str]:
    """What the scripted engine of a model replies."""
    return lambda prompt: reply_to(prompt.count("<user>"), last_prompt(prompt), model, hand)


def deadly(script: Callable[[str], str], kill: Callable[[], None]) -> Callable[[str], str]:
    """A script that a poison prompt ends the process with, as a crash in native code would."""

    def poisoned(prompt: str) -> str:
        if POISON in last_prompt(prompt):
            kill()
        return script(prompt)

    return poisoned


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
