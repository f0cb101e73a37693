"""Reads prompts line by line, from anything."""

import contextlib
from typing import Final, Protocol

CONTINUED: Final = "\\"
"""At the end of a line: the prompt goes on in the next one."""


class Reader(Protocol):
    """Where prompts and commands come from."""

    def read(self) -> str | None:
        """One of them; None at the end of the input, empty after Ctrl-C."""

    def while_replying(self) -> contextlib.AbstractContextManager[object]:
        """In it a reply is written, and nothing is read."""


class LineReader:
    """Reads standard input."""

    def read(self) -> str | None:
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

    def while_replying(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()
