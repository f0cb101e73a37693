"""Log lines: for machines and for people, always one each."""

import contextvars
import io
import json
import logging
import sys

import pytest

from shared.process.logs import HumanLines, JsonLines, about, add_context, configure_logging
from shared.trouble import Trouble


def record(message: str, **fields: object) -> logging.LogRecord:
    logger = logging.getLogger("palaver-test")
    return logger.makeRecord(
        logger.name, logging.INFO, __file__, 1, message, (), None, extra=about(**fields)
    )


def test_json_has_everything_on_one_line() -> None:
    line = JsonLines().format(record("job\ndone", job="j1", took_ms=1.5, missing=None))
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "info",
        "logger": "palaver-test",
        "message": "job\ndone",
        "job": "j1",
        "took_ms": 1.5,
    }


def test_json_has_the_traceback() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        one = record("failed")
        one.exc_info = sys.exc_info()
    assert "ValueError: why" in json.loads(JsonLines().format(one))["traceback"]


def test_people_read_fields_that_cannot_forge_a_line() -> None:
    line = HumanLines().format(record("GET /jobs/{job} 404", job="x\nERROR api: forged", ms=1.25))
    assert line == ("INFO palaver-test: GET /jobs/{job} 404 job='x\\nERROR api: forged' ms=1.2")


def test_a_context_stands_on_every_line_of_its_task_alone() -> None:
    def request() -> str:
        add_context(request="r1")
        add_context(job="j1")
        return HumanLines().format(record("done"))

    assert contextvars.copy_context().run(request).endswith("done request=r1 job=j1")
    assert HumanLines().format(record("done")).endswith("done")


@pytest.mark.parametrize(
    ("is_terminal", "log_format", "expected"),
    [(True, "auto", "INFO"), (False, "auto", "{"), (True, "json", "{"), (False, "human", "INFO")],
)
def test_the_format_follows_the_terminal(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, log_format: str, expected: str
) -> None:
    class Output(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    try:
        configure_logging("info", log_format)  # type: ignore[arg-type]
        logging.getLogger("api").info("hello")
    finally:
        root.handlers, root.level = handlers, level
    assert output.getvalue().startswith(expected)


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_trouble_is_told_once_then_once_a_minute_then_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    trouble = Trouble(logging.getLogger("test"), "Redis", clock=clock)
    for second in range(150):
        clock.now = second
        for part in ("permits", "notices"):
            trouble.met(ConnectionError("refused"), part)
    trouble.over("permits")
    trouble.over("permits")
    assert [record.getMessage() for record in caplog.records] == [
        "Redis: ConnectionError: refused",
        "Redis: ConnectionError: refused, 120 times",
        "Redis: ConnectionError: refused, 120 times",
    ]
    trouble.over("notices")
    assert caplog.messages[3:] == ["Redis: well again after 149.0 s and 300 failures"]
    trouble.met(ConnectionError("refused"), "notices")
    assert caplog.messages[4:] == ["Redis: ConnectionError: refused"]


def test_another_kind_of_trouble_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble(logging.getLogger("test"), "Redis", clock=Clock())
    trouble.met(ConnectionError("refused"), "permits")
    trouble.met(TimeoutError("silent"), "permits")
    trouble.met(ConnectionError("refused"), "permits")
    assert caplog.messages == ["Redis: ConnectionError: refused", "Redis: TimeoutError: silent"]
