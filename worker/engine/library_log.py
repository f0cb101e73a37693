"""Passes llama.cpp's log on to Python's, and collects it while something is loaded.

Some facts are only in the log: why a file cannot be loaded, and what llama.cpp has chosen itself.
"""

import contextlib
import ctypes
import logging
import re
from collections.abc import Iterator
from typing import Any, Final

import llama_cpp

log = logging.getLogger(__name__)

_LEVELS: Final = {2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
_ERROR: Final = 4
_CONTINUED: Final = 5
"""Level of a text that continues the line before."""

_listeners: list["LibraryMessages"] = []


class LibraryMessages:
    """Messages of llama.cpp, as it wrote them.

    Args:
        is_quiet: nobody needs to read them.
    """

    def __init__(self, *, is_quiet: bool = False) -> None:
        self.is_quiet = is_quiet
        self._messages: list[tuple[int, str]] = []

    def add(self, level: int, text: str) -> None:
        """Add a message; a continuation gets the level of the one before."""
        if level == _CONTINUED and self._messages:
            level = self._messages[-1][0]
        self._messages.append((level, text))

    @property
    def reason(self) -> str | None:
        """The first error, which names the cause; later ones are its effects."""
        return next((text for level, text in self._messages if level == _ERROR), None)

    def matches(self, pattern: re.Pattern[str]) -> list[tuple[str, ...]]:
        """The groups of a pattern, for each message in which it is found."""
        matches = (pattern.search(text) for _, text in self._messages)
        return [match.groups() for match in matches if match is not None]

    def contain(self, text: str) -> bool:
        """Whether a message contains a text."""
        return any(text in message for _, message in self._messages)


@contextlib.contextmanager
def listening(*, quietly: bool = False) -> Iterator[LibraryMessages]:
    """Collect what the library logs meanwhile.

    Args:
        quietly: warnings and errors are logged as details: they come again, or are reported.
    """
    messages = LibraryMessages(is_quiet=quietly)
    _listeners.append(messages)
    try:
        yield messages
    finally:
        _listeners.remove(messages)


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _pass_on(level: int, text: bytes, _user_data: Any) -> None:
    message = text.decode("utf-8", "replace").strip()
    if message.strip("."):
        is_quiet = any(messages.is_quiet for messages in _listeners)
        shown = logging.DEBUG if is_quiet else _LEVELS.get(level, logging.DEBUG)
        log.log(shown, "llama.cpp: %s", message)
        for messages in _listeners:
            messages.add(level, message)


# Kept alive by this module: if it were collected, the process would crash.
llama_cpp.llama_log_set(_pass_on, ctypes.c_void_p(0))
