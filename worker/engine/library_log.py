"""What llama.cpp logs: handed on to Python's log, and kept while something is loaded.

The library tells some things nowhere else: why a file cannot be loaded, and what it chose itself.
"""

import contextlib
import ctypes
import logging
from collections.abc import Iterator
from typing import Any, Final

import llama_cpp

log = logging.getLogger(__name__)

_LEVELS: Final = {2: logging.DEBUG, 3: logging.WARNING, 4: logging.ERROR}
_ERROR: Final = 4
_CONTINUED: Final = 5
"""The text goes on in the line before."""

_listeners: list["LibraryMessages"] = []


class LibraryMessages:
    """The messages of a while, as llama.cpp wrote them."""

    def __init__(self) -> None:
        self._messages: list[tuple[int, str]] = []

    def add(self, level: int, text: str) -> None:
        """One more; a continuation counts as the same level as before."""
        if level == _CONTINUED and self._messages:
            level = self._messages[-1][0]
        self._messages.append((level, text))

    @property
    def reason(self) -> str | None:
        """What went wrong: the first error, which names the cause; the later ones its effects."""
        return next((text for level, text in self._messages if level == _ERROR), None)

    def said(self, text: str) -> bool:
        """Whether a message contains a text."""
        return any(text in message for _, message in self._messages)


@contextlib.contextmanager
def listening() -> Iterator[LibraryMessages]:
    """Keep what the library says meanwhile."""
    messages = LibraryMessages()
    _listeners.append(messages)
    try:
        yield messages
    finally:
        _listeners.remove(messages)


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _hand_on(level: int, text: bytes, _user_data: Any) -> None:
    message = text.decode("utf-8", "replace").strip()
    if message.strip("."):
        log.log(_LEVELS.get(level, logging.DEBUG), "llama.cpp: %s", message)
        for messages in _listeners:
            messages.add(level, message)


# The module keeps the callback alive: collected, it would crash the process.
llama_cpp.llama_log_set(_hand_on, ctypes.c_void_p(0))
