"""Log lines of every process: JSON for machines, plain for people; never prompts or replies."""

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import orjson

from shared.config import LogFormat
from shared.process.log_sampling import SampledHandler

_FIELDS: Final = "palaver_fields"
CONTEXT: Final[ContextVar[Mapping[str, Any]]] = ContextVar(
    "log context", default=MappingProxyType({})
)
"""The fields of every log line of a task."""
_OWN: Final = ("api", "worker", "shared")


def about(**fields: Any) -> dict[str, dict[str, Any]]:
    """The fields of a log line, for `extra=`; those that are None are left out."""
    return {_FIELDS: {name: value for name, value in fields.items() if value is not None}}


def add_context(**fields: Any) -> None:
    """Add fields to every further log line of this task."""
    CONTEXT.set({**CONTEXT.get(), **fields})


def configure_logging(level: str, log_format: LogFormat = "auto") -> None:
    """Log to standard output at `level`, libraries at warnings only; equal errors are sampled.

    `auto` is JSON unless standard output is a terminal.
    """
    handler = SampledHandler(own=_OWN)
    handler.setFormatter(JsonLines() if resolved(log_format) == "json" else HumanLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in (*_OWN, "uvicorn"):
        logging.getLogger(name).setLevel(level.upper())


def resolved(log_format: LogFormat) -> LogFormat:
    """`human` or `json`."""
    if log_format != "auto":
        return log_format
    return "human" if sys.stdout.isatty() else "json"


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, fields, traceback."""

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
    """Level, logger, message, then the fields; one line, whatever the values are."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_shown(value)}" for name, value in _fields(record).items())
        line = f"{record.levelname} {record.name}: {record.getMessage()}{fields}"
        if record.exc_info:
            return f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {**CONTEXT.get(), **getattr(record, _FIELDS, {})}


def _shown(value: Any) -> str:
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return text if text.isprintable() and " " not in text else repr(text)
