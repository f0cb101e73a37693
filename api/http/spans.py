"""Spans of requests; the turns that they ask for continue their traces."""

import time
from typing import Any, Final

import falcon.asgi

from api.http.incoming import call_at_end
from api.http.paths import Paths
from shared.process.logs import CONTEXT, add_context
from shared.traces import Attributes, Tracer

_OF_TURNS: Final = {"job": "palaver.job.id", "conversation": "gen_ai.conversation.id"}
_FAILED: Final = 500


class RequestSpans:
    """Middleware: a span for each request to a route, until all of its response has been sent.

    It continues the trace of a client that sends `traceparent`. Paths are not told: who knows one
    may know a secret.
    """

    def __init__(self, tracer: Tracer, paths: Paths) -> None:
        self._tracer = tracer
        self._routine = paths.routine | {paths.files}

    async def process_resource(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _params: Any
    ) -> None:
        if req.uri_template in self._routine:
            return
        passed_ns = int((time.perf_counter() - req.context.began) * 1e9)
        span = self._tracer.begin(
            f"{req.method} {req.uri_template}",
            "server",
            parent=req.get_header("traceparent") or "",
            at_ns=time.time_ns() - passed_ns,
        )
        resp.context.traceparent = span.traceparent
        add_context(trace=span.trace_id)

        def end() -> None:
            status = resp.status_code
            span.end(_attributes(req, status), error=str(status) if status >= _FAILED else "")

        call_at_end(req, end)


def _attributes(req: falcon.asgi.Request, status: int) -> Attributes:
    fields = CONTEXT.get()
    ids = {name: str(fields[field]) for field, name in _OF_TURNS.items() if field in fields}
    return {
        "http.request.method": req.method,
        "http.route": req.uri_template or "",
        "http.response.status_code": status,
        "palaver.request.id": req.context.id,
        **ids,
    }
