"""Log lines of every process: JSON for machines, plain for people; never prompts or replies."""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal

import orjson

LogFormat = Literal["auto", "human", "json"]

_FIELDS: Final = "palaver_fields"
_AGAIN_S: Final = 60.0
"""What goes on happening is told once in so many seconds."""
_context: ContextVar[Mapping[str, Any]] = ContextVar("log context", default=MappingProxyType({}))
_LIBRARIES: Final = ("api", "worker", "shared", "uvicorn")


def about(**fields: Any) -> dict[str, dict[str, Any]]:
    """What a line is about, as `extra=` of a logger's call; those that are None are left out."""
    return {_FIELDS: {name: value for name, value in fields.items() if value is not None}}


def add_context(**fields: Any) -> None:
    """What every further line of this task is about, too."""
    _context.set({**_context.get(), **fields})


def configure_logging(level: str, log_format: LogFormat = "auto") -> None:
    """Log to standard output at `level`, libraries at warnings only.

    `auto` is JSON unless standard output is a terminal.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines() if resolved(log_format) == "json" else HumanLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(level.upper())


def resolved(log_format: LogFormat) -> LogFormat:
    """`human` or `json`."""
    if log_format != "auto":
        return log_format
    return "human" if sys.stdout.isatty() else "json"


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what it is about, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class HumanLines(logging.Formatter):
    """Level, logger, message, then what it is about; whatever the values are, one line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        line = f"{record.levelname} {record.name}: {record.getMessage()}{fields}"
        if record.exc_info:
            return f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {**_context.get(), **getattr(record, _FIELDS, {})}


def _shown(value: Any) -> str:
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return text if text.isprintable() and " " not in text else repr(text)


class Repeated:
    """Lines that would come again and again: each is due at once, then once a minute."""

    def __init__(self, *, every_s: float = _AGAIN_S, clock: Callable[[], float] = time.monotonic):
        self._every_s = every_s
        self._clock = clock
        self._said_at: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def due(self, line: str) -> int:
        """How often it has happened since it was last said, this time included; 0 if that is to
        be kept for later."""
        self._unsaid[line] = times = self._unsaid.get(line, 0) + 1
        now, said_at = self._clock(), self._said_at.get(line)
        if said_at is not None and now - said_at < self._every_s:
            return 0
        self._said_at[line] = now
        self._unsaid[line] = 0
        return times

    def forget(self) -> None:
        """Whatever happens next is new."""
        self._said_at.clear()
        self._unsaid.clear()


class Trouble:
    """Something that all parts of a process need, and that fails for a while.

    One line when it begins, one a minute with the number of failures, one when no part has trouble
    any more; however many parts try however often.
    """

    def __init__(
        self,
        logger: logging.Logger,
        what: str,
        *,
        every_s: float = _AGAIN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._what = what
        self._clock = clock
        self._repeated = Repeated(every_s=every_s, clock=clock)
        self._parts: set[str] = set()
        self._since = 0.0
        self._failures = 0

    def met(self, error: Exception, part: str | None = None) -> None:
        """It has failed; `part` is one that goes on trying, and says so when it is `over`."""
        if not self._parts:
            self._since = self._clock()
        if part is not None:
            self._parts.add(part)
        self._failures += 1
        kind = type(error).__name__
        if times := self._repeated.due(kind):
            more = f", {times} times" if times > 1 else ""
            self._logger.warning("%s: %s: %s%s", self._what, kind, error, more)

    def over(self, part: str) -> None:
        """This part has succeeded, or tries no longer."""
        if part not in self._parts:
            return
        self._parts.remove(part)
        if not self._parts:
            seconds = self._clock() - self._since
            self._logger.warning(
                "%s: well again after %.1f s and %d failures", self._what, seconds, self._failures
            )
            self._failures = 0
            self._repeated.forget()
