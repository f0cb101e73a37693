"""Spans by OpenTelemetry, sent by OTLP over HTTP; nothing else touches its packages.

The SDK reads the rest of its variables itself: sampler, queue, time-outs, headers. Its queue is
bounded, and a thread of its own empties it. A collector that is slow, or gone, costs spans.
"""

import threading
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared import traces
from shared.distribution import version
from shared.traces import Attributes

_HEADER: Final = "traceparent"
_KINDS: Final = {"server": SpanKind.SERVER, "internal": SpanKind.INTERNAL}
_LAST_SPANS_S: Final = 1.0
"""How long a process that stops waits for the collector to take its last spans."""
_W3C: Final = TraceContextTextMapPropagator()


class OtlpTracer:
    """A `Tracer` that sends its spans to the collector that the environment names.

    Args:
        service: what the process is, where the environment does not say so.
    """

    def __init__(self, service: str) -> None:
        own = {"service.name": service, "service.version": version()}
        resource = Resource.create({**own, **OTELResourceDetector().detect().attributes})
        # At the end it is closed here: at exit, it would wait for its collector for long.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("palaver", version())

    def begin(
        self, name: str, kind: traces.SpanKind, *, parent: str = "", at_ns: int
    ) -> traces.Span:
        context = _W3C.extract({_HEADER: parent})
        span = self._tracer.start_span(name, context, _KINDS[kind], start_time=at_ns)
        return OtlpSpan(span)

    def close(self) -> None:
        """Send what is left, for a second at most."""
        closing = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(_LAST_SPANS_S)


class OtlpSpan:
    """One of OpenTelemetry's spans."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(self._span))
        return carrier.get(_HEADER, "")

    @property
    def trace_id(self) -> str:
        return f"{self._span.get_span_context().trace_id:032x}"

    def end(
        self, attributes: Attributes | None = None, *, error: str = "", at_ns: int | None = None
    ) -> None:
        if attributes:
            self._span.set_attributes(dict(attributes))
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(StatusCode.ERROR)
        self._span.end(at_ns)
