"""Runs a chat template in processes of its own, where it can neither hang nor grow.

Templates come with models: one can loop, write without end or take all memory, and some good ones
take seconds for long conversations. Here that ends one prompt, and nothing else waits for it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NoReturn

from worker.template.environment import TemplateError, TemplateLimit

_CPU_S: Final = 5.0
_WALL_FACTOR: Final = 6
"""A process that gets only a part of a core may take this much longer than its CPU time."""
_PROCESSES: Final = 2
"""One more than most workers need, so that a slow prompt does not hold up the others."""
_PASSED_VARIABLES: Final = ("PATH", "PYTHONHOME", "PYTHONSAFEPATH", "LD_LIBRARY_PATH", "LANG")


class RenderingProcess:
    """A `Renderer` that runs a template in up to two processes; thread-safe.

    Args:
        source: Jinja text.
        cpu_s: seconds of CPU time for one prompt.

    Raises:
        TemplateError: the template is not valid.
    """

    def __init__(self, source: str, *, cpu_s: float = _CPU_S) -> None:
        self._source = source
        self._cpu_s = cpu_s
        self._free = threading.Semaphore(_PROCESSES)
        self._lock = threading.Lock()
        self._idle = [_Child(source, cpu_s)]
        self._is_closed = False

    def render(self, variables: Mapping[str, Any], now: datetime) -> str:
        """The text; it takes a while, at worst seconds.

        Raises:
            TemplateError: the template fails, or refuses the conversation.
            TemplateLimit: it takes too long, too much memory, or writes too much.
        """
        try:
            request = json.dumps({"variables": variables, "now": now.isoformat()})
        except RecursionError:
            raise TemplateLimit("what the template is given is nested too deeply") from None
        with self._free:
            child = self._take()
            try:
                text = child.answer(request)
            except _Died:  # maybe before it was asked, for reasons that are not the template's
                child.end()
                child = _Child(self._source, self._cpu_s)
                text = _last_try(child, request)
            finally:
                self._give_back(child)
        return text

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.end()

    def _take(self) -> "_Child":
        with self._lock:
            if self._is_closed:
                raise TemplateError("the worker stops")
            if self._idle:
                return self._idle.pop()
        return _Child(self._source, self._cpu_s)

    def _give_back(self, child: "_Child") -> None:
        with self._lock:
            is_kept = child.is_alive and not self._is_closed
            if is_kept:
                self._idle.append(child)
        if not is_kept:
            child.end()


def _last_try(child: "_Child", request: str) -> str:
    try:
        return child.answer(request)
    except _Died as error:
        raise TemplateLimit(f"rendering it ends its process ({error})") from None


def _environment() -> dict[str, str]:
    """Where to find modules, and no passwords: a foreign program needs none."""
    passed = {name: os.environ[name] for name in _PASSED_VARIABLES if name in os.environ}
    return {**passed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class _Died(Exception):
    """A process ended, but not because it took too long."""


class _Child:
    """A process that has compiled the template."""

    def __init__(self, source: str, cpu_s: float) -> None:
        self._cpu_s = cpu_s
        self._is_late = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "worker.template.rendering_child", str(cpu_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        try:
            self.answer(json.dumps(source))
        except _Died as error:
            self.end()
            raise TemplateLimit(f"compiling it ends its process ({error})") from None
        except TemplateError:
            self.end()
            raise

    @property
    def is_alive(self) -> bool:
        """Whether it can be used again."""
        return self._process.poll() is None

    def answer(self, request: str) -> str:
        """The text that it makes of a line.

        Raises:
            TemplateError, TemplateLimit: as it says, or it takes too long.
            _Died: it is gone.
        """
        watchdog = threading.Timer(self._cpu_s * _WALL_FACTOR, self._end_late)
        watchdog.daemon = True
        watchdog.start()
        try:
            line = self._exchange(request.encode() + b"\n")
        finally:
            watchdog.cancel()
        if not line.endswith(b"\n"):
            self._raise_why()
        answer = json.loads(line)
        if "error" in answer:
            raise (TemplateLimit if answer["is_limit"] else TemplateError)(answer["error"])
        return str(answer["text"])

    def end(self) -> None:
        """Kill it and free its pipes."""
        self._process.kill()
        with contextlib.suppress(BrokenPipeError), self._process:  # closes the pipes and waits
            pass

    def _end_late(self) -> None:
        self._is_late = True
        self._process.kill()

    def _raise_why(self) -> NoReturn:
        code = self._process.wait()
        if self._is_late or code == -signal.SIGPROF:
            raise TemplateLimit(f"it takes longer than {self._cpu_s:g} seconds")
        raise _Died(f"exit status {code}")

    def _exchange(self, line: bytes) -> bytes:
        """Its answer, or what there is of it if it ends."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            return b""
        return self._process.stdout.readline()
