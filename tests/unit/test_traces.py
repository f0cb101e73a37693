"""When there are traces, and what is said where there are none although they are wanted."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.process.tracing import load_variables, opened_tracer
from tests.servers import free_port

WITHOUT_THE_EXTRA = """
import importlib.abc, logging, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
logging.basicConfig(format="%(message)s")
from shared.process.tracing import opened_tracer
with opened_tracer("test") as tracer:
    assert tracer is None
"""
AFTER_ALL_IMPORTS = """
import sys, api.server, worker.child, worker.wiring
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""


@pytest.fixture(autouse=True)
def endpoint(monkeypatch: pytest.MonkeyPatch) -> str:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    return url


def is_traced() -> bool:
    with opened_tracer("test") as tracer:
        return tracer is not None


def output_of(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout + run.stderr


def test_there_are_traces_where_a_collector_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_traced()
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    assert not is_traced()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces")
    assert is_traced()


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")]
)
def test_they_can_be_turned_off(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(name, value)
    assert not is_traced()
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_TRACES_EXPORTER", "zipkin")]
)
def test_what_cannot_be_done_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING):
        assert not is_traced()
    assert value in caplog.text


def test_without_the_extra_a_process_starts_and_says_what_is_missing() -> None:
    assert output_of(WITHOUT_THE_EXTRA) == (
        "no traces: OTEL_EXPORTER_OTLP_ENDPOINT is set, but palaver-chat[otel] is not installed\n"
    )


def test_nothing_of_it_is_loaded_before_a_process_opens_its_tracer() -> None:
    assert output_of(AFTER_ALL_IMPORTS) == "[]\n"


def test_its_variables_are_read_from_the_file_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("OTEL_SERVICE_NAME=mine\nOTEL_X=1\nOTHER_X=1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTEL_X", "2")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "")
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    load_variables()
    assert os.environ["OTEL_SERVICE_NAME"] == "mine"
    assert os.environ["OTEL_X"] == "2", "the environment counts for more"
    assert "OTHER_X" not in os.environ


def test_a_span_names_itself_to_other_processes_and_continues_their_traces() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with opened_tracer("test") as tracer:
        assert tracer is not None
        span = tracer.begin("one", "server", parent=parent, at_ns=1)
        other = tracer.begin("other", "server", parent="nonsense", at_ns=1)
    version, trace, own, flags = span.traceparent.split("-")
    assert (version, trace, flags) == ("00", span.trace_id, "01")
    assert trace in parent
    assert own not in parent
    assert other.trace_id != trace


def test_a_trace_that_its_client_does_not_sample_is_not_sent_on() -> None:
    with opened_tracer("test") as tracer:
        assert tracer is not None
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
        assert tracer.begin("one", "server", parent=parent, at_ns=1).traceparent.endswith("-00")
