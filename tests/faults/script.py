"""What the workers of these tests reply: a function of the prompt, so that it can be checked.

A reply names the number of its turn, which is right only if its prompt held every turn before it,
once; and the model that wrote it, where there are several.
"""

import hashlib
import os
import signal
from collections.abc import Callable

from tests.scripted import last_prompt

MODEL = "scripted"
POISON = "POISON"
HANG = "HANG"
BREAK = "BREAK"
_SHORTEST, _SPREAD = 10, 60


def reply_to(number: int, prompt: str, model: str = MODEL) -> str:
    """The reply to the `number`-th turn of a conversation, counted from 1, by a named model."""
    digest = hashlib.sha256(prompt.encode()).digest()
    return f"turn {number} to {prompt!r} by {model}: " + "x" * (_SHORTEST + digest[0] % _SPREAD)


def script_of(model: str) -> Callable[[str], str]:
    """What the scripted engine of a model replies."""
    return lambda prompt: reply_to(prompt.count("<user>"), last_prompt(prompt), model)


def deadly(script: Callable[[str], str], kill: Callable[[], None]) -> Callable[[str], str]:
    """A script that a poison prompt ends the process with, as a crash in native code would."""

    def poisoned(prompt: str) -> str:
        if POISON in last_prompt(prompt):
            kill()
        return script(prompt)

    return poisoned


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
