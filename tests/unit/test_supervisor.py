"""The supervisor around real child processes: restarts, stops, and leaves nothing behind."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import IO

import pytest

from shared.errors import EX_CONFIG, EX_DRAINED
from shared.trouble import Repeated
from tests.servers import as_in_a_terminal, environment, is_alive, process_tree

TIMEOUT_S = 10.0

pytestmark = pytest.mark.timeout(30)

SUPERVISE = """
import asyncio, sys
from shared.process.supervisor import Supervisor

supervisor = Supervisor([sys.executable, "-u", "-c", sys.argv[1]], name="test")
sys.exit(asyncio.run(supervisor.run()))
"""

ENDLESS = "import os, signal; print(os.getpid()); signal.pause()"

SLOW_TO_STOP = """
import os, signal, sys
def term(*_): os.write(1, b"told to stop\\n")
signal.signal(signal.SIGTERM, term)
print("ready")
with open(os.environ["RELEASE"]) as release:
    release.read()
print("stopped")
"""


class Supervised:
    """A supervisor in a process (and process group) of its own."""

    def __init__(
        self, child: str, *, before: Callable[[], None] = as_in_a_terminal, **variables: str
    ) -> None:
        command = [sys.executable, "-c", SUPERVISE, child]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**variables),
            process_group=0,
            preexec_fn=before,
        )
        assert self.process.stdout is not None
        self.stdout: IO[str] = self.process.stdout

    def line(self) -> str:
        """The next line of output; the test's own timeout bounds the wait."""
        return self.stdout.readline().rstrip("\n")

    def tell(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end: exit status, the rest of the output, messages."""
        stdout, stderr = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, stdout, stderr

    def kill_all(self) -> None:
        """Whatever is left, also after a test that failed."""
        if self.process.poll() is None:
            for pid in reversed(process_tree(self.process.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        # Not to the end of the output: a process that was left behind would keep it open.
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def running() -> Iterator[list[Supervised]]:
    """Supervisors put in here do not outlive the test."""
    supervised: list[Supervised] = []
    yield supervised
    for one in supervised:
        one.kill_all()


def ended(pid: int) -> bool:
    """Wait until a process that need not be our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], TIMEOUT_S)[0])
    finally:
        os.close(descriptor)


def start(running: list[Supervised], one: Supervised) -> Supervised:
    running.append(one)
    return one


def test_a_child_that_crashed_is_started_again(running: list[Supervised]) -> None:
    supervised = start(running, Supervised(ENDLESS))
    first = int(supervised.line())
    os.kill(first, signal.SIGKILL)
    second = int(supervised.line())
    assert second != first
    assert is_alive(second)
    supervised.tell(signal.SIGTERM)
    status, _, messages = supervised.end()
    assert status == 0
    assert messages.splitlines() == ["palaver: test ended with status -9; starting again in 0.1 s"]


def test_a_child_that_ends_in_good_order_is_started_again_too(running: list[Supervised]) -> None:
    supervised = start(running, Supervised("print('once')"))
    assert [supervised.line(), supervised.line()] == ["once", "once"]


def test_a_child_that_cannot_start_as_things_are_is_not_started_again(
    running: list[Supervised],
) -> None:
    supervised = start(running, Supervised(f"print('once'); raise SystemExit({EX_CONFIG})"))
    assert supervised.end() == (EX_CONFIG, "once\n", "")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_child_is_stopped_with_the_supervisor(
    running: list[Supervised], signum: signal.Signals
) -> None:
    supervised = start(running, Supervised(ENDLESS))
    child = int(supervised.line())
    supervised.tell(signum)
    assert supervised.end() == (0, "", "")
    assert not is_alive(child)


def test_the_child_is_told_once_and_waited_for(
    running: list[Supervised], tmp_path: os.PathLike[str]
) -> None:
    release = os.path.join(tmp_path, "release")
    os.mkfifo(release)
    supervised = start(running, Supervised(SLOW_TO_STOP, RELEASE=release))
    assert supervised.line() == "ready"
    # As honcho and a terminal do it: the whole process group, and again.
    os.killpg(supervised.process.pid, signal.SIGTERM)
    assert supervised.line() == "told to stop"
    os.killpg(supervised.process.pid, signal.SIGTERM)
    os.killpg(supervised.process.pid, signal.SIGINT)
    assert supervised.process.poll() is None
    with open(release, "w"):
        pass
    assert supervised.end() == (0, "stopped\n", "")


def test_a_stop_while_waiting_to_start_again_is_obeyed(running: list[Supervised]) -> None:
    supervised = start(running, Supervised("raise SystemExit(3)"))
    assert supervised.process.stderr is not None
    # The pauses grow: by the third message there is a second left to be told in.
    for _ in range(3):
        message = supervised.process.stderr.readline()
        assert "ended with status 3" in message
    supervised.tell(signal.SIGTERM)
    assert supervised.end() == (0, "", "")


def test_the_child_dies_with_a_supervisor_that_is_killed(running: list[Supervised]) -> None:
    supervised = start(running, Supervised(ENDLESS))
    child = int(supervised.line())
    supervised.tell(signal.SIGKILL)
    try:
        assert ended(child)
    finally:
        if is_alive(child):
            os.kill(child, signal.SIGKILL)


def test_the_child_has_a_process_group_of_its_own(running: list[Supervised]) -> None:
    supervised = start(running, Supervised(ENDLESS))
    child = int(supervised.line())
    assert os.getpgid(child) == child
    assert os.getpgid(supervised.process.pid) != child


def test_without_standard_input_the_child_reads_nothing(running: list[Supervised]) -> None:
    supervised = start(running, Supervised("import sys; print(repr(sys.stdin.read()))"))
    assert supervised.line() == "''"


def ignore_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_a_hang_up_that_is_ignored_stays_ignored(running: list[Supervised]) -> None:
    supervised = start(running, Supervised(ENDLESS, before=ignore_hangups))
    child = int(supervised.line())
    for pid in (child, supervised.process.pid):
        os.kill(pid, signal.SIGHUP)
    # Were it followed, it would be before what comes later.
    supervised.tell(signal.SIGTERM)
    status, _, messages = supervised.end()
    assert (status, messages) == (0, ""), "the child lived until it was told"


def test_what_fails_again_and_again_is_told_once_a_minute() -> None:
    moments = iter(range(0, 130, 10))
    repeated = Repeated(clock=lambda: next(moments))
    told = [repeated.due("ended with status 1; starting again in 10 s") for _ in range(13)]
    assert told == [1, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 6]


def test_a_child_that_has_drained_is_not_started_again(running: list[Supervised]) -> None:
    supervised = start(running, Supervised(f"print('once'); raise SystemExit({EX_DRAINED})"))
    status, output, messages = supervised.end()
    assert (status, output) == (0, "once\n")
    assert messages == "palaver: test has drained, and is not started again\n"


def test_under_honcho_a_line_whose_child_has_drained_stays_as_its_end_would_stop_the_others(
    running: list[Supervised],
) -> None:
    child = f"print('once'); raise SystemExit({EX_DRAINED})"
    supervised = start(running, Supervised(child, HONCHO_PROCESS_NAME="worker.1"))
    assert supervised.line() == "once"
    assert supervised.process.stderr is not None
    assert "has drained" in supervised.process.stderr.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        supervised.process.wait(timeout=0.3)
    supervised.tell(signal.SIGTERM)
    assert supervised.end() == (0, "", "")
