"""Opens what a process's spans go to, if its environment names a collector."""

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterator
from typing import Final

from dotenv import dotenv_values

from shared.traces import Tracer

log = logging.getLogger(__name__)

_PREFIX: Final = "OTEL_"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"
_PACKAGE: Final = "opentelemetry.exporter.otlp.proto.http"


@contextlib.contextmanager
def opened_tracer(service: str) -> Iterator[Tracer | None]:
    """What the spans of a process go to; None if nobody collects them.

    At the end the last ones are sent, which takes a second at most.

    Args:
        service: what the process is, where `OTEL_SERVICE_NAME` does not say so.
    """
    if not _is_wanted():
        yield None
        return
    from shared.process.otel import OtlpTracer  # noqa: PLC0415 - its packages may not be installed

    tracer = OtlpTracer(service)
    try:
        yield tracer
    finally:
        tracer.close()


def load_variables() -> None:
    """Add OpenTelemetry's variables in `.env` to the environment, where it looks for them."""
    for name, value in dotenv_values(".env").items():
        if name.startswith(_PREFIX) and value:
            os.environ.setdefault(name, value)


def _is_wanted() -> bool:
    """Whether spans are to be sent, and can be; a log line says why not."""
    endpoint = next(filter(os.environ.get, _ENDPOINTS), None)
    if endpoint is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if exporter == "none":
        return False
    protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), _PROTOCOL)
    if (exporter, protocol) != ("otlp", _PROTOCOL):
        log.warning(
            "no traces: they are sent by otlp with %s, not by %s with %s",
            *(_PROTOCOL, exporter, protocol),
        )
        return False
    if not _is_installed():
        log.warning("no traces: %s is set, but palaver-chat[otel] is not installed", endpoint)
        return False
    return True


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec(_PACKAGE) is not None
    except ModuleNotFoundError:
        return False
