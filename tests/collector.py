"""A collector of traces: takes what OpenTelemetry sends by HTTP, or hangs."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


@dataclass(frozen=True, kw_only=True)
class CollectedSpan:
    """A span as it was sent; ids in hexadecimal, an empty `parent` begins a trace."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    began_ns: int
    ended_ns: int
    failed: bool
    attributes: dict[str, Any] = field(default_factory=dict)


class Collector:
    """Keeps all spans that are sent to it.

    Args:
        hangs: it reads each request and never answers.
    """

    def __init__(self, *, hangs: bool = False) -> None:
        self.paths: set[str] = set()
        self.headers: list[dict[str, str]] = []
        self._spans: list[CollectedSpan] = []
        self._raw = b""
        self._changed = threading.Condition()
        self._closing = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector._add(self.path, dict(self.headers), body)
                if hangs:
                    collector._closing.wait()
                with contextlib.suppress(OSError):  # it may have ended meanwhile
                    self.send_response(200)
                    self.send_header("Content-Type", "application/x-protobuf")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def raw(self) -> bytes:
        """All bodies as they came."""
        with self._changed:
            return self._raw

    async def spans(self, wanted: int, timeout_s: float = 20.0) -> list[CollectedSpan]:
        """All spans, once there are so many."""
        return await asyncio.to_thread(self._come, wanted, timeout_s)

    def _come(self, wanted: int, timeout_s: float) -> list[CollectedSpan]:
        with self._changed:
            come = self._changed.wait_for(lambda: len(self._spans) >= wanted, timeout_s)
            assert come, [(span.service, span.name) for span in self._spans]
            return list(self._spans)

    def _add(self, path: str, headers: dict[str, str], body: bytes) -> None:
        with self._changed:
            self.paths.add(path)
            self.headers.append(headers)
            self._raw += body
            self._spans += _decoded(body)
            self._changed.notify_all()

    def __enter__(self) -> "Collector":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


def _decoded(body: bytes) -> Iterator[CollectedSpan]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        about = {pair.key: _value(pair.value) for pair in resource.resource.attributes}
        for scope in resource.scope_spans:
            yield from (_span(about["service.name"], span) for span in scope.spans)


def _span(service: str, span: Span) -> CollectedSpan:
    return CollectedSpan(
        service=service,
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes={pair.key: _value(pair.value) for pair in span.attributes},
    )


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind or "string_value")
