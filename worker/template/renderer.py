"""Runs a chat template, which is a foreign program: here, or in a process of its own."""

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from worker.template.environment import TemplateError, TextTemplate

LONGEST_S: Final = 5.0
"""For one prompt; a template that takes longer is stopped."""
_LONGEST_START_S: Final = 30.0
_BLOCK: Final = 1 << 16


class Renderer(Protocol):
    """From a template's variables to text."""

    def render(self, variables: Mapping[str, Any], now: datetime) -> str:
        """The text.

        Raises:
            TemplateError: the template fails, refuses the conversation, or takes too long.
        """
        ...

    def close(self) -> None:
        """Free what it needs."""
        ...


class InProcess:
    """Runs a template that is trusted, as those in tests are, in this process."""

    def __init__(self, source: str) -> None:
        self._template = TextTemplate(source)

    def render(self, variables: Mapping[str, Any], now: datetime) -> str:
        return self._template.render(variables, now=now)

    def close(self) -> None:
        """There is nothing to free."""


class OwnProcess:
    """Runs a template in a process of its own, with bounds on time, memory and text.

    A template that loops or grows takes that process down and nothing else; the next prompt gets
    another one.

    Args:
        source: Jinja text.
        longest_s: seconds for one prompt.

    Raises:
        TemplateError: the source is not valid.
    """

    def __init__(self, source: str, *, longest_s: float = LONGEST_S) -> None:
        self._source = source
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._start()

    def render(self, variables: Mapping[str, Any], now: datetime) -> str:
        request = {"variables": variables, "now": now.isoformat()}
        with self._lock:
            if self._child is None:
                self._start()
            return self._answer(request, self._longest_s)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()

    def _start(self) -> None:
        command = [sys.executable, "-m", "worker.template.child", str(os.getpid())]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        try:
            self._answer({"source": self._source}, _LONGEST_START_S)
        except TemplateError:
            self._stop()
            raise

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def _answer(self, request: Mapping[str, Any], longest_s: float) -> str:
        """What the process answers; it is ended if that is nothing in time."""
        assert self._child is not None
        try:
            answer = json.loads(self._exchange(self._child, request, longest_s))
        except TimeoutError:
            self._stop()
            raise TemplateError(f"it takes more than {longest_s:g} s") from None
        except (OSError, EOFError):
            self._stop()
            raise TemplateError("it needs too much memory, or ends the process") from None
        if "error" in answer:
            raise TemplateError(answer["error"])
        return str(answer["text"])

    @staticmethod
    def _exchange(
        child: "subprocess.Popen[bytes]", request: Mapping[str, Any], longest_s: float
    ) -> bytes:
        """Write a line, read a line."""
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(request).encode() + b"\n")
        child.stdin.flush()
        deadline = time.monotonic() + longest_s
        answer = bytearray()
        descriptor = child.stdout.fileno()
        while not answer.endswith(b"\n"):
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            block = os.read(descriptor, _BLOCK)
            if not block:
                raise EOFError
            answer += block
        return bytes(answer)
