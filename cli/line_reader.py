"""Reads prompts line by line, from anything."""

from collections.abc import Callable
from typing import Final

CONTINUED: Final = "\\"
"""At the end of a line: the prompt goes on in the next one."""

ReadPrompt = Callable[[], str | None]
"""Gives a prompt or a command; None at the end of the input, empty after Ctrl-C."""


def read_lines() -> str | None:
    """A prompt from standard input."""
    lines: list[str] = []
    try:
        while True:
            line = input("> " if not lines else ". ")
            lines.append(line.removesuffix(CONTINUED))
            if not line.endswith(CONTINUED):
                return "\n".join(lines)
    except EOFError:
        return "\n".join(lines) if lines else None
    except KeyboardInterrupt:
        print()
        return ""
