"""Errors that repeat: the first ones whole, then how many there were."""

import contextvars
import io
import logging
import sys
from collections.abc import Iterator

import pytest

from shared.process.log_sampling import SampledHandler
from shared.process.logs import HumanLines, add_context

MINUTE = 60


class Log:
    """A handler on a stream, and a clock that is set."""

    def __init__(self) -> None:
        self.now = 0.0
        self._stream = io.StringIO()
        self.handler = SampledHandler(("api",), self._stream, clock=lambda: self.now)
        self.handler.setFormatter(HumanLines())
        self.own = self._logger("api.log-sampling")
        self.foreign = self._logger("library")

    def _logger(self, name: str) -> logging.Logger:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [self.handler], False
        logger.setLevel(logging.INFO)
        return logger

    def lines(self) -> list[str]:
        """What has been written since the last call."""
        lines = self._stream.getvalue().splitlines()
        self._stream.seek(0)
        self._stream.truncate()
        return lines


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    yield log
    log.handler.close()


def fail(logger: logging.Logger, times: int, message: str = "job %d failed") -> None:
    for number in range(times):
        logger.error(message, number)


def test_the_first_errors_are_whole_and_the_rest_is_counted_once_a_minute(log: Log) -> None:
    fail(log.own, 100)
    assert [line.split(": ")[1] for line in log.lines()] == [f"job {n} failed" for n in range(3)]
    log.now += MINUTE
    fail(log.own, 50)
    assert log.lines() == ["ERROR api.log-sampling: 97 more times in a minute: job 99 failed"]
    log.now += MINUTE
    log.own.info("anything")
    assert log.lines()[0] == "ERROR api.log-sampling: 50 more times in a minute: job 49 failed"


def test_an_error_that_has_stopped_is_counted_with_whatever_comes_next(log: Log) -> None:
    fail(log.own, 10)
    log.lines()
    log.now += 10 * MINUTE
    log.own.warning("something else")
    assert log.lines() == [
        "ERROR api.log-sampling: 7 more times in a minute: job 9 failed",
        "WARNING api.log-sampling: something else",
    ]


def test_what_is_not_counted_yet_is_counted_at_the_end(log: Log) -> None:
    fail(log.own, 5)
    log.lines()
    log.handler.close()
    assert log.lines() == ["ERROR api.log-sampling: 2 more times in a minute: job 4 failed"]


def test_an_error_that_was_away_for_a_minute_is_new(log: Log) -> None:
    fail(log.own, 3)
    log.now += MINUTE
    fail(log.own, 3)
    assert len(log.lines()) == 6


def test_other_errors_are_counted_by_themselves(log: Log) -> None:
    def raised(message: str) -> None:
        try:
            if message == "one":
                raise ValueError(message)
            raise ValueError(message)
        except ValueError:
            log.own.error("job failed", exc_info=sys.exc_info())

    for _ in range(5):
        raised("one")
        raised("other")
    written = log.lines()
    for message in ("one", "other"):
        assert written.count(f"ValueError: {message}") == 3


def test_a_librarys_warnings_are_sampled_and_our_own_are_not(log: Log) -> None:
    for number in range(10):
        log.foreign.warning("collector away, try %d", number)
        log.own.warning("Redis away, try %d", number)
        log.own.info("POST / 200")
    written = log.lines()
    assert sum("collector" in line for line in written) == 3
    assert sum("Redis" in line for line in written) == 10
    assert sum("POST" in line for line in written) == 10


def test_a_count_has_no_fields_of_the_task_that_wrote_it(log: Log) -> None:
    fail(log.own, 4)
    log.lines()
    log.now += MINUTE

    def request() -> None:
        add_context(request="r1")
        log.own.info("anything")

    contextvars.copy_context().run(request)
    counted, other = log.lines()
    assert "request" not in counted
    assert other.endswith("request=r1")


def test_a_flood_of_different_errors_keeps_its_lines_and_no_more_memory(log: Log) -> None:
    for number in range(2_000):
        record = log.own.makeRecord(log.own.name, logging.ERROR, "f.py", number, "e", (), None)
        log.handler.handle(record)
    assert len(log.lines()) == 2_000
