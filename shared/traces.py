"""Traces of requests and turns: what whoever has something to trace knows (docs/decisions/0054).

OpenTelemetry is behind these interfaces (`shared/process/otel.py`). It is loaded if it is installed
and the environment names a collector; otherwise there is no tracer, and nothing to do.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

Attributes = Mapping[str, str | bool | int | float | Sequence[str]]
SpanKind = Literal["server", "internal"]


class Span(Protocol):
    """Work under way, or done: it may begin and end in the past."""

    @property
    def traceparent(self) -> str:
        """What names this span as a parent, in W3C's format; other processes may use it."""
        ...

    @property
    def trace_id(self) -> str:
        """Of the trace that it belongs to, as collectors show it."""
        ...

    def end(
        self, attributes: Attributes | None = None, *, error: str = "", at_ns: int | None = None
    ) -> None:
        """Hand it to the exporter.

        Args:
            error: its type, if the work failed.
            at_ns: when it ended, since the epoch; None for now.
        """
        ...


class Tracer(Protocol):
    """Records spans and sends them in the background; what cannot be sent is dropped."""

    def begin(self, name: str, kind: SpanKind, *, parent: str = "", at_ns: int) -> Span:
        """Begin a span.

        Args:
            parent: its parent's `traceparent`, whoever wrote it; anything else begins a new trace.
            at_ns: when it began, since the epoch.
        """
        ...
