"""What is typed while a reply is written: `/stop` stops it, the rest waits for the next prompt.

Loaded only where there is a terminal.
"""

import codecs
import os
import re
import select
import signal
import sys
import termios
import threading
from types import TracebackType
from typing import Any, Final

STOP: Final = "/stop"
_ERASE: Final = ("\x7f", "\x08")
_CONTROL_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O.|.)?")
"""What arrow and function keys send."""


class TypingAhead:
    """Reads the keyboard, without the terminal showing what is typed in the midst of a reply.

    Ctrl-C works as ever: what `/stop` does is the same signal.

    Attributes:
        text: what was typed, to begin the next prompt with.
    """

    def __init__(self) -> None:
        self.text = ""
        self._before: list[Any] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._wake_reader, self._wake_writer = os.pipe()

    def __enter__(self) -> "TypingAhead":
        self._before = termios.tcgetattr(sys.stdin)
        quiet = termios.tcgetattr(sys.stdin)
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._wake_writer)
        try:
            self._thread.join()
            os.close(self._wake_reader)
        finally:  # a signal may come even now
            termios.tcsetattr(sys.stdin, termios.TCSANOW, self._before)

    def _read(self) -> None:
        """Until the end of the reply; a line that is `/stop` interrupts it."""
        keyboard = sys.stdin.fileno()
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        while True:
            ready, _, _ = select.select([keyboard, self._wake_reader], [], [])
            if self._wake_reader in ready:
                return
            typed = os.read(keyboard, 1024)
            if not typed:
                return
            for key in _CONTROL_SEQUENCE.sub("", decoder.decode(typed)):
                self._press(key)

    def _press(self, key: str) -> None:
        if key in _ERASE:
            self.text = self.text[:-1]
        elif key in "\r\n" and self.text.strip() == STOP:
            self.text = ""
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        elif key.isprintable() or key in "\r\n":
            self.text += key.replace("\r", "\n")
