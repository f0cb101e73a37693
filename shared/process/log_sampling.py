"""Lines that say the same again and again: the first ones whole, the rest counted once a minute."""

import contextvars
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, TextIO

_WHOLE: Final = 3
_COUNTED_S: Final = 60.0
_MANY: Final = 1_000
"""Kinds of lines that are counted at once; of more, every line is written."""

Kind = tuple[Any, ...]


@dataclass(slots=True)
class _Run:
    """Lines of one kind, until there are none for a minute."""

    until: float
    seen: int = 0
    suppressed: int = 0
    last: logging.LogRecord | None = None


class SampledHandler(logging.StreamHandler[TextIO]):
    """Writes lines to standard output; of equal errors not all.

    Errors are equal if they come from the same line of code, whatever their values. A library's
    warnings count as errors; our own are rare by themselves (`shared.trouble`).

    Args:
        own: the loggers whose warnings are all written.
    """

    def __init__(
        self,
        own: Iterable[str],
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(sys.stdout if stream is None else stream)
        self._own = frozenset(own)
        self._clock = clock
        self._runs: dict[Kind, _Run] = {}
        self._next_end = float("inf")

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        if now >= self._next_end:
            self._count(now)
        if self._is_whole(record, now):
            super().emit(record)

    def close(self) -> None:
        self._count(float("inf"))
        super().close()

    def _is_whole(self, record: logging.LogRecord, now: float) -> bool:
        lowest = logging.ERROR if record.name.partition(".")[0] in self._own else logging.WARNING
        if record.levelno < lowest:
            return True
        run = self._runs.get(kind := _kind(record))
        if run is None:
            if len(self._runs) >= _MANY:
                return True
            run = self._runs[kind] = _Run(until=now + _COUNTED_S)
            self._next_end = min(self._next_end, run.until)
        run.seen += 1
        if run.seen <= _WHOLE:
            return True
        run.suppressed += 1
        run.last = record
        return False

    def _count(self, now: float) -> None:
        """Write how many lines were suppressed in the minutes that are over."""
        for summary in list(self._summaries(now)):
            # It belongs to no task: the fields of the current one do not stand on it.
            contextvars.Context().run(super().emit, summary)
        self._next_end = min((run.until for run in self._runs.values()), default=float("inf"))

    def _summaries(self, now: float) -> Iterator[logging.LogRecord]:
        for kind, run in list(self._runs.items()):
            if now < run.until:
                continue
            if run.last is None:
                del self._runs[kind]
                continue
            times, last = run.suppressed, run.last
            run.until, run.suppressed, run.last = now + _COUNTED_S, 0, None
            message = f"{times} more times in a minute: {last.getMessage()}"
            yield logging.LogRecord(
                last.name, last.levelno, last.pathname, last.lineno, message, (), None
            )


def _kind(record: logging.LogRecord) -> Kind:
    """What equal lines have in common: where they are logged, and where the error was raised."""
    error = record.exc_info[0] if record.exc_info else None
    raised = _innermost(record.exc_info[2]) if record.exc_info else None
    return record.name, record.levelno, record.pathname, record.lineno, error, raised


def _innermost(traceback: TracebackType | None) -> tuple[str, int] | None:
    """File and line where an error was raised."""
    if traceback is None:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
